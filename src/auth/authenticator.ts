// From the credential of a request to its principal: the one place that reads Authorization and X-API-Key. What the
// principal may do is decided elsewhere (access/).
import { ANONYMOUS, type Authenticator, type Principal } from '../access/principal.ts'
import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { proceed, type Eventual } from '../core/eventual.ts'
import type { Store } from '../storage/store.ts'
import type { AccessClaims, AccessTokens } from './access-tokens.ts'
import { API_KEY_PREFIX, type ApiKeys } from './api-keys.ts'
import type { BasicVerifier } from './basic.ts'
import { tokenRevoked, unknownScheme } from './challenges.ts'
import { createCredentialCache } from './credential-cache.ts'
import { userPrincipal, type Known } from './principals.ts'
import { endOf, findSession, isLiving } from './sessions.ts'
import { authTables } from './tables.ts'
import { findById } from './users.ts'

export interface AuthenticatorOptions {
  store: Store
  accessTokens: AccessTokens
  apiKeys: ApiKeys
  verifyBasic: BasicVerifier
  clock: Clock
}

const CREDENTIAL = /^([^ ,]+)(?: +([^ ].*))?$/
const SECOND_CREDENTIAL = /,\s*(?:bearer|basic)(?:\s|$)/i

/** Takes access tokens and API keys (Bearer), API keys (X-API-Key) and e-mail and password (Basic). Every 401 carries a challenge. */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { store, accessTokens, apiKeys, verifyBasic, clock } = options
  const cache = createCredentialCache({ version: store.watch(authTables.map(({ name }) => name)), clock })
  const holderOf = createTokenReader(options)
  // The token is verified each time, which costs a look-up where it is known: its signing key may be gone.
  const byToken = (token: string): Eventual<Principal> =>
    proceed(
      accessTokens.verify(token),
      (claims) => cache.get(token) ?? cache.learn(token, () => holderOf(claims)),
    )
  const byKey = (key: string): Eventual<Principal> =>
    cache.get(key) ?? cache.learn(key, () => apiKeys.find(key))
  const byBearer = (text: string): Eventual<Principal> =>
    text.startsWith(API_KEY_PREFIX) ? byKey(text) : byToken(text)

  return ({ authorization, apiKey, address }) => {
    if (authorization === null && apiKey === null) return ANONYMOUS
    if (isAmbiguous(authorization, apiKey)) throw new AppError('ambiguous_credentials')
    if (authorization === null) return byKey(apiKey as string)
    const [, scheme = '', value = ''] = CREDENTIAL.exec(authorization) ?? []
    switch (scheme.toLowerCase()) {
      case 'bearer':
        return byBearer(value)
      case 'basic':
        return verifyBasic(value, address()).then((user) => userPrincipal(user, null))
      default:
        throw unknownScheme()
    }
  }
}

/** Makes the function that finds out who holds an access token, by the session or the key that it lives with. */
function createTokenReader({ store, apiKeys, clock }: AuthenticatorOptions) {
  return async ({ userId, sessionId, clientId, expiresAt }: AccessClaims): Promise<Known> => {
    const expiresMs = expiresAt * 1000
    if (clientId !== undefined) {
      const key = await apiKeys.findById(clientId)
      if (key === undefined) throw tokenRevoked()
      return { principal: key.principal, untilMs: Math.min(key.untilMs, expiresMs) }
    }
    const session = await findSession(store, sessionId)
    const user = await findById(store, userId)
    if (session === undefined || user === undefined || !isLiving(session, user, clock())) throw tokenRevoked()
    return { principal: userPrincipal(user, session.id), untilMs: Math.min(endOf(session), expiresMs) }
  }
}

/**
 * Both headers, or one of them twice: HTTP joins equal headers with a comma, which neither a token nor base64 can hold.
 * Other schemes have commas of their own.
 */
function isAmbiguous(authorization: string | null, apiKey: string | null): boolean {
  if (authorization === null) return apiKey?.includes(',') === true
  if (apiKey !== null || SECOND_CREDENTIAL.test(authorization)) return true
  return authorization.includes(',') && /^(?:bearer|basic)[\s,]/i.test(authorization)
}
