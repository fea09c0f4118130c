// What a backup file is: a whole SQLite database, which any SQLite tool opens as it is, and an end that SQLite does not
// look at: a line of JSON that has the key ring, and a line with a checksum of all before it. It opens no database.
import { StartError } from '../core/errors.ts'
import { APPLICATION_ID, FORMAT, HEADER_SIZE, MAGIC } from './sqlite/database.ts'

/** Where the bytes of a backup come from. */
export interface BackupSource {
  /** As the user knows it. */
  name: string
  size: number
  /** The bytes from `from` on, before `to`. */
  read(from: number, to: number): AsyncIterable<Uint8Array>
}

/** What the end of a backup says. */
export interface BackupNotes {
  /** RFC 3339, UTC: nothing that was written later is in it. */
  createdAt: string
  /** Of the hipflask that made it. */
  version: string
  /** Texts of the key files by their names. */
  keys: Readonly<Record<string, string>>
}

export interface Backup extends BackupNotes {
  databaseBytes: number
  /** Of the whole file but its last 65 bytes, which are this one and a line end. */
  sha256: string
}

const NOTES_FORMAT = 1
/** A hundred keys take 20 KB. */
const NOTES_BYTES_MAX = 1024 * 1024
const SIZE_DIGITS = 16
const HASH_DIGITS = 64
const SEAL = /^hipflask-backup database ([0-9]{16}) sha256 ([0-9a-f]{64})\n$/
const SEAL_BYTES = sealStart(0).length + HASH_DIGITS + 1

/** Gets the bytes of the database piece by piece, in order, before it is known whether they are right. */
export type PieceTaker = (piece: Uint8Array) => void

/** The bytes to write after those of the database, of which `hash` has taken in all. */
export function endOf(notes: BackupNotes, databaseBytes: number, hash: Bun.CryptoHasher): Uint8Array {
  const { createdAt, version, keys } = notes
  const json = JSON.stringify({ hipflask_backup: NOTES_FORMAT, created_at: createdAt, version, keys })
  const text = `${json}\n${sealStart(databaseBytes)}`
  return new TextEncoder().encode(`${text}${hash.update(text).digest('hex')}\n`)
}

/**
 * Reads all of a backup. Throws StartError: exit code 3 where it is none, or a single bit is not as it was written, 4
 * where a newer hipflask made it.
 */
export async function readBackup(source: BackupSource, take: PieceTaker = () => {}): Promise<Backup> {
  const { name, size } = source
  const header = size < HEADER_SIZE + SEAL_BYTES ? undefined : await readBytes(source, 0, HEADER_SIZE)
  if (header === undefined || !header.toString('latin1').startsWith(MAGIC)) {
    throw new StartError(`${name} is no backup of hipflask`, 3)
  }
  const seal = SEAL.exec((await readBytes(source, size - SEAL_BYTES, size)).toString('latin1'))
  if (seal === null) {
    throw new StartError(
      `${name} does not end as a backup of hipflask does: it is cut short or was changed, or is a database that hipflask backup has not made`,
      3,
    )
  }
  const [databaseBytes, sha256] = [Number(seal[1]), seal[2] as string]
  const notesBytes = size - SEAL_BYTES - databaseBytes
  if (notesBytes <= 0 || notesBytes > NOTES_BYTES_MAX) throw damagedBackup(name)
  await checkContent(source, { databaseBytes, sha256, take })
  // Only now, since a flipped bit can look like another version.
  if (header.readUInt32BE(68) !== APPLICATION_ID) throw damagedBackup(name)
  if (header.readUInt32BE(60) > FORMAT) throw newerBackup(name)
  const notes = await readBytes(source, databaseBytes, size - SEAL_BYTES)
  return { ...notesOf(notes.toString('utf8'), name), databaseBytes, sha256 }
}

/** `take` gets the bytes of the database alone. */
async function checkContent(
  source: BackupSource,
  { databaseBytes, sha256, take }: { databaseBytes: number; sha256: string; take: PieceTaker },
): Promise<void> {
  const hash = new Bun.CryptoHasher('sha256')
  const { name, size } = source
  const end = size - HASH_DIGITS - 1
  let offset = 0
  for await (const piece of source.read(0, end)) {
    hash.update(piece)
    if (offset < databaseBytes) take(piece.subarray(0, databaseBytes - offset))
    offset += piece.length
  }
  if (offset !== end || hash.digest('hex') !== sha256) throw damagedBackup(name)
}

function notesOf(text: string, name: string): BackupNotes {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw damagedBackup(name)
  }
  const notes = value as {
    hipflask_backup?: unknown
    created_at?: unknown
    version?: unknown
    keys?: unknown
  }
  if (typeof notes?.hipflask_backup !== 'number') throw damagedBackup(name)
  if (notes.hipflask_backup > NOTES_FORMAT) throw newerBackup(name)
  const { created_at: createdAt, version, keys } = notes
  if (
    typeof createdAt !== 'string' ||
    typeof version !== 'string' ||
    typeof keys !== 'object' ||
    keys === null
  )
    throw damagedBackup(name)
  if (!Object.values(keys).every((key) => typeof key === 'string')) throw damagedBackup(name)
  return { createdAt, version, keys: keys as Record<string, string> }
}

async function readBytes(source: BackupSource, from: number, to: number): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of source.read(from, to)) pieces.push(piece)
  return Buffer.concat(pieces)
}

function sealStart(databaseBytes: number): string {
  return `hipflask-backup database ${String(databaseBytes).padStart(SIZE_DIGITS, '0')} sha256 `
}

/** Also for who has looked closer. */
export function damagedBackup(name: string, cause?: unknown): StartError {
  return new StartError(`${name} is damaged: take another backup`, 3, cause)
}

function newerBackup(name: string): StartError {
  return new StartError(`${name} was made by a newer hipflask: use that version or a later one`, 4)
}
