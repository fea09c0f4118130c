// Idempotency-Key on the built executable: nothing is done twice, whatever happens in between.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { makeFolder, rawRequest, startServer, type RunningServer } from '../support/executable.ts'
import { basic, fixtureResources, PASSWORD, post, startWorld, type World } from '../support/world.ts'

/** Its before hooks write to other resources, with commits of their own. */
const WRITERS = `
import { defineResource, everyone, t } from 'hipflask'
export default defineResource({
  name: 'writers',
  schema: t.Object({ text: t.String() }),
  access: { list: everyone(), read: everyone(), create: everyone(), update: everyone() },
  hooks: {
    beforeCreate: async ({ text }, { store }) => void (await store.logs.create({ text })),
    beforeUpdate: async ({ text }, { store, previous }) => {
      const [log] = await store.logs.list({ where: { text: previous.text } })
      await store.logs.update(log.id, { text })
    },
  },
})`

let world: World
beforeAll(async () => {
  world = await startWorld({ resources: { ...fixtureResources(), 'writers.js': WRITERS } })
})
afterAll(() => world.stop())

let keys = 0
const newKey = () => `key-${++keys}`

interface Asked {
  method?: string
  as?: string
  body?: unknown
  key?: string
  headers?: Record<string, string>
}
type Server = Pick<RunningServer, 'fetch'>

async function send(server: Server, path: string, { method = 'POST', as, body, key, headers }: Asked) {
  const response = await server.fetch(path, {
    method,
    headers: {
      'content-type': 'application/json',
      ...(as === undefined ? {} : world.credentials[as]),
      ...(key === undefined ? {} : { 'idempotency-key': key }),
      ...headers,
    },
    body: JSON.stringify(body),
  })
  const header = (name: string) => response.headers.get(name)
  return {
    status: response.status,
    text: await response.text(),
    location: header('location'),
    etag: header('etag'),
    type: header('content-type'),
    replayed: header('idempotency-replayed'),
    requestId: header('x-request-id'),
    retryAfter: header('retry-after'),
  }
}
type Sent = Awaited<ReturnType<typeof send>>

const ask = (path: string, asked: Asked) => send(world, path, { as: 'ada', ...asked })
const codeOf = ({ text }: Sent) => JSON.parse(text).error.code as string
const same = ({ status, text, location, etag, type }: Sent) => ({ status, text, location, etag, type })
async function total(path: string, server: Server = world): Promise<number> {
  const response = await server.fetch(`${path}${path.includes('?') ? '&' : '?'}count=exact`)
  return ((await response.json()) as { total_items: number }).total_items
}

const ITEM = { name: 'Cup', price: 1 }

