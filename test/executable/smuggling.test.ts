// Requests that two readers could cut in different places: a proxy before the server and the server. Each hides a
// second request in what one of the two takes for a body. Whatever becomes of the first, the hidden one never runs.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { rawRequest, startServer, type RunningServer } from '../support/executable.ts'

const RESOURCES = {
  'notes.ts': `import { defineResource, everyone, signedIn, t } from 'hipflask'
export default defineResource({ name: 'notes', schema: t.Object({ text: t.String() }),
  access: { list: everyone(), create: everyone(), update: signedIn() } })`,
}
const HIDDEN_BODY = '{"text":"hidden"}'
const HIDDEN = `POST /api/notes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${HIDDEN_BODY.length}\r\n\r\n${HIDDEN_BODY}`
const BODY = '{"text":"open"}'

let server: RunningServer
beforeAll(async () => {
  server = await startServer({ resources: RESOURCES })
})
afterAll(() => server.stop('SIGKILL'))

const post = (headers: string, rest: string) =>
  `POST /api/notes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${headers}\r\n${rest}`
const chunked = (name: string, rest = `0\r\n\r\n${HIDDEN}`) => post(`${name}\r\n`, rest)
const length = (value: string, rest = BODY + HIDDEN) => post(`Content-Length: ${value}\r\n`, rest)

