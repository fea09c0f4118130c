// Bodies as they come over a socket: whole, in chunks, too large, too slow, cut off.
import { afterAll, describe, expect, spyOn, test } from 'bun:test'
import { AppError } from '../../src/core/errors.ts'
import { checkMediaType, createBodyReader } from '../../src/http/body.ts'

const LIMIT = 1000
const TIMEOUT_MS = 150
const outcomes: string[] = []
const readBody = createBodyReader({ limitBytes: LIMIT, timeoutMs: TIMEOUT_MS })
let settled = Promise.withResolvers<void>()

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  async fetch(request) {
    try {
      const bytes = await readBody(request)
      outcomes.push(`read ${bytes.byteLength}`)
      return new Response(bytes as Uint8Array<ArrayBuffer>)
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      outcomes.push(error.code)
      return new Response(error.message, { status: error.status, headers: error.headers })
    } finally {
      settled.resolve()
    }
  },
})
afterAll(() => server.stop(true))

/** Sends the parts as they are and returns the answer up to `until`, or to the end of the connection. */
async function send(parts: readonly (string | number)[], until?: string): Promise<string> {
  const answered = Promise.withResolvers<void>()
  let answer = ''
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port: server.port as number,
    socket: {
      data(_socket, data) {
        answer += data.toString()
        if (until !== undefined && answer.includes(until)) answered.resolve()
      },
      close: () => answered.resolve(),
      error: () => answered.resolve(),
    },
  })
  for (const part of parts) {
    if (typeof part === 'number') await Bun.sleep(part)
    else {
      socket.write(part)
      socket.flush()
    }
  }
  await answered.promise
  socket.end()
  return answer
}

const head = (...fields: string[]) => ['POST / HTTP/1.1', 'Host: localhost', ...fields, '', ''].join('\r\n')
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
const CHUNKED = head('Transfer-Encoding: chunked')

const readAbc = createBodyReader({ limitBytes: 3, timeoutMs: TIMEOUT_MS })

