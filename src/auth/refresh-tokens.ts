// Refresh tokens: what they are made of, and which text was made here. They are no secrets of the database: it keeps
// the hash of the current one alone, and knows the others by their tag. When one is spent is decided elsewhere
// (token-pairs.ts).
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { bytesOfUuid, uuidOfBytes } from '../core/ids.ts'
import { decodeBase62, encodeBase62 } from './base62.ts'

/** What every refresh token begins with, and neither an access token nor an API key does. */
export const REFRESH_TOKEN_PREFIX = 'hfr_'

/** What an authentic token says of itself. */
export interface RefreshClaims {
  readonly sessionId: string
  /** How many tokens the session had before it. */
  readonly count: number
}

export interface RefreshTokens {
  /** A new token, the first of its session. */
  first(sessionId: string): string
  /** Undefined for every text that was not made here, which says nothing of whether it is spent. */
  read(token: string): RefreshClaims | undefined
  /** The one token that follows an authentic one: always the same. */
  successorOf(token: string): string
}

// Session id, count, secret, tag.
const ID_BYTES = 16
const COUNT_BYTES = 4
const SECRET_BYTES = 32
const TAG_BYTES = 16
const TAG_AT = ID_BYTES + COUNT_BYTES + SECRET_BYTES
const TOKEN_BYTES = TAG_AT + TAG_BYTES

/** `secret` is that of the database, so that every node knows the tokens of the others. */
export function createRefreshTokens(secret: Uint8Array): RefreshTokens {
  const digest = (purpose: 'tag' | 'next', bytes: Uint8Array): Buffer =>
    createHmac('sha256', secret).update(`refresh ${purpose}\0`).update(bytes).digest()
  const tagOf = (bytes: Uint8Array) => digest('tag', bytes.subarray(0, TAG_AT)).subarray(0, TAG_BYTES)

  function write(id: Uint8Array, count: number, tokenSecret: Uint8Array): string {
    const bytes = Buffer.alloc(TOKEN_BYTES)
    bytes.set(id)
    bytes.writeUInt32BE(count, ID_BYTES)
    bytes.set(tokenSecret, ID_BYTES + COUNT_BYTES)
    bytes.set(tagOf(bytes), TAG_AT)
    return REFRESH_TOKEN_PREFIX + encodeBase62(bytes)
  }
  function authentic(token: string): Buffer | undefined {
    if (!token.startsWith(REFRESH_TOKEN_PREFIX)) return undefined
    const decoded = decodeBase62(token.slice(REFRESH_TOKEN_PREFIX.length), TOKEN_BYTES)
    if (decoded === undefined) return undefined
    const bytes = Buffer.from(decoded.buffer)
    return timingSafeEqual(bytes.subarray(TAG_AT), tagOf(bytes)) ? bytes : undefined
  }
  return {
    first: (sessionId) => write(bytesOfUuid(sessionId), 0, randomBytes(SECRET_BYTES)),
    read(token) {
      const bytes = authentic(token)
      if (bytes === undefined) return undefined
      return { sessionId: uuidOfBytes(bytes.subarray(0, ID_BYTES)), count: bytes.readUInt32BE(ID_BYTES) }
    },
    successorOf(token) {
      const bytes = authentic(token)
      if (bytes === undefined) throw new TypeError('Only a token that was made here has a successor')
      const count = bytes.readUInt32BE(ID_BYTES) + 1
      return write(bytes.subarray(0, ID_BYTES), count, digest('next', bytes.subarray(0, TAG_AT)))
    },
  }
}

/** What is stored of a token: SHA-256, base64url. 32 random bytes need no slow hash. */
export function refreshHash(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

/** Whether this is the token of a stored hash. */
export function isOfHash(token: string, hash: string): boolean {
  const [own, stored] = [Buffer.from(refreshHash(token)), Buffer.from(hash)]
  return own.length === stored.length && timingSafeEqual(own, stored)
}
