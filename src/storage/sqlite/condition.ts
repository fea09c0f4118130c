// What a failure of the file or its disk means for all who come after: 503 to whoever met it is not enough. A file that
// is damaged is written no more; one that could not be written lately is not ready. It knows no statement.
import { writeFileSync } from 'node:fs'
import { isDamage, isDiskFailure, isFull, unavailable } from './errors.ts'
import type { Absence } from './presence.ts'

/** How long after a failed write the store is not ready: then others must find out whether the disk works again. */
export const DOUBT_MS = 10_000

/** Trouble that comes and goes is told anew when there was none for so long. */
const QUIET_MS = 60_000

export interface ConditionOptions {
  /** A file, or `:memory:`. */
  path: string
  /** Told once of damage, and of a disk that refuses writes once a minute at most. */
  report: (message: string, cause: unknown) => void
  /** Monotonic milliseconds. */
  clock: () => number
  /** Which file of the database is not at its place; undefined where all are. */
  findAbsence?: () => Absence | undefined
  /** Runs when one is found to be away. */
  onAbsence?: () => void
}

export interface Condition {
  /** Looks at what the engine failed by, in a read or a write. */
  note(error: unknown): void
  /** A commit has reached the disk. */
  noteCommit(): void
  /** Throws AppError `unavailable` where another file than the one that is open has its name: nobody may open it. */
  refuseMoved(): void
  /** Throws AppError `unavailable` also where the file is damaged: nothing may be written to it. */
  refuseDamaged(): void
  /** Throws AppError `unavailable` also where the disk has refused a write a moment ago. */
  refuseDoubtful(): void
  isDamaged(): boolean
}

/**
 * The file beside the database that tells the next start to read all of it: what was found while serving is else found
 * by chance again. It is removed when the database has been found to be sound.
 */
export function damageMark(path: string): string {
  return `${path}-damaged`
}

export function createCondition(options: ConditionOptions): Condition {
  const { path, report, clock, findAbsence = () => undefined, onAbsence = () => {} } = options
  let isDamaged = false
  let isMoved = false
  let failedAt = -Infinity
  let doubtUntil = -Infinity

  function noteDamage(cause: unknown): void {
    if (isDamaged) return
    isDamaged = true
    report(
      `Database ${path} is damaged: nothing more is written to it, what can be read is answered; stop the server, check its disk, and restore a backup`,
      cause,
    )
    try {
      if (path !== ':memory:') writeFileSync(damageMark(path), '', { mode: 0o600 })
    } catch {
      // The disk may take no file any more. The report above has been made.
    }
  }

  function noteFailure(remedy: string, cause: unknown): void {
    if (clock() - failedAt > QUIET_MS) report(`Database ${path} cannot be written: ${remedy}`, cause)
    failedAt = clock()
  }

  // Whoever puts the file back goes on where it was.
  function refuseMoved(): void {
    const absence = findAbsence()
    if (absence?.what === 'emptied') noteDamage(new Error(`File ${absence.file} was emptied`))
    const wasMoved = isMoved
    isMoved = absence?.what === 'moved'
    if (absence === undefined) return
    if (isMoved && !wasMoved) {
      report(
        `File ${absence.file} was deleted, moved or replaced while it is in use: nothing more is written; put it back where it was, or stop the server, restore a backup and start it again`,
        undefined,
      )
      onAbsence()
    }
    throw unavailable()
  }

  function refuseDamaged(): void {
    refuseMoved()
    if (isDamaged) throw unavailable()
  }

  return {
    note(error) {
      if (isDamage(error)) noteDamage(error)
      else if (isFull(error)) noteFailure('free space on its disk', error)
      else if (isDiskFailure(error)) {
        noteFailure('check its disk and its permissions', error)
        doubtUntil = clock() + DOUBT_MS
      }
    },
    noteCommit() {
      doubtUntil = -Infinity
    },
    refuseMoved,
    refuseDamaged,
    refuseDoubtful() {
      refuseDamaged()
      if (clock() < doubtUntil) throw unavailable()
    },
    isDamaged: () => isDamaged,
  }
}
