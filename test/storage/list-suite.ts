// What every engine's Store must do for lists: places, searches, soft deletion, and what keeps them right. An engine's
// test file calls `describeLists`.
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { newUuid } from '../../src/core/ids.ts'
import {
  findAnswer,
  idempotencyKeyOf,
  idempotencyTable,
  insertAnswer,
} from '../../src/storage/idempotency-table.ts'
import type { Filter, FilterValue, Keyset, ListQuery, SortKey } from '../../src/storage/query.ts'
import {
  type Id,
  type Row,
  type Store,
  type Table,
  type Values,
  BrokenReferenceError,
  StaleError,
  UniqueError,
} from '../../src/storage/store.ts'
import type { MakeStore } from './store-suite.ts'

const text = { kind: 'text', nullable: true } as const
const deletedAt = { name: 'deleted_at', ...text }

/** Living and deleted rows, words, and keys of every kind, with and without an index. */
const ARTICLES: Table = {
  name: 'articles',
  id: 'integer',
  columns: [
    { name: 'title', ...text },
    { name: 'body', ...text },
    { name: 'rating', kind: 'integer', nullable: true, index: true },
    { name: 'price', kind: 'real', nullable: true },
    { name: 'done', kind: 'boolean', nullable: true, index: true },
    { name: 'code', ...text, unique: true },
    deletedAt,
  ],
  search: ['title', 'body'],
  softDelete: true,
}

/** The same with text ids, all alive. */
const PAPERS: Table = {
  ...ARTICLES,
  name: 'papers',
  id: 'uuid',
  columns: [
    ...ARTICLES.columns.filter(({ name }) => name !== 'deleted_at'),
    { name: 'article', kind: 'integer', nullable: true, references: 'articles', onDelete: 'set null' },
    { name: 'updated_at', ...text },
  ],
  softDelete: false,
}

/** A resource may have the name of what FTS5 makes for another. */
const ARTICLES_DATA: Table = {
  name: 'articles_data',
  id: 'given',
  columns: [{ name: 'title', ...text }],
  search: ['title'],
}

export const LIST_TABLES: readonly Table[] = [ARTICLES, PAPERS, ARTICLES_DATA]

/** Declares the suite for one engine. */
export function describeLists(engine: string, makeStore: MakeStore): void {
  describe(`${engine}, lists`, () => {
    let store: Store
    beforeEach(() => {
      store = makeStore(LIST_TABLES)
    })
    afterEach(() => store.stop())
    const current = () => store

    describe('places', () => placeTests(current))
    describe('search', () => searchTests(current))
    describe('soft deletion', () => deletionTests(current))
    describe('what the program keeps for itself', () => internalTests(current))
  })
}

type Current = () => Store

function insertOf(table: string, values: Values, id: Id = newUuid()) {
  return { kind: 'insert', table, values, ...(table === 'articles' ? {} : { id }) } as const
}

async function add(store: Store, table: string, ...rows: readonly Values[]): Promise<readonly Row[]> {
  return store.commit(rows.map((values) => insertOf(table, values)))
}

async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => value,
    (error: unknown) => error,
  )
}

const asc = (field: string): SortKey => ({ field, direction: 'asc' })
const desc = (field: string): SortKey => ({ field, direction: 'desc' })

/** The place of a row in an order. */
export function placeOf(row: Row, sort: readonly SortKey[]): Keyset {
  const end = sort.findIndex(({ field }) => field === 'id')
  const keys = end === -1 ? sort : sort.slice(0, end)
  return { id: row.id, values: keys.map(({ field }) => row[field] as FilterValue | null) }
}

// ── Places ──────────────────────────────────────────────────────────────────────────────────────────────────────

