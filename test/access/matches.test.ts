// A filter in memory must answer exactly as the database does: thousands of random filters on random rows, asked of
// both. The seed is printed with a failure, so that it can be repeated.
import { afterAll, describe, expect, test } from 'bun:test'
import { matches } from '../../src/access/matches.ts'
import { applyMigration } from '../../src/storage/migrate.ts'
import type { Filter, FilterValue } from '../../src/storage/query.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import { createSqliteStore } from '../../src/storage/sqlite/store.ts'
import type { Row, Table, Values } from '../../src/storage/store.ts'

const TABLE: Table = {
  name: 'things',
  id: 'integer',
  columns: [
    { name: 'name', kind: 'text', nullable: true },
    { name: 'note', kind: 'text', nullable: true },
    { name: 'price', kind: 'real', nullable: true },
    { name: 'amount', kind: 'integer', nullable: true },
    { name: 'done', kind: 'boolean', nullable: true },
    { name: 'extra', kind: 'json', nullable: true },
  ],
}

const database = openDatabase({ path: ':memory:', durability: 'full' })
applyMigration(database, [TABLE])
const store = createSqliteStore({ database, tables: [TABLE] })
afterAll(() => store.stop())

const SEED = 20261122
const ROWS = 120
const FILTERS = 3000

/** mulberry32: small, and the same everywhere. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const random = createRandom(SEED)
const below = (limit: number): number => Math.floor(random() * limit)
const pick = <T>(from: readonly T[]): T => from[below(from.length)] as T
const some = <T>(most: number, make: () => T): T[] => Array.from({ length: below(most + 1) }, make)

// Few letters, so that texts are often equal, contained in one another, or differ by their order only.
const LETTERS = [
  'a',
  'A',
  'b',
  'ä',
  'Ä',
  'ß',
  'İ',
  'é',
  '%',
  '_',
  '\\',
  "'",
  ' ',
  '\uffff',
  '\ue000',
  '🙂',
  '😀',
  '中',
]
const text = (): string => some(4, () => pick(LETTERS)).join('')
const NUMBERS = [
  0,
  1,
  -1,
  2,
  0.1,
  0.30000000000000004,
  -2.5,
  1e300,
  5e-324,
  2 ** 53 - 1,
  2 ** 31,
  -(2 ** 31) - 1,
]
const INTEGERS = NUMBERS.filter(Number.isSafeInteger)
const maybe = <T>(value: T): T | null => (random() < 0.2 ? null : value)

function randomValues(): Values {
  return {
    name: maybe(text()),
    note: maybe(text()),
    price: maybe(pick(NUMBERS)),
    amount: maybe(pick(INTEGERS)),
    done: maybe(random() < 0.5),
    extra: maybe(pick([[], {}, { a: 1 }])),
  }
}

type Field = [name: string, operand: () => FilterValue, isText: boolean]
const FIELDS: readonly Field[] = [
  ['name', text, true],
  ['note', text, true],
  ['price', () => pick(NUMBERS), false],
  ['amount', () => pick(NUMBERS), false],
  ['done', () => random() < 0.5, false],
  ['id', () => below(ROWS), false],
]

function randomOperators([, operand, isText]: Field): Record<string, unknown> {
  const operators: Record<string, unknown> = {}
  for (let count = 1 + below(2); count > 0; count--) {
    const operator = pick([
      'eq',
      'ne',
      'gt',
      'gte',
      'lt',
      'lte',
      'in',
      'nin',
      'null',
      'contains',
      'starts_with',
    ])
    if (operator === 'null') operators['null'] = random() < 0.5
    else if (operator === 'in' || operator === 'nin') operators[operator] = some(3, operand)
    else if (operator === 'eq') operators['eq'] = maybe(operand())
    else if (isText || !['contains', 'starts_with'].includes(operator)) operators[operator] = operand()
  }
  return Object.keys(operators).length === 0 ? { eq: operand() } : operators
}

function randomFilter(depth: number): Filter {
  const filter: Record<string, unknown> = {}
  for (let count = below(3); count > 0; count--) {
    const field = pick(FIELDS)
    filter[field[0]] = random() < 0.3 ? maybe(field[1]()) : randomOperators(field)
  }
  if (random() < 0.1) filter['extra'] = { null: random() < 0.5 }
  if (depth < 4 && random() < 0.4) filter['or'] = some(3, () => randomFilter(depth + 1))
  if (depth < 4 && random() < 0.3) filter['and'] = some(2, () => randomFilter(depth + 1))
  return filter as Filter
}

test(`matches() answers as SQLite does, ${FILTERS} filters on ${ROWS} rows`, async () => {
  await store.commit(
    Array.from({ length: ROWS }, () => ({ kind: 'insert', table: 'things', values: randomValues() })),
  )
  const rows = await store.list({ table: 'things', limit: ROWS })
  let matched = 0
  for (let count = 0; count < FILTERS; count++) {
    const where = randomFilter(1)
    const stored = await store.list({ table: 'things', where, limit: ROWS })
    const inMemory = rows.filter((row) => matches(where, row))
    if (!Bun.deepEquals(inMemory, stored)) {
      expect({ seed: SEED, where, rows: inMemory }).toEqual({ seed: SEED, where, rows: stored })
    }
    matched += stored.length
  }
  // Filters that match nothing or everything would prove little.
  expect(matched).toBeGreaterThan(FILTERS * ROWS * 0.1)
  expect(matched).toBeLessThan(FILTERS * ROWS * 0.9)
})

test('text is compared as SQLite sorts it', async () => {
  const sorted = await store.list({
    table: 'things',
    sort: [{ field: 'name', direction: 'asc' }],
    limit: ROWS,
  })
  const names = sorted.map((row) => row['name']).filter((name) => name !== null) as string[]
  for (const [index, name] of names.slice(1).entries()) {
    expect(matches({ name: { lte: name } }, { name: names[index] })).toBe(true)
  }
})

describe('matches', () => {
  const row: Partial<Row> = { name: 'Ann', price: 2, done: false, extra: { a: 1 } }

  test.each<[Filter, boolean]>([
    [{}, true],
    [{ name: 'Ann', price: { gt: 1 } }, true],
    [{ name: 'Ann', price: { gt: 2 } }, false],
    [{ absent: 'x' }, false],
    [{ absent: { ne: 'x' } }, false],
    [{ absent: { null: true } }, true],
    [{ or: [] }, false],
    [{ and: [] }, true],
    [{ or: [{ name: 'Bob' }, { done: false }] }, true],
  ])('%j is %p', (filter, expected) => {
    expect(matches(filter, row)).toBe(expected)
  })

  test.each<[string, Filter]>([
    ['a number compared with text', { price: '2' }],
    ['a number that contains', { price: { contains: '2' } }],
    ['JSON compared', { extra: { eq: 'a' } }],
    ['undefined', { name: undefined }],
    ['an unknown operator', { name: { like: 'a' } as never }],
  ])('throws TypeError on %s', (_, filter) => {
    expect(() => matches(filter, row)).toThrow(TypeError)
  })
})
