// `hipflask serve --watch`: puts new resource files in the place of the old ones while the server runs. Until all of
// them have loaded and the database follows, the old routes serve.
import { watch } from 'node:fs'
import { createApp, resourcesOf, type App } from '../app.ts'
import type { LoadedConfig } from '../config/load.ts'
import type { Logger, LoggerOptions } from '../core/logger.ts'
import type { Server } from '../http/server.ts'
import { forgetModules } from '../rest/loader.ts'

/** Editors write a file in several steps, and people several files at once. */
const QUIET_MS = 100

export interface ReloadOptions {
  loaded: LoadedConfig
  logger: Logger
  requestLog: LoggerOptions
  /** What serves at the start. */
  app: App
  server: Server
}

export interface Reloading {
  /** What serves now. */
  app: () => App
  /** Watches no more, and waits for a reload that is under way. */
  stop: () => Promise<void>
}

/** Watches the resources folder, which must exist, with its subfolders. */
export function reloadOnChange({ loaded, logger, requestLog, app, server }: ReloadOptions): Reloading {
  const { config, origins } = loaded
  let current = countRequests(app)
  server.use(current.handle)

  const reload = async (): Promise<void> => {
    try {
      forgetModules(config.resources)
      const resources = await resourcesOf(config, origins)
      const { peerOf, isDraining } = server
      const next = countRequests(
        await createApp({ config, resources, logger, requestLog, peerOf, isDraining }),
      )
      server.use(next.handle)
      const old = current
      current = next
      logger.info('Reloaded the resource files', { resources: resources.map(({ name }) => name).join(', ') })
      await old.idle()
      await old.app.stop()
    } catch (error) {
      logger.error(`Not reloaded: ${error instanceof Error ? error.message : 'a resource file failed'}`)
    }
  }

  let timer: Timer | undefined
  let reloading = Promise.resolve()
  const watcher = watch(config.resources, { recursive: true }, () => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      reloading = reloading.then(reload)
    }, QUIET_MS)
  })
  watcher.on('error', (cause) => logger.error('The resources folder is no longer watched', { cause }))
  return {
    app: () => current.app,
    stop: async () => {
      watcher.close()
      clearTimeout(timer)
      await reloading
    },
  }
}

/** An app whose requests are counted, to know when none is under way. */
function countRequests(app: App) {
  let count = 0
  let tellIdle: (() => void) | undefined
  return {
    app,
    handle: async (request: Request): Promise<Response> => {
      count++
      try {
        return await app.handle(request)
      } finally {
        if (--count === 0) tellIdle?.()
      }
    },
    /** Resolves when no request is under way; no new one may come. */
    idle: () =>
      new Promise<void>((resolve) => {
        if (count === 0) resolve()
        else tellIdle = resolve
      }),
  }
}
