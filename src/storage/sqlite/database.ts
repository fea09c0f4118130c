// Opens the database file: looks at it first, so that a file which is not ours or damaged stays untouched; then sets
// every pragma that matters and reads it back. It knows no tables.
import { constants as flags, Database } from 'bun:sqlite'
import {
  accessSync,
  closeSync,
  constants as modes,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  statSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { StartError, thisUser } from '../../core/errors.ts'
import { damageMark } from './condition.ts'
import { damaged, isLocked, lostDatabase, lostLog, translateStartError } from './errors.ts'
import { retryWhileLocked } from './lock.ts'
import { hasUncopied, holdsAll, isSame, readLogIndex } from './log-index.ts'

export type { Database }

export interface DatabaseOptions {
  /** A file, made with mode 0600 where there is none (its folder with 0700), or `:memory:`. */
  path: string
  /** `full`: an acknowledged write survives a power cut. `normal`: it survives a crash of the process. */
  durability: 'full' | 'normal'
  /** What stays beside it of whoever has worked on it: beside one of these an empty file is a database that was lost. */
  traces?: readonly string[]
  /** Looks at the opened file before a setting is written to it; what it throws leaves the file as it was. */
  inspect?: (database: Database) => void
}

const MEMORY = ':memory:'
/** The number of our layout of internal tables. An executable opens no database with a greater one. */
export const FORMAT = 1
/** "hipf" in ASCII: tells our files from other programs' (`file`, the SQLite shell). */
export const APPLICATION_ID = 0x68697066
/** Older ones can lose a commit when a checkpoint meets a writer (the WAL-reset bug). */
const OLDEST_SQLITE = '3.51.3'
/** How every database begins (https://www.sqlite.org/fileformat.html, section 1.3). */
export const MAGIC = 'SQLite format 3\0'
export const HEADER_SIZE = 100

/**
 * Opens the database with the settings that the store relies on. Throws StartError: exit code 1 where the folder or
 * file can't be used, 3 where the file is damaged or no database, 4 where a newer hipflask made it.
 */
export function openDatabase(options: DatabaseOptions): Database {
  const { path, durability, inspect = () => {} } = options
  const isMemory = path === MEMORY
  let database: Database | undefined
  try {
    if (!isMemory && !createFile(path)) retryWhileLocked(() => inspectFile(options))
    const opened = new Database(path, { strict: true, readwrite: true, create: isMemory })
    database = opened
    retryWhileLocked(() => inspect(opened))
    retryWhileLocked(() => configure(opened, isMemory ? 'memory' : 'wal', durability))
    return opened
  } catch (error) {
    database?.close(true)
    throw translateStartError(error, path)
  }
}

/**
 * Opens a file that `openDatabase` has opened once more, for reading only. A reader never waits for the writer, nor the
 * writer for it.
 */
export function openReader(path: string): Database {
  return makeSafe(new Database(path, { strict: true, readonly: true }))
}

/** Copies the whole log into the file and empties it; false where other connections are at work. */
export function emptyLog(database: Database): boolean {
  try {
    // A reader in the way is told by the answer alone, a writer by an error.
    const [isBusy] = database.query('PRAGMA wal_checkpoint(TRUNCATE)').values()[0] ?? []
    if (isBusy === 1) return false
  } catch (error) {
    if (isLocked(error)) return false
    throw error
  }
  // What the index says of the log is compared with it after a power cut: it must not be older than the log is short.
  const index = `${database.filename}-shm`
  if (existsSync(index)) syncEntry(index)
  return true
}

/**
 * Writes what is committed to an empty file, and makes none: whoever gives the copy up removes the file, at any moment,
 * and that is the end of it. The connection itself may be in a transaction.
 */
export function copyDatabase({ filename }: Database, path: string): void {
  // Only an address can tell that the file must be there. The name of the database must not look like one.
  const mode = flags.SQLITE_OPEN_READONLY | flags.SQLITE_OPEN_URI
  using reader = makeSafe(new Database(resolve(filename), mode))
  reader.run('VACUUM INTO ?', [`${pathToFileURL(path).href}?mode=rw`])
}

/** Whether there is nothing to open: no file, or an empty one that `openDatabase` would take for a new one. */
export function isNew({ path, traces }: Pick<DatabaseOptions, 'path' | 'traces'>): boolean {
  if (!existsSync(path)) return true
  const isLost = sizeOfLog(path) > 0 || hasTrace(path, traces)
  return statSync(path).isFile() && statSync(path).size === 0 && !isLost
}

// ── Before opening ──────────────────────────────────────────────────────────────────────────────────────────────

/** Makes an empty file; false where there is a file. SQLite gives its -wal and -shm files the same mode. */
function createFile(path: string): boolean {
  const folder = dirname(path)
  try {
    // Of a relative path the folders above end at `.`, which is its own parent.
    const whole = resolve(folder)
    const made = mkdirSync(whole, { recursive: true, mode: 0o700 })
    accessSync(folder, modes.R_OK | modes.W_OK | modes.X_OK)
    // SQLite syncs the names of its files in the folder, and nobody else that of the folder.
    for (
      let at = whole;
      made !== undefined && at.length >= made.length && at !== dirname(at);
      at = dirname(at)
    )
      syncEntry(dirname(at))
    // SQLite would delete a log that is older than its file.
    if (sizeOfLog(path) > 0 && !hasEntry(path)) throw lostDatabase(path)
    closeSync(openSync(path, 'wx', 0o600))
    rmSync(damageMark(path), { force: true })
    return true
  } catch (error) {
    if (error instanceof StartError) throw error
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && hasEntry(path)) return false
    const remedy = `make it a folder that ${thisUser()} may write to, or choose another`
    throw new StartError(`Data folder ${folder} cannot be used (${code}): ${remedy}`, 1, error)
  }
}

