import { describe, expect, test } from 'bun:test'
import { AppError, errorCodes } from '../../src/core/errors.ts'
import { formBody } from '../../src/http/form.ts'
import { buildDocument } from '../../src/http/openapi.ts'
import { errorBody, problemBody } from '../../src/http/problem.ts'
import { json, route, type JsonSchema, type Route } from '../../src/http/route.ts'
import { everyone, t } from '../../src/sdk.ts'
import { checkExamples, lintDocument } from '../support/document.ts'
import { createExampleRoutes, EXAMPLE_TAGS } from '../support/example-routes.ts'

const build = (routes: Route[] = createExampleRoutes(), publicUrl?: string): any =>
  buildDocument({ routes, version: '1.2.3', publicUrl, tags: EXAMPLE_TAGS })

const document = build()

describe('the document of a served resource', () => {
  test('passes the recommended rules of Redocly without errors or warnings', async () => {
    expect(await lintDocument(document)).toEqual([])
  })

  test('has examples that their schemas accept', () => {
    const { count, invalid } = checkExamples(document)
    expect(invalid).toEqual([])
    expect(count).toBeGreaterThan(40)
  })

  test('is JSON through and through', () => {
    expect(JSON.parse(JSON.stringify(document))).toEqual(document)
  })

  test('describes every documented route and no other', () => {
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods as object).map((method) => `${method} ${path}`),
    )
    expect(operations.toSorted()).toEqual([
      'delete /api/items/{id}',
      'get /',
      'get /api/items',
      'get /api/items/{id}',
      'get /auth/me',
      'get /health/live',
      'get /health/ready',
      'patch /api/items/{id}',
      'post /api/items',
      'post /auth/login',
      'post /auth/register',
      'put /api/items/{id}',
    ])
  })

  test('lists the tags in use, in the order given', () => {
    expect(document.tags.map((tag: { name: string }) => tag.name)).toEqual(['Items', 'Accounts', 'System'])
  })

  test('says version, licence and OpenAPI 3.1.1', () => {
    expect(document.openapi).toBe('3.1.1')
    expect(document.info).toMatchObject({ version: '1.2.3', license: { name: 'MIT', identifier: 'MIT' } })
  })
})

test.each([
  [undefined, '/'],
  ['', '/'],
  ['https://api.example.org', 'https://api.example.org'],
])('a public URL of %p makes the server %p', (publicUrl, url) => {
  expect(build(undefined, publicUrl).servers).toEqual([{ url }])
})

const statuses = (method: string, path: string) =>
  Object.keys(document.paths[path][method].responses).join(' ')

test.each([
  ['get', '/health/live', '200 406 500'],
  ['get', '/health/ready', '200 406 500 503'],
  ['get', '/', '200 400 401 406 429 500 503'],
  ['get', '/api/items', '200 400 401 406 429 500 503'],
  ['post', '/api/items', '201 400 401 403 406 408 409 413 415 429 500 503'],
  ['get', '/api/items/{id}', '200 400 401 404 406 429 500 503'],
  ['put', '/api/items/{id}', '200 400 401 403 404 406 408 409 413 415 429 500 503'],
  ['patch', '/api/items/{id}', '200 400 401 403 404 406 408 409 413 415 429 500 503'],
  ['delete', '/api/items/{id}', '200 400 401 403 404 406 429 500 503'],
  ['post', '/auth/login', '200 400 401 406 408 413 415 500 503'],
  ['post', '/auth/register', '201 400 403 406 408 409 413 415 500 503'],
  ['get', '/auth/me', '200 400 401 403 406 429 500 503'],
])('%s %s may answer %s', (method, path, expected) => {
  expect(statuses(method, path)).toBe(expected)
})

const BASIC = { basicAuth: [] }
const BEARER = { bearerAuth: [] }
const OAUTH = { oauth2Auth: [] }
const keyOf = (...scopes: string[]) => ({ apiKeyAuth: scopes })

test.each([
  ['everyone', 'get', '/api/items', [{}, BASIC, BEARER, keyOf('items:read'), OAUTH]],
  ['everyone or a role', 'get', '/api/items/{id}', [{}, BASIC, BEARER, OAUTH]],
  ['a function, which may let anyone pass', 'patch', '/api/items/{id}', [{}, BASIC, BEARER, OAUTH]],
  ['whoever signed in', 'post', '/api/items', [BASIC, BEARER, keyOf('items:write'), OAUTH]],
  ['any key too', 'get', '/auth/me', [BASIC, BEARER, keyOf(), OAUTH]],
  ['the owner', 'delete', '/api/items/{id}', [BASIC, BEARER, OAUTH]],
  ['anyone, no credential looked at', 'post', '/auth/login', []],
])('security of a route for %s', (_, method, path, security) => {
  expect(document.paths[path][method].security).toEqual(security)
})

