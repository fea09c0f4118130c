// What becomes of a database when the declarations change: tables of before and after → statements or refusal.
import { Database } from 'bun:sqlite'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StartError } from '../../src/core/errors.ts'
import { applyMigration, planMigration } from '../../src/storage/migrate.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import { createSqliteStore } from '../../src/storage/sqlite/store.ts'
import type { Column, Table } from '../../src/storage/store.ts'
import { TABLES } from './tables.ts'

const folder = mkdtempSync(join(tmpdir(), 'hipflask-migrate-'))
afterAll(() => rmSync(folder, { recursive: true }))

const text = (name: string, more: Partial<Column> = {}): Column => ({
  name,
  kind: 'text',
  nullable: true,
  ...more,
})
const items = (...columns: Column[]): Table => ({ name: 'items', id: 'integer', columns })
const owners: Table = { name: 'owners', id: 'integer', columns: [] }
const reference = (more: Partial<Column> = {}): Column =>
  text('owner', { kind: 'integer', references: 'owners', ...more })

let database: Database
beforeEach(() => {
  database = openDatabase({ path: ':memory:', durability: 'full' })
})
afterEach(() => database.close(true))

const schema = () => database.query('SELECT * FROM sqlite_schema ORDER BY rowid').values()
const addRows = (count: number) => {
  const names = planMigration(database, []).undeclared
  for (const name of names)
    database.run(`INSERT INTO ${name} (_version) VALUES ${Array(count).fill('(1)').join()}`)
}

describe('an empty database', () => {
  test('is set up in full, strict, with ids that are not reused and every reference indexed', () => {
    const plan = planMigration(database, TABLES)
    expect(plan).toMatchObject({ problems: [], undeclared: [], isEmpty: true })
    expect(plan.statements).toEqual([
      'CREATE TABLE "things" (\n  id INTEGER PRIMARY KEY AUTOINCREMENT,\n  _version INTEGER NOT NULL,\n' +
        '  "name" TEXT,\n  "price" REAL,\n  "amount" INTEGER,\n  "done" INT,\n  "extra" ANY\n) STRICT',
      'CREATE INDEX "things.price.index" ON "things" ("price")',
      'CREATE TABLE "people" (\n  id TEXT PRIMARY KEY NOT NULL,\n  _version INTEGER NOT NULL,\n' +
        '  "email" TEXT NOT NULL,\n  "friend" TEXT REFERENCES "people" (id)\n) STRICT',
      'CREATE UNIQUE INDEX "people.email.unique" ON "people" ("email")',
      'CREATE INDEX "people.friend.index" ON "people" ("friend")',
      'CREATE TABLE "books" (\n  id INTEGER PRIMARY KEY AUTOINCREMENT,\n  _version INTEGER NOT NULL,\n' +
        '  "code" TEXT NOT NULL,\n  "author" TEXT REFERENCES "people" (id),\n' +
        '  "reader" TEXT REFERENCES "people" (id) ON DELETE SET NULL\n) STRICT',
      'CREATE UNIQUE INDEX "books.code.unique" ON "books" ("code")',
      'CREATE INDEX "books.author.index" ON "books" ("author")',
      'CREATE INDEX "books.reader.index" ON "books" ("reader")',
    ])
    expect(schema()).toEqual([])
  })

  test('has nothing left to do afterwards', () => {
    expect(applyMigration(database, TABLES).statements).toHaveLength(9)
    createSqliteStore({ database, tables: TABLES })
    expect(planMigration(database, TABLES)).toEqual({
      statements: [],
      problems: [],
      undeclared: [],
      isEmpty: false,
    })
  })

  test('names of indexes do not collide', () => {
    const tables: Table[] = [
      { name: 'a_b', id: 'integer', columns: [text('c', { index: true })] },
      { name: 'a', id: 'integer', columns: [text('b_c', { index: true }), text('b', { index: true })] },
    ]
    applyMigration(database, tables)
    expect(planMigration(database, tables)).toMatchObject({ statements: [], problems: [] })
  })
})