describe('createBodyReader', () => {
  const cases: [what: string, parts: (string | number)[], status: number, end: string][] = [
    ['no body', [head()], 200, '\r\n\r\n'],
    ['an empty body', [head('Content-Length: 0')], 200, '\r\n\r\n'],
    ['a body with its length', [head('Content-Length: 3'), 'abc'], 200, '\r\n\r\nabc'],
    ['a body in two packets', [head('Content-Length: 3'), 'a', 20, 'bc'], 200, '\r\n\r\nabc'],
    ['a body of the limit', [head(`Content-Length: ${LIMIT}`), 'x'.repeat(LIMIT)], 200, 'x'.repeat(LIMIT)],
    ['chunks', [CHUNKED, chunk('ab'), 20, chunk('c'), chunk('')], 200, '\r\n\r\nabc'],
    ['chunks of the limit', [CHUNKED, chunk('x'.repeat(LIMIT)), chunk('')], 200, 'x'.repeat(LIMIT)],
    ['chunks that are none', [CHUNKED, chunk('')], 200, '\r\n\r\n'],
  ]
  test.each(cases)('takes %s', async (_what, parts, status, end) => {
    const answer = await send(parts, end)
    expect(answer).toStartWith(`HTTP/1.1 ${status} `)
    expect(answer).toEndWith(end)
  })

  const refused: [what: string, parts: (string | number)[], status: number, message: string][] = [
    [
      'a length over the limit before a byte came',
      [head(`Content-Length: ${LIMIT + 1}`)],
      413,
      'maximum is 1000 bytes',
    ],
    [
      'chunks over the limit before they end',
      [CHUNKED, chunk('x'.repeat(LIMIT)), chunk('x')],
      413,
      'maximum is 1000 bytes',
    ],
    ['a body that does not come', [head('Content-Length: 3')], 408, 'did not arrive in time'],
    ['a body that does not end', [head('Content-Length: 3'), 'ab'], 408, 'did not arrive in time'],
    ['chunks that do not end', [CHUNKED, chunk('ab')], 408, 'did not arrive in time'],
    [
      'chunks that drip',
      [
        CHUNKED,
        ...Array(5)
          .fill([chunk('a'), 40])
          .flat(),
      ],
      408,
      'did not arrive in time',
    ],
  ]
  test.each(refused)('refuses %s and closes the connection', async (_what, parts, status, message) => {
    const answer = await send(parts)
    expect(answer).toStartWith(`HTTP/1.1 ${status} `)
    expect(answer.toLowerCase()).toContain('\r\nconnection: close\r\n')
    expect(answer).toContain(message)
  })

  test.each([
    ['a whole body', [head('Content-Length: 9'), 'ab']],
    ['chunks', [CHUNKED, chunk('ab')]],
  ])('answers bad_request when the client goes away within %s', async (_what, parts) => {
    settled = Promise.withResolvers()
    outcomes.length = 0
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port: server.port as number,
      socket: { data() {} },
    })
    for (const part of parts) socket.write(part)
    socket.flush()
    await Bun.sleep(20)
    socket.terminate()
    await settled.promise
    expect(outcomes).toEqual(['bad_request'])
  })

  test('takes a request that never was on a socket', async () => {
    const request = new Request('http://localhost', { method: 'POST', body: 'abc' })
    const bytes = await readAbc(request)
    expect(new TextDecoder().decode(bytes)).toBe('abc')
  })

  test('cancels a stream that is too long or too slow', async () => {
    for (const size of [4, 0]) {
      let isCancelled = false
      const body = new ReadableStream({
        start: (controller) => (size > 0 ? controller.enqueue(new Uint8Array(size)) : undefined),
        cancel: () => void (isCancelled = true),
      })
      const request = new Request('http://localhost', { method: 'POST', body })
      await expect(createBodyReader({ limitBytes: 3, timeoutMs: 10 })(request)).rejects.toBeInstanceOf(
        AppError,
      )
      expect(isCancelled).toBe(true)
    }
  })

  test('has one timer for all bodies, which keeps no process alive', async () => {
    const read = createBodyReader({ limitBytes: 3, timeoutMs: TIMEOUT_MS })
    const timed = spyOn(globalThis, 'setTimeout')
    const bodies = Array.from({ length: 10 }, () => read(post('abc')))
    for (const body of bodies) expect((await body).byteLength).toBe(3)
    const timers = timed.mock.results.map(({ value }) => value as NodeJS.Timeout)
    timed.mockRestore()
    expect(timers.map((timer) => timer.hasRef())).toEqual([false])
  })

  test('gives each body its own time', async () => {
    const read = createBodyReader({ limitBytes: 3, timeoutMs: 60 })
    const startedAt = performance.now()
    const endOf = async (body: Promise<unknown>) => {
      await expect(body).rejects.toMatchObject({ code: 'request_timeout' })
      return performance.now() - startedAt
    }
    const first = endOf(read(post(new ReadableStream())))
    await Bun.sleep(30)
    const second = endOf(read(post(new ReadableStream())))
    expect(await first).toBeGreaterThanOrEqual(60)
    expect(await first).toBeLessThan(await second)
    expect(await second).toBeGreaterThanOrEqual(90)
  })

  test('trusts no Content-Length that is smaller than the body', async () => {
    const request = new Request('http://localhost', {
      method: 'POST',
      body: 'abcd',
      headers: { 'content-length': '1' },
    })
    await expect(readAbc(request)).rejects.toMatchObject({
      code: 'payload_too_large',
    })
  })
})

