// Access tokens of outside issuers (Auth0 and any OpenID provider): signature by the issuer's own keys, issuer,
// audience and times. It makes no principal; it only says whom a sound token names and what it may do.
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload } from 'jose'
import { AppError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import { invalidToken, tokenExpired } from '../challenges.ts'
import type { Outbound } from '../outbound.ts'
import { profileOf, subjectOf, type Identity } from './claims.ts'
import { createVerifierByKeys, KeysError, LEEWAY_SECONDS, type VerifyByKeys } from './issuer-keys.ts'
import { remembered, type Remembered } from './remembered.ts'

export interface TrustedIssuer {
  issuer: string
  audience: string
}

/** Whom an outside token names. */
export interface OutsideClaims extends Identity {
  /** Those of `scope` (RFC 8693, 4.2). */
  scopes: readonly string[]
  /** Auth0's; undefined where the token lists none, not even none of them. */
  permissions: readonly string[] | undefined
  /** Milliseconds since 1970. */
  expiresMs: number
}

export interface TrustedIssuersOptions {
  issuers: readonly TrustedIssuer[]
  outbound: Outbound
  logger: Logger
  /** Milliseconds since 1970. */
  clock: () => number
  /** Milliseconds of a clock that nobody sets. */
  monotonic: () => number
}

export interface TrustedIssuers {
  /** Whether the token says that it is of one of them: nothing of it is checked by that. */
  isNamedBy(token: string): boolean
  /** Throws AppError `invalid_token`, `token_expired`, or `unavailable` where the issuer's keys can't be had. */
  verify(token: string): Promise<OutsideClaims>
}

/** Of what discovery tells: who the issuer is in its own spelling, and where its keys are. */
interface Metadata {
  issuer: string
  keysUrl: string
}

interface IssuerEntry {
  audience: string[]
  metadata: Remembered<Metadata>
  verifyByKeys: VerifyByKeys
}

const METADATA_KEPT_MS = 3_600_000
const TOKEN_LENGTH_MAX = 8192
const SCOPES_MAX = 500

export function createTrustedIssuers(options: TrustedIssuersOptions): TrustedIssuers {
  const entries = new Map(
    [...Map.groupBy(options.issuers, ({ issuer }) => keyOf(issuer))].map(([key, pairs]) => [
      key,
      createEntry(key, { ...options, issuers: pairs }),
    ]),
  )
  const entryOf = (token: string) => entries.get(keyOf(issuerOf(token) ?? ''))
  return {
    isNamedBy: (token) => entryOf(token) !== undefined,
    async verify(token) {
      const entry = entryOf(token)
      if (entry === undefined) throw invalidToken()
      try {
        const { issuer } = await entry.metadata.get().catch(noKeys)
        const { audience, verifyByKeys } = entry
        const claims = await verifyByKeys(token, { issuer, audience, now: options.clock() })
        checkUse(token, claims, options.clock())
        const subject = subjectOf(claims)
        if (subject === undefined) throw invalidToken()
        const expiresMs = ((claims.exp ?? 0) + LEEWAY_SECONDS) * 1000
        return { issuer, subject, ...profileOf(claims), ...boundsOf(claims), expiresMs }
      } catch (error) {
        throw failureOf(error, options.logger)
      }
    },
  }
}

function createEntry(key: string, { issuers, outbound, monotonic }: TrustedIssuersOptions) {
  const find = () => discover(key, outbound)
  const metadata = remembered({ find, keepMs: METADATA_KEPT_MS, monotonic })
  const findUrl = async () => (await metadata.get()).keysUrl
  const verifyByKeys = createVerifierByKeys({ findUrl, outbound, monotonic })
  return { audience: issuers.map(({ audience }) => audience), metadata, verifyByKeys } satisfies IssuerEntry
}

async function discover(key: string, outbound: Outbound): Promise<Metadata> {
  const url = `${key.replace(/\/$/, '')}/.well-known/openid-configuration`
  const response = await outbound(url, { headers: { accept: 'application/json' } })
  if (response.status !== 200) throw new TypeError(`Discovery answered ${response.status}`)
  const { issuer, jwks_uri: keysUrl } = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown }
  if (typeof issuer !== 'string' || keyOf(issuer) !== key)
    throw new TypeError('Discovery names another issuer')
  const parsed = typeof keysUrl === 'string' ? URL.parse(keysUrl) : null
  if (parsed === null) throw new TypeError('Discovery names no keys')
  return { issuer, keysUrl: parsed.href }
}

/** One spelling: Auth0 ends its issuer with a slash, which is easily left out in a setting. */
function keyOf(issuer: string): string {
  return URL.parse(issuer)?.href ?? ''
}

function issuerOf(token: string): string | undefined {
  // Reading it costs; what no header could carry is none.
  if (token.length > TOKEN_LENGTH_MAX) return undefined
  try {
    const { iss } = decodeJwt(token)
    return typeof iss === 'string' ? iss : undefined
  } catch {
    return undefined
  }
}

/**
 * What the token may do, in whatever form issuers write it: a text or a list, as `scope` (RFC 8693) or `scp`. What is in
 * no such form is no less of a bound: of nothing.
 */
function boundsOf({ scope, scp, permissions }: JWTPayload): Pick<OutsideClaims, 'scopes' | 'permissions'> {
  const scopes = [listOf(scope), listOf(scp)]
  const isUnreadable = scopes.some((list) => list === null)
  return {
    scopes: scopes.flatMap((list) => list ?? []).slice(0, SCOPES_MAX),
    permissions: isUnreadable ? [] : (listOf(permissions) ?? (permissions === undefined ? undefined : [])),
  }
}

/** Undefined where there is none, null where it is in no form that is known. */
function listOf(claim: unknown): string[] | null | undefined {
  if (claim === undefined) return undefined
  const texts: unknown[] = Array.isArray(claim) ? claim : [claim]
  if (!texts.every((text) => typeof text === 'string')) return null
  return texts.flatMap((text) => text.split(/[\s,]+/)).filter((one) => one !== '')
}

/** As JWT access tokens are typed (RFC 9068), or not at all. */
const TYPES: ReadonlySet<unknown> = new Set([undefined, 'jwt', 'at+jwt', 'application/at+jwt'])
const AHEAD_SECONDS_MAX = 60

/** Throws where a token is for something else, bound to a key that nobody asks for here, or made in the future. */
function checkUse(token: string, { cnf, iat = 0 }: JWTPayload, now: number): void {
  const { typ } = decodeProtectedHeader(token)
  const isTyped = TYPES.has(typ?.toLowerCase())
  if (!isTyped || cnf !== undefined || iat > now / 1000 + AHEAD_SECONDS_MAX) throw invalidToken()
}

function noKeys(cause: unknown): never {
  throw new KeysError('Metadata of an issuer can not be had', { cause })
}

function failureOf(error: unknown, logger: Logger): AppError {
  if (error instanceof AppError) return error
  if (error instanceof errors.JWTExpired) return tokenExpired()
  if (!(error instanceof KeysError)) return invalidToken()
  logger.warn('Keys of a trusted issuer can not be had', { cause: error })
  return new AppError('unavailable', {
    message: "Keys of the token's issuer can't be had now, try again",
  })
}
