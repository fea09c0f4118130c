// ETag, If-Match, If-None-Match and Prefer on the built executable.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { testCases } from '../support/cases.ts'
import { fixtureResources, post, startWorld, type World } from '../support/world.ts'

const GUARDED = `
import { defineResource, everyone, signedIn, t } from 'hipflask'
export default defineResource({
  name: 'guarded',
  schema: t.Object({ text: t.String() }),
  requireIfMatch: true,
  access: { list: everyone(), read: everyone(), create: everyone(), update: signedIn(), delete: everyone() },
})`

let world: World
beforeAll(async () => {
  world = await startWorld({ resources: { ...fixtureResources(), 'guarded.ts': GUARDED } })
})
afterAll(() => world.stop())

interface Asked {
  method?: string
  as?: string
  body?: unknown
  headers?: Record<string, string>
}

async function ask(path: string, { method = 'GET', as = 'ada', body, headers }: Asked = {}) {
  const response = await world.fetch(path, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...world.credentials[as],
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: response.status, headers: response.headers, text: await response.text() }
}
const tagOf = ({ headers }: { headers: Headers }) => headers.get('etag')!
const currentTag = async (path: string) => tagOf(await ask(path))

/** A new item of ada's: its path and its tag. */
async function makeItem(name = 'Cup') {
  const made = await ask('/api/items', { method: 'POST', body: { name, price: 1 } })
  return { path: made.headers.get('location')!, tag: tagOf(made) }
}

const ITEM = { name: 'Cup', price: 1 }

describe('ETag', () => {
  test('is on create, read, replace and patch, and reads like the last write', async () => {
    const { path, tag } = await makeItem()
    expect(tag).toMatch(/^"1-[0-9a-z]+"$/)
    expect(await currentTag(path)).toBe(tag)
    const put = await ask(path, { method: 'PUT', body: { ...ITEM, price: 2 } })
    expect([put.status, tagOf(put)]).toEqual([200, await currentTag(path)])
    const patch = await ask(path, { method: 'PATCH', body: { price: 3 } })
    expect([patch.status, tagOf(patch)]).toEqual([200, await currentTag(path)])
    expect(new Set([tag, tagOf(put), tagOf(patch)]).size).toBe(3)
  })

  test('is new after every accepted write, also one that changes nothing', async () => {
    const { path, tag } = await makeItem()
    const put = await ask(path, { method: 'PUT', body: ITEM })
    const patches = [
      await ask(path, { method: 'PATCH', body: {} }),
      await ask(path, { method: 'PATCH', body: { price: 1 } }),
    ]
    expect(new Set([tag, tagOf(put), ...patches.map(tagOf)]).size).toBe(4)
  })

  test('is as it was after writes that are refused', async () => {
    const { path, tag } = await makeItem()
    const refused = [
      await ask(path, { method: 'PUT', body: { price: 1 } }),
      await ask(path, { method: 'PATCH', body: { price: -1 } }),
      await ask(path, { method: 'PATCH', body: { price: 2 }, as: 'bob' }),
      await ask(path, { method: 'PATCH', body: { price: 2 }, headers: { 'if-match': '"x"' } }),
      await ask(path, { method: 'DELETE', headers: { 'if-match': '"x"' } }),
    ]
    expect(refused.map(({ status }) => status)).toEqual([400, 400, 403, 412, 412])
    expect(await currentTag(path)).toBe(tag)
    expect(refused.map(tagOf)).toEqual(Array(5).fill(null))
  })

  test('is another for each format and selection, none with expand, on a list, an array and a delete', async () => {
    const { path, tag } = await makeItem()
    const formats = ['application/x-ndjson', 'text/csv', 'application/xml']
    const others = [
      ...formats.map((accept) => ask(path, { headers: { accept } })),
      ask(`${path}?fields=id`),
      ask(`${path}?fields=name,id`),
      ask(`${path}?fields=id`, { headers: { accept: 'text/csv' } }),
    ]
    const tags = (await Promise.all(others)).map(tagOf)
    expect(new Set([tag, ...tags]).size).toBe(7)
    const none = [
      await ask(`${path}?expand=owner`),
      await ask('/api/items'),
      await ask('/api/items', { method: 'POST', body: [ITEM] }),
      await ask(path, { method: 'DELETE' }),
    ]
    expect(none.map(({ status }) => status)).toEqual([200, 200, 201, 200])
    expect(none.map(tagOf)).toEqual([null, null, null, null] as never)
  })

  test('of a create or a change in another format is that of a read in it', async () => {
    const headers = { accept: 'text/csv' }
    const made = await ask('/api/items', { method: 'POST', body: ITEM, headers })
    const path = made.headers.get('location')!
    expect(tagOf(made)).toBe(tagOf(await ask(path, { headers })))
    for (const [method, body] of [
      ['PATCH', {}],
      ['PUT', ITEM],
    ] as const) {
      const changed = await ask(path, { method, body, headers })
      expect(tagOf(changed)).toBe(tagOf(await ask(path, { headers })))
      expect(tagOf(changed)).not.toBe(await currentTag(path))
    }
  })

  test('is new after a soft delete that was taken back, and on that answer', async () => {
    const { id } = await post(world, '/api/folders', { name: 'Restored' })
    const path = `/api/folders/${id}`
    const tag = await currentTag(path)
    await ask(path, { method: 'DELETE' })
    const restored = await ask(`${path}/restore`, { method: 'POST', as: 'admin' })
    expect([restored.status, tagOf(restored)]).toEqual([200, await currentTag(path)])
    expect(tagOf(restored)).not.toBe(tag)
  })
})

