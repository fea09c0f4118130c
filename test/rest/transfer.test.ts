// Out and in again: what was exported and is imported is the same, and what is not right is named by row and field.
import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { usersTable } from '../../src/auth/users.ts'
import { AppError, StartError } from '../../src/core/errors.ts'
import { defineFrom, type ResourceDefinition } from '../../src/rest/resource.ts'
import { jsonText } from '../../src/rest/formats/encoder.ts'
import {
  exportRecords,
  importRecords,
  TRANSFER_FORMATS,
  unexportedFields,
  type ImportOptions,
  type TransferFormat,
} from '../../src/rest/transfer.ts'
import { defineResource, t } from '../../src/sdk.ts'
import { applyMigration } from '../../src/storage/migrate.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import { createSqliteStore } from '../../src/storage/sqlite/store.ts'
import type { Store } from '../../src/storage/store.ts'

const folder = mkdtempSync(join(tmpdir(), 'hipflask-transfer-'))
afterAll(() => rmSync(folder, { recursive: true }))

const NOW = Date.parse('2026-01-31T12:00:00.000Z')

const kinds = defineFrom(
  defineResource({
    name: 'kinds',
    schema: t.Object({
      text: t.Optional(t.String()),
      must: t.String(),
      maybe: t.Nullable(t.String()),
      both: t.Optional(t.Nullable(t.String())),
      uuid: t.Optional(t.String({ format: 'uuid' })),
      moment: t.Optional(t.String({ format: 'date-time' })),
      real: t.Optional(t.Number()),
      whole: t.Nullable(t.Integer()),
      flag: t.Optional(t.Nullable(t.Boolean())),
      kind: t.Enum(['memo', 'task'], { default: 'memo' }),
      size: t.Optional(t.Union([t.Literal(1), t.Literal(2)])),
      tags: t.Optional(t.Array(t.Nullable(t.String()))),
      place: t.Optional(
        t.Nullable(t.Object({ city: t.String(), since: t.Optional(t.String()), far: t.Number() })),
      ),
      state: t.String({ readOnly: true, default: 'new' }),
      sku: t.Optional(t.String({ unique: true })),
      parent: t.Optional(t.Integer({ references: 'kinds' })),
      secret: t.Optional(t.String({ writeOnly: true })),
      rank: t.Integer({ hidden: true, default: 7 }),
    }),
    owned: true,
  }),
)
const tags = defineFrom(
  defineResource({ name: 'tags', id: 'uuid', schema: t.Object({ name: t.String({ maxLength: 3 }) }) }),
)
const DEFINITIONS = [kinds, tags]

let files = 0
function open(): Store {
  const tables = [usersTable, ...DEFINITIONS.map(({ table }) => table)]
  const database = openDatabase({ path: join(folder, String(++files), 'test.db'), durability: 'normal' })
  applyMigration(database, tables)
  return createSqliteStore({ database, tables })
}

async function exported(
  store: Store,
  definition: ResourceDefinition,
  format: TransferFormat,
): Promise<string> {
  const pieces = await Array.fromAsync(exportRecords({ definition, store, format }))
  return pieces.map(({ text }) => text).join('')
}

