// The author's `validate` and hooks around the changes of one resource. It decides when they run and what becomes of
// what they give; it stores nothing.
import type { Principal } from '../access/principal.ts'
import type { ErrorDetail } from '../core/errors.ts'
import type { AnyRecord, Hooks, Stores } from '../sdk.ts'
import type { Row, Values } from '../storage/store.ts'
import { pointerOf, runHook } from './author-code.ts'
import type { Background } from './background.ts'
import { createStoredChecker, invalid, type ReadBodies } from './input.ts'
import { storedReader } from './record.ts'
import type { ResourceDefinition } from './resource.ts'

/** On whose behalf a change is made, and how deep in hooks that make changes themselves. */
export interface Origin {
  principal: Principal
  requestId: string
  /** 0 for a request, one more for what a hook does. */
  depth: number
  /** The records that before hooks up to here are about to change, as `items/1`: they wait for what is done here. */
  held: readonly string[]
}

/** What `held` calls a record. */
export function recordKey(resource: string, id: Row['id']): string {
  return `${resource}/${id}`
}

export interface HookRunnerOptions {
  definition: ResourceDefinition
  /** The stores that act for this origin. */
  storesFor: (origin: Origin) => Stores
  background: Background
}

type AfterHook = 'afterCreate' | 'afterUpdate' | 'afterDelete'

/** Each throws AppError for a `problem`, and Error where the author's code fails or gives what does not fit. */
export interface HookRunner {
  /** The values of the new records, all of whose faults are told at once (AppError `validation_failed`). */
  beforeCreate(read: ReadBodies, origin: Origin): Promise<Values[]>
  /** All values of the row after the change. */
  beforeUpdate(row: Row, values: Values, origin: Origin): Promise<Values>
  beforeDelete(row: Row, origin: Origin): Promise<void>
  /** Starts the after hook. */
  after(hook: AfterHook, rows: { row: Row; previous?: Row }, origin: Origin): void
}

/** Undefined where the resource has neither hooks nor `validate`: then nothing of this costs anything. */
export function createHookRunner(options: HookRunnerOptions): HookRunner | undefined {
  const { definition, storesFor, background } = options
  const { name, owned, hooks, validate } = definition
  if (validate === undefined && Object.keys(hooks).length === 0) return undefined
  const toRecord = storedReader(definition)
  const faultsOf = createFaultFinder(definition)
  const before = createBeforeHooks(definition, faultsOf)
  const contextOf = (origin: Origin, previous: AnyRecord | undefined, held = origin.held) => ({
    principal: origin.principal,
    previous,
    store: storesFor({ ...origin, depth: origin.depth + 1, held }),
  })
  const holding = (row: Row, { held }: Origin) => [...held, recordKey(name, row.id)]

  return {
    async beforeCreate({ isArray, values, details }, origin) {
      const base = owned ? { owner_id: origin.principal.id } : {}
      for (const [index, one] of values.entries()) {
        if (one === undefined) continue
        details.push(...(await faultsOf({ ...base, ...one }, isArray ? `/${index}` : '')))
      }
      if (details.length > 0) throw invalid(details)
      if (hooks.beforeCreate === undefined) return values as Values[]
      const context = contextOf(origin, undefined)
      const prepared: Values[] = []
      for (const one of values as Values[]) {
        prepared.push(await before('beforeCreate', { base, values: one, context }))
      }
      return prepared
    },
    async beforeUpdate(row, values, origin) {
      const faults = await faultsOf({ ...row, ...values })
      if (faults.length > 0) throw invalid(faults)
      if (hooks.beforeUpdate === undefined) return values
      const context = contextOf(origin, toRecord(row), holding(row, origin))
      return before('beforeUpdate', { base: row, values, context })
    },
    async beforeDelete(row, origin) {
      const { beforeDelete } = hooks
      if (beforeDelete === undefined) return
      const context = contextOf(origin, toRecord(row), holding(row, origin))
      await runHook(`Hook beforeDelete of ${name}`, () => beforeDelete(toRecord(row), context as never))
    },
    after(hook, { row, previous }, origin) {
      const run = hooks[hook] as AnyHook | undefined
      if (run === undefined) return
      // The change is over, and whatever it was part of does not wait for this.
      const context = contextOf(origin, previous === undefined ? undefined : toRecord(previous), [])
      background.run(origin.requestId, () =>
        runHook(`Hook ${hook} of ${name}`, () => run(toRecord(row), context as never)),
      )
    },
  }
}

type AnyHook = NonNullable<Hooks<any, any, any>['beforeUpdate' | 'afterUpdate']>
type FaultFinder = (row: Partial<Row>, pointer?: string) => Promise<ErrorDetail[]>

/** Makes the function that asks `validate`. */
function createFaultFinder(definition: ResourceDefinition): FaultFinder {
  const { name, validate } = definition
  const toRecord = storedReader(definition)
  return async (row, pointer = '') => {
    if (validate === undefined) return []
    const faults = await runHook(`validate of ${name}`, () => validate(toRecord(row)))
    return (faults ?? []).map(({ field, message }) => ({ field: pointer + pointerOf(field), message }))
  }
}

/**
 * Makes the function that runs a before hook. It gives the values of what the hook returned, or else of the record that
 * it was handed. What does not fit is the author's mistake, not the client's.
 */
function createBeforeHooks(definition: ResourceDefinition, faultsOf: FaultFinder) {
  const { name, hooks } = definition
  const toRecord = storedReader(definition)
  const check = createStoredChecker(definition)
  return async (hook: 'beforeCreate' | 'beforeUpdate', { base, values, context }: BeforeHook) => {
    const label = `Hook ${hook} of ${name}`
    const record = toRecord({ ...base, ...values })
    const given = await runHook(label, () => (hooks[hook] as AnyHook)(record, context as never))
    const checked = check(given ?? record)
    const faults =
      checked.details.length > 0 ? checked.details : await faultsOf({ ...base, ...checked.values })
    if (faults.length === 0) return checked.values
    const list = faults.map(({ field, message }) => `${field} ${message}`).join('; ')
    throw new Error(`${label} gave a record that is not valid: ${list}`)
  }
}

interface BeforeHook {
  /** What the record has beside the values. */
  base: Partial<Row>
  values: Values
  context: { principal: Principal; previous: AnyRecord | undefined; store: Stores }
}
