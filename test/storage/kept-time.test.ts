// When the time that was known is kept: from the start, and along with the commits of others.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { keepTime, timeTable, type KeptTime } from '../../src/storage/kept-time.ts'
import { applyMigration } from '../../src/storage/migrate.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import { createSqliteStore } from '../../src/storage/sqlite/store.ts'
import type { Store } from '../../src/storage/store.ts'
import { TABLES, thing } from './tables.ts'

const folder = mkdtempSync(join(tmpdir(), 'hipflask-kept-time-'))
afterAll(() => rmSync(folder, { recursive: true }))

const START = Date.parse('2026-01-01T00:00:00Z')
let files = 0
let elapsed: number
let store: Store
let time: KeptTime

beforeEach(async () => {
  const database = openDatabase({ path: join(folder, `${++files}.db`), durability: 'normal' })
  applyMigration(database, TABLES)
  store = createSqliteStore({ database, tables: TABLES })
  elapsed = 0
  time = await keepTime(store, { wall: () => START + elapsed, monotonic: () => elapsed })
})
afterEach(async () => {
  await time.stop()
  await store.stop()
})

const keptAfter = async () => Number((await store.get(timeTable.name, 1))?.['latest']) - START

test('it is kept at the start', async () => {
  expect(await keptAfter()).toBe(0)
})

describe('a commit of others', () => {
  test.each([
    [999, 0],
    [1000, 1000],
    [5000, 5000],
  ])('%d ms after it was kept: what is kept then is %d ms', async (passed, expected) => {
    elapsed = passed
    await store.commit([thing({})])
    expect(await keptAfter()).toBe(expected)
  })

  test('keeps it again only a second later', async () => {
    for (const [at, expected] of [
      [1500, 1500],
      [2499, 1500],
      [2500, 2500],
    ] as const) {
      elapsed = at
      await store.commit([thing({})])
      expect(await keptAfter()).toBe(expected)
    }
  })

  test('succeeds also where it cannot be kept', async () => {
    await store.commit([{ kind: 'delete', table: timeTable.name, id: 1 }])
    elapsed = 1000
    const [row] = await store.commit([thing({})])
    expect(await store.get('things', row?.id as number)).toBeDefined()
    expect(await keptAfter()).toBeNaN()
  })

  test('which fails does not keep it from being kept', async () => {
    elapsed = 1000
    await store.commit([{ kind: 'delete', table: 'things', id: 77 }]).catch(() => undefined)
    expect(await keptAfter()).toBe(1000)
  })
})