export const SORTS: readonly (readonly SortKey[])[] = [
  [],
  [asc('id')],
  [desc('id')],
  [asc('rating')],
  [desc('rating')],
  [asc('code')],
  [desc('code')],
  [asc('done')],
  [desc('done')],
  [asc('price')],
  [desc('price')],
  [asc('rating'), asc('price')],
  [asc('rating'), desc('price')],
  [desc('rating'), asc('done'), desc('price')],
  [desc('title'), asc('rating'), desc('done')],
  [asc('done'), desc('id')],
  [desc('done'), desc('rating'), asc('title'), desc('price'), asc('code')],
]

function placeTests(current: Current): void {
  const names = (sort: readonly SortKey[]) =>
    sort.map(({ field, direction }) => `${field} ${direction}`).join()
  const pick = <T>(values: readonly T[]): T => values[Math.floor(Math.random() * values.length)] as T
  let made = 0
  const values = (): Values => ({
    title: pick<string | null>([null, 'a', 'b', '\uffff', '🙂']),
    rating: pick<number | null>([null, null, 1, 2, 3]),
    price: pick<number | null>([null, -1, 0.5, 0.5, 1e300]),
    done: pick<boolean | null>([null, true, false]),
    code: pick<string | null>([null, `code ${++made}`]),
  })

  for (const table of ['articles', 'papers']) {
    test.each(SORTS.map((sort) => [names(sort), sort] as const))(
      `a walk over ${table} by %s gives the rows of one list, whatever the size of the page`,
      async (_, sort) => {
        await add(current(), table, ...Array.from({ length: 60 }, values))
        for (const where of [
          undefined,
          { or: [{ rating: { gte: 2 } }, { rating: null }, { price: { lt: 1 } }] },
        ]) {
          const whole = await current().list({ table, where, sort, limit: 100 })
          for (const limit of [1, 7, 100]) {
            const walked: Row[] = []
            for await (const row of walk(current(), { table, where, sort, limit })) walked.push(row)
            expect(walked).toEqual(whole)
          }
        }
      },
    )
  }

  test('every row that lives through a walk is seen once, while others come and go', async () => {
    for (let round = 0; round < 20; round++) {
      const table = pick(['articles', 'papers'])
      const sort = pick(SORTS)
      const before = await current().list({ table, limit: 1000 })
      await add(current(), table, ...Array.from({ length: 40 }, values))
      const alive = new Map(
        (await current().list({ table, limit: 1000 })).map((row): [Id, { row: Row; seen: number }] => [
          row.id,
          { row, seen: 0 },
        ]),
      )
      // Bounded: where rows come faster than a walk goes, it has no end.
      let newcomers = 50
      for await (const row of walk(current(), { table, sort, limit: pick([1, 3, 10]) })) {
        const found = alive.get(row.id)
        if (found !== undefined) found.seen++
        if (newcomers-- > 0) await add(current(), table, values())
        if (Math.random() < 0.5 && alive.size > 10) {
          const victim = pick([...alive.keys()])
          alive.delete(victim)
          await current().commit([{ kind: 'delete', table, id: victim }])
        }
      }
      const wrong = [...alive.values()].filter(({ seen }) => seen !== 1)
      expect({ table, sort: names(sort), wrong }).toEqual({ table, sort: names(sort), wrong: [] })
      for (const { id } of before.slice(0, 30))
        await outcome(current().commit([{ kind: 'delete', table, id }]))
    }
  })

  test('a place need not be that of a row that is still there', async () => {
    await add(current(), 'articles', ...[1, 2, 3].map((rating) => ({ rating })))
    const query = { table: 'articles', sort: [asc('rating')], limit: 9 }
    await current().commit([{ kind: 'delete', table: 'articles', id: 2 }])
    expect(await current().list({ ...query, after: { values: [2], id: 2 } })).toMatchObject([{ id: 3 }])
    expect(await current().list({ ...query, after: { values: [2], id: 99 } })).toMatchObject([{ id: 3 }])
    expect(await current().list({ ...query, after: { values: [9], id: 1 } })).toEqual([])
  })

  test.each<[string, Partial<ListQuery>]>([
    ['too few values', { sort: [asc('rating')], after: { values: [], id: 1 } }],
    ['too many values', { sort: [], after: { values: [1], id: 1 } }],
    ['a value of the wrong kind', { sort: [asc('rating')], after: { values: ['1'], id: 1 } }],
    ['an id of the wrong kind', { after: { values: [], id: '1' } }],
    ['an offset too', { offset: 0, after: { values: [], id: 1 } }],
    ['a search without a sort', { search: 'a', after: { values: [], id: 1 } }],
  ])('throws TypeError on a place with %s', async (_, query) => {
    expect(await outcome(current().list({ table: 'articles', limit: 1, ...query }))).toBeInstanceOf(TypeError)
  })
}

