// Reads that no index serves: on threads of their own, a bounded number of them, with the answers that the main thread
// would give.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '../../src/core/errors.ts'
import { applyMigration } from '../../src/storage/migrate.ts'
import type { ListQuery } from '../../src/storage/query.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import { READERS_MAX, READS_WAITING_MAX, createReaderPool } from '../../src/storage/sqlite/reader-pool.ts'
import { SCANNED_ROWS_MAX, createSqliteStore } from '../../src/storage/sqlite/store.ts'
import type { Store, Table } from '../../src/storage/store.ts'

const TABLES: readonly Table[] = ['large', 'small'].map((name) => ({
  name,
  id: 'integer',
  columns: [
    { name: 'name', kind: 'text', nullable: true },
    { name: 'rating', kind: 'integer', nullable: true, index: true },
    { name: 'done', kind: 'boolean', nullable: true },
    { name: 'extra', kind: 'json', nullable: true },
  ],
  search: ['name'],
}))

const folder = mkdtempSync(join(tmpdir(), 'hipflask-readers-'))
const original = join(folder, 'original.db')
let files = 0
let path: string
let store: Store

beforeAll(async () => {
  const database = openDatabase({ path: original, durability: 'normal' })
  applyMigration(database, TABLES)
  const numbers = 'WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <'
  for (const [table, rows] of [
    ['large', SCANNED_ROWS_MAX + 1],
    ['small', SCANNED_ROWS_MAX],
  ] as const) {
    database.run(`INSERT INTO ${table} (_version, name, rating, done, extra)
      ${numbers} ${rows}) SELECT 1, 'name ' || i, i % 100, i % 2, '{"i":' || i || '}' FROM n`)
  }
  await createSqliteStore({ database, tables: TABLES }).stop()
})
beforeEach(() => {
  path = join(folder, `${++files}.db`)
  copyFileSync(original, path)
  store = createSqliteStore({ database: openDatabase({ path, durability: 'normal' }), tables: TABLES })
})
afterEach(() => store.stop())
afterAll(() => rmSync(folder, { recursive: true }))

const outcome = async (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    (value) => value,
    (error: unknown) => error,
  )

/** Whether the main thread did the work itself: then nothing else had a turn before it was done. */
async function isOnMain(work: () => Promise<unknown>): Promise<boolean> {
  let turns = 0
  let next = setImmediate(function turn() {
    turns++
    next = setImmediate(turn)
  })
  await work()
  clearImmediate(next)
  return turns === 0
}

describe('the thread of a read', () => {
  const slow = { where: { name: 'name 5' } }
  const cases: [string, boolean, () => Promise<unknown>][] = [
    ['a scan of 20,001 rows', false, () => store.list({ table: 'large', limit: 1, ...slow })],
    ['a scan of 20,000 rows', true, () => store.list({ table: 'small', limit: 1, ...slow })],
    ['a page by id', true, () => store.list({ table: 'large', limit: 10 })],
    [
      'a page by an index',
      true,
      () => store.list({ table: 'large', limit: 10, sort: [{ field: 'rating', direction: 'asc' }] }),
    ],
    [
      'a sort without one',
      false,
      () => store.list({ table: 'large', limit: 10, sort: [{ field: 'name', direction: 'asc' }] }),
    ],
    ['a search', false, () => store.list({ table: 'small', limit: 10, search: 'name' })],
    ['a search without a word', true, () => store.list({ table: 'large', limit: 10, search: '?' })],
    ['a count of all', true, () => store.count('large')],
    ['a filtered count of 20,001 rows', false, () => store.count('large', { rating: 1 }, { limit: 10 })],
    ['a filtered count of 20,000 rows', true, () => store.count('small', { rating: 1 })],
    ['a count by id', true, () => store.count('large', { id: 5 })],
    ['one row under a filter', true, async () => store.get('large', 5, { name: { contains: '5' } })],
  ]
  test.each(cases)('%s: main %j', async (_, onMain, work) => {
    // A thread that answers within the same turn is not told from the main one: it does not, twenty times.
    const seen = new Set<boolean>()
    for (let run = 0; run < 20; run++) seen.add(await isOnMain(work))
    expect(!seen.has(false)).toBe(onMain)
  })

  test('is the main one in memory, always', async () => {
    const database = openDatabase({ path: ':memory:', durability: 'normal' })
    applyMigration(database, TABLES)
    const memory = createSqliteStore({ database, tables: TABLES })
    await memory.commit([{ kind: 'insert', table: 'large', values: { name: 'a' } }])
    expect(await isOnMain(() => memory.list({ table: 'large', search: 'a', limit: 1 }))).toBe(true)
    await memory.stop()
  })
})

