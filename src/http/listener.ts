// A listening socket, from its bind to its last answer. It ends in steps, so that nobody who was let in is turned away.
import { StartError } from '../core/errors.ts'
import { proceed } from '../core/eventual.ts'
import type { RequestHandler } from './router.ts'

/** Where it listens, and how it is spoken with. */
export interface Place {
  host: string
  /** 0 takes a free one. */
  port: number
  /** Serves https (TLS 1.2 and 1.3) instead of http. */
  tls?: Readonly<{ cert: string; key: string }> | undefined
}

/** Of a host that means every address of the machine, which no client can call: the one that this machine calls. */
const LOOPBACK: Readonly<Record<string, string>> = { '0.0.0.0': '127.0.0.1', '::': '::1' }

export interface Listener {
  port: number
  /** The address of the other end of a request's connection; undefined once that is closed. */
  peerOf(request: Request): string | undefined
  /**
   * From now on every answer closes its connection, so that clients take another one for the next request. Resolves
   * after `ms`, and then as soon as no more requests come, which is at most half a second later.
   */
  drain(ms: number): Promise<void>
  /**
   * Refuses new connections, closes idle ones, and waits until the requests in flight have their answers, at most
   * `graceMs`. Answers how many were cut off then. A request that crosses the closing of its connection is lost:
   * whoever drains first loses none. The address is free as soon as it was called.
   */
  stop(graceMs: number): Promise<number>
}

/** A connection without traffic is closed after so many seconds. */
export const IDLE_SECONDS = 30
/** What is on its way when the last answer goes out, a request or a connection, comes within this time or not at all. */
const QUIET_MS = 25
/** Under an unbroken load of new connections there is no such time. */
const UNQUIET_MS_MAX = 500
const STOP_POLL_MS = 100

/** The host that reaches a listener of this machine; undefined where its own does. */
export function loopbackOf(host: string): string | undefined {
  return LOOPBACK[host]
}

/** Where this machine reaches it: `http://127.0.0.1:3000`. With the port, also where that is the scheme's own. */
export function urlOf({ host, port, isSecure }: { host: string; port: number; isSecure: boolean }): string {
  const reached = loopbackOf(host) ?? host
  return `${isSecure ? 'https' : 'http'}://${reached.includes(':') ? `[${reached}]` : reached}:${port}`
}

/** Binds the address. Throws StartError where it can't be had. */
export function openListener(place: Place, answer: RequestHandler): Listener {
  let isDraining = false
  let lastAnswers = 0
  const finish = (response: Response): Response => {
    if (!isDraining) return response
    lastAnswers++
    response.headers.set('connection', 'close')
    return response
  }
  const server = bind(place, (request) => proceed(answer(request), finish))
  return {
    port: server.port as number,
    peerOf: (request) => server.requestIP(request)?.address,
    drain: async (ms) => {
      isDraining = true
      await Bun.sleep(ms)
      for (
        let waited = 0, before = -1;
        before !== lastAnswers && waited < UNQUIET_MS_MAX;
        waited += QUIET_MS
      ) {
        before = lastAnswers
        await Bun.sleep(QUIET_MS)
      }
    },
    stop: async (graceMs) => {
      const end = performance.now() + graceMs
      const finished = server.stop(false).then(() => true)
      for (;;) {
        if (await Promise.race([finished, Bun.sleep(STOP_POLL_MS).then(() => false)])) return 0
        // A head of which a part came is no request, and may never be one: nobody waits for it.
        const count = server.pendingRequests
        if (count > 0 && performance.now() < end) continue
        await server.stop(true)
        return count
      }
    },
  }
}

function bind({ host, port, tls }: Place, fetch: RequestHandler) {
  try {
    return Bun.serve({
      ...(tls === undefined ? {} : { tls: { cert: tls.cert, key: tls.key } }),
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