/** Whether anything has the name, be it a link to nothing. */
function hasEntry(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) !== undefined
  } catch {
    // Its folder is none.
    return false
  }
}

/** Of a file, or of the names in a folder. */
function syncEntry(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** Refuses a file that is not ours to open. It only reads, so such a file stays as it is. */
function inspectFile({ path, durability, traces }: DatabaseOptions): void {
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new StartError(`Database ${path} is no file: move it away, or choose another data folder`)
  }
  // Before the file is read: another process may be setting it up.
  const wasUsed = hasTrace(path, traces)
  const header = readHeader(path)
  // Where the log is not synced, a power cut may take of it what the index still tells.
  const index = durability === 'full' ? readLogIndex(path) : undefined
  const hasLog = sizeOfLog(path) > 0
  // SQLite would begin anew, and delete the log.
  if (header.length === 0 && (hasLog || wasUsed)) throw damaged(path)
  if (header.length === 0) return
  if (header.length < HEADER_SIZE || !header.toString('latin1').startsWith(MAGIC)) {
    throw new StartError(`File ${path} is not a database: move it away, or choose another data folder`, 3)
  }
  checkOrigin(path, { format: header.readUInt32BE(60), application: header.readUInt32BE(68) })
  // Before SQLite opens it, which makes the index fit whatever it finds. Read again, since another process may have
  // copied its log and begun another in between.
  if (hasUncopied(index) && !holdsAll(path, index) && isSame(index, readLogIndex(path))) throw lostLog(path)
  // A clean stop leaves no log behind. After a crash the whole file is read once; else a start takes no longer with
  // more data.
  if (hasLog || existsSync(damageMark(path))) inspectWhole(path)
}

/** The log may hold a newer header, and whatever a dying machine wrote. */
function inspectWhole(path: string): void {
  using database = new Database(path, { readonly: true })
  const format = Number(pragma(database, 'user_version'))
  checkOrigin(path, { format, application: Number(pragma(database, 'application_id')) })
  const mark = damageMark(path)
  if (pragma(database, existsSync(mark) ? 'integrity_check' : 'quick_check') !== 'ok') throw damaged(path)
  rmSync(mark, { force: true })
}

