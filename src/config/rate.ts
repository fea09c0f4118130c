// Rates as settings write them: `100/10s`, `10/15m`, `1/1h`. What is counted is not known here.

const COUNT_MAX = 10_000
const WINDOW_MS_MAX = 86_400_000
const MS_OF_UNIT = { s: 1000, m: 60_000, h: 3_600_000 } as const

/** What a rate must be, as the end of "… must be …". */
export const RATE_EXPECTED = `a count from 1 to ${COUNT_MAX} and a time from 1s to 24h, such as 100/10s, 5/1m or 1/1h, or off`

/** So many within a time. It prints as it was given. */
export class Rate {
  readonly limit: number
  readonly windowMs: number
  readonly #text: string

  constructor(limit: number, windowMs: number, text: string) {
    this.limit = limit
    this.windowMs = windowMs
    this.#text = text
  }

  toString(): string {
    return this.#text
  }

  toJSON(): string {
    return this.#text
  }
}

/** The rate of a text, `off`, or undefined where the text is neither. */
export function parseRate(text: string): Rate | 'off' | undefined {
  if (text === 'off') return text
  const match = /^([1-9][0-9]{0,4})\/([1-9][0-9]{0,4})([smh])$/.exec(text)
  if (match === null) return undefined
  const limit = Number(match[1])
  const windowMs = Number(match[2]) * MS_OF_UNIT[match[3] as keyof typeof MS_OF_UNIT]
  return limit <= COUNT_MAX && windowMs <= WINDOW_MS_MAX ? new Rate(limit, windowMs, text) : undefined
}
