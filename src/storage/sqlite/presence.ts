// Whether the files that a connection has open are still those that have their names. It knows nothing of what is in
// them. SQLite goes on with files that were deleted or moved away, and whoever opens the names next sees none of it.
import { statSync, type Stats } from 'node:fs'
import { dirname } from 'node:path'

/** The database itself first. */
const PARTS = ['', '-wal', '-shm'] as const

/** A folder's time goes in steps of some milliseconds, two seconds at most (FAT): two changes within one show as one. */
const STEP_MS_MAX = 3000

/** `moved`: another file has the name, or none. `emptied`: the database itself has no byte any more. */
export type Absence = { what: 'moved' | 'emptied'; file: string }

/**
 * Makes the look at the files of a database that is open: little enough for each group of commits. While nothing in
 * their folder changes its name it leaves out the log: whoever asks for a file's times makes the kernel note the next
 * write more finely (Linux 6.13), so that each sync writes them too, which takes a third longer.
 */
export function createPresence(path: string): () => Absence | undefined {
  const folder = dirname(path)
  const known = PARTS.map((part) => ({ file: `${path}${part}`, part, was: look(`${path}${part}`) }))
  const database = known.slice(0, 1)
  // The folder as it was when all had their names.
  let settled: Stats | undefined
  return () => {
    const place = look(folder)
    const isSettled = place !== undefined && isSame(place, settled) && place.mtimeMs === settled?.mtimeMs
    for (const { file, part, was } of isSettled ? database : known) {
      if (was === undefined) continue
      const is = look(file)
      if (!isSame(is, was)) return { what: 'moved', file }
      if (part === '' && is?.size === 0 && was.size > 0) return { what: 'emptied', file }
    }
    settled = place !== undefined && Date.now() - place.mtimeMs > STEP_MS_MAX ? place : undefined
    return undefined
  }
}

function look(file: string): Stats | undefined {
  return statSync(file, { throwIfNoEntry: false })
}

function isSame(is: Stats | undefined, was: Stats | undefined): boolean {
  return is?.ino === was?.ino && is?.dev === was?.dev
}
