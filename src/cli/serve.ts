// `hipflask serve`: the server, from its first line on the terminal to the end by a signal.
import { createApp, resourcesOf } from '../app.ts'
import { createLogger, type Logger } from '../core/logger.ts'
import { listen } from '../http/server.ts'
import { configOf, type Command } from './command.ts'

/** How long requests in flight may take after the first signal. */
const GRACE_MS = 10_000
const EXIT_FORCED = 1

export const serve: Command = {
  name: 'serve',
  summary: 'Serve the resources',
  examples: [
    { line: 'hipflask serve', does: 'serve ./resources, or the built-in example where there is none' },
    {
      line: 'hipflask serve --port 4000 --data /var/lib/hipflask',
      does: 'on another port, with another data folder',
    },
  ],
  run: async (args, io) => {
    const { config, origins } = configOf(args, io)
    const logger = createLogger({
      level: config.logLevel,
      format: config.logFormat,
      write: io.stdout,
      clock: Date.now,
    })
    const resources = await resourcesOf(config, origins)
    const server = listen({ host: config.host, port: config.port, logger })
    const stopped = firstSignal()
    io.keepGoing()
    logStrays(logger)
    let app
    try {
      app = await createApp({ config, resources, logger })
    } catch (error) {
      await server.stop(0)
      throw error
    }
    server.use(app.handle)
    logger.info(`hipflask is serving ${server.url}`, {
      environment: config.env,
      resources: resources.map(({ name }) => name).join(', '),
      docs: config.swagger === 'off' ? undefined : `${server.url}/swagger`,
    })
    const signal = await stopped
    logger.info(`Stopping on ${signal}: requests under way are finished first`)
    app.drain()
    await server.stop(GRACE_MS)
    await app.stop()
    logger.info('Stopped')
    return 0
  },
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

/** The first SIGTERM or SIGINT; a second one ends the process at once. */
function firstSignal(): Promise<string> {
  return new Promise((resolve) => {
    let isStopping = false
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (isStopping) process.exit(EXIT_FORCED)
        isStopping = true
        resolve(signal)
      })
    }
  })
}