describe('the same request again', () => {
  test('creates one record, and answers with the same body, Location and ETag', async () => {
    const key = newKey()
    const first = await ask('/api/items', { body: ITEM, key })
    const before = await total('/api/items')
    expect([first.status, first.replayed]).toEqual([201, null])
    for (let again = 0; again < 3; again++) {
      const next = await ask('/api/items', { body: ITEM, key })
      expect(same(next)).toEqual(same(first))
      expect(next.replayed).toBe('true')
      expect(next.requestId).not.toBe(first.requestId)
    }
    expect(await total('/api/items')).toBe(before)
  })

  test('creates one array of records', async () => {
    const key = newKey()
    const body = [ITEM, { ...ITEM, name: 'Mug' }]
    const before = await total('/api/items')
    const first = await ask('/api/items', { body, key })
    const next = await ask('/api/items', { body, key })
    expect([first.status, JSON.parse(first.text).data.length, next.replayed]).toEqual([201, 2, 'true'])
    expect(same(next)).toEqual(same(first))
    expect(await total('/api/items')).toBe(before + 2)
  })

  test('changes a record once, and is not 412 for its own change', async () => {
    const { location, etag } = await ask('/api/items', { body: ITEM })
    const change = { method: 'PATCH', body: { price: 2 }, key: newKey(), headers: { 'if-match': etag! } }
    const first = await ask(location!, change)
    expect([first.status, first.replayed]).toEqual([200, null])
    await ask(location!, { method: 'PATCH', body: { price: 3 } })
    const next = await ask(location!, change)
    expect(same(next)).toEqual(same(first))
    expect(next.replayed).toBe('true')
    const now = await world.fetch(location!)
    expect(((await now.json()) as { price: number }).price).toBe(3)
    expect(now.headers.get('etag')).not.toBe(first.etag)
  })

  test('is answered though the record is gone', async () => {
    const asked = { body: ITEM, key: newKey() }
    const first = await ask('/api/items', asked)
    await ask(first.location!, { method: 'DELETE' })
    expect(same(await ask('/api/items', asked))).toEqual(same(first))
  })

  test('may be written with other spaces, and come by another credential of the same user', async () => {
    const key = newKey()
    await ask('/api/items', { body: ITEM, key })
    const response = await world.fetch('/api/items', {
      method: 'POST',
      headers: {
        ...basic('ada@example.com', PASSWORD),
        'content-type': 'application/json',
        'idempotency-key': key,
      },
      body: JSON.stringify(ITEM, null, 4),
    })
    expect([response.status, response.headers.get('idempotency-replayed')]).toEqual([201, 'true'])
  })

  test('may prefer no body, or another format', async () => {
    const asked = { body: ITEM, key: newKey() }
    const first = await ask('/api/items', { ...asked, headers: { prefer: 'return=minimal' } })
    expect([first.status, first.text]).toEqual([201, ''])
    const whole = await ask('/api/items', asked)
    expect(whole).toMatchObject({ status: 201, location: first.location, etag: first.etag, replayed: 'true' })
    expect(JSON.parse(whole.text).name).toBe('Cup')
    const minimal = await ask('/api/items', { ...asked, headers: { prefer: 'return=minimal' } })
    expect(minimal).toMatchObject({ status: 201, text: '', replayed: 'true' })
    const csv = await ask('/api/items', { ...asked, headers: { accept: 'text/csv' } })
    expect(csv).toMatchObject({ status: 201, type: 'text/csv;charset=utf-8', replayed: 'true' })
    expect(csv.text).toStartWith('id,name,price')
    const read = await world.fetch(first.location!, { headers: { accept: 'text/csv' } })
    expect([csv.etag, csv.etag === first.etag]).toEqual([read.headers.get('etag'), false])
  })

  test('runs hooks once', async () => {
    const key = newKey()
    const title = 'Hooked once'
    const first = await ask('/api/orders', { body: { title, amount: 1, wish: 'log after' }, key })
    const next = await ask('/api/orders', { body: { title, amount: 1, wish: 'log after' }, key })
    expect([first.status, next.replayed]).toEqual([201, 'true'])
    const change = { method: 'PATCH', body: { wish: 'log' }, key: newKey() }
    const path = first.location!
    expect([(await ask(path, change)).replayed, (await ask(path, change)).replayed]).toEqual([null, 'true'])
    expect(((await (await world.fetch(path)).json()) as { changes: number }).changes).toBe(1)
    const logged = () => total(`/api/logs?text[contains]=${encodeURIComponent(title)}`)
    const deadline = Date.now() + 3000
    while ((await logged()) < 2 && Date.now() < deadline) await Bun.sleep(10)
    // One of the create, one of the patch; a third would have been started before them.
    expect(await logged()).toBe(2)
  })

  test('of a resource whose before hooks write elsewhere has its own answer, not that of what they wrote', async () => {
    const asked = { body: { text: 'before' }, key: newKey() }
    const first = await ask('/api/writers', asked)
    expect([first.status, JSON.parse(first.text).text]).toEqual([201, 'before'])
    expect(first.location).toStartWith('/api/writers/')
    const next = await ask('/api/writers', asked)
    expect([next.replayed, same(next)]).toEqual(['true', same(first)])
    expect(await total('/api/logs?text=before')).toBe(1)
    const headers = { 'if-match': first.etag! }
    const change = { method: 'PATCH', body: { text: 'after' }, key: newKey(), headers }
    const changed = await ask(first.location!, change)
    expect([changed.status, JSON.parse(changed.text).text]).toEqual([200, 'after'])
    expect(same(await ask(first.location!, change))).toEqual(same(changed))
    expect(await total('/api/logs?text=after')).toBe(1)
  })

  test('of an anonymous caller is the same too', async () => {
    const asked = { body: { name: 'Anonymous' }, key: newKey() }
    const first = await send(world, '/api/authors', asked)
    const next = await send(world, '/api/authors', asked)
    expect([first.status, next.replayed]).toEqual([201, 'true'])
    expect(same(next)).toEqual(same(first))
  })
})

