import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { rawRequest, startServer, type RunningServer } from '../support/executable.ts'

type Line = Record<string, unknown>

const ADMIN = { email: 'admin@example.com', password: 'canary-password-1' }
const ADMIN_ENV = { HIPFLASK_ADMIN_EMAIL: ADMIN.email, HIPFLASK_ADMIN_PASSWORD: ADMIN.password }
const RESOURCES = {
  'items.ts': `import { defineResource, everyone, route, t } from 'hipflask'
export default defineResource({
  name: 'items',
  schema: t.Object({ name: t.String() }),
  access: { list: everyone(), read: everyone(), create: everyone() },
  routes: [
    route({ method: 'GET', path: '/broken', access: everyone(), handler: () => { throw new Error('Broken') } }),
    route({ method: 'GET', path: '/slow', access: everyone(), responses: { 200: t.Object({ done: t.Boolean() }) }, handler: async () => { await Bun.sleep(1050); return { done: true } } }),
  ],
})
`,
}

let server: RunningServer

beforeAll(async () => {
  server = await startServer({ resources: RESOURCES, env: { ...ADMIN_ENV, HIPFLASK_LOG_LEVEL: 'debug' } })
})
afterAll(() => server[Symbol.asyncDispose]())

/** The lines about requests so far. Each line of the log must be one JSON object. */
function requestLines(log = server.log()): Line[] {
  return log
    .map((line) => JSON.parse(line) as Line)
    .filter(({ message }) => message === 'Request' || message === 'Slow request')
}

async function lineOf(requestId: string | null | undefined): Promise<Line> {
  const end = Date.now() + 5000
  for (;;) {
    const found = requestLines().filter((line) => line['request_id'] === requestId)
    expect(found.length).toBeLessThan(2)
    if (found[0] !== undefined) return found[0]
    if (Date.now() > end) throw new Error(`No line of the request ${requestId}`)
    await Bun.sleep(10)
  }
}

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'

