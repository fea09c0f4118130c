// Entity tags and conditions by themselves; what requests make of them is in executable/conditions.test.ts.
import { describe, expect, test } from 'bun:test'
import { AppError } from '../../src/core/errors.ts'
import { conditionOf, entityTag, isUnchanged, type HeaderReader } from '../../src/rest/conditions.ts'
import type { Row } from '../../src/storage/store.ts'

const row: Row = { id: 1, _version: 7, updated_at: '2026-01-31T12:00:00.000Z' }
const tag = entityTag(row, { format: 'json' })
const csv = entityTag(row, { format: 'csv' })
const some = entityTag(row, { format: 'json', fields: ['id', 'name'] })
const stale = entityTag({ ...row, _version: 6 }, { format: 'json' })
const many = (count: number) => [...Array<string>(count - 1).fill('"x"'), tag].join(', ')

const having =
  (headers: Record<string, string>): HeaderReader =>
  (name) =>
    headers[name] ?? null

/** The code of the error that a write with these headers ends with, or `done`. */
function write(headers: Record<string, string>, { isRequired = false } = {}): string {
  try {
    conditionOf(having(headers), isRequired)?.(row)
    return 'done'
  } catch (error) {
    return (error as AppError).code
  }
}

describe('an entity tag', () => {
  test('is strong, and short enough to read', () => {
    expect(tag).toMatch(/^"7-[0-9a-z]+"$/)
  })

  const others: [string, string][] = [
    ['version', entityTag({ ...row, _version: 8 }, { format: 'json' })],
    ['time', entityTag({ ...row, updated_at: '2026-01-31T12:00:00.001Z' }, { format: 'json' })],
    ['format', csv],
    ['selection', some],
    ['order of the selection', entityTag(row, { format: 'json', fields: ['name', 'id'] })],
    ['format and selection', entityTag(row, { format: 'csv', fields: ['id', 'name'] })],
  ]
  test.each(others)('of another %s is another', (_, other) => {
    expect(other).not.toBe(tag)
    expect(new Set(others.map(([, one]) => one)).size).toBe(others.length)
  })

  test('of the same state and representation is the same', () => {
    expect(entityTag({ ...row }, { format: 'json', fields: undefined })).toBe(tag)
  })
})

describe('a read with If-None-Match', () => {
  test.each<[string, string | undefined, boolean]>([
    ['no header', undefined, false],
    ['the tag', tag, true],
    ['the tag, weak', `W/${tag}`, true],
    ['the tag with space around', ` \t${tag} `, true],
    ['anything', '*', true],
    ['a stale tag', stale, false],
    ['the tag of another format', csv, false],
    ['the tag of a selection', some, false],
    ['a list with the tag', `${stale},${csv} ,\t${tag}`, true],
    ['a list without the tag', `${stale}, ${csv}`, false],
    ['empty elements, which a list may have', `,, ${tag},`, true],
    ['a tag with a comma in it beside the tag', `"a,b", ${tag}`, true],
    ['a tag that holds the tag', `"${tag.slice(1, -1)},x"`, false],
    ['letters beyond ASCII', `"é", ${tag}`, true],
    ['an empty tag', '""', false],
    ['as many tags as there may be', many(50), true],
  ])('%s', (_, header, expected) => {
    expect(isUnchanged(having(header === undefined ? {} : { 'if-none-match': header }), tag)).toBe(expected)
  })
})

describe('a write', () => {
  test('without a condition has no check at all', () => {
    expect(conditionOf(having({}), false)).toBeUndefined()
  })

  test.each<[string, string, string]>([
    ['the tag', tag, 'done'],
    ['anything', '*', 'done'],
    ['the tag of another format of the same state', csv, 'done'],
    ['the tag of a selection of the same state', some, 'done'],
    ['a stale tag', stale, 'precondition_failed'],
    ['the tag, weak', `W/${tag}`, 'precondition_failed'],
    ['a list with the tag', `${stale}, W/${tag}, ${tag}`, 'done'],
    ['a list of stale tags', `${stale}, "x"`, 'precondition_failed'],
    ['an empty tag', '""', 'precondition_failed'],
    ['the tag in other letters', tag.toUpperCase(), 'precondition_failed'],
    ['as many tags as there may be', many(50), 'done'],
  ])('with If-Match, %s', (_, header, expected) => {
    expect(write({ 'if-match': header })).toBe(expected)
  })

  test.each<[string, string, string]>([
    ['the tag', tag, 'precondition_failed'],
    ['the tag, weak', `W/${tag}`, 'precondition_failed'],
    ['anything', '*', 'precondition_failed'],
    ['the tag of another format of the same state', csv, 'precondition_failed'],
    ['a stale tag', stale, 'done'],
    ['a list with the tag', `${stale}, ${tag}`, 'precondition_failed'],
  ])('with If-None-Match, %s', (_, header, expected) => {
    expect(write({ 'if-none-match': header })).toBe(expected)
  })

  test('with both conditions needs both', () => {
    expect(write({ 'if-match': tag, 'if-none-match': stale })).toBe('done')
    expect(write({ 'if-match': tag, 'if-none-match': tag })).toBe('precondition_failed')
    expect(write({ 'if-match': stale, 'if-none-match': stale })).toBe('precondition_failed')
  })

  test('that needs If-Match is refused without, whatever else it has', () => {
    const isRequired = true
    expect(write({}, { isRequired })).toBe('precondition_required')
    expect(write({ 'if-none-match': stale }, { isRequired })).toBe('precondition_required')
    expect(write({ 'if-match': stale }, { isRequired })).toBe('precondition_failed')
    expect(write({ 'if-match': tag }, { isRequired })).toBe('done')
    expect(write({ 'if-match': '*' }, { isRequired })).toBe('done')
  })
})

describe.each([
  ['If-Match', (header: string) => conditionOf(having({ 'if-match': header }), false)],
  ['If-None-Match', (header: string) => isUnchanged(having({ 'if-none-match': header }), tag)],
])('a malformed %s is named', (name, read) => {
  test.each<[string, string]>([
    ['empty', ''],
    ['blank', '  '],
    ['only commas', ', ,'],
    ['no quotes', '1-abc'],
    ['one quote', '"abc'],
    ['a quote within', '"a"b"'],
    ['a space within', '"a b"'],
    ['a control character', '"a\u0001"'],
    ['two tags without a comma', '"a""b"'],
    ['two tags with a space', '"a" "b"'],
    ['weak in a small letter', 'w/"a"'],
    ['weak with a space', 'W/ "a"'],
    ['a star in a list', '"a", *'],
    ['two stars', '*, *'],
    ['one tag too many', many(51)],
  ])('%s', (_, header) => {
    let thrown: unknown
    try {
      read(header)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(AppError)
    const { code, details } = thrown as AppError
    const message = 'Expected * or up to 50 entity tags such as "1-abc", with commas between'
    expect({ code, details }).toEqual({ code: 'bad_request', details: [{ field: name, message }] })
  })
})

test('a hostile list of tags is read in time that grows with its length only', () => {
  // Quadratic, each of these takes minutes.
  for (const header of [`"a",${' '.repeat(200_000)}x`, `${'"a",'.repeat(50_000)}x`, ','.repeat(200_000)]) {
    expect(() => isUnchanged(having({ 'if-none-match': header }), tag)).toThrow('Request is not valid')
  }
})
