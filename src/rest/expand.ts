// Embeds the records that a page of records refers to. Each is read under its own resource's read rule for whoever asks,
// so that a reference shows no more than its address would.
import { decide } from '../access/authorize.ts'
import type { Principal } from '../access/principal.ts'
import { readScope } from '../access/scopes.ts'
import type { JsonSchema } from '../http/route.ts'
import type { Filter } from '../storage/query.ts'
import type { Row, Store } from '../storage/store.ts'
import { recordReader, type ApiRecord } from './record.ts'
import type { ResourceDefinition } from './resource.ts'
import { schemasOf } from './schemas.ts'

/** How one name is expanded: the records of `table` whose ids are in `column`. */
export interface Expansion {
  column: string
  table: string
  /** What is embedded; null is always among it. */
  schema: JsonSchema
  /** Undefined: whoever sees the record sees what is embedded. */
  target: ResourceDefinition | undefined
  embed: (row: Row) => ApiRecord
}

/** By the name that a request uses. */
export type Expansions = ReadonlyMap<string, Expansion>

/** What is embedded in one record, by name. */
export type Embedded = Readonly<Record<string, ApiRecord | null>>

/** Names of one request; each is a query for the whole page. */
export const MAX_EXPANSIONS = 10

/**
 * What records of a resource can embed: as `author` what `author_id` refers to, where its resource is among `resources`
 * and no property has that name; as `owner` the owner's id and name.
 */
export function expansionsOf(
  definition: ResourceDefinition,
  resources: readonly ResourceDefinition[],
): Expansions {
  const expansions = new Map<string, Expansion>()
  const shown = definition.fields.filter((field) => !field.hidden && !field.writeOnly)
  for (const { name, references } of shown) {
    const target = resources.find((resource) => resource.name === references)
    const short = name.slice(0, -SUFFIX.length)
    if (target === undefined || !name.endsWith(SUFFIX) || short === '') continue
    if (short === OWNER || shown.some((field) => field.name === short)) continue
    expansions.set(short, {
      column: name,
      table: target.name,
      schema: schemasOf(target).record,
      target,
      embed: recordReader(target),
    })
  }
  if (definition.owned) expansions.set(OWNER, OWNER_EXPANSION)
  return expansions
}

const SUFFIX = '_id'
const OWNER = 'owner'

const OWNER_EXPANSION: Expansion = {
  column: 'owner_id',
  table: 'users',
  schema: {
    title: 'RecordOwner',
    type: 'object',
    properties: { id: { type: 'string', format: 'uuid' }, name: { type: 'string' } },
    required: ['id', 'name'],
    additionalProperties: false,
  },
  target: undefined,
  embed: ({ id, name }) => ({ id, name: name as string }),
}

/** Embeds for each row of a page what the names stand for; null where it is absent, gone or not to be read. */
export type Expander = (
  rows: readonly Row[],
  names: readonly string[],
  principal: Principal,
) => Promise<readonly Embedded[]>

/** Makes the expander of a resource. The names that it is given must be among the expansions. */
export function createExpander(expansions: Expansions, store: Store): Expander {
  return async (rows, names, principal) => {
    const columns = await Promise.all(
      names.map(async (name) => {
        const expansion = expansions.get(name)
        if (expansion === undefined) throw new TypeError(`There is no expansion ${name}`)
        const found = await findTargets(store, expansion, { rows, principal })
        return rows.map((row) => found.get(row[expansion.column]) ?? null)
      }),
    )
    return rows.map((_, index) =>
      Object.fromEntries(names.map((name, column) => [name, columns[column]?.[index] ?? null])),
    )
  }
}

async function findTargets(
  store: Store,
  { column, table, target, embed }: Expansion,
  { rows, principal }: { rows: readonly Row[]; principal: Principal },
): Promise<ReadonlyMap<unknown, ApiRecord>> {
  const ids = [...new Set(rows.map((row) => row[column]))].filter((id) => id !== null && id !== undefined)
  const question = { rule: target?.access.read, principal, action: 'read', scope: readScope(table) } as const
  const readable = target === undefined ? 'allow' : decide(question)
  if (ids.length === 0 || readable === 'deny') return new Map()
  const wanted: Filter = { id: { in: ids } }
  const where: Filter = readable === 'allow' ? wanted : { and: [wanted, readable] }
  const found = await store.list({ table, where, limit: ids.length })
  return new Map(found.map((row) => [row.id, embed(row)]))
}
