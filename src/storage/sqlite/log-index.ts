// What the shared-memory file beside a database says of its log (https://www.sqlite.org/walformat.html, section 2). After
// a crash it is the only witness of a log that is gone or cut short: SQLite takes what it finds for all there was.
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'

export interface LogIndex {
  /** How many frames of the log are committed. */
  frames: number
  /** How many of them are in the database file too. */
  copied: number
  /** Tells one log from the next, which begins at the front of the file again. */
  salt: string
  /** Of the frames up to the last committed one. */
  checksum: readonly [number, number]
}

const COPY_BYTES = 48
const INITIALISED_AT = 12
const FRAMES_AT = 16
const CHECKSUM_AT = 24
const SALT_AT = 32
const SALT_BYTES = 8
const COPIED_AT = 96
const SIZE = 100

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
    checksum: [bytes.readInt32LE(CHECKSUM_AT), bytes.readInt32LE(CHECKSUM_AT + 4)],
  }
}

/** Whether commits were in the log alone. */
export function hasUncopied(index: LogIndex | undefined): index is LogIndex {
  return index !== undefined && index.frames > index.copied
}

/** Whether the log holds all that the index tells of, or is a later one, which begins when all of that was copied. */
export function holdsAll(path: string, index: LogIndex): boolean {
  let file: number
  try {
    file = openSync(`${path}-wal`, 'r')
  } catch {
    return false
  }
  try {
    return isLaterOrWhole(file, index)
  } finally {
    closeSync(file)
  }
}

/** Whether both tell the same: nobody has worked on the log in between. */
export function isSame(one: LogIndex | undefined, other: LogIndex | undefined): boolean {
  return Bun.deepEquals(one, other)
}

// ── The log itself (section 4 of the same page) ─────────────────────────────────────────────────────────────────

const MAGIC = 0x377f0682
const LOG_HEADER_SIZE = 32
const FRAME_HEADER_SIZE = 24
const PAGE_SIZE_MAX = 65_536
/** Each log adds one to the first salt. More than so many do not begin before the index is on disk. */
const LATER_LOGS_MAX = 4096

function isLaterOrWhole(file: number, { frames, salt, checksum }: LogIndex): boolean {
  const header = Buffer.from(new ArrayBuffer(LOG_HEADER_SIZE))
  if (readSync(file, header) < LOG_HEADER_SIZE || header.readUInt32BE(0) !== MAGIC) return false
  const pageSize = header.readUInt32BE(8)
  let sums: Sums = addTo([0, 0], header, { from: 0, bytes: 24 })
  if (pageSize > PAGE_SIZE_MAX || !isSum(sums, header.subarray(24))) return false
  const found = header.toString('hex', 16, 24)
  if (found !== salt) {
    const later = (header.readUInt32BE(16) - Buffer.from(salt, 'hex').readUInt32BE(0)) >>> 0
    return later > 0 && later <= LATER_LOGS_MAX
  }
  // SQLite reads up to the first frame that does not go on with the sums of those before it.
  const frame = Buffer.from(new ArrayBuffer(FRAME_HEADER_SIZE + pageSize))
  for (let number = 0; number < frames; number++) {
    if (readSync(file, frame) < frame.length || frame.toString('hex', 8, 16) !== salt) return false
    sums = addTo(sums, frame, { from: 0, bytes: 8 })
    sums = addTo(sums, frame, { from: FRAME_HEADER_SIZE, bytes: pageSize })
    if (!isSum(sums, frame.subarray(16))) return false
  }
  return sums[0] === checksum[0] && sums[1] === checksum[1]
}

/** Whole numbers of 32 bits with a sign, which are added twice as fast. */
type Sums = readonly [number, number]

function addTo([first, second]: Sums, bytes: Buffer, part: { from: number; bytes: number }): Sums {
  const words = new Int32Array(bytes.buffer as ArrayBuffer, part.from, part.bytes / 4)
  let [one, two] = [first, second]
  for (let at = 0; at < words.length; at += 2) {
    one = (one + (words[at] as number) + two) | 0
    two = (two + (words[at + 1] as number) + one) | 0
  }
  return [one, two]
}

function isSum([first, second]: Sums, bytes: Buffer): boolean {
  return bytes.readInt32BE(0) === first && bytes.readInt32BE(4) === second
}
