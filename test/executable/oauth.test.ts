// The routes for OAuth clients on the built executable: every answer has the shape of the standard.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { conformanceOf } from '../support/conformance.ts'
import { rawRequest, startServer, type RunningServer } from '../support/executable.ts'
import { ADMIN, basic } from '../support/world.ts'

const FORM = 'application/x-www-form-urlencoded'
const asAdmin = { grant_type: 'password', username: ADMIN.email, password: ADMIN.password }

let server: RunningServer
beforeAll(async () => {
  server = await startServer({
    env: { HIPFLASK_ADMIN_EMAIL: ADMIN.email, HIPFLASK_ADMIN_PASSWORD: ADMIN.password },
  })
})
afterAll(() => server.stop())

const encode = (form: Record<string, string>) => new URLSearchParams(form).toString()

interface Sent {
  path?: string
  method?: string
  headers?: Record<string, string>
  body?: string
}

/** Sends it and checks the answer by the document; gives status and body. */
async function send({ path = '/auth/token', method = 'POST', headers = {}, body }: Sent) {
  const response = await server.fetch(path, {
    method,
    headers: { 'content-type': FORM, ...headers },
    ...(body === undefined ? {} : { body }),
  })
  const text = await response.text()
  const { status } = response
  const conformance = await conformanceOf(server.url)
  // What no operation describes is a method that is not there.
  if (status !== 405) {
    const exchange = { method, path, status, headers: response.headers, body: text }
    expect(conformance?.faultsOf(exchange)).toEqual([])
  }
  expect(response.headers.get('cache-control')).toBe('no-store')
  return { status, headers: response.headers, body: text === '' ? undefined : (JSON.parse(text) as any) }
}

test('a client signs in, refreshes, asks, and revokes', async () => {
  const first = (await send({ body: encode(asAdmin) })).body
  const second = (
    await send({ body: encode({ grant_type: 'refresh_token', refresh_token: first.refresh_token }) })
  ).body
  expect(second.refresh_token).not.toBe(first.refresh_token)
  const headers = { authorization: `Bearer ${second.access_token}` }
  const ask = async (token: string) =>
    (
      await send({
        path: '/auth/introspect',
        headers: basic(ADMIN.email, ADMIN.password),
        body: encode({ token }),
      })
    ).body
  expect(await ask(second.access_token)).toMatchObject({ active: true, username: ADMIN.email })
  expect(await ask(second.refresh_token)).toMatchObject({ active: true, token_type: 'refresh_token' })
  expect(await ask(first.refresh_token)).toEqual({ active: false })
  expect((await server.fetch('/auth/me', { headers })).status).toBe(200)
  const revoked = await send({ path: '/auth/revoke', body: encode({ token: second.refresh_token }) })
  expect(revoked).toMatchObject({ status: 200, body: undefined })
  expect((await server.fetch('/auth/me', { headers })).status).toBe(401)
  for (const token of [second.access_token, second.refresh_token])
    expect(await ask(token)).toEqual({ active: false })
})

describe.each(['/auth/token', '/auth/revoke', '/auth/introspect'])('%s refuses as OAuth does', (path) => {
  const credentials = path === '/auth/introspect' ? basic(ADMIN.email, ADMIN.password) : undefined
  const cases: [string, Sent, number, string][] = [
    ['GET', { method: 'GET' }, 405, 'invalid_request'],
    ['JSON', { headers: { 'content-type': 'application/json' }, body: '{}' }, 415, 'invalid_request'],
    [
      'multipart',
      { headers: { 'content-type': 'multipart/form-data; boundary=x' }, body: '--x--' },
      415,
      'invalid_request',
    ],
    ['gzip', { headers: { 'content-encoding': 'gzip' }, body: 'x' }, 415, 'invalid_request'],
    ['no form', { body: '' }, 400, 'invalid_request'],
    ['a parameter twice', { body: 'token=a&token=a&grant_type=x' }, 400, 'invalid_request'],
    ['a bad escape', { body: 'token=%zz&grant_type=x' }, 400, 'invalid_request'],
    ['1 MiB and a byte', { body: `token=${'x'.repeat(1 << 20)}` }, 413, 'invalid_request'],
    ['a query', { path: `${path}?token=x`, body: 'token=x&grant_type=x' }, 400, 'invalid_request'],
    ['an answer in XML alone', { headers: { accept: 'text/xml' }, body: 'token=x' }, 406, 'invalid_request'],
  ]
  test.each(cases)('%s', async (_, sent, status, error) => {
    const answer = await send({ path, ...sent, headers: { ...credentials, ...sent.headers } })
    expect({ status: answer.status, body: answer.body }).toEqual({
      status,
      body: { error, error_description: expect.stringMatching(/^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/) },
    })
    expect(answer.headers.get('allow')).toBe(status === 405 ? 'OPTIONS, POST' : null)
  })
})

test.each(['/auth/token', '/auth/revoke'])('%s refuses two Authorization headers', async (path) => {
  const body = encode({ ...asAdmin, token: 'x' })
  const client = 'Authorization: Basic Og=='
  const lines = [`POST ${path} HTTP/1.1`, 'Host: localhost', client, client, `Content-Type: ${FORM}`]
  const head = [...lines, `Content-Length: ${body.length}`, 'Connection: close'].join('\r\n')
  const answer = await rawRequest(server.url, `${head}\r\n\r\n${body}`)
  expect(answer).toStartWith('HTTP/1.1 400 ')
  expect(answer).toContain('"error":"invalid_request"')
})

test('a client that is none is told so by Basic', async () => {
  const answer = await send({ headers: basic('app', 'secret'), body: encode(asAdmin) })
  expect(answer).toMatchObject({ status: 401, body: { error: 'invalid_client' } })
  expect(answer.headers.get('www-authenticate')).toBe('Basic realm="hipflask", charset="UTF-8"')
})

test('a storm of wrong passwords is refused with Retry-After, in the shape of OAuth', async () => {
  const answers = await Promise.all(
    Array.from({ length: 90 }, (_, at) =>
      send({ body: encode({ ...asAdmin, username: `nobody${at}@example.com` }) }),
    ),
  )
  const refused = answers.filter(({ status }) => status !== 400)
  expect(refused.length).toBeGreaterThan(0)
  for (const { status, headers, body } of refused) {
    expect([429, 503]).toContain(status)
    expect(body.error).toBe('temporarily_unavailable')
    expect(headers.get('retry-after')).toMatch(/^\d+$/)
  }
}, 60_000)
