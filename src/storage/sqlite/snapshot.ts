// Works on whole database files on a thread, so that the program stays alive meanwhile: it can show how far it has come
// and be interrupted. Readers take no lock that a writer would wait for.
import { statSync } from 'node:fs'
import { Database } from 'bun:sqlite'
import { AppError } from '../../core/errors.ts'
import { quote } from './derived.ts'
import { isDamage } from './errors.ts'
import { retryWhileLocked } from './lock.ts'
import type { ReaderTask } from './reader.ts'
import { createReaderPool } from './reader-pool.ts'

/**
 * Writes what is committed to an empty file: one moment of the database, whatever is written meanwhile. Where the file is
 * removed it fails, and makes none.
 */
export async function takeSnapshot(path: string, target: string): Promise<void> {
  using _holder = holdLog(path)
  await runOn(path, { copyTo: target })
}

/** Whether every page, index and reference of the file is as it must be. */
export async function isIntact(path: string): Promise<boolean> {
  try {
    const [row] = await runOn(path, {
      parts: [{ sql: 'PRAGMA integrity_check(1)', parameters: [] }],
      limit: 1,
    })
    return row?.['integrity_check'] === 'ok'
  } catch (error) {
    // Where not even the file could be opened, the pool's own error is around the engine's.
    if (isDamage(error instanceof AppError ? error.cause : error)) return false
    throw error
  }
}

/** Deletes all rows of those tables that are there, in a file that nobody else has open. */
export function emptyTables(path: string, tables: readonly string[]): void {
  if (tables.length === 0) return
  using database = new Database(path, { strict: true, readwrite: true, create: false })
  // What is deleted is not to be found in the file either.
  database.run('PRAGMA secure_delete = ON')
  const isThere = database.query<unknown, [string]>(
    "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?",
  )
  for (const table of tables) if (isThere.get(table) !== null) database.run(`DELETE FROM ${quote(table)}`)
}

async function runOn(path: string, task: ReaderTask) {
  const pool = createReaderPool(path)
  try {
    return await pool.read(task)
  } finally {
    await pool.stop()
  }
}

/**
 * A reader alone would leave an empty log behind, since it can't take it away. Where there is a log already it is a
 * server's, or one that has crashed: the next start must find that as it is.
 */
function holdLog(path: string): Database | undefined {
  if (statSync(`${path}-wal`, { throwIfNoEntry: false }) !== undefined) return undefined
  const database = new Database(path, { strict: true, readwrite: true, create: false })
  database.run('PRAGMA busy_timeout = 0')
  retryWhileLocked(() => database.query('SELECT 1 FROM sqlite_schema LIMIT 1').get())
  return database
}
