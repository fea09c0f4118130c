// The limit of requests on the built executable: who is counted as one, what no spelling gets around, and what is told.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { rawRequest, runCommand, startServer, type RunningServer } from '../support/executable.ts'
import { basic, post } from '../support/world.ts'

const ITEMS = '/api/items'
const PASSWORD = 'correct horse battery staple'
const LIMIT = 6
/** So slow that nothing comes back while a test runs. */
const ENV = { HIPFLASK_RATE_LIMIT: `${LIMIT}/1h`, HIPFLASK_TRUST_PROXY: 'loopback' }

let networks = 0
/** The address of a client in a network that no other test has, as a proxy hands it on. */
const freshAddress = () => `198.51.100.${++networks}`
const from = (address: string) => ({ 'x-forwarded-for': address })

let server: RunningServer
beforeAll(async () => {
  server = await startServer({ env: ENV })
})
afterAll(() => server?.stop())

const useUp = async (address: string, count = LIMIT) => {
  for (let at = 0; at < count; at++) {
    const response = await server.fetch(ITEMS, { headers: from(address) })
    if (response.status === 429) return
    await response.arrayBuffer()
  }
}

/** The credential headers of a new account. */
const signUp = async (name: string): Promise<{ authorization: string }> => {
  const account = { email: `${name}@example.com`, password: PASSWORD }
  await post(server, '/auth/register', { name, ...account }, from(freshAddress()))
  const { access_token: token } = await post(server, '/auth/login', account, from(freshAddress()))
  return { authorization: `Bearer ${token as string}` }
}

describe('what is told', () => {
  test('every answer says what there may be and what is left, the refused ones also when to come again', async () => {
    const headers = from(freshAddress())
    const told: unknown[] = []
    for (let at = 0; at <= LIMIT; at++) {
      const response = await server.fetch(at % 2 === 0 ? ITEMS : '/nowhere', { headers })
      expect(response.headers.get('ratelimit-policy')).toBe(`"default";q=${LIMIT};w=3600`)
      const left = /^"default";r=(\d+);t=(\d+)$/.exec(response.headers.get('ratelimit') ?? '')
      expect(Number(left?.[2])).toBeWithin(1, 3601)
      told.push([response.status, Number(left?.[1])])
      const retryAfter = response.headers.get('retry-after')
      if (response.status === 429) expect(Number(retryAfter)).toBeWithin(590, 601)
      else expect(retryAfter).toBeNull()
    }
    expect(told).toEqual([
      [200, 5],
      [404, 4],
      [200, 3],
      [404, 2],
      [200, 1],
      [404, 0],
      [429, 0],
    ])
  })

  test('a refusal has the shape of every error', async () => {
    const headers = from(freshAddress())
    await useUp(headers['x-forwarded-for'])
    const plain = await server.fetch(ITEMS, { headers })
    expect(await plain.json()).toEqual({
      error: {
        status_code: 429,
        code: 'rate_limited',
        message: 'Too many requests, try again later',
        details: [],
        request_id: plain.headers.get('x-request-id'),
      },
    })
    const problem = await server.fetch(ITEMS, { headers: { ...headers, accept: 'application/problem+json' } })
    expect(problem.headers.get('content-type')).toBe('application/problem+json')
    expect(await problem.json()).toMatchObject({ status: 429, code: 'rate_limited' })
    const body = new URLSearchParams({ grant_type: 'refresh_token' })
    const oauth = await server.fetch('/auth/token', { method: 'POST', headers, body })
    expect([oauth.status, await oauth.json()]).toEqual([
      429,
      { error: 'temporarily_unavailable', error_description: 'Too many requests, try again later' },
    ])
    expect(oauth.headers.has('retry-after')).toBe(true)
  })

  test('the document tells it of all routes but those of health', async () => {
    const document = (await (
      await server.fetch('/swagger/json', { headers: from(freshAddress()) })
    ).json()) as {
      paths: Record<string, Record<string, { responses: Record<string, { headers?: object }> }>>
      components: { headers: object; responses: Record<string, { headers: object }> }
    }
    for (const [path, operations] of Object.entries(document.paths)) {
      for (const { responses } of Object.values(operations)) {
        const isLimited = !path.startsWith('/health/')
        expect([path, '429' in responses]).toEqual([path, isLimited])
        const success = Object.entries(responses).find(([status]) => status < '400')?.[1]
        expect([path, 'RateLimit' in (success?.headers ?? {})]).toEqual([path, isLimited])
      }
    }
    expect(document.components.headers).toHaveProperty('RateLimitPolicy')
    expect(document.components.responses['TooManyRequests']?.headers).toHaveProperty('Retry-After')
  })
})

