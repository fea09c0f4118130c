// The one place that every answer passes on its way out: from here the log and the metrics know of it, and an
// administrator is told how long it took.
import { knownMethod, type Endpoint, type Exchange } from './exchange.ts'
import type { RequestLog } from './request-log.ts'
import type { RequestMetrics } from './request-metrics.ts'

export interface ObserverOptions {
  log?: RequestLog | undefined
  metrics?: RequestMetrics | undefined
}

/** Watches the requests of an endpoint. */
export interface Observer {
  /** To be called once for each request, when it comes. */
  begin(): void
  /** To be called where the answer has to be waited for. */
  wait(exchange: Exchange): void
  /** To be called once for each request, when its answer is made. It gives the answer back. */
  end(exchange: Exchange, response: Response): Response
}

export type ObserverOf = (endpoint: Endpoint) => Observer

export function createObservers({ log, metrics }: ObserverOptions): ObserverOf {
  return (endpoint) => {
    const write = log?.of(endpoint)
    const counted = metrics?.of(endpoint)
    const isHead = endpoint.method === 'HEAD'
    return {
      begin() {
        counted?.begin()
      },
      wait(exchange) {
        log?.wait(exchange)
      },
      end(exchange, response) {
        const milliseconds = performance.now() - exchange.startedAt
        counted?.end(response.status, milliseconds)
        if (exchange.identifiedAt !== undefined) addTiming(response, exchange, milliseconds)
        if (isHead) exchange.bytes = 0
        write?.(exchange, response.status, milliseconds)
        return response
      },
    }
  }
}

/** Finds the observer of requests whose method is not that of a route. */
export function byMethod(observe: ObserverOf, route: string | undefined): (request: Request) => Observer {
  const observers = new Map<string, Observer>()
  return (request) => {
    const method = knownMethod(request.method)
    let observer = observers.get(method)
    if (observer === undefined) {
      observer = observe({ method, route, isQuiet: false })
      observers.set(method, observer)
    }
    return observer
  }
}

/** https://www.w3.org/TR/server-timing: how long the credential took, and the whole. */
function addTiming(
  response: Response,
  { startedAt, identifiedAt = startedAt }: Exchange,
  total: number,
): void {
  const timing = `auth;dur=${(identifiedAt - startedAt).toFixed(2)}, total;dur=${total.toFixed(2)}`
  response.headers.set('server-timing', timing)
}
