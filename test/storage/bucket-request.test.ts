import { describe, expect, test } from 'bun:test'
import { askStore, queryOf, signed } from '../../src/storage/bucket-request.ts'

// The examples of Amazon's own documentation of the signature in a header.
describe('a signature', () => {
  const keys = {
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
    region: 'us-east-1',
  }
  test.each([
    [
      '/test.txt',
      {},
      { range: 'bytes=0-9' },
      'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
    ],
    [
      '/',
      { 'max-keys': '2', prefix: 'J' },
      {},
      '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
    ],
  ])('of %s', async (path, query, headers, signature) => {
    const url = new URL(`https://examplebucket.s3.amazonaws.com${path}`)
    url.search = queryOf(query as Record<string, string>)
    const now = new Date('2013-05-24T00:00:00Z')
    const sent = await signed({ method: 'GET', url, headers, keys, now })
    expect(sent.get('authorization')).toEndWith(`Signature=${signature}`)
  })
})

describe('an answer', () => {
  const KEYS = { accessKeyId: 'name', secretAccessKey: 'secret', region: 'auto' }
  async function ask(answers: (() => Response)[], bytesMax = 10) {
    let asked = 0
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch: () => answers[Math.min(asked++, answers.length - 1)]!(),
    })
    try {
      const base = `http://127.0.0.1:${server.port}/b`
      const outcome = await askStore({ method: 'GET', base, key: 'k' }, KEYS, {
        what: 'It fails',
        good: [200],
        bytesMax,
      }).then(
        ({ bytes }) => bytes.toString(),
        (error: Error) => error.message,
      )
      return { outcome, asked }
    } finally {
      await server.stop(true)
    }
  }
  const failing = (status: number, code: string) => () =>
    new Response(`<Error><Code>${code}</Code><Message>secret</Message></Error>`, { status })
  /** Without a length, and without an end. */
  const endless = (status: number) => () =>
    new Response(
      new ReadableStream({
        async pull(controller) {
          await Bun.sleep(0)
          controller.enqueue(new Uint8Array(65_536))
        },
      }),
      { status },
    )
  const cases: [what: string, answers: (() => Response)[], outcome: string | RegExp, asked: number][] = [
    ['of as many bytes as it may have', [() => new Response('0123456789')], '0123456789', 1],
    ['of one more', [() => new Response('0123456789a')], 'It fails (its answer is longer than 10 bytes)', 1],
    ['without an end', [endless(200)], 'It fails (its answer is longer than 10 bytes)', 1],
    [
      'that refuses',
      [failing(403, 'AccessDenied')],
      /^It fails \(status 403, AccessDenied: check HIPFLASK_BACKUP_S3_ACCESS_KEY_ID and /,
      1,
    ],
    [
      'that leads elsewhere',
      [() => new Response('', { status: 307 })],
      /^It fails \(status 307: check .*REGION\)$/,
      1,
    ],
    [
      'that fails three times',
      [failing(503, 'SlowDown'), failing(500, 'X'), failing(429, 'X'), () => new Response('ok')],
      'ok',
      4,
    ],
    ['that fails four times', [failing(503, 'SlowDown')], /^It fails \(status 503, SlowDown: .*later\)$/, 4],
    ['that fails without an end', [endless(400)], 'It fails (status 400)', 1],
  ]
  test.each(cases)('%s', async (_, answers, outcome, asked) => {
    expect(await ask(answers)).toEqual({
      outcome: typeof outcome === 'string' ? outcome : (expect.stringMatching(outcome) as unknown as string),
      asked,
    })
  })

  test('that is cut short is asked for again, and then told', async () => {
    let asked = 0
    const server = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data(socket) {
          asked++
          socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n01234')
        },
      },
    })
    const base = `http://127.0.0.1:${server.port}/b`
    const failure = askStore({ method: 'GET', base, key: 'k' }, KEYS, {
      what: 'It fails',
      good: [200],
      bytesMax: 10,
    })
    expect(await failure.catch((error: Error) => error.message)).toBe('It fails (its answer was cut short)')
    expect(asked).toBe(4)
    server.stop(true)
  })

  test.each(['..', 'a/../b', './a', 'a/.'])('is not asked for with the key %s', async (key) => {
    const failure = askStore({ method: 'GET', base: 'http://127.0.0.1:1/b', key }, KEYS, {
      what: 'It fails',
      good: [200],
      bytesMax: 10,
    })
    expect(await failure.catch((error: Error) => error.message)).toContain('must not have . or ..')
  })
})
