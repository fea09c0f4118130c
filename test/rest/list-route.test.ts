// GET of a resource, from query to answer, on a real store: pages, counts, cursors, views, deleted records.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { defineResource, everyone, t, type Resource } from '../../src/sdk.ts'
import { createCursors } from '../../src/rest/cursor.ts'
import { createListRoute } from '../../src/rest/list-route.ts'
import { defineFrom } from '../../src/rest/resource.ts'
import type { Store } from '../../src/storage/store.ts'
import { Compile } from 'typebox/schema'
import { createSender, type Send } from '../support/requests.ts'
import { insert, insertUser, openStore } from './list-store.ts'

const define = (resource: unknown) => defineFrom(resource as Resource)
const items = define(
  defineResource({
    name: 'items',
    schema: t.Object({
      name: t.String({ search: true }),
      price: t.Optional(t.Nullable(t.Number())),
      public: t.Boolean(),
    }),
    owned: true,
    softDelete: true,
    access: { list: (principal) => (principal.kind === 'anonymous' ? { public: true } : true) },
    pageSize: 3,
  }),
)
const many = define(
  defineResource({
    name: 'many',
    schema: t.Object({ n: t.Integer({ index: true }) }),
    access: { list: everyone() },
  }),
)

let store: Store
let send: Send
let ownerId: string
beforeAll(async () => {
  store = openStore([items, many])
  ownerId = await insertUser(store, 'ada')
  const row = (index: number) => ({
    name: `item ${index}`,
    price: index % 4 === 0 ? null : index % 3,
    public: index < 9,
  })
  await insert(store, items, [
    ...Array.from({ length: 10 }, (_, index) => ({ ...row(index), owner_id: ownerId })),
    { name: 'gone', price: 1, public: true, deleted_at: '2026-01-31T12:00:00.000Z' },
  ])
  for (let batch = 0; batch < 10; batch++) {
    await insert(
      store,
      many,
      Array.from({ length: 1001 }, (_, index) => ({ n: index })),
    )
  }
  const cursors = createCursors(new Uint8Array(32))
  const routes = [items, many].map((definition) =>
    createListRoute({ definition, resources: [items, many], store, cursors }),
  )
  const schema = Compile(routes[0]!.responses[200]!.schema as never)
  const unchecked = createSender(routes)
  send = async (path, init) => {
    const response = await unchecked(path, init)
    if (response.ok && path.startsWith('/api/items')) {
      const body: unknown = await response.clone().json()
      expect(schema.Errors(body)[1]).toEqual([])
    }
    return response
  }
})
afterAll(() => store.stop())

const asAdmin = { headers: { authorization: 'Bearer admin' } }
const asUser = { headers: { authorization: 'Bearer user' } }
const get = async (path: string, init: RequestInit = asUser) => {
  const response = await send(path, init)
  return { status: response.status, link: response.headers.get('link'), ...((await response.json()) as any) }
}
const names = ({ data }: { data: { name: string }[] }) => data.map(({ name }) => Number(name.slice(5)))

