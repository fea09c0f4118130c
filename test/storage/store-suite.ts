// What every engine's Store must do, through the port alone. An engine's test file calls `describeStore`.
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { AppError } from '../../src/core/errors.ts'
import { newUuid } from '../../src/core/ids.ts'
import type { Filter, SortKey } from '../../src/storage/query.ts'
import {
  type Id,
  type Row,
  type Step,
  type Store,
  type Table,
  BrokenReferenceError,
  StaleError,
  UniqueError,
  UnmetError,
} from '../../src/storage/store.ts'
import { TABLES, VISITS, book, person, thing, visit } from './tables.ts'

/** Gives a store with empty tables. */
export type MakeStore = (tables: readonly Table[]) => Store

/** Declares the suite for one engine. */
export function describeStore(engine: string, makeStore: MakeStore): void {
  describe(engine, () => {
    let store: Store
    beforeEach(() => {
      store = makeStore(TABLES)
    })
    afterEach(() => store.stop())
    const current = () => store

    describe('values', () => valueTests(current))
    describe('filters', () => filterTests(current))
    describe('order and pages', () => orderTests(current))
    describe('commits', () => commitTests(current))
    describe('groups', () => groupTests(current))
    describe('references', () => referenceTests(current))
    describe('changes', () => watchTests(current))
    describe('what is remembered', () => rememberTests(current))
    describe('totals', () => totalTests(current))
    describe('lifetime', () => lifetimeTests(current))
  })
}

type Current = () => Store

async function add(store: Store, ...steps: readonly Step[]): Promise<readonly Row[]> {
  return await store.commit(steps)
}

async function one(store: Store, step: Step): Promise<Row> {
  return (await store.commit([step]))[0] as Row
}

/** How a promise ended: its value, or what it was rejected with. */
async function outcome(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => value,
    (error: unknown) => error,
  )
}

async function names(store: Store, where?: Filter, sort?: readonly SortKey[]): Promise<unknown[]> {
  const rows = await store.list({ table: 'things', where, sort, limit: 1000 })
  return rows.map((row) => row['name'])
}