async function* walk(store: Store, query: ListQuery): AsyncGenerator<Row> {
  let after: Keyset | undefined
  for (;;) {
    const rows = await store.list({ ...query, after })
    expect(rows.length).toBeLessThanOrEqual(query.limit)
    yield* rows
    const last = rows.at(-1)
    if (last === undefined || rows.length < query.limit) return
    after = placeOf(last, query.sort ?? [])
  }
}

// ── Search ──────────────────────────────────────────────────────────────────────────────────────────────────────

const HOSTILE = [
  '"', '""', '"a', 'a"', "'", "'; DROP TABLE articles; --", '*', 'a*', '*a', 'a**', '^a', 'a^', '-a', '- a',
  'a - b', 'a AND', 'AND', 'OR', 'NOT', 'NOT a', 'a NOT b', 'NEAR(a b)', 'NEAR', 'NEAR(', 'a NEAR/2 b', 'title:a',
  'title : a', '{title body}: a', '{', '}', '(', ')', '(a', 'a)', '()', 'a + b', 'a:b:c', 'rank:1', 'a\\', '%_', '\0a',
  'ﬀ', '🙂', '\u0301', 'a\u0000b', '\ud800', ';', 'a,b', '?1', ':x', '@y', '$z',
] as const // prettier-ignore

