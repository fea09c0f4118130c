// The composition root: settings and resources in, a request handler out. Only cli/ and tests import it.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ADMINISTRATORS } from './access/authorize.ts'
import { createAccessTokens } from './auth/access-tokens.ts'
import { createAuthenticator } from './auth/authenticator.ts'
import { createBasicVerifier } from './auth/basic.ts'
import { ensureAdministrator } from './auth/administrator.ts'
import { loadKeyRing, readKeyRing } from './auth/key-ring.ts'
import { createPasswords } from './auth/passwords.ts'
import { createAuthRoutes } from './auth/routes.ts'
import { usersTable } from './auth/users.ts'
import type { LoadedConfig } from './config/load.ts'
import type { Config } from './config/settings.ts'
import { systemClock } from './core/clock.ts'
import { StartError } from './core/errors.ts'
import type { Logger } from './core/logger.ts'
import { version } from './core/version.ts'
import { createDocsRoutes } from './http/docs.ts'
import { createHealthRoutes } from './http/health.ts'
import { buildDocument } from './http/openapi.ts'
import { createRootRoutes } from './http/root.ts'
import type { Route } from './http/route.ts'
import { createRouter, type RequestHandler } from './http/router.ts'
import { definitionsOf, loadResources } from './rest/loader.ts'
import type { ResourceDefinition } from './rest/resource.ts'
import { createResourceRoutes } from './rest/routes.ts'
import { everyone } from './sdk.ts'
import { starter } from './starter/index.ts'
import { applyMigration, refuseUnfit } from './storage/migrate.ts'
import { openDatabase } from './storage/sqlite/database.ts'
import { translateStartError } from './storage/sqlite/errors.ts'
import { createSqliteStore } from './storage/sqlite/store.ts'
import type { Store } from './storage/store.ts'

export interface AppOptions {
  config: Config
  resources: readonly ResourceDefinition[]
  logger: Logger
}

export interface App {
  handle: RequestHandler
  /** The OpenAPI document. */
  document: () => object
  /** From now on not ready. */
  drain: () => void
  /** Finishes what is queued and closes the database. */
  stop: () => Promise<void>
}

/** The resources of the folder, or the starter where there is no folder and none was asked for. */
export async function resourcesOf(
  config: Config,
  origins: LoadedConfig['origins'],
): Promise<ResourceDefinition[]> {
  if (existsSync(config.resources)) return loadResources(config.resources)
  if (origins.resources.source === 'default') return definitionsOf(starter)
  throw new StartError(`Resources folder ${config.resources} does not exist: make it, or run hipflask init`)
}

/**
 * Opens the data and makes everything ready to serve. Throws StartError with one clear message; nothing stays open
 * then.
 */
export async function createApp({ config, resources, logger }: AppOptions): Promise<App> {
  // Before the database is opened: a key that can't be read must not be found out after it was changed.
  readKeyRing(config.data)
  const store = openStore(config, resources, logger)
  try {
    return await assemble({ config, resources, logger }, store)
  } catch (error) {
    await store.stop()
    throw error
  }
}

function openStore(config: Config, resources: readonly ResourceDefinition[], logger: Logger): Store {
  const path = databasePath(config)
  const tables = [usersTable, ...resources.map(({ table }) => table)]
  const database = openDatabase({
    path,
    durability: config.durability,
    inspect: (opened) => refuseUnfit(opened, tables),
  })
  try {
    const { undeclared } = applyMigration(database, tables)
    if (undeclared.length > 0) {
      logger.warn('Tables without a declaration are left alone', { tables: undeclared.join(', ') })
    }
    return createSqliteStore({ database, tables })
  } catch (error) {
    database.close(true)
    throw translateStartError(error, path)
  }
}

function databasePath({ data }: Config): string {
  return data === ':memory:' ? data : join(data, 'hipflask.db')
}

async function assemble({ config, resources, logger }: AppOptions, store: Store): Promise<App> {
  const clock = systemClock
  const passwords = createPasswords()
  const accessTokens = createAccessTokens({
    keys: loadKeyRing(config.data),
    issuer: config.publicUrl ?? 'hipflask',
    lifetimeSeconds: config.accessTokenSeconds,
    clock,
  })
  const hint = await ensureAdministrator({
    store,
    passwords,
    clock,
    email: config.adminEmail,
    password: config.adminPassword,
  })
  if (hint !== undefined) logger.warn(hint)

  let isDraining = false
  const names = resources.map(({ name }) => name)
  const hasDocs = config.swagger !== 'off'
  const routes: Route[] = [
    ...createRootRoutes({ version, env: config.env, resources: names, docs: hasDocs }),
    ...createHealthRoutes({ isReady: () => !isDraining && store.check().then(() => true) }),
    ...createAuthRoutes({ store, passwords, accessTokens, clock, registration: config.registration }),
    ...resources.flatMap((definition) => createResourceRoutes({ definition, store, clock })),
  ]
  const document = () =>
    buildDocument({ routes, version, publicUrl: config.publicUrl, tags: tagsOf(resources) })
  if (hasDocs) {
    routes.push(
      ...createDocsRoutes({ document, access: config.swagger === 'admin' ? ADMINISTRATORS : everyone() }),
    )
  }
  const handle = createRouter({
    routes,
    authenticate: createAuthenticator({
      store,
      accessTokens,
      verifyBasic: createBasicVerifier({ store, passwords, clock }),
    }),
    logger,
    bodyLimit: config.bodyLimit,
    allowedHosts: config.allowedHosts ?? [],
    strictTransport: config.publicUrl?.startsWith('https:') === true,
  })
  return {
    handle,
    document,
    drain: () => {
      isDraining = true
    },
    stop: async () => {
      try {
        await store.stop()
      } catch (error) {
        throw translateStartError(error, databasePath(config))
      }
    },
  }
}

function tagsOf(resources: readonly ResourceDefinition[]): Record<string, string> {
  const declared = resources.map(({ name, description }) => [name, description ?? `Records of ${name}`])
  return {
    ...Object.fromEntries(declared),
    Accounts: 'Accounts and tokens',
    System: 'What this server is, and how it is',
  }
}