test('health is never limited', async () => {
  const headers = from(freshAddress())
  await useUp(headers['x-forwarded-for'])
  for (const path of ['/health/live', '/health/ready']) {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'GET', 'GET', 'GET', 'GET']) {
      const response = await server.fetch(path, { method, headers })
      expect([method, response.status < 300]).toEqual([method, true])
      expect(response.headers.get('ratelimit')).toBeNull()
    }
  }
  expect((await server.fetch('/health/live', { method: 'POST', headers })).status).toBe(405)
  expect((await server.fetch('/HEALTH/live', { headers })).status).toBe(429)
})

describe('what is one network', () => {
  test.each([
    ['its own address again', '203.0.113.1', '203.0.113.1', true],
    ['an IPv4 address next to it', '203.0.113.3', '203.0.113.4', false],
    ['the same with a port', '203.0.113.5', '203.0.113.5:4711', true],
    ['the same in the clothes of IPv6', '203.0.113.6', '::ffff:203.0.113.6', true],
    ['the same in hexadecimal', '203.0.113.7', '::FFFF:cb00:7107', true],
    ['another address of the /64', '2001:db8:1::1', '2001:db8:1:0:ffff::1', true],
    ['another spelling', '2001:db8:2::1', '[2001:0DB8:0002:0:0:0:0:1]:443', true],
    ['another /64', '2001:db8:3::1', '2001:db8:3:1::1', false],
    ['what the client made up left of it', '203.0.113.8', '192.0.2.99, 203.0.113.8', true],
    ['the same behind a second proxy', '203.0.113.9', '203.0.113.9, 127.0.0.1', true],
    ['what the client made up right of a proxy', '203.0.113.10', '203.0.113.10, 203.0.113.11', false],
  ])('%s', async (_, one, other, isOne) => {
    await useUp(one)
    expect((await server.fetch(ITEMS, { headers: from(one) })).status).toBe(429)
    expect((await server.fetch(ITEMS, { headers: from(other) })).status).toBe(isOne ? 429 : 200)
  })
})

