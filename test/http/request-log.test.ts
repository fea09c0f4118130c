import { describe, expect, test } from 'bun:test'
import { ANONYMOUS, type Principal } from '../../src/access/principal.ts'
import type { LogLevel } from '../../src/core/logger.ts'
import { createExchange, type Endpoint } from '../../src/http/exchange.ts'
import { createRequestLog, SLOW_REQUEST_MS } from '../../src/http/request-log.ts'

const ITEM: Endpoint = { method: 'GET', route: '/api/items/:id', isQuiet: false }
const HEALTH: Endpoint = { method: 'GET', route: '/health/live', isQuiet: true }
const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'

interface Told {
  endpoint?: Endpoint
  level?: LogLevel
  format?: 'json' | 'pretty'
  headers?: Record<string, string>
  principal?: Principal
  status?: number
  milliseconds?: number
}

/** What is written of one request. */
function tell(told: Told = {}): string {
  const lines: string[] = []
  const log = createRequestLog({
    level: told.level ?? 'info',
    format: told.format ?? 'json',
    write: (line) => lines.push(line),
    clock: () => Date.UTC(2026, 0, 2, 3, 4, 5, 6),
    addressOf: () => '192.0.2.1',
  })
  const exchange = createExchange(new Request('http://127.0.0.1/', { headers: told.headers ?? {} }))
  exchange.bytes = 312
  exchange.principal = told.principal ?? ANONYMOUS
  log.of(told.endpoint ?? ITEM)(exchange, told.status ?? 200, told.milliseconds ?? 1.2)
  expect(lines.length).toBeLessThan(2)
  return (lines[0] ?? '').replace(exchange.requestId, 'REQUEST')
}

function fieldsOf(line: string): Record<string, unknown> {
  return JSON.parse(line) as Record<string, unknown>
}

const USER: Principal = { ...ANONYMOUS, kind: 'user', id: '01987c3e-5f2a-7b61-9d04-6a3f1c8e2b75' }

