// The listening socket. It is bound before anything else is opened, so that a taken port changes nothing on disk;
// until the handler is there every request gets 503.
import { AppError, StartError } from '../core/errors.ts'
import { newUuid } from '../core/ids.ts'
import type { Logger } from '../core/logger.ts'
import { createAnswerHeaders } from './headers.ts'
import { createProblemResponder } from './problem.ts'
import type { RequestHandler } from './router.ts'

export interface ServerOptions {
  host: string
  /** 0 takes a free one. */
  port: number
  logger: Logger
}

export interface Server {
  /** `http://127.0.0.1:3000` */
  url: string
  /** The address of the other end of a request's connection; undefined once that is closed. */
  readonly peerOf: (request: Request) => string | undefined
  /** Answers all further requests by this handler. */
  use(handle: RequestHandler): void
  /** Refuses new connections and waits until the requests in flight have their answers, at most `graceMs`. */
  stop(graceMs: number): Promise<void>
}

/** A connection without traffic is closed after so many seconds. */
const IDLE_SECONDS = 30

/** Binds the address. Throws StartError where it can't be had. */
export function listen({ host, port, logger }: ServerOptions): Server {
  const fail = createProblemResponder(createAnswerHeaders({ strictTransport: false }), logger)
  const refuse = (request: Request, thrown: unknown) =>
    fail(thrown, { requestId: newUuid(), request, noStore: true })
  let handle: RequestHandler = (request) =>
    refuse(request, new AppError('unavailable', { message: 'Server is starting' }))
  const server = bind(host, port, (request) => handle(request))
  return {
    // With its port, also where that is the scheme's own.
    url: `http://${host.includes(':') ? `[${host}]` : host}:${server.port}`,
    peerOf: (request) => server.requestIP(request)?.address,
    use: (next) => {
      handle = next
    },
    stop: async (graceMs) => {
      const finished = server.stop(false)
      const isFinished = await Promise.race([finished.then(() => true), Bun.sleep(graceMs).then(() => false)])
      if (!isFinished) await server.stop(true)
    },
  }
}

function bind(host: string, port: number, fetch: RequestHandler) {
  try {
    return Bun.serve({
      hostname: host,
      port,
      fetch,
      // A second process must not share the port unnoticed.
      reusePort: false,
      development: false,
      idleTimeout: IDLE_SECONDS,
      // body.ts has the limit: what Bun refuses by itself gets no JSON body.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
    })
  } catch (error) {
    throw new StartError(describeBindError(error, host, port), 1, error)
  }
}

function describeBindError(error: unknown, host: string, port: number): string {
  switch ((error as { code?: string }).code) {
    case 'EADDRINUSE':
      return `Port ${port} on ${host} is in use: stop the other program, or choose another by --port or HIPFLASK_PORT`
    case 'EACCES':
      return `Port ${port} on ${host} may not be used by this user: choose one from 1024 up by --port or HIPFLASK_PORT`
    default:
      return `Address ${host} port ${port} can't be listened on: check --host and HIPFLASK_HOST`
  }
}
