// Idempotency-Key on a real store with a clock that the test sets: what is stored, what is replayed, and for how long.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { ANONYMOUS, type Principal } from '../../src/access/principal.ts'
import { timestamp } from '../../src/core/clock.ts'
import { AppError } from '../../src/core/errors.ts'
import { Reply } from '../../src/http/route.ts'
import { ANSWER_LIFETIME_MS, createIdempotency, MAX_KEY_LENGTH } from '../../src/rest/idempotency.ts'
import type { Idempotency, KeyedRequest, Write } from '../../src/rest/idempotency.ts'
import { idempotencyTable } from '../../src/storage/idempotency-table.ts'
import { applyMigration } from '../../src/storage/migrate.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import { createSqliteStore } from '../../src/storage/sqlite/store.ts'
import type { Operation, Store } from '../../src/storage/store.ts'

const TABLE = {
  name: 'things',
  id: 'integer',
  columns: [{ name: 'name', kind: 'text', nullable: false }],
} as const

let store: Store
let idempotency: Idempotency
let now = Date.parse('2026-01-31T12:00:00.000Z')
beforeAll(() => {
  const database = openDatabase({ path: ':memory:', durability: 'normal' })
  applyMigration(database, [TABLE])
  store = createSqliteStore({ database, tables: [TABLE] })
  idempotency = createIdempotency(store, () => now)
})
afterAll(async () => {
  idempotency.stop()
  await store.stop()
})

const ada: Principal = { ...ANONYMOUS, kind: 'user', id: 'ada', role: 'user' }
let keys = 0
const newKey = () => `key-${++keys}`

type Asked = Partial<Omit<KeyedRequest, 'header'>> & { key: string | null }

const request = ({ key, ...more }: Asked): KeyedRequest => ({
  header: (name) => (name === 'idempotency-key' ? key : null),
  principal: ada,
  target: '/api/things',
  body: { name: 'x' },
  ...more,
})

/** Inserts one thing; what it answers has a number that no other answer has. */
let answers = 0
const insertion: Write = {
  act: async (_, also) => {
    const insert: Operation = { kind: 'insert', table: 'things', values: { name: 'x' } }
    const rows = await store.commit(also === undefined ? [insert] : [insert, also])
    return rows.slice(0, 1)
  },
  answer: ([row]) => new Reply(201, { id: row!.id, number: ++answers }, { etag: `"${row!.id}"` }),
  wish: (reply) => reply,
}
const failing = (error: unknown): Write => ({ ...insertion, act: () => Promise.reject(error) })

const once = async (asked: Asked, write = insertion) => idempotency.once(request(asked), write)
/** The code of the error that it ends with, or `done`. */
const codeOf = async (asked: Asked, write?: Write) => {
  try {
    await once(asked, write)
    return 'done'
  } catch (error) {
    return error instanceof AppError ? error.code : String(error)
  }
}
const things = () => store.count('things')
// With a filter, since no total is kept of a table of our own.
const stored = () => store.count(idempotencyTable.name, { digest: { ne: '' } })