function hasTrace(path: string, traces: readonly string[] = []): boolean {
  return [damageMark(path), ...traces].some((trace) => existsSync(trace))
}

function sizeOfLog(path: string): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
}

/** The first bytes of the file; none of an empty one, which is an empty database. */
function readHeader(path: string): Buffer {
  const header = Buffer.alloc(HEADER_SIZE)
  try {
    accessSync(path, modes.R_OK | modes.W_OK)
    const file = openSync(path, 'r')
    try {
      return header.subarray(0, readSync(file, header))
    } finally {
      closeSync(file)
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const remedy = `make it a file that ${thisUser()} may read and write, or choose another data folder`
    throw new StartError(`Database ${path} cannot be used (${code}): ${remedy}`, 1, error)
  }
}

function checkOrigin(path: string, { format, application }: { format: number; application: number }): void {
  if (application !== 0 && application !== APPLICATION_ID) {
    throw new StartError(`Database ${path} belongs to another program: choose another data folder`)
  }
  if (format > FORMAT) {
    throw new StartError(
      `Database ${path} was made by a newer hipflask: start it with that version or a later one`,
      4,
    )
  }
}

// ── After opening ───────────────────────────────────────────────────────────────────────────────────────────────

/** What every connection has. */
const SAFETY: readonly (readonly [name: string, value: number])[] = [
  // A schema that someone tampered with may not call functions with side effects.
  ['trusted_schema', 0],
  // Finds a damaged page when it is read, before its content is believed.
  ['cell_size_check', 1],
  // Sorts stay in memory: an image from scratch has no folder for temporary files.
  ['temp_store', 2],
  // 2 MiB of pages: what more holds is read from the cache of the system nearly as fast, and is kept once.
  ['cache_size', -2 * 1024],
  // An I/O error in mapped memory is a signal that ends the process; read() makes it an error that is answered.
  ['mmap_size', 0],
]

function makeSafe(database: Database): Database {
  for (const [name, value] of SAFETY) database.run(`PRAGMA ${name} = ${value}`)
  return database
}

function configure(database: Database, journal: 'wal' | 'memory', durability: 'full' | 'normal'): void {
  const version =
    database.query<{ version: string }, []>('SELECT sqlite_version() AS version').get()?.version ?? ''
  if (Bun.semver.order(version, OLDEST_SQLITE) < 0) {
    throw new StartError(`SQLite is ${version}, minimum is ${OLDEST_SQLITE}`)
  }
  const pragmas: readonly (readonly [name: string, value: string | number])[] = [
    // Readers see the last commit while a writer works, and a commit is one write and one sync of one file.
    ['journal_mode', journal],
    // 2, FULL: the log is synced at every commit. 1, NORMAL: only when it is copied into the database.
    ['synchronous', durability === 'full' ? 2 : 1],
    // SQLite checks no reference unless asked to.
    ['foreign_keys', 1],
    // Never wait for a lock inside SQLite: that would stop the event loop. group-commit.ts waits outside.
    ['busy_timeout', 0],
    // A log that grew in a burst gives the space back at the next checkpoint.
    ['journal_size_limit', 64 * 1024 * 1024],
    ...SAFETY,
  ]
  for (const [name, value] of pragmas) database.run(`PRAGMA ${name} = ${value}`)
  if (pragma(database, 'user_version') !== FORMAT) {
    database.run(`PRAGMA application_id = ${APPLICATION_ID}`)
    database.run(`PRAGMA user_version = ${FORMAT}`)
  }
  for (const [name, value] of pragmas) {
    // Memory has neither a log nor pages to map: it answers nothing.
    const actual = pragma(database, name) ?? value
    if (actual === value) continue
    const remedy = 'choose a data folder on a local disk'
    throw new StartError(`Database ${database.filename} cannot have ${name} ${value}: ${remedy}`)
  }
}

function pragma(database: Database, name: string): unknown {
  return database.query(`PRAGMA ${name}`).values()[0]?.[0]
}
