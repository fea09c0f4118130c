// HTTP itself, on the built executable: methods, paths, hosts, media types, sizes, broken JSON and broken requests.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { rawRequest } from '../support/executable.ts'
import { testCases, type Case } from '../support/cases.ts'
import { post, startWorld, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ env: { HIPFLASK_BODY_LIMIT: '64KiB' } })
  await post(world, '/api/kinds', { maybe: 1 })
})
afterAll(() => world.stop())

const named = (cases: Omit<Case, 'name'>[]): Case[] =>
  cases.map((one) => ({
    ...one,
    name: `${one.method ?? 'GET'} ${one.path.slice(0, 60)} ${JSON.stringify(one.headers ?? '')} is ${one.status}`,
  }))

describe('methods', () => {
  const list = 'GET, HEAD, OPTIONS, POST'
  const one = 'DELETE, GET, HEAD, OPTIONS, PATCH, PUT'
  testCases(
    () => world,
    named([
      { method: 'OPTIONS', path: '/api/kinds', status: 204, header: { allow: list } },
      { method: 'OPTIONS', path: '/api/kinds/1', status: 204, header: { allow: one } },
      {
        method: 'DELETE',
        path: '/api/kinds',
        status: 405,
        code: 'method_not_allowed',
        header: { allow: list },
      },
      { method: 'POST', path: '/api/kinds/1', body: {}, status: 405, header: { allow: one } },
      { method: 'PROPFIND', path: '/api/kinds', status: 405, header: { allow: list } },
      { method: 'POST', path: '/', body: {}, status: 405, header: { allow: 'GET, HEAD, OPTIONS' } },
      { method: 'GET', path: '/auth/login', status: 405, header: { allow: 'OPTIONS, POST' } },
      {
        method: 'POST',
        path: '/api/kinds/1',
        body: {},
        headers: { 'x-http-method-override': 'DELETE' },
        status: 405,
      },
      { path: '/api/kinds/1', status: 200 },
    ]),
  )

  test('HEAD answers like GET, without a body', async () => {
    for (const path of ['/api/kinds', '/api/kinds/1', '/', '/health/ready', '/api/kinds/99', '/api/notes']) {
      const [head, get] = [await world.fetch(path, { method: 'HEAD' }), await world.fetch(path)]
      expect([path, head.status]).toEqual([path, get.status])
      expect(await head.text()).toBe('')
      for (const name of ['content-type', 'cache-control', 'link', 'www-authenticate']) {
        expect([path, name, head.headers.get(name)]).toEqual([path, name, get.headers.get(name)])
      }
    }
  })
})

describe('paths', () => {
  testCases(
    () => world,
    named([
      ...[
        '/nothing',
        '/api',
        '/api/',
        '/api/nothing',
        '/api/kinds/',
        '/api/kinds/1/more',
        '/API/kinds',
        '/api/Kinds',
        '/api/%6binds',
        '/api/kinds%2f1',
        '/swagger/../../etc/passwd',
        '/swagger/%2e%2e/%2e%2e/etc/passwd',
        '/.env',
        '/constructor',
        '/__proto__',
      ].map((path) => ({ path, status: 404, code: 'not_found' })),
      { path: '/api/kinds/%zz', status: 400, code: 'bad_request' },
      { path: '/api/kinds/%ff', status: 400 },
      { path: `/api/kinds?x=${'a'.repeat(8192 - 13)}`, status: 414, code: 'uri_too_long' },
      { path: `/${'a'.repeat(8190)}`, status: 404 },
      { path: `/${'a'.repeat(8191)}`, status: 414 },
    ]),
  )
})

