// The parameters in the document are those that are read, typed as they are read.
import { describe, expect, test } from 'bun:test'
import { Compile } from 'typebox/schema'
import { everyone } from '../../src/sdk.ts'
import { buildDocument } from '../../src/http/openapi.ts'
import { createCursors } from '../../src/rest/cursor.ts'
import { expansionsOf } from '../../src/rest/expand.ts'
import { createListRoute } from '../../src/rest/list-route.ts'
import { listParameters } from '../../src/rest/list-parameters.ts'
import { createListQueryReader } from '../../src/rest/list-query.ts'
import type { Store } from '../../src/storage/store.ts'
import { lintDocument } from '../support/document.ts'
import { books, notes, resources } from './list-definitions.ts'

const expansions = expansionsOf(books, resources)
const parameters = new Map(listParameters(books, expansions).map((one) => [one.name, one]))
const cursors = createCursors(new Uint8Array(32))
const read = createListQueryReader({ definition: books, cursors, expansions })
const schemaOf = (name: string) => Compile(parameters.get(name)?.schema as never)

test('there is one for everything that may be asked, and none for what is hidden', () => {
  const names =
    'page limit cursor sort q fields expand count id title author_id editor_id sequel_of shop_id shop price pages sold kind size day moment isbn mail tags place state created_at updated_at owner_id or'
  expect([...parameters.keys()]).toEqual(names.split(' '))
  const ofNotes = listParameters(notes, expansionsOf(notes, resources)).map(({ name }) => name)
  expect(ofNotes).toEqual(
    'page limit cursor sort fields count deleted id text created_at updated_at or'.split(' '),
  )
})

describe('a field has one parameter in deepObject style', () => {
  const cases: [name: string, value: unknown, isValid: boolean][] = [
    ['price', 20, true],
    ['price', -1, true],
    ['price', '20', false],
    ['price', { gte: 10, lt: 20, in: '1,2', null: true }, true],
    ['price', { contains: 'x' }, false],
    ['price', { gte: '10' }, false],
    ['kind', 'novel', true],
    ['kind', 'poem', false],
    ['kind', { ne: 'a,b' }, true],
    ['kind', { contains: 'a' }, false],
    ['size', 2, true],
    ['size', { gt: 3 }, false],
    ['sold', { ne: true }, true],
    ['sold', { gt: true }, false],
    ['title', { contains: 'x', starts_with: 'y' }, true],
    ['tags', { null: true }, true],
    ['tags', 'x', false],
    ['id', { gt: 1 }, true],
    ['owner_id', { in: 'x' }, true],
    ['sort', '-price,title', true],
    ['sort', 'nope', false],
    ['sort', 'tags', false],
    ['fields', 'tags,id', true],
    ['fields', 'secret', false],
    ['expand', 'author,owner', true],
    ['expand', 'shop', false],
    ['or', { 0: { price: 1 }, 1: { price: { gt: 2 } } }, true],
  ]
  test.each(cases)('%s may be %j: %p', (name, value, isValid) => {
    expect(schemaOf(name).Check(value)).toBe(isValid)
  })

  test('with the very operators that are read', () => {
    for (const { name, style, explode, schema } of parameters.values()) {
      if (style !== 'deepObject' || name === 'or') continue
      expect(explode).toBe(true)
      const conditions = ((schema.anyOf as object[] | undefined)?.[1] ?? schema) as { properties: object }
      for (const operator of [
        'eq',
        'ne',
        'gt',
        'gte',
        'lt',
        'lte',
        'in',
        'nin',
        'contains',
        'starts_with',
        'null',
      ]) {
        const isDocumented = operator in conditions.properties
        const isKnown = !messageOf(`${name}[${operator}]=?`).includes('Unknown operator')
        expect({ name, operator, isDocumented }).toEqual({ name, operator, isDocumented: isKnown })
      }
    }
  })
})

function messageOf(search: string): string {
  try {
    read(search)
    return ''
  } catch (error) {
    return JSON.stringify((error as { details: unknown }).details)
  }
}

test('Redocly has nothing to say against them', async () => {
  const routes = [books, notes].map((definition) =>
    createListRoute({ definition, resources, store: {} as Store, cursors }),
  )
  const document = buildDocument({ routes, version: '1.0.0', tags: { books: 'Books', notes: 'Notes' } })
  expect(await lintDocument(document)).toEqual([])
  expect(routes.map(({ access }) => access)).toEqual([everyone(), everyone()])
})