describe('what can lose nothing', () => {
  test.each<[string, { before: Table[]; after: Table[]; rows?: number }, string[]]>([
    [
      'a new optional column',
      { before: [items()], after: [items(text('name'))], rows: 2 },
      ['ALTER TABLE "items" ADD COLUMN "name" TEXT'],
    ],
    [
      'a new required column with a default',
      { before: [items()], after: [items(text('name', { nullable: false, default: "it's" }))], rows: 2 },
      [`ALTER TABLE "items" ADD COLUMN "name" TEXT NOT NULL DEFAULT 'it''s'`],
    ],
    [
      'defaults of every kind',
      {
        before: [items()],
        after: [
          items(
            text('a', { kind: 'real', default: -1e-7 }),
            text('b', { kind: 'integer', default: -5 }),
            text('c', { kind: 'boolean', default: false, nullable: false }),
            text('d', { kind: 'json', default: { "it's": [1] } }),
            text('e', { default: null }),
          ),
        ],
        rows: 1,
      },
      [
        'ALTER TABLE "items" ADD COLUMN "a" REAL DEFAULT -1e-7',
        'ALTER TABLE "items" ADD COLUMN "b" INTEGER DEFAULT -5',
        'ALTER TABLE "items" ADD COLUMN "c" INT NOT NULL DEFAULT 0',
        `ALTER TABLE "items" ADD COLUMN "d" ANY DEFAULT '{"it''s":[1]}'`,
        'ALTER TABLE "items" ADD COLUMN "e" TEXT DEFAULT NULL',
      ],
    ],
    [
      'a new required column without rows',
      { before: [items()], after: [items(text('name', { nullable: false }))] },
      ['ALTER TABLE "items" ADD COLUMN "name" TEXT NOT NULL'],
    ],
    [
      'a new unique column without default',
      { before: [items()], after: [items(text('name', { unique: true }))], rows: 2 },
      [
        'ALTER TABLE "items" ADD COLUMN "name" TEXT',
        'CREATE UNIQUE INDEX "items.name.unique" ON "items" ("name")',
      ],
    ],
    [
      'a new reference',
      { before: [items()], after: [items(reference()), owners], rows: 2 },
      [
        'ALTER TABLE "items" ADD COLUMN "owner" INTEGER REFERENCES "owners" (id)',
        'CREATE INDEX "items.owner.index" ON "items" ("owner")',
        'CREATE TABLE "owners" (\n  id INTEGER PRIMARY KEY AUTOINCREMENT,\n  _version INTEGER NOT NULL\n) STRICT',
      ],
    ],
    [
      'an index less',
      { before: [items(text('name', { index: true }))], after: [items(text('name'))] },
      ['DROP INDEX "items.name.index"'],
    ],
    [
      'unique no more, but indexed',
      { before: [items(text('name', { unique: true }))], after: [items(text('name', { index: true }))] },
      ['DROP INDEX "items.name.unique"', 'CREATE INDEX "items.name.index" ON "items" ("name")'],
    ],
    [
      'unique from now on, with nulls only',
      { before: [items(text('name'))], after: [items(text('name', { unique: true }))], rows: 3 },
      ['CREATE UNIQUE INDEX "items.name.unique" ON "items" ("name")'],
    ],
    [
      'another order of columns',
      { before: [items(text('a'), text('b'))], after: [items(text('b'), text('a'))] },
      [],
    ],
    [
      'another default',
      { before: [items(text('a'))], after: [items(text('a', { default: 'x' }))], rows: 1 },
      [],
    ],
  ])('%s', (_, { before, after, rows = 0 }, expected) => {
    applyMigration(database, before)
    if (rows > 0) addRows(rows)
    expect(planMigration(database, after)).toMatchObject({
      statements: expected,
      problems: [],
      isEmpty: false,
    })
    applyMigration(database, after)
    expect(planMigration(database, after)).toMatchObject({ statements: [], problems: [] })
  })

  test('rows get the default of a new column, and new rows do not', async () => {
    applyMigration(database, [items()])
    addRows(1)
    const tables = [
      items(text('done', { kind: 'boolean', default: true }), text('tags', { kind: 'json', default: [1] })),
    ]
    applyMigration(database, tables)
    const store = createSqliteStore({ database, tables })
    expect(await store.get('items', 1)).toEqual({ id: 1, _version: 1, done: true, tags: [1] })
    expect(await store.commit([{ kind: 'insert', table: 'items', values: {} }])).toMatchObject([
      { done: null, tags: null },
    ])
  })

  test("tables and indexes of others are left alone, internal tables aren't named", () => {
    database.run('CREATE TABLE Foreigners (a)')
    database.run('CREATE VIEW views AS SELECT 1')
    database.run('CREATE TABLE _hipflask_things (a)')
    database.run('CREATE VIRTUAL TABLE words USING fts5(a)')
    applyMigration(database, [items(text('name'))])
    database.run('CREATE INDEX mine ON items (name)')
    database.run('CREATE INDEX "mine.name.index" ON items (name)')
    expect(planMigration(database, [items(text('name'))])).toEqual({
      statements: [],
      problems: [],
      undeclared: ['foreigners', 'views', 'words'],
      isEmpty: false,
    })
    expect(planMigration(database, [owners])).toMatchObject({
      undeclared: ['foreigners', 'items', 'views', 'words'],
    })
  })

  test("a database with others' tables only is empty", () => {
    database.run('CREATE TABLE foreigners (a)')
    expect(planMigration(database, TABLES)).toMatchObject({ isEmpty: true, undeclared: ['foreigners'] })
  })
})

