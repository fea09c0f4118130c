// The routes under /auth: register, sign in, one's own account. They only translate between HTTP and the rest of auth/.
import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { newUuid } from '../core/ids.ts'
import { json, route, type Route } from '../http/route.ts'
import { everyone, signedIn, t } from '../sdk.ts'
import type { Store } from '../storage/store.ts'
import type { AccessTokens } from './access-tokens.ts'
import { loginBody, registrationBody } from './bodies.ts'
import { BEARER_CHALLENGE } from '../http/problem.ts'
import { invalidCredentials, invalidToken } from './challenges.ts'
import type { Passwords } from './passwords.ts'
import {
  USER_ROLE,
  UserView,
  createUser,
  emailTaken,
  findByEmail,
  findById,
  recordLogin,
  userExample,
  viewOf,
} from './users.ts'

export interface AuthRoutesOptions {
  store: Store
  passwords: Passwords
  accessTokens: AccessTokens
  registration: 'open' | 'closed'
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

/** POST /auth/register, POST /auth/login, GET /auth/me. */
export function createAuthRoutes(options: AuthRoutesOptions): Route[] {
  return [registerRoute(options), loginRoute(options), ownAccountRoute(options)]
}

function registerRoute({ store, passwords, registration, clock }: AuthRoutesOptions): Route {
  return route({
    method: 'POST',
    path: '/auth/register',
    operationId: 'register',
    summary: 'Make an account',
    description: 'Answers 403 where registration is closed.',
    tag: TAG,
    access: everyone(),
    credentials: 'ignored',
    body: registrationBody,
    responses: { 201: json('The new account', UserView, { example: userExample }) },
    errors: ['forbidden', 'conflict', 'unavailable'],
    noStore: true,
    async handler({ body: { name, email, password } }) {
      if (registration === 'closed') throw new AppError('forbidden', { message: 'Registration is closed' })
      if ((await findByEmail(store, email)) !== undefined) throw emailTaken()
      const passwordHash = await passwords.hash(password)
      return viewOf(await createUser(store, { name, email, passwordHash, role: USER_ROLE, now: clock() }))
    },
  })
}

function loginRoute({ store, passwords, accessTokens, clock }: AuthRoutesOptions): Route {
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
    async handler({ body: { email, password } }) {
      const user = await findByEmail(store, email)
      // First the password, then the rest: an account that is unknown or disabled takes as long as a wrong password.
      const isRight = await passwords.verify(password, user?.password_hash)
      if (!isRight || user === undefined || !(await recordLogin(store, user, clock()))) {
        throw invalidCredentials(BEARER_CHALLENGE)
      }
      const subject = { userId: user.id, sessionId: newUuid(), role: user.role }
      return {
        access_token: await accessTokens.issue(subject),
        token_type: 'Bearer',
        expires_in: accessTokens.lifetimeSeconds,
      }
    },
  })
}

function ownAccountRoute({ store }: AuthRoutesOptions): Route {
  return route({
    method: 'GET',
    path: '/auth/me',
    operationId: 'getOwnAccount',
    summary: 'Your own account',
    tag: TAG,
    access: signedIn(),
    responses: { 200: json('Your account', UserView, { example: userExample }) },
    noStore: true,
    async handler({ principal }) {
      const user = principal.id === null ? undefined : await findById(store, principal.id)
      // Deleted since the credential was checked.
      if (user === undefined) throw invalidToken()
      return viewOf(user)
    },
  })
}
