// Files that have their name only once they are whole and on disk. Until then they have another, which tells that they
// are not.
import {
  chownSync,
  closeSync,
  copyFileSync,
  constants,
  existsSync,
  fsyncSync,
  linkSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs'
import { basename, dirname } from 'node:path'
import { StartError } from '../core/errors.ts'

/** A draft that has not been touched for so long is of a process that was killed. */
const STALE_MS = 60_000
const TOUCH_MS = 1000

/** A file that is being written. */
export interface Draft {
  /** What is written to. It must be opened as a file that is there: else it would come back after it is dropped. */
  path: string
  /** Gives it its name, where nothing has it yet, and only when all of it is on disk. */
  finish: () => void
  /** Gives it its name, whatever had it. */
  replace: () => void
  /** Removes it unless it is finished. */
  drop: () => void
}

/** Removes a draft of a process that was killed. */
export function removeAbandoned(draft: string): void {
  const stat = statSync(draft, { throwIfNoEntry: false })
  if (stat !== undefined && Date.now() - stat.mtimeMs > STALE_MS) remove(draft)
}

/** The name of a file while it is written. */
export function draftOf(path: string): string {
  return `${path}.unfinished`
}

/**
 * Makes an empty file, mode 0600, beside what it will be. Throws StartError where the folder can't be written to, or
 * another process writes the same file now.
 */
export function createDraft(target: string): Draft {
  const path = draftOf(target)
  try {
    removeAbandoned(path)
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    throw creationFailure(error, target)
  }
  let isDone = false
  const touching = setInterval(() => touch(path), TOUCH_MS)
  touching.unref()
  const end = () => {
    isDone = true
    clearInterval(touching)
  }
  return {
    path,
    finish() {
      sync(path)
      if (link(path, target)) rmSync(path)
      else if (existsSync(target)) throw existsAlready(target)
      else renameSync(path, target)
      sync(dirname(target))
      end()
    },
    replace() {
      sync(path)
      renameSync(path, target)
      sync(dirname(target))
      end()
    },
    drop() {
      if (isDone) return
      end()
      remove(path)
    },
  }
}

/** With what SQLite has put beside it. */
function remove(draft: string): void {
  for (const path of [draft, `${draft}-journal`]) rmSync(path, { force: true })
}

/** Keeps a file under a second name, which nothing may have yet. Throws StartError where something has it. */
export function keepAs(path: string, name: string): void {
  // Not every file system knows a second name of a file.
  if (!link(path, name)) copyFileSync(path, name, constants.COPYFILE_EXCL)
}

/** False where the file system can't do it. */
function link(path: string, name: string): boolean {
  try {
    linkSync(path, name)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw existsAlready(name)
    return false
  }
}

/** Where an administrator restores: what is made belongs to whoever has the folder, as its server must open it. */
export function giveToOwnerOf(folder: string, path: string): void {
  if (process.getuid?.() !== 0) return
  const { uid, gid } = statSync(folder)
  chownSync(path, uid, gid)
}

/** What is written to a file or folder is on disk. */
export function sync(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

export function existsAlready(name: string): StartError {
  return new StartError(`File ${name} exists already: choose another name, or move it away`)
}

function touch(path: string): void {
  const now = new Date()
  if (existsSync(path)) utimesSync(path, now, now)
}

function creationFailure(error: unknown, target: string): StartError {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EEXIST') {
    return new StartError(
      `File ${target} is being written by another process, or was by one that was killed: try again in a minute`,
      1,
      error,
    )
  }
  if (code === 'ENOENT') return new StartError(`Folder ${dirname(target)} does not exist: make it`, 1, error)
  return new StartError(
    `File ${basename(target)} cannot be made in ${dirname(target)} (${code}): choose a folder that this user may write to`,
    1,
    error,
  )
}
