// Signs and verifies access tokens (RFC 9068), and is the only file that knows @elysiajs/jwt. That pins nothing unless
// told to, so everything is told at every call. It does not know whether the user still exists.
import { jwt } from '@elysiajs/jwt'
import type { Clock } from '../core/clock.ts'
import { newUuid } from '../core/ids.ts'
import { setBounded } from './bounded-map.ts'
import { invalidToken, tokenExpired } from './challenges.ts'
import type { KeyRing, RingKey } from './key-ring.ts'

/** Whom a token names. */
export interface AccessClaims {
  readonly userId: string
  readonly sessionId: string
}

export interface AccessTokens {
  /** Seconds that a token lives. */
  readonly lifetimeSeconds: number
  issue(subject: AccessClaims & { role: string }): Promise<string>
  /** Throws AppError `token_expired` where time is all that is wrong, else `invalid_token`. */
  verify(token: string): Promise<AccessClaims>
}

export interface AccessTokensOptions {
  keys: KeyRing
  /** The public address, else `hipflask`. */
  issuer: string
  lifetimeSeconds: number
  /** Near the system's: the library dates tokens by that. */
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

interface Verified extends AccessClaims {
  readonly exp: number
  readonly iat: number
}

export function createAccessTokens({
  keys,
  issuer,
  lifetimeSeconds,
  clock,
}: AccessTokensOptions): AccessTokens {
  const signer = createSigner(keys[0], issuer)
  const verifiers = new Map(keys.map((key) => [key.kid, createVerifier(key, issuer)]))
  // By text, which is safe for what is accepted; what is revoked must be known by `sid`, since texts can be respelled.
  const cache = new Map<string, Verified>()
  const now = () => Math.floor(clock() / 1000)

  const verify = async (token: string): Promise<Verified> => {
    const verifier = verifiers.get(keyIdOf(token) ?? '')
    const payload = await verifier?.(token)
    const verified = payload === undefined ? undefined : readClaims(payload)
    if (verified === undefined) throw invalidToken()
    return verified
  }
  return {
    lifetimeSeconds,
    issue({ userId, sessionId, role }) {
      return signer.sign({ sub: userId, sid: sessionId, role, jti: newUuid(), exp: now() + lifetimeSeconds })
    },
    async verify(token) {
      const cached = cache.get(token)
      const verified = cached ?? (await verify(token))
      checkTimes(verified, now())
      if (cached === undefined) setBounded(cache, [token, verified], CACHED_TOKENS_MAX)
      return verified
    },
  }
}

function createSigner({ kid, privateKey }: RingKey, issuer: string) {
  const options = {
    name: 'signer',
    secret: privateKey,
    alg: 'EdDSA',
    kid,
    typ: TYPE,
    iss: issuer,
    aud: AUDIENCE,
  } as const
  return jwt(options).decorator.signer
}

// One for each public key: an instance that holds a private key verifies nothing.
function createVerifier({ publicKey }: RingKey, issuer: string) {
  const { verifier } = jwt({ name: 'verifier', secret: publicKey }).decorator
  const options = {
    // The new and the old name of one algorithm (RFC 9864).
    algorithms: ['EdDSA', 'Ed25519'],
    issuer,
    audience: AUDIENCE,
    typ: TYPE,
    requiredClaims: ['sub', 'exp', 'iat', 'jti', 'sid'],
    // The library answers false for every failure. At 1970 nothing has expired, so that false means forged.
    currentDate: new Date(0),
  }
  return async (token: string): Promise<Record<string, unknown> | undefined> => {
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
  try {
    const header: unknown = JSON.parse(Buffer.from(parts[0] as string, 'base64url').toString())
    const { kid } = header as { kid?: unknown }
    return typeof kid === 'string' ? kid : undefined
  } catch {
    return undefined
  }
}

function isCanonical(part: string): boolean {
  return Buffer.from(part, 'base64url').toString('base64url') === part
}

function readClaims({ sub, sid, exp, iat }: Record<string, unknown>): Verified | undefined {
  if (typeof sub !== 'string' || typeof sid !== 'string') return undefined
  if (!Number.isSafeInteger(exp) || !Number.isSafeInteger(iat)) return undefined
  return { userId: sub, sessionId: sid, exp: exp as number, iat: iat as number }
}

function checkTimes({ exp, iat }: Verified, now: number): void {
  if (iat > now + AHEAD_SECONDS_MAX) throw invalidToken()
  if (exp <= now) throw tokenExpired()
}
