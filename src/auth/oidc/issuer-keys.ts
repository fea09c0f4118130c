// The public keys of another issuer (RFC 7517), by which its tokens are verified: kept, and asked for anew where a token
// names one that is not among them, so that the issuer may rotate its keys at any time.
import {
  createLocalJWKSet,
  errors,
  jwtVerify,
  type JSONWebKeySet,
  type JWTPayload,
  type JWTVerifyGetKey,
} from 'jose'
import type { Outbound } from '../outbound.ts'
import { remembered } from './remembered.ts'

export interface IssuerKeysOptions {
  /** Where they are. Rejects where that can't be had now. */
  findUrl: () => Promise<string>
  outbound: Outbound
  /** Milliseconds of a clock that nobody sets. */
  monotonic: () => number
}

/** The keys can't be had now: that says nothing of the token. */
export class KeysError extends Error {
  override name = 'KeysError'
}

/** Signatures that are taken. A secret is shared with nobody, so HS256 is none of them. */
const ALGORITHMS = ['RS256', 'PS256', 'ES256', 'EdDSA', 'Ed25519']
/** Seconds that the issuer's clock may differ. */
export const LEEWAY_SECONDS = 30
/** Keys are asked for anew because of an unknown one at most so often. */
export const KEYS_COOLDOWN_MS = 30_000
/** A key that the issuer has taken back is refused after this time, if the issuer can be asked. */
export const KEYS_KEPT_MS = 600_000

export interface Expected {
  issuer: string
  audience: string | string[]
  /** Milliseconds since 1970. */
  now: number
}

/**
 * The claims of a token of this issuer, which has a subject and an end. Throws KeysError, or an error of jose where the
 * token is not sound: then JWTExpired where time is all that is wrong.
 */
export type VerifyByKeys = (token: string, expected: Expected) => Promise<JWTPayload>

export function createVerifierByKeys(options: IssuerKeysOptions): VerifyByKeys {
  const keyOf = createKeyFinder(options)
  return async (token, { issuer, audience, now }) => {
    const { payload } = await jwtVerify(token, keyOf, {
      algorithms: ALGORITHMS,
      issuer,
      audience,
      requiredClaims: ['sub', 'exp'],
      clockTolerance: LEEWAY_SECONDS,
      currentDate: new Date(now),
    })
    return payload
  }
}

function createKeyFinder({ findUrl, outbound, monotonic }: IssuerKeysOptions): JWTVerifyGetKey {
  let askedAnewAt = -Infinity
  const load = async (): Promise<JWTVerifyGetKey> => {
    try {
      const response = await outbound(await findUrl(), { headers: { accept: 'application/json' } })
      if (response.status !== 200) throw new TypeError(`Keys answered ${response.status}`)
      return createLocalJWKSet((await response.json()) as JSONWebKeySet)
    } catch (cause) {
      throw new KeysError('Keys of an issuer can not be had', { cause })
    }
  }
  const keys = remembered({ find: load, keepMs: KEYS_KEPT_MS, monotonic })

  return async (header, token) => {
    // OpenID Connect Core, 10.1, lets a key be unnamed where there is one alone; which one that is may change.
    if (header?.kid === undefined) throw new errors.JWKSNoMatchingKey()
    const known = await keys.get()
    try {
      return await known(header, token)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
      if (monotonic() - askedAnewAt >= KEYS_COOLDOWN_MS) {
        askedAnewAt = monotonic()
        await keys.renew()
      }
      // Another token of this key may have asked a moment ago.
      return (await keys.get())(header, token)
    }
  }
}
