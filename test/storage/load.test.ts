// Loads: all rows or none, whatever the rest of the world does meanwhile, and nothing left behind.
import { Database } from 'bun:sqlite'
import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StartError } from '../../src/core/errors.ts'
import { applyMigration } from '../../src/storage/migrate.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import { LOAD_LOCK_WAIT_MS } from '../../src/storage/sqlite/load.ts'
import { createSqliteStore, type SqliteStoreOptions } from '../../src/storage/sqlite/store.ts'
import { UniqueError, type LoadFault, type LoadRow, type Store, type Table } from '../../src/storage/store.ts'
import { TABLES, book, person, thing } from './tables.ts'

const folder = mkdtempSync(join(tmpdir(), 'hipflask-load-'))
afterAll(() => rmSync(folder, { recursive: true }))

const NODES: Table = {
  name: 'nodes',
  id: 'integer',
  columns: [{ name: 'parent', kind: 'integer', nullable: true, references: 'nodes' }],
}
const GONE: Table = {
  name: 'gone',
  id: 'integer',
  softDelete: true,
  columns: [
    { name: 'code', kind: 'text', nullable: true, unique: true },
    { name: 'deleted_at', kind: 'text', nullable: true },
  ],
}
const LEAVES: Table = {
  name: 'leaves',
  id: 'integer',
  columns: [{ name: 'gone', kind: 'integer', nullable: true, references: 'gone' }],
}
const ALL = [...TABLES, NODES, GONE, LEAVES]

let files = 0
const newPath = () => join(folder, String(++files), 'test.db')

function open(path = newPath(), options: Partial<SqliteStoreOptions> = {}): Store {
  const database = openDatabase({ path, durability: 'full' })
  applyMigration(database, ALL)
  return createSqliteStore({ database, tables: ALL, ...options })
}

const rowsOf = (list: readonly (LoadRow['values'] & { id?: number | string })[]): LoadRow[] =>
  list.map(({ id, ...values }, index) => ({ row: index + 1, id, values }))

/** Loads the rows and gives the faults; stores them where there are none. */
async function load(
  store: Store,
  table: string,
  rows: readonly LoadRow[],
  limit = 100,
): Promise<LoadFault[]> {
  await using loading = await store.load(table)
  await loading.add(rows)
  const { first, total } = await loading.faults(limit)
  expect(first).toHaveLength(Math.min(total, limit))
  if (total === 0) await loading.commit()
  return [...first]
}

const idsOf = async (store: Store, table: string) =>
  (await store.list({ table, limit: 1000 })).map(({ id }) => id)

describe.each([
  ['in a file', newPath],
  ['in memory', () => ':memory:'],
])('a load %s', (_, pathOf) => {
  test('stores rows of every kind as an insert does, and counts them', async () => {
    const store = open(pathOf())
    const values = [
      { name: 'é"\n', price: -1.5, amount: 7, done: true, extra: { a: [1, null, 'x'] } },
      { name: '', price: 0, amount: 0, done: false, extra: [] },
      { name: 'x' },
    ]
    for (const one of values) await store.commit([thing(one)])
    expect(await load(store, 'things', rowsOf(values))).toEqual([])
    const rows = await store.list({ table: 'things', limit: 10 })
    const without = ({ id: _id, ...rest }: (typeof rows)[number]) => rest
    expect(rows.slice(3).map(without)).toEqual(rows.slice(0, 3).map(without))
    expect(rows.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6])
    expect(await store.count('things')).toBe(6)
    await store.stop()
  })

  test('keeps ids, makes others behind all of them, and never gives one twice', async () => {
    const store = open(pathOf())
    const given = [{ name: 'a' }, { id: 1, name: 'b' }, { name: 'c' }, { id: 50, name: 'd' }]
    expect(await load(store, 'things', rowsOf(given))).toEqual([])
    const rows = await store.list({ table: 'things', limit: 10 })
    expect(rows.map(({ id, name }) => [id, name])).toEqual([
      [1, 'b'],
      [50, 'd'],
      [51, 'a'],
      [52, 'c'],
    ])
    const [next] = await store.commit([thing({ name: 'e' })])
    expect(next?.id).toBe(53)
    await store.stop()
  })

  test('is one of several pieces, any of which may be empty', async () => {
    const store = open(pathOf())
    await using loading = await store.load('things')
    const rows = rowsOf(Array.from({ length: 25_001 }, (_unused, index) => ({ name: `n${index}` })))
    await loading.add(rows.slice(0, 1))
    await loading.add([])
    await loading.add(rows.slice(1))
    const seen: number[] = []
    await loading.commit((count) => seen.push(count))
    expect(seen.at(-1)).toBe(25_001)
    expect(seen).toEqual(seen.toSorted((one, other) => one - other))
    expect(await store.count('things')).toBe(25_001)
  })

  test('of no rows stores nothing', async () => {
    const store = open(pathOf())
    expect(await load(store, 'things', [])).toEqual([])
    expect(await store.count('things')).toBe(0)
    await store.stop()
  })
})

