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

const isOfTables = (statement: string) => !/_hipflask_(?:idempotency|secrets|time)/.test(statement)
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
    expect(plan.statements.filter(isOfTables)).toEqual([
      'CREATE TABLE "things" (\n  id INTEGER PRIMARY KEY AUTOINCREMENT,\n  _version INTEGER NOT NULL,\n' +
        '  "name" TEXT,\n  "price" REAL,\n  "amount" INTEGER,\n  "done" INT,\n  "extra" ANY\n) STRICT',
      'CREATE INDEX "things.price.index" ON "things" ("price")',
      'CREATE TABLE "people" (\n  id TEXT PRIMARY KEY NOT NULL,\n  _version INTEGER NOT NULL,\n' +
        '  "email" TEXT NOT NULL,\n  "friend" TEXT REFERENCES "people" (id)\n) STRICT',
      'CREATE UNIQUE INDEX "people.email.unique" ON "people" ("email")',
      'CREATE INDEX "people.friend.index" ON "people" ("friend", "id")',
      'CREATE TABLE "books" (\n  id INTEGER PRIMARY KEY AUTOINCREMENT,\n  _version INTEGER NOT NULL,\n' +
        '  "code" TEXT NOT NULL,\n  "author" TEXT REFERENCES "people" (id),\n' +
        '  "reader" TEXT REFERENCES "people" (id) ON DELETE SET NULL\n) STRICT',
      'CREATE TRIGGER "_hipflask_cleared_books$reader" AFTER UPDATE OF "reader" ON "books"\n' +
        'WHEN NEW."reader" IS NULL AND NEW._version = OLD._version\n' +
        'BEGIN\n  UPDATE "books" SET _version = _version + 1 WHERE _rowid_ = NEW._rowid_;\nEND',
      'CREATE UNIQUE INDEX "books.code.unique" ON "books" ("code")',
      'CREATE INDEX "books.author.index" ON "books" ("author")',
      'CREATE INDEX "books.reader.index" ON "books" ("reader")',
      `CREATE TABLE "_hipflask_visits" (
  id TEXT PRIMARY KEY NOT NULL,
  _version INTEGER NOT NULL,
  "visitor" TEXT NOT NULL REFERENCES "people" (id) ON DELETE CASCADE
) STRICT`,
      'CREATE INDEX "_hipflask_visits.visitor.index" ON "_hipflask_visits" ("visitor", "id")',
    ])
    expect(schema()).toEqual([])
  })

  test('has nothing left to do afterwards', () => {
    expect(applyMigration(database, TABLES).statements.filter(isOfTables)).toHaveLength(12)
    createSqliteStore({ database, tables: TABLES })
    expect(planMigration(database, TABLES)).toEqual({
      statements: [],
      problems: [],
      remedies: [],
      undeclared: [],
      isEmpty: false,
      files: [],
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
    expect(planMigration(database, [items(text('name'))])).toMatchObject({
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
    database.run('CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER)')
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
      { before: [items(name)], after: [items(text('name', { nullable: false }))], rows: 1 },
      /items\.name is optional, required is declared, and there are rows without it/,
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
      expect.stringContaining('- Table owners has integer ids'),
      'A migration could be, in migrations/0001_NAME.sql (hipflask migrate new NAME writes it):',
      expect.any(String),
      ...Array.from({ length: 18 }, () => expect.any(String)),
    ])
    expect(schema()).toEqual(stored)
  })

  test('a default of the wrong kind is a fault of the caller', () => {
    applyMigration(database, [items()])
    expect(() => planMigration(database, [items(text('name', { default: 1 }))])).toThrow(TypeError)
  })
})

