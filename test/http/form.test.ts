import { describe, expect, test } from 'bun:test'
import { AppError } from '../../src/core/errors.ts'
import { decodeForm, formBody } from '../../src/http/form.ts'
import { OAuthError } from '../../src/http/oauth-errors.ts'
import { json, route } from '../../src/http/route.ts'
import { everyone, signedIn, t } from '../../src/sdk.ts'
import { createSender } from '../support/requests.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const many = (count: number) => Array.from({ length: count }, (_, at) => `p${at}=x`).join('&')

describe('decodeForm', () => {
  test.each<[string, string, Record<string, string>]>([
    ['nothing', '', {}],
    ['parameters', 'a=1&b=2', { a: '1', b: '2' }],
    ['spaces as + and %20', 'a=x+y%20z', { a: 'x y z' }],
    ['what is escaped', 'a=%2B%26%3D%25', { a: '+&=%' }],
    ['an escaped name', '%61=1', { a: '1' }],
    ['a value with =', 'a=b=c', { a: 'b=c' }],
    ['no parameter between &', '&a=1&&b=2&', { a: '1', b: '2' }],
    ['text beyond ASCII, escaped or not', 'a=%C3%A9&b=\u00e9', { a: '\u00e9', b: '\u00e9' }],
    ['no value as no parameter', 'a=&b', {}],
    [
      'names of an object as any other',
      '__proto__=1&constructor=2',
      { ['__proto__']: '1', constructor: '2' },
    ],
    [
      '100 parameters',
      many(100),
      Object.fromEntries(
        many(100)
          .split('&')
          .map((one) => one.split('=')),
      ),
    ],
  ])('takes %s', (_, text, expected) => {
    expect([...decodeForm(bytes(text))]).toEqual(Object.entries(expected))
  })

  test.each<[string, Uint8Array]>([
    ['a parameter twice', bytes('a=1&a=1')],
    ['a parameter twice, then without a value', bytes('a=1&a=')],
    ['a parameter twice, first without a value', bytes('a=&a=1')],
    ['a parameter twice by two spellings', bytes('a=1&%61=2')],
    ['101 parameters', bytes(many(101))],
    ['NUL in a value', bytes('a=x%00')],
    ['NUL in a name', bytes('a%00=x')],
    ['half an escape', bytes('a=%4')],
    ['an escape of no digits', bytes('a=%zz')],
    ['an escape that is not UTF-8', bytes('a=%FF')],
    ['an escaped surrogate', bytes('a=%ED%A0%80')],
    ['bytes that are not UTF-8', Uint8Array.of(0x61, 0x3d, 0xff)],
  ])('refuses %s', (_, body) => {
    expect(() => decodeForm(body)).toThrow(AppError)
  })

  test('takes a body of 1 MiB of parameters in no time', () => {
    const started = performance.now()
    expect(() => decodeForm(bytes('a&'.repeat(1 << 19)))).toThrow(AppError)
    expect(performance.now() - started).toBeLessThan(1000)
  })
})

describe('a route with a form and the errors of OAuth', () => {
  let fault: unknown
  const send = createSender([
    route({
      method: 'POST',
      path: '/auth/token',
      operationId: 'token',
      summary: 'Token',
      tag: 'Accounts',
      access: everyone(),
      errorShape: 'oauth',
      noStore: true,
      body: formBody(t.Object({}), {}),
      responses: { 200: json('What came', t.Object({ a: t.Optional(t.String()) })) },
      handler({ body }) {
        if (fault !== undefined) throw fault
        return Object.fromEntries(body)
      },
    }),
    route({
      method: 'POST',
      path: '/auth/introspect',
      operationId: 'introspect',
      summary: 'Introspect',
      tag: 'Accounts',
      access: signedIn(),
      errorShape: 'oauth',
      responses: { 200: { description: 'Done' } },
      handler: ({ reply }) => reply(200, undefined),
    }),
  ])
  const TYPE = 'application/x-www-form-urlencoded'
  const post = (body: string, headers: Record<string, string> = {}, path = '/auth/token') =>
    send(path, { method: 'POST', headers: { 'content-type': TYPE, ...headers }, body })

  test.each([TYPE, `${TYPE};charset=UTF-8`, TYPE.toUpperCase()])('takes %s', async (type) => {
    fault = undefined
    const response = await post('a=1', { 'content-type': type })
    expect({ status: response.status, body: await response.json() }).toEqual({
      status: 200,
      body: { a: '1' },
    })
  })

  const cases: [string, Promise<Response> | (() => Promise<Response>), number, string][] = [
    ['another method', () => send('/auth/token'), 405, 'invalid_request'],
    ['JSON', () => post('{}', { 'content-type': 'application/json' }), 415, 'invalid_request'],
    ['no media type', () => post('a=1', { 'content-type': '' }), 415, 'invalid_request'],
    ['a compressed form', () => post('a=1', { 'content-encoding': 'gzip' }), 415, 'invalid_request'],
    ['a form too large', () => post('x'.repeat((1 << 20) + 1)), 413, 'invalid_request'],
    ['a repeated parameter', () => post('a=1&a=1'), 400, 'invalid_request'],
    ['a query', () => post('a=1', {}, '/auth/token?a=1'), 400, 'invalid_request'],
    ['an answer of another type', () => post('a=1', { accept: 'text/html' }), 406, 'invalid_request'],
    ['a wrong credential', () => post('a=1', { authorization: 'Bearer x' }), 401, 'invalid_token'],
    ['no credential', () => post('', {}, '/auth/introspect'), 401, 'invalid_client'],
  ]
  test.each(cases)('refuses %s', async (_, request, status, error) => {
    fault = undefined
    const response = await (typeof request === 'function' ? request() : request)
    expect(response.headers.get('content-type')).toBe('application/json;charset=utf-8')
    expect({ status: response.status, body: await response.json() }).toEqual({
      status,
      body: { error, error_description: expect.stringMatching(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/) },
    })
    expect(response.headers.has('www-authenticate')).toBe(status === 401)
    expect(response.headers.has('allow')).toBe(status === 405)
  })

  test.each<[string, () => unknown, number, string, string | null]>([
    [
      'a limit',
      () => new AppError('rate_limited', { headers: { 'retry-after': '7' } }),
      429,
      'temporarily_unavailable',
      '7',
    ],
    [
      'too much work',
      () => new AppError('unavailable', { headers: { 'retry-after': '1' } }),
      503,
      'temporarily_unavailable',
      '1',
    ],
    ['a right too few', () => new AppError('forbidden'), 403, 'insufficient_scope', null],
    ['a bug', () => new Error('canary'), 500, 'server_error', null],
    ['a text that is thrown', () => 'canary', 500, 'server_error', null],
    ['a grant', () => new OAuthError('invalid_grant', 'Nope'), 400, 'invalid_grant', null],
    ['a client', () => new OAuthError('invalid_client', 'Nope'), 401, 'invalid_client', null],
  ])('answers %s', async (_, thrown, status, error, retryAfter) => {
    fault = thrown()
    const response = await post('a=1', { accept: 'application/problem+json, application/json' })
    const text = await response.text()
    expect({ status: response.status, error: JSON.parse(text).error }).toEqual({ status, error })
    expect(response.headers.get('retry-after')).toBe(retryAfter)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('content-type')).toBe('application/json;charset=utf-8')
    expect(text).not.toContain('canary')
  })
})