describe('what bodies share', () => {
  const [ownBytes, sharedBytes, limitBytes] = [10, 50, 100]
  const createReader = () => createBodyReader({ limitBytes, timeoutMs: TIMEOUT_MS, ownBytes, sharedBytes })

  /** A body of which so many bytes are there, and that goes on until it is ended. */
  async function hold(read: (request: Request) => Promise<Uint8Array>, bytes: number) {
    let controller!: ReadableStreamDefaultController
    const stream = new ReadableStream({ start: (own) => void (controller = own) })
    const result = read(post(stream))
    controller.enqueue(new Uint8Array(bytes))
    await Bun.sleep(5)
    return { result, controller }
  }
  const sizeOf = async (body: Promise<Uint8Array>) => (await body).byteLength
  const part = (bytes: number) => post(new Blob([new Uint8Array(bytes)]).stream())

  test('one may have all of it beyond its own, and not a byte more', async () => {
    const read = createReader()
    expect(await sizeOf(read(part(ownBytes + sharedBytes)))).toBe(60)
    await expect(read(part(ownBytes + sharedBytes + 1))).rejects.toMatchObject({
      code: 'unavailable',
      headers: { Connection: 'close', 'Retry-After': '1' },
    })
  })

  test('beside one that has all of it each has its own, and not a byte more', async () => {
    const read = createReader()
    const { result, controller } = await hold(read, ownBytes + sharedBytes)
    expect(await sizeOf(read(part(ownBytes)))).toBe(ownBytes)
    await expect(read(part(ownBytes + 1))).rejects.toMatchObject({ code: 'unavailable' })
    controller.close()
    expect(await sizeOf(result)).toBe(60)
    expect(await sizeOf(read(part(ownBytes + 1)))).toBe(ownBytes + 1)
  })

  test('a length that is only claimed takes none of it', async () => {
    const read = createReader()
    const headers = { 'content-length': `${limitBytes}` }
    const claimed = read(
      new Request('http://localhost', { method: 'POST', body: new ReadableStream(), headers }),
    )
    expect(await sizeOf(read(part(ownBytes + sharedBytes)))).toBe(60)
    await expect(claimed).rejects.toMatchObject({ code: 'request_timeout' })
  })

  const ends: [how: string, end: (controller: ReadableStreamDefaultController) => void, code: unknown][] = [
    ['is complete', (controller) => controller.close(), undefined],
    ['fails', (controller) => controller.error(new Error('gone')), undefined],
    ['is too large', (controller) => controller.enqueue(new Uint8Array(limitBytes)), 'payload_too_large'],
    ['is refused', (controller) => controller.enqueue(new Uint8Array(40)), 'unavailable'],
    ['takes too long', () => {}, 'request_timeout'],
  ]
  test.each(ends)('one that %s gives all back', async (_how, end, code) => {
    const read = createReader()
    const { result, controller } = await hold(read, ownBytes + sharedBytes - 20)
    end(controller)
    const error: unknown = await result.then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect((error as AppError | undefined)?.code).toBe(code as never)
    expect(await sizeOf(read(part(ownBytes + sharedBytes)))).toBe(60)
  })

  test.each(['Content-Length: 70', 'Transfer-Encoding: chunked'])(
    'clients that go away give all back (%s)',
    async (field) => {
      const read = createBodyReader({ limitBytes, timeoutMs: 5_000, ownBytes, sharedBytes })
      const codes: unknown[] = []
      using sharing = Bun.serve({
        hostname: '127.0.0.1',
        port: 0,
        fetch: async (request) => {
          try {
            return new Response(`${(await read(request)).byteLength}`)
          } catch (error) {
            codes.push((error as AppError).code)
            return new Response()
          }
        },
      })
      const data = 'x'.repeat(40)
      for (let round = 1; round <= 5; round++) {
        const socket = await Bun.connect({
          hostname: '127.0.0.1',
          port: sharing.port as number,
          socket: { data() {} },
        })
        socket.write(head(field) + (field.startsWith('C') ? data : chunk(data)))
        socket.flush()
        await Bun.sleep(20)
        socket.terminate()
        for (let turn = 0; turn < 100 && codes.length < round; turn++) await Bun.sleep(5)
      }
      expect(codes).toEqual(Array(5).fill('bad_request'))
      expect(await sizeOf(read(part(ownBytes + sharedBytes)))).toBe(60)
    },
  )
})

function post(body: string | ReadableStream): Request {
  return new Request('http://localhost', { method: 'POST', body })
}

describe('checkMediaType', () => {
  const ALLOWED = ['application/json', 'application/merge-patch+json']
  const check = (headers: Record<string, string>) => () =>
    checkMediaType(new Request('http://x', { headers }), ALLOWED)
  const json = { 'content-type': 'application/json' }

  test.each([
    'application/json',
    'APPLICATION/Json',
    'application/merge-patch+json',
    'application/json;charset=utf-8',
    'application/json ; Charset="UTF-8"',
  ])('takes %s', (type) => expect(check({ 'content-type': type })).not.toThrow())

  test.each([
    '',
    'text/plain',
    'application/jsonx',
    'application/json, text/plain',
    'application/vnd.api+json',
    'application/json; charset=utf-16',
    'application/json; charset=latin1',
    'application/json; profile=x',
    'application/json;',
    'application/json; charset="utf-8',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
  ])('refuses %j', (type) => {
    expect(check({ 'content-type': type })).toThrow(
      'Request body must be application/json or application/merge-patch+json',
    )
  })

  test('refuses a body without a type and says what it takes', () => {
    const error = catchError(check({}))
    expect(error.code).toBe('unsupported_media_type')
    expect(error.headers).toEqual({ Accept: ALLOWED.join(', ') })
  })

  test('takes identity as an encoding and no other', () => {
    expect(check({ ...json, 'content-encoding': ' Identity' })).not.toThrow()
    for (const encoding of ['gzip', 'br', 'identity, gzip', 'x']) {
      const error = catchError(check({ ...json, 'content-encoding': encoding }))
      expect(error.code).toBe('unsupported_media_type')
      expect(error.headers).toEqual({ 'Accept-Encoding': 'identity' })
    }
  })
})

function catchError(run: () => void): AppError {
  try {
    run()
  } catch (error) {
    return error as AppError
  }
  throw new Error('Nothing was thrown')
}
