// Cursors: a place in the order of a list as text that only this deployment can make, and that fits only the list that
// it came from. It knows no HTTP; what a list is bound by is the caller's business.
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Keyset } from '../storage/query.ts'
import type { ColumnKind, Id, Row } from '../storage/store.ts'

/** What a cursor belongs to. */
export interface CursorScope {
  /** All that decides which rows there are and their order, in one spelling: resource, filter, search, sort. */
  binding: string
  /** The sort keys and their kinds, without the id that ends every order. */
  order: readonly { name: string; kind: ColumnKind }[]
  id: 'integer' | 'uuid'
}

/**
 * A place in an order. Where the values of the row were too long for a cursor, it is the row itself: the place exists
 * as long as the row has this version.
 */
export type Place = Keyset | { id: Id; version: number }

export interface Cursors {
  /** The place of a row. */
  encode(row: Row, scope: CursorScope): string
  /** Undefined for a text that `encode` did not make for this scope, by this key. */
  decode(text: string, scope: CursorScope): Place | undefined
}

/** Characters. */
export const MAX_CURSOR_LENGTH = 6144
/** Of the 32 bytes of HMAC-SHA-256: a guess is right once in 2^128. */
const SIGNATURE_BYTES = 16
const MAX_PAYLOAD_BYTES = (MAX_CURSOR_LENGTH / 4) * 3 - SIGNATURE_BYTES
const MIN_KEY_BYTES = 32

/** Cursors are valid as long as the key is the same. Throws TypeError for a key of fewer than 32 bytes. */
export function createCursors(key: Uint8Array): Cursors {
  if (key.length < MIN_KEY_BYTES) throw new TypeError(`A cursor key has at least ${MIN_KEY_BYTES} bytes`)
  // The length keeps what belongs to the binding from passing for payload, and the other way round.
  const sign = (payload: Uint8Array, binding: string): Buffer =>
    createHmac('sha256', key)
      .update(`${payload.length}:${binding}\n`)
      .update(payload)
      .digest()
      .subarray(0, SIGNATURE_BYTES)
  return {
    encode(row, { binding, order }) {
      const values = order.map(({ name }) => row[name] ?? null)
      let payload = Buffer.from(JSON.stringify([row.id, values]))
      if (payload.length > MAX_PAYLOAD_BYTES) payload = Buffer.from(JSON.stringify([row.id, row._version]))
      return Buffer.concat([sign(payload, binding), payload]).toString('base64url')
    },
    decode(text, scope) {
      if (text.length > MAX_CURSOR_LENGTH) return undefined
      const bytes = Buffer.from(text, 'base64url')
      // The decoder passes over what is not base64url, and over unused bits: one cursor would have many spellings.
      if (bytes.length <= SIGNATURE_BYTES || bytes.toString('base64url') !== text) return undefined
      const payload = bytes.subarray(SIGNATURE_BYTES)
      if (!timingSafeEqual(bytes.subarray(0, SIGNATURE_BYTES), sign(payload, scope.binding))) return undefined
      return placeOf(JSON.parse(payload.toString()) as [Id, unknown], scope)
    },
  }
}

// Signed by us, but perhaps before the declaration changed: the values may be of other kinds now.
function placeOf([id, rest]: [Id, unknown], scope: CursorScope): Place | undefined {
  if (typeof id !== (scope.id === 'uuid' ? 'string' : 'number')) return undefined
  if (typeof rest === 'number') return { id, version: rest }
  const values = rest as Keyset['values']
  const { order } = scope
  const fits = order.every(({ kind }, index) => values[index] === null || isOfKind(kind, values[index]))
  return fits && values.length === order.length ? { values, id } : undefined
}

function isOfKind(kind: ColumnKind, value: unknown): boolean {
  switch (kind) {
    case 'text':
      return typeof value === 'string'
    case 'real':
      return typeof value === 'number'
    case 'integer':
      return Number.isSafeInteger(value)
    case 'boolean':
      return typeof value === 'boolean'
    case 'json':
      return false
  }
}
