// The document and the server that prints it: every operation is called with its example, and answers as it is
// described. support/cases.ts judges the answers of the other black-box tests in the same way.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createConformance, type Conformance, type Exchange, type Operation } from '../support/conformance.ts'
import { startServer, type RunningServer } from '../support/executable.ts'
import { ADMIN, basic, fixtureResources } from '../support/world.ts'

let server: RunningServer
let conformance: Conformance
beforeAll(async () => {
  server = await startServer({
    resources: fixtureResources(),
    env: { HIPFLASK_ADMIN_EMAIL: ADMIN.email, HIPFLASK_ADMIN_PASSWORD: ADMIN.password },
  })
  conformance = createConformance((await (await server.fetch('/swagger/json')).json()) as object)
})
afterAll(() => server.stop())

const credentials = basic(ADMIN.email, ADMIN.password)

/** The ids of what has been created, by resource, and of a session and an identity that are not there. */
const ids = new Map<string, string>([
  ['sessions', '01991f6e-8c00-7000-8000-000000000002'],
  ['me', 'HzrjmXZVGXaoV1XdDJZ9mxDfHrTpLqKXeJ4cE9n2uPk'],
])

/** Parameters that must be given and are not an id. */
const PARAMETERS: Readonly<Record<string, string>> = {
  unit: 'day',
  kind: 'well',
  title: 'text',
  provider: 'auth0',
}

/** An example does not know which records there are to refer to; undefined leaves the property out. */
const REFERENCES: Readonly<Record<string, () => unknown>> = {
  author_id: () => ids.get('authors'),
  folder_id: () => Number(ids.get('folders')),
  parent_id: () => undefined,
  sequel_of: () => undefined,
}

/** By path: what an example can't know of this server. */
const VALUES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '/api/users': { email: 'made@example.com' },
  '/api/users/{id}': { email: 'made@example.com' },
  '/auth/me': { email: ADMIN.email },
}

/** Operations that do not succeed here, and what they answer instead. */
const FAILURES: Readonly<Record<string, number>> = {
  'postArticles.byId.race': 409,
  refreshTokens: 401,
  // Basic has no session.
  logout: 400,
  endSession: 404,
  // The example does not know the password.
  changePassword: 401,
  changeOwnAccount: 401,
  // The last administrator.
  deleteOwnAccount: 409,
  // There is no provider here: see oidc.test.ts.
  beginSignIn: 404,
  endSignIn: 404,
  removeIdentity: 404,
}

function pathOf({ template, node }: Operation): string {
  const resource = template.split('/')[2] ?? ''
  const valueOf = (name: string) => {
    const value = name === 'id' ? ids.get(resource) : PARAMETERS[name]
    if (value === undefined) throw new Error(`There is no value of ${name} for ${template}`)
    return value
  }
  const query = (node.parameters ?? [])
    .filter((parameter) => parameter.in === 'query' && parameter.required === true)
    .map(({ name }) => `${name}=${valueOf(name)}`)
  const path = template.replace(/\{(\w+)\}/g, (_, name: string) => valueOf(name))
  return query.length === 0 ? path : `${path}?${query.join('&')}`
}

function bodyOf({ node, template }: Operation): string | URLSearchParams | undefined {
  const form = node.requestBody?.content['application/x-www-form-urlencoded']
  if (form !== undefined) return new URLSearchParams(form.example as Record<string, string>)
  const content = node.requestBody?.content['application/json']
  if (content === undefined) return undefined
  const example = structuredClone(content.example) as Record<string, unknown>
  for (const name of Object.keys(example)) {
    if (REFERENCES[name] !== undefined) example[name] = REFERENCES[name]()
  }
  return JSON.stringify({ ...example, ...VALUES[template] })
}

/** Where Basic is no e-mail and password but an OAuth client's. */
const isOfClient = ({ template }: Operation) => ['/auth/token', '/auth/revoke'].includes(template)

async function call(operation: Operation, headers: Record<string, string> = {}): Promise<Exchange> {
  const { method } = operation
  const [path, body] = [pathOf(operation), bodyOf(operation)]
  const response = await server.fetch(path, {
    method,
    headers: {
      ...(isOfClient(operation) ? {} : credentials),
      ...(body instanceof URLSearchParams ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body }),
  })
  const exchange = { method, path, status: response.status, headers: response.headers }
  return { ...exchange, body: await response.text() }
}

/** Calls it; fails with the whole answer where that is not as described, or not the expected success. */
async function expectDescribed(operation: Operation, headers?: Record<string, string>): Promise<Exchange> {
  const exchange = await call(operation, headers)
  const { status, body } = exchange
  const { operationId } = operation
  const isExpected = status === FAILURES[operationId] || (status < 300 && !(operationId in FAILURES))
  const faults = conformance.faultsOf(exchange)
  const found = { operationId, headers, isExpected, faults, answer: `${status} ${body}` }
  expect(found).toEqual({ ...found, isExpected: true, faults: [] })
  return exchange
}

