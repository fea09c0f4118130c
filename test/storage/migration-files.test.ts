// Written migrations: what files there may be, that each is applied once and whole, and the copy before the first.
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StartError } from '../../src/core/errors.ts'
import { readMigrationFiles } from '../../src/storage/migration-files.ts'
import { applyMigration, isBehind, planMigration } from '../../src/storage/migrate.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import type { Column, Table } from '../../src/storage/store.ts'

const text = (name: string): Column => ({ name, kind: 'text', nullable: true })
const items = (...names: string[]): Table => ({ name: 'items', id: 'integer', columns: names.map(text) })
const before = [items('name', 'colour')]
const after = [items('name')]
const DROP = 'ALTER TABLE items DROP COLUMN colour;\n'

let root: string
let folder: string
let path: string
let database: Database
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hipflask-migrations-'))
  folder = join(root, 'migrations')
  path = join(root, 'hipflask.db')
  mkdirSync(folder)
  database = openDatabase({ path, durability: 'full' })
})
afterEach(() => {
  database.close(true)
  rmSync(root, { recursive: true })
})

const write = (name: string, sql: string) => writeFileSync(join(folder, name), sql)
const setUp = () => {
  applyMigration(database, before)
  database.run("INSERT INTO items (_version, name, colour) VALUES (1, 'a', 'red'), (1, 'b', 'blue')")
}
const rows = (of: Database = database) => of.query('SELECT * FROM items ORDER BY id').values()
const copies = () =>
  readdirSync(root)
    .filter((name) => name.includes('before'))
    .toSorted()
const refusal = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    expect(error).toBeInstanceOf(StartError)
    return (error as StartError).message
  }
  throw new Error('Nothing was refused')
}

describe('files', () => {
  test('are read in order; others, and a folder that is absent, do not matter', () => {
    for (const name of ['0002_b.sql', '0001_a-1.sql', 'README.md', '0003_c.txt']) write(name, '')
    expect(readMigrationFiles(folder).map(({ name }) => name)).toEqual(['0001_a-1.sql', '0002_b.sql'])
    expect(readMigrationFiles(join(root, 'absent'))).toEqual([])
  })

  test.each([
    ['a gap', ['0001_a.sql', '0003_c.sql'], /0003_c\.sql: the next number is 0002/],
    ['a late beginning', ['0002_a.sql'], /0002_a\.sql: the next number is 0001/],
    ['a number twice', ['0001_a.sql', '0001_b.sql'], /0001_b\.sql: another file has its number/],
    ['a bad name', ['1_a.sql'], /1_a\.sql: its name must be like/],
    ['an upper-case name', ['0001_A.sql'], /0001_A\.sql: its name must be like/],
  ])('%s is refused, and nothing is changed', (_, names, message) => {
    setUp()
    for (const name of names) write(name, DROP)
    expect(refusal(() => applyMigration(database, after, folder))).toMatch(message)
    expect(rows()).toHaveLength(2)
    expect(copies()).toEqual([])
  })
})

test('what loses data is refused until a file says so; the refusal has the SQL and the name of the file', () => {
  setUp()
  const message = refusal(() => applyMigration(database, after, folder))
  expect(message).toContain('Column items.colour is stored but not declared')
  expect(message).toContain('migrations/0001_NAME.sql')
  expect(message).toContain('ALTER TABLE "items" DROP COLUMN "colour";')
  write('0001_drop_colour.sql', planMigration(database, after).remedies.join(';\n'))
  expect(isBehind(database, before, folder)).toBe(true)
  expect(planMigration(database, after, folder)).toMatchObject({
    problems: [],
    files: [{ name: '0001_drop_colour.sql' }],
  })
  expect(rows()).toEqual([
    [1, 1, 'a', 'red'],
    [2, 1, 'b', 'blue'],
  ])
  const { applied, copy } = applyMigration(database, after, folder)
  expect(applied).toEqual(['0001_drop_colour.sql'])
  expect(copy).toBe(`${path}.before-0001`)
  expect(rows()).toEqual([
    [1, 1, 'a'],
    [2, 1, 'b'],
  ])
  expect(isBehind(database, after, folder)).toBe(false)
  expect(applyMigration(database, after, folder)).toMatchObject({
    applied: [],
    copy: undefined,
    statements: [],
  })
})

