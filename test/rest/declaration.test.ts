import { describe, expect, test } from 'bun:test'
import { checkDeclarations } from '../../src/rest/declaration.ts'
import { defineFrom } from '../../src/rest/resource.ts'
import { defineResource, everyone, owner, route, t } from '../../src/sdk.ts'

const schema = t.Object({ name: t.String({ search: true }), price: t.Number() })

/** The problems of a declaration with these options, as a JavaScript file could write them. */
function problemsOf(options: object): string[] {
  const resource = defineResource({ name: 'things', schema, ...options } as never)
  return checkDeclarations([{ file: 'things.ts', resource }])
}

const handler = () => ({})
const get = (more: object) => ({
  kind: 'route',
  options: { method: 'GET', path: '/a', access: everyone(), handler, ...more },
})
const routes = (...more: object[]) => ({ routes: more.map(get) })

describe('a declaration', () => {
  test('may have every option', () => {
    expect(
      problemsOf({
        owned: true,
        softDelete: true,
        requireIfMatch: true,
        validate: () => [],
        hooks: {
          beforeCreate: handler,
          afterCreate: handler,
          beforeUpdate: handler,
          afterUpdate: handler,
          beforeDelete: handler,
          afterDelete: undefined,
        },
        compute: { total: { schema: t.Optional(t.Number()), from: handler } },
        routes: [
          route({ method: 'POST', path: '/:id/x/publish', access: owner(), handler }),
          route({
            method: 'GET',
            path: '/:id/x/publish',
            access: owner(),
            responses: { 200: 'record', 204: null, 303: null },
            handler: () => ({}),
          }),
          route({
            method: 'PUT',
            path: '/a/:b/c',
            access: everyone(),
            query: t.Object({ a: t.Integer() }),
            body: t.Array(t.String()),
            handler,
          }),
          route({ method: 'PUT', path: '/a/:b/c/d', access: everyone(), handler }),
        ],
      }),
    ).toEqual([])
  })

  const without = t.Object({ name: t.String({ hidden: true }), price: t.Number({ readOnly: true }) })
  test.each<[string, object, string[]]>([
    ['hooks that are no object', { hooks: [] }, ["option 'hooks' must be an object of functions"]],
    [
      'an unknown hook',
      { hooks: { beforeSave: handler } },
      [
        "hooks: hook 'beforeSave' is not known; they are beforeCreate, afterCreate, beforeUpdate, afterUpdate, beforeDelete, afterDelete",
      ],
    ],
    [
      'a hook that is no function',
      { hooks: { beforeCreate: true } },
      ['hooks: beforeCreate must be a function'],
    ],
    [
      'validate that is no function',
      { validate: [] },
      ["option 'validate' must be a function of the record"],
    ],
    ['softDelete that is no flag', { softDelete: 'yes' }, ["option 'softDelete' must be true or false"]],
    [
      'requireIfMatch that is no flag',
      { requireIfMatch: 1 },
      ["option 'requireIfMatch' must be true or false"],
    ],
    [
      'fields that nothing can set',
      { schema: without },
      [
        "field 'name': no body can set a 'hidden' field; make it t.Optional, give it a 'default', or set it in the hook beforeCreate",
        "field 'price': no body can set a 'readOnly' field; make it t.Optional, give it a 'default', or set it in the hook beforeCreate",
      ],
    ],
    ['fields that a hook sets', { schema: without, hooks: { beforeCreate: handler } }, []],
    [
      'search in a hidden field',
      { schema: t.Object({ a: t.Optional(t.String({ hidden: true, search: true })) }) },
      ["field 'a': a 'hidden' field can't be searched; take 'search' away"],
    ],
    [
      'search in a writeOnly field',
      { schema: t.Object({ a: t.String({ writeOnly: true, search: true }) }) },
      ["field 'a': a 'writeOnly' field can't be searched; take 'search' away"],
    ],
    [
      'search in a number',
      { schema: t.Object({ a: t.Number({ search: true } as never) }) },
      [
        "Field /a: option 'search' is not known; the options are title, description, examples, deprecated, default, readOnly, writeOnly, message, hidden, unique, index, minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf",
      ],
    ],
    [
      'compute that is no object',
      { compute: [] },
      ["option 'compute' must be an object of { schema, from }"],
    ],
    [
      'a computed field without from',
      { compute: { a: { schema: t.Number() } } },
      ["compute: field 'a': it must be { schema, from }, and from a function of the record"],
    ],
    [
      'a computed field without schema',
      { compute: { a: { from: handler } } },
      ["compute: field 'a': Schema: is not a schema; use t.String and its kin"],
    ],
    [
      'a computed field of a taken name',
      { compute: { price: { schema: t.Number(), from: handler } } },
      ["compute: field 'price': the schema has a field of this name; choose another"],
    ],
    [
      'a computed field of a reserved name',
      { compute: { limit: { schema: t.Number(), from: handler } } },
      ["compute: field 'limit': the name is reserved; choose another"],
    ],
    [
      'a computed field that is stored',
      { compute: { a: { schema: t.Number({ index: true }), from: handler } } },
      ["compute: field 'a': it is not stored, so 'index' means nothing"],
    ],
    [
      'an unknown option of a computed field',
      { compute: { a: { schema: t.Number(), from: handler, to: 1 } } },
      ["compute: field 'a': 'to' is not known; it has schema and from"],
    ],
    [
      'an unsupported kind of a computed field',
      { compute: { a: { schema: { '~kind': 'Date' }, from: handler } } },
      ["compute: field 'a': Schema: kind 'Date' is not supported; use t.String({ format: 'date-time' })"],
    ],
  ])('with %s', (_, options, problems) => {
    expect(problemsOf(options)).toEqual(problems.map((problem) => `things.ts: ${problem}`))
  })
})