describe('without a trusted proxy', () => {
  let direct: RunningServer
  beforeAll(async () => {
    direct = await startServer({ env: { HIPFLASK_RATE_LIMIT: `${LIMIT}/1h` } })
    for (let at = 0; at < LIMIT; at++) expect((await direct.fetch(ITEMS)).status).toBe(200)
  })
  afterAll(() => direct?.stop())

  test.each([
    'x-forwarded-for: 192.0.2.1',
    'x-forwarded-for: ',
    'forwarded: for=192.0.2.1;proto=https',
    'x-real-ip: 192.0.2.1',
    'cf-connecting-ip: 192.0.2.1',
    'true-client-ip: 192.0.2.1',
    'x-client-ip: 192.0.2.1',
    'x-request-id: 1',
    'origin: http://localhost:3000',
    'user-agent: other',
    'cookie: session=1',
  ])('no header helps: %s', async (header) => {
    const [name = '', value = ''] = header.split(': ')
    expect((await direct.fetch(ITEMS, { headers: { [name]: value } })).status).toBe(429)
  })

  test.each([
    'GET /api/items HTTP/1.1',
    'HEAD /api/items HTTP/1.1',
    'OPTIONS /api/items HTTP/1.1',
    'POST /api/items HTTP/1.1',
    'TRACE /api/items HTTP/1.1',
    'PROPFIND /api/items HTTP/1.1',
    'GET /API/items HTTP/1.1',
    'GET //api/items HTTP/1.1',
    'GET /api//items HTTP/1.1',
    'GET /api/items/ HTTP/1.1',
    'GET /%61pi/items HTTP/1.1',
    'GET /api/%69tems HTTP/1.1',
    'GET /api/x/%2e%2e/items HTTP/1.1',
    'GET /api/x/../items HTTP/1.1',
    'GET /api/items?page=2 HTTP/1.1',
    'GET /api/items# HTTP/1.1',
    'GET http://127.0.0.1/api/items HTTP/1.1',
    'GET /health/../api/items HTTP/1.1',
    'GET /health/live/../../api/items HTTP/1.1',
    'GET /health%2flive HTTP/1.1',
    'GET / HTTP/1.1',
    'GET /swagger HTTP/1.1',
    'GET /swagger/json HTTP/1.1',
    'POST /auth/login HTTP/1.1',
    'POST /auth/token HTTP/1.1',
    'POST /auth/register HTTP/1.1',
    'GET /auth/me HTTP/1.1',
    'GET /auth/oidc HTTP/1.1',
    'GET /.well-known/jwks.json HTTP/1.1',
  ])('no spelling helps: %s', async (line) => {
    const length = line.startsWith('POST') ? 'content-length: 0\r\n' : ''
    const answer = await rawRequest(
      direct.url,
      `${line}\r\nhost: 127.0.0.1\r\n${length}connection: close\r\n\r\n`,
    )
    expect(answer).toStartWith('HTTP/1.1 429')
    expect(answer).not.toContain('"data"')
  })
})