describe('If-None-Match on a read', () => {
  const read = async (header: (tag: string) => string, more: Asked & { query?: string } = {}) => {
    const { path, tag } = await makeItem()
    const { query = '', headers, ...rest } = more
    return ask(path + query, { ...rest, headers: { ...headers, 'if-none-match': header(tag) } })
  }
  const cases: [string, (tag: string) => string, number][] = [
    ['the tag', (tag) => tag, 304],
    ['the tag, weak', (tag) => `W/${tag}`, 304],
    ['a list with the tag', (tag) => `"x", ${tag}, "y"`, 304],
    ['anything', () => '*', 304],
    ['another tag', () => '"x"', 200],
    ['a list of others', () => '"x","y"', 200],
  ]
  test.each(cases)('of %s', async (_, header, status) => {
    for (const method of ['GET', 'HEAD']) {
      const answer = await read(header, { method })
      expect([method, answer.status]).toEqual([method, status])
      expect(answer.headers.get('etag')).toMatch(/^"1-/)
      if (status === 304) expect([answer.text, answer.headers.get('content-type')]).toEqual(['', null])
    }
  })

  test('with 304 has the headers that a 200 would have for caches', async () => {
    const { path, tag } = await makeItem()
    const [full, none] = [await ask(path), await ask(path, { headers: { 'if-none-match': tag } })]
    for (const name of ['etag', 'cache-control', 'vary']) {
      expect([name, none.headers.get(name)]).toEqual([name, full.headers.get(name)])
    }
  })

  test("does not take another format's or selection's tag for its own", async () => {
    expect((await read((tag) => tag, { headers: { accept: 'text/csv' } })).status).toBe(200)
    expect((await read((tag) => tag, { query: '?fields=id' })).status).toBe(200)
    const { path } = await makeItem()
    const headers = { accept: 'text/csv' }
    const csv = tagOf(await ask(path, { headers }))
    expect((await ask(path, { headers: { ...headers, 'if-none-match': csv } })).status).toBe(304)
    expect((await ask(path, { headers: { 'if-none-match': csv } })).status).toBe(200)
  })

  test('with expand is not looked at, for there is no tag', async () => {
    expect((await read((tag) => tag, { query: '?expand=owner' })).status).toBe(200)
  })

  test('never says that a record is there to those who may not read it', async () => {
    const note = await post(world, '/api/notes', { text: 'mine' }, world.credentials.ada)
    const path = `/api/notes/${note.id as string}`
    const headers = { 'if-none-match': await currentTag(path) }
    expect((await ask(path, { headers })).status).toBe(304)
    expect((await ask(path, { headers, as: 'bob' })).status).toBe(404)
    expect((await world.fetch(path, { headers })).status).toBe(401)
    expect((await ask('/api/items/999999', { headers: { 'if-none-match': '*' } })).status).toBe(404)
  })

  test('that is malformed is 400 on its name', async () => {
    const { status, text } = await read(() => 'x')
    expect([status, JSON.parse(text).error.details[0].field]).toEqual([400, 'If-None-Match'])
  })
})

describe.each([
  ['PUT', ITEM],
  ['PATCH', { price: 2 }],
  ['DELETE', undefined],
])('If-Match on %s', (method, body) => {
  const write = async (header: (tag: string) => string) => {
    const { path, tag } = await makeItem()
    return ask(path, { method, body, headers: { 'if-match': header(tag) } })
  }
  const cases: [string, (tag: string) => string, number][] = [
    ['the tag', (tag) => tag, 200],
    ['anything', () => '*', 200],
    ['a list with the tag', (tag) => `"x", ${tag}`, 200],
    ['another tag', () => '"x"', 412],
    ['the tag, weak', (tag) => `W/${tag}`, 412],
    ['no quotes', (tag) => tag.slice(1, -1), 400],
  ]
  test.each(cases)('of %s', async (_, header, status) => {
    const answer = await write(header)
    expect(answer.status).toBe(status)
    if (status !== 200) {
      const code = status === 412 ? 'precondition_failed' : 'bad_request'
      expect(JSON.parse(answer.text).error.code).toBe(code)
    }
  })

  test('of the tag before somebody changed the record is 412, and the change stays', async () => {
    const { path, tag } = await makeItem()
    await ask(path, { method: 'PATCH', body: { price: 9 } })
    expect((await ask(path, { method, body, headers: { 'if-match': tag } })).status).toBe(412)
    expect(JSON.parse((await ask(path)).text).price).toBe(9)
  })

  test("of another format's or selection's tag of the same state is the tag", async () => {
    for (const [query, accept] of [
      ['', 'text/csv'],
      ['?fields=id', 'application/json'],
    ]) {
      const { path } = await makeItem()
      const tag = tagOf(await ask(`${path}${query}`, { headers: { accept: accept! } }))
      expect((await ask(path, { method, body, headers: { 'if-match': tag } })).status).toBe(200)
    }
  })

  test('that is stale is 412 in problem+json too', async () => {
    const { path } = await makeItem()
    const headers = { 'if-match': '"x"', accept: 'application/problem+json' }
    const { status, text } = await ask(path, { method, body, headers })
    expect([status, JSON.parse(text).code]).toEqual([412, 'precondition_failed'])
  })

  test('comes after 401, 404 and 403: it tells nobody of what they may not see', async () => {
    const headers = { 'if-match': '"x"' }
    const { path } = await makeItem()
    const { id } = await post(world, '/api/notes', { text: 'mine' }, world.credentials.ada)
    const anonymous = await world.fetch(path, {
      method,
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(body) ?? null,
    })
    expect(anonymous.status).toBe(401)
    expect((await ask(path, { method, body, headers, as: 'bob' })).status).toBe(403)
    expect((await ask('/api/items/999999', { method, body, headers })).status).toBe(404)
    const text = body === undefined ? undefined : { text: 'x' }
    expect((await ask(`/api/notes/${id}`, { method, body: text, headers, as: 'bob' })).status).toBe(404)
    expect((await ask(`/api/notes/${id}`, { method, body: text, headers })).status).toBe(412)
  })

  test('If-None-Match: the tag, weak too, and * are 412, another tag is not', async () => {
    const { path, tag } = await makeItem()
    for (const header of [tag, `W/${tag}`, '*', `"x", ${tag}`]) {
      expect((await ask(path, { method, body, headers: { 'if-none-match': header } })).status).toBe(412)
    }
    expect((await ask(path, { method, body, headers: { 'if-none-match': '"x"' } })).status).toBe(200)
  })
})

describe('50 at once with one ETag', () => {
  test.each([
    ['PUT', (index: number) => ({ ...ITEM, price: index })],
    ['PATCH', (index: number) => ({ price: index })],
    ['DELETE', () => undefined],
  ])('%s: exactly one wins', async (method, bodyOf) => {
    const { path, tag } = await makeItem()
    const headers = { 'if-match': tag }
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => ask(path, { method, body: bodyOf(index + 100), headers })),
    )
    const winners = answers.filter(({ status }) => status === 200)
    expect(winners).toHaveLength(1)
    const lost = method === 'DELETE' ? 404 : 412
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200, lost]))
    if (method === 'DELETE') return
    const now = await ask(path)
    expect([now.text, tagOf(now)]).toEqual([winners[0]!.text, tagOf(winners[0]!)])
  })
})

