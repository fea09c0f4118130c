// The types of hooks, `validate`, `compute` and routes, as an editor shows them to whoever writes a resource file.
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { faultyLines, foundMistakes } from '../support/type-check.ts'
import { run } from './run.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hipflask-types-'))
  await run('init', { cwd: folder })
})
afterAll(() => rm(folder, { recursive: true }))

const PREAMBLE = `import { defineResource, defineUsers, everyone, owner, problem, route, t, type RecordOf } from 'hipflask'
const schema = t.Object({
  price: t.Number({ minimum: 0 }),
  kind: t.Enum(['memo', 'task'], { default: 'memo' }),
  note: t.Nullable(t.String()),
  text: t.Optional(t.String({ search: true })),
  slug: t.String({ readOnly: true }),
  place: t.Object({ city: t.String() }),
})
const things = { name: 'things', schema } as const
const at = { method: 'GET', path: '/:id/x', access: everyone() } as const
const number = t.Object({ a: t.Number() })
export { defineUsers, owner, problem, route, number, at, things, type RecordOf }`

const RIGHT = `${PREAMBLE}
const items = defineResource({
  name: 'items', schema, owned: true, id: 'uuid', softDelete: true, requireIfMatch: true,
  validate: (item) => item.price > 5 && item.kind === 'memo' ? [{ field: 'price', message: 'x' }, { field: '/place/city', message: '' }] : [],
  hooks: {
    beforeCreate: (item, { principal, previous, store }) => {
      const none: undefined = previous
      if (principal.id === null) throw problem(409, 'x', [{ field: 'price', message: '' }])
      item.slug = item.kind.toUpperCase()
      item.note = item.owner_id
      return store.items.list({ where: { price: 4 }, sort: '-price', limit: 3 }).then(() => none)
    },
    afterCreate: async (item, { store }) => { await store.logs.create({ text: item.id.toUpperCase() }) },
    beforeUpdate: async (item, { previous }) => ({ ...item, price: previous.price + 1, kind: 'memo' }),
    beforeDelete: (item) => { if (item.price > 3) throw problem(409, 'no') },
    afterDelete: () => 5,
  },
  compute: {
    with_tax: { schema: t.Number(), from: (item) => item.price * 1.25 },
    label: { schema: t.Optional(t.Enum(['a', 'b'])), from: (item) => (item.price > 1 ? 'a' : undefined) },
    fixed: { schema: t.Enum(['p', 'q']), from: () => 'p' },
    deep: { schema: t.Object({ a: t.Array(t.Nullable(t.String())), k: t.Enum(['p']) }), from: (item) => ({ a: [item.note, item.slug], k: 'p' }) },
  },
  routes: [
    route({ method: 'POST', path: '/:id/publish', access: owner(), handler: ({ update, params, record }) => update({ kind: params.id, price: record.price }) }),
    route({ method: 'GET', path: '/latest', access: everyone(), query: t.Object({ n: t.Integer() }), responses: { 200: t.Object({ kind: t.Enum(['memo', 'task']), n: t.Integer() }) },
      handler: ({ query }) => ({ kind: 'memo', n: query.n }) }),
    route({ method: 'POST', path: '/x/:y/z', access: everyone(), body: t.Object({ a: t.Array(t.String()) }), responses: { 201: t.Object({ b: t.Array(t.String()) }), 202: null, 303: null },
      handler: async ({ body, params, reply, url }) => params.y === 'x' ? reply(202, undefined, { location: url('items', 5) }) : { b: body.a } }),
    route({ method: 'DELETE', path: '/all', access: everyone(), responses: { 204: null }, handler: async ({ store, body }) => { const none: undefined = body; await store.items.delete(1); console.log(none) } }),
    route({ method: 'GET', path: '/one', access: everyone(), responses: { 200: 'record' }, handler: async ({ store }) => { const found = await store.items.get(1); if (!found) throw problem(404, ''); return found } }),
    route({ method: 'GET', path: '/fixed', access: everyone(), responses: { 200: t.Object({ kind: t.Enum(['memo']) }) }, handler: () => ({ kind: 'memo' }) }),
  ],
})
export const first = defineResource({ ...things, hooks: { beforeCreate: () => ({ price: 3, kind: 'task', note: null, slug: '', place: { city: '' } }) } })
export const second = defineResource({ ...things, hooks: { beforeCreate: (item) => { item.price = 1; return item } }, validate: async () => {} })
export const item: RecordOf<typeof items> = null!
const accounts = defineUsers({ profile: t.Object({ age: t.Optional(t.Integer()), plan: t.Enum(['free', 'paid']) }) })
export const user: RecordOf<typeof accounts> = null!
export const own: [string, string, string | undefined, boolean, number | undefined, 'free' | 'paid'] = [user.id, user.role, user.email, user.disabled, user.age, user.plan]
export const parts: [string, number, 'memo' | 'task', string | null] = [item.id, item.price, item.kind, item.owner_id]
`

