// A request and what becomes known of it until its answer is there: what the log and the metrics are about. Nothing here
// decides what the answer is.
import { isAdministrator } from '../access/authorize.ts'
import { ANONYMOUS, type Principal } from '../access/principal.ts'
import { newUuid } from '../core/ids.ts'
import type { Countable } from './request-limits.ts'

export interface Exchange extends Countable {
  readonly requestId: string
  /** Monotonic milliseconds. */
  readonly startedAt: number
  /** Nobody until the credential is found right. */
  principal: Principal
  /** When an administrator was known as one, within the scope of what is asked for. */
  identifiedAt: number | undefined
  /** Of the answer's body. */
  bytes: number
}

/** What requests are told apart by: a route's template and never a path, of which there are as many as clients like. */
export interface Endpoint {
  method: string
  /** `/api/items/:id`; undefined where no route was found, or none was looked for. */
  route: string | undefined
  /** Asked all the time, and by machines: not worth a line where all goes well. */
  isQuiet: boolean
}

export function createExchange(request: Request): Exchange {
  return {
    request,
    requestId: newUuid(),
    startedAt: performance.now(),
    principal: ANONYMOUS,
    quota: undefined,
    claimed: undefined,
    identifiedAt: undefined,
    bytes: 0,
  }
}

/** Notes who asks, also where the credential does not reach what needs this scope. */
export function identify(exchange: Exchange, principal: Principal, scope: string | undefined): void {
  exchange.principal = principal
  if (isAdministrator({ principal, scope })) exchange.identifiedAt ??= performance.now()
}

const KNOWN_METHODS: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'CONNECT',
  'TRACE',
])

/** The method, or what stands for all that clients make up (OpenTelemetry's name for them). */
export function knownMethod(method: string): string {
  return KNOWN_METHODS.has(method) ? method : '_OTHER'
}