describe('GET /api/items in pages', () => {
  test('has links that repeat the query, and the cursor of the next page', async () => {
    const body = await get('/api/items?page=2&limit=2&price[null]=false&sort=-price,name&count=exact')
    expect(names(body)).toEqual([1, 7])
    const rest = '&price%5Bnull%5D=false&sort=-price,name&count=exact'
    const link = (page: number) => `/api/items?page=${page}&limit=2${rest}`
    expect(body).toMatchObject({ total_items: 7, total_pages: 4, current_page: 2, items_per_page: 2 })
    expect(body.links).toEqual({ self: link(2), first: link(1), prev: link(1), next: link(3), last: link(4) })
    expect(body.link).toBe(
      `<${link(1)}>; rel="first", <${link(1)}>; rel="prev", <${link(3)}>; rel="next", <${link(4)}>; rel="last"`,
    )
    expect(body.next_cursor).toBeString()
    expect(await get(body.links.next)).toMatchObject({ current_page: 3 })
  })

  test.each([
    ['/api/items?page=4', 1, null],
    ['/api/items?limit=10', 10, null],
    ['/api/items?limit=9', 9, '/api/items?page=2&limit=9'],
    ['/api/items?page=3&limit=5', 0, null],
    ['/api/items?id=99', 0, null],
  ])('%s has %d records and next %p', async (path, count, next) => {
    const body = await get(path)
    expect(body.data).toHaveLength(count)
    expect(body.links.next).toBe(next)
    expect(body.next_cursor === null).toBe(next === null)
  })

  test('with count=none has no totals', async () => {
    const body = await get('/api/items?count=none&page=2')
    expect(Object.keys(body)).not.toContain('total_items')
    expect(Object.keys(body)).not.toContain('total_pages')
    expect(body).toMatchObject({ current_page: 2, items_per_page: 3 })
    expect(body.links).toMatchObject({ last: null, next: '/api/items?page=3&limit=3&count=none' })
  })

  test('joins the filter with that of the access rule', async () => {
    expect(names(await get('/api/items?id[gt]=7', {}))).toEqual([7, 8])
    expect(names(await get('/api/items?or[0][id]=10&or[1][id]=1', {}))).toEqual([0])
    expect(names(await get('/api/items?or[0][id]=10&or[1][id]=1'))).toEqual([0, 9])
    expect(await get('/api/items', {})).toMatchObject({ total_items: 9 })
  })

  test('answers 400 that names each parameter', async () => {
    const body = await get('/api/items?nope=1&price=x&page=1&page=2')
    expect(body.status).toBe(400)
    expect(body.error.code).toBe('bad_request')
    expect(body.error.details.map(({ field }: { field: string }) => field)).toEqual(['nope', 'price', 'page'])
  })

  test('leaves a Link header out that would be too long', async () => {
    const body = await get(`/api/items?limit=2&name[ne]=${'%C3%A9'.repeat(500)}`)
    expect(body.link).toBeNull()
    expect(body.links.next.length).toBeGreaterThan(3000)
  })
})

describe('counts over 10,000', () => {
  const cases: [path: string, expected: object][] = [
    ['/api/many', { total_items: 10_010, total_pages: 1001 }],
    ['/api/many?n[gte]=0', { total_items: 10_000, total_is_exact: false, total_pages: 1000 }],
    ['/api/many?n[gte]=1', { total_items: 10_000 }],
    ['/api/many?n[gte]=0&count=exact', { total_items: 10_010, total_pages: 1001 }],
  ]
  test.each(cases)('%s', async (path, expected) => {
    const body = await get(path)
    expect(body).toMatchObject(expected)
    expect('total_is_exact' in body).toBe('total_is_exact' in expected)
    expect(body.links.last === null).toBe('total_is_exact' in expected)
  })

  test('links beyond page × limit of 100,000 lead on by cursor', async () => {
    const body = await get('/api/many?limit=100&page=1000')
    expect(body).toMatchObject({ data: [], links: { next: null, last: '/api/many?page=101&limit=100' } })
  })
})

