// Makes a backup of a database and its key ring, beside a running server or without one. Whatever has the name of a
// backup is whole.
import { createReadStream, existsSync, statSync, writeSync, openSync, closeSync, constants } from 'node:fs'
import { StartError } from '../core/errors.ts'
import { type Clock, timestamp } from '../core/clock.ts'
import { version } from '../core/version.ts'
import { type Backup, type BackupSource, damagedBackup, endOf, readBackup } from './backup-format.ts'
import { copyFailure, damaged } from './sqlite/errors.ts'
import { isIntact, takeSnapshot } from './sqlite/snapshot.ts'
import { createDraft, existsAlready, type Draft } from './whole-file.ts'

const CHUNK_BYTES = 1024 * 1024
const SHOWN_EVERY_MS = 100

/** How far long work has come: bytes, out of so many where that is known. */
export type BackupProgress = (
  what: 'Copying' | 'Checking' | 'Uploading' | 'Reading',
  bytes: number,
  of?: number,
) => void

export interface BackupOptions {
  /** The file of the database. */
  database: string
  /** A file that does not exist yet. */
  target: string
  /** Texts of the key files by their names; read after the database, so that no token of it lacks its key. */
  keys: () => Readonly<Record<string, string>>
  clock: Clock
  /** Gives the work up, and leaves nothing behind. */
  signal?: AbortSignal
  onProgress?: BackupProgress
}

export interface BackupSummary {
  file: string
  bytes: number
  sha256: string
  createdAt: string
}

/**
 * Writes a backup, checked page by page. Throws StartError: exit code 1 where the file can't be written, also for lack of
 * space, 3 where the database is damaged. Nothing is left behind then.
 */
export async function makeBackup(options: BackupOptions): Promise<BackupSummary> {
  const { database, target, keys, clock, signal, onProgress = () => {} } = options
  if (existsSync(target)) throw existsAlready(target)
  const draft = createDraft(target)
  const drop = () => draft.drop()
  signal?.addEventListener('abort', drop, { once: true })
  try {
    const createdAt = timestamp(clock())
    await copy(database, draft, onProgress)
    const sealed = await seal(draft.path, { createdAt, version, keys: keys() })
    draft.finish()
    return { file: target, createdAt, ...sealed }
  } catch (error) {
    throw copyFailure(error, { from: database, to: target })
  } finally {
    signal?.removeEventListener('abort', drop)
    draft.drop()
  }
}

/** Reads all of a backup in a file, its pages included. Throws StartError (exit code 3 or 4). */
export async function verifyFile(path: string, onProgress?: BackupProgress): Promise<Backup> {
  const source = fileSource(path)
  const backup = await readBackup(source, counting(source.size, onProgress))
  onProgress?.('Checking', source.size)
  if (!(await isIntact(path))) throw damagedBackup(source.name)
  return backup
}

/** Tells of the pieces as they come, ten times a second. */
export function counting(of: number, onProgress: BackupProgress = () => {}): (piece: Uint8Array) => void {
  let bytes = 0
  return (piece) => {
    bytes += piece.length
    onProgress('Reading', bytes, of)
  }
}

/** Throws StartError where the file can't be read. */
export function fileSource(path: string): BackupSource {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) throw new StartError(`File ${path} does not exist`)
  if (!stat.isFile()) throw new StartError(`${path} is no file, must be a backup`)
  return { name: `File ${path}`, size: stat.size, read: (from, to) => readFile(path, from, to) }
}

async function* readFile(path: string, from: number, to: number): AsyncGenerator<Uint8Array> {
  if (to <= from) return
  try {
    yield* createReadStream(path, { start: from, end: to - 1, highWaterMark: CHUNK_BYTES })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new StartError(`File ${path} cannot be read (${code})`, 1, error)
  }
}

async function copy(database: string, { path }: Draft, onProgress: BackupProgress): Promise<void> {
  const sizeOf = (file: string) => statSync(file, { throwIfNoEntry: false })?.size ?? 0
  const total = sizeOf(database)
  let step: 'Copying' | 'Checking' = 'Copying'
  const showing = setInterval(() => {
    if (step === 'Copying') onProgress(step, sizeOf(path), Math.max(total, sizeOf(path)))
    else onProgress(step, sizeOf(path))
  }, SHOWN_EVERY_MS)
  try {
    await takeSnapshot(database, path)
    step = 'Checking'
    // The copy took over what was wrong: so it is the database that is damaged.
    if (!(await isIntact(path))) throw damaged(database)
  } finally {
    clearInterval(showing)
  }
}

/** Appends the end of a backup. */
async function seal(
  path: string,
  notes: Parameters<typeof endOf>[0],
): Promise<{ bytes: number; sha256: string }> {
  const hash = new Bun.CryptoHasher('sha256')
  const { size } = statSync(path)
  for await (const piece of readFile(path, 0, size)) hash.update(piece)
  const end = endOf(notes, size, hash)
  // 'a' would make it anew where the backup was given up.
  const file = openSync(path, constants.O_WRONLY | constants.O_APPEND)
  try {
    writeAll(file, end)
  } finally {
    closeSync(file)
  }
  const sha256 = new TextDecoder().decode(end.subarray(-65, -1))
  return { bytes: size + end.length, sha256 }
}

/** A full disk takes a part, and says so only the next time. */
export function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at)
}