describe('each request has one line', () => {
  test.each([
    ['a list', 'GET', '/api/items?page=2', 200, '/api/items'],
    ['a record that is not there', 'GET', '/api/items/4711', 404, '/api/items/:id'],
    ['HEAD', 'HEAD', '/api/items', 200, '/api/items'],
    ['a method that is not there', 'PUT', '/api/items', 405, '/api/items'],
    ['OPTIONS', 'OPTIONS', '/api/items/1', 204, '/api/items/:id'],
    ['a path that is not there', 'GET', '/canary-path/2', 404, undefined],
    ['a path that is no text', 'GET', '/api/items/%ff', 400, undefined],
    ['a target that is too long', 'GET', `/api/items?x=${'y'.repeat(9000)}`, 414, undefined],
    ['a handler that throws', 'GET', '/api/items/broken', 500, '/api/items/broken'],
  ] as const)('%s', async (_, method, path, status, route) => {
    const traceparent = `00-${TRACE_ID}-00f067aa0ba902b7-01`
    const response = await server.fetch(path, { method, headers: { traceparent } })
    const bytes = (await response.arrayBuffer()).byteLength
    const line = await lineOf(response.headers.get('x-request-id'))
    expect(line).toEqual({
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/) as unknown,
      level: status === 500 ? 'warn' : 'info',
      message: 'Request',
      request_id: response.headers.get('x-request-id'),
      trace_id: TRACE_ID,
      method,
      ...(route === undefined ? {} : { route }),
      status,
      duration_ms: expect.any(Number) as unknown,
      bytes,
      ip: '127.0.0.1',
    })
    expect(response.status).toBe(status)
  })

  test('one that is slow', async () => {
    const response = await server.fetch('/api/items/slow')
    const line = await lineOf(response.headers.get('x-request-id'))
    expect(line).toMatchObject({ level: 'warn', message: 'Slow request', status: 200 })
    expect(line['duration_ms']).toBeGreaterThanOrEqual(1000)
  })

  test('a body that is too large', async () => {
    const body = JSON.stringify({ name: 'x'.repeat(2 << 20) })
    const headers = { 'content-type': 'application/json' }
    const response = await server.fetch('/api/items', { method: 'POST', headers, body })
    expect(await lineOf(response.headers.get('x-request-id'))).toMatchObject({ status: 413, method: 'POST' })
  })

  test('a Host that is malformed', async () => {
    const answer = await rawRequest(server.url, 'GET / HTTP/1.1\r\nHost: a/b\r\nConnection: close\r\n\r\n')
    const line = await lineOf(/x-request-id: (\S+)/i.exec(answer)?.[1])
    expect(line).toMatchObject({ status: 400, ip: '127.0.0.1' })
    expect(line).not.toHaveProperty('route')
  })

  test.each([
    ['PROPFIND', '_OTHER'],
    ['M-SEARCH', '_OTHER'],
    ['CONNECT', 'CONNECT'],
    ['TRACE', 'TRACE'],
  ])('the method %s, as %s', async (method, logged) => {
    const answer = await rawRequest(
      server.url,
      `${method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    )
    const line = await lineOf(/x-request-id: (\S+)/i.exec(answer)?.[1])
    expect(line).toMatchObject({ status: 405, method: logged, route: '/' })
  })

  test('but for what the HTTP parser refuses by itself', async () => {
    const before = requestLines().length
    const head = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n'
    for (const [bytes, status] of [
      ['nonsense\r\n\r\n', '400'],
      ['GET / HTTP/1.1\r\n\r\n', '400'],
      [`${head}A b: c\r\n\r\n`, '400'],
      [`${head}A: ${'x'.repeat(16 * 1024)}\r\n\r\n`, '431'],
      ['GET / HTTP/2.0\r\nHost: a\r\n\r\n', '505'],
      ['BREW / HTTP/1.1\r\nHost: a\r\n\r\n', undefined],
      ['get / HTTP/1.1\r\nHost: a\r\n\r\n', undefined],
    ] as const) {
      const answer = await rawRequest(server.url, bytes)
      expect(answer.split(' ')[1]).toBe(status as string)
      expect(answer).not.toMatch(/x-request-id/i)
    }
    const answer = await rawRequest(server.url, `${head}A: ${'x'.repeat(16_000)}\r\n\r\n`)
    await lineOf(/x-request-id: (\S+)/i.exec(answer)?.[1])
    expect(requestLines().length).toBe(before + 1)
  })

  test('a client that goes away', async () => {
    const before = requestLines().length
    const { hostname, port } = new URL(server.url)
    const socket = await Bun.connect({ hostname, port: Number(port), socket: { data: () => undefined } })
    socket.write(
      'POST /api/items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"name":',
    )
    await Bun.sleep(100)
    socket.terminate()
    const end = Date.now() + 5000
    while (requestLines().length === before && Date.now() < end) await Bun.sleep(10)
    const lines = requestLines().slice(before)
    expect(lines).toHaveLength(1)
    // Its address was asked for while it was there.
    expect(lines[0]).toMatchObject({ method: 'POST', route: '/api/items', status: 400, ip: '127.0.0.1' })
  })

  test('a health check, as debug', async () => {
    const response = await server.fetch('/health/live')
    expect(await lineOf(response.headers.get('x-request-id'))).toMatchObject({
      level: 'debug',
      route: '/health/live',
    })
  })

  test('a caller, by id and kind', async () => {
    const basic = `Basic ${btoa(`${ADMIN.email}:${ADMIN.password}`)}`
    const response = await server.fetch('/auth/me', { headers: { authorization: basic } })
    const { id } = (await response.json()) as { id: string }
    expect(await lineOf(response.headers.get('x-request-id'))).toMatchObject({
      principal_id: id,
      principal_kind: 'user',
    })
  })
})

test('no secret and no text of a client gets into the log', async () => {
  const canary = 'canary-7f3a'
  const json = { 'content-type': 'application/json' }
  const post = (path: string, body: unknown, headers = {}) =>
    server.fetch(path, { method: 'POST', headers: { ...json, ...headers }, body: JSON.stringify(body) })
  const login = await post('/auth/login', ADMIN)
  const { access_token, refresh_token } = (await login.json()) as Record<string, string>
  const bearer = { authorization: `Bearer ${access_token}` }
  const key = (await (await post('/auth/keys', { name: canary, scopes: ['items:read'] }, bearer)).json()) as {
    key: string
  }
  const requests = [
    server.fetch('/api/items', { headers: { 'x-api-key': key.key } }),
    server.fetch('/api/items', { headers: { 'x-api-key': `${key.key}${canary}` } }),
    server.fetch(`/api/items?filter=${canary}&access_token=${canary}`),
    server.fetch(`/${canary}/%0a%22,%22level%22:%22error`),
    server.fetch('/api/items', { headers: { authorization: `Bearer ${canary}` } }),
    server.fetch('/api/items', { headers: { authorization: `Basic ${btoa(`${canary}:${canary}`)}` } }),
    server.fetch('/api/items', { headers: { cookie: canary, 'user-agent': canary, referer: canary } }),
    server.fetch('/api/items', { headers: { 'x-forwarded-for': canary, traceparent: canary } }),
    server.fetch('/api/items', { headers: { 'x-request-id': canary, forwarded: `for=${canary}` } }),
    server.fetch('/api/items', { method: canary.toUpperCase() }),
    post('/auth/login', { email: `${canary}@example.com`, password: canary }),
    post('/auth/login', { email: canary, [canary]: canary }),
    post('/auth/refresh', { refresh_token }),
    post('/auth/refresh', { refresh_token: canary }),
    post('/auth/register', { email: `${canary}@example.com`, password: `${canary}\n` }),
    post('/api/items', { name: `${canary}\n\u2028"}{` }),
    post('/api/items', { [canary]: canary }),
  ]
  await Promise.allSettled(requests)
  const last = await server.fetch('/')
  await lineOf(last.headers.get('x-request-id'))
  const log = server.log().join('\n')
  const secrets = [canary, canary.toUpperCase(), ADMIN.password, access_token, refresh_token, key.key]
  for (const secret of secrets) expect(log).not.toContain(secret as string)
  expect(requestLines().length).toBeGreaterThan(requests.length)
})

test('the last lines are there after a normal end, and none of a health check that went well', async () => {
  const own = await startServer({ resources: RESOURCES })
  await own.fetch('/health/ready')
  const ids = await Promise.all(
    Array.from({ length: 40 }, async () => (await own.fetch('/api/items')).headers.get('x-request-id')),
  )
  expect(await own.stop()).toBe(0)
  const logged = requestLines(own.log()).map((line) => line['request_id'])
  expect(logged.toSorted()).toEqual(ids.toSorted())
})
