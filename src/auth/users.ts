// The table of accounts and what is asked of it. It hashes nothing and decides nothing about access; accounts are changed
// through the resource `users` alone (users-resource.ts), but for what a sign-in notes.
import { ADMIN_ROLE } from '../access/authorize.ts'
import type { Column, Row, Store, Table } from '../storage/store.ts'

/** A stored account. Times are RFC 3339, UTC. */
export interface User {
  readonly id: string
  readonly name: string
  /** Null for an account that signs in elsewhere and has told no e-mail. */
  readonly email: string | null
  /** Null for an account that signs in elsewhere. */
  readonly password_hash: string | null
  readonly role: string
  readonly disabled: boolean
  /** A session of another generation is over. */
  readonly session_generation: number
  readonly last_login_at: string | null
  readonly created_at: string
  readonly updated_at: string
}

export const USER_ROLE = 'user'
export { ADMIN_ROLE }
export const NAME_LENGTH_MAX = 200
export const EMAIL_LENGTH_MAX = 254

export const usersTable: Table = {
  name: 'users',
  id: 'uuid',
  columns: [
    { name: 'name', kind: 'text', nullable: false },
    { name: 'email', kind: 'text', nullable: true, index: true },
    { name: 'email_key', kind: 'text', nullable: true, unique: true },
    { name: 'password_hash', kind: 'text', nullable: true },
    { name: 'role', kind: 'text', nullable: false, index: true },
    { name: 'disabled', kind: 'boolean', nullable: false },
    { name: 'session_generation', kind: 'integer', nullable: false, default: 0 },
    { name: 'last_login_at', kind: 'text', nullable: true },
    { name: 'created_at', kind: 'text', nullable: false },
    { name: 'updated_at', kind: 'text', nullable: false },
  ],
}

/** The column of rows that are of an account, and go with it. */
export const userIdColumn: Column = {
  name: 'user_id',
  kind: 'text',
  nullable: false,
  index: true,
  references: usersTable.name,
  onDelete: 'cascade',
}

/** The account of an e-mail in any spelling that has the same key. */
export async function findByEmail(store: Store, email: string): Promise<User | undefined> {
  if (email.length > EMAIL_LENGTH_MAX) return undefined
  const where = { email_key: emailKey(email) }
  const [row] = await store.list({ table: usersTable.name, where, limit: 1 })
  return row === undefined ? undefined : userOf(row)
}

/** The account with this id. */
export async function findById(store: Store, id: string): Promise<User | undefined> {
  const row = await store.get(usersTable.name, id)
  return row === undefined ? undefined : userOf(row)
}

/** Whether there is an administrator. */
export async function hasAdministrator(store: Store): Promise<boolean> {
  const rows = await store.list({ table: usersTable.name, where: { role: ADMIN_ROLE }, limit: 1 })
  return rows.length > 0
}

/**
 * One e-mail, one key, whatever its case, its Unicode form and the width of its letters (NFKC), so that no two accounts
 * have e-mails that people take for the same. It is made here and not by the engine, whose lower() and NOCASE know ASCII
 * only.
 */
export function emailKey(email: string): string {
  return email.normalize('NFKC').toLowerCase().normalize('NFKC')
}

// Rows of this table are written by this file alone.
function userOf(row: Row): User {
  return row as unknown as User
}
