// A cursor is taken only as it was made, by the same key, for the same list.
import { describe, expect, test } from 'bun:test'
import { createCursors, MAX_CURSOR_LENGTH, type CursorScope } from '../../src/rest/cursor.ts'
import type { ColumnKind, Row, Value } from '../../src/storage/store.ts'

const key = new Uint8Array(32).fill(7)
const cursors = createCursors(key)

const scopeOf = (
  kinds: Readonly<Record<string, ColumnKind>>,
  id: 'integer' | 'uuid' = 'integer',
): CursorScope => ({
  binding: 'items?&sort=x',
  order: Object.entries(kinds).map(([name, kind]) => ({ name, kind })),
  id,
})

describe('what was encoded is decoded', () => {
  const cases: [kind: ColumnKind, value: Value][] = [
    ['real', 0.1],
    ['real', -1.7976931348623157e308],
    ['real', 5e-324],
    ['integer', Number.MIN_SAFE_INTEGER],
    ['boolean', false],
    ['text', ''],
    ['text', '"😀\u2028,'],
    ['text', null],
    ['real', null],
    ['boolean', null],
  ]
  test.each(cases)('%s %j', (kind, value) => {
    const scope = scopeOf({ a: kind })
    const cursor = cursors.encode({ id: 9007199254740991, _version: 1, a: value }, scope)
    expect(cursor).toMatch(/^[\w-]+$/)
    expect(cursors.decode(cursor, scope)).toEqual({ values: [value as string], id: 9007199254740991 })
    expect(createCursors(key.slice()).decode(cursor, scope)).toBeDefined()
  })

  test('a column that the row lacks, an order by id alone, a uuid', () => {
    const id = '01991f6e-8c00-7000-8000-000000000001'
    const two = scopeOf({ a: 'text', b: 'real' }, 'uuid')
    expect(cursors.decode(cursors.encode({ id, _version: 1, b: 1 }, two), two)).toEqual({
      values: [null, 1],
      id,
    })
    const none = scopeOf({}, 'uuid')
    expect(cursors.decode(cursors.encode({ id, _version: 1 }, none), none)).toEqual({ values: [], id })
  })
})

describe('a cursor is refused', () => {
  const scope = scopeOf({ a: 'real' })
  const row: Row = { id: 3, _version: 1, a: 1.5 }
  const cursor = cursors.encode(row, scope)
  const decode = (text: string) => cursors.decode(text, scope)
  const flipped = (at: number) => {
    const bytes = Buffer.from(cursor, 'base64url')
    bytes[at]! ^= 1
    return bytes.toString('base64url')
  }

  test('where any of its bits is another', () => {
    for (let at = 0; at < Buffer.from(cursor, 'base64url').length; at++)
      expect(decode(flipped(at))).toBeUndefined()
    expect(decode(cursor)).toBeDefined()
  })

  test('in any other spelling', () => {
    const standard = Buffer.from(cursor, 'base64url').toString('base64')
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const others = [
      `${cursor}=`,
      `${cursor}==`,
      ` ${cursor}`,
      `${cursor}\n`,
      `${cursor}.`,
      `${cursor}A`,
      cursor.slice(0, -1),
    ]
    if (standard.includes('=')) {
      // Bits of the last character that no byte needs.
      const next = alphabet[alphabet.indexOf(cursor.at(-1)!) + 1]!
      expect(Buffer.from(cursor.slice(0, -1) + next, 'base64url')).toEqual(Buffer.from(cursor, 'base64url'))
      others.push(standard, cursor.slice(0, -1) + next)
    }
    for (const other of others) expect(decode(other)).toBeUndefined()
  })

  test.each([
    '',
    'x',
    'AAAA',
    'A'.repeat(22),
    'A'.repeat(MAX_CURSOR_LENGTH),
    'A'.repeat(100_000),
    '%',
    '[7,[]]',
  ])('where it is %s', (text) => expect(decode(text)).toBeUndefined())

  test('by another key, and for another binding', () => {
    expect(createCursors(new Uint8Array(32).fill(8)).decode(cursor, scope)).toBeUndefined()
    for (const binding of ['', 'items?&sort=', 'items?&sort=xx', 'items?&sort=x\n', 'books?&sort=x']) {
      expect(cursors.decode(cursor, { ...scope, binding })).toBeUndefined()
    }
  })

  test('where what the order is of has changed since', () => {
    const others = [{ a: 'text' }, { a: 'boolean' }, {}, { a: 'real', b: 'real' }] as const
    for (const kinds of others) expect(cursors.decode(cursor, scopeOf(kinds))).toBeUndefined()
    expect(cursors.decode(cursor, { ...scope, id: 'uuid' })).toBeUndefined()
    expect(cursors.decode(cursor, scopeOf({ a: 'integer' }))).toBeUndefined()
  })
})

describe('the length of a cursor', () => {
  const scope = scopeOf({ a: 'text' })
  // [7,["…"]] and a signature of 16 bytes.
  const longest = (MAX_CURSOR_LENGTH / 4) * 3 - 16 - '[7,[""]]'.length

  test('holds values up to its limit', () => {
    const cursor = cursors.encode({ id: 7, _version: 4, a: 'x'.repeat(longest) }, scope)
    expect(cursor.length).toBe(MAX_CURSOR_LENGTH)
    expect(cursors.decode(cursor, scope)).toEqual({ values: ['x'.repeat(longest)], id: 7 })
  })

  test.each(['x'.repeat(longest + 1), 'é'.repeat(longest / 2 + 1), '\u0001'.repeat(1200)])(
    'beyond it names the row in the state that it is in',
    (a) => {
      const cursor = cursors.encode({ id: 7, _version: 4, a }, scope)
      expect(cursor.length).toBeLessThan(50)
      expect(cursors.decode(cursor, scope)).toEqual({ id: 7, version: 4 })
    },
  )
})

test('a key of fewer than 32 bytes is refused', () => {
  expect(() => createCursors(new Uint8Array(31))).toThrow('at least 32 bytes')
})