describe('the same key', () => {
  test('with another body is 422, on POST and PATCH, and changes nothing', async () => {
    const key = newKey()
    const { location } = await ask('/api/items', { body: ITEM, key })
    const before = await total('/api/items')
    for (const body of [{ ...ITEM, price: 2 }, [ITEM], { name: 'x' }]) {
      const answer = await ask('/api/items', { body, key })
      expect([answer.status, codeOf(answer)]).toEqual([422, 'idempotency_mismatch'])
    }
    const patchKey = newKey()
    await ask(location!, { method: 'PATCH', body: { price: 2 }, key: patchKey })
    const other = await ask(location!, { method: 'PATCH', body: { price: 3 }, key: patchKey })
    expect([other.status, codeOf(other)]).toEqual([422, 'idempotency_mismatch'])
    expect(((await (await world.fetch(location!)).json()) as { price: number }).price).toBe(2)
    expect(await total('/api/items')).toBe(before)
  })

  test('on another path is 422', async () => {
    const key = newKey()
    const body = { text: 'x' }
    const note = await ask('/api/notes', { body, key })
    expect(note.status).toBe(201)
    const paths = [
      ['POST', '/api/items'],
      ['PATCH', note.location!],
    ] as const
    for (const [method, path] of paths) {
      const answer = await ask(path, { method, body, key })
      expect([path, answer.status, codeOf(answer)]).toEqual([path, 422, 'idempotency_mismatch'])
    }
  })

  test('of another user, or of nobody, is another', async () => {
    const key = newKey()
    const body = { title: 'x', price: 1 }
    const before = await total('/api/offers')
    const ids = []
    for (const as of ['ada', 'bob', 'admin', undefined]) {
      const answer = await send(world, '/api/offers', { body, key, ...(as === undefined ? {} : { as }) })
      expect([as, answer.status, answer.replayed]).toEqual([as, 201, null])
      ids.push(JSON.parse(answer.text).id)
    }
    expect(new Set(ids).size).toBe(4)
    expect(await total('/api/offers')).toBe(before + 4)
  })

  test('on PUT and DELETE means nothing', async () => {
    const key = newKey()
    const { location } = await ask('/api/items', { body: ITEM, key })
    const [first, next] = [
      await ask(location!, { method: 'PUT', body: ITEM, key }),
      await ask(location!, { method: 'PUT', body: ITEM, key }),
    ]
    expect([first.status, next.status, next.replayed]).toEqual([200, 200, null])
    expect(next.etag).not.toBe(first.etag)
    expect((await ask(location!, { method: 'DELETE', key })).replayed).toBeNull()
  })
})

describe('a key', () => {
  test.each([
    ['of 255 characters', 'k'.repeat(255), 201],
    ['of 256 characters', 'k'.repeat(256), 400],
    ['of none', '', 400],
    ['with spaces and quotes', '"a b"', 201],
  ])('%s', async (_, key, status) => {
    const before = await total('/api/items')
    const answer = await ask('/api/items', { body: ITEM, key })
    expect(answer.status).toBe(status)
    expect(await total('/api/items')).toBe(before + (status === 201 ? 1 : 0))
    if (status === 400)
      expect(JSON.parse(answer.text).error.details[0]).toMatchObject({ field: 'Idempotency-Key' })
  })

  test.each([
    ['Latin-1', 'latin1'],
    ['UTF-8', 'utf8'],
  ] as const)('beyond ASCII, as %s, is 400', async (_, encoding) => {
    const body = '{"name":"Raw"}'
    const head = `POST /api/authors HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: cl\u00e9\r\n`
    const request = `${head}Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`
    const answer = await rawRequest(world.url, Buffer.from(request, encoding))
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(await total('/api/authors?name=Raw')).toBe(0)
  })
})

describe('a request that failed', () => {
  test.each<[number, string, unknown, unknown]>([
    [400, '/api/items', { name: 'x' }, ITEM],
    [400, '/api/items', '{', ITEM],
    [403, '/api/offers', { title: 'x', price: 101 }, { title: 'x', price: 100 }],
    [409, '/api/items', { ...ITEM, sku: 'taken' }, { ...ITEM, sku: 'free' }],
    [409, '/api/orders', { title: 'x', amount: 1, wish: 'problem 409' }, { title: 'x', amount: 1 }],
  ])('with %d on %s is not stored: its key is as new', async (status, path, bad, good) => {
    await ask('/api/items', { body: { ...ITEM, sku: 'taken' } })
    const key = newKey()
    for (let attempt = 0; attempt < 2; attempt++) {
      const answer = await ask(path, { body: bad, key })
      expect([answer.status, answer.replayed]).toEqual([status, null])
    }
    const answer = await ask(path, { body: good, key })
    expect([answer.status, answer.replayed]).toEqual([201, null])
    expect((await ask(path, { body: good, key })).replayed).toBe('true')
  })

  test('with 401 or 412 is not stored either', async () => {
    const key = newKey()
    expect((await send(world, '/api/items', { body: ITEM, key })).status).toBe(401)
    const { location } = await ask('/api/items', { body: ITEM, key })
    const change = { method: 'PATCH', body: { price: 2 }, key: newKey() }
    expect((await ask(location!, { ...change, headers: { 'if-match': '"x"' } })).status).toBe(412)
    expect(await ask(location!, change)).toMatchObject({ status: 200, replayed: null })
  })
})

