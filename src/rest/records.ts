// What can be done to the records of one resource: rules, storage and input brought together, without HTTP.
import { decide } from '../access/authorize.ts'
import { matches } from '../access/matches.ts'
import type { Principal } from '../access/principal.ts'
import { timestamp, type Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { newUuid } from '../core/ids.ts'
import type { Filter } from '../storage/query.ts'
import { BrokenReferenceError, StaleError } from '../storage/store.ts'
import type { Id, Insert, Row, Store, Values } from '../storage/store.ts'
import { createConstraintExplainer } from './constraints.ts'
import { createInputReader } from './input.ts'
import { COUNT_LIMIT, type Page, type Total } from './list.ts'
import { createQueue } from './record-queue.ts'
import type { ResourceDefinition } from './resource.ts'

export interface RecordsOptions {
  definition: ResourceDefinition
  store: Store
  clock: Clock
}

/** Who asks, and which records the action's rule leaves to them. */
export interface Caller {
  principal: Principal
  where: Filter | undefined
}

/** How often a change is tried again after another process changed the record in between. */
const MAX_ATTEMPTS = 5

/** The actions on one resource's records. They throw AppError; rows are as stored. */
export interface Records {
  list: (page: Page, where: Filter | undefined) => Promise<{ rows: Row[]; total: Total }>
  read: (id: Id, where: Filter | undefined) => Promise<Row>
  /** One record, or each of an array's. */
  create: (body: unknown, caller: Caller) => Promise<{ isArray: boolean; rows: readonly Row[] }>
  replace: (id: Id, body: unknown, caller: Caller) => Promise<Row>
  patch: (id: Id, body: unknown, caller: Caller) => Promise<Row>
  /** The record as it was. */
  delete: (id: Id, caller: Caller) => Promise<Row>
}

export function createRecords(options: RecordsOptions): Records {
  const { definition, store, clock } = options
  const table = definition.name
  const input = createInputReader(definition)
  const explain = createConstraintExplainer(definition, store)
  const withRow = createChanger(options)

  const change = (id: Id, caller: Caller, valuesOf: (row: Row) => Values): Promise<Row> =>
    withRow(id, caller, async (row) => {
      const values = { ...valuesOf(row), updated_at: timestamp(clock()) }
      if (caller.where !== undefined && !matches(caller.where, { ...row, ...values })) {
        throw new AppError('forbidden')
      }
      try {
        const [changed] = await store.commit([{ kind: 'update', table, id, values, version: row._version }])
        return changed as Row
      } catch (error) {
        throw await explain(error, { values: [values], isArray: false })
      }
    })

  return {
    list: (page, where) => listRows(store, table, { page, where }),
    read: (id, where) => findRow(store, table, { id, where }),
    create: async (body, { principal, where }) => {
      const { isArray, values } = input.create(body)
      const steps = values.map((one) => insertOf(definition, one, { principal, now: timestamp(clock()) }))
      if (where !== undefined && !steps.every((step) => matches(where, step.values))) {
        throw new AppError('forbidden')
      }
      if (steps.length === 0) return { isArray, rows: [] }
      try {
        return { isArray, rows: await store.commit(steps) }
      } catch (error) {
        throw await explain(error, { values, isArray })
      }
    },
    replace: (id, body, caller) => {
      const values = input.replace(body)
      return change(id, caller, () => values)
    },
    patch: (id, body, caller) => change(id, caller, (row) => input.patch(row, body)),
    delete: (id, caller) =>
      withRow(id, caller, async (row) => {
        try {
          await store.commit([{ kind: 'delete', table, id, version: row._version }])
          return row
        } catch (error) {
          if (!(error instanceof BrokenReferenceError)) throw error
          throw new AppError('conflict', { message: 'Other records still refer to this one' })
        }
      }),
  }
}

async function findRow(
  store: Store,
  table: string,
  { id, where }: { id: Id; where: Filter | undefined },
): Promise<Row> {
  const row = await store.get(table, id, where)
  if (row === undefined) throw new AppError('not_found')
  return row
}

async function listRows(
  store: Store,
  table: string,
  { page: { page, limit }, where }: { page: Page; where: Filter | undefined },
): Promise<{ rows: Row[]; total: Total }> {
  const rows = await store.list({ table, where, limit, offset: (page - 1) * limit })
  if (where === undefined) return { rows, total: { items: await store.count(table), isExact: true } }
  const counted = await store.count(table, where, COUNT_LIMIT + 1)
  return { rows, total: { items: Math.min(counted, COUNT_LIMIT), isExact: counted <= COUNT_LIMIT } }
}

function insertOf(
  { name: table, id, owned }: ResourceDefinition,
  values: Values,
  { principal, now }: { principal: Principal; now: string },
): Insert {
  const system = { created_at: now, updated_at: now, ...(owned ? { owner_id: principal.id } : {}) }
  const insert: Insert = { kind: 'insert', table, values: { ...values, ...system } }
  return id === 'uuid' ? { ...insert, id: newUuid() } : insert
}

/**
 * Makes the function that does something to a row as it is now: one at a time for each record, and again where another
 * process has changed the row in between. 404 where the row is absent or hidden from the caller, 403 where it may be
 * read but not changed.
 */
function createChanger({ definition: { name: table, access }, store }: RecordsOptions) {
  const inTurn = createQueue()

  const findToChange = async (id: Id, { principal, where }: Caller): Promise<Row> => {
    const readable = decide({ rule: access.read, principal, action: 'read' })
    const visible = readable === 'allow' || readable === 'deny' ? undefined : readable
    const row = await findRow(store, table, { id, where: visible })
    if (where === undefined || matches(where, row)) return row
    throw new AppError(readable === 'deny' ? 'not_found' : 'forbidden')
  }

  return (id: Id, caller: Caller, act: (row: Row) => Promise<Row>): Promise<Row> =>
    inTurn(id, async () => {
      for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
        const row = await findToChange(id, caller)
        try {
          return await act(row)
        } catch (error) {
          if (!(error instanceof StaleError)) throw error
        }
      }
      throw new AppError('conflict', { message: 'Record is being changed by others, try again' })
    })
}
