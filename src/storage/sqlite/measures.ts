// What the store tells of itself: how it commits, how long writes wait for that, and what its files take.
import { statSync } from 'node:fs'
import { createHistogram, single, type MetricFamily } from '../../core/metrics.ts'

export interface Measures {
  /** A group is committed whose units waited so long, from their call to the end of the commit. */
  noteCommit(waitsMs: readonly number[]): void
  metrics: readonly MetricFamily[]
}

const UNITS_BOUNDS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1000]
const SECONDS_BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

export interface Counts {
  /** How many units wait now. */
  waiting: () => number
  /** How many statements were slow. */
  slow: () => number
}

/** `path` is that of the database file, or `:memory:`. */
export function createMeasures(path: string, { waiting, slow }: Counts): Measures {
  let commits = 0
  const units = createHistogram(UNITS_BOUNDS)
  const waits = createHistogram(SECONDS_BOUNDS)
  const counter = { type: 'counter' } as const
  const gauge = { type: 'gauge' } as const
  const histogram = { type: 'histogram' } as const
  return {
    noteCommit(waitsMs) {
      commits++
      units.observe(waitsMs.length)
      for (const wait of waitsMs) waits.observe(wait / 1000)
    },
    metrics: [
      single(
        { ...counter, name: 'hipflask_db_commits_total', help: 'Transactions that were committed' },
        () => commits,
      ),
      single({ ...histogram, name: 'hipflask_db_group_size', help: 'Writes that shared a transaction' }, () =>
        units.read(),
      ),
      single(
        {
          ...histogram,
          name: 'hipflask_db_wait_seconds',
          help: 'Seconds from a write to the end of its commit',
        },
        () => waits.read(),
      ),
      single(
        { ...gauge, name: 'hipflask_db_waiting_writes', help: 'Writes that wait for their commit' },
        waiting,
      ),
      single(
        {
          ...counter,
          name: 'hipflask_db_slow_statements_total',
          help: 'Statements that took 100 ms or more',
        },
        slow,
      ),
      single({ ...gauge, name: 'hipflask_db_wal_bytes', help: 'Size of the write-ahead log' }, () =>
        sizeOf(`${path}-wal`),
      ),
      single({ ...gauge, name: 'hipflask_db_bytes', help: 'Size of the database file' }, () => sizeOf(path)),
    ],
  }
}

/** 0 where there is no such file, as where all is in memory. */
function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}
