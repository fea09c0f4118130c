// The one place that reads SQLite's error codes. Everything above it sees the errors of the Store port.
import { SQLiteError } from 'bun:sqlite'
import { AppError, StartError } from '../../core/errors.ts'
import { BrokenReferenceError, UniqueError } from '../store.ts'

// Primary result codes (https://www.sqlite.org/rescode.html).
const ERROR = 1
const BUSY = 5
const LOCKED = 6
const NOMEM = 7
const READONLY = 8
const IOERR = 10
const CORRUPT = 11
const FULL = 13
const CANTOPEN = 14
const PROTOCOL = 15
const NOTADB = 26

// Failures of the file, the disk, the memory or a lock: not of the statement.
// prettier-ignore
const ENGINE_FAILURES: ReadonlySet<number> = new Set([
  BUSY, LOCKED, NOMEM, READONLY, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, NOTADB,
])

// SQLITE_IOERR_READ, _SHORT_READ, _DATA and _CORRUPTFS: other codes of IOERR are about writes, locks and memory.
const READ_FAILURES: ReadonlySet<number> = new Set([1, 2, 32, 33].map((detail) => IOERR | (detail << 8)))

/** An error of the engine that happened on another thread, as far as it can be told. */
export class ReaderError extends Error {
  override name = 'ReaderError'
  readonly code: string | undefined
  /** SQLite's extended result code; undefined where it was no error of SQLite's. */
  readonly errno: number | undefined

  constructor({ message, code, errno }: { message: string; code?: string; errno?: number }) {
    super(message)
    this.code = code
    this.errno = errno
  }
}

/** A row that SQLite read without an error, and that nobody can have written. It counts as SQLITE_CORRUPT. */
export class ContentError extends Error {
  override name = 'ContentError'
}

/** Another connection holds the lock. */
export function isLocked(error: unknown): boolean {
  return primaryCode(error) === BUSY
}

/** The engine failed, not the statement: nothing of the transaction can be relied on. */
export function isEngineFailure(error: unknown): boolean {
  return ENGINE_FAILURES.has(primaryCode(error))
}

/** The file does not hold what was written to it, or can't be read: no statement on it can be relied on. */
export function isDamage(error: unknown): boolean {
  const code = primaryCode(error)
  return code === CORRUPT || code === NOTADB || READ_FAILURES.has(extendedCode(error))
}

/** The disk has no room. */
export function isFull(error: unknown): boolean {
  return primaryCode(error) === FULL
}

/**
 * The disk, or the system, refuses a write. What SQLite had written of the commit is written anew by the next one, so
 * that going on is safe: nothing of it was acknowledged, and none of it is seen.
 */
export function isDiskFailure(error: unknown): boolean {
  const code = primaryCode(error)
  return code === IOERR || code === READONLY || code === CANTOPEN
}

/** What a caller gets while the engine can't do its work. */
export function unavailable(cause?: unknown): AppError {
  return new AppError('unavailable', { cause })
}

/** For reads: an engine failure as AppError `unavailable`, anything else as it is. */
export function translateReadError(error: unknown): unknown {
  return isEngineFailure(error) ? unavailable(error) : error
}

/** For writes: a broken constraint as the port's error, anything else as it is. `step` is the place in the commit. */
export function translateWriteError(error: unknown, step: number): unknown {
  if (!(error instanceof SQLiteError)) return error
  switch (error.code) {
    case 'SQLITE_CONSTRAINT_UNIQUE':
    case 'SQLITE_CONSTRAINT_PRIMARYKEY':
      return new UniqueError(failedColumn(error.message), step, error)
    case 'SQLITE_CONSTRAINT_FOREIGNKEY':
      return new BrokenReferenceError(step, error)
    default:
      return error
  }
}

/** For opening and migrating: an engine failure as a StartError with the path and the remedy. */
export function translateStartError(thrown: unknown, path: string): unknown {
  // The store's own `unavailable` has the engine's error as its cause.
  const error = thrown instanceof AppError ? thrown.cause : thrown
  switch (primaryCode(error)) {
    case NOTADB:
    case CORRUPT:
      return damaged(path, error)
    case BUSY:
    case LOCKED:
      return new StartError(
        `Database ${path} is locked by another process: stop it, or wait until it is done`,
        1,
        error,
      )
    case FULL:
      return new StartError(`Database ${path} cannot grow: free space on its disk`, 1, error)
  }
  // What we made and what is there do not fit: of a statement of ours nothing else is left to be wrong.
  if (primaryCode(error) === ERROR) {
    return new StartError(
      `Database ${path} does not have the tables that hipflask made, since another program has changed them: undo that, or restore a backup`,
      3,
      error,
    )
  }
  if (!isEngineFailure(error)) return thrown
  return new StartError(
    `Database ${path} cannot be read and written: check its disk and its permissions`,
    1,
    error,
  )
}

/** The log of the file is not what it was when the process that wrote it ended. Exit code 3. */
export function lostLog(path: string): StartError {
  return new StartError(
    `Database ${path} has lost commits: its log ${path}-wal is gone, damaged or another one; put its own back or restore a backup, or remove ${path}-shm, and a log of another database, to go on without them`,
    3,
  )
}

/** Of the database nothing but its log is left. Exit code 3. */
export function lostDatabase(path: string): StartError {
  return new StartError(
    `Database ${path} is gone, and its log ${path}-wal is not: put it back or restore a backup, or move ${path}-wal and ${path}-shm away too to start with an empty one`,
    3,
  )
}

/** For copying a file: what is wrong with the one that is read or the one that is written, as a StartError. */
export function copyFailure(thrown: unknown, { from, to }: { from: string; to: string }): unknown {
  const error = thrown instanceof AppError ? thrown.cause : thrown
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  if (isFull(error) || code === 'ENOSPC' || code === 'EDQUOT') {
    return new StartError(
      `File ${to} cannot be written: free space on its disk, as much as the database takes`,
      1,
      error,
    )
  }
  if (thrown instanceof StartError) return thrown
  if (isEngineFailure(error)) return translateStartError(thrown, from)
  if (typeof code === 'string') return new StartError(`File ${to} cannot be written (${code})`, 1, error)
  return thrown
}

/** The file was a database once. Exit code 3. */
export function damaged(path: string, cause?: unknown): StartError {
  return new StartError(
    `Database ${path} is damaged: restore a backup, or move it away, with its -wal and -shm, to start with an empty one`,
    3,
    cause,
  )
}

// An extended code keeps its primary code in the low byte.
function primaryCode(error: unknown): number {
  return extendedCode(error) & 0xff
}

function extendedCode(error: unknown): number {
  if (error instanceof ContentError) return CORRUPT
  return error instanceof SQLiteError || error instanceof ReaderError ? (error.errno ?? 0) : 0
}

// "UNIQUE constraint failed: items.name"
function failedColumn(message: string): string {
  return /: [^.]+\.([^,]+)/.exec(message)?.[1] ?? 'id'
}
