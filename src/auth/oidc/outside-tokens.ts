// The principals of access tokens that a trusted issuer has made: the account that the identity belongs to, within the
// scopes that the token names.
import { EVERY_SCOPE } from '../../access/scopes.ts'
import type { Clock } from '../../core/clock.ts'
import { tokenRevoked } from '../challenges.ts'
import { issuerPrincipal, type Known } from '../principals.ts'
import { KEYS_KEPT_MS } from './issuer-keys.ts'
import type { Identities } from './identities.ts'
import type { OutsideClaims, TrustedIssuers } from './trusted-issuers.ts'

export interface OutsideTokensOptions {
  trustedIssuers: TrustedIssuers
  identities: Identities
  /** Every scope that there is here. */
  scopes: readonly string[]
  clock: Clock
}

export interface OutsideTokens {
  /** Whether the token says that it is of a trusted issuer: nothing of it is checked by that. */
  isNamedBy(token: string): boolean
  /**
   * Whose token it is; at first sight a new account's. Throws AppError `invalid_token`, `token_expired`,
   * `token_revoked` where the account is disabled, or `unavailable` where the issuer's keys can't be had.
   */
  find(token: string): Promise<Known>
}

export function createOutsideTokens(options: OutsideTokensOptions): OutsideTokens {
  const { trustedIssuers, identities, scopes, clock } = options
  return {
    isNamedBy: (token) => trustedIssuers.isNamedBy(token),
    async find(token) {
      const claims = await trustedIssuers.verify(token)
      const user = await identities.accountOf(claims, { provider: null })
      if (user.disabled) throw tokenRevoked()
      return {
        principal: issuerPrincipal(user, boundsOf(claims, scopes)),
        // Its key may be taken back before it ends.
        untilMs: Math.min(claims.expiresMs, clock() + KEYS_KEPT_MS),
      }
    },
  }
}

/**
 * What names nothing of ours, such as `openid profile`, is about something else, and bounds nothing. Permissions are
 * given for this audience: where they are listed, what is not among them is not given.
 */
function boundsOf({ scopes, permissions }: OutsideClaims, known: readonly string[]): readonly string[] {
  const named = [...new Set([...scopes, ...(permissions ?? [])])].filter((scope) => known.includes(scope))
  return named.length === 0 && permissions === undefined ? [EVERY_SCOPE] : named
}