test('a thread gives the rows that the main one would', async () => {
  const queries: Omit<ListQuery, 'table'>[] = [
    { where: { name: { contains: '99' }, done: true }, limit: 20 },
    { sort: [{ field: 'name', direction: 'desc' }], limit: 7, offset: 3 },
    {
      sort: [
        { field: 'rating', direction: 'asc' },
        { field: 'name', direction: 'asc' },
      ],
      limit: 300,
      after: { values: [99, 'name 19999'], id: 19_999 },
    },
    {
      where: { extra: { null: false }, name: { nin: ['name 1'] } },
      sort: [{ field: 'rating', direction: 'desc' }],
      limit: 300,
      after: { values: [1], id: 2 },
    },
    { search: 'name 12', limit: 20 },
    { where: { name: 'absent' }, limit: 1 },
  ]
  await store.commit([{ kind: 'delete', table: 'large', id: SCANNED_ROWS_MAX + 1 }])
  for (const query of queries) {
    const onMain = await store.list({ table: 'large', ...query })
    await store.commit([{ kind: 'insert', table: 'large', values: { rating: -5 } }])
    const { id } =
      (await store.list({ table: 'large', sort: [{ field: 'id', direction: 'desc' }], limit: 1 }))[0] ?? {}
    const elsewhere = await store.list({ table: 'large', ...query })
    expect(elsewhere.filter((row) => row.id !== id)).toEqual(onMain.slice(0, elsewhere.length))
    await store.commit([{ kind: 'delete', table: 'large', id: id as number }])
  }
})

test('a thread sees every commit that was answered', async () => {
  for (let round = 0; round < 20; round++) {
    const name = `new ${round}`
    await store.commit([{ kind: 'insert', table: 'large', values: { name } }])
    expect(await store.list({ table: 'large', where: { name }, limit: 1 })).toMatchObject([{ name }])
    expect(await store.count('large', undefined, { search: name })).toBe(1)
  }
})

test('reads beyond those that run and wait are unavailable, and later ones work', async () => {
  const slow = () => store.list({ table: 'large', where: { name: 'absent' }, limit: 1 })
  await Promise.all([slow(), slow(), slow()])
  const allowed = READERS_MAX + READS_WAITING_MAX
  const results = await Promise.all(Array.from({ length: allowed + 3 }, () => outcome(slow())))
  const refused = results.filter((result) => !Array.isArray(result))
  // A thread that has not started yet takes nothing at once.
  expect(refused.length).toBeGreaterThanOrEqual(3)
  expect(refused.length).toBeLessThanOrEqual(3 + READERS_MAX)
  expect(results.slice(0, READS_WAITING_MAX)).toEqual(Array(READS_WAITING_MAX).fill([]))
  for (const one of refused) {
    expect(one).toBeInstanceOf(AppError)
    expect(one).toMatchObject({ code: 'unavailable', headers: { 'Retry-After': '1' } })
  }
  expect(await slow()).toEqual([])
})

test('what waits when the store stops is unavailable', async () => {
  const slow = () => outcome(store.list({ table: 'large', where: { name: 'absent' }, limit: 1 }))
  const results = Array.from({ length: 5 }, slow)
  await store.stop()
  for (const result of await Promise.all(results)) {
    if (!Array.isArray(result)) expect(result).toMatchObject({ code: 'unavailable' })
  }
  expect(await slow()).toMatchObject({ code: 'unavailable' })
})

test('damage that a thread finds makes its read unavailable', async () => {
  const slow = () => store.list({ table: 'large', where: { name: 'absent' }, limit: 1 })
  await store.stop()
  store = createSqliteStore({ database: openDatabase({ path, durability: 'normal' }), tables: TABLES })
  const bytes = Buffer.from(await Bun.file(path).arrayBuffer())
  bytes.fill(0xff, bytes.length / 4, (bytes.length * 3) / 4)
  writeFileSync(path, bytes)
  expect(await outcome(slow())).toMatchObject({ code: 'unavailable', cause: { code: 'SQLITE_CORRUPT' } })
})

test('a pool can neither write nor be without its file', async () => {
  const plan = (sql: string) => ({ parts: [{ sql, parameters: [] }], limit: 1 })
  const pool = createReaderPool(path)
  expect(await outcome(pool.read(plan('DELETE FROM large')))).toMatchObject({ code: 'SQLITE_READONLY' })
  expect(await outcome(pool.read(plan('SELECT nonsense')))).toMatchObject({ name: 'ReaderError' })
  expect(await pool.read(plan('SELECT 1 AS one'))).toEqual([{ one: 1 }])
  await pool.stop()
  expect(await outcome(pool.read(plan('SELECT 1')))).toMatchObject({ code: 'unavailable' })
  const absent = createReaderPool(join(folder, 'absent.db'))
  expect(await outcome(absent.read(plan('SELECT 1')))).toMatchObject({ code: 'unavailable' })
  await absent.stop()
})
