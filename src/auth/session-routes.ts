// The routes that begin, go on with and end sessions. They only translate between HTTP and sessions.ts.
import type { Clock } from '../core/clock.ts'
import { BEARER_CHALLENGE } from '../http/problem.ts'
import { json, route, type Route } from '../http/route.ts'
import { everyone, t } from '../sdk.ts'
import type { Store } from '../storage/store.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { Audit } from './audit.ts'
import { loginBody } from './bodies.ts'
import { invalidCredentials } from './challenges.ts'
import { startSession } from './sessions.ts'
import type { SignIn } from './sign-in.ts'

export interface SessionRoutesOptions {
  store: Store
  signIn: SignIn
  accessTokens: AccessTokens
  audit: Audit
  clock: Clock
}

const TAG = 'Accounts'

const TokenAnswer = t.Object(
  {
    access_token: t.String({ description: 'Sent as `Authorization: Bearer …`' }),
    token_type: t.Literal('Bearer'),
    expires_in: t.Integer({ description: 'Seconds that the access token lives' }),
  },
  { title: 'Tokens' },
)
const TOKEN_EXAMPLE = {
  access_token: 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIwMTk5In0.c2lnbmF0dXJl',
  token_type: 'Bearer',
  expires_in: 900,
}

/** POST /auth/login. */
export function createSessionRoutes(options: SessionRoutesOptions): Route[] {
  return [loginRoute(options)]
}

function loginRoute({ store, signIn, accessTokens, audit, clock }: SessionRoutesOptions): Route {
  return route({
    method: 'POST',
    path: '/auth/login',
    operationId: 'login',
    summary: 'Sign in by e-mail and password',
    tag: TAG,
    access: everyone(),
    credentials: 'ignored',
    body: loginBody,
    responses: { 200: json('An access token', TokenAnswer, { example: TOKEN_EXAMPLE }) },
    errors: ['invalid_credentials', 'unavailable'],
    noStore: true,
    async handler({ body, address, header }) {
      const client = { ip: address(), userAgent: header('user-agent') }
      const user = await signIn({ ...body, method: 'login', address: client.ip, challenge: BEARER_CHALLENGE })
      const lifetime = { idleMs: 2_592_000_000, totalMs: 7_776_000_000, now: clock() }
      const session = await startSession(store, { user, ...client, refreshHashOf: () => '', ...lifetime })
      if (session === undefined) throw invalidCredentials(BEARER_CHALLENGE)
      audit('login.succeeded', { user_id: user.id, session_id: session.id, ip: client.ip, method: 'login' })
      return {
        access_token: await accessTokens.issue({ userId: user.id, sessionId: session.id, role: user.role }),
        token_type: 'Bearer',
        expires_in: accessTokens.lifetimeSeconds,
      }
    },
  })
}
