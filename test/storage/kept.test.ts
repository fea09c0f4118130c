// What the SQLite store keeps of rows that it was asked for: how much, for how long, and that two processes on one file
// never see anything old. What is remembered at all is in the suite of the store.
import { Database } from 'bun:sqlite'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { newUuid } from '../../src/core/ids.ts'
import { applyMigration } from '../../src/storage/migrate.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import { KEPT_CHARACTERS_MAX, KEPT_MAX, SEEN_MAX } from '../../src/storage/sqlite/kept.ts'
import { createSqliteStore } from '../../src/storage/sqlite/store.ts'
import type { Id, Row, Store, Table } from '../../src/storage/store.ts'
import { TABLES, VISITS, book, person, thing, visit } from './tables.ts'

const folder = mkdtempSync(join(tmpdir(), 'hipflask-kept-'))
afterAll(() => rmSync(folder, { recursive: true }))

const NOTES: Table = {
  name: 'notes',
  id: 'integer',
  columns: [
    { name: 'text', kind: 'text', nullable: true },
    { name: 'visit', kind: 'text', nullable: true, references: VISITS.name, onDelete: 'set null' },
    { name: 'deleted_at', kind: 'text', nullable: true },
  ],
  softDelete: true,
}

let files = 0
let path: string
let store: Store

function open(): Store {
  const database = openDatabase({ path, durability: 'normal' })
  applyMigration(database, [...TABLES, NOTES])
  return createSqliteStore({ database, tables: [...TABLES, NOTES] })
}

beforeEach(() => {
  path = join(folder, `${++files}.db`)
  store = open()
})
afterEach(() => store.stop())

const nextTurn = () => new Promise((resolve) => setImmediate(resolve))

/** Remembers a text of so many characters for each row; tells of which rows it was made. */
function counting(length = 1, table = 'things') {
  const made: Id[] = []
  const recall = store.remember(table, ({ id }: Row) => {
    made.push(id)
    return { text: 'x'.repeat(length) }
  })
  const read = async (id: Id) => {
    await recall(id)
    return made.splice(0)
  }
  /** Reads it as often as it takes to be kept. */
  const readTwice = async (id: Id) => [...(await read(id)), ...(await read(id))]
  return { read, readTwice }
}

async function addThings(count: number): Promise<void> {
  await store.commit(Array.from({ length: count }, () => thing({})))
}

describe('how much is kept', () => {
  test('what was made twice is made no more, also over turns of the event loop and creates', async () => {
    await addThings(2)
    const { read, readTwice } = counting()
    expect(await readTwice(1)).toEqual([1, 1])
    await nextTurn()
    expect(await read(1)).toEqual([])
    await addThings(1)
    expect(await read(1)).toEqual([])
    await store.commit([{ kind: 'update', table: 'things', id: 2, values: { name: 'other' } }])
    expect(await read(1)).toEqual([])
  })

  test.each([
    ['as many as are known to have been read once', SEEN_MAX, []],
    ['one more', SEEN_MAX + 1, [1]],
  ])('%s between two reads: what is made at the third', async (_, count, expected) => {
    await addThings(count)
    const { read } = counting()
    for (let id = 1; id <= count; id++) await read(id)
    await read(1)
    expect(await read(1)).toEqual(expected)
  })

  test.each([
    ['as many things as there may be', KEPT_MAX, []],
    ['one more', KEPT_MAX + 1, [1]],
  ])('%s: what is made again of the first', async (_, count, expected) => {
    await addThings(count)
    const { read, readTwice } = counting()
    for (let id = 1; id <= count; id++) expect(await readTwice(id)).toEqual([id, id])
    expect(await read(count)).toEqual([])
    expect(await read(1)).toEqual(expected)
  })

  test.each([
    ['as many characters as there may be', KEPT_CHARACTERS_MAX / 4, []],
    ['one more', KEPT_CHARACTERS_MAX / 4 + 1, [1]],
  ])('%s: what is made again of the first', async (_, length, expected) => {
    await addThings(4)
    const [large, other] = [counting(length), counting(KEPT_CHARACTERS_MAX / 4, 'books')]
    await store.commit([book('a')])
    await other.readTwice(1)
    for (const id of [1, 2, 3]) expect(await large.readTwice(id)).toEqual([id, id])
    expect(await large.read(3)).toEqual([])
    expect(await large.read(1)).toEqual(expected)
  })

  test.each([
    ['as all may have', KEPT_CHARACTERS_MAX, []],
    ['more than all may have', KEPT_CHARACTERS_MAX + 1, [1]],
  ])('a text as long %s: whether it is made again', async (_, length, expected) => {
    await addThings(1)
    const { read, readTwice } = counting(length)
    expect(await readTwice(1)).toEqual([1, 1])
    expect(await read(1)).toEqual(expected)
  })

  test('what a delete reaches gives its room back', async () => {
    const people = ['a', 'b', 'c'].map((name) => person(name))
    await store.commit(people)
    await store.commit(people.map(({ id = '' }, index) => book(`${index}`, { reader: id })))
    const half = counting(KEPT_CHARACTERS_MAX / 2, 'books')
    await half.readTwice(1)
    await store.commit([{ kind: 'delete', table: 'people', id: people[0]?.id ?? '' }])
    await half.readTwice(2)
    await half.readTwice(3)
    expect([await half.read(2), await half.read(3)]).toEqual([[], []])
  })

  test('what is changed gives its room back', async () => {
    await addThings(3)
    const half = counting(KEPT_CHARACTERS_MAX / 2)
    for (let round = 0; round < 5; round++) {
      await half.readTwice(1)
      await store.commit([{ kind: 'update', table: 'things', id: 1, values: { name: `${round}` } }])
    }
    await half.readTwice(2)
    await half.readTwice(3)
    expect([await half.read(2), await half.read(3)]).toEqual([[], []])
  })
})

