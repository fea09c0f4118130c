// The envelope at every edge: ends of the list, what lies too deep for pages, what nobody counted.
import { describe, expect, test } from 'bun:test'
import { createCursors } from '../../src/rest/cursor.ts'
import { envelope, type FoundPage, type Total } from '../../src/rest/list.ts'
import { createListQueryReader } from '../../src/rest/list-query.ts'
import { books } from './list-definitions.ts'

const cursors = createCursors(new Uint8Array(32))
const read = createListQueryReader({ definition: books, cursors, expansions: new Map() })
const exact = (items: number): Total => ({ items, isExact: true })

function answer(search: string, found: Partial<FoundPage>) {
  const page = {
    path: '/b',
    request: read(search),
    data: [{ id: 1 }],
    hasNext: false,
    total: exact(1),
    nextCursor: null,
  }
  const { body, header } = envelope({ ...page, ...found })
  return { ...body, header } as any
}
const link = (page: number, limit = 10, rest = '') => `/b?page=${page}&limit=${limit}${rest}`

describe('links of a page', () => {
  const some = { hasNext: true, nextCursor: 'C' }
  const none = { data: [] }
  const cases: [what: string, search: string, found: Partial<FoundPage>, links: object][] = [
    [
      'of an empty list',
      '',
      { ...none, total: exact(0) },
      { first: link(1), prev: null, next: null, last: link(1) },
    ],
    [
      'past the end lead back to the last',
      'page=9',
      { ...none, total: exact(25) },
      { prev: link(3), next: null, last: link(3) },
    ],
    [
      'past the end of an empty list',
      'page=9',
      { ...none, total: exact(0) },
      { prev: link(1), last: link(1) },
    ],
    ['past an end that nobody knows', 'page=9', { ...none, total: undefined }, { prev: link(8), last: null }],
    [
      'where counting stopped',
      'page=2',
      { ...some, total: { items: 10_000, isExact: false } },
      { prev: link(1), next: link(3), last: null },
    ],
    [
      'as deep as pages go',
      'page=9999',
      { ...some, total: exact(100_000) },
      { next: link(10_000), last: link(10_000) },
    ],
    [
      'deeper than pages go',
      'page=10000',
      { ...some, total: exact(100_001) },
      { next: '/b?cursor=C&limit=10', last: null },
    ],
    [
      'that are not there though counted, since rows went',
      '',
      { total: exact(25) },
      { next: null, last: link(3) },
    ],
  ]
  test.each(cases)('%s', (_what, search, found, links) =>
    expect(answer(search, found).links).toMatchObject(links),
  )
})

test('a search by relevance has no more pages than it ranks', () => {
  const found = { hasNext: true, total: exact(5000) }
  expect(answer('q=x', found)).toMatchObject({
    total_items: 5000,
    total_pages: 100,
    links: { last: link(100, 10, '&q=x') },
  })
  expect(answer('q=x&sort=id', found)).toMatchObject({ total_items: 5000, total_pages: 500 })
})

test('a Link header has at most 4096 characters', () => {
  const found = { hasNext: true, total: exact(25) }
  // In four links.
  const headerOf = (length: number) =>
    answer(`page=2&title=${'x'.repeat(length)}`, found).header as string | undefined
  const room = 4096 - headerOf(0)!.length
  const longest = Math.floor(room / 4)
  expect(headerOf(longest)).toHaveLength(4096 - (room % 4))
  expect(headerOf(longest + 1)).toBeUndefined()
})

test('links hold nothing that a header or a URI can not', () => {
  const { links, header } = answer(`title=${encodeURIComponent('a"b<c>\r\n,é')}`, {})
  expect(links.self).toBe(link(1, 10, '&title=a%22b%3Cc%3E%0D%0A,%C3%A9'))
  expect(header).toStartWith(`<${links.first}>; rel="first", `)
})

test('the keys are those of the contract, in its order', () => {
  expect(Object.keys(answer('', {}))).toEqual(
    'data total_items total_pages current_page items_per_page links next_cursor header'.split(' '),
  )
  const cursor = cursors.encode({ id: 1, _version: 1 }, read('').scope)
  const found = { request: read(`cursor=${cursor}`), total: undefined, nextCursor: 'C' }
  expect(answer('', found)).toEqual({
    data: [{ id: 1 }],
    items_per_page: 10,
    links: { self: `/b?cursor=${cursor}&limit=10`, next: '/b?cursor=C&limit=10' },
    next_cursor: 'C',
    header: '</b?cursor=C&limit=10>; rel="next"',
  })
})
