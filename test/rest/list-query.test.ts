// What the query of a list may say, and that all else is refused by name.
import { describe, expect, test } from 'bun:test'
import { AppError } from '../../src/core/errors.ts'
import { createCursors } from '../../src/rest/cursor.ts'
import { expansionsOf } from '../../src/rest/expand.ts'
import { createListQueryReader, createViewReader, type ListRequest } from '../../src/rest/list-query.ts'
import type { ResourceDefinition } from '../../src/rest/resource.ts'
import { authors, books, notes, resources } from './list-definitions.ts'

const cursors = createCursors(new Uint8Array(32))
const readerOf = (definition: ResourceDefinition) =>
  createListQueryReader({ definition, cursors, expansions: expansionsOf(definition, resources) })
const read = readerOf(books)
const readNotes = readerOf(notes)

/** A query as people write it: brackets and quotes as they are, percent escapes where they must be. */
const query = (parts: Readonly<Record<string, string | number>>): string =>
  Object.entries(parts)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
    .join('&')

function faultsOf(parse: (search: string) => unknown, search: string): Record<string, string> {
  try {
    parse(search)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    expect([error.code, error.message]).toEqual(['bad_request', 'Query parameters are not valid'])
    return Object.fromEntries(error.details.map(({ field, message }) => [field, message]))
  }
  return {}
}

const uuid = '01991F6E-8C00-7000-8000-00000000000A'
const many = (count: number) => Array.from({ length: count }, (_, index) => index).join()

describe('a filter', () => {
  const cases: [search: string, where: object][] = [
    ['price=20', { price: { eq: 20 } }],
    ['price=1.5e1', { price: { eq: 15 } }],
    ['price=-0', { price: { eq: 0 } }],
    ['price[ne]=1', { price: { ne: 1 } }],
    ['price[gt]=-1', { price: { gt: -1 } }],
    ['price[gte]=1&price[lt]=2&price=1', { price: { eq: 1, gte: 1, lt: 2 } }],
    ['price[lte]=1000', { price: { lte: 1000 } }],
    ['price[in]=1', { price: { in: [1] } }],
    ['price[in]=1,2.5,-3', { price: { in: [1, 2.5, -3] } }],
    ['pages[nin]=1,2', { pages: { nin: [1, 2] } }],
    ['pages[null]=true', { pages: { null: true } }],
    ['id[null]=false', { id: { null: false } }],
    ['sold=true', { sold: { eq: true } }],
    ['sold[ne]=false', { sold: { ne: false } }],
    ['sold[in]=true,false', { sold: { in: [true, false] } }],
    ['kind=novel', { kind: { eq: 'novel' } }],
    ['kind=null', { kind: { eq: 'null' } }],
    ['kind[in]=novel,"a,b"', { kind: { in: ['novel', 'a,b'] } }],
    ['kind[gt]=novel', { kind: { gt: 'novel' } }],
    ['size=2', { size: { eq: 2 } }],
    ['size[gte]=1', { size: { gte: 1 } }],
    ['title=', { title: { eq: '' } }],
    ['title[contains]=', { title: { contains: '' } }],
    ['title[contains]=%25_', { title: { contains: '%_' } }],
    ['title[starts_with]=a+b%0A', { title: { starts_with: 'a b\n' } }],
    ["title=x'%20OR%201=1", { title: { eq: "x' OR 1=1" } }],
    ['day[gte]=2026-01-31', { day: { gte: '2026-01-31' } }],
    ['day[starts_with]=2026-01', { day: { starts_with: '2026-01' } }],
    ['moment[lt]=2026-01-31T12:00:00%2B01:00', { moment: { lt: '2026-01-31T11:00:00.000Z' } }],
    ['created_at[gte]=2026-01-31t12:00:00z', { created_at: { gte: '2026-01-31T12:00:00.000Z' } }],
    ['updated_at[null]=false', { updated_at: { null: false } }],
    [`isbn=${uuid}`, { isbn: { eq: uuid.toLowerCase() } }],
    [`isbn[in]=${uuid},${uuid}`, { isbn: { in: [uuid.toLowerCase(), uuid.toLowerCase()] } }],
    [`owner_id=${uuid}`, { owner_id: { eq: uuid.toLowerCase() } }],
    ['mail=no-address-and-very-long', { mail: { eq: 'no-address-and-very-long' } }],
    ['state=new', { state: { eq: 'new' } }],
    ['tags[null]=true&place[null]=false', { tags: { null: true }, place: { null: false } }],
    ['or[0][price]=1', { or: [{ price: { eq: 1 } }] }],
    [
      'or[1][title]=x&or[0][price][lt]=5&or[0][sold]=true&id[gt]=3',
      { id: { gt: 3 }, or: [{ price: { lt: 5 }, sold: { eq: true } }, { title: { eq: 'x' } }] },
    ],
    ['or[19][price]=1&or[7][price]=2', { or: [{ price: { eq: 2 } }, { price: { eq: 1 } }] }],
    ['or%5B0%5D%5Bprice%5D%5Blt%5D=1', { or: [{ price: { lt: 1 } }] }],
    ['%70rice=1', { price: { eq: 1 } }],
  ]
  test.each(cases)('%s', (search, where) => expect(read(search).where).toEqual(where))

  test('is the same however it is spelled', () => {
    const one = read(
      'title=a&price[lt]=2&price[gte]=1.0&or[3][id]=1&or[3][sold]=true&or[5][id]=2&sort=-price&q=x',
    )
    const other = read(
      'q=x&or[1][id]=2&sort=-price&price[gte]=1&or[0][sold]=true&price[lt]=2e0&or[0][id]=1&title=%61',
    )
    expect(JSON.stringify(other.where)).toBe(JSON.stringify(one.where))
    expect(other).toEqual(one)
  })
})

