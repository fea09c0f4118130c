// `hipflask serve`: the server, from its first line on the terminal to the end by a signal.
import { existsSync } from 'node:fs'
import { createApp, headerOptionsOf, resourcesOf } from '../app.ts'
import type { LoadedConfig } from '../config/load.ts'
import type { Config } from '../config/settings.ts'
import { readTls, type Tls } from '../config/tls.ts'
import { productionWarnings } from '../config/warnings.ts'
import { StartError } from '../core/errors.ts'
import { createLogger, type Logger, type LoggerOptions } from '../core/logger.ts'
import { loopbackOf } from '../http/listener.ts'
import { listen } from '../http/server.ts'
import { scheduleBackups } from './backup-schedule.ts'
import { configOf, type Arguments, type Command, type Io } from './command.ts'
import { administratorProblems } from './first-administrator.ts'
import { createLineWriter } from './line-writer.ts'
import { reloadOnChange } from './reload.ts'
import { checkValidity, renewOnHangup } from './renewal.ts'
import { endStartUp, forgetStartUp } from './start-up.ts'

/** How long requests in flight may take after the first signal. */
const GRACE_MS = 10_000
/** They may take so long after the last request was let in, however long that takes. */
const GRACE_AFTER_DRAIN_MS = 5_000
/**
 * Ctrl-C comes more than once where a script runner is between: from the terminal to the whole process group, and
 * forwarded by the runner. The same signal this soon after the first is that one, and no second wish of somebody.
 */
const REPEATED_SIGNAL_MS = 500
const EXIT_FORCED = 1
const WRONG_USAGE = 2

export const serve: Command = {
  name: 'serve',
  summary: 'Serve the resources',
  examples: [
    { line: 'hipflask serve', does: 'serve ./resources, or the built-in example where there is none' },
    {
      line: 'hipflask serve --port 4000 --data /var/lib/hipflask',
      does: 'on another port, with another data folder',
    },
    { line: 'hipflask serve --watch', does: 'reload the resource files when they change (development)' },
  ],
  options: [
    { flags: '--watch', summary: 'Reload the resource files when they change (development only)' },
    { flags: '--migrate', summary: 'Change the tables of an existing database also in production' },
  ],
  endsStartUp: true,
  run: async (args, io) => {
    const { loaded, tls } = loadServing(args, io)
    const { config } = loaded
    const isWatching = args.options['watch'] === true
    if (isWatching) checkWatch(config)
    const lines = createLineWriter(io, (dropped) =>
      logger.warn('Lines of the log were dropped, its reader is too slow', { lines: dropped }),
    )
    const log: LoggerOptions = {
      level: config.logLevel,
      format: config.logFormat,
      write: lines.writeNow,
      clock: Date.now,
    }
    const logger = createLogger(log)
    const requestLog = { ...log, write: lines.write }
    const mayMigrate = args.options['migrate'] === true
    try {
      await serveUntilSignal({
        loaded,
        tls,
        flags: args.flags,
        logger,
        requestLog,
        mayMigrate,
        isWatching,
        io,
      })
      return 0
    } finally {
      lines.flush()
    }
  },
}

interface Serving {
  loaded: LoadedConfig
  tls: Tls | undefined
  flags: Arguments['flags']
  logger: Logger
  requestLog: LoggerOptions
  mayMigrate: boolean
  isWatching: boolean
  io: Io
}

/** The settings and what a server needs of them at once, so that everything that is wrong is told together. */
function loadServing(args: Arguments, io: Io): Pick<Serving, 'loaded' | 'tls'> {
  const serving: { tls: Tls | undefined } = { tls: undefined }
  const loaded = configOf(args, io, (config) => {
    const { tls, problems } = readTls(config)
    serving.tls = tls
    return [...problems, ...administratorProblems(config)]
  })
  return { loaded, ...serving }
}

async function serveUntilSignal({
  loaded,
  tls,
  flags,
  logger,
  requestLog,
  mayMigrate,
  isWatching,
  io,
}: Serving): Promise<void> {
  const { config, origins } = loaded
  const stopped = firstSignal()
  const resources = await Promise.race([resourcesOf(config, origins), stopped])
  if (typeof resources === 'string') return
  const { host, port } = config
  const server = listen({ host, port, tls, logger, headers: headerOptionsOf(config) })
  io.keepGoing?.()
  logStrays(logger)
  let app
  try {
    const { peerOf, isDraining } = server
    app = await createApp({ config, resources, logger, requestLog, mayMigrate, peerOf, isDraining })
  } catch (error) {
    await server.stop(0)
    throw error
  }
  endStartUp()
  await forgetStartUp()
  server.use(app.handle)
  for (const warning of productionWarnings(config)) logger.warn(warning)
  if (tls !== undefined) checkValidity(tls, logger)
  // On a terminal the signal says that it is closed.
  const lost = io.keyboard === undefined ? [renewOnHangup({ config, logger, server })] : []
  const reloading = isWatching ? reloadOnChange({ loaded, logger, requestLog, app, server }) : undefined
  logger.info(`hipflask is serving ${server.url}`, {
    // The printed address is the one that this machine reaches it by.
    host: loopbackOf(host) === undefined ? undefined : `${host} (all addresses)`,
    environment: config.env,
    resources: resources.map(({ name }) => name).join(', '),
    docs: config.swagger === 'off' ? undefined : `${server.url}/swagger`,
  })
  const backups = scheduleBackups({ config, flags, io, logger })
  const signal = await Promise.race([stopped, ...lost])
  logger.info(`Stopping on ${signal}: requests under way are finished first`)
  const drainMs = config.drainSeconds * 1000
  await Promise.all([server.drain(drainMs), reloading?.stop(), backups.stop()])
  const cutOff = await server.stop(Math.max(GRACE_MS - drainMs, GRACE_AFTER_DRAIN_MS))
  if (cutOff > 0) logger.warn('Requests that took too long were cut off', { requests: cutOff })
  const serving = reloading?.app() ?? app
  await serving.stop()
  logger.info('Stopped')
}

function checkWatch({ env, resources }: Config): void {
  if (env === 'production')
    throw new StartError('--watch is for development, take it away in production', WRONG_USAGE)
  if (existsSync(resources)) return
  throw new StartError(
    `Resources folder ${resources} does not exist, so there is nothing to watch: run hipflask init`,
  )
}

/**
 * What nobody waits for in a resource file, a forgotten await or a timer, is told and ends nothing: every request has
 * its own handler for what it throws.
 */
function logStrays(logger: Logger): void {
  process.on('unhandledRejection', (cause) =>
    logger.error('A promise failed that nobody waits for', { cause }),
  )
  process.on('uncaughtException', (cause) =>
    logger.error('An error was thrown outside any request', { cause }),
  )
}

/** The first SIGTERM or SIGINT; a second one, unless it is a mere repetition, ends the process at once. */
function firstSignal(): Promise<string> {
  return new Promise((resolve) => {
    let first: { signal: string; at: number } | undefined
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        const now = performance.now()
        if (first === undefined) {
          first = { signal, at: now }
          resolve(signal)
        } else if (signal !== first.signal || now - first.at >= REPEATED_SIGNAL_MS) process.exit(EXIT_FORCED)
      })
    }
  })
}
