// Time as a value that tests can set. RFC 3339, UTC, milliseconds everywhere.

/** Milliseconds since 1970, UTC. */
export type Clock = () => number

export const systemClock: Clock = Date.now

/** Two views of a clock that others set: what has ended must not come back with it, nor be deleted ahead of it. */
export interface Times {
  /** What is over by this is refused. It does not go back when the clock is set back, unless by more than a day. */
  readonly latest: Clock
  /** What is over by this may be deleted. It does not run ahead of the time that was lived through. */
  readonly lived: Clock
}

export interface TimesOptions {
  wall: Clock
  /** Milliseconds that no change of the clock touches. */
  monotonic: Clock
  /** Both as they were when the last process ended, or a little before. */
  known?: { latest: number; lived: number } | undefined
}

/**
 * What a clock may be set back by without having been wrong before: zones, and hands that slipped. After more than that
 * it is the former time that was wrong, and nothing ended by it.
 */
export const SET_BACK_MAX_MS = 24 * 60 * 60 * 1000
/** A clock that has been ahead for so long, of a process that ran, is right. */
export const BELIEVED_AFTER_MS = 24 * 60 * 60 * 1000
/** A clock that is ahead by less only runs a little faster. */
const AHEAD_MS = 60_000

export function createTimes({ wall, monotonic, known }: TimesOptions): Times {
  const startedAt = wall()
  // What monotonic time has to be added to.
  let latestBase = Math.max(known?.latest ?? startedAt, startedAt) - monotonic()
  let livedBase = Math.min(known?.lived ?? startedAt, startedAt) - monotonic()
  let aheadSince: number | undefined
  let leadSeenAt: number | undefined

  function look(elapsed: number): number {
    const now = wall()
    if (now <= livedBase + elapsed + AHEAD_MS) aheadSince = undefined
    else aheadSince ??= elapsed
    const isBelieved = aheadSince !== undefined && elapsed - aheadSince >= BELIEVED_AFTER_MS
    if (isBelieved) livedBase = now - elapsed
    const lead = latestBase + elapsed - now
    if (isBelieved || lead > SET_BACK_MAX_MS) latestBase = now - elapsed
    // Ahead of a clock that was set back it goes at half the pace, until that has caught up.
    else if (lead > 0 && leadSeenAt !== undefined) latestBase -= Math.min(lead, (elapsed - leadSeenAt) / 2)
    leadSeenAt = lead > 0 ? elapsed : undefined
    return now
  }
  return {
    latest: () => {
      const elapsed = monotonic()
      return Math.max(look(elapsed), Math.floor(latestBase + elapsed))
    },
    lived: () => {
      const elapsed = monotonic()
      return Math.min(look(elapsed), Math.floor(livedBase + elapsed))
    },
  }
}

let lastMs = Number.NaN
let lastText = ''

/** RFC 3339 in UTC with milliseconds. The text of the latest millisecond is kept: making it costs 0.3 µs. */
export function timestamp(ms: number): string {
  if (ms !== lastMs) {
    lastText = new Date(ms).toISOString()
    lastMs = ms
  }
  return lastText
}
