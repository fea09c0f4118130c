// Two servers on one data folder: whoever reads after a write was answered gets what was written, whichever of the two
// he asks, and however often the record was read before.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startServer, type RunningServer } from '../support/executable.ts'
import { ADMIN, PASSWORD, basic, post } from '../support/world.ts'

const RESOURCES = {
  'notes.ts': `import { defineResource, everyone, t } from 'hipflask'
export default defineResource({
  name: 'notes',
  schema: t.Object({ text: t.String(), tags: t.Array(t.String(), { default: [] }) }),
  access: { list: everyone(), read: everyone(), create: everyone(), update: everyone(), delete: everyone() },
  owned: true,
  softDelete: true,
})
`,
  'clicks.ts': `import { defineResource, everyone, route, t } from 'hipflask'
export default defineResource({
  name: 'clicks',
  schema: t.Object({ number: t.Integer(), note: t.Optional(t.Integer()) }),
  access: { read: everyone(), create: everyone(), update: everyone() },
  hooks: {
    async afterUpdate(record, { store }) {
      if (record.note) await store.notes.update(record.note, { text: 'by a hook' })
    },
  },
  routes: [route({
    method: 'POST', path: '/:id/add', access: everyone(), responses: { 200: 'record' },
    handler: ({ record, update }) => update({ number: record.number + 1 }),
  })],
})
`,
}
const env = { HIPFLASK_ADMIN_EMAIL: ADMIN.email, HIPFLASK_ADMIN_PASSWORD: ADMIN.password }
const admin = basic(ADMIN.email, ADMIN.password)
const ROUNDS = 60
const READERS = 4

let first: RunningServer
let second: RunningServer
beforeAll(async () => {
  first = await startServer({ resources: RESOURCES, env })
  second = await startServer({ folder: first.folder, env })
})
afterAll(async () => {
  await second.stop()
  await first.stop()
})

interface Answer {
  status: number
  etag: string | null
  body: Record<string, unknown>
}

async function ask(server: RunningServer, path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await server.fetch(path, init)
  const text = await response.text()
  return {
    status: response.status,
    etag: response.headers.get('etag'),
    body: text === '' ? {} : JSON.parse(text),
  }
}

const sent = (method: string, body?: unknown, headers: Record<string, string> = {}): RequestInit =>
  body === undefined
    ? { method, headers }
    : { method, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) }

/** Reads it often enough to be kept by both. */
async function warm(path: string): Promise<void> {
  for (const server of [first, second]) for (let time = 0; time < 3; time++) await ask(server, path)
}

async function newNote(headers: Record<string, string> = {}): Promise<string> {
  const { id } = await post(first, '/api/notes', { text: 'old', tags: ['a'] }, headers)
  const path = `/api/notes/${id as number}`
  await warm(path)
  return path
}

describe('what one server has written, both give', () => {
  test.each<[string, RequestInit, (answer: Answer) => unknown, unknown]>([
    ['a patch', sent('PATCH', { text: 'new' }), ({ body }) => body['text'], 'new'],
    ['a patch of a list', sent('PATCH', { tags: ['b'] }), ({ body }) => body['tags'], ['b']],
    ['a replacement', sent('PUT', { text: 'new' }), ({ body }) => body['tags'], []],
    ['a delete', sent('DELETE'), ({ status }) => status, 404],
  ])('%s', async (_, init, take, expected) => {
    for (const [writer, reader] of [
      [first, second],
      [second, first],
    ] as const) {
      const path = await newNote()
      expect(take(await ask(reader, path))).not.toEqual(expected)
      const written = await ask(writer, path, init)
      expect(written.status).toBe(200)
      for (const server of [reader, writer]) {
        const answer = await ask(server, path)
        expect(take(answer)).toEqual(expected)
        if (answer.status === 200) expect(answer).toEqual(written)
      }
    }
  })

  test('a record that is brought back', async () => {
    const path = await newNote()
    await ask(first, path, sent('DELETE'))
    await warm(path)
    await ask(second, `${path}/restore`, sent('POST', undefined, admin))
    for (const server of [first, second]) expect(await ask(server, path)).toMatchObject({ status: 200 })
  })

  test('a record whose owner was deleted', async () => {
    const account = { email: 'ada@example.com', password: PASSWORD }
    const { id } = await post(first, '/auth/register', { name: 'Ada', ...account })
    const path = await newNote(basic(account.email, account.password))
    expect(await ask(second, path)).toMatchObject({ body: { owner_id: id } })
    await ask(first, `/api/users/${id as string}`, sent('DELETE', undefined, admin))
    const [here, there] = [await ask(first, path), await ask(second, path)]
    expect(here).toMatchObject({ body: { owner_id: null } })
    expect(there).toEqual(here)
  })

  test('a condition on the tag from before', async () => {
    const path = await newNote()
    const before = await ask(first, path)
    const headers = { 'if-none-match': before.etag as string }
    for (const server of [first, second]) expect((await ask(server, path, { headers })).status).toBe(304)
    const { etag } = await ask(second, path, sent('PATCH', { text: 'new' }))
    for (const server of [first, second]) {
      expect(await ask(server, path, { headers })).toMatchObject({ status: 200, etag, body: { text: 'new' } })
      expect(await ask(server, path, { method: 'HEAD' })).toMatchObject({ status: 200, etag })
    }
  })

  test('a change by a hook, and one by a route of the resource', async () => {
    const path = await newNote()
    const { id } = await post(first, '/api/clicks', { number: 0, note: Number(path.split('/').pop()) })
    const clicks = `/api/clicks/${id as number}`
    await warm(clicks)
    await ask(first, `${clicks}/add`, sent('POST'))
    expect(await ask(second, clicks)).toMatchObject({ body: { number: 1 } })
    // Nobody waits for an after hook.
    for (let tries = 0; tries < 100; tries++) {
      if ((await ask(second, path)).body['text'] === 'by a hook') break
      await Bun.sleep(20)
    }
    for (const server of [first, second])
      expect(await ask(server, path)).toMatchObject({ body: { text: 'by a hook' } })
  })
})

test('no read that begins after an answered write gives less, while many read and both write', async () => {
  const { id } = await post(first, '/api/clicks', { number: 100 })
  const path = `/api/clicks/${id as number}`
  let answered = 100
  let isOver = false
  const stale: string[] = []
  let reads = 0
  const readers = [first, second].flatMap((server) =>
    Array.from({ length: READERS }, async () => {
      for (; !isOver; reads++) {
        const least = answered
        const number = (await ask(server, path)).body['number'] as number
        if (number < least) stale.push(`${number} after ${least}`)
      }
    }),
  )
  for (let round = 1; round <= ROUNDS; round++) {
    const writer = round % 2 === 0 ? first : second
    const { status } = await ask(writer, path, sent('PATCH', { number: 100 + round }))
    expect(status).toBe(200)
    answered = 100 + round
    // The very next reads, on connections of their own.
    for (const server of [second, first]) {
      const number = (await ask(server, path)).body['number'] as number
      if (number !== answered) stale.push(`${number} right after ${answered}`)
    }
  }
  isOver = true
  await Promise.all(readers)
  expect(stale).toEqual([])
  expect(reads).toBeGreaterThan(ROUNDS)
})
