import { describe, expect, test } from 'bun:test'
import { createLogger, type LogFields, type LoggerOptions, type LogLevel } from '../../src/core/logger.ts'

function createSink(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = []
  const clock = () => Date.UTC(2026, 0, 2, 3, 4, 5, 6)
  const logger = createLogger({
    level: 'debug',
    format: 'json',
    write: (line) => lines.push(line),
    clock,
    ...options,
  })
  return { logger, lines }
}

function jsonOf(fields: LogFields): Record<string, unknown> {
  const { logger, lines } = createSink()
  logger.info('Message', fields)
  return JSON.parse(lines[0]!) as Record<string, unknown>
}

function prettyOf(message: string, fields: LogFields = {}): string {
  const { logger, lines } = createSink({ format: 'pretty' })
  logger.warn(message, fields)
  return lines.join('')
}

/** The first and the last of each range that a line may not have raw. */
const UNSAFE = Array.from(
  '\u0000\t\r\u001f\u007f\u0080\u0085\u009f\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff',
)

describe('a level', () => {
  const LEVELS: LogLevel[] = ['debug', 'info', 'warn', 'error']
  test.each([
    ['debug', LEVELS],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
  ] as const)('%s lets through %p', (level, expected) => {
    const { logger, lines } = createSink({ level })
    for (const one of LEVELS) logger[one]('Message')
    expect(lines.map((line) => (JSON.parse(line) as { level: LogLevel }).level)).toEqual([...expected])
  })
})

describe('JSON', () => {
  test('is one line with time, level, message and fields', () => {
    const { logger, lines } = createSink()
    logger.info('Server\nstarted', { url: 'http://127.0.0.1:3000', count: 2, text: 'a\u2028b' })
    expect(lines).toEqual([
      '{"time":"2026-01-02T03:04:05.006Z","level":"info","message":"Server\\nstarted","url":"http://127.0.0.1:3000","count":2,"text":"a\\u2028b"}\n',
    ])
  })

  test.each(UNSAFE)('escapes %p wherever it stands', (unsafe) => {
    const { logger, lines } = createSink()
    const text = `a${unsafe}b`
    logger.info(text, { [text]: text, list: [{ [text]: text }], error: new Error(text, { cause: { text } }) })
    expect(lines[0]).not.toContain(unsafe)
    expect(JSON.parse(lines[0]!)).toMatchObject({
      message: text,
      [text]: text,
      list: [{ [text]: text }],
      error: expect.stringContaining(text),
    })
  })

  test('of an Error has its stack and its causes', () => {
    const error = new Error('Outer', { cause: new Error('Inner', { cause: 'deepest' }) })
    const text = String(jsonOf({ error })['error'])
    expect(text).toStartWith('Error: Outer\n    at ')
    expect(text).toContain('\ncaused by Error: Inner\n    at ')
    expect(text).toEndWith('\ncaused by "deepest"')
  })

  test('of an Error that is its own cause ends', () => {
    const error = new Error('Round')
    error.cause = error
    expect(String(jsonOf({ error })['error']).match(/caused by/g)).toHaveLength(5)
  })

  test('of a big integer is its digits', () => {
    expect(jsonOf({ rows: 2n ** 64n })['rows']).toBe('18446744073709551616')
  })
})

describe('a line for people', () => {
  test('has time, level, message and fields', () => {
    expect(prettyOf('Slow request', { path: '/api/items', ms: 12, ok: false, none: undefined })).toBe(
      '03:04:05 WARN  Slow request path=/api/items ms=12 ok=false\n',
    )
  })

  test.each([
    ['\u001b[31mred', '[31mred'],
    ['a\rb', 'a b'],
    ['a\u0085b\u2028c\u007fd', 'a b c d'],
    ...UNSAFE.map((unsafe) => [`a${unsafe}b`, 'a b'] as const),
    ['a\nINFO forged', 'a\n    INFO forged'],
  ])('shows %p without control characters', (text, shown) => {
    expect(prettyOf(text)).toBe(`03:04:05 WARN  ${shown.startsWith('[') ? ` ${shown}` : shown}\n`)
    expect(prettyOf('Message', { text })).toContain(shown)
    expect(prettyOf('Message', { list: [text] })).not.toMatch(/[\u0000-\u0009\u007f-\u009f\u200e-\u202e]/)
  })
})

describe('a secret', () => {
  test.each([
    'password',
    'PASSWORD',
    'admin_password',
    'jwtSecret',
    'access_token',
    'Authorization',
    'Set-Cookie',
    'apiKey',
    'api_key',
  ])('under the name %s is replaced in both formats', (name) => {
    expect(jsonOf({ [name]: 'hunter2' })[name]).toBe('[redacted]')
    expect(prettyOf('Message', { [name]: 'hunter2' })).toEndWith(`${name}=[redacted]\n`)
  })
})

test('a secret is replaced inside a field, and an Error inside one has its stack', () => {
  const request = { headers: [{ Authorization: 'Basic hunter2' }], error: new Error('Inner') }
  const text = JSON.stringify(jsonOf({ request }))
  expect(text).toContain('"Authorization":"[redacted]"')
  expect(text).not.toContain('hunter2')
  expect(text).toContain('Error: Inner\\n    at ')
  expect(prettyOf('Message', { request })).not.toContain('hunter2')
})

describe('logging never throws', () => {
  const round: Record<string, unknown> = {}
  round['self'] = round
  const FIELDS: LogFields[] = [
    { round },
    { nested: { rows: 1n } },
    { error: new Error('Odd', { cause: Object.create(null) }) },
    { error: new Error('Odd', { cause: round }) },
    {
      thrower: {
        toJSON: () => {
          throw new Error('No')
        },
      },
    },
    { symbol: Symbol('x'), text: undefined, none: null, call: () => 1 },
  ]
  test.each(['json', 'pretty'] as const)('in %s', (format) => {
    const { logger, lines } = createSink({ format })
    for (const fields of FIELDS) logger.error('Message', fields)
    expect(lines).toHaveLength(FIELDS.length)
  })
})