test('one copy is made, before the first file of a run: the database as it was, for its owner only', () => {
  setUp()
  write('0001_one.sql', DROP)
  write(
    '0002_two.sql',
    "-- It's a comment;\nUPDATE items SET name = 'x; COMMIT';\n\nDELETE FROM items WHERE id = 2",
  )
  expect(applyMigration(database, after, folder).applied).toHaveLength(2)
  expect(rows()).toEqual([[1, 1, 'x; COMMIT']])
  expect(copies()).toEqual(['hipflask.db.before-0001'])
  const copy = join(root, 'hipflask.db.before-0001')
  expect(statSync(copy).mode & 0o777).toBe(0o600)
  using old = openDatabase({ path: copy, durability: 'full' })
  expect(rows(old)).toEqual([
    [1, 1, 'a', 'red'],
    [2, 1, 'b', 'blue'],
  ])
  write('0003_three.sql', 'DELETE FROM items')
  applyMigration(database, after, folder)
  expect(copies().filter((name) => /-\d+$/.test(name))).toEqual([
    'hipflask.db.before-0001',
    'hipflask.db.before-0003',
  ])
})

test('a file that fails leaves nothing of itself, what was before it stays', () => {
  setUp()
  write('0001_good.sql', "UPDATE items SET name = 'good'")
  write('0002_bad.sql', `DELETE FROM items; ${DROP} SELECT absent FROM nowhere;`)
  expect(refusal(() => applyMigration(database, after, folder))).toMatch(
    /^Migration 0002_bad\.sql failed.*nowhere/,
  )
  expect(rows()).toEqual([
    [1, 1, 'good', 'red'],
    [2, 1, 'good', 'blue'],
  ])
  write('0002_bad.sql', DROP)
  expect(applyMigration(database, after, folder).applied).toEqual(['0002_bad.sql'])
  expect(rows()).toHaveLength(2)
})

test.each(['COMMIT', 'ROLLBACK', 'BEGIN', 'commit', ';\n  -- x\n SAVEPOINT a', 'VACUUM', "ATTACH 'x' AS y"])(
  'a file with %j is refused',
  (statement) => {
    setUp()
    write('0001_bad.sql', `UPDATE items SET name = 'x';\n${statement};\n`)
    expect(refusal(() => applyMigration(database, before, folder))).toMatch(
      /0001_bad\.sql has [A-Z]+, which has no place/,
    )
    expect(rows()[0]).toEqual([1, 1, 'a', 'red'])
  },
)

test('a file may make triggers, remake tables, and break references on its way', () => {
  const owners: Table = { name: 'owners', id: 'integer', columns: [] }
  const owned: Table = {
    ...items(),
    columns: [{ name: 'owner', kind: 'integer', nullable: true, references: 'owners' }],
  }
  applyMigration(database, [owners, owned])
  database.run('INSERT INTO owners (id, _version) VALUES (1, 1)')
  database.run('INSERT INTO items (_version, owner) VALUES (1, 1)')
  write(
    '0001_a.sql',
    'CREATE TRIGGER t AFTER INSERT ON owners BEGIN SELECT 1; SELECT CASE 1 WHEN 1 THEN 2 END; END;\nDELETE FROM owners;\nINSERT INTO owners (id, _version) VALUES (1, 5);',
  )
  applyMigration(database, [owners, owned], folder)
  write('0002_b.sql', 'DELETE FROM owners')
  expect(refusal(() => applyMigration(database, [owners, owned], folder))).toMatch(
    /0002_b\.sql would leave rows of items/,
  )
  expect(database.query('SELECT _version FROM owners').values()).toEqual([[5]])
})

