import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import { createSlowStatements, SLOW_STATEMENT_MS } from '../../src/storage/sqlite/slow-statements.ts'
import type { SlowStatement } from '../../src/storage/sqlite/slow-statements.ts'
import { createSqliteStore, SCANNED_ROWS_MAX } from '../../src/storage/sqlite/store.ts'
import { applyMigration } from '../../src/storage/migrate.ts'
import type { Table } from '../../src/storage/store.ts'

const folder = mkdtempSync(join(tmpdir(), 'hipflask-slow-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const SECRET = 'canary-value'
const ITEMS: Table = {
  name: 'items',
  id: 'integer',
  columns: [{ name: 'name', kind: 'text', nullable: false }],
}

/** A store for which every statement takes so long, by its clock. */
function openStore(path: string, statementMs: number) {
  const told: SlowStatement[] = []
  let now = 0
  const database = openDatabase({ path, durability: 'normal' })
  applyMigration(database, [ITEMS], undefined)
  const store = createSqliteStore({
    database,
    tables: [ITEMS],
    onSlow: (statement) => told.push(statement),
    clock: () => (now += statementMs),
  })
  return { store, told }
}

describe.each(['file', ':memory:'])('in a database that is %s', (kind) => {
  test('a statement at the limit is told with its plan, without a value', async () => {
    const path = kind === 'file' ? join(folder, 'slow.db') : kind
    const { store, told } = openStore(path, SLOW_STATEMENT_MS)
    await store.commit([{ kind: 'insert', table: 'items', values: { name: SECRET } }])
    await store.list({ table: 'items', where: { name: SECRET }, limit: 10 })
    for (let turn = 0; told.length < 2 && turn < 300; turn++) await Bun.sleep(10)
    const found = told.find(({ sql }) => /^select/i.test(sql))
    expect(found?.milliseconds).toBe(SLOW_STATEMENT_MS)
    // In memory there is one connection, which has other things to do.
    if (kind === 'file') expect(found?.plan?.join()).toMatch(/SCAN items/)
    else expect(found?.plan).toBeUndefined()
    expect(told.some(({ sql }) => /^insert/i.test(sql))).toBe(true)
    expect(JSON.stringify(told)).not.toContain(SECRET)
    expect(store.metrics.find(({ name }) => name.includes('slow'))?.read()).toEqual([{ value: told.length }])
    await store.stop()
  })

  test('one below it is not', async () => {
    const path = kind === 'file' ? join(folder, 'fast.db') : kind
    const { store, told } = openStore(path, SLOW_STATEMENT_MS - 1)
    await store.commit([{ kind: 'insert', table: 'items', values: { name: SECRET } }])
    await store.list({ table: 'items', where: { name: SECRET }, limit: 10 })
    await store.stop()
    expect(told).toEqual([])
  })
})

test('a statement that takes long on another thread is told too', async () => {
  const path = join(folder, 'large.db')
  const told: SlowStatement[] = []
  const database = openDatabase({ path, durability: 'normal' })
  applyMigration(database, [ITEMS], undefined)
  database.run(`
    WITH RECURSIVE numbers(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers LIMIT ${SCANNED_ROWS_MAX + 1})
    INSERT INTO items (_version, name) SELECT 1, hex(zeroblob(500)) FROM numbers`)
  const store = createSqliteStore({ database, tables: [ITEMS], onSlow: (one) => told.push(one) })
  const contained = Array.from({ length: 20 }, (_, index) => ({ name: { contains: `${SECRET}${index}` } }))
  expect(await store.list({ table: 'items', where: { or: contained }, limit: 10 })).toEqual([])
  for (let turn = 0; told.length < 1 && turn < 300; turn++) await Bun.sleep(10)
  await store.stop()
  expect(told).toHaveLength(1)
  expect(told[0]!.milliseconds).toBeGreaterThanOrEqual(SLOW_STATEMENT_MS)
  expect(told[0]!.plan?.join()).toMatch(/SCAN items/)
  expect(JSON.stringify(told)).not.toContain(SECRET)
})

test('a clean stop leaves no log behind although plans were asked for', async () => {
  const path = join(folder, 'clean.db')
  const { store, told } = openStore(path, SLOW_STATEMENT_MS)
  await store.commit([{ kind: 'insert', table: 'items', values: { name: 'a' } }])
  for (let turn = 0; told.length < 1 && turn < 300; turn++) await Bun.sleep(10)
  await store.stop()
  expect(Bun.file(`${path}-wal`).size).toBe(0)
})

describe('plans', () => {
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

  test('that are asked for at once are bounded; the others are told without', async () => {
    const told: SlowStatement[] = []
    const answers: (() => void)[] = []
    const slow = createSlowStatements(
      () => new Promise((resolve) => answers.push(() => resolve([{ detail: 'SCAN a' }]))),
      (one) => told.push(one),
    )
    for (let index = 0; index < 10; index++) slow.note(`SELECT ${index}`, 200)
    await turn()
    expect(answers).toHaveLength(8)
    expect(told).toEqual([8, 9].map((at) => ({ sql: `SELECT ${at}`, milliseconds: 200, plan: undefined })))
    for (const answer of answers.splice(0)) answer()
    await turn()
    slow.note('SELECT 10', 200)
    for (const answer of answers) answer()
    await turn()
    expect(told.at(-1)).toEqual({ sql: 'SELECT 10', milliseconds: 200, plan: ['SCAN a'] })
    expect(slow.count()).toBe(11)
  })

  test('that can not be had keep nothing from being told', async () => {
    const told: SlowStatement[] = []
    const slow = createSlowStatements(
      () => Promise.reject(new Error('Busy')),
      (one) => told.push(one),
    )
    slow.note('SELECT 1', SLOW_STATEMENT_MS)
    await turn()
    expect(told).toEqual([{ sql: 'SELECT 1', milliseconds: SLOW_STATEMENT_MS, plan: undefined }])
  })
})