function valueTests(current: Current): void {
  const WRITTEN = {
    name: 'Ünï 🙂 %_',
    price: 0.1,
    amount: 2 ** 53 - 1,
    done: false,
    extra: { a: [1, null, 'x'] },
  }

  test('a row comes back as it was given, with id and version', async () => {
    const row = await one(current(), thing(WRITTEN))
    expect(row).toEqual({ id: 1, _version: 1, ...WRITTEN })
    expect(await current().get('things', 1)).toEqual(row)
    expect(await current().list({ table: 'things', limit: 10 })).toEqual([row])
  })

  test('columns left out are null on insert and kept on update', async () => {
    const nothing = { name: null, price: null, amount: null, done: null, extra: null }
    const row = await one(current(), thing({}))
    expect(row).toEqual({ id: 1, _version: 1, ...nothing })
    const update = { kind: 'update', table: 'things', id: 1, values: { done: true } } as const
    expect(await one(current(), update)).toEqual({ id: 1, _version: 2, ...nothing, done: true })
    expect(await one(current(), { ...update, values: {} })).toEqual({
      id: 1,
      _version: 3,
      ...nothing,
      done: true,
    })
  })

  test.each([
    ['zero', { price: 0, amount: 0 }],
    ['the least integers', { price: -(2 ** 53) + 1, amount: -(2 ** 53) + 1 }],
    ['the greatest number', { price: Number.MAX_VALUE, amount: 4_294_967_296 }],
    ['the smallest number', { price: Number.MIN_VALUE, amount: -2_147_483_649 }],
    ['empty values', { name: '', extra: [] }],
    ['text that looks like a number', { name: '007' }],
  ])('keeps %s', async (_, values) => {
    const row = await one(current(), thing(values))
    expect(row).toMatchObject(values)
    expect(await current().get('things', row.id)).toMatchObject(values)
  })

  test('negative zero is zero, at once and later', async () => {
    const row = await one(current(), thing({ price: -0, amount: -0 }))
    expect([row['price'], row['amount']]).toEqual([0, 0])
    expect(await current().get('things', 1)).toEqual(row)
  })

  test.each<[string, Step]>([
    ['NaN', thing({ price: Number.NaN })],
    ['an infinite number', thing({ price: Infinity })],
    ['an integer beyond the safe ones', thing({ amount: 2 ** 53 })],
    ['half an integer', thing({ amount: 1.5 })],
    ['a number as text', thing({ name: 1 })],
    ['text as a number', thing({ price: '1' })],
    ['1 as a boolean', thing({ done: 1 })],
    ['text as JSON', thing({ extra: '{}' })],
    ['NUL', thing({ name: 'a\0b' })],
    ['a lone surrogate', thing({ name: 'a\ud800' })],
    ['an undeclared column', thing({ colour: 'red' })],
    ['an inherited name', thing({ constructor: 'red' })],
    ['an undeclared table', { kind: 'insert', table: 'nothing', values: {} }],
    ['null where it is not allowed', { kind: 'insert', table: 'people', id: newUuid(), values: {} }],
    ['an id where the engine makes it', { kind: 'insert', table: 'things', id: '1', values: {} }],
    ['no id where it must be given', { kind: 'insert', table: 'people', values: { email: 'a' } }],
    ['an id of the wrong kind', { kind: 'delete', table: 'things', id: '1' }],
    ['a promise for an operation', (async () => thing({})) as unknown as Step],
  ])('a commit throws TypeError on %s and stores nothing', async (_, step) => {
    expect(await outcome(current().commit([step]))).toBeInstanceOf(TypeError)
    expect(await outcome(current().commit([thing({ name: 'first' }), step]))).toBeInstanceOf(TypeError)
    expect(await current().count('things', {})).toBe(0)
    expect(await current().count('people', {})).toBe(0)
  })

  test('get gives undefined where there is no such row or it does not pass the filter', async () => {
    await add(current(), thing({ name: 'a' }))
    expect(await current().get('things', 2)).toBeUndefined()
    expect(await current().get('things', 1, { name: 'b' })).toBeUndefined()
    expect(await current().get('things', 1, { name: 'a' })).toMatchObject({ id: 1 })
  })

  test.each([
    ['an undeclared table', () => current().get('nothing', 1)],
    ['an id of the wrong kind', () => current().get('things', '1')],
    ['an unsafe id', () => current().get('things', 2 ** 53)],
    ['the total of an undeclared table', () => current().count('nothing')],
    ['a negative limit', () => current().list({ table: 'things', limit: -1 })],
    ['half an offset', () => current().list({ table: 'things', limit: 1, offset: 0.5 })],
    [
      'an unknown sort',
      () => current().list({ table: 'things', limit: 1, sort: [{ field: 'x', direction: 'asc' }] }),
    ],
    [
      'JSON sorted',
      () => current().list({ table: 'things', limit: 1, sort: [{ field: 'extra', direction: 'asc' }] }),
    ],
  ])('a read throws TypeError on %s', async (_, read) => {
    expect(await outcome((async () => await read())())).toBeInstanceOf(TypeError)
  })
}

