// Servers whose signing keys the tests hold, one for each algorithm, so that they can sign what no server would.
import { createHmac, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { withLowS } from '../../src/auth/low-s.ts'
import { makeFolder, startServer, type RunningServer } from './executable.ts'
import { PASSWORD, post } from './world.ts'

export const ALGORITHMS = ['EdDSA', 'ES256', 'RS256', 'HS256'] as const
export type Algorithm = (typeof ALGORITHMS)[number]

export const SECRET = 'kJ8vQ2xN5mW7pR4tY6uB3cZ9dF1gH0sL'

/** A new private key; of HS256 its secret. */
export function newKey(algorithm: Algorithm): KeyObject | string {
  switch (algorithm) {
    case 'EdDSA':
      return generateKeyPairSync('ed25519').privateKey
    case 'ES256':
      return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
    case 'RS256':
      return generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
    case 'HS256':
      return SECRET
  }
}

export function pemOf(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string
}

/** Puts a key into the key folder of a data folder, as the server would. */
export function writeRingKey(data: string, kid: string, key: KeyObject): string {
  mkdirSync(join(data, 'keys'), { recursive: true, mode: 0o700 })
  const path = join(data, 'keys', `${kid}.pem`)
  writeFileSync(path, pemOf(key))
  chmodSync(path, 0o600)
  return path
}

export interface SigningServer extends RunningServer {
  algorithm: Algorithm
  key: KeyObject | string
  /** PEM; undefined of a secret. */
  publicPem: string | undefined
  /** A token that the server gave, of a session that lives. */
  token: string
  header: Record<string, unknown>
  payload: Record<string, unknown>
}

/** Starts a server with a key of ours and signs Ada in. */
export async function startSigning(algorithm: Algorithm): Promise<SigningServer> {
  const folder = makeFolder()
  const key = newKey(algorithm)
  const env: Record<string, string> = { HIPFLASK_JWT_ALGORITHM: algorithm }
  if (typeof key === 'string') env['HIPFLASK_JWT_SECRET'] = key
  else if (algorithm === 'EdDSA') writeRingKey(join(folder, 'data'), Bun.randomUUIDv7(), key)
  else {
    env['HIPFLASK_JWT_KEY_FILE'] = 'jwt.pem'
    writeFileSync(join(folder, 'jwt.pem'), pemOf(key))
  }
  const server = await startServer({ folder, env })
  const token = await signIn(server)
  const [header, payload] = decode(token)
  const publicPem =
    typeof key === 'string'
      ? undefined
      : (createPublicKey(pemOf(key)).export({ type: 'spki', format: 'pem' }) as string)
  return { ...server, algorithm, key, publicPem, token, header, payload }
}

/** Makes Ada's account where it is not there, and gives a new access token of hers. */
export async function signIn(server: Pick<RunningServer, 'fetch'>): Promise<string> {
  const account = { email: 'ada@example.com', password: PASSWORD }
  await post(server, '/auth/register', { name: 'Ada', ...account }).catch(() => undefined)
  return (await post(server, '/auth/login', account))['access_token'] as string
}

/** Header and payload of a token. */
export function decode(token: string): [Record<string, unknown>, Record<string, unknown>] {
  const [header, payload] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString())
  return [JSON.parse(header as string), JSON.parse(payload as string)]
}

export function part(value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

/** A token of these contents, texts as they are, truly signed as the algorithm does. */
export function forge(
  header: unknown,
  payload: unknown,
  { algorithm, key }: { algorithm: Algorithm; key: KeyObject | string | Buffer },
): string {
  const text = `${part(header)}.${part(payload)}`
  const token = `${text}.${signatureOf(text, algorithm, key).toString('base64url')}`
  return algorithm === 'ES256' ? withLowS(token) : token
}

function signatureOf(text: string, algorithm: Algorithm, key: KeyObject | string | Buffer): Buffer {
  if (algorithm === 'HS256')
    return createHmac('sha256', key as string)
      .update(text)
      .digest()
  const digest = algorithm === 'EdDSA' ? null : 'sha256'
  return sign(digest, Buffer.from(text), { key: key as KeyObject, dsaEncoding: 'ieee-p1363' })
}

export const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** An ES256 token with the other one of its two signatures. */
export function twinOf(token: string): string {
  const at = token.lastIndexOf('.') + 1
  const signature = Buffer.from(token.slice(at), 'base64url')
  const s = P256_ORDER - BigInt(`0x${signature.toString('hex', 32)}`)
  signature.write(s.toString(16).padStart(64, '0'), 32, 'hex')
  return token.slice(0, at) + signature.toString('base64url')
}