test('a doubled slash is another path', async () => {
  const answer = await rawRequest(
    world.url,
    'GET //api/kinds HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  )
  expect(answer).toStartWith('HTTP/1.1 404 ')
})

describe('query parameters of a list', () => {
  testCases(
    () => world,
    named([
      { path: '/api/kinds?page=1&limit=5', status: 200 },
      ...[
        'page=0',
        'page=-1',
        'page=1.5',
        'page=01',
        'page=+1',
        'page=1e1',
        'page=abc',
        'page=',
        'page',
        'limit=0',
        'limit=6',
        'limit=1000000000',
        'other=1',
        'page=1&page=1',
        'page%5B%5D=1',
        'PAGE=1',
        'page=%zz',
        'page=1%00',
        "page=1'--",
      ].map((query) => ({ path: `/api/kinds?${query}`, status: 400, code: 'bad_request' })),
      { path: '/api/kinds?page=20000&limit=5', status: 200, has: ['"data":[]'] },
      { path: '/api/kinds?page=20001&limit=5', status: 400, has: ['"field":"page"'] },
      { path: '/api/kinds/1?x=1', status: 400, has: ['"field":"x"'] },
      { path: '/?x=1', status: 400 },
    ]),
  )
})

describe('bodies', () => {
  const body = { maybe: 1 }
  const type = (value: string) => ({ 'content-type': value })
  testCases(
    () => world,
    named([
      { method: 'POST', path: '/api/kinds', body, headers: type('application/json'), status: 201 },
      {
        method: 'POST',
        path: '/api/kinds',
        body,
        headers: type('APPLICATION/JSON;charset=utf-8'),
        status: 201,
      },
      ...[
        'text/plain',
        'application/xml',
        'application/x-www-form-urlencoded',
        'application/merge-patch+json',
        'application/vnd.api+json',
        'application/json; charset=utf-16',
        'application/jsonx',
        '',
      ].map((value) => ({
        method: 'POST',
        path: '/api/kinds',
        body,
        headers: type(value),
        status: 415,
        code: 'unsupported_media_type',
      })),
      { method: 'POST', path: '/api/kinds', body, headers: { 'content-encoding': 'gzip' }, status: 415 },
      { method: 'PATCH', path: '/api/kinds/1', body: {}, headers: type('text/plain'), status: 415 },
      ...[
        '',
        '{',
        '{"maybe":1}}',
        "{'maybe':1}",
        '{"maybe":01}',
        '{"maybe":NaN}',
        '\ufeff{"maybe":1}',
        '{"maybe":1,}',
        '// x\n{"maybe":1}',
        '['.repeat(65) + ']'.repeat(65),
      ].map((text) => ({
        method: 'POST',
        path: '/api/kinds',
        body: text,
        status: 400,
        code: 'malformed_json',
      })),
      {
        method: 'POST',
        path: '/api/kinds',
        body: '{"maybe":1,"maybe":2}',
        status: 400,
        code: 'validation_failed',
        has: ['"/maybe"'],
      },
      {
        method: 'POST',
        path: '/api/kinds',
        body: '{"maybe":1,"m\\u0061ybe":2}',
        status: 400,
        code: 'validation_failed',
      },
      {
        method: 'POST',
        path: '/api/kinds',
        body: '{"maybe":1,"text":"a\\u0000b"}',
        status: 400,
        code: 'validation_failed',
        has: ['"/text"'],
      },
      {
        method: 'POST',
        path: '/api/kinds',
        body: '{"maybe":1,"text":"\\ud800"}',
        status: 400,
        code: 'validation_failed',
        has: ['"/text"'],
      },
      {
        method: 'POST',
        path: '/api/kinds',
        body: '{"maybe":9007199254740992}',
        status: 400,
        code: 'validation_failed',
        has: ['"/maybe"'],
      },
      {
        method: 'POST',
        path: '/api/kinds',
        body: '{"maybe":1,"real":1e400}',
        status: 400,
        code: 'validation_failed',
        has: ['"/real"'],
      },
      {
        method: 'POST',
        path: '/api/kinds',
        body: { maybe: 1, text: 'x'.repeat(64 * 1024 - 21) },
        status: 201,
      },
      {
        method: 'POST',
        path: '/api/kinds',
        body: { maybe: 1, text: 'x'.repeat(64 * 1024 - 20) },
        status: 413,
        code: 'payload_too_large',
      },
      {
        method: 'POST',
        path: '/api/kinds',
        body: { maybe: 'canary-value' },
        status: 400,
        lacks: ['canary-value'],
      },
      {
        method: 'POST',
        path: '/auth/register',
        body: { name: 'x', email: 'canary@example', password: 'canary-password' },
        status: 400,
        lacks: ['canary'],
      },
    ]),
  )

  test('a body over the limit is refused before it is read whole, with and without Content-Length', async () => {
    for (const head of ['Content-Length: 1000000000\r\n', 'Transfer-Encoding: chunked\r\n']) {
      const chunk = head.startsWith('T') ? `10000\r\n${'x'.repeat(65536)}\r\n`.repeat(2) : 'xxxx'
      const answer = await rawRequest(
        world.url,
        `POST /api/kinds HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${head}\r\n${chunk}`,
      )
      expect(answer).toStartWith('HTTP/1.1 413 ')
      expect(answer).toContain('"code":"payload_too_large"')
    }
  })
})

describe('hosts', () => {
  const get = (path: string, ...hosts: string[]) =>
    rawRequest(
      world.url,
      `GET ${path} HTTP/1.1\r\n${hosts.map((host) => `Host: ${host}\r\n`).join('')}Connection: close\r\n\r\n`,
    )

  for (const host of [
    'x',
    'ab',
    'a.b',
    'api',
    'localhost:1',
    '127.0.0.1',
    '[::1]:3000',
    'UPPER.example',
    'a_b',
    'xn--nxasmq6b.example.',
  ]) {
    test(`Host: ${host} is served`, async () => {
      expect(await get('/api/kinds/1', host)).toStartWith('HTTP/1.1 200 ')
      expect(await get('/zzz/api/kinds/1', host)).toStartWith('HTTP/1.1 404 ')
    })
  }
  for (const host of [
    'x/api',
    'a?b',
    'a#b',
    'u@a',
    'a b',
    '',
    'a:b',
    '[::1',
    'a\\b',
    '<script>',
    'é.example',
  ]) {
    test(`Host: ${host} is 400`, async () => {
      expect(await get('/kinds/1', host)).toStartWith('HTTP/1.1 400 ')
    })
  }
  test('two Host lines or none are 400', async () => {
    expect(await get('/api/kinds/1', 'a', 'b')).toStartWith('HTTP/1.1 400 ')
    expect(await get('/api/kinds/1')).toStartWith('HTTP/1.1 400 ')
  })
  test('links are never built from it', async () => {
    expect(await get('/api/kinds', 'canary.example')).not.toContain('canary')
    expect(await get('/', 'canary.example')).not.toContain('canary')
  })
})

describe('what the parser refuses', () => {
  const requests: [string, string][] = [
    [
      'Content-Length and Transfer-Encoding',
      'POST /api/kinds HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    [
      'two Content-Lengths',
      'POST /api/kinds HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nxxxxx',
    ],
    ['a folded header', 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n'],
    ['a header without colon', 'GET / HTTP/1.1\r\nHost: a\r\nnonsense\r\n\r\n'],
    ['a NUL', 'GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n'],
    ['long headers', `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${'b'.repeat(20000)}\r\n\r\n`],
  ]
  for (const [what, bytes] of requests) {
    test(`${what}: 400 or 431 and closed`, async () => {
      expect(await rawRequest(world.url, bytes)).toMatch(/^HTTP\/1\.1 (400|431) /)
    })
  }
})

describe('headers of every answer', () => {
  const paths = [
    '/',
    '/api/kinds',
    '/api/kinds/1',
    '/nothing',
    '/health/live',
    '/api/kinds/abc',
    '/swagger',
    '/swagger/json',
  ]
  for (const path of paths) {
    test(`GET ${path}`, async () => {
      const { headers } = await world.fetch(path)
      expect(headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/)
      expect(headers.get('x-content-type-options')).toBe('nosniff')
      expect(headers.get('cache-control')).toBeTruthy()
      expect(headers.get('access-control-allow-origin')).toBeNull()
      expect(headers.get('server')).toBeNull()
    })
  }

  test('records are private, no-cache; /auth is no-store, its errors too', async () => {
    expect((await world.fetch('/api/kinds/1')).headers.get('cache-control')).toBe('private, no-cache')
    expect((await world.fetch('/auth/me')).headers.get('cache-control')).toBe('no-store')
    expect(
      (await world.fetch('/auth/me', { headers: world.credentials.ada! })).headers.get('cache-control'),
    ).toBe('no-store')
  })

  test('a JSON answer has at most six of ours', async () => {
    const { headers } = await world.fetch('/api/kinds/1')
    const ours = [...headers.keys()].filter(
      (name) => !['date', 'content-length', 'connection', 'keep-alive'].includes(name),
    )
    expect(ours.length).toBeLessThanOrEqual(6)
  })
})

describe('negotiation', () => {
  const accept = (value: string) => ({ accept: value })
  testCases(
    () => world,
    named([
      ...[
        '*/*',
        'application/*',
        'application/json',
        'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
        'application/json;q=0.1',
        'nonsense',
      ].map((value) => ({
        path: '/api/kinds/1',
        headers: accept(value),
        status: 200,
        header: { 'content-type': /^application\/json/ },
      })),
      ...['image/png', 'application/json;q=0', 'text/html'].map((value) => ({
        path: '/api/kinds/1',
        headers: accept(value),
        status: 406,
        code: 'not_acceptable',
      })),
      {
        path: '/nothing',
        headers: accept('application/problem+json'),
        status: 404,
        has: ['"status":404', '"code":"not_found"', '"type"', '"title"'],
        header: { 'content-type': 'application/problem+json' },
      },
      {
        path: '/',
        headers: accept('text/html,*/*;q=0.8'),
        status: 200,
        has: ['<!doctype html>'],
        header: { 'content-type': /^text\/html/, 'content-security-policy': /default-src 'none'/ },
      },
      { path: '/', status: 200, has: ['"name":"hipflask"'] },
    ]),
  )
})
