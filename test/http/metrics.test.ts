import { describe, expect, test } from 'bun:test'
import { createHistogram, single, type MetricFamily } from '../../src/core/metrics.ts'
import { createMetricsRoutes } from '../../src/http/metrics.ts'
import { createProcessMetrics } from '../../src/http/process-metrics.ts'
import { createRequestMetrics } from '../../src/http/request-metrics.ts'
import { parseExposition } from '../support/exposition.ts'
import { createSender } from '../support/requests.ts'

async function scrape(families: readonly MetricFamily[]) {
  const send = createSender(createMetricsRoutes([{ metrics: families }]))
  const response = await send('/metrics', { headers: { authorization: 'Bearer admin' } })
  expect(response.status).toBe(200)
  return parseExposition(await response.text())
}

describe('a histogram', () => {
  test('counts what is at most as large as a bound in its bucket', () => {
    const histogram = createHistogram([1, 2, 4])
    for (const value of [0, 1, 1.5, 2, 4, 4.1, 1000]) histogram.observe(value)
    expect(histogram.read()).toEqual({ bounds: [1, 2, 4], cumulative: [2, 4, 5], count: 7, sum: 1012.6 })
  })

  test('is empty at first', () => {
    expect(createHistogram([1]).read()).toEqual({ bounds: [1], cumulative: [0], count: 0, sum: 0 })
  })
})

describe('the text', () => {
  test('has each kind of metric, with its labels', async () => {
    const histogram = createHistogram([0.5, 1])
    histogram.observe(0.7)
    const families = await scrape([
      single({ name: 'a_total', help: 'A "quoted" \\ help', type: 'counter' }, () => 3),
      {
        name: 'b',
        help: 'B',
        type: 'gauge',
        read: () => [
          { labels: { text: 'a"b\\c\nd', none: undefined }, value: 1.5 },
          { labels: {}, value: -1 },
        ],
      },
      {
        name: 'c_seconds',
        help: 'C',
        type: 'histogram',
        read: () => [{ labels: { x: 'y' }, value: histogram.read() }],
      },
      { name: 'd', help: 'Nothing yet', type: 'gauge', read: () => [] },
    ])
    expect(families.get('a_total')?.series).toEqual([{ name: 'a_total', labels: {}, value: 3 }])
    expect(families.get('b')?.series).toEqual([
      { name: 'b', labels: { text: 'a"b\\c\nd' }, value: 1.5 },
      { name: 'b', labels: {}, value: -1 },
    ])
    expect(families.get('c_seconds')?.series).toEqual([
      { name: 'c_seconds_bucket', labels: { x: 'y', le: '0.5' }, value: 0 },
      { name: 'c_seconds_bucket', labels: { x: 'y', le: '1' }, value: 1 },
      { name: 'c_seconds_bucket', labels: { x: 'y', le: '+Inf' }, value: 1 },
      { name: 'c_seconds_sum', labels: { x: 'y' }, value: 0.7 },
      { name: 'c_seconds_count', labels: { x: 'y' }, value: 1 },
    ])
    expect(families.get('d')?.series).toEqual([])
  })

  test('has each name once: two families of one name are refused', () => {
    const family = single({ name: 'a', help: 'A', type: 'gauge' }, () => 1)
    expect(() => createMetricsRoutes([{ metrics: [family] }, { metrics: [{ ...family }] }])).toThrow(
      'already been registered',
    )
  })
})

describe('requests', () => {
  const endpoint = { method: 'GET', route: '/api/items/:id', isQuiet: false }

  test('are counted by method, route and status, in seconds', async () => {
    const metrics = createRequestMetrics()
    const item = metrics.of(endpoint)
    const unknown = metrics.of({ ...endpoint, route: undefined })
    for (const [status, milliseconds] of [
      [200, 5],
      [200, 5.001],
      [404, 20_000],
    ] as const) {
      item.begin()
      item.end(status, milliseconds)
    }
    unknown.begin()
    unknown.end(404, 0)
    unknown.begin()
    const families = await scrape(metrics.families)
    const { series } = families.get('http_server_request_duration_seconds')!
    const valueOf = (name: string, labels: Record<string, string>) =>
      series.find(
        (one) =>
          one.name.endsWith(name) &&
          Object.entries(labels).every(([label, text]) => one.labels[label] === text),
      )?.value
    const ok = { http_request_method: 'GET', http_route: '/api/items/:id', http_response_status_code: '200' }
    expect(valueOf('_count', ok)).toBe(2)
    expect(valueOf('_sum', ok)).toBeCloseTo(0.010001)
    expect(valueOf('_bucket', { ...ok, le: '0.005' })).toBe(1)
    expect(valueOf('_bucket', { ...ok, le: '0.01' })).toBe(2)
    const missing = { ...ok, http_response_status_code: '404' }
    expect(valueOf('_bucket', { ...missing, le: '10' })).toBe(0)
    expect(valueOf('_bucket', { ...missing, le: '+Inf' })).toBe(1)
    const withoutRoute = series.filter(({ labels }) => labels['http_route'] === undefined)
    expect(withoutRoute.find(({ name }) => name.endsWith('_count'))?.value).toBe(1)
    expect(families.get('http_server_active_requests')?.series).toEqual([
      { name: 'http_server_active_requests', labels: { http_request_method: 'GET' }, value: 1 },
    ])
  })

  test('that are one too many are counted by what was counted', async () => {
    const metrics = createRequestMetrics()
    for (const by of ['account', 'network', 'network'] as const) metrics.onRefused(by)
    const families = await scrape(metrics.families)
    expect(
      families.get('hipflask_rate_limited_total')?.series.map(({ labels, value }) => [labels['by'], value]),
    ).toEqual([
      ['account', 1],
      ['network', 2],
    ])
  })
})

test('of this process is told what the system tells', async () => {
  const families = await scrape(createProcessMetrics({ version: '1.2.3' }))
  const valueOf = (name: string) => families.get(name)!.series[0]!.value
  expect(families.get('hipflask_build_info')?.series).toEqual([
    { name: 'hipflask_build_info', labels: { version: '1.2.3', bun: Bun.version }, value: 1 },
  ])
  const { user, system } = process.cpuUsage()
  expect(valueOf('process_cpu_seconds_total')).toBeGreaterThan(0)
  expect(valueOf('process_cpu_seconds_total')).toBeLessThanOrEqual((user + system) / 1e6)
  expect(valueOf('process_resident_memory_bytes')).toBeGreaterThan(10e6)
  expect(
    Math.abs(valueOf('process_start_time_seconds') - (Date.now() / 1000 - process.uptime())),
  ).toBeLessThan(5)
  if (process.platform !== 'linux') return
  expect(valueOf('process_open_fds')).toBeGreaterThan(2)
  expect(valueOf('process_open_fds')).toBeLessThan(valueOf('process_max_fds'))
})