describe('GET /api/items by cursor', () => {
  test('walks to the end without totals and page numbers', async () => {
    const first = await get('/api/items?limit=4&sort=price')
    const second = await get(`/api/items?limit=4&sort=price&cursor=${first.next_cursor}`)
    expect(Object.keys(second).toSorted()).toEqual(
      ['data', 'items_per_page', 'link', 'links', 'next_cursor', 'status'].toSorted(),
    )
    expect(second.links).toEqual({
      self: `/api/items?cursor=${first.next_cursor}&limit=4&sort=price`,
      next: `/api/items?cursor=${second.next_cursor}&limit=4&sort=price`,
    })
    expect(second.link).toBe(`<${second.links.next}>; rel="next"`)
    const third = await get(second.links.next)
    expect(third).toMatchObject({ next_cursor: null, links: { next: null }, link: null })
    expect([first, second, third].flatMap(names).toSorted((a, b) => a - b)).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
    ])
  })

  test('that was changed, or comes with another query, is 400 for cursor', async () => {
    const { next_cursor } = await get('/api/items?sort=price')
    for (const path of [
      `/api/items?cursor=${next_cursor}`,
      `/api/items?cursor=${next_cursor}&sort=-price`,
      `/api/items?cursor=${next_cursor}&sort=price&id[gt]=0`,
      `/api/items?cursor=${next_cursor.toLowerCase()}&sort=price`,
      `/api/many?cursor=${next_cursor}`,
    ]) {
      const body = await get(path)
      expect([body.status, body.error.details.map((one: any) => one.field)]).toEqual([400, ['cursor']])
    }
  })

  test('walks over sort keys that are too long for a cursor, as long as the last row stays', async () => {
    const long = define(
      defineResource({ name: 'long', schema: t.Object({ text: t.String() }), access: { list: everyone() } }),
    )
    const own = openStore([long])
    const text = 'x'.repeat(6000)
    const rows = await insert(
      own,
      long,
      [3, 1, 2, 0].map((end) => ({ text: `${text}${end}` })),
    )
    const cursors = createCursors(new Uint8Array(32))
    const read = createSender([createListRoute({ definition: long, resources: [long], store: own, cursors })])
    const page = async (path: string) => {
      const response = await read(path)
      return { status: response.status, ...((await response.json()) as any) }
    }
    const first = await page('/api/long?sort=text&limit=2&fields=id')
    expect(first.data).toEqual([{ id: 4 }, { id: 2 }])
    expect(first.next_cursor.length).toBeLessThan(100)
    const next = `/api/long?sort=text&limit=2&fields=id&cursor=${first.next_cursor}`
    expect(await page(next)).toMatchObject({ status: 200, data: [{ id: 3 }, { id: 1 }], next_cursor: null })
    await own.commit([{ kind: 'update', table: 'long', id: rows[1]!.id, values: { text: 'a' } }])
    expect(await page(next)).toMatchObject({ status: 400, error: { details: [{ field: 'cursor' }] } })
    await own.commit([{ kind: 'delete', table: 'long', id: rows[1]!.id }])
    expect(await page(next)).toMatchObject({ status: 400, error: { details: [{ field: 'cursor' }] } })
    await own.stop()
  })
})

describe('what is shown', () => {
  test('the chosen fields in their order, and what is expanded beside them', async () => {
    const body = await get('/api/items?limit=2&fields=public,price,id&sort=name&expand=owner')
    const owner = { id: ownerId, name: 'ada' }
    expect(body.data).toEqual([
      { public: true, price: null, id: 1, owner },
      { public: true, price: 1, id: 2, owner },
    ])
    expect(Object.keys(body.data[1])).toEqual(['public', 'price', 'id', 'owner'])
    const [whole] = (await get('/api/items?expand=owner')).data
    expect(whole).toMatchObject({ id: 1, name: 'item 0', owner_id: ownerId, owner })
  })
})

describe('deleted records', () => {
  test('are for administrators', async () => {
    expect(await get('/api/items?deleted=true', {})).toMatchObject({ status: 401 })
    expect(await get('/api/items?deleted=true', asUser)).toMatchObject({ status: 403 })
    expect((await get('/api/items?deleted=false', {})).status).toBe(200)
  })

  test('are listed and counted alone', async () => {
    const body = await get('/api/items?deleted=true', asAdmin)
    expect(body).toMatchObject({ total_items: 1, data: [{ name: 'gone' }] })
    expect(await get('/api/items', asAdmin)).toMatchObject({ total_items: 10 })
  })
})

describe('a search', () => {
  test('without sort has pages but no cursor', async () => {
    const body = await get('/api/items?q=item&limit=4')
    expect(body.data).toHaveLength(4)
    expect(body).toMatchObject({ total_items: 10, total_pages: 3, next_cursor: null })
    expect(body.links.next).toBe('/api/items?page=2&limit=4&q=item')
    expect(await get('/api/items?q=item&cursor=x')).toMatchObject({ status: 400 })
    expect(await get('/api/items?q=')).toMatchObject({ total_items: 0, data: [] })
  })

  test('with a sort walks by cursor', async () => {
    const first = await get('/api/items?q=ite&sort=-id&limit=6')
    expect(names(first)).toEqual([9, 8, 7, 6, 5, 4])
    expect(names(await get(`/api/items?q=ite&sort=-id&limit=6&cursor=${first.next_cursor}`))).toEqual([
      3, 2, 1, 0,
    ])
  })
})
