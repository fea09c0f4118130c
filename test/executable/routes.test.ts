// Routes that a resource file adds, on the built executable (test/fixtures/resources/articles.ts).
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { checkCase, testCases, type Case } from '../support/cases.ts'
import { startServer } from '../support/executable.ts'
import { post, startWorld, type World } from '../support/world.ts'

let world: World
let id: number
let public_: number
beforeAll(async () => {
  world = await startWorld()
  id = await article({ title: 'Draft' })
  public_ = await article({ title: 'Public' })
  await world.fetch(`/api/articles/${public_}/publish`, { method: 'POST', headers: world.credentials.ada! })
})
afterAll(() => world.stop())

const article = async (body: object) =>
  (await post(world, '/api/articles', body, world.credentials.ada)).id as number

async function check(one: Omit<Case, 'name'>): Promise<any> {
  return JSON.parse((await checkCase(world, { name: '', ...one })) || 'null')
}

describe('a route of a record', () => {
  test('POST /:id/publish changes a readOnly field and answers the record, computed fields and all', async () => {
    const own = await article({ title: 'News' })
    const path = `/api/articles/${own}/publish`
    const record = await check({ method: 'POST', path, as: 'ada', status: 200, lacks: ['views'] })
    expect(record).toMatchObject({ id: own, title: 'News', published: true, shout: 'NEWS' })
    expect(await check({ path: `/api/articles/${own}`, status: 200 })).toEqual(record)
  })

  test('its access rule and the read rule both hold', async () => {
    const publish = { method: 'POST', path: `/api/articles/${id}/publish` }
    await check({ ...publish, status: 401, code: 'unauthenticated' })
    // Bob may not read what is not published: for him there is nothing.
    await check({ ...publish, as: 'bob', status: 404, code: 'not_found' })
    await check({
      ...publish,
      path: `/api/articles/${public_}/publish`,
      as: 'bob',
      status: 403,
      code: 'forbidden',
    })
    await check({ ...publish, path: '/api/articles/99999/publish', as: 'ada', status: 404 })
    await check({ ...publish, path: '/api/articles/abc/publish', as: 'ada', status: 400, has: ['"/id"'] })
    await check({ ...publish, method: 'GET', as: 'ada', status: 405, header: { allow: 'OPTIONS, POST' } })
  })

  test('update saves several times, with hooks, validation and constraints', async () => {
    const own = await article({ title: 'One', slug: 'one' })
    const change = { method: 'POST', path: `/api/articles/${own}/title`, as: 'ada' }
    expect(await check({ ...change, body: { title: 'Two' }, status: 200 })).toMatchObject({ title: 'Two' })
    await check({
      ...change,
      body: { title: 'Two' },
      status: 202,
      header: { location: `/api/articles/${own}` },
    })
    await check({ ...change, body: { title: 'refused' }, status: 422, has: ['Not this title'] })
    await check({ ...change, body: { title: 'x'.repeat(31) }, status: 400, has: ['/title'] })
    await article({ title: 'Other', slug: 'taken' })
    await check({ ...change, body: { title: 'A', slug: 'taken' }, status: 409, has: ['/slug'] })
  })

  test('update answers 409 where the record was changed in between', async () => {
    await check({ method: 'POST', path: `/api/articles/${public_}/race`, status: 409, has: ['in between'] })
    expect(await check({ path: `/api/articles/${public_}`, status: 200 })).toMatchObject({
      title: 'Overtaken',
    })
  })

  test('record and update know hidden fields; what is not declared is not answered', async () => {
    const path = `/api/articles/${public_}/views/times`
    expect(await check({ path, status: 200 })).toEqual({ views: 1, unit: 'times' })
    expect(await check({ path, status: 200 })).toEqual({ views: 2, unit: 'times' })
  })
})

describe('a body and a query', () => {
  testCases(
    () => ({
      fetch: (path, init) => world.fetch(path.replace(':id', String(id)), init),
      credentials: world.credentials,
    }),
    [
      {
        name: 'POST answers 400 for an unknown property',
        method: 'POST',
        path: '/api/articles/:id/title',
        as: 'ada',
        body: { title: 'a', nope: 1 },
        status: 400,
        code: 'validation_failed',
        has: ['/nope'],
      },
      {
        name: 'POST answers 415 without JSON',
        method: 'POST',
        path: '/api/articles/:id/title',
        as: 'ada',
        headers: { 'content-type': 'text/plain' },
        body: 'title=a',
        status: 415,
      },
      {
        name: 'POST answers 401 before it looks at the body',
        method: 'POST',
        path: '/api/articles/:id/title',
        body: '{',
        status: 401,
      },
      {
        name: 'GET answers what fits the query, undeclared properties left out',
        path: '/api/articles/search?title=Dr&limit=1',
        status: 200,
        has: ['{"found":[{"title":"Draft","shown":false}]}'],
        lacks: ['canary-dropped'],
      },
      {
        name: 'GET answers 400 without a parameter',
        path: '/api/articles/search',
        status: 400,
        has: ['"title"'],
      },
      {
        name: 'GET answers 400 for an unknown parameter',
        path: '/api/articles/search?title=a&q=b',
        status: 400,
        has: ['"q"'],
      },
      {
        name: 'GET answers 500 when the store is asked for more than 1,000',
        path: '/api/articles/search?title=a&limit=1001',
        status: 500,
      },
    ],
  )
})

