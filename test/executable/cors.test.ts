// Calls from pages of other origins on the built executable: by the headers, and by a browser that obeys them.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { hasBrowser, openBrowser, type Visit } from '../support/browser.ts'
import { rawRequest, startServer, type RunningServer } from '../support/executable.ts'
import { startHostileProvider, type HostileProvider } from '../support/hostile-provider.ts'
import { freePort, startSignIn } from '../support/sign-in.ts'
import { ADMIN, basic, post } from '../support/world.ts'

const APP = 'https://app.example.com'
const ASK = { 'access-control-request-method': 'PATCH', 'access-control-request-headers': 'authorization' }
const TEST_TIMEOUT_MS = 30_000

const grantOf = ({ headers }: Response) => headers.get('access-control-allow-origin')

describe('origins that are listed', () => {
  let server: RunningServer
  beforeAll(async () => {
    server = await startServer({
      resources: {
        'broken.ts': `
          import { defineResource, t } from 'hipflask'
          export default defineResource({
            name: 'broken',
            schema: t.Object({ name: t.String() }),
            access: { list: () => { throw new Error('rule') }, create: () => true },
          })`,
      },
      env: {
        HIPFLASK_CORS_ORIGINS: `${APP}, http://other.example:8080`,
        HIPFLASK_ALLOWED_HOSTS: '127.0.0.1',
        HIPFLASK_RATE_LIMIT: '20/1h',
        HIPFLASK_TRUST_PROXY: 'loopback',
      },
    })
  })
  afterAll(() => server?.stop())

  test.each([
    [200, '/', {}],
    [200, '/health/live', {}],
    [200, '/swagger/json', {}],
    [404, '/nowhere', {}],
    [401, '/api/broken', { authorization: 'Bearer wrong' }],
    [400, '/api/broken', { authorization: 'Bearer a', 'x-api-key': 'b' }],
    [406, '/health/live', { accept: 'image/png' }],
    [405, '/api/broken', { method: 'DELETE' }],
    [204, '/api/broken', { method: 'OPTIONS' }],
    [415, '/api/broken', { method: 'POST', 'content-type': 'text/plain' }],
    [500, '/api/broken', {}],
    [400, '/api/%zz', {}],
    [414, `/${'a'.repeat(8200)}`, {}],
  ] as [number, string, Record<string, string>][])(
    'are named in a %p of %s with %p, and no other is',
    async (status, path, { method = 'GET', ...headers }) => {
      for (const [origin, grant] of [
        [APP, APP],
        ['http://other.example:8080', 'http://other.example:8080'],
        ['https://evil.example', null],
        ['null', null],
        ['http://localhost:3000', null],
      ] as const) {
        const init = { method, headers: { ...headers, origin, 'x-forwarded-for': `192.0.2.${status % 256}` } }
        const body = method === 'POST' ? { body: 'x' } : {}
        const response = await server.fetch(path, { ...init, ...body })
        expect([origin, response.status, grantOf(response)]).toEqual([origin, status, grant])
        expect(response.headers.get('vary')).toContain('Origin')
        expect(response.headers.get('access-control-allow-credentials')).toBeNull()
        const exposed = response.headers.get('access-control-expose-headers')
        if (grant === null) expect(exposed).toBeNull()
        else
          expect(exposed?.split(', ')).toEqual(expect.arrayContaining(['ETag', 'RateLimit', 'X-Request-Id']))
      }
    },
  )

  test('are named where the request is refused for its host or its number', async () => {
    const answer = await rawRequest(
      server.url,
      `GET / HTTP/1.1\r\nhost: other.example\r\norigin: ${APP}\r\nconnection: close\r\n\r\n`,
    )
    expect(answer).toStartWith('HTTP/1.1 421')
    expect(answer.toLowerCase()).toContain(`\r\naccess-control-allow-origin: ${APP}\r\n`)
    const headers = { origin: APP, 'x-forwarded-for': '192.0.2.250' }
    for (let at = 0; at < 20; at++) await server.fetch('/', { headers })
    const refused = await server.fetch('/', { headers })
    expect([refused.status, grantOf(refused)]).toEqual([429, APP])
    // What a browser asks first is neither refused nor counted, and needs no credential.
    for (const path of ['/api/broken', '/nowhere', '/auth/me']) {
      const asked = await server.fetch(path, { method: 'OPTIONS', headers: { ...headers, ...ASK } })
      expect([path, asked.status, grantOf(asked)]).toEqual([path, 204, APP])
      expect(asked.headers.get('ratelimit')).toBeNull()
    }
  })

  test('vary by origin also for who sends none', async () => {
    const response = await server.fetch('/', { headers: { 'x-forwarded-for': '192.0.2.251' } })
    expect([grantOf(response), response.headers.get('vary')]).toEqual([null, 'Accept, Authorization, Origin'])
    const asset = await server.fetch('/swagger/init.js', { headers: { 'x-forwarded-for': '192.0.2.251' } })
    expect(asset.headers.get('vary')).toContain('Origin')
  })

  test('are told what a page may send', async () => {
    const headers = { origin: APP, ...ASK, 'access-control-request-private-network': 'true' }
    const response = await server.fetch('/api/broken/1', { method: 'OPTIONS', headers })
    expect([response.status, await response.text()]).toEqual([204, ''])
    const told = [...response.headers].filter(([name]) => name.startsWith('access-control-'))
    expect(Object.fromEntries(told)).toEqual({
      'access-control-allow-origin': APP,
      'access-control-allow-methods': 'GET, HEAD, POST, PUT, PATCH, DELETE',
      'access-control-allow-headers':
        'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, X-API-Key, *',
      'access-control-max-age': '7200',
      'access-control-expose-headers': expect.any(String),
    })
  })

  test('others are told nothing', async () => {
    for (const origin of ['https://evil.example', 'null', `${APP}.evil.example`, `${APP}:444`]) {
      const headers = { origin, ...ASK, 'x-forwarded-for': '192.0.2.252' }
      const response = await server.fetch('/api/broken', { method: 'OPTIONS', headers })
      expect([...response.headers.keys()].filter((name) => name.startsWith('access-control-'))).toEqual([])
      expect(response.headers.get('allow')).toBe('GET, HEAD, OPTIONS, POST')
    }
  })
})

