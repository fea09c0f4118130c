// Deletes the rows of sessions that are over, in the background and a few at a time. Sessions that were ended by a new
// generation go when they would have been over.
import { timestamp, type Clock } from '../core/clock.ts'
import type { Store } from '../storage/store.ts'
import { sessionsTable } from './sessions.ts'

const SWEEP_MS = 10 * 60 * 1000
const SWEEP_ROWS = 1000

export interface SessionSweepOptions {
  store: Store
  clock: Clock
  /** Milliseconds that no change of the clock touches. */
  monotonic?: Clock
}

export interface SessionSweep {
  /** Deletes what is over; gives how many. */
  run(): Promise<number>
  /** Ends it. */
  stop(): void
}

export function startSessionSweep(options: SessionSweepOptions): SessionSweep {
  const { store, clock, monotonic = () => performance.now() } = options
  const started = clock() - monotonic()
  // A clock that jumps ahead ends sessions for as long as it is wrong. It must not delete them.
  const now = () => Math.min(clock(), started + monotonic())

  const run = async (): Promise<number> => {
    const sweep = { table: sessionsTable.name, column: 'expires_at', limit: SWEEP_ROWS }
    let total = 0
    for (;;) {
      const count = await store.deleteOlderThan({ ...sweep, before: timestamp(now()) })
      total += count
      if (count < SWEEP_ROWS) return total
      await Bun.sleep(0)
    }
  }
  // Rows that a sweep leaves are found by the next one. Where it fails the store is stopping or can't write: its own
  // errors are told where they matter.
  const timer = setInterval(() => void run().catch(() => undefined), SWEEP_MS)
  timer.unref()
  return { run, stop: () => clearInterval(timer) }
}
