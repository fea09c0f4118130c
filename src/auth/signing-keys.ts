// Keys as values: from PEM or a secret to what signs, verifies and is shown to others. It knows where no key comes from.
import { createHash, createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto'
import { isKeyOf, type Algorithm, type AsymmetricAlgorithm } from './algorithms.ts'

export interface SigningKey {
  /** Names the key in a token's header. */
  readonly kid: string
  readonly algorithm: Algorithm
  /** Signs. Of HS256 the secret, which is `publicKey` too. */
  readonly privateKey: KeyObject
  /** Verifies. */
  readonly publicKey: KeyObject
}

/** A public key as RFC 7517 writes it. */
export interface PublicJwk {
  readonly kty: string
  readonly kid: string
  readonly use: 'sig'
  readonly alg: AsymmetricAlgorithm
  readonly crv?: string
  readonly x?: string
  readonly y?: string
  readonly n?: string
  readonly e?: string
}

/** There is one secret at a time, so its name says nothing of it: a digest could be searched with a dictionary. */
const SECRET_KID = 'secret'

/** The members that make a key, by `kty`, in the order of its thumbprint (RFC 7638, 3.2). */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  OKP: ['crv', 'kty', 'x'],
  RSA: ['e', 'kty', 'n'],
}

/** A private key under the name it has where it comes from, else its RFC 7638 thumbprint. */
export function signingKey(algorithm: AsymmetricAlgorithm, privateKey: KeyObject, kid?: string): SigningKey {
  const publicKey = createPublicKey(privateKey)
  return { kid: kid ?? thumbprintOf(publicKey), algorithm, privateKey, publicKey }
}

/** The key of HS256: the UTF-8 bytes of a secret. */
export function secretKey(secret: string): SigningKey {
  const key = createSecretKey(secret, 'utf8')
  return { kid: SECRET_KID, algorithm: 'HS256', privateKey: key, publicKey: key }
}

/** What others verify tokens with; undefined of a secret. */
export function publicJwkOf({ kid, algorithm, publicKey }: SigningKey): PublicJwk | undefined {
  if (algorithm === 'HS256') return undefined
  return { ...(membersOf(publicKey) as { kty: string }), kid, use: 'sig', alg: algorithm }
}

/** What the blocks of a PEM text hold, in order: a key, or why the block is none. Empty where there is no block. */
export function privateKeysOf(pem: string): (KeyObject | 'public' | 'encrypted' | 'unreadable')[] {
  const blocks = [...pem.matchAll(PEM_BLOCK)].map(([text, label = '']) => ({ text, label }))
  const keys = blocks.filter(({ label }) => label !== 'EC PARAMETERS').map(readBlock)
  // A block without its end, or whose ends differ, is found by no match.
  const isWhole = blocks.length === pem.split('-----BEGIN ').length - 1
  return isWhole ? keys : [...keys, 'unreadable']
}

/** The private key of a PEM text of one block for this algorithm; undefined where it is something else. */
export function onlyKeyOf(pem: string, algorithm: AsymmetricAlgorithm): KeyObject | undefined {
  const [key, ...more] = privateKeysOf(pem)
  const isFit = typeof key === 'object' && more.length === 0 && isKeyOf(algorithm, key)
  return isFit ? key : undefined
}

const PEM_BLOCK = /-----BEGIN ([A-Z0-9 ]{1,40})-----[A-Za-z0-9+/=\s:,-]*?-----END \1-----/g

// The library's message may quote the text, so it is not kept as a cause.
function readBlock({ text, label }: { text: string; label: string }) {
  if (label.endsWith('PUBLIC KEY') || label.endsWith('CERTIFICATE')) return 'public'
  if (label === 'ENCRYPTED PRIVATE KEY' || /^Proc-Type:.*ENCRYPTED/m.test(text)) return 'encrypted'
  try {
    return createPrivateKey(text)
  } catch {
    return 'unreadable'
  }
}

function thumbprintOf(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(JSON.stringify(membersOf(publicKey)))
    .digest('base64url')
}

function membersOf(publicKey: KeyObject): Record<string, unknown> {
  const jwk = publicKey.export({ format: 'jwk' }) as Record<string, unknown>
  return Object.fromEntries((MEMBERS[jwk['kty'] as string] ?? []).map((name) => [name, jwk[name]]))
}
