import { describe, expect, test } from 'bun:test'
import { createCors, type CorsOrigins } from '../../src/http/cors.ts'

function answerTo(origin: string | null, origins: CorsOrigins, path = '/api/items'): Promise<Response> {
  const handle = createCors(origins)!.granting(() => new Response('{}', { status: 500 }))
  const headers: Record<string, string> = origin === null ? {} : { origin }
  return Promise.resolve(handle(new Request(`https://api.example.com${path}`, { headers })))
}

async function grantOf(origin: string | null, origins: CorsOrigins): Promise<string | null> {
  return (await answerTo(origin, origins)).headers.get('access-control-allow-origin')
}

test('off: there is nothing to do', () => {
  expect(createCors('off')).toBeUndefined()
})

const LISTED = ['https://app.example.com', 'http://app.example.com:8080', 'capacitor://localhost']

test.each(LISTED)('%s is listed', async (origin) => {
  expect(await grantOf(origin, LISTED)).toBe(origin)
})

test.each([
  null,
  '',
  'null',
  'http://app.example.com',
  'https://app.example.com:8443',
  'https://app.example.com:443',
  'https://app.example.com/',
  'https://APP.example.com',
  'https://app.example.com.evil.example',
  'https://evil-app.example.com',
  'https://sub.app.example.com',
  'https://app.example.com, https://app.example.com',
  'https://app.example.com https://evil.example',
  'app.example.com',
  '*',
  'loopback',
  'http://localhost',
  'http://localhost:3000',
  'https://localhost',
  '__proto__',
])('%p is not listed', async (origin) => {
  expect(await grantOf(origin, LISTED)).toBeNull()
})

test.each([
  'http://localhost',
  'http://localhost:5173',
  'https://localhost:8443',
  'http://shop.localhost:3000',
  'http://127.0.0.1:65535',
  'http://127.1.2.3',
  'http://[::1]:4200',
])('%s is loopback', async (origin) => {
  expect(await grantOf(origin, ['loopback'])).toBe(origin)
})

test.each([
  null,
  'null',
  'loopback',
  'http://localhost.evil.example',
  'http://evillocalhost',
  'http://127.0.0.1.evil.example',
  'http://127.0.0.1@evil.example',
  'http://127.0.0.1:80@evil.example',
  'http://128.0.0.1',
  'http://0.0.0.0:3000',
  'http://[::2]',
  'http://192.168.0.1',
  'http://localhost:123456',
  'http://localhost:',
  'ftp://localhost',
  'file://',
  'http://localhost\n',
])('%p is not loopback', async (origin) => {
  const handle = createCors(['loopback'])!.granting(() => new Response())
  const request = new Request('http://127.0.0.1/')
  // Some could not be set as a header.
  const headers = { get: () => origin } as unknown as Headers
  const response = await handle(Object.defineProperty(request, 'headers', { value: headers }))
  expect(response.headers.get('access-control-allow-origin')).toBeNull()
})

test('*: any origin, which is not told back', async () => {
  expect(await grantOf('https://evil.example', '*')).toBe('*')
  expect(await grantOf('null', '*')).toBe('*')
  expect(await grantOf(null, '*')).toBeNull()
})

describe('a browser may send its credentials', () => {
  const SIGN_IN = '/auth/oidc/acme/login?link=true'
  const credentialsOf = async (origin: string, origins: CorsOrigins, path: string) =>
    (await answerTo(origin, origins, path)).headers.get('access-control-allow-credentials')

  test('from a listed origin to where a sign-in begins', async () => {
    expect(await credentialsOf(LISTED[0]!, LISTED, SIGN_IN)).toBe('true')
    expect(await credentialsOf(LISTED[0]!, LISTED, '/auth/oidc/acme/login')).toBe('true')
  })

  test.each([
    [LISTED[0]!, LISTED, '/api/items'],
    [LISTED[0]!, LISTED, '/auth/oidc/acme/callback'],
    [LISTED[0]!, LISTED, '/auth/oidc/acme/login/x'],
    [LISTED[0]!, LISTED, '/api/items?q=/auth/oidc/acme/login'],
    ['https://evil.example', LISTED, SIGN_IN],
    ['https://evil.example', '*', SIGN_IN],
    ['http://localhost:3000', ['loopback'], SIGN_IN],
    ['http://localhost:3000', [...LISTED, 'loopback'], SIGN_IN],
  ] as const)('not from %s, allowed %p, to %s', async (origin, origins, path) => {
    expect(await credentialsOf(origin, origins, path)).toBeNull()
  })
})

describe('a preflight', () => {
  const isPreflight = (method: string, headers: Record<string, string>) =>
    createCors(LISTED)!.isPreflight(new Request('http://127.0.0.1/api/items', { method, headers }))
  const origin = LISTED[0]!
  const ask = { 'access-control-request-method': 'PUT' }

  test.each([
    ['OPTIONS', { origin, ...ask }, true],
    ['OPTIONS', { origin }, false],
    ['OPTIONS', ask, false],
    ['GET', { origin, ...ask }, false],
    ['POST', { origin, ...ask }, false],
    ['OPTIONS', { origin: 'https://evil.example', ...ask }, false],
    ['OPTIONS', { origin: 'null', ...ask }, false],
  ] as [string, Record<string, string>, boolean][])('%s %p: %p', (method, headers, expected) => {
    expect(isPreflight(method, headers)).toBe(expected)
  })
})