describe('the same request again', () => {
  test('has the same answer, and is not done again', async () => {
    const key = newKey()
    const [first, before] = [await once({ key }), await things()]
    const second = await once({ key })
    expect(second).toEqual(
      new Reply(first.status, first.body, { ...first.headers, 'idempotency-replayed': 'true' }),
    )
    expect(await once({ key })).toEqual(second)
    expect(await things()).toBe(before)
    expect(first.headers).not.toHaveProperty('idempotency-replayed')
  })

  test('without a key is done again, and nothing is stored', async () => {
    const before = [await things(), await stored()] as const
    const [first, second] = [await once({ key: null }), await once({ key: null })]
    expect(first.body).not.toEqual(second.body)
    expect([await things(), await stored()]).toEqual([before[0] + 2, before[1]])
  })

  test('of an answer without a body has none', async () => {
    const key = newKey()
    const silent: Write = { ...insertion, answer: () => new Reply(204, undefined) }
    await once({ key }, silent)
    expect(await once({ key }, silent)).toEqual(new Reply(204, undefined, { 'idempotency-replayed': 'true' }))
  })

  test('is another where the body differs', async () => {
    const key = newKey()
    await once({ key })
    for (const body of [{ name: 'y' }, { name: 'x', more: 1 }, [{ name: 'x' }], null, 'x', {}]) {
      expect(await codeOf({ key, body })).toBe('idempotency_mismatch')
    }
    expect(await codeOf({ key })).toBe('done')
  })

  test('is another where the target differs', async () => {
    const key = newKey()
    await once({ key })
    for (const target of ['/api/things/1', '/api/others', '/api/things?a=1']) {
      expect(await codeOf({ key, target })).toBe('idempotency_mismatch')
    }
  })

  test('does not confuse the end of the target with the begin of the body', async () => {
    const key = newKey()
    await once({ key, target: '/api/things', body: 12 })
    expect(await codeOf({ key, target: '/api/things1', body: 2 })).toBe('idempotency_mismatch')
  })

  const others: [string, Principal][] = [
    ['another user', { ...ada, id: 'bob' }],
    ['a key of the same id', { ...ada, kind: 'key' }],
    ["another issuer's user of the same id", { ...ada, kind: 'issuer' }],
    ['nobody', ANONYMOUS],
  ]
  test.each(others)('by %s is done', async (_, principal) => {
    const key = newKey()
    const before = await things()
    const first = await once({ key })
    const second = await once({ key, principal, body: { name: 'other' } })
    expect(second.headers).not.toHaveProperty('idempotency-replayed')
    expect(second.body).not.toEqual(first.body)
    expect(await things()).toBe(before + 2)
  })

  test('by the same user in another role and session is the same', async () => {
    const key = newKey()
    await once({ key })
    const { headers } = await once({ key, principal: { ...ada, role: 'admin', session_id: 'other' } })
    expect(headers['idempotency-replayed']).toBe('true')
  })
})

describe('a key', () => {
  test.each<[string, string, string]>([
    ['of 1 character', '!', 'done'],
    ['of 255 characters', 'k'.repeat(MAX_KEY_LENGTH), 'done'],
    ['of 256 characters', 'k'.repeat(MAX_KEY_LENGTH + 1), 'bad_request'],
    ['of none', '', 'bad_request'],
    ['with spaces and quotes', '"a b"', 'done'],
    ['with a tilde, the last of ASCII', 'a~', 'done'],
    ['with a delete character', 'a\u007f', 'bad_request'],
    ['with a tab', 'a\tb', 'bad_request'],
    ['with a letter beyond ASCII', 'é', 'bad_request'],
    ['with a line break', 'a\nb', 'bad_request'],
  ])('%s is %p: %s', async (_, key, expected) => {
    const before = await things()
    expect(await codeOf({ key })).toBe(expected)
    expect(await things()).toBe(before + (expected === 'done' ? 1 : 0))
  })

  test('that is refused is named, and not repeated', async () => {
    const error = await once({ key: 'é-canary' }).catch((thrown: AppError) => thrown)
    expect((error as AppError).details).toEqual([
      { field: 'Idempotency-Key', message: 'Expected 1 to 255 printable ASCII characters' },
    ])
  })

  test('tells letters by case', async () => {
    const key = newKey()
    await once({ key })
    expect((await once({ key: key.toUpperCase() })).headers).not.toHaveProperty('idempotency-replayed')
  })
})

