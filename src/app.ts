// The composition root: settings and resources in, a request handler out. Only cli/ and tests import it.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ADMINISTRATORS } from './access/authorize.ts'
import { createAuth } from './auth/auth.ts'
import { createJwksRoutes } from './auth/jwks-routes.ts'
import { keyFolderOf } from './auth/key-folder.ts'
import { checkKeys, loadKeyRing, type KeySource } from './auth/key-ring.ts'
import { tablesOf } from './auth/tables.ts'
import { withUsers } from './auth/users-resource.ts'
import type { LoadedConfig } from './config/load.ts'
import type { Config } from './config/settings.ts'
import { systemClock } from './core/clock.ts'
import { StartError } from './core/errors.ts'
import type { Logger, LoggerOptions } from './core/logger.ts'
import { version } from './core/version.ts'
import { createClientAddress } from './http/client-address.ts'
import { createCors } from './http/cors.ts'
import { createDeploymentNotices, type DeploymentNotices } from './http/deployment-notices.ts'
import { createDocsRoutes } from './http/docs.ts'
import type { HeaderOptions } from './http/headers.ts'
import { createHealthRoutes } from './http/health.ts'
import { buildDocument } from './http/openapi.ts'
import { createMetricsRoutes } from './http/metrics.ts'
import { createObservers } from './http/observer.ts'
import { createRequestLimits } from './http/request-limits.ts'
import { createProcessMetrics } from './http/process-metrics.ts'
import { createRequestLog } from './http/request-log.ts'
import { createRequestMetrics } from './http/request-metrics.ts'
import { createRootRoutes } from './http/root.ts'
import type { Route } from './http/route.ts'
import { createRouter, type RequestHandler } from './http/router.ts'
import { createCursors } from './rest/cursor.ts'
import { createIdempotency } from './rest/idempotency.ts'
import { definitionsOf, loadResources } from './rest/loader.ts'
import type { ResourceDefinition } from './rest/resource.ts'
import { createResourceRoutes } from './rest/routes.ts'
import { everyone } from './sdk.ts'
import { starter } from './starter/index.ts'
import { keepTime } from './storage/kept-time.ts'
import { applyMigration, isBehind, refuseUnfit } from './storage/migrate.ts'
import { openDatabase } from './storage/sqlite/database.ts'
import { translateStartError } from './storage/sqlite/errors.ts'
import type { SlowStatement } from './storage/sqlite/slow-statements.ts'
import { createSqliteStore } from './storage/sqlite/store.ts'
import type { Store, Table } from './storage/store.ts'

export interface AppOptions {
  config: Config
  resources: readonly ResourceDefinition[]
  logger: Logger
  /** How a line for each request is written; without it there are none. */
  requestLog?: LoggerOptions
  /** Tables of a production database that exist may be changed; elsewhere they always may. */
  mayMigrate?: boolean
  /** The address of the other end of a request's connection; without it no client has one. */
  peerOf?: (request: Request) => string | undefined
  /** The server is on its way to stop: not ready. */
  isDraining?: () => boolean
}

export interface App {
  handle: RequestHandler
  /** The OpenAPI document. */
  document: () => object
  /** Finishes what is queued and closes the database. */
  stop: () => Promise<void>
}

/** The resources of the folder, or the starter where there is no folder and none was asked for; and `users`. */
export async function resourcesOf(
  config: Config,
  origins: LoadedConfig['origins'],
): Promise<ResourceDefinition[]> {
  if (existsSync(config.resources)) return withUsers(await loadResources(config.resources))
  if (origins.resources.source === 'default') return withUsers(definitionsOf(starter))
  throw new StartError(`Resources folder ${config.resources} does not exist: make it, or run hipflask init`)
}

/**
 * Opens the data and makes everything ready to serve. Throws StartError with one clear message; nothing stays open
 * then.
 */