test('an applied file that changed, moved or vanished is refused', () => {
  setUp()
  write('0001_a.sql', 'SELECT 1;\r\n')
  applyMigration(database, before, folder)
  write('0001_a.sql', 'SELECT 1;\n')
  applyMigration(database, before, folder)
  write('0001_a.sql', 'SELECT 2;\n')
  expect(refusal(() => applyMigration(database, before, folder))).toContain(
    '0001_a.sql was changed after it had been applied',
  )
  write('0001_a.sql', 'SELECT 1;\n')
  renameSync(join(folder, '0001_a.sql'), join(folder, '0001_b.sql'))
  expect(refusal(() => planMigration(database, before, folder))).toContain(
    '0001_a.sql was applied but is called 0001_b.sql now',
  )
  rmSync(join(folder, '0001_b.sql'))
  expect(refusal(() => isBehind(database, before, folder))).toContain('0001_a.sql was applied but is gone')
})

test('an empty database is set up as declared, its files count as applied', () => {
  write('0001_a.sql', DROP)
  expect(isBehind(database, after, folder)).toBe(false)
  expect(planMigration(database, after, folder)).toMatchObject({ isEmpty: true, files: [] })
  expect(applyMigration(database, after, folder)).toMatchObject({
    applied: [],
    copy: undefined,
    isEmpty: true,
  })
  expect(applyMigration(database, after, folder)).toMatchObject({
    applied: [],
    statements: [],
    isEmpty: false,
  })
  expect(copies()).toEqual([])
  write('0002_b.sql', "INSERT INTO items (_version, name) VALUES (1, 'b')")
  applyMigration(database, after, folder)
  expect(rows()).toEqual([[1, 1, 'b']])
})

test('a copy that was cut short is not kept for one', () => {
  setUp()
  writeFileSync(`${path}.before-0001.unfinished`, 'half')
  write('0001_a.sql', DROP)
  applyMigration(database, after, folder)
  expect(copies()).toEqual(['hipflask.db.before-0001'])
})

test('processes that are killed and started again, and several at once, apply each file once', async () => {
  setUp()
  write(
    '0001_many.sql',
    `
    INSERT INTO items (_version, name)
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000)
    SELECT 1, 'many ' || i FROM n;`,
  )
  write('0002_more.sql', "INSERT INTO items (_version, name) VALUES (1, 'more')")
  write('0003_drop.sql', DROP)
  const module = (name: string) => JSON.stringify(join(import.meta.dir, '../../src/storage', name))
  const script = `
    const { openDatabase } = await import(${module('sqlite/database.ts')})
    const { applyMigration } = await import(${module('migrate.ts')})
    const database = openDatabase({ path: ${JSON.stringify(path)}, durability: 'full' })
    console.log('begin')
    const { applied } = applyMigration(database, ${JSON.stringify(after)}, ${JSON.stringify(folder)})
    database.close()
    console.log(applied.length)`
  const start = () => Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe', stderr: 'pipe' })
  for (const delay of [0, 30, 90, 200, 400]) {
    const victim = start()
    await victim.stdout.getReader().read()
    await Bun.sleep(delay)
    victim.kill('SIGKILL')
    await victim.exited
  }
  const processes = [start(), start(), start()]
  const outputs = await Promise.all(
    processes.map(async (one) => [await one.exited, await one.stdout.text(), await one.stderr.text()]),
  )
  expect(outputs.map(([code, , errors]) => [code, errors])).toEqual(Array(3).fill([0, '']))
  expect(database.query('SELECT count(*) FROM items').values()).toEqual([[300_003]])
  expect(database.query('SELECT number FROM _hipflask_migrations').values()).toEqual([[1], [2], [3]])
  expect(database.query('PRAGMA integrity_check').values()).toEqual([['ok']])
  for (const copy of copies().filter((name) => /-\d+$/.test(name))) {
    using old = new Database(join(root, copy), { readonly: true })
    expect(old.query('PRAGMA integrity_check').values()).toEqual([['ok']])
  }
}, 60_000)
