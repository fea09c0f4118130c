// The routes of one's own account: register, see it, change it, delete it. They only translate between HTTP and
// own-account.ts.
import { ANY_SCOPE } from '../access/scopes.ts'
import { AppError } from '../core/errors.ts'
import {
  Reply,
  route,
  type AnswerContract,
  type BodyContract,
  type JsonSchema,
  type Route,
} from '../http/route.ts'
import { exampleOf } from '../rest/example.ts'
import type { ResourceDefinition } from '../rest/resource.ts'
import { documentedBody, schemasOf } from '../rest/schemas.ts'
import { everyone, signedIn } from '../sdk.ts'
import { passwordChangeBody } from './bodies.ts'
import { accountOwners, type OwnAccount } from './own-account.ts'
import { ownAccountResource, usersOf } from './users-resource.ts'

export interface AccountRoutesOptions {
  account: OwnAccount
  resources: readonly ResourceDefinition[]
  registration: 'open' | 'closed'
}

const TAG = 'Accounts'
const MERGE_PATCH = 'application/merge-patch+json'

/** POST /auth/register; GET, PATCH and DELETE /auth/me; POST /auth/password. */
export function createAccountRoutes(options: AccountRoutesOptions): Route[] {
  const definition = ownAccountResource(usersOf(options.resources))
  return [
    registerRoute(options, definition),
    readRoute(options, definition),
    changeRoute(options, definition),
    deleteRoute(options),
    passwordRoute(options),
  ]
}

function registerRoute(
  { account, registration }: AccountRoutesOptions,
  definition: ResourceDefinition,
): Route {
  const schema = schemasOf(definition).create
  return route({
    method: 'POST',
    path: '/auth/register',
    operationId: 'register',
    summary: 'Make an account',
    description: 'Answers 403 where registration is closed.',
    tag: TAG,
    access: everyone(),
    credentials: 'ignored',
    body: bodyOf(definition, { ...schema, title: 'Registration' }),
    responses: { 201: accountAnswer(definition, 'The new account') },
    errors: ['validation_failed', 'forbidden', 'conflict', 'rate_limited', 'unavailable'],
    noStore: true,
    handler: ({ body, ...request }) => {
      if (registration === 'closed') throw new AppError('forbidden', { message: 'Registration is closed' })
      return account.register(body, request)
    },
  })
}

function readRoute({ account }: AccountRoutesOptions, definition: ResourceDefinition): Route {
  return route({
    method: 'GET',
    path: '/auth/me',
    operationId: 'getOwnAccount',
    summary: 'Your own account',
    tag: TAG,
    access: signedIn(),
    scope: ANY_SCOPE,
    responses: { 200: accountAnswer(definition, 'Your account') },
    noStore: true,
    handler: ({ principal }) => account.read(principal),
  })
}

function changeRoute({ account }: AccountRoutesOptions, definition: ResourceDefinition): Route {
  return route({
    method: 'PATCH',
    path: '/auth/me',
    operationId: 'changeOwnAccount',
    summary: 'Change your own account',
    description: 'JSON Merge Patch (RFC 7396). A new e-mail needs the current password with it.',
    tag: TAG,
    access: accountOwners,
    body: { ...bodyOf(definition, changeSchema(definition)), mediaTypes: [MERGE_PATCH] },
    responses: { 200: accountAnswer(definition, 'Your account as it is now') },
    errors: ['validation_failed', 'invalid_credentials', 'conflict', 'rate_limited', 'unavailable'],
    noStore: true,
    handler: ({ body, ...request }) => account.change(body, request),
  })
}

function deleteRoute({ account }: AccountRoutesOptions): Route {
  return route({
    method: 'DELETE',
    path: '/auth/me',
    operationId: 'deleteOwnAccount',
    summary: 'Delete your own account',
    description: 'Its sessions and keys end. Its records stay, without an owner.',
    tag: TAG,
    access: accountOwners,
    responses: { 204: { description: 'The account is gone' } },
    errors: ['conflict'],
    noStore: true,
    handler: async (request) => {
      await account.delete(request)
      return new Reply(204, undefined)
    },
  })
}

function passwordRoute({ account }: AccountRoutesOptions): Route {
  return route({
    method: 'POST',
    path: '/auth/password',
    operationId: 'changePassword',
    summary: 'Change your password',
    description: 'Ends all other sessions.',
    tag: TAG,
    access: accountOwners,
    body: passwordChangeBody,
    responses: { 204: { description: 'From now on the new password counts' } },
    errors: ['validation_failed', 'invalid_credentials', 'conflict', 'rate_limited', 'unavailable'],
    noStore: true,
    handler: async ({ body, ...request }) => {
      await account.changePassword(body, request)
      return new Reply(204, undefined)
    },
  })
}

/** Validation is own-account.ts's: a patch can be judged only with the account at hand. */
function bodyOf(definition: ResourceDefinition, schema: JsonSchema): BodyContract<unknown> {
  return { schema: documentedBody(definition, schema), example: exampleOf(schema), parse: (value) => value }
}

function changeSchema(definition: ResourceDefinition): JsonSchema {
  const { properties, ...schema } = schemasOf(definition).patch
  const { password: _, ...changeable } = properties as Record<string, JsonSchema>
  const current = { type: 'string', description: 'Needed with another e-mail' }
  return { ...schema, title: 'AccountPatch', properties: { ...changeable, current_password: current } }
}

/** The fields of a profile are known at run time only. */
function accountAnswer(definition: ResourceDefinition, description: string): AnswerContract<any> {
  const schema = schemasOf(definition).record
  return { description, schema: { ...schema, title: 'Account' }, example: exampleOf(schema) }
}
