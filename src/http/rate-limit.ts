// How often something may be done by a key, such as an account or a network. The algorithm is GCRA, the leaky bucket as
// a meter (ITU-T I.371): one number a key, no timer. It knows neither requests nor what a key stands for.

export interface RateLimiterOptions {
  /** So many may come at once, then one each `windowMs / limit`. A whole number, at least 1. */
  limit: number
  /** A whole number, at least 1. */
  windowMs: number
  /**
   * Keys that are counted at once. Beyond them one with the fewest takes is forgotten, so that who wants a key with n
   * takes forgotten must make n by each of `keysMax` others within the window. (Fewest to within `limit` / RANKS_MAX.)
   */
  keysMax: number
  /** Milliseconds of a clock that is never set, such as `performance.now`. */
  now: () => number
}

/** Where a key stands after a take. */
export interface Quota {
  /** Whole seconds after which the next take will be granted, at least 1; undefined where this one was. */
  retryAfterSeconds: number | undefined
  /** Takes that would be granted now. */
  remaining: number
  /** Whole seconds until `limit` takes would be. */
  resetSeconds: number
}

export interface RateLimiter {
  /** Counts one, unless the key is used up: what is refused does not put the next grant off. */
  take: (key: string) => Quota
  /**
   * Undoes a granted take; to be called once for it at most. What has come back meanwhile is not taken away again, so
   * that while n takes are not decided yet, n more than `limit` can be had at once.
   */
  giveBack: (key: string) => void
}

/**
 * A key that is counted, in a ring with those of its rank, which is the share of `limit` that is taken; the head of a
 * ring is an entry without a key. Not a Map in order of insertion, whose first key is found by a walk over the deleted
 * ones before it (65 µs with 100,000 keys).
 */
interface Entry {
  readonly key: string
  /** When all that was taken has come back. */
  fullAt: number
  older: Entry
  newer: Entry
}

const RANKS_MAX = 32

/** Every operation takes the same time, however many keys there are. */
export function createRateLimiter({ limit, windowMs, keysMax, now }: RateLimiterOptions): RateLimiter {
  // Time is counted in parts of a millisecond, `limit` of them, so that all sums are exact: one take is `windowMs`.
  const capacity = limit * windowMs
  const partsNow = () => Math.floor(now()) * limit
  const secondsOf = (parts: number) => Math.ceil(parts / limit / 1000)
  const entries = new Map<string, Entry>()
  const ranks = Array.from({ length: Math.min(limit, RANKS_MAX) }, () => createEntry(''))

  const forget = (entry: Entry) => {
    unlink(entry)
    entries.delete(entry.key)
  }
  // There are few ranks, and within one the oldest is nearly the least.
  const findLeast = (): Entry | undefined => {
    let least: Entry | undefined
    for (const rank of ranks) {
      const oldest = rank.newer
      if (oldest !== rank && (least === undefined || oldest.fullAt < least.fullAt)) least = oldest
    }
    return least
  }
  const add = (key: string): Entry => {
    const least = entries.size < keysMax ? undefined : findLeast()
    if (least !== undefined) forget(least)
    const entry = createEntry(key)
    entries.set(key, entry)
    return entry
  }
  const move = (entry: Entry, fullAt: number, at: number) => {
    entry.fullAt = fullAt
    unlink(entry)
    const takes = Math.ceil((fullAt - at) / windowMs)
    linkBefore(ranks[Math.ceil((takes * ranks.length) / limit) - 1]!, entry)
  }

  return {
    take: (key) => {
      const at = partsNow()
      const known = entries.get(key)
      const before = Math.max(known?.fullAt ?? at, at)
      const excess = before + windowMs - at - capacity
      const fullAt = excess > 0 ? before : before + windowMs
      if (excess <= 0) move(known ?? add(key), fullAt, at)
      return {
        retryAfterSeconds: excess > 0 ? secondsOf(excess) : undefined,
        remaining: Math.floor((at + capacity - fullAt) / windowMs),
        resetSeconds: secondsOf(fullAt - at),
      }
    },
    giveBack: (key) => {
      const entry = entries.get(key)
      if (entry === undefined) return
      const at = partsNow()
      const fullAt = entry.fullAt - windowMs
      if (fullAt > at) move(entry, fullAt, at)
      else forget(entry)
    },
  }
}

/** An entry alone, or a list without any. */
function createEntry(key: string): Entry {
  const entry: Partial<Entry> = { key, fullAt: 0 }
  entry.older = entry.newer = entry as Entry
  return entry as Entry
}

function unlink(entry: Entry): void {
  entry.older.newer = entry.newer
  entry.newer.older = entry.older
}

/** Before the head of a list is behind its newest. */
function linkBefore(head: Entry, entry: Entry): void {
  entry.older = head.older
  entry.newer = head
  head.older.newer = entry
  head.older = entry
}