export async function createApp(options: AppOptions): Promise<App> {
  // Before the database is opened: a key that can't be read must not be found out after it was changed.
  checkKeys(keySourceOf(options.config), options.logger)
  const store = openStore(options)
  try {
    return await assemble(options, store)
  } catch (error) {
    // What keeps it from closing is no other thing than what kept it from starting.
    await store.stop().catch(() => undefined)
    throw translateStartError(error, databaseOf(options.config, options.resources).path)
  }
}

/** Where the data of a configuration is. */
export interface DatabaseLocation {
  /** A file, or `:memory:`. */
  path: string
  /** The written migrations; undefined where nothing outlives the process. */
  folder: string | undefined
  /** What a server has made beside it once it had the database. */
  traces: readonly string[]
  tables: readonly Table[]
}

/** The database and the tables that it should have. */
export function databaseOf(config: Config, resources: readonly ResourceDefinition[]): DatabaseLocation {
  const isMemory = config.data === ':memory:'
  return {
    path: isMemory ? config.data : join(config.data, 'hipflask.db'),
    folder: isMemory ? undefined : join(dirname(config.resources), 'migrations'),
    traces: isMemory ? [] : [keyFolderOf(config.data)],
    tables: tablesOf(resources),
  }
}

function openStore({ config, resources, logger, mayMigrate = false }: AppOptions): Store {
  const { path, folder, tables, traces } = databaseOf(config, resources)
  const database = openDatabase({
    path,
    durability: config.durability,
    traces,
    inspect: (opened) => refuseUnfit(opened, tables, folder),
  })
  try {
    if (config.env === 'production' && !mayMigrate && isBehind(database, tables, folder)) {
      throw new StartError(
        `Database ${path} is behind the declarations: see hipflask migrate plan, then run hipflask migrate up, or serve --migrate`,
      )
    }
    const { undeclared, applied, copy } = applyMigration(database, tables, folder)
    if (applied.length > 0) logger.info('Migrations were applied', { files: applied.join(', '), copy })
    if (undeclared.length > 0) {
      logger.warn('Tables without a declaration are left alone', { tables: undeclared.join(', ') })
    }
    const report = (message: string, cause: unknown) => logger.error(message, { cause })
    const onSlow = ({ sql, milliseconds, plan }: SlowStatement) =>
      logger.warn('Slow statement', { duration_ms: Math.round(milliseconds), sql, plan: plan?.join('; ') })
    const warn = (message: string) => logger.warn(message)
    return createSqliteStore({ database, tables, report, warn, onSlow })
  } catch (error) {
    database.close(true)
    throw translateStartError(error, path)
  }
}

async function assemble(options: AppOptions, store: Store): Promise<App> {
  const { config, resources, logger, isDraining = () => false } = options
  const notices = noticesOf(config, logger)
  const keys = loadKeyRing(keySourceOf(config), {
    warn: (message) => logger.warn(message),
    clock: systemClock,
  })
  const time = await keepTime(store, { wall: systemClock, monotonic: () => performance.now() })
  const auth = createAuth({
    store,
    clock: time.latest,
    lived: time.lived,
    logger,
    keys,
    issuer: config.publicUrl ?? 'hipflask',
    accessTokenSeconds: config.accessTokenSeconds,
    refreshTokenSeconds: config.refreshTokenSeconds,
    refreshGraceSeconds: config.refreshGraceSeconds,
    sessionSeconds: config.sessionSeconds,
    refreshSecret: await store.secret('refresh'),
    registration: config.registration,
    resources,
    loginRate: config.loginRateLimit,
    oidc: { ...oidcOf(config), secret: await store.secret('oidc') },
    onPassword: notices?.onPassword,
  })
  const hint = await auth.ensureAdministrator({ email: config.adminEmail, password: config.adminPassword })
  if (hint !== undefined) logger.warn(hint)

  const cursors = createCursors(await store.secret('cursor'))
  const { engine } = auth
  const idempotency = createIdempotency(store, time.lived)
  const names = resources.map(({ name }) => name)
  const edge = createEdge(options, notices)
  const hasDocs = config.swagger !== 'off'
  const routes: Route[] = [
    ...createRootRoutes({ version, env: config.env, resources: names, docs: hasDocs }),
    ...createHealthRoutes({ isReady: () => !isDraining() && store.check().then(() => true) }),
    ...auth.routes,
    ...createJwksRoutes(keys),
    ...createMetricsRoutes([edge, store, auth, { metrics: createProcessMetrics({ version }) }]),
    ...resources.flatMap((definition) =>
      createResourceRoutes({ definition, resources, store, engine, cursors, idempotency }),
    ),
  ]
  const document = () => documentOf(routes, options)
  if (hasDocs) {
    routes.push(
      ...createDocsRoutes({ document, access: config.swagger === 'admin' ? ADMINISTRATORS : everyone() }),
    )
  }
  const { authenticate } = auth
  const handle = createRouter({ routes, authenticate, logger, ...edge.options })
  return {
    handle,
    document,
    stop: async () => {
      idempotency.stop()
      await Promise.all([engine.settle(), auth.stop(), time.stop()])
      try {
        await store.stop()
      } catch (error) {
        throw translateStartError(error, databaseOf(config, resources).path)
      }
    },
  }
}