function searchTests(current: Current): void {
  const found = async (search: string, more: Partial<ListQuery> = {}, table = 'articles') =>
    (await current().list({ table, search, limit: 100, ...more })).map(({ title }) => title)

  beforeEach(async () => {
    for (const table of ['articles', 'papers']) {
      await add(
        current(),
        table,
        { title: 'The green apple', body: 'fruit', rating: 3 },
        { title: 'Green green grass', body: 'of home', rating: 1 },
        { title: 'Élan vital', body: 'Äpfel und Birnen', rating: 2 },
        { title: null, body: null },
      )
    }
  })

  for (const table of ['articles', 'papers']) {
    test.each<[string, (string | null)[]]>([
      ['apple', ['The green apple']],
      ['APPLE', ['The green apple']],
      ['apple green', ['The green apple']],
      ['apple fruit', ['The green apple']],
      ['green', ['Green green grass', 'The green apple']],
      ['gre', ['Green green grass', 'The green apple']],
      ['gre apple', []],
      ['apple gre', ['The green apple']],
      ['elan', ['Élan vital']],
      ['ÉLAN', ['Élan vital']],
      ['apfel', ['Élan vital']],
      ['green-apple', ['The green apple']],
      ['absent', []],
      ['', []],
      ['  ', []],
      ['!?"*', []],
    ])(`${table}: %j`, async (search, expected) => {
      expect(await found(search, {}, table)).toEqual(expected)
      expect(await current().count(table, undefined, { search })).toBe(expected.length)
    })

    test(`${table}: a search is filtered, sorted and paged`, async () => {
      expect(await found('green', { where: { rating: { gt: 1 } } }, table)).toEqual(['The green apple'])
      expect(await found('green', { where: { title: { starts_with: 'the' } } }, table)).toEqual([
        'The green apple',
      ])
      const sorted = { sort: [desc('rating')] }
      expect(await found('green', sorted, table)).toEqual(['The green apple', 'Green green grass'])
      expect(await found('green', { ...sorted, limit: 1, offset: 1 }, table)).toEqual(['Green green grass'])
      expect(await found('green', { limit: 1, offset: 1 }, table)).toEqual(['The green apple'])
      expect(await current().count(table, { rating: 1 }, { search: 'green', limit: 5 })).toBe(1)
      for (const sort of [[asc('id')], [desc('id')], [asc('rating')], [asc('title')]]) {
        const whole = await current().list({ table, search: 'green', sort, limit: 9 })
        const walked: Row[] = []
        for await (const row of walk(current(), { table, search: 'green', sort, limit: 1 })) walked.push(row)
        expect(walked).toEqual(whole)
        expect(walked).toHaveLength(2)
      }
    })

    test(`${table}: what is found follows every change`, async () => {
      const [row] = await current().list({ table, search: 'apple', limit: 1 })
      const id = row?.id as Id
      const update = (values: Values) => current().commit([{ kind: 'update', table, id, values }])
      await update({ title: 'A red pear' })
      expect([await found('apple', {}, table), await found('pear', {}, table)]).toEqual([[], ['A red pear']])
      await update({ rating: 9 })
      await update({ title: null, body: 'pear' })
      expect(await found('pear', {}, table)).toEqual([null])
      await outcome(
        current().commit([
          { kind: 'delete', table, id },
          { kind: 'delete', table, id },
        ]),
      )
      expect(await found('pear', {}, table)).toEqual([null])
      await current().commit([{ kind: 'delete', table, id }])
      expect(await found('pear', {}, table)).toEqual([])
    })
  }

  test('any text is a search', async () => {
    expect(HOSTILE.length).toBeGreaterThanOrEqual(40)
    for (const search of HOSTILE) {
      const rows = await found(search)
      expect({ search, rows }).toEqual({ search, rows: expect.any(Array) })
      expect(await found(search, { sort: [asc('id')] })).toHaveLength(rows.length)
    }
    const alphabet = ['"', "'", '*', '^', '-', '+', ':', '(', ')', '{', '}', ' AND ', ' NEAR', 'a', 'é', '🙂', '\0', ' ', '\u0301', '漢'] // prettier-ignore
    for (let round = 0; round < 500; round++) {
      const length = Math.floor(Math.random() * 12)
      const search = Array.from({ length }, () => alphabet[Math.floor(Math.random() * alphabet.length)]).join(
        '',
      )
      expect(await outcome(found(search))).toBeInstanceOf(Array)
    }
  })

  test.each([
    ['10 words', `${'green '.repeat(9)}grass`, 1],
    ['an 11th that is in no row', `${'green '.repeat(9)}grass absent`, 1],
    ['a 10th that is in no row', `${'green '.repeat(9)}absent`, 0],
    ['a word of 64 characters', 'x'.repeat(64), 1],
    ['one of 65, cut to 64', `${'x'.repeat(64)}y`, 1],
  ])('%s', async (_, search, expected) => {
    await add(current(), 'articles', { title: 'x'.repeat(64) })
    expect(await found(search)).toHaveLength(expected)
  })

  test('the best of the newest 1,000 matches come first, and with a sort all of them', async () => {
    const many = Array.from({ length: 1005 }, (_, rating) => ({
      title: `many ${'other '.repeat(9)}`,
      rating,
    }))
    await add(current(), 'papers', { title: 'many', rating: -1 })
    await add(current(), 'papers', ...many.slice(0, 500), { title: 'many', rating: -2 }, ...many.slice(500))
    const ranked = await current().list({ table: 'papers', search: 'many', limit: 2000 })
    expect(ranked).toHaveLength(1000)
    expect(ranked[0]).toMatchObject({ rating: -2 })
    expect(ranked.some(({ rating }) => rating === -1)).toBe(false)
    const sorted = await current().list({
      table: 'papers',
      search: 'many',
      sort: [asc('rating')],
      limit: 2000,
    })
    expect(sorted).toHaveLength(1007)
    expect(await current().count('papers', undefined, { search: 'many' })).toBe(1007)
    expect(await current().count('papers', undefined, { search: 'many', limit: 1001 })).toBe(1001)
  })

  test('tables whose names contain one another do not mix', async () => {
    await current().commit([insertOf('articles_data', { title: 'apple data' }, 7)])
    expect(await found('apple', {}, 'articles_data')).toEqual(['apple data'])
    expect(await found('apple')).toEqual(['The green apple'])
  })

  test('throws TypeError where a table has nothing to search', async () => {
    const query = { table: idempotencyTable.name, search: 'a', limit: 1 }
    expect(await outcome(current().list(query))).toBeInstanceOf(TypeError)
  })
}

