// Signs and verifies access tokens (RFC 9068), and is the only file that knows @elysiajs/jwt. That pins nothing unless
// told to, so everything is told at every call. It does not know whether user or session still exist.
import { jwt } from '@elysiajs/jwt'
import type { Clock } from '../core/clock.ts'
import type { Eventual } from '../core/eventual.ts'
import { newUuid, UUID_PATTERN } from '../core/ids.ts'
import { headerNamesOf } from './algorithms.ts'
import { setBounded } from './bounded-map.ts'
import { invalidToken, tokenExpired } from './challenges.ts'
import { isLowS, withLowS } from './low-s.ts'
import type { KeyRing } from './key-ring.ts'
import type { SigningKey } from './signing-keys.ts'

/** What a token says. Ids are UUIDs, times whole seconds since 1970. */
export interface AccessClaims {
  /** `sub` */
  readonly userId: string
  /** `sid`: the session, or the API key of client_credentials. */
  readonly sessionId: string
  /** `jti` */
  readonly tokenId: string
  /** `client_id`: the API key of client_credentials. */
  readonly clientId: string | undefined
  /** `iat` */
  readonly issuedAt: number
  /** `exp` */
  readonly expiresAt: number
  /** The key that signed it. */
  readonly kid: string
}

/** Whom a token is for. */
export interface AccessSubject {
  userId: string
  sessionId: string
  role: string | null
  clientId?: string | undefined
  /** Less than the usual lifetime, where what stands behind the token ends sooner; more is cut. */
  lifetimeSeconds?: number | undefined
}

export interface AccessTokens {
  /** Seconds that a token usually lives. */
  readonly lifetimeSeconds: number
  issue(subject: AccessSubject): Promise<string>
  /**
   * At once where the token is known already. Throws AppError `token_expired` where time is all that is wrong, else
   * `invalid_token`.
   */
  verify(token: string): Eventual<AccessClaims>
  /** Whether this key still is in the ring. */
  hasKey(kid: string): boolean
}

export interface AccessTokensOptions {
  keys: KeyRing
  /** The public address, else `hipflask`. */
  issuer: string
  lifetimeSeconds: number
  /** Near the system's: the library dates tokens by that, and takes no other date. */
  clock: Clock
}

export const AUDIENCE = 'hipflask'
export const TOKEN_LENGTH_MAX = 8 * 1024
/** Verified tokens that are kept. */
export const CACHED_TOKENS_MAX = 10_000
/** A token that says it was made later than this from now was not made by a sound clock. */
const AHEAD_SECONDS_MAX = 60

const TYPE = 'at+jwt'
const TOKEN = /^([\w-]+)\.([\w-]+)\.([\w-]+)$/

export function createAccessTokens(options: AccessTokensOptions): AccessTokens {
  const { keys, issuer, lifetimeSeconds, clock } = options
  // Keys come and go while this lives; what is made of them goes with them.
  const signers = new WeakMap<SigningKey, Signer>()
  const verifiers = new WeakMap<SigningKey, Verifier>()
  // By text, which is safe for what is accepted; what is revoked must be known by `sid`, since texts can be respelled.
  const cache = new Map<string, { key: SigningKey; claims: AccessClaims }>()
  const now = () => Math.floor(clock() / 1000)

  const verifyAnew = async (token: string, key: SigningKey): Promise<AccessClaims> => {
    if (key.algorithm === 'ES256' && !isLowS(signatureOf(token))) throw invalidToken()
    const payload = await made(verifiers, key, () => createVerifier(key, issuer))(token)
    const claims = payload === undefined ? undefined : readClaims(payload, key.kid)
    if (claims === undefined) throw invalidToken()
    checkTimes(claims, now())
    setBounded(cache, [token, { key, claims }], CACHED_TOKENS_MAX)
    return claims
  }
  return {
    lifetimeSeconds,
    async issue({ userId, sessionId, role, clientId, lifetimeSeconds: own = lifetimeSeconds }) {
      const key = keys.signing()
      const exp = now() + Math.floor(Math.min(own, lifetimeSeconds))
      const claims = { sub: userId, sid: sessionId, jti: newUuid(), exp }
      const more = { ...(role !== null && { role }), ...(clientId !== undefined && { client_id: clientId }) }
      const token = await made(signers, key, () => createSigner(key, issuer)).sign({ ...claims, ...more })
      return key.algorithm === 'ES256' ? withLowS(token) : token
    },
    verify(token) {
      const known = cache.get(token)
      if (known !== undefined && keys.find(known.key.kid) === known.key) {
        checkTimes(known.claims, now())
        return known.claims
      }
      const kid = keyIdOf(token)
      const key = kid === undefined ? undefined : keys.find(kid)
      if (key === undefined) {
        cache.delete(token)
        throw invalidToken()
      }
      return verifyAnew(token, key)
    },
    hasKey: (kid) => keys.find(kid) !== undefined,
  }
}

