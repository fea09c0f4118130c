// The routes for OAuth clients: tokens (RFC 6749), revocation (RFC 7009), introspection (RFC 7662). Their bodies are
// forms and their errors OAuth's own.
import { ADMINISTRATORS } from '../access/authorize.ts'
import { EVERY_SCOPE } from '../access/scopes.ts'
import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { formBody, type Form } from '../http/form.ts'
import { OAuthError } from '../http/oauth-errors.ts'
import { BASIC_CHALLENGE } from '../http/problem.ts'
import { json, route, type Route } from '../http/route.ts'
import { everyone, t, type Static } from '../sdk.ts'
import type { Store } from '../storage/store.ts'
import type { AccessTokens } from './access-tokens.ts'
import { API_KEY_PREFIX } from './api-key-text.ts'
import type { ApiKeys, KnownKey } from './api-keys.ts'
import type { Audit } from './audit.ts'
import { REFRESH_EXAMPLE, loginBody } from './bodies.ts'
import { Introspection, claimsOf, createIntrospection } from './introspection.ts'
import { clientOf, findKey, invalidClient } from './oauth-clients.ts'
import { REFRESH_TOKEN_PREFIX, type RefreshTokens } from './refresh-tokens.ts'
import { TOKEN_EXAMPLE } from './session-routes.ts'
import type { Codes } from './oidc/codes.ts'
import { endSession } from './sessions.ts'
import type { SignIn } from './sign-in.ts'
import type { TokenPairs } from './token-pairs.ts'

export interface OAuthRoutesOptions {
  store: Store
  signIn: SignIn
  accessTokens: AccessTokens
  refreshTokens: RefreshTokens
  tokenPairs: TokenPairs
  apiKeys: ApiKeys
  codes: Codes
  audit: Audit
  clock: Clock
  /** `iss` of the tokens. */
  issuer: string
}

const TAG = 'Accounts'

/** POST /auth/token, /auth/revoke, /auth/introspect. */
export function createOAuthRoutes(options: OAuthRoutesOptions): Route[] {
  return [tokenRoute(options), revokeRoute(options), introspectRoute(options)]
}

const client = {
  client_id: t.Optional(t.String({ description: 'Id of an API key, where the client is one' })),
  client_secret: t.Optional(t.String({ description: 'The key' })),
}
const TokenRequest = t.Object(
  {
    grant_type: t.String({
      description: '`password`, `refresh_token`, `authorization_code` or `client_credentials`',
    }),
    username: t.Optional(t.String({ description: 'E-mail, for `password`' })),
    password: t.Optional(t.String()),
    refresh_token: t.Optional(t.String()),
    code: t.Optional(t.String({ description: 'Of a sign-in at a provider, for `authorization_code`' })),
    redirect_uri: t.Optional(t.String({ description: 'The `redirect_to` that the code came to' })),
    scope: t.Optional(t.String({ description: 'For `client_credentials`: within the scopes of the key' })),
    ...client,
  },
  { title: 'TokenRequest' },
)
const OAuthTokens = t.Object(
  {
    access_token: t.String(),
    refresh_token: t.Optional(t.String({ description: 'Not for `client_credentials`' })),
    token_type: t.Literal('Bearer'),
    expires_in: t.Integer(),
    refresh_expires_in: t.Optional(t.Integer()),
    scope: t.Optional(
      t.String({ description: 'Scopes of the key; `*` for those of a user, where one was asked for' }),
    ),
  },
  { title: 'OAuthTokens' },
)
const TokenForm = t.Object(
  { token: t.String(), token_type_hint: t.Optional(t.String({ description: 'Not needed' })) },
  { title: 'TokenForm' },
)
const RevocationForm = t.Object({ ...TokenForm.properties, ...client }, { title: 'RevocationForm' })

// RFC 6749, 5.1.
const NO_CACHE = { pragma: 'no-cache' }

type Grant = (request: GrantRequest) => Promise<Static<typeof OAuthTokens>>

interface GrantRequest {
  form: Form
  /** Undefined: the public client. */
  key: KnownKey | undefined
  ip: string
  userAgent: string | null
}

