// How SQLite runs the statements of lists: by indexes wherever there are some. Plans are asked for on a connection of
// their own, and of statements as the compiler makes them.
import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type SqlStatement, createCompiler } from '../../src/storage/compile.ts'
import { applyMigration } from '../../src/storage/migrate.ts'
import type { Filter, ListQuery, SortKey } from '../../src/storage/query.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import { sqliteDialect } from '../../src/storage/sqlite/dialect.ts'
import { createSqliteStore } from '../../src/storage/sqlite/store.ts'
import { type Row, UniqueError } from '../../src/storage/store.ts'
import { newUuid } from '../../src/core/ids.ts'
import { LIST_TABLES, placeOf } from './list-suite.ts'

const folder = mkdtempSync(join(tmpdir(), 'hipflask-plans-'))
const path = join(folder, 'hipflask.db')
const compiler = createCompiler(sqliteDialect, LIST_TABLES)
let reader: Database

beforeAll(() => {
  const database = openDatabase({ path, durability: 'normal' })
  applyMigration(database, LIST_TABLES)
  database.close(true)
  reader = new Database(path, { readonly: true })
})
afterAll(() => {
  reader.close()
  rmSync(folder, { recursive: true })
})

const key = (field: string, direction: 'asc' | 'desc'): SortKey => ({ field, direction })

/** The steps of a plan, and whether an index gives every row in order. */
function planOf({ sql, parameters }: SqlStatement): string[] {
  const statement = reader.query<{ detail: string }, any[]>(`EXPLAIN QUERY PLAN ${sql}`)
  return statement.all(...parameters).map(({ detail }) => detail)
}
const BY_INDEX = /^(?:SEARCH|SCAN) \S+ USING (?:COVERING )?INDEX /
const BY_ID = /^(?:SEARCH \S+ USING INTEGER PRIMARY KEY|SCAN (?:articles_data)$)/

function expectServed(query: ListQuery): void {
  const { parts } = compiler.list(query)
  expect(compiler.isCheapList(query)).toBe(true)
  for (const part of parts) {
    // The rows without a value, of a range of values: there are none.
    if (query.where !== undefined && part.sql.includes(' is null and (')) continue
    for (const step of planOf(part)) {
      const isServed = BY_INDEX.test(step) || BY_ID.test(step)
      expect({ sql: part.sql, step, isServed }).toEqual({ sql: part.sql, step, isServed: true })
    }
  }
}

const row = { id: 1, _version: 1, rating: 1, done: true, code: 'c', deleted_at: null } as unknown as Row
const empty = { ...row, rating: null, done: null, code: null } as Row

for (const table of ['articles', 'papers']) {
  describe(`${table}: an index serves`, () => {
    const id = table === 'papers' ? newUuid() : 1
    for (const field of ['id', 'rating', 'done', 'code']) {
      for (const direction of ['asc', 'desc'] as const) {
        const sort = [key(field, direction)]
        test(`${field} ${direction}, its beginning and any place of it`, () => {
          for (const where of [undefined, rangeOf(field)]) {
            expectServed({ table, sort, limit: 10, where })
            expectServed({ table, sort, limit: 10, offset: 10, where })
            for (const at of [row, empty]) {
              expectServed({ table, sort, limit: 10, where, after: { ...placeOf(at, sort), id } })
            }
          }
        })
      }
    }

    function rangeOf(field: string): Filter {
      if (field === 'id') return { id: { gte: id, lt: id } }
      return {
        [field]: field === 'rating' ? { gte: 1, lt: 9 } : field === 'done' ? true : { gt: 'a', lte: 'z' },
      }
    }
  })
}

test('an index serves the deleted in the order of ids', () => {
  for (const direction of ['asc', 'desc'] as const) {
    expectServed({ table: 'articles', sort: [key('id', direction)], limit: 10, deleted: true })
  }
})

test('the rows of one value are served in the order of their ids', () => {
  expectServed({ table: 'articles', where: { rating: 1 }, limit: 10 })
  expectServed({ table: 'papers', where: { and: [{ article: 1 }] }, sort: [key('id', 'desc')], limit: 10 })
})