function filterTests(current: Current): void {
  beforeEach(() =>
    add(
      current(),
      thing({ name: 'Apple', price: 1, amount: 1, done: true, extra: [] }),
      thing({ name: 'apple%pie', price: 2.5, amount: 2, done: false }),
      thing({ name: 'PINE_apple', price: 3, amount: 3, done: true }),
      thing({ name: 'Äpfel', price: -1, amount: null }),
      thing({ name: null, price: null, done: null }),
    ),
  )
  const apples = ['Apple', 'apple%pie', 'PINE_apple']

  test.each<[Filter, unknown[]]>([
    [{}, [...apples, 'Äpfel', null]],
    [{ name: 'Apple' }, ['Apple']],
    [{ name: { eq: 'apple' } }, []],
    [{ name: null }, []],
    [{ name: { eq: null } }, []],
    [{ name: { ne: 'Apple' } }, ['apple%pie', 'PINE_apple', 'Äpfel']],
    [{ price: { gt: 1 } }, ['apple%pie', 'PINE_apple']],
    [{ price: { gte: 1 } }, apples],
    [{ price: { lt: 1 } }, ['Äpfel']],
    [{ price: { lte: 1 } }, ['Apple', 'Äpfel']],
    [{ amount: { gt: 1.5, lt: 2.5 } }, ['apple%pie']],
    [{ name: { gt: 'a' } }, ['apple%pie', 'Äpfel']],
    [{ price: { in: [1, 3, 7] } }, ['Apple', 'PINE_apple']],
    [{ price: { in: [] } }, []],
    [{ price: { nin: [1, 3] } }, ['apple%pie', 'Äpfel']],
    [{ price: { nin: [] } }, [...apples, 'Äpfel']],
    [{ done: true }, ['Apple', 'PINE_apple']],
    [{ done: { ne: true } }, ['apple%pie']],
    [{ done: { in: [true, false] } }, apples],
    [{ id: { gte: 4 } }, ['Äpfel', null]],
    [{ name: { contains: 'APPLE' } }, apples],
    [{ name: { contains: '%' } }, ['apple%pie']],
    [{ name: { contains: '_' } }, ['PINE_apple']],
    [{ name: { contains: 'ä' } }, []],
    [{ name: { contains: 'Ä' } }, ['Äpfel']],
    [{ name: { contains: '' } }, [...apples, 'Äpfel']],
    [{ name: { starts_with: 'aPP' } }, ['Apple', 'apple%pie']],
    [{ name: { starts_with: '%' } }, []],
    [{ name: { starts_with: 'a_' } }, []],
    [{ name: { starts_with: 'Äp' } }, ['Äpfel']],
    [{ name: { starts_with: '' } }, [...apples, 'Äpfel']],
    [{ name: { null: true } }, [null]],
    [{ name: { null: false } }, [...apples, 'Äpfel']],
    [{ extra: { null: false } }, ['Apple']],
    [{ price: { gt: 0 }, done: true }, ['Apple', 'PINE_apple']],
    [{ or: [] }, []],
    [{ and: [] }, [...apples, 'Äpfel', null]],
    [{ or: [{}] }, [...apples, 'Äpfel', null]],
    [{ or: [{ name: 'Apple' }, { price: { lt: 0 } }] }, ['Apple', 'Äpfel']],
    [{ done: true, or: [{ price: 1 }, { price: 2.5 }] }, ['Apple']],
    [{ and: [{ or: [{ price: 1 }, { price: 3 }] }, { name: { contains: 'pine' } }] }, ['PINE_apple']],
  ])('%j', async (where, expected) => {
    expect(await names(current(), where)).toEqual(expected)
    expect(await current().count('things', where)).toBe(expected.length)
  })

  test('starts_with counts code points', async () => {
    await add(current(), thing({ name: '🙂🙂x' }))
    expect(await names(current(), { name: { starts_with: '🙂🙂' } })).toEqual(['🙂🙂x'])
  })

  test('an id that is text is filtered as text', async () => {
    const [row] = await add(current(), person('a'), person('b'))
    expect(await current().list({ table: 'people', where: { id: row?.id }, limit: 9 })).toEqual([row as Row])
  })

  const nested = (depth: number): Filter => (depth === 1 ? { price: 1 } : { and: [nested(depth - 1)] })
  const wide = (count: number): Filter => ({ or: Array.from({ length: count }, () => ({ price: 1 })) })
  const many = (count: number): Filter => ({
    price: { in: Array.from({ length: count }, (_, index) => index) },
  })

  test.each<[string, Filter, number]>([
    ['8 levels', nested(8), 1],
    ['100 conditions', wide(100), 1],
    ['1,000 values', many(1000), 2],
  ])('takes %s', async (_, where, expected) => {
    expect(await current().count('things', where)).toBe(expected)
  })

  test.each<[string, Filter]>([
    ['9 levels', nested(9)],
    ['101 conditions', wide(101)],
    ['1,001 values', many(1001)],
    ['an unknown field', { colour: 'red' }],
    ['the version', { _version: 1 }],
    ['an unknown operator', { price: { like: 1 } as never }],
    ['an inherited operator', { price: { toString: 1 } as never }],
    ['undefined', { price: undefined }],
    ['an undefined operand', { price: { gt: undefined as never } }],
    ['no operator', { price: {} }],
    ['an undefined list', { or: undefined as never }],
    ['a list of no filters', { and: [1 as never] }],
    ['NaN', { price: Number.NaN }],
    ['a lone surrogate', { name: '\udc00' }],
    ['a number for text', { name: 1 }],
    ['text for a number', { price: '1' }],
    ['1 for true', { done: 1 }],
    ['null among values', { price: { in: [1, null as never] } }],
    ['one value for a list', { price: { in: 1 as never } }],
    ['contains of a number', { price: { contains: '1' } }],
    ['null that is no boolean', { price: { null: 1 as never } }],
    ['JSON compared', { extra: { eq: 'a' } }],
    ['JSON compared with null', { extra: null }],
  ])('throws TypeError on %s', async (_, where) => {
    expect(await outcome(current().count('things', where))).toBeInstanceOf(TypeError)
  })

  test('a fault names the field and the operator', async () => {
    expect(await outcome(current().count('things', { price: { contains: '1' } }))).toMatchObject({
      message: 'Filter things.price does not know operator contains',
    })
  })
}