async function* inPieces(text: string, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const take = (
  store: Store,
  definition: ResourceDefinition,
  text: string,
  more: Partial<ImportOptions> = {},
) =>
  importRecords({
    definition,
    store,
    clock: () => NOW,
    format: 'ndjson',
    source: inPieces(text, 1 << 16),
    isDryRun: false,
    ...more,
  })

// ── Random records ──────────────────────────────────────────────────────────────────────────────────────────────

const random = (below: number) => Math.floor(Math.random() * below)
const pick = <T>(list: readonly T[]) => list[random(list.length)] as T
const ALPHABET = [
  'a',
  'B',
  '"',
  ',',
  '\r',
  '\n',
  '\t',
  ' ',
  "'",
  '=',
  '\\',
  'é',
  '😀',
  '\u2028',
  '\ufeff',
  '0',
  '-',
  'N',
]
const words = ['', 'null', '\\N', 'true', '1', '""', '-0', '\ufeff', ' ', '[]', '=1', "'=1"]
const randomText = () =>
  random(3) === 0 ? pick(words) : Array.from({ length: random(12) }, () => pick(ALPHABET)).join('')
const numbers = [0, 1, -1, 0.1, 1e21, 1e-7, -1.5e300, 5e-324, Number.MAX_VALUE]
const large = [2 ** 53, -(2 ** 53), 1e20, 123456789012345680000]
const integers = [0, 1, -1, 2 ** 53 - 1, -(2 ** 53) + 1, 42]
const sometimes = <T>(make: () => T) => (random(2) === 0 ? undefined : make())
const orNull = <T>(make: () => T) => (random(3) === 0 ? null : make())
const randomTime = () => new Date(random(4e12)).toISOString()

function randomRecord(id: number, ids: readonly number[]): Record<string, unknown> {
  return {
    id,
    text: sometimes(randomText),
    must: randomText(),
    maybe: orNull(randomText),
    both: sometimes(() => orNull(randomText)),
    uuid: sometimes(() => crypto.randomUUID()),
    moment: sometimes(randomTime),
    real: sometimes(() => pick([...numbers, ...large])),
    whole: orNull(() => pick(integers)),
    flag: sometimes(() => orNull(() => random(2) === 0)),
    kind: pick(['memo', 'task']),
    size: sometimes(() => pick([1, 2])),
    tags: sometimes(() => Array.from({ length: random(4) }, () => orNull(randomText))),
    place: sometimes(() =>
      orNull(() => ({ city: randomText(), since: sometimes(randomText), far: pick([...numbers, ...large]) })),
    ),
    state: pick(['new', 'old', '']),
    sku: sometimes(() => `sku ${id} ${randomText()}`),
    parent: sometimes(() => pick(ids)),
    created_at: sometimes(randomTime),
    updated_at: sometimes(randomTime),
  }
}

describe.each(TRANSFER_FORMATS.map((format) => [format]))('export and import as %s', (format) => {
  test('change nothing, whatever is in the records', async () => {
    const [first, second] = [open(), open()]
    const ids = Array.from({ length: 2500 }, (_, index) => index * 3 + 1)
    const lines = ids.map((id) => jsonText(randomRecord(id, ids))).toSorted(() => random(3) - 1)
    expect(await take(first, kinds, lines.join('\n'))).toEqual({ records: 2500, faults: [], faultsTotal: 0 })
    const text = await exported(first, kinds, format)
    for (const size of [97, 1 << 16]) {
      const store = size === 97 ? second : open()
      const report = await take(store, kinds, text, { format, source: inPieces(text, size) })
      expect(report).toEqual({ records: 2500, faults: [], faultsTotal: 0 })
      for (const again of TRANSFER_FORMATS) {
        expect(await exported(store, kinds, again)).toBe(await exported(first, kinds, again))
      }
      const without = (rows: readonly object[]) => rows.map((row) => ({ ...row, _version: 1 }))
      const all = { table: 'kinds', limit: 3000 }
      expect(without(await store.list(all))).toEqual(without(await first.list(all)))
      await store.stop()
    }
    await first.stop()
  })

  test('of nothing is nothing', async () => {
    const store = open()
    const text = await exported(store, tags, format)
    expect(text).toBe(format === 'csv' ? 'id,name,created_at,updated_at\r\n' : '')
    expect(await take(store, tags, text, { format })).toMatchObject({ records: 0, faultsTotal: 0 })
    await store.stop()
  })
})

describe('an import', () => {
  test('fills what the file leaves out: defaults, ids, times, hidden fields', async () => {
    const store = open()
    await take(
      store,
      kinds,
      '{"must":"x","maybe":null,"whole":1,"secret":"s"}\n{"must":"y","maybe":"","whole":null}',
    )
    const [first, second] = await store.list({ table: 'kinds', limit: 10 })
    const time = new Date(NOW).toISOString()
    expect(first).toMatchObject({ id: 1, kind: 'memo', state: 'new', rank: 7, secret: 's', owner_id: null })
    expect(first).toMatchObject({ created_at: time, updated_at: time, _version: 1 })
    expect(second).toMatchObject({ id: 2, maybe: '', whole: null })
    await take(store, tags, '{"name":"a"}\n{"name":"b","created_at":"2020-01-01T01:00:00+01:00"}')
    const rows = await store.list({ table: 'tags', limit: 10 })
    expect(rows.map(({ id }) => String(id)).join()).toMatch(/^[0-9a-f-]{36},[0-9a-f-]{36}$/)
    expect(rows[1]).toMatchObject({
      created_at: '2020-01-01T00:00:00.000Z',
      updated_at: '2020-01-01T00:00:00.000Z',
    })
    await store.stop()
  })

  test('stores canonical forms', async () => {
    const store = open()
    const id = 'ABCDEF00-5F2A-7B61-9D04-6A3F1C8E2B75'
    await take(store, tags, JSON.stringify({ id, name: 'a' }))
    expect((await store.list({ table: 'tags', limit: 1 }))[0]?.id).toBe(id.toLowerCase())
    await store.stop()
  })

  const valid = (more: object = {}) => JSON.stringify({ must: 'x', maybe: null, whole: 1, ...more })
  const cases: [name: string, format: TransferFormat, text: string, faults: [number, string, string][]][] = [
    ['a wrong type', 'ndjson', valid({ real: 'x' }), [[1, '/real', 'Expected a number']]],
    ['a missing property', 'ndjson', '{"maybe":null,"whole":1}', [[1, '/must', 'Required']]],
    ['an unknown property', 'ndjson', valid({ nope: 1 }), [[1, '/nope', 'Unknown property']]],
    ['a hidden property', 'ndjson', valid({ rank: 1 }), [[1, '/rank', 'Unknown property']]],
    [
      '__proto__',
      'ndjson',
      `${valid().slice(0, -1)},"__proto__":{}}`,
      [[1, '/__proto__', 'Unknown property']],
    ],
    ['a list', 'ndjson', `[${valid()}]`, [[1, '', 'Expected an object']]],
    [
      'several faults of a row',
      'ndjson',
      valid({ must: 1, kind: 'x' }),
      [
        [1, '/must', 'Expected text'],
        [1, '/kind', 'Expected one of: memo, task'],
      ],
    ],
    ['an id of 0', 'ndjson', valid({ id: 0 }), [[1, '/id', 'Expected a number greater than or equal to 1']]],
    ['an id of another kind', 'ndjson', valid({ id: 'x' }), [[1, '/id', 'Expected a whole number']]],
    [
      'a time that is none',
      'ndjson',
      valid({ created_at: 'now' }),
      [[1, '/created_at', 'Expected a date and time with its zone such as 2026-01-31T12:00:00Z']],
    ],
    [
      'an owner that is not there',
      'ndjson',
      valid({ owner_id: '01987c3e-5f2a-7b61-9d04-6a3f1c8e2b75' }),
      [[1, '/owner_id', 'Expected the id of an existing record of users']],
    ],
    [
      'a value that repeats',
      'ndjson',
      `${valid({ sku: 'a' })}\n\n${valid({ sku: 'a' })}`,
      [[3, '/sku', 'Is in an earlier row too']],
    ],
    [
      'a value that is taken',
      'ndjson',
      `${valid({ sku: 'old' })}`,
      [[1, '/sku', 'Is taken by another record']],
    ],
    [
      'an id that is taken',
      'ndjson',
      `${valid()}\n${valid({ id: 1 })}`,
      [[2, '/id', 'Is taken by another record']],
    ],
    [
      'a reference to nothing',
      'ndjson',
      valid({ parent: 99 }),
      [[1, '/parent', 'Expected the id of an existing record of kinds']],
    ],
    [
      'faults of all sorts, in order',
      'ndjson',
      `${valid({ sku: 'old' })}\n{\n${valid({ real: 'x' })}`,
      [
        [1, '/sku', 'Is taken by another record'],
        [2, '', 'Line is not valid JSON'],
        [3, '/real', 'Expected a number'],
      ],
    ],
    ['a wrong cell', 'csv', 'must,maybe,whole\nx,,1.5', [[2, '/whole', 'Expected a whole number or null']]],
    ['a cell without anything in it', 'csv', 'must,maybe,whole\n,,1', [[2, '/must', 'Required']]],
    [
      'unknown, repeated and missing columns',
      'csv',
      'must,must,nope,maybe\nx,y,z,w',
      [
        [1, '/nope', 'Unknown property'],
        [1, '/must', 'Column appears more than once'],
        [1, '/whole', 'Required'],
      ],
    ],
    ['a hidden column', 'csv', 'must,maybe,whole,rank\nx,,,1', [[1, '/rank', 'Unknown property']]],
    [
      'a row of too few cells',
      'csv',
      'must,maybe,whole\nx,\ny,,1',
      [[2, '', 'Expected 3 cells as in the header, got 2']],
    ],
  ]
  for (const [name, format, text, expected] of cases) {
    test(`names ${name} and stores nothing`, async () => {
      const store = open()
      await take(store, kinds, valid({ sku: 'old' }))
      for (const isDryRun of [true, false]) {
        const { faults, faultsTotal } = await take(store, kinds, text, { format, isDryRun })
        expect(faults.map(({ row, field, message }) => [row, field, message])).toEqual(expected as never)
        expect(faultsTotal).toBe(expected.length)
        expect(await store.count('kinds')).toBe(1)
      }
      await store.stop()
    })
  }

  test.each([
    [99, 99],
    [100, 100],
    [101, 100],
    [5000, 100],
  ])('of %i bad rows names %i, and counts all', async (bad, named) => {
    const store = open()
    const lines = Array.from({ length: bad }, () => '{"name":"long"}\n{"name":"ok"}').join('\n')
    const { records, faults, faultsTotal } = await take(store, tags, lines)
    expect([records, faults.length, faultsTotal]).toEqual([bad * 2, named, bad])
    expect(faults.map(({ row }) => row)).toEqual(Array.from({ length: named }, (_, index) => index * 2 + 1))
    await store.stop()
  })

  test('without --dry-run stores what --dry-run found right', async () => {
    const store = open()
    expect(await take(store, kinds, valid(), { isDryRun: true })).toMatchObject({
      records: 1,
      faultsTotal: 0,
    })
    expect(await store.count('kinds')).toBe(0)
    await take(store, kinds, valid())
    expect(await store.count('kinds')).toBe(1)
    await store.stop()
  })

  test('tells its progress', async () => {
    const store = open()
    const text = Array.from({ length: 3000 }, () => '{"name":"a"}\n').join('')
    const seen: string[] = []
    await take(store, tags, text, {
      source: inPieces(text, text.length / 2),
      onProgress: ({ phase, bytes, records }) => seen.push(`${phase} ${bytes} ${records}`),
    })
    const { length } = text
    expect(seen.slice(0, 2)).toEqual([`reading ${length / 2} 1500`, `reading ${length} 3000`])
    expect(seen.at(-1)).toBe(`storing ${length} 3000`)
    await store.stop()
  })

  test('that cannot be read to its end stores nothing and leaves nothing open', async () => {
    const store = open()
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('{"name":"a"}\n')
      throw new StartError('gone')
    }
    expect(await take(store, tags, '', { source: broken() }).catch((error: Error) => error.message)).toBe(
      'gone',
    )
    expect(await store.count('tags')).toBe(0)
    expect(await take(store, tags, '{"name":"a"}')).toMatchObject({ faultsTotal: 0 })
    await store.stop()
  })
})