describe('faults', () => {
  const PERSON = '01987c3e-5f2a-7b61-9d04-6a3f1c8e2b75'
  const OTHER = '01987c3e-5f2a-7b61-9d04-6a3f1c8e2b76'
  const cases: [
    table: string,
    rows: (LoadRow['values'] & { id?: number | string })[],
    faults: [number, string, string][],
  ][] = [
    [
      'things',
      [
        { id: 1, name: 'x' },
        { id: 2, name: 'x' },
      ],
      [[1, 'id', 'taken']],
    ],
    [
      'things',
      [
        { id: 5, name: 'x' },
        { id: 6, name: 'x' },
        { id: 5, name: 'x' },
      ],
      [[3, 'id', 'repeated']],
    ],
    ['people', [{ id: PERSON, email: 'new' }], [[1, 'id', 'taken']]],
    ['people', [{ id: OTHER, email: 'taken' }], [[1, 'email', 'taken']]],
    ['people', [{ id: OTHER, email: 'Taken' }], []],
    ['books', [{ code: 'x' }, { code: 'y' }, { code: 'x' }], [[3, 'code', 'repeated']]],
    ['books', [{ code: 'old' }, { code: 'new' }], [[1, 'code', 'taken']]],
    ['books', [{ code: 'x', author: PERSON, reader: null }], []],
    [
      'books',
      [{ code: 'x', author: OTHER, reader: OTHER }],
      [
        [1, 'author', 'missing'],
        [1, 'reader', 'missing'],
      ],
    ],
    [
      'books',
      [{ code: 'old', author: OTHER }, { code: 'x' }, { code: 'x' }],
      [
        [1, 'code', 'taken'],
        [1, 'author', 'missing'],
        [3, 'code', 'repeated'],
      ],
    ],
    // A row may refer to an earlier, a later one, or itself.
    [
      'nodes',
      [
        { id: 1, parent: 3 },
        { id: 2, parent: 1 },
        { id: 3, parent: 3 },
      ],
      [],
    ],
    [
      'nodes',
      [{ id: 1, parent: null }, { id: 2, parent: 9 }, { parent: 4 }],
      [
        [2, 'parent', 'missing'],
        [3, 'parent', 'missing'],
      ],
    ],
    ['gone', [{ code: 'living' }], [[1, 'code', 'taken']]],
    ['gone', [{ code: 'dead' }], []],
    ['gone', [{ code: null }, { code: null }], []],
    ['gone', [{ id: 2, code: 'x' }], [[1, 'id', 'taken']]],
    ['leaves', [{ gone: 1 }, { gone: 2 }], [[2, 'gone', 'missing']]],
  ]
  for (const [table, rows, expected] of cases) {
    test(`${table} ${JSON.stringify(rows)}`, async () => {
      const path = newPath()
      const store = open(path)
      await store.commit([thing({ name: 'first' }), person('taken', PERSON), book('old')])
      await store.commit([
        { kind: 'insert', table: 'gone', values: { code: 'living' } },
        { kind: 'insert', table: 'gone', values: { code: 'dead', deleted_at: '2026-01-01T00:00:00.000Z' } },
      ])
      const before = await store.count(table)
      const faults = await load(store, table, rowsOf(rows))
      expect(faults.map(({ row, column, problem }) => [row, column, problem])).toEqual(expected as never)
      expect(await store.count(table)).toBe(expected.length > 0 ? before : before + rows.length)
      await store.stop()
      using database = new Database(path, { readonly: true })
      expect(database.query('PRAGMA foreign_key_check').all()).toEqual([])
    })
  }

  test('are none where a row refers to one that is copied much later', async () => {
    const store = open()
    const rows = Array.from({ length: 25_000 }, (_, index) => ({ id: index + 1, parent: 25_000 - index }))
    expect(await load(store, 'nodes', rowsOf(rows))).toEqual([])
    expect(await store.count('nodes')).toBe(25_000)
    await store.stop()
  })

  test('are at most as many as asked for, the first ones, and all counted', async () => {
    const store = open()
    await store.commit([book('a'), book('b')])
    const rows = rowsOf(
      ['a', 'x', 'x', 'b', 'x'].map((code) => ({ code, author: code === 'x' ? null : OTHER })),
    )
    await using loading = await store.load('books')
    await loading.add(rows)
    const { first, total } = await loading.faults(3)
    expect(total).toBe(6)
    expect(first.map(({ row, column }) => [row, column])).toEqual([
      [1, 'code'],
      [1, 'author'],
      [3, 'code'],
    ])
    expect((await loading.faults(100)).first.map(({ row }) => row)).toEqual([1, 1, 3, 4, 4, 5])
    expect(loading.commit()).rejects.toThrow(TypeError)
  })
})

