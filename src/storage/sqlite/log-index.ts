// What the shared-memory file beside a database says of its log (https://www.sqlite.org/walformat.html, section 2). After
// a crash it is the only witness of a log that is gone or cut short: SQLite takes what it finds for all there was.
import { readFileSync } from 'node:fs'

export interface LogIndex {
  /** How many frames of the log are committed. */
  frames: number
  /** How many of them are in the database file too. */
  copied: number
  /** Tells one log from the next, which begins at the front of the file again. All zero where no log was found. */
  salt: string
}

const COPY_BYTES = 48
const INITIALISED_AT = 12
const FRAMES_AT = 16
const SALT_AT = 32
const SALT_BYTES = 8
const COPIED_AT = 96
const SIZE = 100

const NO_SALT = '0'.repeat(2 * SALT_BYTES)

/** Undefined where there is no such file, or it says nothing that can be relied on. */
export function readLogIndex(path: string): LogIndex | undefined {
  let bytes: Buffer
  try {
    bytes = readFileSync(`${path}-shm`)
  } catch {
    return undefined
  }
  // The header is there twice, so that one half-written is noticed.
  const isWhole = bytes.subarray(0, COPY_BYTES).equals(bytes.subarray(COPY_BYTES, 2 * COPY_BYTES))
  if (bytes.length < SIZE || !isWhole || bytes[INITIALISED_AT] !== 1) return undefined
  // In the byte order of the machine that wrote it: every machine that Bun runs on is little-endian.
  return {
    frames: bytes.readUInt32LE(FRAMES_AT),
    copied: bytes.readUInt32LE(COPIED_AT),
    salt: bytes.subarray(SALT_AT, SALT_AT + SALT_BYTES).toString('hex'),
  }
}

/** Whether commits were in the log alone. */
export function hasUncopied(index: LogIndex | undefined): index is LogIndex {
  return index !== undefined && index.frames > index.copied
}

/** Whether frames that were committed before a crash are not in the log that was found after it. */
export function hasLost(before: LogIndex | undefined, after: LogIndex | undefined): boolean {
  if (!hasUncopied(before) || after === undefined) return false
  return after.salt === NO_SALT || (after.salt === before.salt && after.frames < before.frames)
}