function orderTests(current: Current): void {
  beforeEach(() =>
    add(
      current(),
      thing({ name: 'a', price: 2 }),
      thing({ name: 'b', price: null }),
      thing({ name: '\uffff', price: 1 }),
      thing({ name: '🙂', price: 2 }),
      thing({ name: 'B', price: null }),
    ),
  )

  test.each<[string, SortKey[], unknown[]]>([
    ['id', [], ['a', 'b', '\uffff', '🙂', 'B']],
    ['-id', [{ field: 'id', direction: 'desc' }], ['B', '🙂', '\uffff', 'b', 'a']],
    [
      'price: nulls first, ties by id',
      [{ field: 'price', direction: 'asc' }],
      ['b', 'B', '\uffff', 'a', '🙂'],
    ],
    [
      '-price: nulls last, ties by id downwards',
      [{ field: 'price', direction: 'desc' }],
      ['🙂', 'a', '\uffff', 'B', 'b'],
    ],
    ['name by code points', [{ field: 'name', direction: 'asc' }], ['B', 'a', 'b', '\uffff', '🙂']],
    [
      '-price,-name',
      [
        { field: 'price', direction: 'desc' },
        { field: 'name', direction: 'desc' },
      ],
      ['🙂', 'a', '\uffff', 'b', 'B'],
    ],
  ])('sorts by %s', async (_, sort, expected) => {
    expect(await names(current(), undefined, sort)).toEqual(expected)
    expect(await names(current(), { id: { gt: 0 } }, sort)).toEqual(expected)
  })

  test.each([
    [{ limit: 2 }, ['a', 'b']],
    [{ limit: 2, offset: 3 }, ['🙂', 'B']],
    [{ limit: 2, offset: 5 }, []],
    [{ limit: 0 }, []],
  ])('pages %j', async (page, expected) => {
    for (const where of [undefined, { id: { gt: 0 } }]) {
      const rows = await current().list({ table: 'things', where, ...page })
      expect(rows.map((row) => row['name'])).toEqual(expected)
    }
  })

  test.each([
    [1, 1],
    [4, 4],
    [5, 5],
    [6, 5],
  ])('a count limited to %d gives %d', async (limit, expected) => {
    expect(await current().count('things', { id: { gt: 0 } }, { limit })).toBe(expected)
  })
}