describe('an answer', () => {
  testCases(
    () => world,
    [
      {
        name: 'GET answers 200 for what is declared',
        path: '/api/articles/faulty/as/none',
        status: 200,
        has: ['{"a":1}'],
      },
      {
        name: 'GET answers 500 when the handler throws',
        path: '/api/articles/faulty/as/throw',
        status: 500,
        lacks: ['canary'],
      },
      {
        name: 'GET answers 500 for a wrong value',
        path: '/api/articles/faulty/as/wrong',
        status: 500,
        lacks: ['canary'],
      },
      {
        name: 'GET answers 500 for an undeclared status',
        path: '/api/articles/faulty/as/status',
        status: 500,
      },
      { name: 'GET answers 500 for no body', path: '/api/articles/faulty/as/nothing', status: 500 },
      {
        name: 'GET answers 410 for a problem',
        path: '/api/articles/faulty/as/problem',
        status: 410,
        code: 'gone',
      },
      { name: 'GET answers 404 as the store does', path: '/api/articles/faulty/as/absent', status: 404 },
      {
        name: 'HEAD answers as GET, without a body',
        method: 'HEAD',
        path: '/api/articles/faulty/as/none',
        status: 200,
      },
      { name: 'GET answers 500 where a filter has no record', path: '/api/articles/filtered', status: 500 },
      {
        name: 'DELETE answers 403 without the role',
        method: 'DELETE',
        path: '/api/articles/all',
        as: 'ada',
        status: 403,
      },
    ],
  )

  test('of 204 has no body', async () => {
    await using other = await startWorld()
    await post(other, '/api/articles', { title: 'a' }, other.credentials.ada)
    const response = await other.fetch('/api/articles/all', {
      method: 'DELETE',
      headers: other.credentials.admin!,
    })
    expect(response.status).toBe(204)
    expect(response.headers.get('content-type')).toBeNull()
    const list = await other.fetch('/api/articles', { headers: other.credentials.admin! })
    expect(((await list.json()) as any).total_items).toBe(0)
  })

  test('that fails says why in the log', async () => {
    const { error } = await check({ path: '/api/articles/faulty/as/wrong', status: 500 })
    const find = () => world.log().find((one) => one.includes(error.request_id))
    for (let wait = 0; find() === undefined && wait < 100; wait++) await Bun.sleep(20)
    const line = find()
    expect(line).toContain(
      'Route GET /faulty/as/:kind of articles answered what it does not declare: /a Expected',
    )
    expect(line).not.toContain('canary-wrong')
  })
})

test('a record and a route of its name do not meet: /api/articles/search is no record', async () => {
  await check({ method: 'PATCH', path: '/api/articles/search', as: 'ada', body: {}, status: 405 })
})

test('routes are in the document, each with a name of its own', async () => {
  const { paths } = (await (await world.fetch('/swagger/json')).json()) as any
  const publish = paths['/api/articles/{id}/publish'].post
  expect(publish).toMatchObject({ operationId: 'postArticles.byId.publish', summary: 'Publish an article' })
  expect(publish.responses[200].content['application/json'].schema).toEqual({
    $ref: '#/components/schemas/ArticlesRecord',
  })
  expect(publish.security).not.toContainEqual({})
  const search = paths['/api/articles/search'].get
  expect(search.parameters.map(({ name }: any) => name)).toEqual(['title', 'limit'])
  expect(search.responses[200].description).toBe('What was found')
})

describe('the headers of an answer that a handler makes', () => {
  const answer = (path: string, status: number, headers: object) =>
    `route({ method: 'GET', path: '${path}', access: everyone(), responses: { 200: t.Object({}), 204: null }, handler: ({ reply }) => reply(${status}, ${status === 204 ? 'undefined' : '{}'}, ${JSON.stringify(headers)}) })`
  const mine = { 'x-request-ID': 'mine', 'x-own': 'yes', 'Cache-Control': 'max-age=60' }
  const resource = `import { defineResource, everyone, route, t } from 'hipflask'
export default defineResource({
  name: 'items',
  schema: t.Object({ name: t.String() }),
  access: { list: everyone() },
  routes: [
    ${answer('/some', 200, mine)},
    ${answer('/none', 204, mine)},
    ${answer('/bad', 200, { 'x-own': 'canary', 'x-bad': 'a\nb' })},
  ],
})
`
  test('are its own but for the request id, and never those of another answer', async () => {
    await using server = await startServer({ resources: { 'items.ts': resource } })
    for (const [path, status] of [
      ['/some', 200],
      ['/none', 204],
    ] as const) {
      const { status: answered, headers } = await server.fetch(`/api/items${path}`)
      expect(answered).toBe(status)
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
      expect(headers.get('x-own')).toBe('yes')
      expect(headers.get('cache-control')).toBe('max-age=60')
    }
    expect((await server.fetch('/api/items/bad')).status).toBe(500)
    const { headers } = await server.fetch('/api/items')
    expect(headers.get('x-own')).toBeNull()
    expect(headers.get('cache-control')).not.toBe('max-age=60')
  })
})
