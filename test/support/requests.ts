// Sends requests to a route table without a socket.
import { ANONYMOUS, type Authenticator } from '../../src/access/principal.ts'
import { AppError } from '../../src/core/errors.ts'
import { createLogger } from '../../src/core/logger.ts'
import { createRouter, type RequestHandler } from '../../src/http/router.ts'
import type { Route } from '../../src/http/route.ts'

/** Takes `Bearer admin` and `Bearer user`; anything else is wrong. */
const authenticate: Authenticator = ({ authorization }) => {
  const role = authorization?.slice('Bearer '.length)
  if (role !== 'admin' && role !== 'user') throw new AppError('invalid_token')
  return { ...ANONYMOUS, kind: 'user', id: '01987c3e-5f2a-7b61-9d04-6a3f1c8e2b75', role }
}

export type Send = (path: string, init?: RequestInit) => Promise<Response>

/** A function that sends a request, GET unless said, to these routes; `log` gets what the server logs. */
export function createSender(routes: readonly Route[], log: string[] = []): Send {
  const handle = createHandler(routes, log)
  return async (path, init) => {
    const request = new Request(`http://127.0.0.1${path}`, init)
    request.headers.set('host', '127.0.0.1')
    return await handle(request)
  }
}

/** The handler of these routes, for a socket. */
export function createHandler(
  routes: readonly Route[],
  log: string[] = [],
  addressOf: (request: Request) => string = () => '192.0.2.1',
): RequestHandler {
  return createRouter({
    routes,
    authenticate,
    addressOf,
    logger: createLogger({
      level: 'debug',
      format: 'json',
      write: (line) => log.push(line),
      clock: Date.now,
    }),
    bodyLimit: 1 << 20,
    allowedHosts: [],
    strictTransport: false,
  })
}
