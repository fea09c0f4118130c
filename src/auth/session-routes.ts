// The routes that begin, go on with, show and end sessions. They only translate between HTTP and token-pairs.ts and
// sessions.ts.
import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { UUID_PATTERN } from '../core/ids.ts'
import { BEARER_CHALLENGE } from '../http/problem.ts'
import { json, route, type Route } from '../http/route.ts'
import { everyone, signedIn, t } from '../sdk.ts'
import type { Store } from '../storage/store.ts'
import type { Audit } from './audit.ts'
import { REFRESH_EXAMPLE, loginBody, refreshBody } from './bodies.ts'
import { invalidCredentials, tokenRevoked } from './challenges.ts'
import { ownAccountOf, ownUser } from './own-account.ts'
import { endSession, endSessions, findSession, isLiving, livingSessions } from './sessions.ts'
import type { SignIn } from './sign-in.ts'
import type { TokenPairs } from './token-pairs.ts'

export interface SessionRoutesOptions {
  store: Store
  signIn: SignIn
  tokenPairs: TokenPairs
  audit: Audit
  clock: Clock
}

const TAG = 'Accounts'

export const TokenAnswer = t.Object(
  {
    access_token: t.String({ description: 'Sent as `Authorization: Bearer …`' }),
    refresh_token: t.String({ description: 'Good once, for the next pair' }),
    token_type: t.Literal('Bearer'),
    expires_in: t.Integer({ description: 'Seconds that the access token lives' }),
    refresh_expires_in: t.Integer({
      description: 'Seconds until the session is over unless it is refreshed',
    }),
  },
  { title: 'Tokens' },
)
export const TOKEN_EXAMPLE = {
  access_token: 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIwMTk5In0.c2lnbmF0dXJl',
  refresh_token: REFRESH_EXAMPLE,
  token_type: 'Bearer',
  expires_in: 900,
  refresh_expires_in: 2_592_000,
} as const

const SessionView = t.Object(
  {
    id: t.String({ format: 'uuid' }),
    created_at: t.String({ format: 'date-time' }),
    last_used_at: t.String({ format: 'date-time', description: 'When its latest tokens were given' }),
    ip: t.String({ description: 'Where it was begun from' }),
    user_agent: t.Nullable(t.String()),
    current: t.Boolean({ description: 'Whether it is that of the request' }),
  },
  { title: 'Session' },
)
const SESSION_EXAMPLE = {
  id: '01991f6e-8c00-7000-8000-000000000002',
  created_at: '2026-01-31T12:00:00.000Z',
  last_used_at: '2026-01-31T12:15:00.000Z',
  ip: '203.0.113.7',
  user_agent: 'Mozilla/5.0',
  current: true,
}

/** POST /auth/login, /auth/refresh and /auth/logout; GET and DELETE /auth/sessions, DELETE /auth/sessions/:id. */
export function createSessionRoutes(options: SessionRoutesOptions): Route[] {
  return [
    loginRoute(options),
    refreshRoute(options),
    logoutRoute(options),
    listRoute(options),
    endOthersRoute(options),
    endRoute(options),
  ]
}

function loginRoute({ signIn, tokenPairs }: SessionRoutesOptions): Route {
  return route({
    method: 'POST',
    path: '/auth/login',
    operationId: 'login',
    summary: 'Sign in by e-mail and password',
    tag: TAG,
    access: everyone(),
    credentials: 'ignored',
    body: loginBody,
    responses: { 200: json('The tokens of a new session', TokenAnswer, { example: TOKEN_EXAMPLE }) },
    errors: ['invalid_credentials', 'rate_limited', 'unavailable'],
    noStore: true,
    async handler({ body, address, header }) {
      const client = { ip: address(), userAgent: header('user-agent'), method: 'login' } as const
      const user = await signIn({
        ...body,
        method: client.method,
        address: client.ip,
        challenge: BEARER_CHALLENGE,
      })
      const pair = await tokenPairs.begin({ user, ...client })
      if (pair === undefined) throw invalidCredentials(BEARER_CHALLENGE)
      return pair
    },
  })
}