function documentOf(routes: readonly Route[], { config, resources }: AppOptions): object {
  const { publicUrl, rateLimit } = config
  return buildDocument({
    routes,
    version,
    publicUrl,
    tags: tagsOf(resources),
    isLimited: rateLimit !== 'off',
  })
}

/** What is decided and told of every request before and around its route. */
function createEdge({ config, peerOf, requestLog }: AppOptions, notices: DeploymentNotices | undefined) {
  const trusted = config.trustProxy ?? []
  const addressOf = createClientAddress({ trusted, peerOf, onForwarded: notices?.onForwarded })
  const { rateLimit: rate } = config
  const log = requestLog && createRequestLog({ ...requestLog, addressOf })
  const metrics = createRequestMetrics()
  const { onRefused } = metrics
  return {
    metrics: metrics.families,
    options: {
      addressOf,
      observe: createObservers({ log, metrics }),
      cors: createCors(config.corsOrigins),
      limits: rate === 'off' ? undefined : createRequestLimits({ rate, addressOf, onRefused }),
      bodyLimit: config.bodyLimit,
      allowedHosts: config.allowedHosts ?? [],
      ...headerOptionsOf(config),
    },
  }
}

/** What every answer says of this server. */
export function headerOptionsOf({ publicUrl, env }: Config): HeaderOptions {
  return { strictTransport: publicUrl?.startsWith('https:') === true, noIndex: env === 'staging' }
}

/** In development nobody is to be kept from reading along. */
function noticesOf({ env, tlsCert, trustProxy }: Config, logger: Logger): DeploymentNotices | undefined {
  if (env === 'development') return undefined
  const hasProxies = trustProxy !== undefined
  // In staging there is nobody's password but the testers'.
  const isProtected = env !== 'production' || tlsCert !== undefined || hasProxies
  return createDeploymentNotices({ logger, isProtected, hasProxies })
}

function oidcOf({ oidc: providers, oidcRedirects, trustedIssuers, publicUrl, env }: Config) {
  return {
    providers,
    redirects: oidcRedirects ?? [],
    trustedIssuers: trustedIssuers ?? [],
    publicUrl,
    isProduction: env === 'production',
  }
}

function keySourceOf({ jwtAlgorithm, jwtKeyFile, jwtSecret, data }: Config): KeySource {
  return { algorithm: jwtAlgorithm, data, keyFile: jwtKeyFile, secret: jwtSecret }
}

function tagsOf(resources: readonly ResourceDefinition[]): Record<string, string> {
  const declared = resources.map(({ name, description }) => [name, description ?? `Records of ${name}`])
  return {
    ...Object.fromEntries(declared),
    Accounts: 'Accounts and tokens',
    'API keys': 'Credentials of programs',
    System: 'What this server is, and how it is',
  }
}