describe('a resource with requireIfMatch', () => {
  let path: string
  let tag: string
  beforeAll(async () => {
    const made = await ask('/api/guarded', { method: 'POST', body: { text: 'x' } })
    path = made.headers.get('location')!
    tag = tagOf(made)
  })

  test.each(['PUT', 'PATCH', 'DELETE'])('%s without If-Match is 428', async (method) => {
    const body = method === 'DELETE' ? undefined : { text: 'y' }
    for (const headers of [{}, { 'if-none-match': '"x"' }] as Record<string, string>[]) {
      const answer = await ask(path, { method, body, headers })
      expect([answer.status, JSON.parse(answer.text).error.code]).toEqual([428, 'precondition_required'])
    }
    expect((await ask(path, { method, body, headers: { 'if-match': '"x"' } })).status).toBe(412)
  })

  testCases(
    () => world,
    [
      {
        name: 'without If-Match and credential is 401',
        method: 'PATCH',
        path: '/api/guarded/1',
        body: { text: 'y' },
        status: 401,
      },
      {
        name: 'with broken JSON is 400',
        method: 'PATCH',
        path: '/api/guarded/1',
        as: 'ada',
        body: '{',
        status: 400,
        code: 'malformed_json',
      },
    ],
  )

  test('takes the tag, and *', async () => {
    const patched = await ask(path, { method: 'PATCH', body: { text: 'y' }, headers: { 'if-match': tag } })
    expect(patched.status).toBe(200)
    const headers = { 'if-match': tagOf(patched) }
    expect((await ask(path, { method: 'PUT', body: { text: 'z' }, headers })).status).toBe(200)
    expect((await ask(path, { method: 'DELETE', headers: { 'if-match': '*' } })).status).toBe(200)
  })
})