describe('the routes of a declaration', () => {
  const path =
    "option 'path' must be segments such as '/:id/publish' or '/latest', of a–z, 0–9, _ and -, and begin with a letter or ':id'"
  test.each<[string, object, string[]]>([
    ['that are no list', { routes: {} }, ["option 'routes' must be a list of route({ … })"]],
    [
      'more than 100',
      routes(...Array.from({ length: 101 }, (_, at) => ({ path: `/a${at}` }))),
      ['a resource has at most 100 routes'],
    ],
    ['just 100', routes(...Array.from({ length: 100 }, (_, at) => ({ path: `/a${at}` }))), []],
    [
      'that route() did not make',
      { routes: [{ method: 'GET' }] },
      ['routes: number 1 is not a route; write route({ … })'],
    ],
    [
      'an unknown option',
      routes({ handle: 1 }),
      [
        "route GET /a: option 'handle' is not known; the options are method, path, access, summary, description, query, body, responses, handler",
      ],
    ],
    [
      'a method that is none',
      routes({ method: 'HEAD' }),
      ["route HEAD /a: option 'method' must be one of GET, POST, PUT, PATCH, DELETE"],
    ],
    ...['', '/', 'a', '/A', '/:slug', '/1', '/a/', '/a//b', '/a/:', '/a?b', '/a/*', '/deadbeef-a'].map(
      (one): [string, object, string[]] => [
        `the path ${one}`,
        routes({ path: one }),
        [`route GET ${one}: ${path}`],
      ],
    ),
    [
      'a parameter twice',
      routes({ path: '/a/:b/:b' }),
      ["route GET /a/:b/:b: option 'path' has a parameter twice"],
    ],
    [
      'the id elsewhere',
      routes({ path: '/a/:id' }),
      ["route GET /a/:id: option 'path' may have ':id', the record's, only at its beginning"],
    ],
    [
      'no access',
      routes({ access: undefined }),
      ["route GET /a: option 'access' is missing; everyone() lets anybody in"],
    ],
    [
      'a rule that is not called',
      routes({ access: everyone }),
      ['route GET /a: access: everyone must be called: everyone()'],
    ],
    [
      'owner() of nothing',
      { owned: true, ...routes({ access: owner() }) },
      ["route GET /a: access: owner() needs a record, so the path must begin with '/:id'"],
    ],
    [
      'owner() of what nobody owns',
      routes({ path: '/:id/a', access: owner() }),
      ["route GET /:id/a: access: owner() needs the option 'owned: true'"],
    ],
    ['no handler', routes({ handler: undefined }), ["route GET /a: option 'handler' must be a function"]],
    ['a body of a GET', routes({ body: t.Object({}) }), ['route GET /a: a GET request has no body']],
    [
      'a query of objects',
      routes({ query: t.Object({ a: t.Object({}) }) }),
      ['route GET /a: query: Query parameter a must be text, a number, a whole number or a boolean'],
    ],
    [
      'an unsupported body',
      routes({ method: 'POST', body: { '~kind': 'Date' } }),
      ["route POST /a: body: Schema: kind 'Date' is not supported; use t.String({ format: 'date-time' })"],
    ],
    [
      'no responses',
      routes({ responses: {} }),
      ["route GET /a: option 'responses' must be an object of schemas by status"],
    ],
    [
      'a response that is an error',
      routes({ responses: { 400: null } }),
      ['route GET /a: responses: 400 must be a status from 200 to 399; errors are made by problem()'],
    ],
    [
      'a body of 204',
      routes({ responses: { 204: 'record' } }),
      ['route GET /a: responses: 204 has no body, so it must be null'],
    ],
    [
      'the place of a route that every resource has',
      routes({ path: '/:id' }),
      ['route GET /:id: every resource has this route; choose another path'],
    ],
    [
      'the place of restore',
      { softDelete: true, ...routes({ method: 'POST', path: '/:id/restore' }) },
      ['route POST /:id/restore: every resource has this route; choose another path'],
    ],
    ['restore where there is none', routes({ method: 'POST', path: '/:id/restore' }), []],
    [
      'one place twice',
      routes({ path: '/a/:b' }, { path: '/a/:b' }),
      ['route GET /a/:b: it is declared twice'],
    ],
    ['one place for two methods', routes({ path: '/a/:b' }, { path: '/a/:b', method: 'POST' }), []],
    [
      'two paths that a request may mean alike',
      routes({ path: '/:id/b' }, { path: '/a/:c', method: 'POST' }),
      ["route POST /a/:c: a request may mean this path and '/:id/b' alike; choose another"],
    ],
    [
      'a path that restore may mean',
      { softDelete: true, ...routes({ path: '/a/:c' }) },
      ["route GET /a/:c: a request may mean this path and '/:id/restore' alike; choose another"],
    ],
    ['a path and a more definite one', routes({ path: '/:id/:b' }, { path: '/a/:b' }, { path: '/a/b' }), []],
    [
      'two names of one parameter',
      routes({ path: '/a/:b' }, { path: '/a/:c/d' }),
      ["route GET /a/:c/d: another route calls the parameter ':c' ':b'; choose one name"],
    ],
  ])('with %s', (_, options, problems) => {
    expect(problemsOf(options)).toEqual(problems.map((problem) => `things.ts: ${problem}`))
  })
})

describe('a definition', () => {
  test('has what the options say', () => {
    const definition = defineFrom(
      defineResource({ name: 'things', schema, softDelete: true, requireIfMatch: true }),
    )
    expect(definition).toMatchObject({ softDelete: true, requireIfMatch: true, search: ['name'] })
    expect(definition.table).toMatchObject({ softDelete: true, search: ['name'] })
    expect(definition.table.columns.at(-1)).toEqual({ name: 'deleted_at', kind: 'text', nullable: true })
  })

  test('has nothing of what they do not say', () => {
    const definition = defineFrom(defineResource({ name: 'things', schema: t.Object({ name: t.String() }) }))
    expect(definition).toMatchObject({
      softDelete: false,
      requireIfMatch: false,
      search: [],
      hooks: {},
      computed: [],
    })
    expect(definition.table).not.toHaveProperty('softDelete')
    expect(definition.table).not.toHaveProperty('search')
  })
})
