// From the credential of a request to its principal: the one place that reads Authorization and X-API-Key. What the
// principal may do is decided elsewhere (access/).
import { ANONYMOUS, type Authenticator, type Principal } from '../access/principal.ts'
import { AppError } from '../core/errors.ts'
import type { Store } from '../storage/store.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { BasicVerifier } from './basic.ts'
import { invalidToken, unknownScheme } from './challenges.ts'
import { findById, type User } from './users.ts'

export interface AuthenticatorOptions {
  store: Store
  accessTokens: AccessTokens
  verifyBasic: BasicVerifier
}

const CREDENTIAL = /^([^ ,]+)(?: +([^ ].*))?$/
const SECOND_CREDENTIAL = /,\s*(?:bearer|basic)(?:\s|$)/i

/** Takes access tokens (Bearer) and e-mail and password (Basic). Every 401 carries a challenge. */
export function createAuthenticator({
  store,
  accessTokens,
  verifyBasic,
}: AuthenticatorOptions): Authenticator {
  const byToken = async (token: string): Promise<Principal> => {
    const { userId, sessionId } = await accessTokens.verify(token)
    // Read at each request, so that a new role, a disabled or a deleted account acts on the next one.
    const user = await findById(store, userId)
    if (user === undefined || user.disabled) throw invalidToken()
    return principalOf(user, sessionId)
  }
  return async ({ authorization, apiKey }) => {
    if (authorization === null && apiKey === null) return ANONYMOUS
    if (isAmbiguous(authorization, apiKey)) throw new AppError('ambiguous_credentials')
    // There are no API keys, so that none is right.
    if (authorization === null) throw invalidToken()
    const [, scheme = '', value = ''] = CREDENTIAL.exec(authorization) ?? []
    switch (scheme.toLowerCase()) {
      case 'bearer':
        return byToken(value)
      case 'basic':
        return principalOf(await verifyBasic(value), null)
      default:
        throw unknownScheme()
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

function principalOf({ id, role, email }: User, sessionId: string | null): Principal {
  return { kind: 'user', id, role, email, scopes: null, session_id: sessionId }
}