function commitTests(current: Current): void {
  test('several steps are stored together, and a function sees the rows before it', async () => {
    const rows = await add(
      current(),
      thing({ name: 'a' }),
      (before) => thing({ name: 'b', amount: before[0]?.id as number }),
      (before) => ({ kind: 'update', table: 'things', id: before[1]?.id as number, values: { done: true } }),
    )
    expect(rows).toMatchObject([
      { id: 1, _version: 1, name: 'a' },
      { id: 2, _version: 1, name: 'b', amount: 1 },
      { id: 2, _version: 2, name: 'b', amount: 1, done: true },
    ])
  })

  test('no steps are no commit', async () => {
    expect(await current().commit([])).toEqual([])
  })

  test('a delete gives the row as it was', async () => {
    const row = await one(current(), thing({ name: 'a', done: true }))
    expect(await one(current(), { kind: 'delete', table: 'things', id: 1 })).toEqual(row)
    expect(await current().get('things', 1)).toBeUndefined()
  })

  test('a commit goes on where a row is as required after the steps before, and gives no row for that', async () => {
    const store = current()
    const [first, second] = await add(
      store,
      thing({ name: 'a', done: true }),
      thing({ name: 'b', done: true }),
    )
    const where = { done: true, name: { in: ['a', 'b'] } }
    const undo = (row: Row | undefined): Step[] => [
      { kind: 'update', table: 'things', id: row?.id as Id, values: { done: false } },
      { kind: 'require', table: 'things', where },
    ]
    expect(await store.commit(undo(first))).toEqual([{ ...first, _version: 2, done: false } as Row])
    expect(await outcome(store.commit(undo(second)))).toBeInstanceOf(UnmetError)
    expect(await store.get('things', second?.id as Id)).toEqual(second as Row)
    expect(await outcome(store.commit([{ kind: 'require', table: 'things', where }]))).toEqual([])
    expect(
      await outcome(store.commit([{ kind: 'require', table: 'things', where: { name: 'c' } }])),
    ).toBeInstanceOf(UnmetError)
  })

  test('of commits at once that each take one of the rows that all require, one fails', async () => {
    const store = current()
    const rows = await add(store, ...Array.from({ length: 50 }, () => thing({ done: true })))
    const outcomes = await Promise.all(
      rows.map(({ id }) =>
        outcome(
          store.commit([
            { kind: 'delete', table: 'things', id },
            { kind: 'require', table: 'things', where: { done: true } },
          ]),
        ),
      ),
    )
    expect(outcomes.filter((one) => one instanceof UnmetError)).toHaveLength(1)
    expect(await store.count('things')).toBe(1)
  })

  test('the id of a deleted row is never given again', async () => {
    await add(current(), thing({}), thing({}))
    await add(current(), { kind: 'delete', table: 'things', id: 2 })
    expect(await one(current(), thing({}))).toMatchObject({ id: 3 })
  })

  const conditions: [string, { version?: number; where?: Filter }, boolean][] = [
    ['no condition', {}, true],
    ['the version', { version: 1 }, true],
    ['another version', { version: 2 }, false],
    ['a filter that it passes', { where: { name: 'a' } }, true],
    ['a filter that it does not pass', { where: { name: 'b' } }, false],
    ['both', { version: 1, where: { name: 'a' } }, true],
    ['the wrong version and the filter', { version: 2, where: { name: 'a' } }, false],
    ['the version and the wrong filter', { version: 1, where: { name: { ne: 'a' } } }, false],
  ]
  test.each(conditions)('update under %s', async (_, condition, isMet) => {
    const before = await one(current(), thing({ name: 'a' }))
    const values = { name: 'new', price: 3, extra: { b: 1 } }
    const update = { kind: 'update', table: 'things', id: 1, values, ...condition } as const
    const result = await outcome(one(current(), update))
    const after = await current().get('things', 1)
    if (isMet) expect(result).toEqual(after as Row)
    else expect(result).toBeInstanceOf(StaleError)
    expect(after).toEqual(isMet ? ({ ...before, ...values, _version: 2 } as Row) : before)
  })

  test.each(conditions)('delete under %s', async (_, condition, isMet) => {
    const before = await one(current(), thing({ name: 'a' }))
    const result = await outcome(one(current(), { kind: 'delete', table: 'things', id: 1, ...condition }))
    if (isMet) expect(result).toEqual(before)
    else expect(result).toBeInstanceOf(StaleError)
    expect(await current().get('things', 1)).toEqual(isMet ? undefined : before)
  })

  test('writes with and without conditions do not mix up', async () => {
    await add(current(), thing({ name: 'a' }), thing({ name: 'b' }))
    const update = { kind: 'update', table: 'things', id: 1, values: { name: 'c' } } as const
    const remove = { kind: 'delete', table: 'things', id: 1 } as const
    await add(current(), update)
    expect(await outcome(one(current(), { ...update, version: 1 }))).toBeInstanceOf(StaleError)
    await add(current(), { ...update, version: 2 }, { kind: 'delete', table: 'things', id: 2 })
    expect(await outcome(one(current(), { ...remove, version: 1 }))).toBeInstanceOf(StaleError)
    expect(await outcome(one(current(), { ...remove, where: { name: 'a' } }))).toBeInstanceOf(StaleError)
    expect(await one(current(), { ...remove, version: 3 })).toMatchObject({ name: 'c' })
  })

  test('an update of a row that is gone is stale', async () => {
    const result = await outcome(one(current(), { kind: 'update', table: 'things', id: 1, values: {} }))
    expect(result).toBeInstanceOf(StaleError)
  })

  test('of two updates of one version the second is stale', async () => {
    await add(current(), thing({}))
    const update = (name: string): Step => ({
      kind: 'update',
      table: 'things',
      id: 1,
      values: { name },
      version: 1,
    })
    const results = await Promise.all(['a', 'b'].map((name) => outcome(one(current(), update(name)))))
    expect(results).toEqual([expect.objectContaining({ name: 'a', _version: 2 }), expect.any(StaleError)])
  })
}