function tokenRoute(options: OAuthRoutesOptions): Route {
  const grants = new Map<string, Grant>([
    ['password', passwordGrant(options)],
    ['refresh_token', refreshGrant(options)],
    ['authorization_code', codeGrant(options)],
    ['client_credentials', keyGrant(options)],
  ])
  return route({
    method: 'POST',
    path: '/auth/token',
    operationId: 'createToken',
    summary: 'Get tokens as an OAuth client',
    description:
      'RFC 6749. Basic is the client here: an API key (its id and the key), or nothing for the public client.',
    tag: TAG,
    access: everyone(),
    credentials: 'client',
    errorShape: 'oauth',
    body: formBody(TokenRequest, {
      grant_type: 'password',
      username: 'ada@example.com',
      password: 'correct horse battery staple',
    }),
    responses: { 200: json('The tokens', OAuthTokens, { example: TOKEN_EXAMPLE }) },
    errors: ['unauthenticated', 'rate_limited', 'unavailable'],
    noStore: true,
    async handler({ body: form, header, address, reply }) {
      const ip = address()
      const key = await clientOf(header('authorization'), form, options.apiKeys).catch((error: unknown) => {
        const isRefused = error instanceof OAuthError && error.error === 'invalid_client'
        if (isRefused)
          options.audit('login.failed', { method: 'client_credentials', ip, reason: 'no such key' })
        throw error
      })
      const grant = grants.get(required(form, 'grant_type'))
      if (grant === undefined) {
        throw new OAuthError(
          'unsupported_grant_type',
          `Grant type must be ${[...grants.keys()].join(' or ')}`,
        )
      }
      const tokens = await grant({ form, key, ip, userAgent: header('user-agent') })
      return reply(200, tokens, NO_CACHE)
    },
  })
}

function passwordGrant({ signIn, tokenPairs }: OAuthRoutesOptions): Grant {
  return async ({ form, key, ip, userAgent }) => {
    refuseKey(key)
    const [username, typed] = [required(form, 'username'), required(form, 'password')]
    const { email, password } = loginBody.parse({ email: username, password: typed })
    const attempt = { email, password, address: ip, method: 'token', challenge: BASIC_CHALLENGE } as const
    const user = await asGrant(signIn(attempt))
    const pair = await tokenPairs.begin({ user, ip, userAgent, method: attempt.method })
    if (pair === undefined) throw new OAuthError('invalid_grant', 'E-mail or password is wrong')
    return { ...pair, ...grantedScope(form) }
  }
}

function refreshGrant({ tokenPairs }: OAuthRoutesOptions): Grant {
  return async ({ form, key, ip }) => {
    refuseKey(key)
    const pair = await asGrant(tokenPairs.refresh(required(form, 'refresh_token'), ip))
    return { ...pair, ...grantedScope(form) }
  }
}

/** A user's tokens have no bounds: RFC 6749, 3.3, has whoever asked for some be told that. */
function grantedScope(form: Form): { scope?: string } {
  return form.has('scope') ? { scope: EVERY_SCOPE } : {}
}

function codeGrant({ codes, tokenPairs }: OAuthRoutesOptions): Grant {
  return async ({ form, key, ip, userAgent }) => {
    refuseKey(key)
    const [code, redirectUri] = [required(form, 'code'), required(form, 'redirect_uri')]
    const user = await codes.redeem(code, redirectUri)
    const pair = user && (await tokenPairs.begin({ user, ip, userAgent, method: 'oidc' }))
    if (pair === undefined)
      throw new OAuthError('invalid_grant', 'Code is not good, or of another redirect_uri')
    return pair
  }
}

/** The token lives with the key: it has no session, and no refresh token. */
function keyGrant({ accessTokens, audit, clock }: OAuthRoutesOptions): Grant {
  return async ({ form, key, ip }) => {
    if (key === undefined) throw invalidClient()
    const { keyId, expiresMs, principal } = key
    const scopes = principal.scopes ?? []
    for (const scope of form.get('scope')?.split(' ') ?? []) {
      if (!scopes.includes(scope) && !scopes.includes('*')) {
        throw new OAuthError('invalid_scope', 'Scope must be within the scopes of the key')
      }
    }
    const leftSeconds = Math.max(1, Math.round((expiresMs - clock()) / 1000))
    const lifetimeSeconds = Math.min(accessTokens.lifetimeSeconds, leftSeconds)
    const [userId, role] = [principal.id as string, principal.role as string]
    const subject = { userId, sessionId: keyId, role, clientId: keyId, lifetimeSeconds }
    const token = await accessTokens.issue(subject)
    audit('login.succeeded', { user_id: userId, key_id: keyId, ip, method: 'client_credentials' })
    return {
      access_token: token,
      token_type: 'Bearer',
      expires_in: lifetimeSeconds,
      scope: scopes.join(' '),
    }
  }
}