describe('a request that fails', () => {
  test.each<[string, unknown]>([
    ['of a bad body', new AppError('validation_failed')],
    ['of a conflict', new AppError('conflict')],
    ['of an access rule', new AppError('forbidden')],
    ['of a condition', new AppError('precondition_failed')],
    ['of a store that is not available', new AppError('unavailable')],
    ['of a bug', new Error('Bug')],
  ])('because %s leaves nothing, and its key can be used again, with another body too', async (_, error) => {
    const key = newKey()
    const before = await stored()
    expect(await codeOf({ key }, failing(error))).not.toBe('done')
    expect(await stored()).toBe(before)
    const { headers } = await once({ key, body: { name: 'mended' } })
    expect(headers).not.toHaveProperty('idempotency-replayed')
  })

  test('in its commit leaves neither record nor answer', async () => {
    const key = newKey()
    const before = [await things(), await stored()]
    const broken: Write = {
      ...insertion,
      act: (_, also) =>
        store.commit([
          { kind: 'insert', table: 'things', values: { name: 'x' } },
          also!,
          { kind: 'delete', table: 'things', id: 999_999 },
        ]),
    }
    expect(await codeOf({ key }, broken)).toStartWith('StaleError')
    expect([await things(), await stored()]).toEqual(before)
    expect(await codeOf({ key })).toBe('done')
  })
})

describe('at once', () => {
  test('50 requests of one key are done once; the others are 409 with Retry-After', async () => {
    const key = newKey()
    const before = await things()
    const settled = await Promise.allSettled(Array.from({ length: 50 }, () => once({ key })))
    expect(await things()).toBe(before + 1)
    const refused = settled.filter((one) => one.status === 'rejected').map(({ reason }) => reason as AppError)
    expect(refused).toHaveLength(49)
    for (const { code, headers } of refused) {
      expect({ code, headers }).toEqual({ code: 'conflict', headers: { 'retry-after': '1' } })
    }
    expect((await once({ key })).headers['idempotency-replayed']).toBe('true')
  })

  test('requests of several keys do not wait for each other', async () => {
    const before = await things()
    const codes = await Promise.all(Array.from({ length: 50 }, () => codeOf({ key: newKey() })))
    expect(new Set(codes)).toEqual(new Set(['done']))
    expect(await things()).toBe(before + 50)
  })
})

describe('an answer', () => {
  const replayedAfter = async (milliseconds: number) => {
    const key = newKey()
    await once({ key })
    now += milliseconds
    const { headers } = await once({ key })
    return headers['idempotency-replayed'] === 'true'
  }

  test('is replayed for 24 hours, and not a millisecond longer', async () => {
    expect(ANSWER_LIFETIME_MS).toBe(24 * 60 * 60 * 1000)
    expect(await replayedAfter(ANSWER_LIFETIME_MS - 1)).toBe(true)
    expect(await replayedAfter(ANSWER_LIFETIME_MS)).toBe(true)
    expect(await replayedAfter(ANSWER_LIFETIME_MS + 1)).toBe(false)
  })

  test('that is too old makes place for another, of another body too, which is replayed in turn', async () => {
    const key = newKey()
    await once({ key })
    now += ANSWER_LIFETIME_MS + 1
    const before = [await things(), await stored()] as const
    const body = { name: 'later' }
    await once({ key, body })
    expect([await things(), await stored()]).toEqual([before[0] + 1, before[1]])
    expect((await once({ key, body })).headers['idempotency-replayed']).toBe('true')
    expect(await codeOf({ key })).toBe('idempotency_mismatch')
  })

  test('that is too old does not come back where the request in its place fails', async () => {
    const key = newKey()
    await once({ key })
    now += ANSWER_LIFETIME_MS + 1
    expect(await codeOf({ key }, failing(new AppError('conflict')))).toBe('conflict')
    expect((await once({ key })).headers).not.toHaveProperty('idempotency-replayed')
  })

  test('is stored with the time of the clock, by which the sweep finds it', async () => {
    now += 1
    await once({ key: newKey() })
    const { name: table } = idempotencyTable
    const of = { table, column: 'created_at', limit: 10_000 }
    await store.deleteOlderThan({ ...of, before: timestamp(now) })
    expect(await stored()).toBe(1)
    expect(await store.deleteOlderThan({ ...of, before: timestamp(now + 1) })).toBe(1)
  })
})