function groupTests(current: Current): void {
  const thrown = new Error('thrown by a step')
  const duplicate = book('taken')
  const stale: Step = { kind: 'update', table: 'things', id: 999, values: {} }
  const throwing: Step = () => {
    throw thrown
  }

  test('units of one group fail alone, wherever in the unit the fault is', async () => {
    await add(current(), duplicate)
    const unit = (label: string, at: number, fault: Step): readonly Step[] =>
      [thing({ name: label }), thing({ name: label })].toSpliced(at, 0, fault as never)
    const commits: [expected: unknown, steps: readonly Step[]][] = [
      [undefined, [thing({ name: 'good 1' })]],
      [{ column: 'code', step: 0 }, [duplicate]],
      [{ column: 'code', step: 0 }, unit('bad', 0, duplicate)],
      [{ column: 'code', step: 1 }, unit('bad', 1, duplicate)],
      [{ column: 'code', step: 2 }, unit('bad', 2, duplicate)],
      [undefined, [thing({ name: 'good 2' }), thing({ name: 'good 3' })]],
      [{ name: 'StaleError' }, [stale]],
      [{ name: 'StaleError' }, unit('bad', 2, stale)],
      [thrown, [throwing]],
      [thrown, unit('bad', 1, throwing)],
      [undefined, [thing({ name: 'good 4' })]],
    ]
    const results = await Promise.all(commits.map(([, steps]) => outcome(current().commit(steps))))
    for (const [index, [expected, steps]] of commits.entries()) {
      if (expected === undefined) expect(results[index]).toHaveLength(steps.length)
      else expect(results[index]).toMatchObject(expected as Error)
    }
    expect(results.filter((result) => result instanceof UniqueError)).toHaveLength(4)
    expect(await names(current())).toEqual(['good 1', 'good 2', 'good 3', 'good 4'])
    expect(await current().count('things')).toBe(4)
    expect(await current().count('books')).toBe(1)
  })

  test('a taken id is a UniqueError of id', async () => {
    const id = newUuid()
    await add(current(), person('a', id))
    const result = await outcome(current().commit([person('b'), person('c', id)]))
    expect(result).toBeInstanceOf(UniqueError)
    expect(result).toMatchObject({ column: 'id', step: 1 })
  })

  test('an update can break a unique column too, and null never does', async () => {
    await add(current(), book('a'), book('b'))
    const update: Step = { kind: 'update', table: 'books', id: 2, values: { code: 'a' } }
    expect(await outcome(current().commit([update]))).toMatchObject({ column: 'code', step: 0 })
    expect(await current().get('books', 2)).toMatchObject({ code: 'b', _version: 1 })
  })

  test('commits are stored in the order they came, with ids in that order', async () => {
    const commits = Array.from({ length: 2500 }, (_, index) => current().commit([thing({ amount: index })]))
    const rows = (await Promise.all(commits)).flat()
    expect(rows.every((row, index) => row.id === index + 1 && row['amount'] === index)).toBe(true)
    expect(await current().count('things')).toBe(2500)
  })

  test('a unit may have more steps than a group', async () => {
    const rows = await current().commit(Array.from({ length: 2500 }, () => thing({})))
    expect(rows).toHaveLength(2500)
  })

  test('the 10,001st waiting commit is refused, and the others are stored', async () => {
    const results = await Promise.all(
      Array.from({ length: 10_001 }, () => outcome(current().commit([thing({})]))),
    )
    const refused = results.filter((result) => result instanceof AppError)
    expect(refused).toEqual([results[10_000] as AppError])
    expect(results[10_000]).toMatchObject({ code: 'unavailable', headers: { 'Retry-After': '1' } })
    expect(await current().count('things')).toBe(10_000)
    expect(await one(current(), thing({}))).toMatchObject({ id: 10_001 })
  })
}

function referenceTests(current: Current): void {
  const [author, reader] = [newUuid(), newUuid()]
  beforeEach(() => add(current(), person('author', author), person('reader', reader)))
  const remove = (id: string): Step => ({ kind: 'delete', table: 'people', id })

  test('a reference to nothing is refused, alone and inside a unit', async () => {
    const broken = book('b', { author: newUuid() })
    const results = await Promise.all(
      [[broken], [book('a'), broken], [book('c', { author })]].map((steps) =>
        outcome(current().commit(steps)),
      ),
    )
    expect(results.map((result) => result instanceof BrokenReferenceError && result.step)).toEqual([
      0,
      1,
      false,
    ])
    expect(await current().count('books')).toBe(1)
  })

  test('a row may refer to one of the same commit', async () => {
    const id = newUuid()
    expect(await add(current(), person('new', id), book('a', { author: id }))).toHaveLength(2)
  })

  test('a delete is refused while others refer to the row', async () => {
    await add(current(), book('a', { author }))
    expect(await outcome(current().commit([book('b'), remove(author)]))).toMatchObject({ step: 1 })
    expect(await outcome(current().commit([remove(author)]))).toBeInstanceOf(BrokenReferenceError)
    expect(await current().count('people')).toBe(2)
    await add(current(), { kind: 'delete', table: 'books', id: 1 }, remove(author))
    expect(await current().count('people')).toBe(1)
  })

  test('a row that refers to itself can be deleted', async () => {
    await add(current(), { kind: 'update', table: 'people', id: author, values: { friend: author } })
    await add(current(), remove(author))
    expect(await current().count('people')).toBe(1)
  })

  test('a delete clears references that say so', async () => {
    await add(current(), book('a', { author, reader }))
    await add(current(), remove(reader))
    expect(await current().get('books', 1)).toMatchObject({ author, reader: null })
  })

  test('a delete takes the rows with it whose references say so', async () => {
    const [mine, other] = [newUuid(), newUuid()]
    await add(current(), visit(reader, mine), visit(author, other))
    await add(current(), remove(reader))
    expect(await current().get(VISITS.name, mine)).toBeUndefined()
    expect(await current().get(VISITS.name, other)).toMatchObject({ visitor: author })
  })
}

