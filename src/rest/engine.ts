// The records of all resources, joined: hooks and routes of one reach the others through the store. Nothing here knows
// HTTP.
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { Stores } from '../sdk.ts'
import type { Store } from '../storage/store.ts'
import { createBackground } from './background.ts'
import { createHookRunner, type HookRunner, type Origin } from './hooks.ts'
import { createRecords, type Records } from './records.ts'
import { createReferences } from './references.ts'
import type { ResourceDefinition } from './resource.ts'
import { createResourceStores } from './resource-store.ts'

export interface EngineOptions {
  resources: readonly ResourceDefinition[]
  store: Store
  clock: Clock
  logger: Logger
}

export interface Engine {
  /** The records of a declared resource. */
  recordsOf(resource: string): Records
  /** Undefined where the resource has neither hooks nor `validate`. */
  hooksOf(resource: string): HookRunner | undefined
  /** What the author's code gets as `store`. */
  storesFor(origin: Origin): Stores
  /** Waits for the after hooks that still run. */
  settle(): Promise<void>
}

export function createEngine({ resources, store, clock, logger }: EngineOptions): Engine {
  const background = createBackground(logger)
  const storesFor = createResourceStores({
    definitions: resources,
    store,
    recordsOf: (resource) => recordsOf(resource),
  })
  const engines = new Map(
    resources.map((definition) => {
      const hooks = createHookRunner({ definition, storesFor, background })
      const references = createReferences(definition, resources, store)
      return [
        definition.name,
        { hooks, records: createRecords({ definition, store, clock, hooks, references }) },
      ]
    }),
  )
  const engineOf = (resource: string) => {
    const engine = engines.get(resource)
    if (engine === undefined) throw new TypeError(`Resource ${resource} is not declared`)
    return engine
  }
  const recordsOf = (resource: string) => engineOf(resource).records
  return {
    recordsOf,
    hooksOf: (resource) => engineOf(resource).hooks,
    storesFor,
    settle: () => background.settle(),
  }
}