describe('Prefer: return=minimal', () => {
  const headers = { prefer: 'return=minimal' }

  test('answers a create with 201, Location and ETag, and no body', async () => {
    const made = await ask('/api/items', { method: 'POST', body: ITEM, headers })
    expect([made.status, made.text, made.headers.get('content-type')]).toEqual([201, '', null])
    expect(made.headers.get('preference-applied')).toBe('return=minimal')
    expect(tagOf(made)).toBe(await currentTag(made.headers.get('location')!))
    const array = await ask('/api/items', { method: 'POST', body: [ITEM, ITEM], headers })
    expect([array.status, array.text, array.headers.get('location')]).toEqual([201, '', null])
  })

  test.each([
    ['PUT', ITEM],
    ['PATCH', { price: 2 }],
    ['DELETE', undefined],
  ])('answers %s with 204, and it is done', async (method, body) => {
    const { path, tag } = await makeItem()
    const answer = await ask(path, { method, body, headers })
    expect([answer.status, answer.text, answer.headers.get('content-type')]).toEqual([204, '', null])
    expect(answer.headers.get('preference-applied')).toBe('return=minimal')
    if (method === 'DELETE') expect((await ask(path)).status).toBe(404)
    else expect([tagOf(answer), tagOf(answer) === tag]).toEqual([await currentTag(path), false])
  })

  test('changes neither errors nor reads', async () => {
    const { path } = await makeItem()
    const bad = await ask(path, { method: 'PATCH', body: { price: -1 }, headers })
    expect([bad.status, bad.headers.get('preference-applied')]).toEqual([400, null])
    expect(JSON.parse(bad.text).error.code).toBe('validation_failed')
    expect((await ask(path, { headers })).status).toBe(200)
  })

  test('with another format has no body either', async () => {
    const { path } = await makeItem()
    const csv = { ...headers, accept: 'text/csv' }
    const answer = await ask(path, { method: 'PATCH', body: {}, headers: csv })
    expect([answer.status, answer.text, answer.headers.get('content-type')]).toEqual([204, '', null])
  })

  test('return=representation is what there is anyway', async () => {
    const made = await ask('/api/items', {
      method: 'POST',
      body: ITEM,
      headers: { prefer: 'return=representation' },
    })
    expect([made.status, JSON.parse(made.text).name, made.headers.get('preference-applied')]).toEqual([
      201,
      'Cup',
      null,
    ])
  })
})