describe("the author's code", () => {
  test('may change values, which are kept with the times of the file', async () => {
    const store = open()
    await take(store, tags, '{"name":"a","created_at":"2020-01-01T00:00:00Z"}\n{"name":"b"}', {
      prepare: async (values) => ({ ...values, name: `${String(values.name)}!` }),
    })
    const rows = await store.list({ table: 'tags', limit: 10 })
    expect(rows.map(({ name }) => name).toSorted()).toEqual(['a!', 'b!'])
    expect(rows.map(({ created_at: at }) => at)).toContain('2020-01-01T00:00:00.000Z')
    await store.stop()
  })

  test('may refuse a row, and gets only valid ones', async () => {
    const store = open()
    const seen: unknown[] = []
    const { faults } = await take(store, tags, '{"name":"a"}\n{"name":5}\n{"name":"b"}\n{"name":"c"}', {
      prepare: (values) => {
        seen.push(values.name)
        if (values.name === 'a') return values
        const details = values.name === 'b' ? [{ field: '/name', message: 'Not b' }] : []
        throw new AppError('validation_failed', { message: 'Not this', details })
      },
    })
    expect(seen).toEqual(['a', 'b', 'c'])
    expect(faults).toEqual([
      { row: 2, field: '/name', message: 'Expected text' },
      { row: 3, field: '/name', message: 'Not b' },
      { row: 4, field: '', message: 'Not this' },
    ])
    await store.stop()
  })

  test('that fails is a fault of its row beside those of the others', async () => {
    const store = open()
    const prepare = () => {
      throw new Error('Hook beforeCreate of tags failed')
    }
    expect(await take(store, tags, '\n{"name":"a"}\n{"name":5}', { prepare })).toMatchObject({
      faults: [
        { row: 2, field: '', message: 'Hook beforeCreate of tags failed' },
        { row: 3, field: '/name', message: 'Expected text' },
      ],
      faultsTotal: 2,
    })
    expect(await store.count('tags')).toBe(0)
    await store.stop()
  })
})

test('an export has neither hidden nor writeOnly fields, and tells which an import may miss', async () => {
  const store = open()
  await take(store, kinds, '{"must":"x","maybe":null,"whole":1,"secret":"s"}')
  for (const format of TRANSFER_FORMATS) {
    const text = await exported(store, kinds, format)
    expect(text).not.toContain('secret')
    expect(text).not.toContain('rank')
  }
  expect(unexportedFields(kinds)).toEqual(['secret'])
  expect(unexportedFields(tags)).toEqual([])
  await store.stop()
})

test('an export follows the ids and has a formula as it is', async () => {
  const store = open()
  await take(store, tags, ['=1', '+1', '-1'].map((name) => JSON.stringify({ name })).join('\n'))
  const names = (await exported(store, tags, 'csv')).split('\r\n').map((line) => line.split(',')[1])
  expect(names).toEqual(['name', '=1', '+1', '-1', undefined])
  await store.stop()
})
