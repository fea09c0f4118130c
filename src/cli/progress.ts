// A line on the terminal that says how far long work has come. Without a terminal it says nothing.
const BAR_WIDTH = 24
const REDRAW_MS = 100
const CLEAR_LINE = '\r\u001b[2K'

export interface ProgressOptions {
  /** `Importing items` */
  label: string
  isTerminal: boolean
  write: (text: string) => void
  /** What is counted; records where left out. */
  unit?: 'records' | 'MB'
  /** Monotonic milliseconds; the machine's where left out. */
  clock?: () => number
}

export interface Progress {
  /** `ratio` from 0 to 1; undefined where the end is not known. */
  show: (count: number, ratio?: number) => void
  /** From now on it is about something else. */
  relabel: (label: string) => void
  /** Takes the line away. */
  end: () => void
}

/** Draws at most ten times a second. */
export function createProgress(options: ProgressOptions): Progress {
  const { isTerminal, write, unit = 'records', clock = () => performance.now() } = options
  if (!isTerminal) return { show: () => {}, relabel: () => {}, end: () => {} }
  let { label } = options
  let startedAt = clock()
  let drawnAt = Number.NEGATIVE_INFINITY
  return {
    show(count, ratio) {
      const now = clock()
      if (now - drawnAt < REDRAW_MS) return
      drawnAt = now
      const seconds = Math.max(now - startedAt, 1) / 1000
      const parts = [label, ...barOf(ratio), `${grouped(count)} ${unit}`, `${grouped(count / seconds)}/s`]
      write(CLEAR_LINE + parts.join('  '))
    },
    relabel(next) {
      if (next === label) return
      label = next
      startedAt = clock()
    },
    end() {
      if (Number.isFinite(drawnAt)) write(CLEAR_LINE)
    },
  }
}

function barOf(ratio: number | undefined): string[] {
  if (ratio === undefined) return []
  const bounded = Math.min(Math.max(ratio, 0), 1)
  const filled = Math.round(bounded * BAR_WIDTH)
  return [
    `[${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}]`,
    `${String(Math.floor(bounded * 100)).padStart(3)} %`,
  ]
}

function grouped(count: number): string {
  return Math.round(count)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',')
}
