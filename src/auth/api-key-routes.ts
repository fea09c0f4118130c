// The routes of one's own API keys. They only translate between HTTP and api-keys.ts. A key can't make or end keys: they
// name no scope, so that a bounded caller is nobody here.
import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { json, route, type Route } from '../http/route.ts'
import { idReader } from '../rest/record-id.ts'
import { signedIn, t } from '../sdk.ts'
import type { Audit } from './audit.ts'
import { keyRequestBody, keyRequestExample, keyToMake } from './api-key-request.ts'
import { KEYS_MAX, viewOfKey, type ApiKeys } from './api-keys.ts'
import { prefixOf } from './api-key-text.ts'

export interface ApiKeyRoutesOptions {
  apiKeys: ApiKeys
  audit: Audit
  clock: Clock
  /** Names of the declared resources. */
  resources: readonly string[]
}

const TAG = 'API keys'
const idOf = idReader({ id: 'uuid' })

/** GET and POST /auth/keys, DELETE /auth/keys/:id. */
export function createApiKeyRoutes(options: ApiKeyRoutesOptions): Route[] {
  return [listRoute(options), createRoute(options), revokeRoute(options)]
}

const KeyView = {
  id: t.String({ format: 'uuid' }),
  name: t.String(),
  prefix: t.String({ description: 'What the key begins with, which is no secret' }),
  scopes: t.Array(t.String()),
  expires_at: t.Nullable(t.String({ format: 'date-time' })),
  created_at: t.String({ format: 'date-time' }),
}
const ListedKey = t.Object(
  { ...KeyView, last_used_at: t.Nullable(t.String({ format: 'date-time', description: 'To the minute' })) },
  { title: 'ApiKey' },
)
const KeyList = t.Object({ data: t.Array(ListedKey, { maxItems: KEYS_MAX }) }, { title: 'ApiKeyList' })
const NewKey = t.Object(
  { ...KeyView, key: t.String({ description: 'The key itself, shown this once' }) },
  { title: 'NewApiKey' },
)

function listRoute({ apiKeys, resources }: ApiKeyRoutesOptions): Route {
  return route({
    method: 'GET',
    path: '/auth/keys',
    operationId: 'listKeys',
    summary: 'Your API keys',
    tag: TAG,
    access: signedIn(),
    responses: {
      200: json('All of them, the oldest first', KeyList, {
        example: { data: [{ ...exampleOf(resources), last_used_at: null }] },
      }),
    },
    noStore: true,
    async handler({ principal }) {
      const keys = await apiKeys.list(principal.id as string)
      return { data: keys.map((key) => ({ ...viewOfKey(key), last_used_at: key.last_used_at })) }
    },
  })
}

function createRoute({ apiKeys, audit, clock, resources }: ApiKeyRoutesOptions): Route {
  const example = exampleOf(resources)
  return route({
    method: 'POST',
    path: '/auth/keys',
    operationId: 'createKey',
    summary: 'Make an API key',
    description:
      'It acts for you, within its scopes: `<resource>:read` and `<resource>:write`, or `*` for all that you may do. ' +
      '`metrics:read` and the scopes of `users` are for administrators.',
    tag: TAG,
    access: signedIn(),
    body: keyRequestBody(resources),
    responses: {
      201: json('The key, shown this once', NewKey, {
        example: { ...example, key: `${example.prefix}_…` },
      }),
    },
    errors: ['forbidden', 'conflict'],
    noStore: true,
    async handler({ body, principal, address, reply }) {
      const userId = principal.id as string
      const wanted = keyToMake(body, { id: userId, role: principal.role }, clock())
      const { row, text } = await apiKeys.create(wanted)
      audit('key.created', { user_id: userId, key_id: row.id, ip: address() })
      return reply(201, { ...viewOfKey(row), key: text })
    },
  })
}

function revokeRoute({ apiKeys, audit }: ApiKeyRoutesOptions): Route {
  return route({
    method: 'DELETE',
    path: '/auth/keys/:id',
    operationId: 'revokeKey',
    summary: 'End an API key at once',
    tag: TAG,
    access: signedIn(),
    params: { id: { type: 'string', format: 'uuid' } },
    responses: { 204: { description: 'It is worth nothing any more' } },
    errors: ['validation_failed'],
    noStore: true,
    async handler({ params, principal, address, reply }) {
      const id = idOf(params.id) as string
      const userId = principal.id as string
      if (!(await apiKeys.revoke(id, userId))) throw new AppError('not_found')
      audit('key.revoked', { user_id: userId, key_id: id, ip: address() })
      return reply(204, undefined)
    },
  })
}

function exampleOf(resources: readonly string[]) {
  const id = '01991f6e-8c00-7000-8000-000000000003'
  return {
    id,
    ...keyRequestExample(resources),
    prefix: prefixOf(id),
    expires_at: null,
    created_at: '2026-01-31T12:00:00.000Z',
  }
}
