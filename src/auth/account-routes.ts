// The routes of one's own account: register, see it, change it. They only translate between HTTP and users.ts.
import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { json, route, type Route } from '../http/route.ts'
import { everyone, signedIn } from '../sdk.ts'
import type { Store } from '../storage/store.ts'
import type { Audit } from './audit.ts'
import { registrationBody } from './bodies.ts'
import { tokenRevoked } from './challenges.ts'
import type { Passwords } from './passwords.ts'
import {
  USER_ROLE,
  UserView,
  createUser,
  emailTaken,
  findByEmail,
  findById,
  userExample,
  viewOf,
} from './users.ts'

export interface AccountRoutesOptions {
  store: Store
  passwords: Passwords
  audit: Audit
  registration: 'open' | 'closed'
  clock: Clock
}

const TAG = 'Accounts'

/** POST /auth/register, GET /auth/me. */
export function createAccountRoutes(options: AccountRoutesOptions): Route[] {
  return [registerRoute(options), ownAccountRoute(options)]
}

function registerRoute({ store, passwords, registration, clock }: AccountRoutesOptions): Route {
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

function ownAccountRoute({ store }: AccountRoutesOptions): Route {
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
      if (user === undefined) throw tokenRevoked()
      return viewOf(user)
    },
  })
}
