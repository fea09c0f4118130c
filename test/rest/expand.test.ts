// What is embedded is what its own address would have shown, in one query a name.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { ANONYMOUS, type Principal } from '../../src/access/principal.ts'
import { createExpander, expansionsOf } from '../../src/rest/expand.ts'
import type { ListQuery } from '../../src/storage/query.ts'
import type { Row, Store } from '../../src/storage/store.ts'
import { authors, books, editors, notes, resources } from './list-definitions.ts'
import { insert, insertUser, openStore } from './list-store.ts'

const user: Principal = {
  ...ANONYMOUS,
  kind: 'user',
  id: '01991f6e-8c00-7000-8000-000000000001',
  role: 'user',
}
const admin: Principal = { ...user, role: 'admin' }
const expansions = expansionsOf(books, resources)

let store: Store
let rows: readonly Row[]
let ownerId: string
let visible: Row
let hidden: Row
const queries: ListQuery[] = []

beforeAll(async () => {
  store = openStore(resources)
  ownerId = await insertUser(store, 'ada')
  ;[visible, hidden] = (await insert(store, authors, [
    { name: 'Ada', visible: true, secret: 'canary', pin: 'canary' },
    { name: 'Eve', visible: false },
  ])) as [Row, Row]
  const [editor] = await insert(store, editors, [{ name: 'Ed' }])
  const base = { title: 'x', sold: false, state: 'new' }
  rows = await insert(store, books, [
    { ...base, author_id: visible.id, editor_id: editor!.id, owner_id: ownerId },
    { ...base, author_id: hidden.id },
    { ...base, author_id: visible.id },
    base,
  ])
})
afterAll(() => store.stop())

const expand = createExpander(expansions, {
  list: (query: ListQuery) => {
    queries.push(query)
    return store.list(query)
  },
} as Store)

test('references in a field that ends in _id can be expanded, and the owner', () => {
  expect([...expansions.keys()]).toEqual(['author', 'editor', 'owner'])
  expect([...expansionsOf(notes, resources).keys()]).toEqual([])
  expect([...expansionsOf(books, [editors]).keys()]).toEqual(['editor', 'owner'])
})

describe('a page of four', () => {
  const names = async (principal: Principal, name: string) =>
    (await expand(rows, [name], principal)).map((embedded) => embedded[name]?.name ?? null)

  test('shows each author that the caller may read, by their own filter', async () => {
    expect(await names(ANONYMOUS, 'author')).toEqual(['Ada', null, 'Ada', null])
    expect(await names(user, 'author')).toEqual(['Ada', 'Eve', 'Ada', null])
    expect(await names(admin, 'author')).toEqual(['Ada', 'Eve', 'Ada', null])
  })

  test('shows a key what its owner may read of authors where its scopes reach, else what anybody may', async () => {
    const keyOf = (scope: string): Principal => ({ ...user, kind: 'key', scopes: [scope] })
    expect(await names(keyOf('authors:read'), 'author')).toEqual(['Ada', 'Eve', 'Ada', null])
    expect(await names(keyOf('*'), 'author')).toEqual(['Ada', 'Eve', 'Ada', null])
    expect(await names(keyOf('books:read'), 'author')).toEqual(['Ada', null, 'Ada', null])
    expect(await names(keyOf('authors:write'), 'author')).toEqual(['Ada', null, 'Ada', null])
    expect(await names(keyOf('authors:read'), 'editor')).toEqual([null, null, null, null])
  })

  test('shows no editor to whom the rule refuses all, without a query', async () => {
    queries.length = 0
    expect(await names(ANONYMOUS, 'editor')).toEqual([null, null, null, null])
    expect(queries).toEqual([])
    expect(await names(user, 'editor')).toEqual(['Ed', null, null, null])
  })

  test('shows id and name of the owner to all, and nothing else of the account', async () => {
    const owners = await expand(rows, ['owner'], ANONYMOUS)
    expect(owners.map(({ owner }) => owner)).toEqual([{ id: ownerId, name: 'ada' }, null, null, null])
  })

  test('takes one query a name, each id once', async () => {
    queries.length = 0
    const [first] = await expand(rows, ['author', 'owner'], user)
    expect(Object.keys(first!)).toEqual(['author', 'owner'])
    expect(queries).toEqual([
      { table: 'authors', where: { id: { in: [visible.id, hidden.id] } }, limit: 2 },
      { table: 'users', where: { id: { in: [ownerId] } }, limit: 1 },
    ])
  })

  test('shows nothing hidden', async () => {
    const [first] = await expand(rows, ['author'], admin)
    expect(first!.author).toEqual({
      id: visible.id,
      name: 'Ada',
      visible: true,
      created_at: visible.created_at!,
      updated_at: visible.updated_at!,
    })
  })
})

test('an empty page needs no query', async () => {
  queries.length = 0
  expect(await expand([], ['author', 'owner'], user)).toEqual([])
  expect(queries).toEqual([])
})

test('what is gone is null', async () => {
  const [row] = rows
  const gone = { ...row!, author_id: '01991f6e-8c00-7000-8000-00000000dead', owner_id: 'gone' }
  expect(await expand([gone], ['author', 'owner'], admin)).toEqual([{ author: null, owner: null }])
})