/** Before what needs it: accounts, then records, then what is done with them, then their end, the referring first. */
function inOrder(operations: readonly Operation[]): Operation[] {
  const isDelete = (one: Operation) => one.method === 'DELETE'
  const stages: ((one: Operation) => boolean)[] = [
    ({ operationId }) => operationId === 'register',
    ({ operationId }) => operationId.startsWith('create'),
    (one) => !isDelete(one) && !one.operationId.startsWith('restore'),
    (one) => isDelete(one) && one.template.endsWith('/{id}'),
    (one) => !isDelete(one),
    () => true,
  ]
  const stageOf = (operation: Operation) => stages.findIndex((isIn) => isIn(operation))
  return operations
    .map((operation, index) => ({ operation, index: isDelete(operation) ? -index : index }))
    .toSorted((one, other) => stageOf(one.operation) - stageOf(other.operation) || one.index - other.index)
    .map(({ operation }) => operation)
}

test('every documented operation answers as it is described', async () => {
  const called: string[] = []
  for (const operation of inOrder(conformance.operations)) {
    const { operationId, template, method } = operation
    const { body } = await expectDescribed(operation)
    called.push(operationId)
    if (operationId.startsWith('create')) {
      ids.set(template.split('/')[2]!, String((JSON.parse(body) as { id: unknown }).id))
    }
    const types = Object.keys(operation.node.responses['200']?.content ?? {})
    if (method === 'GET') {
      for (const accept of types) {
        const { headers } = await expectDescribed(operation, { accept })
        expect([operationId, headers.get('content-type')?.split(';')[0]]).toEqual([operationId, accept])
      }
    }
    const has = (status: string) => status in operation.node.responses
    if (has('204') && has('200') && method !== 'DELETE' && !(operationId in FAILURES)) {
      const { status } = await expectDescribed(operation, { prefer: 'return=minimal' })
      expect([operationId, status]).toEqual([operationId, 204])
    }
  }
  expect(called.toSorted()).toEqual(conformance.operations.map(({ operationId }) => operationId).toSorted())
  expect(called.length).toBeGreaterThan(80)
}, 30_000)

describe('the judge', () => {
  const item = { id: 1, name: 'Cup', price: 1, in_stock: true, owner_id: null }
  const good: Exchange = {
    method: 'GET',
    path: '/api/items/1?fields=name',
    status: 200,
    headers: new Headers({ 'content-type': 'application/json;charset=utf-8', 'x-request-id': 'x' }),
    body: JSON.stringify(item),
  }
  const json = { 'content-type': 'application/json', 'x-request-id': 'x' }
  const patch = { method: 'PATCH', headers: new Headers({ ...json, etag: '"1"' }) }
  const time = '2026-01-31T12:00:00.000Z'
  const whole = JSON.stringify({ ...item, created_at: time, updated_at: time })
  const error = {
    error: { status_code: 404, code: 'not_found', message: '', details: [], request_id: 'x' },
  }

  test.each<[string, Partial<Exchange>, string[]]>([
    ['a good answer', {}, []],
    ['a good answer to a change', { ...patch, body: whole }, []],
    ['a property too much', { body: '{"nope":1}' }, ['body']],
    ['a property of another type', { body: '{"id":"1"}' }, ['body /id']],
    ['a property too few', { ...patch, body: JSON.stringify(item) }, ['body']],
    ['a header too few', { headers: new Headers({ 'content-type': 'application/json' }) }, ['X-Request-Id']],
    ['no ETag', { ...patch, headers: new Headers(json), body: whole }, ['ETag']],
    ['another status', { status: 206 }, ['206']],
    ['another media type', { headers: new Headers({ ...json, 'content-type': 'text/html' }) }, ['text/html']],
    ['no body', { headers: new Headers({ 'x-request-id': 'x' }), body: '' }, ['content type']],
    ['the wrong error', { status: 404, body: '{"error":"not_found"}' }, ['body /error']],
    ['an undocumented path', { path: '/api/nope', status: 404, body: JSON.stringify(error) }, []],
    ['an undocumented path that is there', { path: '/api/nope' }, ['200']],
    ['an undocumented path with a wrong error', { path: '/api/nope', status: 404, body: '{}' }, ['body']],
    ['an undocumented method that is there', { method: 'PUT', path: '/api/items' }, ['200']],
    ['a page', { path: '/swagger/init.js', headers: new Headers() }, []],
  ])('of %s', (_, change, words) => {
    const faults = conformance.faultsOf({ ...good, ...change })
    expect(faults.length > 0).toBe(words.length > 0)
    for (const word of words) expect(faults.join('\n')).toContain(word)
  })
})