function revokeRoute(options: OAuthRoutesOptions): Route {
  const revoke = createRevocation(options)
  return route({
    method: 'POST',
    path: '/auth/revoke',
    operationId: 'revokeToken',
    summary: 'End what a token stands for',
    description:
      'RFC 7009. An access or refresh token ends its session, an API key itself. Whoever holds the token may do ' +
      'this. A token that is not known, or over, is no error.',
    tag: TAG,
    access: everyone(),
    credentials: 'client',
    errorShape: 'oauth',
    body: formBody(RevocationForm, { token: REFRESH_EXAMPLE }),
    responses: { 200: { description: 'It is good for nothing now' } },
    errors: ['unauthenticated', 'unavailable'],
    noStore: true,
    async handler({ body: form, header, address, reply }) {
      await clientOf(header('authorization'), form, options.apiKeys)
      await revoke(required(form, 'token'), address())
      return reply(200, undefined)
    },
  })
}

function createRevocation({ store, accessTokens, refreshTokens, apiKeys, audit }: OAuthRoutesOptions) {
  async function endSessionOf(sessionId: string, ip: string): Promise<void> {
    const ended = await endSession(store, sessionId)
    if (ended !== undefined) audit('token.revoked', { user_id: ended.user_id, session_id: sessionId, ip })
  }
  return async (token: string, ip: string): Promise<void> => {
    if (token.startsWith(REFRESH_TOKEN_PREFIX)) {
      // Spent ones too: a spent one that is used ends the session as well.
      const claims = refreshTokens.read(token)
      if (claims !== undefined) await endSessionOf(claims.sessionId, ip)
    } else if (token.startsWith(API_KEY_PREFIX)) {
      const key = await findKey(token, apiKeys)
      if (key !== undefined && (await apiKeys.revoke(key.keyId))) {
        audit('key.revoked', { user_id: key.principal.id ?? undefined, key_id: key.keyId, ip })
      }
    } else {
      // One that is over may have been found in an old log: it ends nothing.
      const claims = await claimsOf(token, accessTokens)
      if (claims === undefined) return
      if (claims.clientId !== undefined) {
        throw new OAuthError('unsupported_token_type', 'A token of an API key ends with the key: revoke that')
      }
      await endSessionOf(claims.sessionId, ip)
    }
  }
}

function introspectRoute(options: OAuthRoutesOptions): Route {
  const introspect = createIntrospection(options)
  return route({
    method: 'POST',
    path: '/auth/introspect',
    operationId: 'introspectToken',
    summary: 'Whether a token or key is good, and whose it is',
    description: 'RFC 7662. For administrators, and for their keys with the scope `*`.',
    tag: TAG,
    access: ADMINISTRATORS,
    scope: EVERY_SCOPE,
    errorShape: 'oauth',
    body: formBody(TokenForm, { token: REFRESH_EXAMPLE }),
    responses: {
      200: json('What there is to know', Introspection, { example: { active: false } }),
    },
    noStore: true,
    handler: ({ body: form }) => introspect(required(form, 'token')),
  })
}

function required(form: Form, name: string): string {
  const value = form.get(name)
  if (value === undefined) throw new OAuthError('invalid_request', `Parameter ${name} is missing`)
  return value
}

/** A key acts for its owner within its scopes: the rights of a session would be more. */
function refuseKey(key: KnownKey | undefined): void {
  if (key !== undefined) {
    throw new OAuthError('unauthorized_client', 'An API key may use the grant type client_credentials only')
  }
}

/** What proves nobody is `invalid_grant` here, and no 401: that would be about the client (RFC 6749, 5.2). */
async function asGrant<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof AppError && error.status === 401) {
      throw new OAuthError('invalid_grant', error.message)
    }
    throw error
  }
}
