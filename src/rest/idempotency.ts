// Idempotency-Key: a write that is sent again, for its answer was lost, is not done again (draft-ietf-httpapi-
// idempotency-key-header-07). The answer is stored in the commit of the write itself, so that there is never one
// without the other.
import { createHmac } from 'node:crypto'
import type { Principal } from '../access/principal.ts'
import { timestamp, type Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { proceed, type Eventual } from '../core/eventual.ts'
import { Reply } from '../http/route.ts'
import { findAnswer, idempotencyKeyOf, idempotencyTable, insertAnswer } from '../storage/idempotency-table.ts'
import type { IdempotencyKey, StoredAnswer } from '../storage/idempotency-table.ts'
import type { Operation, Row, Store } from '../storage/store.ts'
import type { HeaderReader } from './conditions.ts'

/** How long an answer is kept. */
export const ANSWER_LIFETIME_MS = 24 * 60 * 60 * 1000
export const MAX_KEY_LENGTH = 255
/** Requests with a key that are under way at once. */
const MAX_IN_FLIGHT = 10_000
const SWEEP_MS = 10 * 60 * 1000
const SWEEP_ROWS = 1000

/** What of a request matters here. */
export interface KeyedRequest {
  header: HeaderReader
  principal: Principal
  /** A create's path is the list's, a patch's the record's: the target says which of the two it is. */
  target: string
  body: unknown
}

/**
 * A write: `act` does it, with a step that joins its commit; `answer` is what its rows are answered with, and kept; and
 * `wish` makes of that, be it new or repeated, what this request prefers.
 */
export interface Write<R = KeyedRequest> {
  act: (request: R, also: AlsoStep | undefined) => Eventual<readonly Row[]>
  answer: (rows: readonly Row[], request: R) => Reply
  wish: (reply: Reply, request: R) => Reply
}

/** Made inside the transaction, of the rows that the commit has written. */
export type AlsoStep = (rows: readonly Row[]) => Operation

export interface Idempotency {
  /** Does the write, or gives the answer that it had. Throws AppError `idempotency_mismatch` or `conflict`. */
  once: <R extends KeyedRequest>(request: R, write: Write<R>) => Eventual<Reply>
  /** Ends the background sweep. */
  stop: () => void
}

export function createIdempotency(store: Store, clock: Clock): Idempotency {
  const inFlight = new Set<number>()
  const oldest = () => timestamp(clock() - ANSWER_LIFETIME_MS)
  const sweep = setInterval(() => void deleteOld(store, oldest()), SWEEP_MS)
  sweep.unref()

  const once: Idempotency['once'] = (request, write) => {
    const text = request.header('idempotency-key')
    const { act, answer, wish } = write
    if (text === null) return proceed(act(request, undefined), (rows) => wish(answer(rows, request), request))
    const keyed = { key: keyOf(text, request.principal), requestDigest: digestOf(text, request) }
    return onceByKey(keyed, request, write).then((reply) => wish(reply, request))
  }

  const onceByKey = async <R>({ key, requestDigest }: Keyed, request: R, { act, answer }: Write<R>) => {
    if (inFlight.has(key.id)) throw stillInFlight()
    if (inFlight.size >= MAX_IN_FLIGHT) throw new AppError('unavailable')
    inFlight.add(key.id)
    try {
      const stored = await findAnswer(store, key)
      if (stored !== undefined && stored.createdAt >= oldest()) return replay(stored, requestDigest)
      if (stored !== undefined)
        await store.commit([{ kind: 'delete', table: idempotencyTable.name, id: key.id }])
      let reply: Reply | undefined
      const rows = await act(request, (written) => {
        // Made once: what the author's code computes may be another a moment later, and the replay is to be the same.
        reply = answer(written, request)
        const { status, body, headers } = reply
        return insertAnswer(key, {
          requestDigest,
          status,
          body: body === undefined ? null : JSON.stringify(body),
          headers,
          createdAt: timestamp(clock()),
        })
      })
      return reply ?? answer(rows, request)
    } finally {
      inFlight.delete(key.id)
    }
  }
  return { once, stop: () => clearInterval(sweep) }
}

interface Keyed {
  key: IdempotencyKey
  requestDigest: string
}

/** The error of a key whose first request has no answer yet. */
export function stillInFlight(): AppError {
  return new AppError('conflict', {
    message: 'A request with this Idempotency-Key is under way, try again',
    headers: { 'retry-after': '1' },
  })
}

function keyOf(text: string, { kind, id }: Principal): IdempotencyKey {
  if (text === '' || text.length > MAX_KEY_LENGTH || !/^[\x20-\x7e]+$/.test(text)) {
    const message = `Expected 1 to ${MAX_KEY_LENGTH} printable ASCII characters`
    throw new AppError('bad_request', { details: [{ field: 'Idempotency-Key', message }] })
  }
  return idempotencyKeyOf(`${kind} ${id ?? ''}`, text)
}

// Keyed by the text of the key, which is not stored: a password in the body is not to be had by guessing from a digest
// in the database.
function digestOf(text: string, { target, body }: KeyedRequest): string {
  return createHmac('sha256', text)
    .update(`${target}\n${JSON.stringify(body)}`)
    .digest('base64url')
}

function replay({ requestDigest, status, body, headers }: StoredAnswer, asked: string): Reply {
  if (requestDigest !== asked) throw new AppError('idempotency_mismatch')
  const value: unknown = body === null ? undefined : JSON.parse(body)
  return new Reply(status, value, { ...headers, 'idempotency-replayed': 'true' })
}

// Rows that a sweep leaves are found by the next one; a failure too.
async function deleteOld(store: Store, before: string): Promise<void> {
  try {
    const { name: table } = idempotencyTable
    const sweep = { table, column: 'created_at', before, limit: SWEEP_ROWS }
    while ((await store.deleteOlderThan(sweep)) === SWEEP_ROWS) await Bun.sleep(0)
  } catch {
    // The store is stopping or can't write: its own errors are told where they matter.
  }
}
