// API keys: long-lived credentials of programs, bounded by scopes. A key is shown once and stored as its SHA-256.
import type { Clock } from '../core/clock.ts'
import type { Store, Table } from '../storage/store.ts'
import { invalidToken } from './challenges.ts'
import type { Known } from './principals.ts'
import { usersTable } from './users.ts'

/** What every key begins with, and no access token can. */
export const API_KEY_PREFIX = 'hf_'

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
    {
      name: 'user_id',
      kind: 'text',
      nullable: false,
      index: true,
      references: usersTable.name,
      onDelete: 'cascade',
    },
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
}

export interface ApiKeys {
  /** Whose key it is. Throws AppError `invalid_token` where it is none, is over, or its owner is disabled. */
  find(key: string): Promise<Known>
  /** The same for a key that was shown before; undefined where it is not good any more. */
  findById(id: string): Promise<Known | undefined>
}

export function createApiKeys(_: ApiKeysOptions): ApiKeys {
  return {
    find: () => Promise.reject(invalidToken()),
    findById: () => Promise.resolve(undefined),
  }
}