function watchTests(current: Current): void {
  const id = newUuid()
  beforeEach(() => add(current(), person('watched', id), thing({ name: 'watched' })))
  const rename: Step = { kind: 'update', table: 'people', id, values: { email: 'changed' } }
  const remove: Step = { kind: 'delete', table: 'people', id }
  const stale: Step = { ...rename, version: 99 }

  test.each<[string, readonly Step[], boolean, string[]?]>([
    ['an update', [rename], true],
    ['a delete', [remove], true],
    ['the last of several steps', [thing({}), thing({}), remove], true],
    ['a step that is a function', [() => rename], true],
    ['a new row', [person('new')], false],
    [
      'an update of another table',
      [{ kind: 'update', table: 'things', id: 1, values: { name: 'x' } }],
      false,
    ],
    ['an update that finds no row', [stale], false],
    ['a delete that takes rows of these tables with it', [remove], true, [VISITS.name]],
    ['a delete that clears references of these tables', [remove], true, ['books']],
    ['a delete that reaches no row of these tables', [remove], false, ['things']],
  ])('%s: whether the number changes', async (_, steps, isChange, tables = ['people']) => {
    const version = current().watch(tables)
    const before = version()
    await outcome(current().commit(steps))
    expect(version() !== before).toBe(isChange)
    expect(version()).toBe(version())
  })

  test('the number is another one before the commit resolves to anybody', async () => {
    const version = current().watch(['people'])
    const before = version()
    const seen: boolean[] = []
    await Promise.all([
      current()
        .commit([thing({})])
        .then(() => seen.push(version() !== before)),
      current()
        .commit([rename])
        .then(() => seen.push(version() !== before)),
    ])
    expect(seen).toEqual([true, true])
  })

  test('a sweep of old rows changes it', async () => {
    const version = current().watch(['people'])
    const before = version()
    await current().deleteOlderThan({ table: 'people', column: 'email', before: 'z', limit: 1 })
    expect(version()).not.toBe(before)
  })
}

/** What is remembered of a row here is all of it, so that it can be held against the row as it is read. */
function rememberRows(store: Store, table: string) {
  const recall = store.remember(table, (row) => ({ text: JSON.stringify(row) }))
  // What is read once need not be kept.
  return async (id: Id) => {
    await recall(id)
    return (await recall(id))?.text
  }
}

async function rowText(store: Store, table: string, id: Id): Promise<string | undefined> {
  const row = await store.get(table, id)
  return row && JSON.stringify(row)
}

