// A computed field that fails: the write is not stored, so that a client that tries again makes no second record.
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { startServer, type RunningServer } from '../support/executable.ts'

let server: RunningServer
beforeAll(async () => {
  server = await startServer({
    resources: {
      'sums.ts': `import { defineResource, everyone, t } from 'hipflask'
export default defineResource({
  name: 'sums',
  schema: t.Object({ a: t.Integer() }),
  compute: { twice: { schema: t.Integer(), from: (sum) => { if (sum.a === 13) throw new Error('canary'); return sum.a * 2 + 0 * sum.id } } },
  access: { list: everyone(), read: everyone(), create: everyone(), update: everyone(), delete: everyone() },
})`,
    },
  })
})
afterAll(() => server.stop())

const send = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
  const response = await server.fetch(path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return { status: response.status, text, body: (text === '' ? undefined : JSON.parse(text)) as any }
}

test('a record whose computed field fails is not created, changed or deleted', async () => {
  const made = await send('POST', '/api/sums', { a: 1 })
  expect(made.body).toMatchObject({ a: 1, twice: 2 })
  const attempts: [string, string, unknown, Record<string, string>?][] = [
    ['POST', '/api/sums', { a: 13 }],
    ['POST', '/api/sums', { a: 13 }, { prefer: 'return=minimal' }],
    ['POST', '/api/sums', { a: 13 }, { 'idempotency-key': 'k' }],
    ['POST', '/api/sums', [{ a: 2 }, { a: 13 }]],
    ['PUT', `/api/sums/${made.body.id}`, { a: 13 }],
    ['PATCH', `/api/sums/${made.body.id}`, { a: 13 }],
  ]
  for (const [method, path, body, headers] of attempts) {
    const { status, text } = await send(method, path, body, headers)
    expect([method, status]).toEqual([method, 500])
    expect(text).not.toContain('canary')
  }
  expect((await send('GET', '/api/sums')).body).toMatchObject({ total_items: 1, data: [{ a: 1, twice: 2 }] })
})