describe('a route for OAuth clients', () => {
  const form = formBody(t.Object({ token: t.String() }, { title: 'TokenForm' }), { token: 'x' })
  const made = build([
    ...createExampleRoutes(),
    route({
      method: 'POST',
      path: '/auth/revoke',
      operationId: 'revoke',
      summary: 'Revoke',
      tag: 'Accounts',
      access: everyone(),
      credentials: 'ignored',
      errorShape: 'oauth',
      body: form,
      responses: { 200: { description: 'Done' } },
      handler: ({ reply }) => reply(200, undefined),
    }),
  ])
  const operation = made.paths['/auth/revoke'].post

  test('has a form for its body, with an example', () => {
    expect(operation.requestBody.content).toEqual({
      'application/x-www-form-urlencoded': {
        schema: { $ref: '#/components/schemas/TokenForm' },
        example: { token: 'x' },
      },
    })
  })

  test('answers every error in the shape of OAuth', () => {
    const failures = Object.entries<{ $ref: string }>(operation.responses).filter(
      ([status]) => status !== '200',
    )
    expect(failures.map(([status]) => status)).toEqual(['400', '406', '408', '413', '415', '500', '503'])
    for (const [, { $ref }] of failures) {
      const { content } = made.components.responses[$ref.split('/').at(-1) as string]
      expect(Object.keys(content)).toEqual(['application/json'])
      expect(content['application/json'].schema).toEqual({ $ref: '#/components/schemas/hipflask.OAuthError' })
    }
  })

  test('passes the rules of Redocly, and its examples their schemas', async () => {
    expect(await lintDocument(made)).toEqual([])
    expect(checkExamples(made).invalid).toEqual([])
  })
})

test('the document offers every way to sign in', () => {
  const { securitySchemes } = document.components
  expect(Object.keys(securitySchemes)).toEqual(['basicAuth', 'bearerAuth', 'apiKeyAuth', 'oauth2Auth'])
  expect(securitySchemes.apiKeyAuth).toMatchObject({ type: 'apiKey', in: 'header', name: 'X-API-Key' })
  // Without a host: it is the server's, by whatever name it was reached.
  expect(securitySchemes.oauth2Auth.flows).toEqual({
    password: { tokenUrl: '/auth/token', refreshUrl: '/auth/token', scopes: {} },
    clientCredentials: { tokenUrl: '/auth/token', scopes: {} },
  })
})

describe('an operation', () => {
  const { get: list, post: create } = document.paths['/api/items']
  const { get: read, patch: update } = document.paths['/api/items/{id}']

  test('has the parameters of its path, described', () => {
    expect(read.parameters).toEqual([
      {
        name: 'id',
        in: 'path',
        required: true,
        description: 'The id of the item',
        schema: { type: 'integer', minimum: 1 },
      },
    ])
  })

  test('has the parameters of its query, required and deprecated as declared', () => {
    expect(list.parameters).toEqual([
      {
        name: 'page',
        in: 'query',
        required: false,
        description: 'From 1',
        schema: { type: 'integer', minimum: 1, maximum: 1000, default: 1 },
      },
      {
        name: 'limit',
        in: 'query',
        required: true,
        deprecated: true,
        schema: { type: 'integer', minimum: 1, maximum: 100 },
      },
    ])
  })

  test('takes a body in each of its media types, application/json first', () => {
    expect(Object.keys(update.requestBody.content)).toEqual([
      'application/json',
      'application/merge-patch+json',
    ])
    expect(update.requestBody.required).toBe(true)
  })

  test('refers to titled schemas, also within items and alternatives', () => {
    expect(create.requestBody.content['application/json'].schema.oneOf).toEqual([
      { $ref: '#/components/schemas/ItemInput' },
      { type: 'array', items: { $ref: '#/components/schemas/ItemInput' }, minItems: 1, maxItems: 1000 },
    ])
    expect(document.components.schemas.ItemList.properties.data.items).toEqual({
      $ref: '#/components/schemas/Item',
    })
  })

  test('names the headers of its answers', () => {
    expect(Object.keys(create.responses[201].headers)).toEqual(['X-Request-Id', 'Location'])
    expect(Object.keys(list.responses[200].headers)).toEqual(['X-Request-Id', 'Link'])
  })

  test('says which codes an error answer has', () => {
    expect(document.paths['/auth/login'].post.responses[401]).toEqual({
      $ref: '#/components/responses/Unauthorized',
      description: '`invalid_credentials`: E-mail or password is wrong',
    })
    const codes = (text: string) => [...text.matchAll(/^- `(\w+)`/gm)].map(([, code]) => code)
    expect(codes(list.responses[401].description)).toEqual([
      'unauthenticated',
      'invalid_credentials',
      'invalid_token',
      'token_expired',
      'token_revoked',
    ])
    expect(codes(list.responses[400].description)).toEqual(['bad_request', 'ambiguous_credentials'])
    expect(codes(create.responses[400].description)).toHaveLength(4)
  })
})