describe('what no index serves is not taken for cheap', () => {
  const cases: [string, Omit<ListQuery, 'table' | 'limit'>][] = [
    ['a sort without an index', { sort: [key('price', 'asc')] }],
    ['a second key', { sort: [key('done', 'asc'), key('rating', 'asc')] }],
    ['a filter without an index', { where: { price: 1 } }],
    ['a filter of another field than the sort', { where: { rating: { gt: 1 } }, sort: [key('done', 'asc')] }],
    ['a range in the order of ids', { where: { rating: { gt: 1 } } }],
    ['several values in the order of ids', { where: { rating: { in: [1, 2] } } }],
    ['a filter beside the one that is served', { where: { rating: 1, price: 1 } }],
    ['a part of a text', { where: { code: { contains: 'c' } }, sort: [key('code', 'asc')] }],
    ['everything but one value', { where: { rating: { ne: 1 } }, sort: [key('rating', 'asc')] }],
    ['one of several filters', { where: { or: [{ rating: 1 }, { done: true }] } }],
    ['a search', { search: 'a' }],
    ['a far offset', { offset: 10_001 }],
    ['the deleted by a key', { deleted: true, sort: [key('rating', 'asc')] }],
    ['the deleted by a unique value', { deleted: true, where: { code: 'c' } }],
    ['all that have a value', { where: { rating: { null: false } } }],
  ]
  test.each(cases)('%s', (_, query) => {
    expect(compiler.isCheapList({ table: 'articles', limit: 10, ...query })).toBe(false)
  })

  const cheap: [string, Omit<ListQuery, 'table' | 'limit'>][] = [
    ['an id', { where: { id: 'a', price: 1 }, sort: [key('price', 'asc')] }],
    ['a unique value', { where: { code: { eq: 'c' }, title: { contains: 'x' } } }],
    [
      '100 ids, under a rule',
      { where: { and: [{ price: { gt: 1 } }, { id: { in: Array(100).fill('a') } }] } },
    ],
    ['an offset of 10,000', { offset: 10_000 }],
  ]
  test.each(cheap)('but %s is', (_, query) => {
    expect(compiler.isCheapList({ table: 'papers', limit: 10, ...query })).toBe(true)
  })

  test('101 ids are not', () => {
    const where = { id: { in: Array(101).fill('a') } }
    expect(compiler.isCheapList({ table: 'papers', limit: 10, where })).toBe(false)
  })
})

test('a filter of the same structure has the same text, and another text for another structure', () => {
  const sqlOf = (where: Filter) => compiler.list({ table: 'articles', limit: 1, where }).parts[0]?.sql
  const same: [Filter, Filter][] = [
    [{ rating: 1 }, { rating: { eq: 2 } }],
    [{ title: { contains: 'A' } }, { title: { contains: '%' } }],
    [{ rating: { in: [1, 2] } }, { rating: { in: [3, 4] } }],
    [{ or: [{ rating: 1 }, { price: 2 }] }, { or: [{ rating: 3 }, { price: 4 }] }],
  ]
  for (const [one, other] of same) expect(sqlOf(one)).toBe(sqlOf(other) as string)
  const different: Filter[] = [
    {},
    { rating: 1 },
    { rating: null },
    { rating: { gt: 1 } },
    { rating: { null: true } },
    { rating: { null: false } },
    { rating: { in: [1] } },
    { rating: { nin: [1] } },
    { rating: 1, price: 1 },
    { price: 1, rating: 1 },
    { or: [{ rating: 1 }, { price: 1 }] },
    { or: [{ rating: 1, price: 1 }], done: true },
    { or: [{ rating: 1 }, { price: 1 }, { done: true }] },
    { title: { contains: 'a' } },
    { title: { starts_with: 'a' } },
    { title: 'a' },
  ]
  const texts = different.map(
    (where) =>
      `${sqlOf(where)} ${JSON.stringify(compiler.list({ table: 'articles', limit: 1, where }).parts[0]?.parameters)}`,
  )
  expect(new Set(texts).size).toBe(different.length)
})

test('the index of words is right after every kind of write, and its row numbers outlive VACUUM', async () => {
  const file = join(folder, 'words.db')
  const database = openDatabase({ path: file, durability: 'normal' })
  applyMigration(database, LIST_TABLES)
  const store = createSqliteStore({ database, tables: LIST_TABLES })
  const ids = Array.from({ length: 400 }, () => newUuid())
  await store.commit(
    ids.map((id, index) => ({
      kind: 'insert',
      table: 'papers',
      id,
      values: { title: `word${index} all`, code: `${index}` },
    })),
  )
  for (const id of ids.slice(0, 300)) {
    if (Math.random() < 0.5) await store.commit([{ kind: 'delete', table: 'papers', id }])
    else
      await store.commit([
        { kind: 'update', table: 'papers', id, values: { title: 'changed', body: 'text' } },
      ])
  }
  const taken = {
    kind: 'update',
    table: 'papers',
    id: ids[399] as string,
    values: { code: '398', title: 'undone' },
  } as const
  expect(await store.commit([taken]).catch((error: unknown) => error)).toBeInstanceOf(UniqueError)
  const check =
    'INSERT INTO "_hipflask_fts_papers$" ("_hipflask_fts_papers$", rank) VALUES (\'integrity-check\', 1)'
  const found = async () =>
    (await store.list({ table: 'papers', search: 'word350', limit: 9 })).map(({ id }) => id)
  const numbers = () => database.query('SELECT rowid, id FROM papers ORDER BY id').values()
  const before = numbers()
  database.run(check)
  database.run('VACUUM')
  database.run(check)
  expect(numbers()).toEqual(before)
  expect(await found()).toEqual([ids[350] as string])
  const copy = join(folder, 'copy.db')
  database.run('VACUUM INTO ?', [copy])
  using copied = new Database(copy)
  expect(copied.query('SELECT rowid, id FROM papers ORDER BY id').values()).toEqual(before)
  copied.run(check)
  await store.stop()
})