function rememberTests(current: Current): void {
  const author = newUuid()
  const [visited, gone] = [newUuid(), newUuid()]
  const stale: Step = { kind: 'update', table: 'books', id: 1, values: { code: 'x' }, version: 99 }
  const rename: Step = { kind: 'update', table: 'books', id: 1, values: { code: 'renamed' } }
  const remove: Step = { kind: 'delete', table: 'people', id: gone }

  beforeEach(() =>
    add(
      current(),
      person('author', author),
      person('gone', gone),
      book('a', { author, reader: gone }),
      visit(gone, visited),
    ),
  )

  test.each<[string, readonly Step[], string, Id]>([
    ['an update', [rename], 'books', 1],
    ['a delete', [{ kind: 'delete', table: 'books', id: 1 }], 'books', 1],
    ['a step that is a function', [book('b'), () => rename], 'books', 1],
    ['an update of several', [book('b'), rename, { ...rename, id: 2, values: { code: 'c' } }], 'books', 1],
    ['a reference that a delete clears', [remove], 'books', 1],
    ['a row that a delete takes with it', [remove], VISITS.name, visited],
  ])('%s is seen by the next read', async (_, steps, table, id) => {
    const recall = rememberRows(current(), table)
    const before = await recall(id)
    expect(before).toBe(await rowText(current(), table, id))
    await add(current(), ...steps)
    const after = await recall(id)
    expect(after).toBe(await rowText(current(), table, id))
    expect(after).not.toBe(before)
  })

  test.each<[string, readonly Step[]]>([
    ['finds no row', [stale]],
    ['is undone as a whole', [rename, stale]],
    ['throws', [rename, () => fail()]],
  ])('a commit that %s leaves what was', async (_, steps) => {
    const recall = rememberRows(current(), 'books')
    const before = await recall(1)
    expect(await outcome(current().commit(steps))).toBeInstanceOf(Error)
    expect(await recall(1)).toBe(before)
  })

  test('a row that is not there is looked for again', async () => {
    const recall = rememberRows(current(), 'books')
    expect(await recall(2)).toBeUndefined()
    await add(current(), book('b'))
    expect(await recall(2)).toBe(await rowText(current(), 'books', 2))
  })

  test('a sweep of old rows is seen', async () => {
    const recall = rememberRows(current(), 'books')
    expect(await recall(1)).toBeDefined()
    await current().deleteOlderThan({ table: 'books', column: 'code', before: 'z', limit: 10 })
    expect(await recall(1)).toBeUndefined()
  })

  test('two things that are made of one row are kept apart', async () => {
    const [code, version] = [
      current().remember('books', (row) => ({ text: String(row['code']) })),
      current().remember('books', (row) => ({ text: String(row._version) })),
    ]
    for (let time = 0; time < 3; time++) {
      expect([(await code(1))?.text, (await version(1))?.text]).toEqual(['a', '1'])
    }
    await add(current(), rename)
    expect([(await code(1))?.text, (await version(1))?.text]).toEqual(['renamed', '2'])
  })

  test('a reader that has seen a change never sees what was before, whatever else happens', async () => {
    const recall = rememberRows(current(), 'books')
    for (let turn = 0; turn < 100; turn++) {
      const code = `turn ${turn}`
      const [, text] = await Promise.all([
        recall(1),
        add(current(), { ...rename, values: { code } }).then(() => recall(1)),
        recall(1),
      ])
      expect(text).toContain(code)
    }
  })
}

function fail(): never {
  throw new Error('On purpose')
}

function totalTests(current: Current): void {
  test('totals follow what was stored, not what was tried', async () => {
    await add(current(), thing({ name: 'a' }), thing({ name: 'b' }), book('x'))
    await Promise.all(
      [
        [thing({ name: 'c' })],
        [thing({ name: 'd' }), book('x')],
        [{ kind: 'delete', table: 'things', id: 1 } as const],
        [{ kind: 'delete', table: 'things', id: 1 } as const],
        [{ kind: 'update', table: 'things', id: 2, values: { name: 'e' } } as const],
        [
          thing({}),
          (rows: readonly Row[]) => ({ kind: 'delete', table: 'things', id: rows[0]?.id ?? 0 }) as const,
        ],
        [book('y'), thing({ name: 'f' }), thing({ name: 'g' })],
      ].map((steps) => outcome(current().commit(steps))),
    )
    for (const table of ['things', 'books', 'people']) {
      expect(await current().count(table)).toBe(await current().count(table, {}))
    }
    expect(await names(current())).toEqual(['e', 'c', 'f', 'g'])
  })
}

function lifetimeTests(current: Current): void {
  test('check resolves while the store is open', async () => {
    expect(await outcome(current().check())).toBeUndefined()
  })

  test('stop stores what is queued, and then everything is unavailable', async () => {
    const queued = current().commit([thing({ name: 'last' })])
    const stopped = current().stop()
    const late = await Promise.all([
      outcome(current().commit([thing({})])),
      outcome(Promise.try(() => current().get('things', 1))),
      outcome(current().list({ table: 'things', limit: 1 })),
      outcome(current().count('things')),
      outcome(current().check()),
    ])
    expect(await queued).toMatchObject([{ id: 1, name: 'last' }])
    await stopped
    await current().stop()
    for (const error of late) expect(error).toMatchObject({ code: 'unavailable' })
  })
}