test.each([
  ['development', 'http://localhost:5173', 'http://localhost:5173'],
  ['development', 'http://127.0.0.1:80', 'http://127.0.0.1:80'],
  ['development', 'http://[::1]:1', 'http://[::1]:1'],
  ['development', 'https://app.example.com', null],
  ['development', 'null', null],
  ['staging', 'http://localhost:5173', null],
  ['production', 'http://localhost:5173', null],
])('in %s unless said otherwise %s gets %p', async (env, origin, grant) => {
  await using server = await startServer({ env: { HIPFLASK_ENV: env, HIPFLASK_HOST: '127.0.0.1' } })
  const response = await server.fetch('/', { headers: { origin } })
  expect(grantOf(response)).toBe(grant)
  const asked = await server.fetch('/', { method: 'OPTIONS', headers: { origin, ...ASK } })
  expect([grantOf(asked), asked.headers.has('access-control-allow-methods')]).toEqual([grant, grant !== null])
  if (env === 'development') expect(response.headers.get('vary')).toContain('Origin')
  else expect(response.headers.get('vary')).toBe('Accept, Authorization')
})

test('* lets every page call, without its browser’s credentials', async () => {
  await using server = await startServer({ env: { HIPFLASK_CORS_ORIGINS: '*' } })
  for (const origin of ['https://evil.example', 'null']) {
    const response = await server.fetch('/', { headers: { origin } })
    expect([grantOf(response), response.headers.has('access-control-allow-credentials')]).toEqual([
      '*',
      false,
    ])
  }
})

describe.if(hasBrowser())('a page in a browser', () => {
  let server: RunningServer
  let provider: HostileProvider
  let page: Bun.Server<undefined>
  let visit: Visit
  beforeAll(async () => {
    page = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: () => new Response('<!doctype html>', { headers: { 'content-type': 'text/html' } }),
    })
    provider = await startHostileProvider()
    server = await startSignIn({
      port: await freePort(),
      providers: { acme: provider.issuer },
      env: {
        HIPFLASK_CORS_ORIGINS: `http://127.0.0.1:${page.port}`,
        HIPFLASK_ADMIN_EMAIL: ADMIN.email,
        HIPFLASK_ADMIN_PASSWORD: ADMIN.password,
        HIPFLASK_RATE_LIMIT: '100/10s',
      },
    })
    await post(server, '/api/items', { name: 'Teapot', price: 20 }, basic(ADMIN.email, ADMIN.password))
    visit = await openBrowser()
  }, TEST_TIMEOUT_MS)
  afterAll(async () => {
    await visit?.close()
    await server?.stop()
    await page?.stop(true)
    await provider?.[Symbol.asyncDispose]()
  })

  /** What a page of the origin gets for a change with a credential and headers that must be asked for. */
  const change = async (origin: string) => {
    await visit.page.goto(origin)
    const { authorization } = basic(ADMIN.email, ADMIN.password)
    const init = {
      method: 'PATCH',
      headers: { authorization, 'content-type': 'application/json', 'x-anything': 'at all' },
      body: '{"price":18}',
    }
    return visit.page.evaluate(
      async (url, sent) => {
        try {
          const response = await fetch(url, sent)
          const { headers } = response
          return [response.status, headers.get('etag') !== null, headers.get('ratelimit')]
        } catch (error) {
          return (error as Error).message
        }
      },
      `${server.url}/api/items/1`,
      init,
    )
  }

  test(
    'of a listed origin changes a record, and reads the headers of the answer',
    async () => {
      expect(await change(`http://127.0.0.1:${page.port}`)).toEqual([
        200,
        true,
        expect.stringMatching(/^"default";r=\d+;t=\d+$/),
      ])
    },
    TEST_TIMEOUT_MS,
  )

  test(
    'of another origin does not',
    async () => {
      expect(await change(`http://localhost:${page.port}`)).toBe('Failed to fetch')
    },
    TEST_TIMEOUT_MS,
  )

  /** What a page of the origin gets that calls with the browser's credentials, and the cookies that are kept then. */
  const callWithCookies = async (origin: string, path: string) => {
    await visit.page.goto(origin)
    const status = await visit.page.evaluate(
      (url) =>
        fetch(url, { credentials: 'include', headers: { accept: 'application/json' } }).then(
          (response) => response.status,
          (error: Error) => error.message,
        ),
      server.url + path,
    )
    const cookies = await visit.page.browserContext().cookies()
    await visit.page.browserContext().deleteCookie(...cookies)
    return [status, cookies.map(({ name }) => name.replace(/.$/, '?'))]
  }

  test(
    'begins to link an identity from a listed origin, and sends its cookies nowhere else',
    async () => {
      const login = '/auth/oidc/acme/login'
      const listed = `http://127.0.0.1:${page.port}`
      expect(await callWithCookies(listed, login)).toEqual([200, ['hipflask_oidc_?']])
      expect(await callWithCookies(listed, '/api/items')).toEqual(['Failed to fetch', []])
      expect(await callWithCookies(`http://localhost:${page.port}`, login)).toEqual(['Failed to fetch', []])
    },
    TEST_TIMEOUT_MS,
  )
})
