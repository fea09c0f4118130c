// A walk by cursor sees every record that lives through it exactly once, over random sorts with nulls and ties, while
// others insert, change what is no sort key, and delete.
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { defineResource, everyone, t, type Resource } from '../../src/sdk.ts'
import { createCursors } from '../../src/rest/cursor.ts'
import { createListRoute } from '../../src/rest/list-route.ts'
import { defineFrom } from '../../src/rest/resource.ts'
import type { Id, Store, Values } from '../../src/storage/store.ts'
import { createSender } from '../support/requests.ts'
import { insert, openStore } from './list-store.ts'

const ROWS = 60
const WALKS = 150
/** Pages of one record each, and room for those that are inserted on the way. */
const MAX_PAGES = 4 * ROWS

const schema = t.Object({
  word: t.Optional(t.String({ index: true, search: true })),
  price: t.Optional(t.Number()),
  amount: t.Integer({ index: true }),
  done: t.Optional(t.Boolean()),
  note: t.Optional(t.String()),
})
const define = (name: string, id: 'integer' | 'uuid') =>
  defineFrom(defineResource({ name, id, schema, access: { list: everyone() } }) as unknown as Resource)
const resources = [define('numbers', 'integer'), define('uuids', 'uuid')]
const FIELDS = ['word', 'price', 'amount', 'done', 'created_at', 'id']

/** The same numbers in every run (mulberry32), so that a failure can be looked at. */
function createRandom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}
const random = createRandom(20260131)
const pick = <T>(values: readonly T[]): T => values[random(values.length)] as T

const record = (): Values => ({
  word: pick([null, '', 'a', 'A', 'ab', 'é', '\uff5e', '😀']),
  price: pick([null, -1.5, 0, 0.1, 1e300]),
  amount: pick([-1, 0, 1, Number.MAX_SAFE_INTEGER]),
  done: pick([null, true, false]),
  created_at: pick(['2026-01-31T12:00:00.000Z', '2026-01-31T12:00:00.001Z']),
})

let store: Store
beforeAll(() => {
  store = openStore(resources)
})
afterAll(() => store.stop())

const cursors = createCursors(new Uint8Array(32))
const send = createSender(
  resources.map((definition) => createListRoute({ definition, resources, store: storeInUse(), cursors })),
)

/** The routes are made before the store is open. */
function storeInUse(): Store {
  return { list: (query) => store.list(query), count: (...args) => store.count(...args) } as Store
}

function randomQuery(): string {
  const fields = [...FIELDS].sort(() => random(3) - 1).slice(0, random(4))
  const sort = fields.map((field) => (random(2) === 0 ? field : `-${field}`)).join()
  const searches = sort === '' ? [] : ['q=a']
  const filter = pick([
    ...searches,
    '',
    '',
    'amount[gte]=0',
    'done[null]=false',
    'or[0][done]=true&or[1][price][lt]=1',
  ])
  return [sort === '' ? '' : `sort=${sort}`, filter, `limit=${1 + random(7)}`]
    .filter((part) => part !== '')
    .join('&')
}

async function read(path: string): Promise<any> {
  const response = await send(path)
  const body: any = await response.json()
  if (!response.ok) throw new Error(`${path} answered ${JSON.stringify(body)}`)
  return body
}

/** Deletes some of the rows, inserts others, and changes notes; gives what it deleted. */
async function disturb(definition: (typeof resources)[number], alive: Set<Id>): Promise<void> {
  const table = definition.name
  if (random(2) === 0) await insert(store, definition, [record()])
  if (random(2) === 0 && alive.size > 0) {
    const id = pick([...alive])
    alive.delete(id)
    await store.commit([{ kind: 'delete', table, id }])
  }
  if (alive.size > 0) {
    await store.commit([{ kind: 'update', table, id: pick([...alive]), values: { note: 'x' } }])
  }
}

test.each(resources.map((definition) => [definition.name, definition] as const))(
  `${WALKS} walks over %s`,
  async (name, definition) => {
    for (let walk = 0; walk < WALKS; walk++) {
      const left = await store.list({ table: name, limit: 10_000 })
      await store.commit(left.map(({ id }) => ({ kind: 'delete', table: name, id })))
      await insert(store, definition, Array.from({ length: ROWS }, record))
      const query = randomQuery()
      const whole = await read(`/api/${name}?${query.replace(/limit=\d+/, 'limit=100')}`)
      const expected: Id[] = whole.data.map(({ id }: { id: Id }) => id)
      const isDisturbed = random(2) === 0
      const alive = new Set(expected)
      const seen: Id[] = []
      let page = await read(`/api/${name}?${query}`)
      for (let pages = 0; ; pages++) {
        if (pages > MAX_PAGES) throw new Error(`The walk of ${query} has no end`)
        seen.push(...page.data.map(({ id }: { id: Id }) => id))
        if (page.next_cursor === null) break
        if (isDisturbed) await disturb(definition, alive)
        page = await read(`/api/${name}?${query}&cursor=${page.next_cursor}`)
      }
      if (!isDisturbed) expect({ query, seen }).toEqual({ query, seen: expected })
      expect({ query, repeated: seen.length - new Set(seen).size }).toEqual({ query, repeated: 0 })
      const survivors = expected.filter((id) => alive.has(id))
      expect({ query, seen: seen.filter((id) => alive.has(id)) }).toEqual({ query, seen: survivors })
    }
  },
  60_000,
)