describe('the values of an in', () => {
  const cases: [text: string, values: string[] | null][] = [
    ['a', ['a']],
    ['a,b', ['a', 'b']],
    ['a b, c', ['a b', ' c']],
    ['a\\,b', ['a\\', 'b']],
    ['"a"', ['a']],
    ['"a,b",c', ['a,b', 'c']],
    ['""', ['']],
    ['a,"",b', ['a', '', 'b']],
    ['"\\"",x', ['"', 'x']],
    ['"a\\\\"', ['a\\']],
    ['"\\\\\\""', ['\\"']],
    ['', null],
    [',', null],
    ['a,', null],
    [',a', null],
    ['a,,b', null],
    ['a"b', null],
    ['"a', null],
    ['"a"b', null],
    ['"a" ,b', null],
    ['"a\\n"', null],
    ['"a\\"', null],
  ]
  test.each(cases)('%s', (text, values) => {
    const search = query({ 'title[in]': text })
    if (values === null) expect(faultsOf(read, search)['title[in]']).toStartWith('Expected 1 to 100 values')
    else {
      const request = read(search)
      expect(request.where).toEqual({ title: { in: values } })
      expect(read(request.repeated.slice(1)).where).toEqual({ title: { in: values } })
    }
  })
})

describe('a parameter', () => {
  const cases: [search: string, expected: Partial<ListRequest>][] = [
    [
      '',
      { page: 1, limit: 10, sort: undefined, where: undefined, deleted: false, count: 'bounded', expand: [] },
    ],
    ['&', { page: 1, limit: 10, repeated: '' }],
    ['page=2&limit=100', { page: 2, limit: 100 }],
    ['sort=price', { sort: [{ field: 'price', direction: 'asc' }] }],
    [
      'sort=-owner_id,created_at,-id',
      {
        sort: [
          { field: 'owner_id', direction: 'desc' },
          { field: 'created_at', direction: 'asc' },
          { field: 'id', direction: 'desc' },
        ],
      },
    ],
    ['sort=id,price', { sort: [{ field: 'id', direction: 'asc' }] }],
    ['fields=title,id,created_at', { fields: ['title', 'id', 'created_at'] }],
    ['fields=tags,place', { fields: ['tags', 'place'] }],
    ['expand=author,owner,editor', { expand: ['author', 'owner', 'editor'] }],
    ['q="a%00* NEAR( OR', { search: '"a\0* NEAR( OR' }],
    ['q=', { search: '' }],
    ['count=none', { count: 'none' }],
    ['count=exact', { count: 'exact' }],
  ]
  test.each(cases)('%s', (search, expected) => expect(read(search)).toMatchObject(expected))

  test('deleted, where records are deleted softly', () => {
    expect(readNotes('deleted=true').deleted).toBe(true)
    expect(readNotes('deleted=false')).toMatchObject({ deleted: false, repeated: '' })
  })
})

