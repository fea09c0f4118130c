// From the credential of a request to its principal: the one place that reads Authorization and X-API-Key. What the
// principal may do is decided elsewhere (access/).
import { ANONYMOUS, type Authenticator, type Credentials, type Principal } from '../access/principal.ts'
import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { Eventual } from '../core/eventual.ts'
import type { Store } from '../storage/store.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { Audit } from './audit.ts'
import { API_KEY_PREFIX } from './api-key-text.ts'
import type { ApiKeys } from './api-keys.ts'
import type { BasicVerifier } from './basic.ts'
import { invalidToken, tokenRevoked, unknownScheme } from './challenges.ts'
import { createCredentialCache } from './credential-cache.ts'
import { userPrincipal, type Known } from './principals.ts'
import { endOf, findSession, isLiving } from './sessions.ts'
import type { OutsideTokens } from './oidc/outside-tokens.ts'
import { principalTables } from './tables.ts'
import { findById } from './users.ts'

export interface AuthenticatorOptions {
  store: Store
  accessTokens: AccessTokens
  apiKeys: ApiKeys
  /** Undefined where no other issuer is trusted. */
  outsideTokens: OutsideTokens | undefined
  verifyBasic: BasicVerifier
  audit: Audit
  clock: Clock
}

const CREDENTIAL = /^([^ ,]+)(?: +([^ ].*))?$/
const SECOND_CREDENTIAL = /,\s*(?:bearer|basic)(?:\s|$)/i

type Caller = Pick<Credentials, 'address' | 'claim'>

/** Takes access tokens, ours and of trusted issuers, and API keys (Bearer), API keys (X-API-Key) and e-mail and password (Basic). Every 401 carries a challenge. */
export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { store, apiKeys, outsideTokens, verifyBasic, audit, clock } = options
  const version = store.watch(principalTables.map(({ name }) => name))
  const cache = createCredentialCache({ version, clock })
  const holderOf = createTokenReader(options)

  /** What does not stand for anybody is told in the log, unless it is only over. */
  const find = async (text: string, address: () => string): Promise<Known> => {
    const isKey = text.startsWith(API_KEY_PREFIX)
    const isOutside = !isKey && outsideTokens?.isNamedBy(text) === true
    try {
      if (isKey) return await apiKeys.find(text)
      return await (isOutside ? outsideTokens.find(text) : holderOf(text))
    } catch (error) {
      if (error instanceof AppError && error.status === 401 && error.code !== 'token_expired') {
        const method = isKey ? 'API key' : isOutside ? 'outside token' : 'access token'
        audit('credential.refused', { method, ip: address(), reason: error.code })
      }
      throw error
    }
  }
  // Kept by the whole header, so that a known one is not even taken apart.
  const learn = (header: string, text: string, { address, claim }: Caller): Promise<Principal> => {
    claim?.()
    return cache.learn(header, () => find(text, address))
  }
  const byKey = (key: string, caller: Caller): Eventual<Principal> => {
    // A header of Authorization may be known by its text, but is no key.
    if (!key.startsWith(API_KEY_PREFIX)) throw invalidToken()
    return cache.get(key) ?? learn(key, key, caller)
  }

  return (credentials) => {
    const { authorization, apiKey } = credentials
    if (authorization === null && apiKey === null) return ANONYMOUS
    const known = authorization === null || apiKey !== null ? undefined : cache.get(authorization)
    if (known !== undefined) return known
    if (isAmbiguous(authorization, apiKey)) throw new AppError('ambiguous_credentials')
    if (authorization === null) return byKey(apiKey as string, credentials)
    const [, scheme = '', value = ''] = CREDENTIAL.exec(authorization) ?? []
    switch (scheme.toLowerCase()) {
      case 'bearer':
        return learn(authorization, value, credentials)
      case 'basic':
        return verifyBasic(value, credentials).then((user) => userPrincipal(user, null))
      default:
        throw unknownScheme()
    }
  }
}

/** Makes the function that finds out who holds an access token, by the session or the key that it lives with. */
function createTokenReader({ store, accessTokens, apiKeys, clock }: AuthenticatorOptions) {
  return async (token: string): Promise<Known> => {
    const { userId, sessionId, clientId, expiresAt, kid } = await accessTokens.verify(token)
    const expiresMs = expiresAt * 1000
    const isGood = () => accessTokens.hasKey(kid)
    if (clientId !== undefined) {
      const key = await apiKeys.findById(clientId)
      if (key === undefined) throw tokenRevoked()
      return { principal: key.principal, untilMs: Math.min(key.untilMs, expiresMs), isGood }
    }
    const session = await findSession(store, sessionId)
    const user = await findById(store, userId)
    if (session === undefined || user === undefined || !isLiving(session, user, clock())) throw tokenRevoked()
    return {
      principal: userPrincipal(user, session.id),
      untilMs: Math.min(endOf(session), expiresMs),
      isGood,
    }
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
