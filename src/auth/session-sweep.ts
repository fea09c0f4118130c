// Deletes the rows of sessions that are over, in the background and a few at a time, and those of sign-ins at providers
// that can't go on any more. Sessions that were ended by a new generation go when they would have been over.
import { timestamp, type Clock } from '../core/clock.ts'
import type { Store } from '../storage/store.ts'
import { CODE_SECONDS, codesTable } from './oidc/codes.ts'
import { FLOW_SECONDS, usedStatesTable } from './oidc/flow.ts'
import { sessionsTable } from './sessions.ts'

const SWEEP_MS = 10 * 60 * 1000
const SWEEP_ROWS = 1000
/** What is swept: rows whose time is so many seconds past. */
const SWEPT = [
  { table: sessionsTable.name, column: 'expires_at', ageSeconds: 0 },
  { table: usedStatesTable.name, column: 'created_at', ageSeconds: FLOW_SECONDS },
  { table: codesTable.name, column: 'created_at', ageSeconds: CODE_SECONDS },
] as const

export interface SessionSweepOptions {
  store: Store
  /** One that does not run ahead: a clock that jumps ends sessions for as long as it is wrong, but must not delete them. */
  clock: Clock
}

export interface SessionSweep {
  /** Deletes what is over; gives how many. */
  run(): Promise<number>
  /** Ends it. */
  stop(): void
}

export function startSessionSweep({ store, clock }: SessionSweepOptions): SessionSweep {
  const sweep = async ({ table, column, ageSeconds }: (typeof SWEPT)[number]): Promise<number> => {
    let total = 0
    for (;;) {
      const before = timestamp(clock() - ageSeconds * 1000)
      const count = await store.deleteOlderThan({ table, column, limit: SWEEP_ROWS, before })
      total += count
      if (count < SWEEP_ROWS) return total
      await Bun.sleep(0)
    }
  }
  const run = async (): Promise<number> => {
    let total = 0
    for (const swept of SWEPT) total += await sweep(swept)
    return total
  }
  // Rows that a sweep leaves are found by the next one. Where it fails the store is stopping or can't write: its own
  // errors are told where they matter.
  const timer = setInterval(() => void run().catch(() => undefined), SWEEP_MS)
  timer.unref()
  return { run, stop: () => clearInterval(timer) }
}
