// Puts a backup in the place of a database. Killed at any moment, the place has the old database or the new one, whole;
// what was there stays beside it under another name.
import { closeSync, constants, copyFileSync, existsSync, openSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { StartError } from '../core/errors.ts'
import { counting, writeAll, type BackupProgress } from './backup.ts'
import { type Backup, type BackupSource, damagedBackup, readBackup } from './backup-format.ts'
import { damageMark } from './sqlite/condition.ts'
import { emptyTables, isIntact } from './sqlite/snapshot.ts'
import { copyFailure } from './sqlite/errors.ts'
import { takeSoleUse } from './sqlite/sole-use.ts'
import { createDraft, giveToOwnerOf, keepAs } from './whole-file.ts'

export interface RestoreOptions {
  source: BackupSource
  /** The file of the database, in a folder that exists. */
  database: string
  /** A database that is there may be replaced. */
  isForced: boolean
  /** Tables whose rows are left out. */
  without: readonly string[]
  /** Takes the backup over but for its database, before that is there. What it throws ends the restoring. */
  takeRest: (backup: Backup) => void
  clock: () => number
  signal?: AbortSignal
  onProgress?: BackupProgress
}

export interface RestoreSummary {
  backup: Backup
  /** Where the database that was there is; undefined where there was none. */
  kept: string | undefined
}

/**
 * Throws StartError, with the database as it was: exit code 1 where one is there and may not be replaced, is in use, or
 * the place can't be written; 3 where the backup is none or damaged; 4 where a newer hipflask made it.
 */
export async function restoreBackup(options: RestoreOptions): Promise<RestoreSummary> {
  const { source, database, isForced, without, takeRest, signal, onProgress } = options
  const wasThere = isThere(database)
  if (wasThere && !isForced) {
    throw new StartError(
      `There is a database already, ${database}: restore with --force, which keeps it under another name`,
    )
  }
  const draft = createDraft(database)
  const drop = () => draft.drop()
  signal?.addEventListener('abort', drop, { once: true })
  try {
    const backup = await copyOut(source, draft.path, onProgress)
    onProgress?.('Checking', source.size)
    if (!(await isIntact(draft.path))) throw damagedBackup(source.name)
    emptyTables(draft.path, without)
    giveToOwnerOf(dirname(database), draft.path)
    takeRest(backup)
    if (!wasThere) {
      draft.finish()
      rmSync(damageMark(database), { force: true })
      return { backup, kept: undefined }
    }
    const kept = keptName(database, options.clock)
    using _alone = keepOld(database, kept)
    draft.replace()
    rmSync(damageMark(database), { force: true })
    return { backup, kept }
  } catch (error) {
    throw copyFailure(error, { from: draft.path, to: database })
  } finally {
    signal?.removeEventListener('abort', drop)
    draft.drop()
  }
}

/** An empty file is an empty database: there is nothing in it to keep. */
function isThere(database: string): boolean {
  const size = (path: string) => statSync(path, { throwIfNoEntry: false })?.size ?? 0
  if (size(database) > 0 || size(`${database}-wal`) > 0) return true
  if (existsSync(database)) {
    if (!statSync(database).isFile()) throw new StartError(`Database ${database} is no file: move it away`)
    using _alone = takeSoleUse(database)
    for (const part of ['', '-wal', '-shm']) rmSync(`${database}${part}`, { force: true })
  }
  return false
}

async function copyOut(
  source: BackupSource,
  path: string,
  onProgress: BackupProgress | undefined,
): Promise<Backup> {
  const count = counting(source.size, onProgress)
  const file = openSync(path, 'r+')
  try {
    return await readBackup(source, (piece) => {
      writeAll(file, piece)
      count(piece)
    })
  } finally {
    closeSync(file)
  }
}

function keptName(database: string, clock: () => number): string {
  return `${database}.before-restore-${new Date(clock()).toISOString().replace(/[-:]|\.\d+/g, '')}`
}

/**
 * Gives the old database a second name; the first one it has until the new database takes it. As long as the result is
 * not disposed of no server can start. What is left of its log must be away before: SQLite would write it into the new
 * database. It is copied first, since opening a damaged one can delete it.
 */
function keepOld(database: string, kept: string): Disposable | undefined {
  const [log, keptLog] = [`${database}-wal`, `${kept}-wal`]
  if (existsSync(log)) copyFileSync(log, keptLog, constants.COPYFILE_EXCL)
  let alone: Disposable | undefined
  try {
    alone = takeSoleUse(database)
    if (existsSync(database)) keepAs(database, kept)
  } catch (error) {
    alone?.[Symbol.dispose]()
    rmSync(keptLog, { force: true })
    throw error
  }
  // The whole log is in the database now.
  if (alone !== undefined) rmSync(keptLog, { force: true })
  // The log last: the other file without it would be a sign of lost commits.
  for (const part of ['-shm', '-wal']) rmSync(`${database}${part}`, { force: true })
  return alone
}
