// What hooks and routes of resource files get as `store`: the records of all resources, as an administrator. Each
// change is its own commit, validated and with the hooks of its resource.
import type { AnyRecord, RecordStore, Stores } from '../sdk.ts'
import { foldFilter, type Filter, type ListQuery } from '../storage/query.ts'
import type { Id, Row, Store } from '../storage/store.ts'
import type { Origin } from './hooks.ts'
import { storedReader } from './record.ts'
import type { Caller, Records } from './records.ts'
import type { ResourceDefinition } from './resource.ts'

/** How deep hooks may call each other through the store. */
export const HOOK_DEPTH_MAX = 8
/** The most records of one list, and how many there are unless the list says. */
export const LIST_LIMIT_MAX = 1000
const LIST_LIMIT = 100

export interface ResourceStoreOptions {
  definitions: readonly ResourceDefinition[]
  store: Store
  recordsOf: (resource: string) => Records
}

/** Makes the function that gives the stores that act for an origin. */
export function createResourceStores(options: ResourceStoreOptions): (origin: Origin) => Stores {
  const makers = options.definitions.map((definition) => {
    const toRecord = storedReader(definition)
    const known = storedNames(definition)
    return {
      name: definition.name,
      make: (origin: Origin) => recordStore(definition.name, toRecord, { ...options, origin, known }),
    }
  })
  // A getter for each resource: a hook uses one or two of many.
  return (origin) => {
    const stores = {}
    for (const { name, make } of makers) {
      Object.defineProperty(stores, name, { enumerable: true, get: () => make(origin) })
    }
    return stores
  }
}

/** Whoever changes records by the author's code: as an administrator, and on behalf of whoever made the request. */
export function authorCaller({ principal, requestId, depth, held }: Origin): Caller {
  // Property by property: a hook's origin is the caller of the change around it, whose conditions and whose answer
  // under an Idempotency-Key are not those of what the hook does.
  const administrator = { ...principal, role: 'admin', scopes: null }
  return { principal: administrator, requestId, depth, held, where: undefined, isAuthor: true }
}

function recordStore(
  table: string,
  toRecord: (row: Row) => AnyRecord,
  { store, recordsOf, origin, known }: ResourceStoreOptions & { origin: Origin; known: ReadonlySet<string> },
): RecordStore {
  const change = async (act: (records: Records, caller: Caller) => Promise<Row>): Promise<AnyRecord> => {
    if (origin.depth > HOOK_DEPTH_MAX) {
      throw new Error(`Hooks call each other through the store more than ${HOOK_DEPTH_MAX} deep`)
    }
    return toRecord(await act(recordsOf(table), authorCaller(origin)))
  }
  return {
    async get(id) {
      const row = await store.get(table, id)
      return row === undefined ? undefined : toRecord(row)
    },
    async list({ where, sort, limit = LIST_LIMIT } = {}) {
      if (!Number.isInteger(limit) || limit < 1 || limit > LIST_LIMIT_MAX) {
        throw new TypeError(`store.${table}.list has a limit from 1 to ${LIST_LIMIT_MAX}`)
      }
      const query = { table, where: where as Filter | undefined, sort: keysOf(sort), limit }
      checkNames(query, known)
      return (await store.list(query)).map(toRecord)
    },
    create: (record) =>
      change(async (records, caller) => {
        if (Array.isArray(record)) throw new TypeError(`store.${table}.create takes one record`)
        return (await records.create(record, caller))[0] as Row
      }),
    update: (id, patch) => change((records, caller) => records.patch(id, patch, caller)),
    delete: (id) => change((records, caller) => records.delete(id as Id, caller)),
  }
}

/** What a query may name: the columns that are of the record, and not those that hipflask keeps beside them. */
function storedNames({ fields, owned }: ResourceDefinition): ReadonlySet<string> {
  const names = fields.filter((field) => !field.virtual).map(({ name }) => name)
  return new Set(['id', 'created_at', 'updated_at', ...(owned ? ['owner_id'] : []), ...names])
}

function checkNames({ table, where, sort = [] }: ListQuery, known: ReadonlySet<string>): void {
  const check = (field: string) => {
    if (!known.has(field)) throw new TypeError(`Resource ${table} has no field ${field}`)
    return true
  }
  for (const { field } of sort) check(field)
  if (where === undefined) return
  foldFilter<boolean>(where, { condition: ({ field }) => check(field), every: () => true, some: () => true })
}

function keysOf(sort: string | undefined) {
  return sort?.split(',').map((key) => {
    const isDescending = key.startsWith('-')
    return { field: isDescending ? key.slice(1) : key, direction: isDescending ? 'desc' : 'asc' } as const
  })
}