function made<T>(values: WeakMap<SigningKey, T>, key: SigningKey, make: () => T): T {
  const value = values.get(key) ?? make()
  values.set(key, value)
  return value
}

type Signer = ReturnType<typeof createSigner>

function createSigner({ kid, algorithm, privateKey }: SigningKey, issuer: string) {
  const options = {
    name: 'signer',
    secret: privateKey,
    alg: algorithm,
    kid,
    typ: TYPE,
    iss: issuer,
    aud: AUDIENCE,
  } as const
  return jwt(options).decorator.signer
}

/** The payload of a token of this key; undefined where anything but its times is wrong. */
type Verifier = (token: string) => Promise<Record<string, unknown> | undefined>

// One for each key: an instance that holds a private key verifies nothing.
function createVerifier({ algorithm, publicKey }: SigningKey, issuer: string): Verifier {
  const { verifier } = jwt({ name: 'verifier', secret: publicKey }).decorator
  const options = {
    algorithms: headerNamesOf(algorithm),
    issuer,
    audience: AUDIENCE,
    typ: TYPE,
    requiredClaims: ['sub', 'exp', 'iat', 'jti', 'sid'],
    // The library answers false for every failure. At 1970 nothing has expired, so that false means forged.
    currentDate: new Date(0),
  }
  return async (token) => {
    const payload = await verifier.verify(token, options)
    return payload === false ? undefined : payload
  }
}

/**
 * The key that the header names, if the token is spelt as one is here. The library would take padding, line ends and
 * spare bits too: many texts for one token, which no cache or log could tell for the same.
 */
function keyIdOf(token: string): string | undefined {
  if (token.length > TOKEN_LENGTH_MAX) return undefined
  const [, ...parts] = TOKEN.exec(token) ?? []
  if (parts.length === 0 || !parts.every(isCanonical)) return undefined
  const text = Buffer.from(parts[0] as string, 'base64url').toString()
  try {
    const header = JSON.parse(text) as Record<string, unknown>
    // A header of ours names type, algorithm and key, each once. What else it could have says where to find a key or
    // how to read the rest (jwk, jku, x5u, x5c, crit, b64, zip), and never gets as far as the library.
    const { alg, typ, kid } = header
    const isOurs = [alg, typ, kid].every((value) => typeof value === 'string')
    if (!isOurs || Object.keys(header).length !== 3 || JSON.stringify(header) !== text) return undefined
    return kid as string
  } catch {
    return undefined
  }
}

function signatureOf(token: string): Uint8Array {
  return Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url')
}

function isCanonical(part: string): boolean {
  return Buffer.from(part, 'base64url').toString('base64url') === part
}

function readClaims({ sub, sid, jti, client_id, exp, iat }: Record<string, unknown>, kid: string) {
  if (!isUuid(sub) || !isUuid(sid) || !isUuid(jti)) return undefined
  if (client_id !== undefined && !isUuid(client_id)) return undefined
  if (!Number.isSafeInteger(exp) || !Number.isSafeInteger(iat)) return undefined
  const claims: AccessClaims = {
    userId: sub,
    sessionId: sid,
    tokenId: jti,
    clientId: client_id,
    issuedAt: iat as number,
    expiresAt: exp as number,
    kid,
  }
  return claims
}

function isUuid(value: unknown): value is string {
  return typeof value === 'string' && UUID_PATTERN.test(value)
}

function checkTimes({ issuedAt, expiresAt }: AccessClaims, now: number): void {
  if (issuedAt > now + AHEAD_SECONDS_MAX) throw invalidToken()
  if (expiresAt <= now) throw tokenExpired()
}
