// The answers of writes that carried an Idempotency-Key, stored in the commit of the write itself. It knows neither
// HTTP nor when an answer is too old: rest/ looks up and inserts, and sweeps.
import { createHash } from 'node:crypto'
import type { Insert, Store, Table } from './store.ts'

/** A key of one principal: what finds its row, and what tells it from another key that falls on the same row. */
export interface IdempotencyKey {
  /** 53 bits of the digest: an integer key makes an insert twice as fast as a text one. */
  readonly id: number
  /** SHA-256 of principal and key, base64url. */
  readonly digest: string
}

export interface StoredAnswer {
  /** SHA-256 of what was asked; the same key with another one is a mistake of the client. */
  requestDigest: string
  status: number
  /** Null where the answer has none. */
  body: string | null
  headers: Readonly<Record<string, string>>
  /** RFC 3339, UTC, milliseconds. */
  createdAt: string
}

export const idempotencyTable: Table = {
  name: '_hipflask_idempotency',
  id: 'given',
  columns: [
    { name: 'digest', kind: 'text', nullable: false },
    { name: 'request_digest', kind: 'text', nullable: false },
    { name: 'status', kind: 'integer', nullable: false },
    { name: 'body', kind: 'text', nullable: true },
    { name: 'headers', kind: 'json', nullable: false },
    { name: 'created_at', kind: 'text', nullable: false, index: true },
  ],
}

/** `principal` is who asks, in any text that names nobody else; `key` is the header's value. */
export function idempotencyKeyOf(principal: string, key: string): IdempotencyKey {
  // The length keeps ("ab", "c") and ("a", "bc") apart.
  const hash = createHash('sha256').update(`${principal.length}:${principal}${key}`).digest()
  return { id: Number(hash.readBigUInt64BE() >> 11n), digest: hash.toString('base64url') }
}

/** The stored answer of the key, if there is one. */
export async function findAnswer(store: Store, key: IdempotencyKey): Promise<StoredAnswer | undefined> {
  const row = await store.get(idempotencyTable.name, key.id, { digest: key.digest })
  if (row === undefined) return undefined
  return {
    requestDigest: row['request_digest'] as string,
    status: row['status'] as number,
    body: row['body'] as string | null,
    headers: row['headers'] as Record<string, string>,
    createdAt: row['created_at'] as string,
  }
}

/**
 * The step that stores an answer. A commit with it throws UniqueError of `id` at this step where another process has
 * stored one under the same key in between.
 */
export function insertAnswer(key: IdempotencyKey, answer: StoredAnswer): Insert {
  const { requestDigest, status, body, headers, createdAt } = answer
  const values = { request_digest: requestDigest, status, body, headers, created_at: createdAt }
  return {
    kind: 'insert',
    table: idempotencyTable.name,
    id: key.id,
    values: { digest: key.digest, ...values },
  }
}