describe('a query is refused', () => {
  const unknown = 'Unknown parameter'
  const number = 'Expected a number'
  const whole = 'Expected a whole number'
  const flag = 'Expected true or false'
  const day = 'Expected a date such as 2026-01-31'
  const cases: [search: string, faults: Record<string, string>][] = [
    ...[
      'nope',
      'nope[gt]',
      'secret',
      'secret[gt]',
      'secret[nope]',
      'pin',
      'hidden_id',
      'deleted_at',
      '__proto__',
    ].map((name): [string, Record<string, string>] => [`${name}=1`, { [name]: unknown }]),
    ...['or', 'or[0]', 'or[price]', 'or[00][price]', 'or[-1][price]', 'or[0][nope]', 'or[0][secret]'].map(
      (name): [string, Record<string, string>] => [`${name}=1`, { [name]: unknown }],
    ),
    ...[
      'and[0][price]',
      'or[0][or][0][price]',
      'or[0][price][gt][x]',
      'or[0]price',
      'price[]',
      'price[gt',
      '[price]',
    ].map((name): [string, Record<string, string>] => [`${name}=1`, { [name]: unknown }]),
    ['or[20][price]=1', { 'or[20][price]': 'Expected an index of or from 0 to 19' }],
    ['deleted=true', { deleted: unknown }],
    ['page=1&page=2', { page: 'Given more than once' }],
    ['price=1&%70rice=x', { price: 'Given more than once' }],
    ['or[0][price]=1&or[0][price]=1', { 'or[0][price]': 'Given more than once' }],
    ...['+1', '01', '1.', '.5', '0x1', '1e999', 'NaN', '', '1,2', ' 1'].map(
      (text): [string, Record<string, string>] => [query({ price: text }), { price: number }],
    ),
    ...['1.0', '1e1', '01', '-0', '9007199254740992', ''].map((text): [string, Record<string, string>] => [
      query({ pages: text, id: text }),
      { pages: whole, id: whole },
    ]),
    ...['1', 'TRUE', 'null', ''].map((text): [string, Record<string, string>] => [
      query({ sold: text, 'id[null]': text }),
      { sold: flag, 'id[null]': flag },
    ]),
    ['kind=Novel', { kind: 'Expected one of: novel, null, a,b' }],
    ['size=3&size[ne]=x', { size: 'Expected one of: 1, 2', 'size[ne]': 'Expected one of: 1, 2' }],
    ['day=2026-02-30&day[in]=2026-01-01,x', { day, 'day[in]': day }],
    [
      'moment=2026-01-31T12:00:00+01:00',
      { moment: 'Expected a date and time with its zone such as 2026-01-31T12:00:00Z' },
    ],
    ['isbn=x', { isbn: 'Expected a UUID' }],
    ['owner_id[ne]=x', { 'owner_id[ne]': 'Expected a UUID' }],
    ['title=a%00', { title: 'Expected text without NUL characters' }],
    ['title[contains]=a%00', { 'title[contains]': 'Expected text without NUL characters' }],
    ['pages[in]=1,x', { 'pages[in]': whole }],
    ['tags=x', { tags: 'Expected tags[null]=true or tags[null]=false' }],
    ['place[contains]=x', { 'place[contains]': 'Unknown operator; place knows null' }],
    ['sold[gt]=true', { 'sold[gt]': 'Unknown operator; sold knows ne, in, nin, null' }],
    [
      'price[contains]=1&price[eq]=1&price[constructor]=1',
      {
        'price[contains]': 'Unknown operator; price knows ne, gt, gte, lt, lte, in, nin, null',
        'price[eq]': 'Unknown operator; price knows ne, gt, gte, lt, lte, in, nin, null',
        'price[constructor]': 'Unknown operator; price knows ne, gt, gte, lt, lte, in, nin, null',
      },
    ],
    [
      'title[like]=x',
      {
        'title[like]':
          'Unknown operator; title knows ne, gt, gte, lt, lte, in, nin, null, contains, starts_with',
      },
    ],
    [
      'page=0&limit=101',
      { page: 'Expected a whole number from 1 up', limit: 'Expected a whole number from 1 to 100' },
    ],
    ['sort=', { sort: 'Expected 1 to 8 names with commas between' }],
    ['sort=price,nope', { sort: 'Key 2 is no field that can be sorted by' }],
    ['sort=-secret', { sort: 'Key 1 is no field that can be sorted by' }],
    ['sort=tags', { sort: 'Key 1 is no field that can be sorted by' }],
    ['sort=--price', { sort: 'Key 1 is no field that can be sorted by' }],
    ['sort=price,-price', { sort: 'Key 2 names a field again' }],
    ['sort=price,price', { sort: 'Name 2 is there twice' }],
    ['fields=id,secret', { fields: 'Name 2 is no property of a record' }],
    ['fields=pin', { fields: 'Name 1 is no property of a record' }],
    ['fields=id,id', { fields: 'Name 2 is there twice' }],
    ['expand=nope', { expand: 'Name 1 cannot be expanded' }],
    ['expand=author_id', { expand: 'Name 1 cannot be expanded' }],
    ['expand=hidden', { expand: 'Name 1 cannot be expanded' }],
    ['expand=shop', { expand: 'Name 1 cannot be expanded' }],
    [
      'expand=sequel_of',
      { expand: 'Name 1 cannot be expanded: only a reference in a field that ends in _id can' },
    ],
    ['count=all', { count: 'Expected one of: exact, none' }],
    [
      'nope=1&price=x&sort=nope&limit=0&title[like]=x',
      {
        nope: unknown,
        price: number,
        sort: 'Key 1 is no field that can be sorted by',
        limit: 'Expected a whole number from 1 to 100',
        'title[like]': expect.stringContaining('Unknown operator') as unknown as string,
      },
    ],
    ['cursor=x&page=1', { page: 'Expected a page or a cursor, not both' }],
    [
      'cursor=x&q=x',
      { cursor: 'A search in order of relevance has pages only; give a sort to walk by cursor' },
    ],
    ['cursor=x', { cursor: expect.stringContaining('this very request') as unknown as string }],
    ['cursor=', { cursor: expect.stringContaining('this very request') as unknown as string }],
  ]
  test.each(cases)('%s', (search, faults) => expect(faultsOf(read, search)).toEqual(faults))

  test('q where nothing is searched, deleted that is neither true nor false', () => {
    expect(faultsOf(readNotes, 'q=x&deleted=1&expand=owner')).toEqual({
      q: 'This resource has no fields to search',
      deleted: flag,
      expand: 'Name 1 cannot be expanded',
    })
  })

  test('no answer repeats what was sent, but the names of parameters', () => {
    const search =
      'sort=canary&fields=canary&expand=canary&count=canary&price=canary&kind=canary&price[in]=canary&cursor=canary'
    expect(JSON.stringify(Object.values(faultsOf(read, search)))).not.toContain('canary')
  })
})