describe('credentials', () => {
  test('wrong ones are counted for the network, and then no longer looked at', async () => {
    const address = freshAddress()
    const flo = await signUp('flo')
    const known = { headers: { ...from(address), ...flo } }
    expect((await server.fetch(ITEMS, known)).status).toBe(200)
    const wrong = [
      { authorization: 'Bearer not.a.token' },
      { authorization: `${flo.authorization.slice(0, -4)}AAAA` },
      { authorization: 'Bearer hf_0123456789_wrong' },
      { 'x-api-key': 'hf_0123456789_wrong' },
      { authorization: 'Digest x' },
      { authorization: 'Basic ?' },
    ]
    expect(wrong).toHaveLength(LIMIT)
    for (const headers of wrong) {
      const response = await server.fetch(ITEMS, { headers: { ...from(address), ...headers } })
      expect([headers, response.status]).toEqual([headers, 401])
      expect(response.headers.get('ratelimit-policy')).toContain('q=6')
    }
    const looks = () => server.log().filter((line) => /credential\.refused|login\.failed/.test(line)).length
    expect(looks()).toBe(5)
    for (const headers of [...wrong, {}]) {
      const response = await server.fetch(ITEMS, { headers: { ...from(address), ...headers } })
      expect([headers, response.status]).toEqual([headers, 429])
    }
    expect(looks()).toBe(5)
    // Who is known there is not held back, and counted alone.
    const response = await server.fetch(ITEMS, known)
    expect([response.status, response.headers.get('ratelimit')]).toEqual([
      200,
      expect.stringMatching(/^"default";r=4;/),
    ])
  })

  test('an account is counted wherever it comes from and by whichever credential, and its network is not', async () => {
    const gil = await signUp('gil')
    const address = freshAddress()
    const body = { name: 'k', scopes: ['*'] }
    const { key } = await post(server, '/auth/keys', body, { ...from(address), ...gil })
    const byKey = { 'x-api-key': key as string }
    const credentials = [
      gil,
      byKey,
      { authorization: `Bearer ${key as string}` },
      basic('gil@example.com', PASSWORD),
      gil,
    ]
    for (const credential of credentials) {
      const response = await server.fetch(ITEMS, { headers: { ...from(address), ...credential } })
      expect([credential, response.status]).toEqual([credential, 200])
    }
    for (const credential of credentials.slice(0, 3)) {
      const response = await server.fetch('/auth/me', { headers: { ...from(freshAddress()), ...credential } })
      expect([credential, response.status]).toEqual([credential, 429])
    }
    expect((await server.fetch(ITEMS, { headers: from(address) })).headers.get('ratelimit')).toStartWith(
      '"default";r=5;',
    )
  })

  test('a password that was found right within the last minute is a known one, also where its network is used up', async () => {
    const address = freshAddress()
    await signUp('hal')
    const { authorization } = basic('hal@example.com', PASSWORD)
    const headers = { ...from(address), authorization }
    expect((await server.fetch(ITEMS, { headers })).status).toBe(200)
    await useUp(address)
    expect((await server.fetch(ITEMS, { headers: from(address) })).status).toBe(429)
    const answer = await server.fetch(ITEMS, { headers })
    expect([answer.status, answer.headers.get('ratelimit')]).toEqual([
      200,
      expect.stringMatching(/^"default";r=4;/),
    ])
    // A wrong one is not looked at there, nor a right one that was not sent yet.
    const ida = await signUp('ida')
    const unknown = [basic('hal@example.com', `${PASSWORD}!`), basic('ida@example.com', PASSWORD)]
    const looks = () => server.log().filter((line) => line.includes('login.failed')).length
    const before = looks()
    for (const credential of unknown) {
      const response = await server.fetch(ITEMS, { headers: { ...from(address), ...credential } })
      expect(response.status).toBe(429)
    }
    expect(looks()).toBe(before)
    // A changed password is no longer known.
    const change = { current_password: PASSWORD, new_password: `${PASSWORD} 2` }
    const elsewhere = from(freshAddress())
    const sent = basic('ida@example.com', PASSWORD)
    expect((await server.fetch(ITEMS, { headers: { ...elsewhere, ...sent } })).status).toBe(200)
    await useUp(elsewhere['x-forwarded-for'])
    expect((await server.fetch(ITEMS, { headers: { ...elsewhere, ...sent } })).status).toBe(200)
    const changed = await server.fetch('/auth/password', {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...from(freshAddress()), ...ida },
      body: JSON.stringify(change),
    })
    expect(changed.status).toBe(204)
    expect((await server.fetch(ITEMS, { headers: { ...elsewhere, ...sent } })).status).toBe(429)
  })

  test('a body is not waited for where the request is refused', async () => {
    const address = freshAddress()
    await useUp(address)
    const answer = await rawRequest(
      server.url,
      `POST ${ITEMS} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-forwarded-for: ${address}\r\ncontent-type: application/json\r\ncontent-length: 900000\r\n\r\n{`,
    )
    expect(answer).toStartWith('HTTP/1.1 429')
  })
})

test('off, as in development, nothing is counted and nothing is told', async () => {
  await using open = await startServer()
  for (let at = 0; at < 120; at++) {
    const response = await open.fetch(ITEMS)
    expect([response.status, response.headers.get('ratelimit')]).toEqual([200, null])
  }
})

test('in production a network may make 100 requests at once unless something else is said', async () => {
  await using usual = await startServer({ env: { HIPFLASK_ENV: 'production', HIPFLASK_HOST: '127.0.0.1' } })
  const statuses: number[] = []
  const first = await usual.fetch(ITEMS)
  expect(first.headers.get('ratelimit-policy')).toBe('"default";q=100;w=10')
  const started = performance.now()
  for (let at = 0; at < 200; at++) statuses.push((await usual.fetch(ITEMS)).status)
  // Ten more come back each second.
  const most = 99 + Math.ceil((performance.now() - started) / 100)
  expect(statuses.slice(0, 99)).toEqual(Array(99).fill(200))
  expect(statuses.filter((status) => status === 200).length).toBeLessThanOrEqual(most)
  expect(statuses).toContain(429)
  const wrong = await runCommand(['config', '--rate-limit', '100'])
  expect([wrong.exitCode, wrong.stderr]).toEqual([2, expect.stringContaining('--rate-limit must be a count')])
})