describe('others', () => {
  test('see nothing before the commit and all of it after, total included', async () => {
    const path = newPath()
    const [store, server] = [open(path), open(path)]
    await using loading = await store.load('things')
    await loading.add(rowsOf([{ name: 'a' }, { name: 'b' }]))
    await server.commit([thing({ name: 'meanwhile' })])
    expect(await server.count('things')).toBe(1)
    await loading.commit()
    // What has been read in a turn of the event loop does not change within it.
    await Bun.sleep(1)
    expect(await server.count('things')).toBe(3)
    expect(await idsOf(server, 'things')).toEqual([1, 2, 3])
    await server.stop()
  })

  test('that take a value in between leave the load without effect, and it says why', async () => {
    const path = newPath()
    const [store, server] = [open(path), open(path)]
    await using loading = await store.load('books')
    await loading.add(rowsOf([{ code: 'x' }, { code: 'y' }]))
    expect((await loading.faults(10)).total).toBe(0)
    await server.commit([book('y')])
    expect(await loading.commit().catch((error: unknown) => error)).toBeInstanceOf(UniqueError)
    expect((await loading.faults(10)).first).toEqual([{ row: 2, column: 'code', problem: 'taken' }])
    expect(await server.count('books')).toBe(1)
    await server.stop()
  })

  test('may hold the lock: the load waits, and the event loop goes on', async () => {
    const path = newPath()
    const store = open(path)
    using other = new Database(path)
    other.run('BEGIN IMMEDIATE')
    await using loading = await store.load('things')
    await loading.add(rowsOf([{ name: 'a' }]))
    const committing = loading.commit()
    setTimeout(() => other.run('COMMIT'), 50)
    await committing
    expect(await store.count('things')).toBe(1)
  })

  test('may not hold it for ever', async () => {
    const path = newPath()
    let now = 0
    const store = open(path, { clock: () => now })
    using other = new Database(path)
    other.run('BEGIN IMMEDIATE')
    await using loading = await store.load('things')
    await loading.add(rowsOf([{ name: 'a' }]))
    const failing = loading.commit().catch((error: unknown) => error)
    now = LOAD_LOCK_WAIT_MS
    const error = await failing
    expect(error).toBeInstanceOf(StartError)
    expect((error as StartError).message).toContain('is locked by another process')
    other.run('COMMIT')
    await loading.commit()
    expect(await store.count('things')).toBe(1)
  })
})

test('nothing is left of a load: not in the folder, not in the database', async () => {
  const path = newPath()
  const store = open(path)
  {
    await using loading = await store.load('things')
    await loading.add(rowsOf([{ name: 'a' }]))
    expect(readdirSync(join(path, '..')).toSorted()).toEqual(['test.db', 'test.db-shm', 'test.db-wal'])
  }
  expect(await store.count('things')).toBe(0)
  expect(await load(store, 'things', rowsOf([{ name: 'a' }]))).toEqual([])
  await store.stop()
  expect(readdirSync(join(path, '..'))).toEqual(['test.db'])
})

test('wrong use is a TypeError and does no harm', async () => {
  const store = open()
  expect(store.load('nope')).rejects.toThrow(TypeError)
  await using loading = await store.load('people')
  const bad: LoadRow[][] = [
    [{ row: 1, id: undefined, values: { email: 'x' } }],
    [{ row: 1, id: 7, values: { email: 'x' } }],
    [{ row: 1, id: 'a', values: {} }],
    [{ row: 1, id: 'a', values: { email: 5 } }],
    [{ row: 0, id: 'a', values: { email: 'x' } }],
    [
      { row: 2, id: 'a', values: { email: 'x' } },
      { row: 2, id: 'b', values: { email: 'y' } },
    ],
  ]
  for (const rows of bad) {
    expect(await loading.add(rows).catch((error: unknown) => error)).toBeInstanceOf(TypeError)
  }
  await store.commit([person('still works')])
  expect(await store.count('people')).toBe(1)
})