describe('both sides of a limit', () => {
  const conditions = (count: number) =>
    many(count).replace(
      /(\d+),?/g,
      (_, index: string) =>
        `&or[${Number(index) % 20}][id][${['ne', 'gt', 'lt'][Math.floor(Number(index) / 20)]}]=1`,
    )
  const keys = 'title,price,pages,sold,kind,size,day,moment,mail'.split(',')
  const cases: [what: string, accepted: string, refused: string, name: string, message: string][] = [
    ['20 conditions', conditions(20), conditions(21), 'or[0][id][gt]', 'Expected at most 20 conditions'],
    [
      '8 sort keys',
      `sort=${keys.slice(0, 8)}`,
      `sort=${keys}`,
      'sort',
      'Expected 1 to 8 names with commas between',
    ],
    ['100 values', `id[in]=${many(100)}`, `id[in]=${many(101)}`, 'id[in]', 'Expected 1 to 100 values'],
    ...['title', 'title[contains]', 'title[in]', 'q'].map(
      (name): [string, string, string, string, string] => [
        `2000 characters of ${name}`,
        query({ [name]: '😀'.repeat(2000) }),
        query({ [name]: 'a'.repeat(2001) }),
        name,
        'Expected text of at most 2000 characters',
      ],
    ),
    [
      'an offset of 100,000',
      'page=1000&limit=100',
      'page=1001&limit=100',
      'page',
      'page × limit is over 100000',
    ],
    [
      'an offset of one more',
      'page=100000&limit=1',
      'page=100001&limit=1',
      'page',
      'page × limit is over 100000',
    ],
    ['an offset of 100,000 without limit', 'page=10000', 'page=10001', 'page', 'page × limit is over 100000'],
    ['a limit of 100', 'limit=100', 'limit=101', 'limit', 'Expected a whole number from 1 to 100'],
    ['an index of 19', 'or[19][id]=1', 'or[20][id]=1', 'or[20][id]', 'Expected an index of or from 0 to 19'],
  ]
  test.each(cases)('%s', (_what, accepted, refused, name, message) => {
    expect(faultsOf(read, accepted)).toEqual({})
    expect(Object.keys(faultsOf(read, refused))).toEqual([name])
    expect(faultsOf(read, refused)[name]).toStartWith(message)
  })
})

