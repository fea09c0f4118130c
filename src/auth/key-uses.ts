// When each API key was last used, written behind the requests: none waits for it, and none fails by it.
import { timestamp, type Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import { StaleError, type Store } from '../storage/store.ts'

export interface KeyUsesOptions {
  store: Store
  clock: Clock
  logger: Logger
  /** Has a column `last_used_at`. */
  table: string
  /** A use so soon after the noted one is not noted. */
  intervalMs: number
}

export interface KeyUses {
  /** Notes that the key is used now, unless that was noted a moment ago. */
  note(key: { readonly id: string; readonly last_used_at: string | null }): void
  /** Writes what is noted; resolves when it is written or has failed. */
  settle(): Promise<void>
}

/** Keys whose use waits to be written; of more the use is not noted. */
export const USES_WAITING_MAX = 10_000
/** A write makes the cache of credentials be read anew, so the uses of all keys are written together. */
const DELAY_MS = 1000

export function createKeyUses({ store, clock, logger, table, intervalMs }: KeyUsesOptions): KeyUses {
  const waiting = new Map<string, string>()
  let timer: Timer | undefined
  let writing: Promise<void> = Promise.resolve()

  const write = async (): Promise<void> => {
    clearTimeout(timer)
    timer = undefined
    const uses = [...waiting]
    const commits = uses.map(([id, at]) =>
      store.commit([{ kind: 'update', table, id, values: { last_used_at: at } }]),
    )
    const outcomes = await Promise.allSettled(commits)
    for (const [id] of uses) waiting.delete(id)
    // A key may have been revoked since.
    const failed = outcomes.find(
      (one) => one.status === 'rejected' && !(one.reason instanceof StaleError),
    ) as PromiseRejectedResult | undefined
    if (failed !== undefined) logger.warn('Uses of API keys are not noted', { cause: failed.reason })
  }
  const start = (): Promise<void> => (writing = Promise.all([writing, write()]).then(() => undefined))

  return {
    note({ id, last_used_at: last }) {
      const now = clock()
      // Negative where the clock was set back.
      const age = last === null ? Infinity : now - Date.parse(last)
      if ((age >= 0 && age < intervalMs) || waiting.has(id) || waiting.size >= USES_WAITING_MAX) return
      waiting.set(id, timestamp(now))
      timer ??= setTimeout(() => void start(), DELAY_MS).unref()
    },
    settle: start,
  }
}
