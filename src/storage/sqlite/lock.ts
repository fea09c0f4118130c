// The write lock while the program starts. It blocks the event loop, which nothing else needs yet: once requests are
// served, group-commit.ts waits without blocking.
import type { Database } from 'bun:sqlite'
import { isLocked, translateStartError } from './errors.ts'

/** How long to wait for another process that starts or writes. */
const WAIT_MS = 5000
const RETRY_MS = 5

/** Runs `work`, again and again while another process holds the lock; then its error is thrown. */
export function retryWhileLocked<T>(work: () => T, waitMs: number = WAIT_MS): T {
  const deadline = performance.now() + waitMs
  for (;;) {
    try {
      return work()
    } catch (error) {
      if (!isLocked(error) || performance.now() >= deadline) throw error
      Bun.sleepSync(RETRY_MS)
    }
  }
}

/** Reads, waiting for the lock where it must. Throws StartError where the database can't be read. */
export function readAtStart<T>(database: Database, work: () => T): T {
  try {
    return retryWhileLocked(work)
  } catch (error) {
    throw translateStartError(error, database.filename)
  }
}

/**
 * Runs `work` as the only writer, in one transaction: all of it or nothing. Throws StartError where the database
 * can't be written, and what `work` throws.
 */
export function writeAtStart<T>(database: Database, work: () => T, waitMs: number = WAIT_MS): T {
  try {
    retryWhileLocked(() => database.run('BEGIN IMMEDIATE'), waitMs)
    const result = work()
    database.run('COMMIT')
    return result
  } catch (error) {
    if (database.inTransaction) database.run('ROLLBACK')
    throw translateStartError(error, database.filename)
  }
}