describe('two processes on one file', () => {
  const recallOf = (one: Store, table: string) => {
    const recall = one.remember(table, (row) => ({ text: JSON.stringify(row) }))
    return async (id: Id) => {
      await recall(id)
      return (await recall(id))?.text
    }
  }

  test('what the other has committed is seen from the next turn of the event loop on', async () => {
    await using other = disposable(open())
    await store.commit([thing({ name: 'old' })])
    const recall = recallOf(store, 'things')
    for (let round = 0; round < 50; round++) {
      await recall(1)
      await other.commit([{ kind: 'update', table: 'things', id: 1, values: { name: `name ${round}` } }])
      await nextTurn()
      expect(await recall(1)).toContain(`"name ${round}"`)
    }
  })

  test('within one turn all reads see one state, what is kept and what is not', async () => {
    await store.commit([thing({ name: 'old' }), thing({ name: 'old' })])
    const recall = recallOf(store, 'things')
    await recall(1)
    await nextTurn()
    using other = new Database(path)
    const seen = [recall(1)]
    other.run("UPDATE things SET name = 'new', _version = 2")
    seen.push(recall(2), recall(1))
    for (const text of await Promise.all(seen)) expect(text).toContain('old')
    await nextTurn()
    expect(await recall(1)).toContain('new')
    expect(await recall(2)).toContain('new')
  })

  test('a commit of our own in between lets nothing old through', async () => {
    await store.commit([thing({ name: 'old' }), thing({})])
    const recall = recallOf(store, 'things')
    await recall(1)
    using other = new Database(path)
    other.run("UPDATE things SET name = 'new', _version = 2 WHERE id = 1")
    // It sees the other's commit before any read does.
    await store.commit([{ kind: 'update', table: 'things', id: 2, values: { name: 'x' } }])
    expect(await recall(1)).toContain('new')
  })

  test.each<[string, string, string, Id]>([
    ['a reference cleared by a delete', "DELETE FROM people WHERE email = 'gone'", 'books', 1],
    ['a table made anew', 'UPDATE books SET code = code || 1', 'books', 1],
    ['a row written past the store', "UPDATE things SET name = 'x'", 'things', 1],
  ])('%s there is seen here', async (_, sql, table, id) => {
    const [gone] = await store.commit([person('gone'), thing({})])
    await store.commit([book('a', { reader: gone?.id ?? null })])
    const recall = recallOf(store, table)
    const before = await recall(id)
    using other = new Database(path)
    other.run('PRAGMA foreign_keys = ON')
    other.run(sql)
    await nextTurn()
    expect(await recall(id)).not.toBe(before)
    expect(await recall(id)).toBe(JSON.stringify(await store.get(table, id)))
  })
})

test('a record that is deleted softly is gone, and is back when it is restored', async () => {
  await store.commit([{ kind: 'insert', table: 'notes', values: { text: 'here' } }])
  const recall = store.remember('notes', (row) => ({ text: String(row['text']) }))
  const mark = (time: string | null) =>
    store.commit([{ kind: 'update', table: 'notes', id: 1, values: { deleted_at: time } }])
  for (let time = 0; time < 3; time++) expect((await recall(1))?.text).toBe('here')
  await mark('2026-01-01')
  expect(await recall(1)).toBeUndefined()
  await mark(null)
  expect((await recall(1))?.text).toBe('here')
})

test('a delete that reaches through a row that goes with it is seen', async () => {
  const [guest, stay] = [newUuid(), newUuid()]
  await store.commit([person('guest', guest), visit(guest, stay)])
  await store.commit([{ kind: 'insert', table: 'notes', values: { visit: stay } }])
  const recall = store.remember('notes', (row) => ({ text: String(row['visit']) }))
  for (let time = 0; time < 3; time++) expect((await recall(1))?.text).toBe(stay)
  await store.commit([{ kind: 'delete', table: 'people', id: guest }])
  expect((await recall(1))?.text).toBe('null')
})

test('after a load what others commit is still seen', async () => {
  const version = store.watch(['people'])
  await (await store.load('things'))[Symbol.asyncDispose]()
  const before = version()
  using other = new Database(path)
  other.run("INSERT INTO things (_version, name) VALUES (1, 'foreign')")
  await nextTurn()
  expect(version()).not.toBe(before)
})

test('while a load has the connection nothing is kept', async () => {
  await addThings(1)
  const { read, readTwice } = counting()
  await readTwice(1)
  await using load = await store.load('things')
  await load.add([{ row: 1, id: undefined, values: { name: 'loaded' } }])
  expect([await read(1), await read(1)]).toEqual([[1], [1]])
})

test('a store that is stopped gives nothing, as by get', async () => {
  await addThings(1)
  const recall = store.remember('things', () => ({ text: 'kept' }))
  await recall(1)
  await recall(1)
  await store.stop()
  expect(() => recall(1)).toThrow(expect.objectContaining({ code: 'unavailable' }))
})

function disposable(one: Store): Store & AsyncDisposable {
  return { ...one, [Symbol.asyncDispose]: () => one.stop() }
}
