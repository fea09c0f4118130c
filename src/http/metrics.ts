// GET /metrics: what is measured anywhere (core/metrics.ts), in the text format of Prometheus. It measures nothing.
import type { Metric } from 'prom-client'
import Registry from 'prom-client/lib/registry'
import { ADMINISTRATORS } from '../access/authorize.ts'
import { METRICS_SCOPE } from '../access/scopes.ts'
import type { MetricFamily, Sample } from '../core/metrics.ts'
import { Content, route, type Route } from './route.ts'

/** Whoever measures. */
export interface Measuring {
  readonly metrics: readonly MetricFamily[]
}

/** The route. Throws TypeError where two families have one name. */
export function createMetricsRoutes(measuring: readonly Measuring[]): Route[] {
  const registry = new Registry()
  for (const { metrics } of measuring) for (const family of metrics) registry.registerMetric(metricOf(family))
  return [
    route({
      method: 'GET',
      path: '/metrics',
      operationId: 'getMetrics',
      summary: 'Measurements for Prometheus',
      description:
        'The text format of Prometheus, 0.0.4. It needs an administrator, or a key of one with the scope `metrics:read`.',
      tag: 'System',
      access: ADMINISTRATORS,
      scope: METRICS_SCOPE,
      responses: {
        200: { description: 'All measurements', mediaType: 'text/plain', schema: { type: 'string' } },
      },
      negotiates: true,
      noStore: true,
      async handler() {
        return new Content(Registry.PROMETHEUS_CONTENT_TYPE, await registry.metrics())
      },
    }),
  ]
}

/** What prom-client's registry asks of a metric: its own classes can be given no counts that were made before. */
function metricOf({ name, help, type, read }: MetricFamily): Metric {
  const get = () =>
    Promise.resolve({ name, help, type, values: read().flatMap((sample) => valuesOf(name, sample)) })
  return { name, help, get } as unknown as Metric
}

interface Value {
  metricName: string
  labels: NonNullable<Sample['labels']>
  value: number
}

function valuesOf(name: string, { labels = {}, value }: Sample): Value[] {
  const known = Object.fromEntries(Object.entries(labels).filter(([, text]) => text !== undefined))
  if (typeof value === 'number') return [{ metricName: name, labels: known, value }]
  const { bounds, cumulative, count, sum } = value
  const bucket = (le: string, upTo: number) => ({
    metricName: `${name}_bucket`,
    labels: { ...known, le },
    value: upTo,
  })
  return [
    ...bounds.map((bound, index) => bucket(String(bound), cumulative[index] as number)),
    bucket('+Inf', count),
    { metricName: `${name}_sum`, labels: known, value: sum },
    { metricName: `${name}_count`, labels: known, value: count },
  ]
}