describe('what links repeat', () => {
  const cases: [search: string, repeated: string][] = [
    ['page=2&limit=3', ''],
    [
      'count=none&fields=id,title&expand=author&sort=-price,id',
      '&sort=-price,id&fields=id,title&expand=author&count=none',
    ],
    ['title=a+b%26c&price[gte]=1e0', '&title=a%20b%26c&price%5Bgte%5D=1'],
    ['or[9][id]=1&or[4][id][ne]=2', '&or%5B0%5D%5Bid%5D%5Bne%5D=2&or%5B1%5D%5Bid%5D=1'],
    ['title[in]="a,b",c,"d"', '&title%5Bin%5D=%22a,b%22,c,d'],
    ['moment=2026-01-31T12:00:00Z&q=%C3%A9', '&moment=2026-01-31T12:00:00.000Z&q=%C3%A9'],
  ]
  test.each(cases)('%s', (search, repeated) => {
    const request = read(search)
    expect(request.repeated).toBe(repeated)
    const { page: _, limit: __, ...again } = read(repeated.slice(1))
    const { page: ___, limit: ____, ...first } = request
    expect(again).toEqual(first)
  })
})

describe('a cursor', () => {
  const row = { id: 7, _version: 1, price: 2.5, title: 'x', pages: null }
  const bound = 'sort=-price,pages&title[ne]=a&q=x'
  const cursor = cursors.encode(row, read(bound).scope)

  test.each([
    bound,
    'q=x&title[ne]=%61&sort=-price,pages',
    `${bound}&limit=3`,
    `${bound}&fields=id&expand=owner&count=exact`,
  ])('fits %s', (search) => {
    expect(read(`${search}&cursor=${cursor}`)).toMatchObject({
      cursor,
      after: { values: [2.5, null], id: 7 },
    })
  })

  test.each([
    '',
    'sort=-price,pages&title[ne]=a&q=y',
    'sort=-price,pages&title[ne]=b&q=x',
    'sort=-price,pages&title=a&q=x',
    'sort=price,pages&title[ne]=a&q=x',
    'sort=-price&title[ne]=a&q=x',
    'sort=-price,pages&title[ne]=a',
    'sort=-price,pages&q=x',
    `${bound}&sold=true`,
  ])('does not fit %j', (search) => {
    expect(Object.keys(faultsOf(read, `${search}&cursor=${cursor}`))).toEqual(['cursor'])
  })

  test('of the living does not fit the deleted, nor one of another resource', () => {
    const id = uuid.toLowerCase()
    const living = cursors.encode({ id, _version: 1 }, readNotes('').scope)
    expect(readNotes(`cursor=${living}`).after).toEqual({ values: [], id })
    expect(readNotes(`cursor=${living}&deleted=false`).after).toEqual({ values: [], id })
    expect(Object.keys(faultsOf(readNotes, `cursor=${living}&deleted=true`))).toEqual(['cursor'])
    expect(Object.keys(faultsOf(read, `cursor=${living}`))).toEqual(['cursor'])
    expect(Object.keys(faultsOf(readerOf(authors), `cursor=${living}`))).toEqual(['cursor'])
  })
})

describe('the query of one record', () => {
  const view = createViewReader({ definition: books, expansions: expansionsOf(books, resources) })
  test('takes fields and expand, and nothing else', () => {
    expect(view('')).toEqual({ fields: undefined, expand: [] })
    expect(view('fields=title&expand=owner')).toEqual({ fields: ['title'], expand: ['owner'] })
    expect(faultsOf(view, 'price=1&page=1&fields=secret')).toEqual({
      price: 'Unknown parameter',
      page: 'Unknown parameter',
      fields: 'Name 1 is no property of a record',
    })
  })
})