/** Sends 50 requests with one key, checks that each is the one answer, a replay of it, or 409; gives the answers. */
async function sendAtOnce(servers: readonly Server[], path: string, asked: Asked): Promise<Sent[]> {
  const sent = Array.from({ length: 50 }, (_, index) => send(servers[index % servers.length]!, path, asked))
  const answers = await Promise.all(sent)
  const [first, ...others] = answers.filter(({ replayed, status }) => status < 300 && replayed === null)
  expect(others).toEqual([])
  for (const answer of answers) {
    if (answer === first) continue
    if (answer.replayed === 'true') expect(same(answer)).toEqual(same(first!))
    else expect([answer.status, codeOf(answer), answer.retryAfter]).toEqual([409, 'conflict', '1'])
  }
  return answers
}

describe('50 at once with one key', () => {
  test('make one record; the others are 409 or its answer', async () => {
    const before = await total('/api/items')
    const asked = { as: 'ada', body: ITEM, key: newKey() }
    await sendAtOnce([world], '/api/items', asked)
    expect(await total('/api/items')).toBe(before + 1)
    expect((await send(world, '/api/items', asked)).replayed).toBe('true')
  })

  test('change a record once', async () => {
    const { location, etag } = await ask('/api/items', { body: ITEM })
    expect(etag).toStartWith('"1-')
    await sendAtOnce([world], location!, { as: 'ada', method: 'PATCH', body: { price: 2 }, key: newKey() })
    expect((await world.fetch(location!)).headers.get('etag')).toStartWith('"2-')
  })
})

describe('an answer outlives its server', () => {
  const resources = fixtureResources()
  const path = '/api/authors'

  test.each([
    ['that is stopped', (server: RunningServer) => server.stop()],
    ['that is killed right after the answer', (server: RunningServer) => server.kill()],
  ])('%s', async (_, end) => {
    const folder = makeFolder()
    const first = await startServer({ resources, folder })
    const asked = { body: { name: 'Outlives' }, key: newKey() }
    const made = await send(first, path, asked)
    await end(first)
    await using next = await startServer({ resources, folder })
    const replayed = await send(next, path, asked)
    expect(replayed.replayed).toBe('true')
    expect(same(replayed)).toEqual(same(made))
    expect((await send(next, path, { ...asked, body: { name: 'Other' } })).status).toBe(422)
    expect(await total(path, next)).toBe(1)
  })

  test('as do all that were answered when it is killed amid many', async () => {
    const folder = makeFolder()
    const first = await startServer({ resources, folder })
    const requests = Array.from({ length: 40 }, (_, index) => ({
      body: { name: `Amid ${index}` },
      key: newKey(),
    }))
    const answered = new Map<number, Sent>()
    const sent = requests.map(async (asked, index) => {
      // Some of them at once, the rest behind them: the server ends in their midst.
      await Bun.sleep(index)
      answered.set(index, await send(first, path, asked))
      if (answered.size === 15) await first.kill()
    })
    await Promise.allSettled(sent)
    expect(answered.size).toBeGreaterThanOrEqual(15)
    await using next = await startServer({ resources, folder })
    for (const [index, asked] of requests.entries()) {
      const again = await send(next, path, asked)
      expect(again.status).toBe(201)
      const before = answered.get(index)
      if (before !== undefined) expect([again.replayed, same(again)]).toEqual(['true', same(before)])
    }
    expect(await total(path, next)).toBe(requests.length)
  })
})

describe('another server on the same file', () => {
  test('replays what the first has done, and does nothing twice at once with it', async () => {
    const folder = makeFolder()
    const resources = fixtureResources()
    await using one = await startServer({ resources, folder })
    await using other = await startServer({ folder })
    const path = '/api/authors'
    const asked = { body: { name: 'Shared' }, key: newKey() }
    const made = await send(one, path, asked)
    const replayed = await send(other, path, asked)
    expect([replayed.replayed, same(replayed)]).toEqual(['true', same(made)])
    expect((await send(other, path, { ...asked, body: { name: 'Other' } })).status).toBe(422)

    const logs = { title: 'At once', amount: 1, wish: 'log after' }
    for (let round = 0; round < 5; round++) {
      await sendAtOnce([one, other], '/api/orders', { body: logs, key: newKey() })
    }
    expect(await total('/api/orders', other)).toBe(5)
    const { location } = await send(one, '/api/orders', { body: { title: 'Changed', amount: 1 } })
    await sendAtOnce([one, other], location!, { method: 'PATCH', body: { amount: 2 }, key: newKey() })
    expect((await other.fetch(location!)).headers.get('etag')).toStartWith('"2-')
  })
})

test('a key longer than a store would like costs nothing once it is refused', async () => {
  const answer = await ask('/api/items', { body: ITEM, key: 'k'.repeat(4000) })
  expect(answer.status).toBe(400)
  expect(answer.text).not.toContain('kkkk')
  expect((await post(world, '/api/items', ITEM, world.credentials.ada)).name).toBe('Cup')
})
