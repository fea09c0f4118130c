// What can be done to the records of one resource: rules, hooks, storage and input brought together, without HTTP.
import { decide } from '../access/authorize.ts'
import { matches } from '../access/matches.ts'
import type { Principal } from '../access/principal.ts'
import { writeScope } from '../access/scopes.ts'
import { timestamp, type Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { proceed, proceedWith, type Eventual } from '../core/eventual.ts'
import { newUuid } from '../core/ids.ts'
import type { Filter } from '../storage/query.ts'
import { BrokenReferenceError, StaleError, UniqueError } from '../storage/store.ts'
import type { Id, Insert, Operation, Row, Step, Store, Value, Values } from '../storage/store.ts'
import { createConstraintExplainer } from './constraints.ts'
import type { Guard } from './guard.ts'
import { recordKey, type HookRunner, type Origin } from './hooks.ts'
import { stillInFlight, type AlsoStep } from './idempotency.ts'
import { createInputReader, invalid, type InputReader } from './input.ts'
import { recordReader } from './record.ts'
import { createQueue } from './record-queue.ts'
import { stillReferred, type References } from './references.ts'
import type { ResourceDefinition } from './resource.ts'

export interface RecordsOptions {
  definition: ResourceDefinition
  store: Store
  clock: Clock
  hooks: HookRunner | undefined
  references: References | undefined
  guard: Guard | undefined
}

/** Who asks, and which records the action's rule leaves to them. */
export interface Caller extends Origin {
  where: Filter | undefined
  /** The resource's own code: it may set every field. */
  isAuthor: boolean
  /** Throws where the row is not as the caller must have seen it. It is asked before each attempt. */
  expect?: ((row: Row) => void) | undefined
  /** A step that joins the commit. */
  also?: AlsoStep | undefined
  /** Throws where the caller may not do this any more; what takes its time asks before it commits. */
  recheck?: (() => unknown) | undefined
  /** Reads the bodies, where neither clients nor the resource's own code may set just these fields. */
  input?: InputReader | undefined
}

/** How often a change is tried again after another process changed the record in between. */
const MAX_ATTEMPTS = 5

/** The actions on one resource's records. They throw AppError; rows are as stored. */
export interface Records {
  read: (id: Id, where: Filter | undefined) => Eventual<Row>
  /** One record, or each of an array's. */
  create: (body: unknown, caller: Caller) => Eventual<readonly Row[]>
  replace: (id: Id, body: unknown, caller: Caller) => Promise<Row>
  patch: (id: Id, body: unknown, caller: Caller) => Promise<Row>
  /** The record as it was. */
  delete: (id: Id, caller: Caller) => Promise<Row>
  /** Brings a soft-deleted record back. */
  restore: (id: Id) => Promise<Row>
}

export function createRecords(options: RecordsOptions): Records {
  const { definition, store, clock, hooks, references, guard } = options
  const table = definition.name
  const clientInput = createInputReader(definition, 'client')
  // Made when it is first used: most resources never need it.
  let authorInput: InputReader | undefined
  const inputOf = ({ isAuthor, input }: Caller) =>
    input ?? (isAuthor ? (authorInput ??= createInputReader(definition, 'author')) : clientInput)
  const explain = createConstraintExplainer(definition, store, guard)
  const inTurn = createQueue()
  const withRow = createChanger(options, inTurn)
  const show = definition.computed.length > 0 ? recordReader(definition) : undefined
  const commit = createCommitter(store, show)
  const create = createCreator(options, commit)

  const change = async (id: Id, caller: Caller, valuesOf: (row: Row) => Values): Promise<Row> => {
    const { row, previous } = await withRow(id, caller, async (previous) => {
      const given = valuesOf(previous)
      const wanted = hooks === undefined ? given : await hooks.beforeUpdate(previous, given, caller)
      const guarded = guard === undefined ? undefined : await guard.update(previous, wanted)
      const values = { ...(guarded?.values ?? wanted), updated_at: timestamp(clock()) }
      if (caller.where !== undefined && !matches(caller.where, { ...previous, ...values })) {
        throw new AppError('forbidden')
      }
      if (references !== undefined) await references.checkTargets([values], previous)
      if (guard !== undefined || hooks !== undefined) await caller.recheck?.()
      try {
        const step: Operation = { kind: 'update', table, id, values, version: previous._version }
        const [row] = await commit([step, ...(guarded?.also ?? [])], caller)
        return { row: row as Row, previous }
      } catch (error) {
        throw await explain(error, { values: [values], isArray: false })
      }
    })
    guard?.done({ row, previous }, caller)
    hooks?.after('afterUpdate', { row, previous }, caller)
    return row
  }

  return {
    read: (id, where) => findRow(store, table, { id, where }),
    create: (body, caller) => create(inputOf(caller), body, caller),
    replace: (id, body, caller) => {
      const values = inputOf(caller).replace(body)
      return change(id, caller, () => values)
    },
    patch: (id, body, caller) => change(id, caller, (row) => inputOf(caller).patch(row, body)),
    delete: async (id, caller) => {
      const { row } = await withRow(id, caller, async (row) => {
        if (hooks !== undefined) await hooks.beforeDelete(row, caller)
        show?.(row)
        if (references !== undefined) await references.checkReferrers(id)
        if (hooks !== undefined) await caller.recheck?.()
        try {
          const deletion = deletionOf(definition, row, timestamp(clock()))
          await store.commit([deletion, ...(guard?.delete(row) ?? [])])
        } catch (error) {
          throw error instanceof BrokenReferenceError ? stillReferred() : (guard?.explain(error) ?? error)
        }
        return { row, previous: row }
      })
      guard?.done({ previous: row }, caller)
      hooks?.after('afterDelete', { row, previous: row }, caller)
      return row
    },
    restore: createRestorer(options, inTurn),
  }
}

/** What a create is about. */
interface Making {
  readonly caller: Caller
  readonly isArray: boolean
  values: readonly Values[]
  steps: readonly Insert[]
}

/** Makes the function that stores what a body, or an array of them, says. */
function createCreator(options: RecordsOptions, commit: Commit) {
  const { definition, store, clock, hooks, references, guard } = options
  const explain = createConstraintExplainer(definition, store, guard)
  const stepsOf = (values: readonly Values[], { principal, where }: Caller): Insert[] => {
    const now = timestamp(clock())
    const steps: Insert[] = []
    for (const one of values) steps.push(insertOf(definition, one, { principal, now }))
    if (where === undefined || steps.every((step) => matches(where, step.values))) return steps
    throw new AppError('forbidden')
  }

  const isPlain = guard === undefined && hooks === undefined
  const storeWatched = async ({ steps, values, caller }: Making) => {
    const made = guard === undefined ? steps : stepsOf(await guard.create(values), caller)
    await caller.recheck?.()
    const rows = await commit(made, caller)
    if (guard !== undefined) for (const row of rows) guard.done({ row }, caller)
    if (hooks !== undefined) for (const row of rows) hooks.after('afterCreate', { row }, caller)
    return rows
  }
  const check = (values: readonly Values[], making: Making): Eventual<readonly Row[]> => {
    making.values = values
    making.steps = stepsOf(values, making.caller)
    if (values.length === 0) return []
    return proceedWith(references?.checkTargets(values, undefined, making.isArray), making, storeChecked)
  }
  const storeChecked = (_: unknown, making: Making): Promise<readonly Row[]> => {
    const stored = isPlain ? commit(making.steps, making.caller) : storeWatched(making)
    return stored.catch(async (error: unknown) => {
      throw await explain(error, making)
    })
  }

  // Each waits only where there is something to wait for: see eventual.ts.
  return (input: InputReader, body: unknown, caller: Caller): Eventual<readonly Row[]> => {
    const read = input.create(body)
    const { isArray, details } = read
    if (hooks === undefined && details.length > 0) throw invalid(details)
    const prepared = hooks === undefined ? (read.values as Values[]) : hooks.beforeCreate(read, caller)
    return proceedWith(prepared, { caller, isArray, values: [], steps: [] } as Making, check)
  }
}

/**
 * Makes the function that gives the rows of the steps, committed together with what the caller adds. A row whose computed fields fail, so that it
 * could not be answered, is not stored.
 */
function createCommitter(store: Store, show: Show | undefined) {
  const commitWith = async (steps: readonly Step[], also: AlsoStep | undefined) => {
    const conclude = (rows: readonly Row[]) => {
      for (const row of rows) show?.(row)
      return also?.(rows)
    }
    try {
      return (await store.commit([...steps, conclude])).slice(0, steps.length)
    } catch (error) {
      // Another process has stored an answer under the same key in between.
      if (error instanceof UniqueError && error.step === steps.length) throw stillInFlight()
      throw error
    }
  }
  return (steps: readonly Step[], { also }: Caller): Promise<readonly Row[]> =>
    also === undefined && show === undefined ? store.commit(steps) : commitWith(steps, also)
}

type Commit = ReturnType<typeof createCommitter>
/** Throws where the computed fields of a row fail. */
type Show = (row: Row) => unknown

function findRow(
  store: Store,
  table: string,
  { id, where }: { id: Id; where: Filter | undefined },
): Eventual<Row> {
  return proceed(store.get(table, id, where), (row) => {
    if (row === undefined) throw new AppError('not_found')
    return row
  })
}

function insertOf(
  { name: table, id, owned }: ResourceDefinition,
  values: Values,
  { principal, now }: { principal: Principal; now: string },
): Insert {
  // They were made for this insert: copying them takes as long as making them did.
  const complete = values as Record<string, Value>
  complete.created_at = now
  complete.updated_at = now
  if (owned) complete.owner_id = principal.id
  const insert: Insert = { kind: 'insert', table, values: complete }
  return id === 'uuid' ? { ...insert, id: newUuid() } : insert
}

function deletionOf({ name: table, softDelete }: ResourceDefinition, row: Row, now: string): Operation {
  const which = { table, id: row.id, version: row._version }
  return softDelete ? { kind: 'update', ...which, values: { deleted_at: now } } : { kind: 'delete', ...which }
}

/** Makes the function that brings a soft-deleted record back, where nothing has taken its place. */
function createRestorer({ definition, store, clock, references }: RecordsOptions, inTurn: Queue) {
  const table = definition.name
  const explain = createConstraintExplainer(definition, store)
  return (id: Id): Promise<Row> =>
    inTurn(id, async () => {
      const deleted = await store.get(table, id, undefined, { deleted: true })
      if (deleted === undefined) throw new AppError('not_found')
      await references?.checkRestored(deleted)
      const values = { deleted_at: null, updated_at: timestamp(clock()) }
      try {
        const version = deleted._version
        const [row] = await store.commit([{ kind: 'update', table, id, values, version }])
        return row as Row
      } catch (error) {
        if (error instanceof StaleError) throw new AppError('not_found')
        throw await explain(error, { values: [values], isArray: false })
      }
    })
}

type Queue = ReturnType<typeof createQueue>

/** The row after a change, and before it. */
interface Changed {
  row: Row
  previous: Row
}

/**
 * Makes the function that does something to a row as it is now: one at a time for each record, and again where another
 * process has changed the row in between. 404 where the row is absent or hidden from the caller, 403 where it may be
 * read but not changed.
 */
function createChanger({ definition: { name: table, access }, store }: RecordsOptions, inTurn: Queue) {
  const findToChange = async (id: Id, { principal, where }: Caller): Promise<Row> => {
    // The scope of the change is enough to see what is changed: its answer shows that anyway.
    const question = { rule: access.read, principal, action: 'read', scope: writeScope(table) } as const
    const readable = decide(question)
    const visible = readable === 'allow' || readable === 'deny' ? undefined : readable
    const row = await findRow(store, table, { id, where: visible })
    if (where === undefined || matches(where, row)) return row
    throw new AppError(readable === 'deny' ? 'not_found' : 'forbidden')
  }

  return async (id: Id, caller: Caller, act: (row: Row) => Promise<Changed>): Promise<Changed> => {
    const attempts = async () => {
      for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
        const row = await findToChange(id, caller)
        caller.expect?.(row)
        try {
          return await act(row)
        } catch (error) {
          if (!(error instanceof StaleError)) throw error
        }
      }
      throw new AppError('conflict', { message: 'Record is being changed by others, try again' })
    }
    if (caller.held.includes(recordKey(table, id))) {
      throw new Error('A before hook changes its own record through the store: it must change the one it got')
    }
    // Whoever holds a record must not wait for another one: two that hold each other's would wait for ever.
    return caller.held.length > 0 ? attempts() : inTurn(id, attempts)
  }
}
