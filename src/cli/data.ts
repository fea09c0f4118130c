// What the commands that work on the stored records begin with: the database as it is, beside a running server or
// without one. It changes no table.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { resourcesOf } from '../app.ts'
import { tablesOf } from '../auth/tables.ts'
import { nearest } from '../core/nearest.ts'
import type { Config } from '../config/settings.ts'
import { systemClock } from '../core/clock.ts'
import { StartError } from '../core/errors.ts'
import { createLogger, type Logger } from '../core/logger.ts'
import type { ResourceDefinition } from '../rest/resource.ts'
import { planMigration } from '../storage/migrate.ts'
import { openDatabase } from '../storage/sqlite/database.ts'
import { createSqliteStore } from '../storage/sqlite/store.ts'
import type { Store } from '../storage/store.ts'
import { configOf, type Arguments, type Io } from './command.ts'

/** Opens the data that a server has made. Throws StartError where there is none, or where the declarations are ahead of it. */
export function openData(config: Config, resources: readonly ResourceDefinition[]): Store {
  const path = join(config.data, 'hipflask.db')
  if (config.data === ':memory:' || !existsSync(path)) {
    throw new StartError(
      `There is no database in ${config.data}: choose its folder by --data, or run hipflask serve`,
    )
  }
  const tables = tablesOf(resources)
  const database = openDatabase({ path, durability: config.durability })
  try {
    const { statements, problems } = planMigration(database, tables)
    if (statements.length + problems.length > 0) {
      throw new StartError(
        `Database ${path} does not follow the declarations yet: run hipflask serve, which says what is missing`,
      )
    }
    return createSqliteStore({ database, tables })
  } catch (error) {
    database.close()
    throw error
  }
}

export interface Data {
  store: Store
  resources: readonly ResourceDefinition[]
  /** Writes to stderr: stdout is for what was asked for. */
  logger: Logger
}

/** Opens the data, as `openData` does, for as long as the work takes. */
export async function withData(
  args: Arguments,
  io: Io,
  work: (data: Data) => Promise<number>,
): Promise<number> {
  const { config, origins } = configOf(args, io)
  const resources = await resourcesOf(config, origins)
  const store = openData(config, resources)
  const { logLevel: level, logFormat: format } = config
  const logger = createLogger({ level, format, write: io.stderr, clock: systemClock })
  try {
    return await work({ store, resources, logger })
  } finally {
    await store.stop()
  }
}

/** The resource of this name. Throws StartError (exit code 2) where the name is missing or none of a resource. */
export function resourceNamed(
  name: string | undefined,
  resources: readonly ResourceDefinition[],
): ResourceDefinition {
  const names = resources.map((one) => one.name)
  if (name === undefined) throw new StartError(`Name is missing, must be one of: ${names.join(', ')}`, 2)
  const found = resources.find((one) => one.name === name)
  if (found !== undefined) return found
  const near = nearest(name, names)
  const remedy = near === undefined ? `the resources are ${names.join(', ')}` : `did you mean ${near}?`
  throw new StartError(`Resource ${name} is not declared: ${remedy}`, 2)
}
