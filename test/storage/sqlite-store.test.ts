// The Store suite on SQLite, in a file and in memory, and what only a file can show: groups, locks, full disks.
import { Database } from 'bun:sqlite'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { AppError } from '../../src/core/errors.ts'
import type { Eventual } from '../../src/core/eventual.ts'
import { applyMigration } from '../../src/storage/migrate.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import { GATHERING_TURNS_MAX, GROUP_STEPS_MAX, LOCK_WAIT_MS } from '../../src/storage/sqlite/group-commit.ts'
import { STATEMENTS_MAX } from '../../src/storage/sqlite/statements.ts'
import { type SqliteStoreOptions, createSqliteStore } from '../../src/storage/sqlite/store.ts'
import type { Row, Store, Values } from '../../src/storage/store.ts'
import { LIST_TABLES, describeLists } from './list-suite.ts'
import { describeStore } from './store-suite.ts'
import { TABLES, book, thing } from './tables.ts'

const folder = mkdtempSync(join(tmpdir(), 'hipflask-store-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
const newPath = () => join(folder, `${++files}.db`)

function open(path: string, options: Partial<SqliteStoreOptions> = {}): { store: Store; database: Database } {
  const database = openDatabase({ path, durability: 'full' })
  const { tables = TABLES } = options
  applyMigration(database, tables)
  return { store: createSqliteStore({ database, tables, ...options }), database }
}

for (const describeAll of [describeStore, describeLists]) {
  describeAll('SQLite in a file', (tables) => open(newPath(), { tables }).store)
  describeAll('SQLite in memory', (tables) => open(':memory:', { tables }).store)
}

/** How many transactions the write-ahead log holds: a frame that ends one says how large the database then is. */
function transactionsInLog(path: string): number {
  const log = readFileSync(`${path}-wal`)
  const salt = log.subarray(16, 24)
  const frameSize = 24 + log.readUInt32BE(8)
  let transactions = 0
  for (let at = 32; at + frameSize <= log.length; at += frameSize) {
    const isCurrent = log.subarray(at + 8, at + 16).equals(salt)
    if (isCurrent && log.readUInt32BE(at + 4) !== 0) transactions++
  }
  return transactions
}

describe('SQLite in a file, beyond the suite', () => {
  let path: string
  let store: Store
  let database: Database
  beforeEach(() => {
    path = newPath()
    ;({ store, database } = open(path))
  })
  afterEach(() => store.stop())

  const insertMany = (count: number) =>
    Promise.allSettled(Array.from({ length: count }, (_, index) => store.commit([thing({ amount: index })])))
  const rejected = (results: readonly PromiseSettledResult<unknown>[]) =>
    results.filter((result) => result.status === 'rejected').map(({ reason }) => reason as unknown)

  test.each([
    [1, 1],
    [GROUP_STEPS_MAX, 1],
    [GROUP_STEPS_MAX + 1, 2],
  ])('%d commits at once are %d transactions', async (count, expected) => {
    database.run('PRAGMA wal_checkpoint(TRUNCATE)')
    await insertMany(count)
    expect(transactionsInLog(path)).toBe(expected)
  })

  test('commits of separate callbacks of one turn of the event loop are one transaction', async () => {
    database.run('PRAGMA wal_checkpoint(TRUNCATE)')
    const inCallback = () =>
      new Promise<Promise<unknown>>((resolve) => {
        setImmediate(() => resolve(store.commit([thing({})])))
      })
    await Promise.all([inCallback(), inCallback(), inCallback()])
    expect(transactionsInLog(path)).toBe(1)
  })

  test.each([
    ['as many as the last group had', 4, 4, 1],
    ['no more turns than there may be', 100, 2 * GATHERING_TURNS_MAX, 2],
  ])('a group waits for %s, while they come', async (_what, last, coming, expected) => {
    await insertMany(last)
    database.run('PRAGMA wal_checkpoint(TRUNCATE)')
    const commits: Promise<unknown>[] = []
    for (let turn = 0; turn < coming; turn++) {
      commits.push(store.commit([thing({})]))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(commits)
    expect(transactionsInLog(path)).toBe(expected)
  })

  test('a group waits for nobody when none comes', async () => {
    await insertMany(100)
    const commit = store.commit([thing({})])
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
    expect(await Promise.race([commit.then(() => 'done'), Bun.sleep(0).then(() => 'waiting')])).toBe('done')
  })

  test('totals and ids go on after reopening, and rows that another program wrote are counted', async () => {
    await store.commit([thing({ name: 'a' }), thing({ name: 'b' }), thing({ name: 'c' })])
    await store.commit([{ kind: 'delete', table: 'things', id: 3 }])
    database.run("INSERT INTO things (_version, name) VALUES (1, 'foreign'), (1, 'foreign')")
    await store.stop()
    ;({ store, database } = open(path))
    expect(await store.count('things')).toBe(4)
    await store.commit([{ kind: 'delete', table: 'things', id: 5 }])
    expect(await store.commit([thing({})])).toMatchObject([{ id: 6 }])
  })

  test('after reopening totals are those of the living', async () => {
    await store.stop()
    ;({ store, database } = open(path, { tables: LIST_TABLES }))
    const table = 'articles'
    await store.commit([1, 2, 3].map((rating) => ({ kind: 'insert', table, values: { rating } })))
    database.run("UPDATE articles SET deleted_at = 'now' WHERE rating = 2")
    await store.stop()
    ;({ store, database } = open(path, { tables: LIST_TABLES }))
    expect(await store.count(table)).toBe(2)
  })

  test('stop leaves one file, with everything in it', async () => {
    await insertMany(10)
    await store.stop()
    expect([...new Bun.Glob(`${files}.db*`).scanSync(folder)]).toEqual([`${files}.db`])
    ;({ store, database } = open(path))
    expect(await store.count('things')).toBe(10)
  })

  test.each([
    ['waits for another that works on the log for a moment', 100, 0],
    ['says where another goes on, and leaves what it reads', 5_000, 1],
  ])('stop %s', async (_, busyMs, warnings) => {
    await store.stop()
    const told: string[] = []
    ;({ store } = open(path, { warn: (message) => told.push(message) }))
    using reader = new Database(path)
    await store.commit([thing({})])
    reader.run('BEGIN')
    reader.query('SELECT count(*) FROM things').get()
    const end = setTimeout(() => reader.run('COMMIT'), busyMs)
    await store.stop()
    clearTimeout(end)
    expect(told).toEqual(Array(warnings).fill(expect.stringContaining('was not emptied')))
    expect(statSync(`${path}-wal`).size > 0).toBe(warnings > 0)
  })

  test('stop leaves nothing in the log, also while another process reads', async () => {
    using reader = new Database(path)
    reader.query('SELECT count(*) FROM things').get()
    await insertMany(10)
    expect(statSync(`${path}-wal`).size).toBeGreaterThan(0)
    await store.stop()
    expect(statSync(`${path}-wal`).size).toBe(0)
  })

  /** Stops the store, zeroes the page of the file that has the text after its start, and opens it again. */
  async function emptyPageOf(text: string): Promise<void> {
    await store.stop()
    const bytes = readFileSync(path)
    const page = bytes.indexOf(text) >> 12
    bytes.fill(0, page << 12, (page + 1) << 12)
    writeFileSync(path, bytes)
    ;({ store, database } = open(path))
    expect(database.query('PRAGMA integrity_check').values()).toEqual([['ok']])
  }

  const reads: [string, (of: Store) => Eventual<unknown>][] = [
    ['get', (of) => of.get('things', 1)],
    ['get under a filter', (of) => of.get('things', 1, { amount: 1 })],
    ['list', (of) => of.list({ table: 'things', limit: 10 })],
    ['update', (of) => of.commit([{ kind: 'update', table: 'things', id: 1, values: { amount: 2 } }])],
    ['delete', (of) => of.commit([{ kind: 'delete', table: 'things', id: 1 }])],
  ]
  const spilled: [string, Values][] = [
    ['text', { name: `${'a'.repeat(5_000)}<last>` }],
    ['text of another script', { name: `${'\u{1f376}'.repeat(1_250)}<last>` }],
    ['JSON', { extra: { text: `${'a'.repeat(5_000)}<last>` } }],
  ]
  for (const [how, work] of reads) {
    test.each(spilled)(`${how} of %s of which SQLite misses nothing is damage`, async (_, values) => {
      await store.commit([thing({ amount: 1, ...values }), thing({ name: 'short' })])
      await emptyPageOf('<last>')
      const error = await Promise.try(work, store).then(
        (value) => value,
        (thrown: unknown) => thrown,
      )
      expect(error).toMatchObject({ code: 'unavailable', cause: { name: 'ContentError' } })
      await expect(store.check()).rejects.toMatchObject({ code: 'unavailable' })
      await expect(store.commit([thing({})])).rejects.toMatchObject({ code: 'unavailable' })
      expect(await store.get('things', 2)).toMatchObject({ name: 'short' })
      expect(existsSync(`${path}-damaged`)).toBe(true)
    })
  }

  test('a commit on another connection changes what watchers see, from the next turn of the event loop on', async () => {
    const version = store.watch(['people'])
    const before = version()
    using other = new Database(path)
    other.run("INSERT INTO things (_version, name) VALUES (1, 'foreign')")
    expect(version()).toBe(before)
    await new Promise(setImmediate)
    const after = version()
    expect(after).not.toBe(before)
    await new Promise(setImmediate)
    expect(version()).toBe(after)
  })

  test('a lock that another process holds for 300 ms loses nothing and blocks nothing', async () => {
    const script = `
      const database = new (require('bun:sqlite').Database)(${JSON.stringify(path)})
      database.run('BEGIN IMMEDIATE')
      console.log('locked')
      setTimeout(() => database.run('COMMIT'), 300)`
    const other = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe' })
    await other.stdout.getReader().read()
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    const results = await insertMany(100)
    clearInterval(timer)
    expect(await other.exited).toBe(0)
    expect(rejected(results)).toEqual([])
    expect(turns).toBeGreaterThan(10)
    expect(await store.count('things')).toBe(100)
  })

  test('a lock that is held too long makes what waits unavailable, and what comes later waits anew', async () => {
    let now = 0
    await store.stop()
    ;({ store, database } = open(path, { clock: () => now }))
    const other = new Database(path)
    other.run('BEGIN IMMEDIATE')
    const early = store.commit([thing({ name: 'early' })])
    await Bun.sleep(0)
    now = LOCK_WAIT_MS - 1
    const late = store.commit([thing({ name: 'late' })])
    await Bun.sleep(5)
    expect(Bun.peek.status(early)).toBe('pending')
    now = LOCK_WAIT_MS
    const error: unknown = await early.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(AppError)
    expect(error).toMatchObject({ code: 'unavailable', headers: { 'Retry-After': '1' } })
    other.run('COMMIT')
    other.close()
    expect(await late).toMatchObject([{ id: 1, name: 'late' }])
    expect(await store.count('things')).toBe(1)
  })

  test('a full disk makes the whole group unavailable, and later commits work', async () => {
    await insertMany(10)
    const pages = database.query<{ page_count: number }, []>('PRAGMA page_count').get()?.page_count ?? 0
    database.run(`PRAGMA max_page_count = ${pages + 2}`)
    const large = thing({ name: 'x'.repeat(5000) })
    const results = await Promise.allSettled([
      store.commit([thing({ name: 'good' })]),
      store.commit([large, large, large, large]),
      store.commit([thing({ name: 'good' }), thing({ name: 'good' })]),
    ])
    for (const reason of rejected(results)) {
      expect(reason).toMatchObject({ code: 'unavailable', headers: { 'Retry-After': '1' } })
      expect((reason as AppError).cause).toMatchObject({ code: 'SQLITE_FULL' })
    }
    expect(rejected(results)).toHaveLength(3)
    expect(await store.count('things')).toBe(10)
    expect(await store.count('things', {})).toBe(10)
    database.run('PRAGMA max_page_count = 1000000')
    expect(await store.commit([thing({ name: 'good' })])).toMatchObject([{ name: 'good' }])
    expect(await store.count('things')).toBe(11)
    expect(database.query('PRAGMA integrity_check').values()).toEqual([['ok']])
  })

  test('damage that is found while serving makes reads unavailable, not wrong', async () => {
    await store.commit(Array.from({ length: 200 }, () => thing({ name: 'x'.repeat(100) })))
    await store.stop()
    const pages = leafPages(path, 'things')
    ;({ store, database } = open(path))
    const bytes = readFileSync(path)
    for (const page of pages) bytes.fill(0xff, (page - 1) * PAGE_SIZE, page * PAGE_SIZE)
    writeFileSync(path, bytes)
    const reads = [
      Promise.try(() => store.get('things', 100)),
      store.list({ table: 'things', limit: 10 }),
      store.count('things', { name: 'x' }),
    ]
    for (const { reason } of (await Promise.allSettled(reads)) as PromiseRejectedResult[]) {
      expect(reason).toMatchObject({ code: 'unavailable', cause: { code: 'SQLITE_CORRUPT' } })
    }
  })

  test('more filters than statements are kept still work', async () => {
    await insertMany(3)
    for (let length = 1; length <= STATEMENTS_MAX + 10; length++) {
      const where = { amount: { in: Array.from({ length }, (_, index) => index) } }
      expect(await store.count('things', where)).toBe(Math.min(length, 3))
    }
    expect(await store.get('things', 1)).toMatchObject({ amount: 0 })
  })

  test('names that need quoting in SQL are quoted', async () => {
    const tables = [
      { name: 'order', id: 'integer', columns: [{ name: 'group', kind: 'text', nullable: true }] },
    ] as const
    applyMigration(database, tables)
    const other = createSqliteStore({ database: openDatabase({ path, durability: 'normal' }), tables })
    const [row] = await other.commit([{ kind: 'insert', table: 'order', values: { group: 'select' } }])
    expect(await other.list({ table: 'order', where: { group: 'select' }, limit: 1 })).toEqual([row as Row])
    await other.stop()
  })

  test('an ordered list by an indexed column needs no sorting', () => {
    using other = new Database(path)
    const plan = (sql: string) => JSON.stringify(other.query(`EXPLAIN QUERY PLAN ${sql}`).all())
    expect(plan('SELECT * FROM things ORDER BY price ASC NULLS FIRST, id ASC LIMIT 10')).not.toContain(
      'TEMP B-TREE',
    )
    expect(plan('SELECT * FROM things ORDER BY name ASC NULLS FIRST, id ASC LIMIT 10')).toContain(
      'TEMP B-TREE',
    )
  })

  test('a duplicate and a lock together: the duplicate fails alone once the lock is gone', async () => {
    await store.commit([book('a')])
    const other = new Database(path)
    other.run('BEGIN IMMEDIATE')
    const commits = [store.commit([book('a')]), store.commit([book('b')])]
    setTimeout(() => other.run('COMMIT'), 20)
    const results = await Promise.allSettled(commits)
    other.close()
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
  })
})

const PAGE_SIZE = 4096

/** The numbers of the pages that hold a table's rows. */
function leafPages(path: string, table: string): number[] {
  using database = new Database(path)
  const sql = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf'"
  return database
    .query<{ pageno: number }, [string]>(sql)
    .all(table)
    .map(({ pageno }) => pageno)
}
