// The records of all resources, joined: hooks and routes of one reach the others through the store. Nothing here knows
// HTTP.
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { Stores } from '../sdk.ts'
import type { Store } from '../storage/store.ts'
import { createBackground } from './background.ts'
import type { Guard } from './guard.ts'
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
  /** By the name of a resource that is part of hipflask. */
  guards: ReadonlyMap<string, Guard>
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

export function createEngine(options: EngineOptions): Engine {
  const { resources, store, clock, logger, guards } = options
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
      const guard = guards.get(definition.name)
      const records = createRecords({ definition, store, clock, hooks, references, guard })
      return [definition.name, { hooks, records }]
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
