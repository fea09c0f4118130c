// The server as the process sees it. It is bound before anything else is opened, so that a taken port changes nothing on
// disk; until the handler is there every request gets 503.
import { AppError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { createExchange } from './exchange.ts'
import { createAnswerHeaders, type HeaderOptions } from './headers.ts'
import { openListener, urlOf, type Place } from './listener.ts'
import { createProblemResponder } from './problem.ts'
import type { RequestHandler } from './router.ts'

export interface ServerOptions extends Place {
  logger: Logger
  /** Of the answers while the server starts. */
  headers: HeaderOptions
}

export interface Server {
  /** Where this machine reaches it: `http://127.0.0.1:3000`, or `https://…` */
  url: string
  /** The address of the other end of a request's connection; undefined once that is closed. */
  readonly peerOf: (request: Request) => string | undefined
  /** Answers all further requests by this handler. */
  use(handle: RequestHandler): void
  /** Serves new connections by this certificate; the old ones are ended as at a stop. Throws StartError as `listen`. */
  renew(tls: NonNullable<Place['tls']>): Promise<void>
  /** Before a stop: see listener.ts. */
  drain(ms: number): Promise<void>
  /** `drain` was called. */
  readonly isDraining: () => boolean
  /** See listener.ts. */
  stop(graceMs: number): Promise<number>
}

/** So long the answers tell clients to connect anew, and so long their last requests may take then. */
const RENEWAL_DRAIN_MS = 1_000
const RENEWAL_GRACE_MS = 10_000

/** Binds the address. Throws StartError where it can't be had. */
export function listen({ logger, headers, ...place }: ServerOptions): Server {
  const fail = createProblemResponder(createAnswerHeaders(headers), logger)
  const refuse = (request: Request, thrown: unknown) =>
    fail(thrown, { exchange: createExchange(request), noStore: true })
  let handle: RequestHandler = (request) =>
    refuse(request, new AppError('unavailable', { message: 'Server is starting' }))
  const answer: RequestHandler = (request) => handle(request)
  let isDraining = false
  let listener = openListener(place, answer)
  let replaced = Promise.resolve(0)
  const { host, tls } = place
  const { port } = listener
  return {
    url: urlOf({ host, port, isSecure: tls !== undefined }),
    peerOf: (request) => listener.peerOf(request),
    use: (next) => {
      handle = next
    },
    renew: async (renewed) => {
      await listener.drain(RENEWAL_DRAIN_MS)
      if (isDraining) return
      // In one step, so that the port is free for less than a millisecond.
      replaced = listener.stop(RENEWAL_GRACE_MS)
      listener = openListener({ host, port, tls: renewed }, answer)
    },
    drain: (ms) => {
      isDraining = true
      return listener.drain(ms)
    },
    isDraining: () => isDraining,
    stop: async (graceMs) => {
      const cutOff = await Promise.all([listener.stop(graceMs), replaced])
      return cutOff[0] + cutOff[1]
    },
  }
}
