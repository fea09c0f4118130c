// The text of an API key, `hf_<id>_<secret><checksum>`: made, and taken apart again without a database. It knows no
// accounts.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { bytesOfUuid, uuidOfBytes } from '../core/ids.ts'
import { base62Length, decodeBase62, encodeBase62 } from './base62.ts'

/** What every key begins with, and no access token can. */
export const API_KEY_PREFIX = 'hf_'

/** A key that was made. The text is shown once and then only its hash is known. */
export interface NewApiKey {
  text: string
  /** SHA-256, base64url. */
  hash: string
}

const SECRET_BYTES = 32
const UUID_BYTES = 16
const CHECKSUM_BYTES = 4
const ID_LENGTH = base62Length(UUID_BYTES)
const SECRET_LENGTH = base62Length(SECRET_BYTES)
const CHECKSUM_LENGTH = base62Length(CHECKSUM_BYTES)
const KEY = new RegExp(
  `^(${API_KEY_PREFIX}([0-9A-Za-z]{${ID_LENGTH}})_[0-9A-Za-z]{${SECRET_LENGTH}})([0-9A-Za-z]{${CHECKSUM_LENGTH}})$`,
)
const PREFIX = new RegExp(`^${API_KEY_PREFIX}([0-9A-Za-z]{${ID_LENGTH}})$`)

/** A new key for the row with this id, a UUID. */
export function newApiKey(id: string): NewApiKey {
  const body = `${prefixOf(id)}_${encodeBase62(randomBytes(SECRET_BYTES))}`
  const text = body + checksumOf(body)
  return { text, hash: hashOf(text) }
}

/** The part of a key that is no secret and tells it from others: `hf_<id>`. */
export function prefixOf(id: string): string {
  return API_KEY_PREFIX + encodeBase62(bytesOfUuid(id))
}

/** The id of the row whose key has this prefix; undefined where none can have it. */
export function idOfPrefix(prefix: string): string | undefined {
  const [, id] = PREFIX.exec(prefix) ?? []
  return id === undefined ? undefined : decodeId(id)
}

/**
 * The id of the row that a key names; undefined for what is no key. The checksum finds a character that is changed or
 * swapped with its neighbour, the length one that is missing or doubled.
 */
export function idOfApiKey(text: string): string | undefined {
  const [, body, id, checksum] = KEY.exec(text) ?? []
  if (body === undefined || id === undefined || checksum !== checksumOf(body)) return undefined
  return decodeId(id)
}

/** Whether the key has this hash, in the same time whatever it is. */
export function hasHash(text: string, hash: string): boolean {
  const [own, other] = [Buffer.from(hashOf(text)), Buffer.from(hash)]
  return own.length === other.length && timingSafeEqual(own, other)
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

function checksumOf(body: string): string {
  const bytes = Buffer.alloc(CHECKSUM_BYTES)
  bytes.writeUInt32BE(Bun.hash.crc32(body))
  return encodeBase62(bytes)
}

function decodeId(text: string): string | undefined {
  const bytes = decodeBase62(text, UUID_BYTES)
  return bytes === undefined ? undefined : uuidOfBytes(bytes)
}