const declare = (more: string) => `defineResource({ ...things, ${more} })`
const hook = (code: string) => declare(`hooks: { ${code} }`)
const compute = (code: string) => declare(`compute: { a: { ${code} } }`)
const get = (more: string) => `route({ ...at, ${more} })`

/** One mistake a line. */
const MISTAKES: [string, string][] = [
  ['unknown hook', hook('beforeSave: () => {}')],
  ['unknown field in a hook', hook('beforeCreate: (item) => { item.nope }')],
  ['wrong type set in a hook', hook("beforeCreate: (item) => { item.price = 'x' }")],
  ['an id before there is one', hook('beforeCreate: (item) => { console.log(item.id) }')],
  ['an id that is set', hook('beforeUpdate: (item) => { item.id = 4 }')],
  ['an owner of what nobody owns', hook('beforeUpdate: (item) => { console.log(item.owner_id) }')],
  ['a record before the first', hook('beforeCreate: (item, { previous }) => { previous.price }')],
  ['wrong type given by a hook', hook("beforeUpdate: (item) => ({ ...item, price: 'x' })")],
  ['no value of the enum given by a hook', hook("beforeUpdate: (item) => ({ ...item, kind: 'letter' })")],
  ['too little given by a hook', hook('beforeCreate: () => ({ price: 3 })')],
  ['unknown field of the caller', hook('afterDelete: (item, { principal }) => principal.name')],
  ['unknown method of a store', hook('afterDelete: (item, { store }) => store.logs.add({})')],
  ['unknown option of a list', hook('afterDelete: (item, { store }) => store.logs.list({ order: 1 })')],
  ['unknown status of a problem', "problem(200, 'x')"],
  ['unknown field in validate', declare("validate: () => [{ field: 'prise', message: '' }]")],
  ['no message in validate', declare("validate: () => [{ field: 'price' }]")],
  ['wrong type computed', compute('schema: t.Number(), from: (item) => item.kind')],
  ['no value of the enum computed', compute("schema: t.Enum(['p']), from: () => 'q'")],
  ['unknown field in compute', compute('schema: t.Number(), from: (item) => item.nope')],
  ['nothing computed', compute('schema: t.Number(), from: () => undefined')],
  ['a promise of what is computed', compute('schema: t.Number(), from: async () => 5')],
  ['nothing to compute from', compute('schema: t.Number()')],
  ['a route that is none', declare("routes: [{ method: 'GET' }]")],
  ['wrong type answered', get("responses: { 200: number }, handler: () => ({ a: 'x' })")],
  ['too little answered', get('responses: { 200: number }, handler: () => ({})')],
  ['nothing answered', get('responses: { 200: number }, handler: () => undefined')],
  ['undeclared status', get('responses: { 200: number }, handler: ({ reply }) => reply(201, { a: 1 })')],
  [
    'wrong body of a status',
    get("responses: { 200: number, 202: number }, handler: ({ reply }) => reply(202, { a: '' })"),
  ],
  ['unknown parameter of the path', get('handler: ({ params }) => params.nope')],
  ['undeclared query', get('handler: ({ query }) => query.x')],
  ['undeclared body', get('handler: ({ body }) => body.x')],
  ['wrong type of the body', get("method: 'POST', body: number, handler: ({ body }) => body.a.length")],
  ['no record in the path', "route({ ...at, path: '/x', handler: ({ record }) => record })"],
  ['no access', "route({ method: 'GET', path: '/x', handler: () => ({}) })"],
  ['no slash', "route({ ...at, path: 'x', handler: () => ({}) })"],
  ['unknown method', get("method: 'HEAD', handler: () => ({})")],
  ['search in a number', 't.Number({ search: true })'],
  ['a profile that is no object', 'defineUsers({ profile: t.String() })'],
  ['unknown option of accounts', 'defineUsers({ profile: t.Object({}), roles: [] })'],
  ['no profile', 'defineUsers({})'],
]

test('an editor without node_modules takes hooks, validate, compute and routes that are right', async () => {
  expect(await faultyLines(folder, RIGHT)).toEqual([])
})

test('an editor without node_modules finds every mistake in them', async () => {
  expect(await foundMistakes(folder, PREAMBLE, MISTAKES)).toEqual(MISTAKES.map(([name]) => name))
})