test('a line has all that is known of a request', () => {
  const headers = { traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-01` }
  expect(tell({ headers, principal: USER })).toBe(
    `{"time":"2026-01-02T03:04:05.006Z","level":"info","message":"Request","request_id":"REQUEST","trace_id":"${TRACE_ID}",` +
      '"method":"GET","route":"/api/items/:id","status":200,"duration_ms":1.200,"bytes":312,' +
      '"principal_id":"01987c3e-5f2a-7b61-9d04-6a3f1c8e2b75","principal_kind":"user","ip":"192.0.2.1"}\n',
  )
})

test('a line for people has the same', () => {
  const headers = { traceparent: `00-${TRACE_ID}-00f067aa0ba902b7-01` }
  expect(tell({ headers, principal: USER, format: 'pretty' })).toBe(
    '03:04:05 INFO  GET /api/items/:id 200 duration_ms=1.2 bytes=312 ' +
      'principal_id=01987c3e-5f2a-7b61-9d04-6a3f1c8e2b75 principal_kind=user ip=192.0.2.1 ' +
      `request_id=REQUEST trace_id=${TRACE_ID}\n`,
  )
})

test('where there is no route, no credential and no trace, nothing is said of them', () => {
  const endpoint = { ...ITEM, route: undefined }
  expect(Object.keys(fieldsOf(tell({ endpoint })))).toEqual([
    'time',
    'level',
    'message',
    'request_id',
    'method',
    'status',
    'duration_ms',
    'bytes',
    'ip',
  ])
  expect(tell({ endpoint, status: 404, format: 'pretty' })).toContain(' GET (no route) 404 ')
})

test('an id that another issuer made up forges no field', () => {
  const id = 'a","level":"error","x":"\n\u2028b'
  const line = tell({ principal: { ...USER, kind: 'issuer', id } })
  expect(line.indexOf('\n')).toBe(line.length - 1)
  expect(fieldsOf(line)).toMatchObject({ level: 'info', principal_id: id, principal_kind: 'issuer' })
  expect(fieldsOf(line)).not.toHaveProperty('x')
})

describe('the level', () => {
  const SLOW = SLOW_REQUEST_MS
  test.each([
    ['info', 'a good answer', {}],
    ['info', 'a fault of the client', { status: 429 }],
    ['info', 'just not slow', { milliseconds: SLOW - 0.001 }],
    ['warn', 'slow', { milliseconds: SLOW }],
    ['info', 'just no failure', { status: 499 }],
    ['warn', 'a failure', { status: 500 }],
    ['debug', 'a health check', { endpoint: HEALTH }],
    ['warn', 'a health check that fails', { endpoint: HEALTH, status: 503 }],
    ['warn', 'a slow health check', { endpoint: HEALTH, milliseconds: SLOW }],
  ] as [LogLevel, string, Told][])('is %s: %s', (level, _, told) => {
    for (const format of ['json', 'pretty'] as const) {
      const line = tell({ ...told, level: 'debug', format })
      expect(line).toContain(format === 'json' ? `"level":"${level}"` : ` ${level.toUpperCase()} `)
      const isSlow = (told.milliseconds ?? 0) >= SLOW
      expect(line.includes('Slow request')).toBe(isSlow)
      // And it is let through as such.
      const LEVELS: LogLevel[] = ['debug', 'info', 'warn', 'error']
      for (const least of LEVELS) {
        const isLogged = LEVELS.indexOf(least) <= LEVELS.indexOf(level)
        expect(tell({ ...told, level: least, format }) !== '').toBe(isLogged)
      }
    }
  })
})

describe('the duration', () => {
  test.each([
    [0, '0.000'],
    [0.0004, '0.000'],
    [0.0006, '0.001'],
    [9.0999, '9.100'],
    [0.9999, '1.000'],
    [0.99949, '0.999'],
    [123_456.789, '123456.789'],
  ])('%p ms is %s', (milliseconds, text) => {
    expect(tell({ milliseconds })).toContain(`"duration_ms":${text},`)
  })
})

describe('traceparent', () => {
  const parent = '00f067aa0ba902b7'
  test.each([
    [`00-${TRACE_ID}-${parent}-01`, TRACE_ID],
    [`00-${TRACE_ID}-${parent}-ff`, TRACE_ID],
    [`cc-${TRACE_ID}-${parent}-01`, TRACE_ID],
    [`cc-${TRACE_ID}-${parent}-01-what-comes-later`, TRACE_ID],
    [`00-${TRACE_ID}-${parent}-01-more`, undefined],
    [`00-${TRACE_ID}-${parent}-01x`, undefined],
    [`cc-${TRACE_ID}-${parent}-01x`, undefined],
    [`ff-${TRACE_ID}-${parent}-01`, undefined],
    [`00-${'0'.repeat(32)}-${parent}-01`, undefined],
    [`00-${TRACE_ID}-${'0'.repeat(16)}-01`, undefined],
    [`00-${TRACE_ID.toUpperCase()}-${parent}-01`, undefined],
    [`00-${TRACE_ID.slice(1)}-${parent}-01`, undefined],
    [`00-${TRACE_ID}-${parent}`, undefined],
    [`00-${TRACE_ID}-${parent}-01, 00-${TRACE_ID}-${parent}-01`, undefined],
    [`x00-${TRACE_ID}-${parent}-01`, undefined],
    [`00-${TRACE_ID}","level":"error-${parent}-01`, undefined],
    ['', undefined],
  ])('%p has the trace id %p', (traceparent, traceId) => {
    expect(fieldsOf(tell({ headers: { traceparent } }))['trace_id']).toBe(traceId)
  })
})

// It is a system call for each write, and of use only for a client that will be gone when its line is written.
for (const [level, count] of [
  ['debug', 1],
  ['info', 1],
  ['warn', 0],
  ['error', 0],
] as const) {
  test(`at the level ${level} the address of ${count} in one request that waits is noted`, () => {
    const asked: Request[] = []
    const addressOf = (request: Request) => {
      asked.push(request)
      return '192.0.2.1'
    }
    const log = createRequestLog({ level, format: 'json', write: () => {}, clock: Date.now, addressOf })
    log.wait(createExchange(new Request('http://127.0.0.1/')))
    expect(asked).toHaveLength(count)
  })
}