describe('tables are made anew where nothing can be lost', () => {
  const owned = items(text('name', { unique: true }), reference())
  const rows = `
    INSERT INTO owners (id, _version) VALUES (1, 1), (2, 1);
    INSERT INTO items (id, _version, name, owner) VALUES (1, 3, 'a', 1), (2, 1, 'b', NULL), (9, 1, 'c', 2);
    DELETE FROM items WHERE id = 9`
  const before = [owners, owned]

  test.each<[string, Table]>([
    ['required from now on', items(text('name', { nullable: false, unique: true }), reference())],
    ['no reference any more', items(text('name', { unique: true }), text('owner', { kind: 'integer' }))],
    ['another action on delete', items(text('name', { unique: true }), reference({ onDelete: 'set null' }))],
    [
      'all at once, and a new column',
      items(
        text('name', { nullable: false, index: true }),
        text('owner', { kind: 'integer' }),
        text('state', { nullable: false, default: "it's new" }),
      ),
    ],
  ])('%s', (_, after) => {
    applyMigration(database, before)
    database.run(rows)
    database.run('CREATE INDEX mine ON items (owner)')
    database.run('CREATE VIEW names AS SELECT name FROM items')
    database.run('CREATE TRIGGER theirs AFTER INSERT ON items BEGIN SELECT 1; END')
    applyMigration(database, [owners, after])
    expect(planMigration(database, [owners, after])).toMatchObject({ statements: [], problems: [] })
    expect(database.query('SELECT id, _version, name, owner FROM items ORDER BY id').values()).toEqual([
      [1, 3, 'a', 1],
      [2, 1, 'b', null],
    ])
    expect(database.query('SELECT name FROM names ORDER BY name').values()).toEqual([['a'], ['b']])
    const others = "SELECT name FROM sqlite_schema WHERE name IN ('mine', 'theirs') ORDER BY name"
    expect(database.query(others).values()).toEqual([['mine'], ['theirs']])
    const state = after.columns.some(({ name }) => name === 'state')
    database.run(
      `INSERT INTO items (_version, name${state ? ', state' : ''}) VALUES (1, 'd'${state ? ', 1' : ''})`,
    )
    expect(database.query('SELECT max(id) FROM items').values()).toEqual([[10]])
    expect(database.query('PRAGMA foreign_keys').values()).toEqual([[1]])
    expect(database.query('PRAGMA integrity_check').values()).toEqual([['ok']])
  })

  test('optional and a reference from now on, and back, while others refer to the table', () => {
    const loose = items(text('name', { nullable: false }), text('owner', { kind: 'integer' }))
    const notes: Table = {
      name: 'notes',
      id: 'uuid',
      columns: [text('item', { kind: 'integer', references: 'items' })],
    }
    applyMigration(database, [owners, loose, notes])
    database.run('INSERT INTO owners (_version) VALUES (1)')
    database.run("INSERT INTO items (_version, name, owner) VALUES (1, 'a', 1)")
    database.run("INSERT INTO notes (id, _version, item) VALUES ('n', 1, 1)")
    for (const after of [
      items(name(), reference()),
      loose,
      items(name(), reference({ references: 'items' })),
    ]) {
      applyMigration(database, [owners, after, notes])
      expect(planMigration(database, [owners, after, notes])).toMatchObject({ statements: [], problems: [] })
      expect(database.query('SELECT id, name, owner FROM items').values()).toEqual([[1, 'a', 1]])
      expect(() => database.run('DELETE FROM items')).toThrow('FOREIGN KEY')
    }
  })

  const name = () => text('name')

  test('a reference that would be broken is refused, with what would mend it', () => {
    const loose = items(text('owner', { kind: 'integer' }))
    applyMigration(database, [owners, loose])
    database.run('INSERT INTO items (_version, owner) VALUES (1, 7)')
    for (const tables of [
      [owners, items(reference())],
      [items(reference({ references: 'newcomers' })), { ...owners, name: 'newcomers' }],
    ]) {
      const { problems, remedies } = planMigration(database, tables)
      expect(problems).toEqual([
        expect.stringMatching(/Column items\.owner has values that refer to no record of/),
      ])
      expect(remedies).toEqual([expect.stringMatching(/^UPDATE "items" SET "owner" = NULL WHERE/)])
      expect(() => applyMigration(database, tables)).toThrow(StartError)
    }
  })

  test('text ids, self-references and what is searched come along', async () => {
    const people = (nullable: boolean): Table => ({
      name: 'people',
      id: 'uuid',
      columns: [text('name', { nullable }), text('friend', { references: 'people' })],
      search: ['name'],
    })
    applyMigration(database, [people(false)])
    database.run(
      "INSERT INTO people (id, _version, name, friend) VALUES ('b', 1, 'Bob', NULL), ('a', 1, 'Ada', 'b')",
    )
    applyMigration(database, [people(true)])
    const store = createSqliteStore({ database, tables: [people(true)] })
    expect(await store.list({ table: 'people', search: 'ada', limit: 9 })).toMatchObject([
      { id: 'a', friend: 'b' },
    ])
    expect(() => database.run("DELETE FROM people WHERE id = 'b'")).toThrow('FOREIGN KEY')
  })
})

