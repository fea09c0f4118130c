// When something is done again and again, as settings write it: `6h`, or five fields of cron. What is done is not known
// here.

const TEXT_LENGTH_MAX = 200
const INTERVAL_MS_MAX = 30 * 86_400_000
const MS_OF_UNIT = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** What a schedule must be, as the end of "… must be …". */
export const SCHEDULE_EXPECTED =
  'a time from 1s to 30d, such as 30m, 6h or 1d, or five fields of cron in UTC, such as 0 3 * * *'

/** Points in time that are the same for every process, whenever it was started. It prints as it was given. */
export class Schedule {
  /** The first point after this one; both are milliseconds since 1970. */
  readonly next: (after: number) => number
  readonly #text: string

  constructor(text: string, next: (after: number) => number) {
    this.#text = text
    this.next = next
  }

  toString(): string {
    return this.#text
  }

  toJSON(): string {
    return this.#text
  }
}

/** The schedule of a text, or undefined where it is none or would never come. */
export function parseSchedule(text: string): Schedule | undefined {
  const match = /^([1-9][0-9]{0,4})([smhd])$/.exec(text)
  if (match === null) return parseCron(text)
  const interval = Number(match[1]) * MS_OF_UNIT[match[2] as keyof typeof MS_OF_UNIT]
  if (interval > INTERVAL_MS_MAX) return undefined
  // Counted from 1970 and not from the start: a restart neither skips nor repeats one.
  return new Schedule(text, (after) => (Math.floor(after / interval) + 1) * interval)
}

function parseCron(text: string): Schedule | undefined {
  if (text.length > TEXT_LENGTH_MAX || text.includes('\0')) return undefined
  const next = (after: number) => Bun.cron.parse(text, after, { tz: 'UTC' })?.getTime()
  try {
    // 30 February is well written, and never comes.
    if (next(Date.now()) === undefined) return undefined
  } catch {
    return undefined
  }
  return new Schedule(text, (after) => next(after) ?? Number.POSITIVE_INFINITY)
}
