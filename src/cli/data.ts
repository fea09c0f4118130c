// What the commands that work on the stored records begin with: the database as it is, beside a running server or
// without one. It changes no table.
import { join } from 'node:path'
import { databaseOf, resourcesOf } from '../app.ts'
import { keyFolderOf } from '../auth/key-folder.ts'
import { authTables, tablesOf } from '../auth/tables.ts'
import { withUsers } from '../auth/users-resource.ts'
import type { LoadedConfig } from '../config/load.ts'
import { nearest } from '../core/nearest.ts'
import type { Config } from '../config/settings.ts'
import { systemClock } from '../core/clock.ts'
import { AppError, StartError } from '../core/errors.ts'
import { createLogger, type Logger } from '../core/logger.ts'
import type { ResourceDefinition } from '../rest/resource.ts'
import { planMigration, type MigrationPlan } from '../storage/migrate.ts'
import { isNew, openDatabase } from '../storage/sqlite/database.ts'
import { isEngineFailure, translateStartError } from '../storage/sqlite/errors.ts'
import { createSqliteStore } from '../storage/sqlite/store.ts'
import type { Store, Table } from '../storage/store.ts'
import { configOf, type Arguments, type Io } from './command.ts'

/** Opens the data that a server has made. Throws StartError where there is none, or where the declarations are ahead of it. */
export function openData(config: Config, resources: readonly ResourceDefinition[]): Store {
  return openTables(config, tablesOf(resources), ({ statements, problems }) => [...statements, ...problems])
}

export interface AccountData {
  store: Store
  resources: readonly ResourceDefinition[]
  /** Writes to stderr: stdout is for what was asked for. */
  logger: Logger
}

/**
 * Opens the accounts for as long as the work takes. Resource files that can't be read, or are ahead of the database, are
 * no hindrance: whoever has to end a key or an account must be able to.
 */
export async function withAccounts(
  args: Arguments,
  io: Io,
  work: (data: AccountData) => Promise<number>,
): Promise<number> {
  const loaded = configOf(args, io)
  const { logLevel: level, logFormat: format } = loaded.config
  const logger = createLogger({ level, format, write: io.stderr, clock: systemClock })
  const { store, resources } = await openAccounts(loaded, (message) => io.stderr(`${message}\n`))
  const { path } = databaseOf(loaded.config, resources)
  try {
    return await work({ store, resources, logger })
  } catch (error) {
    throw describeFailure(error, path)
  } finally {
    await store.stop()
  }
}

/** Why the database could not be read or written. Other errors stay as they are. */
export function describeFailure(error: unknown, path: string): unknown {
  const isRefused = error instanceof AppError && error.code === 'unavailable'
  if (isRefused && error.cause === undefined) {
    return new StartError(`Database ${path} is locked by another process: try again when it is done`)
  }
  return translateStartError(error, path)
}

async function openAccounts(
  { config, origins }: LoadedConfig,
  warn: (message: string) => void,
): Promise<Pick<AccountData, 'store' | 'resources'>> {
  try {
    const resources = await resourcesOf(config, origins)
    return { resources, store: openTables(config, accountTables(resources), additionsOf) }
  } catch (error) {
    // What keeps the database from being opened is no fault of the resource files.
    if (!(error instanceof StartError) || isEngineFailure(error.cause)) throw error
    const resources = withUsers({ resources: [], profile: [], roles: [] })
    const store = openTables(config, accountTables(resources), additionsOf)
    warn(`Resource files are left aside, with their roles, profile and scopes: ${error.message}`)
    return { resources, store }
  }
}

function accountTables(resources: readonly ResourceDefinition[]): Table[] {
  const names = authTables.map(({ name }) => name)
  return tablesOf(resources).filter(({ name }) => names.includes(name))
}

/** What can't be done without: tables and columns. */
function additionsOf({ statements }: MigrationPlan): readonly string[] {
  return statements.filter((statement) => /^(?:CREATE|ALTER) TABLE/.test(statement))
}

function openTables(
  config: Config,
  tables: readonly Table[],
  missingOf: (plan: MigrationPlan) => readonly string[],
): Store {
  const path = join(config.data, 'hipflask.db')
  const traces = [keyFolderOf(config.data)]
  if (config.data === ':memory:' || isNew({ path, traces })) {
    throw new StartError(
      `There is no database in ${config.data}: choose its folder by --data, or run hipflask serve`,
    )
  }
  const database = openDatabase({ path, durability: config.durability, traces })
  try {
    if (missingOf(planMigration(database, tables)).length > 0) {
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