/** Several stores on one connection must not read in one turn of the event loop. */
const readTurnEnd = () => new Promise((resolve) => setImmediate(resolve))

describe('search', () => {
  const searchable = (...search: string[]): Table => ({ ...items(text('name'), text('note')), search })
  const found = async (table: Table, search: string) => {
    const store = createSqliteStore({ database, tables: [table] })
    const rows = await store.list({ table: 'items', search, limit: 9 })
    await readTurnEnd()
    return rows.map(({ id }) => id)
  }
  const internals = () =>
    database.query("SELECT name FROM sqlite_schema WHERE name LIKE '\\_hipflask\\_fts%' ESCAPE '\\'").values()

  test('comes to rows that are there, follows a change of its columns, and goes', async () => {
    applyMigration(database, [items(text('name'), text('note'))])
    database.run("INSERT INTO items (_version, name, note) VALUES (1, 'apple', 'pear')")
    for (const [columns, expected] of [
      [['name'], [[1], []]],
      [
        ['name', 'note'],
        [[1], [1]],
      ],
      [['note'], [[], [1]]],
    ] as const) {
      const table = searchable(...columns)
      applyMigration(database, [table])
      expect(planMigration(database, [table])).toMatchObject({ statements: [], problems: [] })
      expect([await found(table, 'apple'), await found(table, 'pear')]).toEqual(expected as never)
    }
    applyMigration(database, [items(text('name'), text('note'))])
    expect(internals()).toEqual([])
    database.run("INSERT INTO items (_version, name) VALUES (1, 'no trigger is left')")
  })

  test('is made anew where a trigger of it is missing', async () => {
    const table = searchable('name')
    applyMigration(database, [table])
    database.run('DROP TRIGGER "_hipflask_fts_items$insert"')
    database.run("INSERT INTO items (_version, name) VALUES (1, 'apple')")
    applyMigration(database, [table])
    expect(await found(table, 'apple')).toEqual([1])
  })

  test.each(['rank', 'rowid'])('a column named %s cannot be searched', (column) => {
    const table: Table = { ...items(text(column)), search: [column] }
    for (let round = 0; round < 2; round++) {
      expect(planMigration(database, [table]).problems).toEqual([
        `Column items.${column} cannot be searched under this name: give it another`,
      ])
      applyMigration(database, [items(text(column))])
    }
  })

  test('a column that is searched can go by what the plan says', () => {
    applyMigration(database, [{ ...items(text('name', { index: true }), text('note')), search: ['name'] }])
    const { remedies } = planMigration(database, [items(text('note'))])
    for (const statement of remedies) database.run(statement)
    applyMigration(database, [items(text('note'))])
    expect(internals()).toEqual([])
  })
})

describe('soft deletion', () => {
  const hard = items(text('code', { unique: true }), text('name', { index: true }))
  const soft: Table = { ...hard, columns: [...hard.columns, text('deleted_at')], softDelete: true }

  test('comes to a table by itself, and goes while nothing is deleted', () => {
    applyMigration(database, [hard])
    database.run("INSERT INTO items (_version, code) VALUES (1, 'a')")
    for (const table of [soft, hard, soft]) {
      applyMigration(database, [table])
      expect(planMigration(database, [table])).toMatchObject({ statements: [], problems: [] })
    }
    database.run("UPDATE items SET deleted_at = 'now'")
    database.run("INSERT INTO items (_version, code) VALUES (1, 'a')")
    const plan = planMigration(database, [hard])
    expect(plan.problems).toEqual([
      'Table items has deleted rows, no softDelete is declared: restore them, declare softDelete, or write a migration',
    ])
    database.run('DELETE FROM items WHERE "deleted_at" IS NOT NULL')
    applyMigration(database, [hard])
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
    [0, '16\n', ''],
  ])
})