describe('error answers', () => {
  const { responses, schemas } = document.components
  const ERROR = schemas['hipflask.Error'].properties.error
  const PROBLEM = schemas['hipflask.Problem']

  test('carry WWW-Authenticate on 401, Retry-After on 503 and X-Request-Id on all', () => {
    expect(Object.keys(responses.Unauthorized.headers)).toEqual(['X-Request-Id', 'WWW-Authenticate'])
    expect(Object.keys(responses.ServiceUnavailable.headers)).toEqual(['X-Request-Id', 'Retry-After'])
    expect(Object.keys(responses.NotFound.headers)).toEqual(['X-Request-Id'])
  })

  test.each(errorCodes)('%s is described as it is answered', (code) => {
    const error = new AppError(code, { details: [{ field: '/a', message: 'B' }] })
    expect(Object.keys(errorBody(error, 'x').error)).toEqual(ERROR.required)
    expect(Object.keys(ERROR.properties)).toEqual(ERROR.required)
    expect(Object.keys(problemBody(error, 'x')).toSorted()).toEqual(PROBLEM.required.toSorted())
    expect(Object.keys(PROBLEM.properties)).toEqual(PROBLEM.required)
    expect(ERROR.properties.code.enum).toContain(code)
  })
})

const answering = (schema: JsonSchema, more: Partial<Route> = {}): Route => ({
  ...route({
    method: 'GET',
    path: '/a',
    operationId: 'a',
    summary: 'A',
    tag: 'System',
    access: everyone(),
    responses: { 200: { description: 'A', schema } },
    handler: () => ({}),
  }),
  ...more,
})
const b = { path: '/b', operationId: 'b' }

describe('schemas', () => {
  const thing = { title: 'Thing', type: 'object', properties: { a: { type: 'string' } } }

  test('of one title and content are one component', () => {
    const { components } = build([answering(thing), answering(structuredClone(thing), b)])
    expect(components.schemas.Thing).toEqual(thing)
  })

  test('of one title and other content are a TypeError', () => {
    const other = { ...thing, required: ['a'] }
    expect(() => build([answering(thing), answering(other, b)])).toThrow(
      new TypeError('Two schemas have the title Thing'),
    )
  })

  test('with a text for a title stay where they are', () => {
    const schema = { ...thing, title: 'Some thing' }
    const made = build([answering(schema)])
    expect(made.paths['/a'].get.responses[200].content['application/json'].schema).toEqual(schema)
  })

  test('deep within others never clash', () => {
    const within = (address: JsonSchema) => ({ type: 'object', properties: { title: address } })
    const made = build([answering(within(thing)), answering(within({ ...thing, required: ['a'] }), b)])
    expect(Object.keys(made.components.schemas)).not.toContain('Thing')
  })

  test('deep within others are not taken for a component of the same title', () => {
    const inner = { ...thing, required: ['a'] }
    const schema = { type: 'object', properties: { a: inner } }
    const made = build([answering(thing), answering(schema, b)])
    expect(made.paths['/b'].get.responses[200].content['application/json'].schema.properties.a).toEqual(inner)
  })

  test('may have the titles of the error schemas', async () => {
    const made = build([
      answering({ ...thing, title: 'Error' }),
      answering({ ...thing, title: 'Problem' }, b),
    ])
    expect(made.components.schemas.Error.properties).toEqual(thing.properties)
    expect(await lintDocument(made)).toEqual([])
  })

  test('of TypeBox come without the options that are not JSON Schema', () => {
    const schema = t.Object({ a: t.Optional(t.String({ index: true, message: 'No' })) }, { title: 'Boxed' })
    const made = build([answering({}, { responses: { 200: json('A', schema) } })])
    expect(made.components.schemas.Boxed.properties.a).toEqual({ type: 'string' })
  })
})

test('undocumented routes are left out', () => {
  expect(build([answering({}, { undocumented: true })]).paths).toEqual({})
})

test.each([
  ['a method and path', { operationId: 'other' }, 'GET /a is in the route table twice'],
  ['an operationId', { path: '/other' }, 'operationId a is in the route table twice'],
])('two routes of %s are a TypeError', (_, more, message) => {
  expect(() => build([answering({}), answering({}, more)])).toThrow(new TypeError(message))
})

test('a tag without a description is a TypeError', () => {
  expect(() => build([answering({}, { tag: 'Lost' })])).toThrow(new TypeError('Tag Lost has no description'))
})