// ── Soft deletion ───────────────────────────────────────────────────────────────────────────────────────────────

function deletionTests(current: Current): void {
  const table = 'articles'
  const remove = (id: Id) =>
    ({ kind: 'update', table, id, values: { deleted_at: '2026-01-01T00:00:00.000Z' } }) as const
  const restore = (id: Id) => ({ kind: 'update', table, id, values: { deleted_at: null } }) as const
  const ids = async (more: Partial<ListQuery> = {}) =>
    (await current().list({ table, limit: 100, ...more })).map(({ id }) => id)

  beforeEach(async () => {
    await add(
      current(),
      table,
      ...[1, 2, 3, 4].map((rating) => ({ rating, code: `c${rating}`, title: 'apple' })),
    )
    await current().commit([remove(2), remove(3)])
  })

  test('reads see the living, or the deleted where they ask for them', async () => {
    const sorts = [undefined, [desc('id')], [asc('rating')], [desc('rating'), asc('title')], [asc('title')]]
    for (const sort of sorts) {
      const isDown = sort?.[0]?.direction === 'desc'
      expect(await ids({ sort })).toEqual(isDown ? [4, 1] : [1, 4])
      expect(await ids({ sort, deleted: true })).toEqual(isDown ? [3, 2] : [2, 3])
    }
    expect(await ids({ where: { rating: { in: [1, 2] } } })).toEqual([1])
    expect(await ids({ where: { rating: { in: [1, 2] } }, deleted: true })).toEqual([2])
    expect((await ids({ search: 'apple' })).toSorted()).toEqual([1, 4])
    expect((await ids({ search: 'apple', deleted: true })).toSorted()).toEqual([2, 3])
    expect(await ids({ sort: [asc('rating')], after: { values: [1], id: 1 } })).toEqual([4])
    expect(await current().get(table, 2)).toBeUndefined()
    expect(await current().get(table, 2, { rating: 2 }, { deleted: true })).toMatchObject({ id: 2 })
    expect(await current().get(table, 2, { rating: 3 }, { deleted: true })).toBeUndefined()
    expect(await current().get(table, 1, undefined, { deleted: true })).toBeUndefined()
    expect(await current().count(table, { rating: { gt: 1 } })).toBe(1)
    expect(await current().count(table, undefined, { deleted: true })).toBe(2)
    expect(await current().count(table, undefined, { search: 'apple', deleted: true })).toBe(2)
  })

  test('of a table without soft deletion nothing is deleted', async () => {
    await add(current(), 'papers', { title: 'a' })
    expect(await current().list({ table: 'papers', limit: 9, deleted: true })).toEqual([])
    expect(await current().count('papers', undefined, { deleted: true })).toBe(0)
  })

  test('totals count the living', async () => {
    const totals: number[] = []
    const step = async (...steps: Parameters<Store['commit']>[0]) => {
      await outcome(current().commit(steps))
      totals.push(await current().count(table))
      expect(await current().count(table, {})).toBe(totals.at(-1) as number)
    }
    await step()
    await step(remove(1))
    await step(remove(1))
    await step(restore(1))
    await step(restore(1))
    await step(restore(2), remove(4), restore(3))
    await step(remove(1), restore(4), { kind: 'update', table, id: 99, values: {} })
    await step({ kind: 'delete', table, id: 4 })
    await step({ kind: 'delete', table, id: 1 })
    await step(insertOf(table, { deleted_at: '2026-01-01T00:00:00.000Z' }), insertOf(table, {}))
    await step({ kind: 'update', table, id: 2, values: { rating: 7 } })
    expect(totals).toEqual([2, 1, 1, 2, 2, 3, 3, 3, 2, 3, 3])
  })

  test('a value is unique among the living', async () => {
    const taken = await outcome(add(current(), table, { code: 'c1' }))
    expect(taken).toBeInstanceOf(UniqueError)
    expect(taken).toMatchObject({ column: 'code' })
    await add(current(), table, { code: 'c2' })
    expect(await outcome(current().commit([restore(2)]))).toMatchObject({ column: 'code', step: 0 })
    expect(await current().get(table, 2, undefined, { deleted: true })).toBeDefined()
    await current().commit([remove(5), restore(2)])
    expect(await ids()).toEqual([1, 2, 4])
  })

  test('a condition of an update can ask whether the row lives', async () => {
    const living: Filter = { deleted_at: { null: true } }
    expect(await outcome(current().commit([{ ...remove(2), where: living }]))).toBeInstanceOf(StaleError)
    expect(await outcome(current().commit([{ ...remove(1), where: living }]))).toBeInstanceOf(Array)
  })
}

