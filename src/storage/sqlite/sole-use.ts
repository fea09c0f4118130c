// Takes a database file for one process alone, as replacing it needs. It changes no data.
import { rmSync } from 'node:fs'
import { Database } from 'bun:sqlite'
import { StartError } from '../../core/errors.ts'
import { isEngineFailure, isLocked } from './errors.ts'

/**
 * Keeps every other process from the file until it is disposed of, and writes its log back into it, so that it is the
 * whole database. Undefined where it is too damaged for that. Throws StartError where another process has it open: every
 * connection holds a lock for as long as it lives, which the system takes away when its process ends, however it ends.
 */
export function takeSoleUse(path: string): Disposable | undefined {
  const database = new Database(path, { strict: true, readwrite: true, create: false })
  try {
    database.run('PRAGMA busy_timeout = 0')
    // Before the first page is read: so the lock is asked for also where that page is damaged.
    database.run('PRAGMA locking_mode = EXCLUSIVE')
    database.run('BEGIN EXCLUSIVE')
    database.run('ROLLBACK')
    // Nobody else has it open now. What a crash left of the index goes before the log: the index alone would be a sign
    // of lost commits, where this process is killed next. SQLite makes it anew from the log.
    rmSync(`${path}-shm`, { force: true })
    database.run('PRAGMA journal_mode = DELETE')
    database.run('BEGIN EXCLUSIVE')
    return { [Symbol.dispose]: () => database.close(true) }
  } catch (error) {
    database.close(true)
    if (isLocked(error)) {
      throw new StartError(`Database ${path} is in use: stop the server and every command that works on it`)
    }
    if (isEngineFailure(error)) return undefined
    throw error
  }
}