function refreshRoute({ tokenPairs }: SessionRoutesOptions): Route {
  return route({
    method: 'POST',
    path: '/auth/refresh',
    operationId: 'refreshTokens',
    summary: 'Change a refresh token for new tokens',
    description:
      'The old refresh token is spent. One that is spent ends its session, unless it is the one before the latest ' +
      'and comes again within the time of grace: then it gets the same successor.',
    tag: TAG,
    access: everyone(),
    credentials: 'ignored',
    body: refreshBody,
    responses: { 200: json('The next tokens of the session', TokenAnswer, { example: TOKEN_EXAMPLE }) },
    errors: ['invalid_token', 'token_expired', 'unavailable'],
    noStore: true,
    handler: ({ body, address }) => tokenPairs.refresh(body.refresh_token, address()),
  })
}

function logoutRoute({ store, audit }: SessionRoutesOptions): Route {
  return route({
    method: 'POST',
    path: '/auth/logout',
    operationId: 'logout',
    summary: 'End the session of this access token',
    description: 'Its access and refresh tokens are dead at once. 400 by Basic, which has no session.',
    tag: TAG,
    access: signedIn(),
    responses: { 204: { description: 'Ended' } },
    noStore: true,
    async handler({ principal, address, reply }) {
      const userId = ownAccountOf(principal)
      const { session_id: id } = principal
      if (id === null) throw new AppError('bad_request', { message: 'This credential has no session to end' })
      const ended = await endSession(store, id)
      if (ended !== undefined)
        audit('session.ended', { user_id: userId, session_id: id, ip: address(), reason: 'logout' })
      return reply(204, undefined)
    },
  })
}

function listRoute({ store, clock }: SessionRoutesOptions): Route {
  return route({
    method: 'GET',
    path: '/auth/sessions',
    operationId: 'listSessions',
    summary: 'Your sessions, the newest first',
    tag: TAG,
    access: signedIn(),
    responses: {
      200: json(
        'Those that have not been ended and are not over',
        t.Object({ data: t.Array(SessionView) }, { title: 'Sessions' }),
        { example: { data: [SESSION_EXAMPLE] } },
      ),
    },
    noStore: true,
    async handler({ principal }) {
      const user = await ownUser(store, ownAccountOf(principal))
      const sessions = await livingSessions(store, user, clock())
      return {
        data: sessions.map(({ id, created_at, last_used_at, ip, user_agent }) => ({
          id,
          created_at,
          last_used_at,
          ip,
          user_agent,
          current: id === principal.session_id,
        })),
      }
    },
  })
}

function endOthersRoute({ store, audit }: SessionRoutesOptions): Route {
  return route({
    method: 'DELETE',
    path: '/auth/sessions',
    operationId: 'endOtherSessions',
    summary: 'End all your sessions but this one',
    description: 'By Basic, which has no session, it ends all.',
    tag: TAG,
    access: signedIn(),
    responses: { 204: { description: 'Ended' } },
    noStore: true,
    async handler({ principal, address, reply }) {
      const userId = ownAccountOf(principal)
      // Its own session was ended, or the account deleted, since the credential was checked.
      if (!(await endSessions(store, userId, principal.session_id))) throw tokenRevoked()
      audit('sessions.ended', {
        user_id: userId,
        session_id: principal.session_id ?? undefined,
        ip: address(),
      })
      return reply(204, undefined)
    },
  })
}

function endRoute({ store, audit, clock }: SessionRoutesOptions): Route {
  return route({
    method: 'DELETE',
    path: '/auth/sessions/:id',
    operationId: 'endSession',
    summary: 'End one of your sessions, also this one',
    tag: TAG,
    access: signedIn(),
    params: { id: { type: 'string', format: 'uuid' } },
    responses: { 204: { description: 'Ended' } },
    noStore: true,
    async handler({ params: { id }, principal, address, reply }) {
      const user = await ownUser(store, ownAccountOf(principal))
      const session = UUID_PATTERN.test(id) ? await findSession(store, id) : undefined
      const isTheirs = session !== undefined && isLiving(session, user, clock())
      if (!isTheirs || (await endSession(store, id)) === undefined) throw new AppError('not_found')
      audit('session.ended', { user_id: user.id, session_id: id, ip: address(), reason: 'ended by its user' })
      return reply(204, undefined)
    },
  })
}