// ── Internal tables, ids, sweeps, references ────────────────────────────────────────────────────────────────────

function internalTests(current: Current): void {
  test('a secret is made once for each name', async () => {
    const [one, again, other] = await Promise.all([
      current().secret('one'),
      current().secret('one'),
      current().secret('other'),
    ])
    expect(one).toBeInstanceOf(Uint8Array)
    expect(one).toHaveLength(32)
    expect(again).toEqual(one as Uint8Array)
    expect(other).not.toEqual(one as Uint8Array)
    expect(await current().secret('one')).toEqual(one as Uint8Array)
  })

  test('given ids are taken as they are', async () => {
    const id = 2 ** 53 - 1
    const rows = await current().commit([
      insertOf('articles_data', { title: 'a' }, id),
      insertOf('articles_data', { title: 'b' }, 0),
    ])
    expect(rows).toMatchObject([{ id }, { id: 0 }])
    expect(await current().get('articles_data', id)).toMatchObject({ title: 'a' })
    expect(await outcome(current().commit([insertOf('articles_data', {}, id)]))).toMatchObject({
      column: 'id',
    })
    for (const wrong of [2 ** 53, '1', 1.5]) {
      expect(await outcome(current().commit([insertOf('articles_data', {}, wrong)]))).toBeInstanceOf(
        TypeError,
      )
    }
    const without = { kind: 'insert', table: 'articles_data', values: {} } as const
    expect(await outcome(current().commit([without]))).toBeInstanceOf(TypeError)
  })

  const answer = {
    requestDigest: 'r',
    status: 201,
    body: '{"id":1}',
    headers: { ETag: '"1"' },
    createdAt: '2026-01-01T00:00:00.000Z',
  }

  test('an answer is stored in the commit of its write, once a key', async () => {
    const key = idempotencyKeyOf('ada', 'k')
    expect(await findAnswer(current(), key)).toBeUndefined()
    const step = (rows: readonly Row[]) => insertAnswer(key, { ...answer, body: String(rows[0]?.id) })
    await current().commit([insertOf('articles', {}), step])
    expect(await findAnswer(current(), key)).toEqual({ ...answer, body: '1' })
    const again = await outcome(current().commit([insertOf('articles', {}), step]))
    expect(again).toBeInstanceOf(UniqueError)
    expect(again).toMatchObject({ column: 'id', step: 1 })
    expect(await current().count('articles')).toBe(1)
  })

  test('keys of others are other keys, also where one number is that of two', async () => {
    const key = idempotencyKeyOf('ab', 'c')
    expect(Number.isSafeInteger(key.id)).toBe(true)
    expect(idempotencyKeyOf('ab', 'c')).toEqual(key)
    for (const other of [
      idempotencyKeyOf('a', 'bc'),
      idempotencyKeyOf('ab', 'd'),
      idempotencyKeyOf('2:ab', 'c'),
    ]) {
      expect(other.id).not.toBe(key.id)
    }
    await current().commit([insertAnswer(key, { ...answer, body: null })])
    expect(await findAnswer(current(), key)).toMatchObject({ body: null })
    expect(await findAnswer(current(), { ...key, digest: 'another' })).toBeUndefined()
  })

  test('a sweep deletes what is older, the oldest first, as many as it may', async () => {
    const at = (second: number) => `2026-01-01T00:00:0${second}.000Z`
    await current().commit(
      [3, 1, 2, 5, 4].map((second) =>
        insertAnswer(idempotencyKeyOf('ada', `${second}`), { ...answer, createdAt: at(second) }),
      ),
    )
    const table = idempotencyTable.name
    const left = async () =>
      (await current().list({ table, limit: 9 })).map((row) => row['created_at']).toSorted()
    const sweep = { table, column: 'created_at', before: at(4) }
    expect(await current().deleteOlderThan({ ...sweep, limit: 2 })).toBe(2)
    expect(await left()).toEqual([at(3), at(4), at(5)])
    expect(await current().deleteOlderThan({ ...sweep, limit: 2 })).toBe(1)
    expect(await current().deleteOlderThan({ ...sweep, limit: 2 })).toBe(0)
    expect(await left()).toEqual([at(4), at(5)])
    for (const wrong of [{ column: 'status' }, { column: 'nothing' }, { limit: -1 }, { table: 'nothing' }]) {
      expect(await outcome(current().deleteOlderThan({ ...sweep, limit: 1, ...wrong }))).toBeInstanceOf(
        TypeError,
      )
    }
  })

  test('totals follow a sweep, of the living and of the deleted', async () => {
    const [old, young] = ['2026-01-01T00:00:00.000Z', '2026-01-02T00:00:00.000Z']
    await add(current(), 'articles', { deleted_at: old }, { deleted_at: young }, { title: old }, {})
    expect(
      await current().deleteOlderThan({ table: 'articles', column: 'deleted_at', before: young, limit: 9 }),
    ).toBe(1)
    expect(await current().count('articles')).toBe(2)
    expect(
      await current().deleteOlderThan({ table: 'articles', column: 'title', before: young, limit: 9 }),
    ).toBe(1)
    expect(await current().count('articles')).toBe(1)
    expect(await current().count('articles', {})).toBe(1)
  })

  test('a row whose reference was cleared has a new version', async () => {
    const [article] = await add(current(), 'articles', {})
    const [cited, other] = await add(current(), 'papers', { article: article?.id as number }, {})
    await current().commit([{ kind: 'delete', table: 'articles', id: article?.id as Id }])
    const after = await current().get('papers', cited?.id as Id)
    expect(after).toMatchObject({ article: null, _version: 2 })
    expect(after?.['updated_at']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(await current().get('papers', other?.id as Id)).toEqual(other as Row)
  })

  test('an update that clears a reference makes one new version', async () => {
    const [article] = await add(current(), 'articles', {})
    const [paper] = await add(current(), 'papers', { article: article?.id as number })
    const id = paper?.id as Id
    const values = { article: null, updated_at: 'then' }
    await current().commit([{ kind: 'update', table: 'papers', id, values }])
    expect(await current().get('papers', id)).toMatchObject({ _version: 2, updated_at: 'then' })
    const broken = insertOf('papers', { article: 99 })
    expect(await outcome(current().commit([broken]))).toBeInstanceOf(BrokenReferenceError)
  })
}