describe('what could lose something is refused', () => {
  const name = text('name')
  test.each<[string, { before: Table[]; after: Table[]; rows?: number }, RegExp]>([
    [
      'a column less',
      { before: [items(name)], after: [items()] },
      /Column items\.name is stored but not declared/,
    ],
    [
      'another kind',
      { before: [items(name)], after: [items(text('name', { kind: 'real' }))] },
      /Column items\.name is text, real is declared/,
    ],
    [
      'JSON from text',
      { before: [items(name)], after: [items(text('name', { kind: 'json' }))] },
      /items\.name is text, json is declared/,
    ],
    [
      'a boolean from an integer',
      { before: [items(text('n', { kind: 'integer' }))], after: [items(text('n', { kind: 'boolean' }))] },
      /items\.n is integer, boolean is declared/,
    ],
    [
      'required from now on',
      { before: [items(name)], after: [items(text('name', { nullable: false }))] },
      /items\.name is optional, required is declared/,
    ],
    [
      'optional from now on',
      { before: [items(text('name', { nullable: false }))], after: [items(name)] },
      /items\.name is required, optional is declared/,
    ],
    [
      'another kind of ids',
      { before: [items(name)], after: [{ ...items(name), id: 'uuid' }] },
      /Table items has integer ids, uuid ids are declared/,
    ],
    [
      'another kind of ids, back',
      { before: [{ ...items(name), id: 'uuid' }], after: [items(name)] },
      /Table items has uuid ids, integer ids are declared/,
    ],
    [
      'a reference from now on',
      { before: [owners, items(text('owner', { kind: 'integer' }))], after: [owners, items(reference())] },
      /items\.owner is no reference, one to owners is declared/,
    ],
    [
      'no reference any more',
      { before: [owners, items(reference())], after: [owners, items(text('owner', { kind: 'integer' }))] },
      /items\.owner is a reference to owners, none is declared/,
    ],
    [
      'another reference',
      { before: [owners, items(reference())], after: [owners, items(reference({ references: 'items' }))] },
      /items\.owner is a reference to owners, one to items is declared/,
    ],
    [
      'another action on delete',
      { before: [owners, items(reference())], after: [owners, items(reference({ onDelete: 'set null' }))] },
      /items\.owner is a reference to owners, one to owners set null is declared/,
    ],
    [
      'a new required column without default',
      { before: [items()], after: [items(text('name', { nullable: false }))], rows: 1 },
      /items\.name is new and required, but there are rows without it: give it a default/,
    ],
    [
      'a new unique column with a default',
      { before: [items()], after: [items(text('name', { unique: true, default: 'x' }))], rows: 1 },
      /items\.name is new and unique, but all rows would get the same default/,
    ],
    [
      'a new reference with a default',
      { before: [owners, items()], after: [owners, items(reference({ default: 1 }))], rows: 1 },
      /items\.owner is new and a reference, which can have no default/,
    ],
  ])('%s', (_, { before, after, rows = 0 }, message) => {
    applyMigration(database, before)
    if (rows > 0) addRows(rows)
    const stored = schema()
    const { problems } = planMigration(database, after)
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(message)
    expect(() => applyMigration(database, after)).toThrow(StartError)
    expect(schema()).toEqual(stored)
  })

  test('unique from now on, with duplicates', () => {
    applyMigration(database, [items(name)])
    database.run("INSERT INTO items (_version, name) VALUES (1, 'a'), (1, 'a')")
    const after = [items(text('name', { unique: true }))]
    expect(planMigration(database, after).problems).toEqual([
      'Column items.name has the same value in several rows: make them differ, or declare it not unique',
    ])
    database.run("UPDATE items SET name = 'b' WHERE id = 1")
    expect(planMigration(database, after).problems).toEqual([])
  })

  test.each([
    'CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)',
    'CREATE TABLE Items (id INTEGER PRIMARY KEY, _version INTEGER, name TEXT)',
    'CREATE TABLE items (key TEXT PRIMARY KEY, _version INTEGER) STRICT',
    'CREATE VIEW items AS SELECT 1 AS id, 1 AS _version',
  ])('a table that was made by another program: %s', (statement) => {
    database.run(statement)
    expect(planMigration(database, [items(name)]).problems).toEqual([
      'Table items was not made by hipflask: rename it, or give the resource another name',
    ])
  })

  test('all problems are told at once, and nothing is changed', () => {
    applyMigration(database, [items(text('a'), text('b')), owners])
    const stored = schema()
    const after: Table[] = [
      { name: 'brand_new', id: 'integer', columns: [] },
      items(text('b', { kind: 'real', nullable: false }), text('c', { index: true })),
      { ...owners, id: 'uuid' },
    ]
    let message = ''
    try {
      applyMigration(database, after)
    } catch (error) {
      message = (error as StartError).message
    }
    expect(message.split('\n')).toEqual([
      'Database :memory: cannot follow the declarations, nothing was changed:',
      expect.stringContaining('- Column items.a '),
      expect.stringContaining('- Column items.b is text, real'),
      expect.stringContaining('- Column items.b is optional, required'),
      expect.stringContaining('- Table owners has integer ids'),
    ])
    expect(schema()).toEqual(stored)
  })

  test('a default of the wrong kind is a fault of the caller', () => {
    applyMigration(database, [items()])
    expect(() => planMigration(database, [items(text('name', { default: 1 }))])).toThrow(TypeError)
  })
})

test('processes that start at once on a new file migrate it once', async () => {
  const path = join(folder, 'hipflask.db')
  const module = (name: string) => JSON.stringify(join(import.meta.dir, '../../src/storage', name))
  const script = `
    const { openDatabase } = await import(${module('sqlite/database.ts')})
    const { applyMigration } = await import(${module('migrate.ts')})
    const { createSqliteStore } = await import(${module('sqlite/store.ts')})
    const tables = ${JSON.stringify(TABLES)}
    const database = openDatabase({ path: ${JSON.stringify(path)}, durability: 'full' })
    const { statements } = applyMigration(database, tables)
    await createSqliteStore({ database, tables }).stop()
    console.log(statements.length)`
  const processes = Array.from({ length: 4 }, () =>
    Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe', stderr: 'pipe' }),
  )
  const outputs = await Promise.all(
    processes.map(async (process) => [
      await process.exited,
      await process.stdout.text(),
      await process.stderr.text(),
    ]),
  )
  expect(outputs.toSorted()).toEqual([
    [0, '0\n', ''],
    [0, '0\n', ''],
    [0, '0\n', ''],
    [0, '9\n', ''],
  ])
})
