// API keys: long-lived credentials of programs, bounded by scopes. A key is shown once and stored as its SHA-256. What a
// scope may be, and who may ask for it, is checked before (api-key-routes.ts, cli/key.ts).
import { timestamp, type Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { newUuid } from '../core/ids.ts'
import type { Logger } from '../core/logger.ts'
import { createQueue } from '../rest/record-queue.ts'
import { BrokenReferenceError, StaleError, type Row, type Store, type Table } from '../storage/store.ts'
import { hasHash, idOfApiKey, newApiKey, prefixOf } from './api-key-text.ts'
import { invalidToken, tokenExpired, tokenRevoked } from './challenges.ts'
import { createKeyUses } from './key-uses.ts'
import { keyPrincipal, type Known } from './principals.ts'
import { findById as findUser, userIdColumn } from './users.ts'

/** Keys that one account may have. */
export const KEYS_MAX = 100
/** Keys of one page. */
export const PAGE_MAX = 1000
/** How long a key that was found stands for its owner before its use is noted again. */
export const USE_INTERVAL_MS = 60_000

/** A stored key. Times are RFC 3339, UTC. */
export interface ApiKey {
  readonly id: string
  readonly _version: number
  /** Whose rights bound it. */
  readonly user_id: string
  readonly name: string
  /** SHA-256 of the whole key, base64url. */
  readonly key_hash: string
  readonly scopes: readonly string[]
  readonly expires_at: string | null
  readonly last_used_at: string | null
  readonly created_at: string
}

export const apiKeysTable: Table = {
  name: '_hipflask_api_keys',
  id: 'uuid',
  columns: [
    userIdColumn,
    { name: 'name', kind: 'text', nullable: false },
    { name: 'key_hash', kind: 'text', nullable: false },
    { name: 'scopes', kind: 'json', nullable: false },
    { name: 'expires_at', kind: 'text', nullable: true },
    { name: 'last_used_at', kind: 'text', nullable: true },
    { name: 'created_at', kind: 'text', nullable: false },
  ],
}

export interface ApiKeysOptions {
  store: Store
  clock: Clock
  /** Of uses that can't be noted. */
  logger: Logger
}

export interface KeyToMake {
  userId: string
  name: string
  scopes: readonly string[]
  /** Milliseconds since 1970; null: never. */
  expiresAt: number | null
}

/** A key that is good. */
export interface KnownKey extends Known {
  keyId: string
  /** When the key itself is over, in milliseconds since 1970; Infinity for one that never is. */
  expiresMs: number
}

export interface ApiKeys {
  /**
   * Whose key it is. Throws AppError `invalid_token` where it is none, `token_expired` where its time is over,
   * `token_revoked` where its owner is disabled.
   */
  find(key: string): Promise<KnownKey>
  /** The same for a key that was shown before; undefined where it is not good any more. */
  findById(id: string): Promise<KnownKey | undefined>
  /** Makes a key; its text is not to be had again. Throws AppError `conflict` beyond KEYS_MAX of one account. */
  create(key: KeyToMake): Promise<{ row: ApiKey; text: string }>
  /** The keys of an account, the oldest first. */
  list(userId: string): Promise<ApiKey[]>
  /** Keys of all accounts, those after an id, at most PAGE_MAX: the oldest first. */
  page(after: string | undefined): Promise<ApiKey[]>
  /** Ends a key; where `userId` is given, only if it is that account's. Whether there was one. */
  revoke(id: string, userId?: string): Promise<boolean>
  /** Waits for the uses that are still to be noted. */
  settle(): Promise<void>
}

/** What may be shown of a key. */
export function viewOfKey({ id, name, scopes, expires_at, created_at }: ApiKey) {
  return { id, name, prefix: prefixOf(id), scopes, expires_at, created_at }
}

export function createApiKeys({ store, clock, logger }: ApiKeysOptions): ApiKeys {
  const uses = createKeyUses({ store, clock, logger, table: apiKeysTable.name, intervalMs: USE_INTERVAL_MS })

  /** For whom the key stands, or why for nobody. */
  const lookAt = async (key: ApiKey): Promise<KnownKey | AppError> => {
    const now = clock()
    const expiresMs = key.expires_at === null ? Infinity : Date.parse(key.expires_at)
    if (expiresMs <= now) return tokenExpired()
    const user = await findUser(store, key.user_id)
    if (user === undefined || user.disabled) return tokenRevoked()
    uses.note(key)
    // The cache of credentials asks again after this, so that a key in steady use is noted now and then.
    const untilMs = Math.min(expiresMs, now + USE_INTERVAL_MS)
    return { principal: keyPrincipal(user, key.scopes), untilMs, keyId: key.id, expiresMs }
  }
  return {
    async find(text) {
      const id = idOfApiKey(text)
      const key = id === undefined ? undefined : await findKey(store, id)
      if (key === undefined || !hasHash(text, key.key_hash)) throw invalidToken()
      const known = await lookAt(key)
      if (known instanceof AppError) throw known
      return known
    },
    async findById(id) {
      const key = await findKey(store, id)
      const known = key === undefined ? undefined : await lookAt(key)
      return known instanceof AppError ? undefined : known
    },
    create: createMaker(store, clock),
    async list(userId) {
      const where = { user_id: userId }
      return (await store.list({ table: apiKeysTable.name, where, limit: KEYS_MAX })).map(keyOf)
    },
    async page(after) {
      const start = after === undefined ? {} : { after: { values: [], id: after } }
      return (await store.list({ table: apiKeysTable.name, ...start, limit: PAGE_MAX })).map(keyOf)
    },
    async revoke(id, userId) {
      const where = userId === undefined ? {} : { where: { user_id: userId } }
      try {
        await store.commit([{ kind: 'delete', table: apiKeysTable.name, id, ...where }])
        return true
      } catch (error) {
        if (error instanceof StaleError) return false
        throw error
      }
    },
    settle: () => uses.settle(),
  }
}

function createMaker(store: Store, clock: Clock): ApiKeys['create'] {
  const inTurn = createQueue()
  return ({ userId, name, scopes, expiresAt }) =>
    // One at a time for each account, so that requests at once do not go beyond the maximum.
    inTurn(userId, async () => {
      const { name: table } = apiKeysTable
      const stored = await store.count(table, { user_id: userId }, { limit: KEYS_MAX })
      if (stored >= KEYS_MAX) throw tooManyKeys()
      const id = newUuid()
      const { text, hash } = newApiKey(id)
      const values = {
        user_id: userId,
        name,
        key_hash: hash,
        scopes,
        expires_at: expiresAt === null ? null : timestamp(expiresAt),
        last_used_at: null,
        created_at: timestamp(clock()),
      }
      try {
        const [row] = await store.commit([{ kind: 'insert', table, id, values }])
        // Another process may have made keys meanwhile: of too many the latest go.
        const kept = await store.list({ table, where: { user_id: userId }, limit: KEYS_MAX })
        if (!kept.some((one) => one.id === id)) {
          await store.commit([{ kind: 'delete', table, id }])
          throw tooManyKeys()
        }
        return { row: keyOf(row as Row), text }
      } catch (error) {
        // The account was deleted in this moment.
        throw error instanceof BrokenReferenceError ? tokenRevoked() : error
      }
    })
}

async function findKey(store: Store, id: string): Promise<ApiKey | undefined> {
  const row = await store.get(apiKeysTable.name, id)
  return row === undefined ? undefined : keyOf(row)
}

function tooManyKeys(): AppError {
  return new AppError('conflict', {
    message: `An account has at most ${KEYS_MAX} API keys; revoke one that is not used any more`,
  })
}

// Rows of this table are written by this file alone.
function keyOf(row: Row): ApiKey {
  return row as unknown as ApiKey
}
