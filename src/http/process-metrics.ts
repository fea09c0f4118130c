// What the operating system knows of this process, under the names that every Prometheus client gives it, and what
// program this is. Where a system does not tell a thing there is no such metric, rather than a made-up one.
import { readdirSync, readFileSync } from 'node:fs'
import { single, type MetricFamily } from '../core/metrics.ts'

/** Linux alone has them. */
const DESCRIPTORS = '/proc/self/fd'
const LIMITS = '/proc/self/limits'

export function createProcessMetrics({ version }: { version: string }): MetricFamily[] {
  const startedAt = (Date.now() - process.uptime() * 1000) / 1000
  const labels = { version, bun: Bun.version }
  return [
    {
      name: 'hipflask_build_info',
      help: 'What runs here, always 1',
      type: 'gauge',
      read: () => [{ labels, value: 1 }],
    },
    single(
      {
        name: 'process_cpu_seconds_total',
        help: 'Processor time in seconds, of user and system',
        type: 'counter',
      },
      () => {
        const { user, system } = process.cpuUsage()
        return (user + system) / 1e6
      },
    ),
    single({ name: 'process_resident_memory_bytes', help: 'Resident memory', type: 'gauge' }, () =>
      process.memoryUsage.rss(),
    ),
    single(
      { name: 'process_start_time_seconds', help: 'When the process started, Unix time', type: 'gauge' },
      () => startedAt,
    ),
    ...descriptorMetrics(),
  ]
}

function descriptorMetrics(): MetricFamily[] {
  const limit = descriptorLimit()
  if (process.platform !== 'linux' || limit === undefined) return []
  return [
    // One of them is that of the folder which is read.
    single(
      { name: 'process_open_fds', help: 'Open file descriptors', type: 'gauge' },
      () => readdirSync(DESCRIPTORS).length - 1,
    ),
    single({ name: 'process_max_fds', help: 'Most file descriptors', type: 'gauge' }, () => limit),
  ]
}

/** Undefined where the system does not tell. */
function descriptorLimit(): number | undefined {
  try {
    const [, limit] = /^Max open files\s+(\d+)/m.exec(readFileSync(LIMITS, 'utf8')) ?? []
    return limit === undefined ? undefined : Number(limit)
  } catch {
    return undefined
  }
}
