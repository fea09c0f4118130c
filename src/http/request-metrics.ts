// Counts requests by method, route and status, and how long they took, under the names of OpenTelemetry
// (https://opentelemetry.io/docs/specs/semconv/http/http-metrics/). A route's template is a label, a path never is.
import { createHistogram, type Histogram, type MetricFamily } from '../core/metrics.ts'
import type { Endpoint } from './exchange.ts'

export interface EndpointMetrics {
  begin(): void
  end(status: number, milliseconds: number): void
}

export interface RequestMetrics {
  /** Counts the requests of an endpoint. */
  of(endpoint: Endpoint): EndpointMetrics
  /** Counts a request that was one too many. */
  onRefused: (by: 'account' | 'network') => void
  families: readonly MetricFamily[]
}

/** Seconds; those that OpenTelemetry advises. */
const DURATION_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

interface Counted {
  endpoint: Endpoint
  byStatus: Map<number, Histogram>
}

export function createRequestMetrics(): RequestMetrics {
  const counted: Counted[] = []
  const active = new Map<string, { count: number }>()
  const activeOf = (method: string) => {
    let entry = active.get(method)
    if (entry === undefined) {
      entry = { count: 0 }
      active.set(method, entry)
    }
    return entry
  }
  const durations: MetricFamily = {
    name: 'http_server_request_duration_seconds',
    help: 'Seconds from a request to its answer',
    type: 'histogram',
    read: () =>
      counted.flatMap(({ endpoint: { method, route }, byStatus }) =>
        Array.from(byStatus, ([status, histogram]) => ({
          labels: {
            http_request_method: method,
            http_route: route,
            http_response_status_code: String(status),
          },
          value: histogram.read(),
        })),
      ),
  }
  const underWay: MetricFamily = {
    name: 'http_server_active_requests',
    help: 'Requests that have no answer yet',
    type: 'gauge',
    read: () =>
      Array.from(active, ([method, { count }]) => ({
        labels: { http_request_method: method },
        value: count,
      })),
  }
  const refused = { account: 0, network: 0 }
  const limited: MetricFamily = {
    name: 'hipflask_rate_limited_total',
    help: 'Requests that were refused as too many, by what was counted',
    type: 'counter',
    read: () => Object.entries(refused).map(([by, value]) => ({ labels: { by }, value })),
  }
  return {
    families: [durations, underWay, limited],
    onRefused: (by) => {
      refused[by]++
    },
    of(endpoint) {
      const byStatus: Counted['byStatus'] = new Map()
      const ofMethod = activeOf(endpoint.method)
      counted.push({ endpoint, byStatus })
      return {
        begin() {
          ofMethod.count++
        },
        end(status, milliseconds) {
          ofMethod.count--
          let histogram = byStatus.get(status)
          if (histogram === undefined) {
            histogram = createHistogram(DURATION_BOUNDS)
            byStatus.set(status, histogram)
          }
          histogram.observe(milliseconds / 1000)
        },
      }
    },
  }
}