/** How many answers came, and whether the first is a success. */
async function send(bytes: string) {
  const received = await rawRequest(server.url, bytes)
  const statuses = [...received.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
  return { statuses, received }
}

/** How many were stored: none may be, hidden or not, where the answer says that none was. */
async function storedNotes(): Promise<number> {
  const { total_items } = (await (await server.fetch('/api/notes')).json()) as { total_items: number }
  return total_items
}

describe('is refused, and nothing more of its connection is read', () => {
  const cases: [string, string][] = [
    [
      'Content-Length and Transfer-Encoding',
      post(`Content-Length: ${5 + HIDDEN.length}\r\nTransfer-Encoding: chunked\r\n`, `0\r\n\r\n${HIDDEN}`),
    ],
    [
      'Transfer-Encoding and Content-Length',
      post('Transfer-Encoding: chunked\r\nContent-Length: 4\r\n', `5c\r\n${HIDDEN}\r\n0\r\n\r\n`),
    ],
    ['Transfer-Encoding of another name', chunked('Transfer-Encoding: xchunked')],
    ['Transfer-Encoding identity', chunked('Transfer-Encoding: identity')],
    ['chunked not last', chunked('Transfer-Encoding: chunked, identity')],
    ['chunked twice', chunked('Transfer-Encoding: chunked, chunked')],
    ['Transfer-Encoding twice', chunked('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity')],
    ['a vertical tab before chunked', chunked('Transfer-Encoding: \x0bchunked')],
    ['Transfer-Encoding with a space before the colon', chunked('Transfer-Encoding : chunked')],
    ['Transfer-Encoding folded', chunked('X: a\r\n Transfer-Encoding: chunked')],
    ['Transfer-Encoding on the next line', chunked('Transfer-Encoding:\r\n chunked')],
    ['Transfer-Encoding behind a bare CR', chunked('X: a\rTransfer-Encoding: chunked')],
    ['Content-Length twice', length(`${BODY.length}\r\nContent-Length: ${BODY.length + HIDDEN.length}`)],
    ['Content-Length with a list', length(`${BODY.length}, ${BODY.length + HIDDEN.length}`)],
    ['Content-Length with a sign', length(`+${BODY.length}`)],
    ['a negative Content-Length', length('-1')],
    ['a hexadecimal Content-Length', length('0xf')],
    ['a fraction as Content-Length', length('15.0')],
    ['letters behind the Content-Length', length('15abc')],
    ['a Content-Length beyond 64 bits', length('18446744073709551631')],
    ['a space in the Content-Length', length('1 5')],
    ['lines that end in LF alone', post(`Content-Length: ${BODY.length}\n`, BODY + HIDDEN)],
    [
      'a chunk size beyond 64 bits',
      chunked('Transfer-Encoding: chunked', `1000000000000000f\r\n${BODY}\r\n0\r\n\r\n${HIDDEN}`),
    ],
    ['a negative chunk size', chunked('Transfer-Encoding: chunked', `-f\r\n${BODY}\r\n0\r\n\r\n${HIDDEN}`)],
    ['a chunk size with 0x', chunked('Transfer-Encoding: chunked', `0xf\r\n${BODY}\r\n0\r\n\r\n${HIDDEN}`)],
    [
      'a chunk longer than its size',
      chunked('Transfer-Encoding: chunked', `e\r\n${BODY}\r\n0\r\n\r\n${HIDDEN}`),
    ],
    [
      'a chunk size that ends in LF',
      chunked('Transfer-Encoding: chunked', `f\n${BODY}\r\n0\r\n\r\n${HIDDEN}`),
    ],
    ['a chunk that ends in LF', chunked('Transfer-Encoding: chunked', `f\r\n${BODY}\n0\r\n\r\n${HIDDEN}`)],
    [
      'an extension with a bare LF',
      chunked('Transfer-Encoding: chunked', `f;a\nb\r\n${BODY}\r\n0\r\n\r\n${HIDDEN}`),
    ],
    ['a chunk without a size', chunked('Transfer-Encoding: chunked', `\r\n${BODY}\r\n0\r\n\r\n${HIDDEN}`)],
    [
      'a trailer that hides one',
      chunked('Transfer-Encoding: chunked', `f\r\n${BODY}\r\n0\r\nX: ${HIDDEN.split('\r\n')[0]}\r\n\r\n`),
    ],
    [
      'an extension that hides one',
      chunked('Transfer-Encoding: chunked', `f;${HIDDEN.split('\r\n')[0]}\r\n${BODY}\r\n0\r\n\r\n`),
    ],
    ['a NUL in a header', post(`Content-Length: ${BODY.length}\r\nX: a\0b\r\n`, BODY + HIDDEN)],
  ]
  for (const [what, bytes] of cases) {
    test(what, async () => {
      const { statuses, received } = await send(bytes)
      expect({ statuses, received }).toEqual({
        statuses: [400],
        received: expect.stringMatching(/^connection: close\r$/im),
      })
      expect(await storedNotes()).toBe(0)
    })
  }
})

describe('gets one answer, and what it hides is its body', () => {
  const whole = `${BODY.slice(0, -1)}${' '.repeat(HIDDEN.length)}`
  const cases: [string, string, number[]][] = [
    [
      'GET with a body',
      `GET /api/notes HTTP/1.1\r\nHost: a\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
      [200],
    ],
    [
      'HEAD with a body',
      `HEAD /api/notes HTTP/1.1\r\nHost: a\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
      [200],
    ],
    [
      'a body for a path that is not there',
      `POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
      [404],
    ],
    [
      'a body without a credential',
      `PATCH /api/notes/1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
      [401],
    ],
    [
      'a body of another media type',
      `POST /api/notes HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
      [415],
    ],
    ['a body that is not JSON', length(`${HIDDEN.length}`, HIDDEN), [400]],
    ['a body over the limit', length(`${2 * 1024 * 1024}`, whole + HIDDEN.repeat(100)), [413]],
    [
      'chunks over the limit',
      chunked('Transfer-Encoding: chunked', `200000\r\n${HIDDEN.repeat(16_000)}`),
      [413],
    ],
    [
      'a body that was asked for',
      post(`Content-Length: ${HIDDEN.length}\r\nExpect: 100-continue\r\n`, HIDDEN),
      [100, 400],
    ],
    [
      'an upgrade that nobody makes',
      `GET /api/notes HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
      [200],
    ],
  ]
  for (const [what, bytes, expected] of cases) {
    test(what, async () => {
      const { statuses } = await send(bytes)
      expect(statuses).toEqual(expected)
      expect(await storedNotes()).toBe(0)
    })
  }
})

test('what is hidden would run if it stood alone', async () => {
  expect((await send(HIDDEN)).statuses).toEqual([201])
  expect(await storedNotes()).toBe(1)
})
