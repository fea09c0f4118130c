// The table of accounts and what is asked of it. It hashes nothing and decides nothing about access; the hash never
// gets into a view.
import { timestamp } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { newUuid } from '../core/ids.ts'
import { t, type Static } from '../sdk.ts'
import { UniqueError, type Row, type Store, type Table } from '../storage/store.ts'

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
export const ADMIN_ROLE = 'admin'
export const NAME_LENGTH_MAX = 200
export const EMAIL_LENGTH_MAX = 254

export const usersTable: Table = {
  name: 'users',
  id: 'uuid',
  columns: [
    { name: 'name', kind: 'text', nullable: false },
    { name: 'email', kind: 'text', nullable: true },
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

/** An account as it is answered. */
export const UserView = t.Object(
  {
    id: t.String({ format: 'uuid' }),
    name: t.String(),
    email: t.Optional(t.String({ format: 'email' })),
    role: t.String({ description: '`user`, `admin`, or a role that a resource names' }),
    disabled: t.Boolean(),
    created_at: t.String({ format: 'date-time' }),
    updated_at: t.String({ format: 'date-time' }),
    last_login_at: t.Optional(t.String({ format: 'date-time' })),
  },
  { title: 'User' },
)

export const userExample: Static<typeof UserView> = {
  id: '01991f6e-8c00-7000-8000-000000000001',
  name: 'Ada',
  email: 'ada@example.com',
  role: USER_ROLE,
  disabled: false,
  created_at: '2026-01-31T12:00:00.000Z',
  updated_at: '2026-01-31T12:00:00.000Z',
}

/** What may be answered of an account. */
export function viewOf(user: User): Static<typeof UserView> {
  const { id, name, email, role, disabled, created_at, updated_at, last_login_at } = user
  return {
    id,
    name,
    ...(email === null ? {} : { email }),
    role,
    disabled,
    created_at,
    updated_at,
    ...(last_login_at === null ? {} : { last_login_at }),
  }
}

export interface NewUser {
  name: string
  /** At most EMAIL_LENGTH_MAX characters, checked before. */
  email: string
  passwordHash: string
  role: string
  /** Milliseconds since 1970. */
  now: number
}

/** Adds an account. Throws AppError `conflict` where another one has the e-mail. */
export async function createUser(
  store: Store,
  { name, email, passwordHash, role, now }: NewUser,
): Promise<User> {
  const at = timestamp(now)
  const values = {
    name,
    email: email.normalize('NFC'),
    email_key: emailKey(email),
    password_hash: passwordHash,
    role,
    disabled: false,
    session_generation: 0,
    last_login_at: null,
    created_at: at,
    updated_at: at,
  }
  try {
    const [row] = await store.commit([{ kind: 'insert', table: usersTable.name, id: newUuid(), values }])
    return userOf(row as Row)
  } catch (error) {
    if (error instanceof UniqueError) throw emailTaken()
    throw error
  }
}

/** The conflict of an e-mail that another account has. */
export function emailTaken(): AppError {
  return new AppError('conflict', {
    message: 'E-mail is taken',
    details: [{ field: '/email', message: 'Another account has this e-mail' }],
  })
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
 * One e-mail, one key, whatever its case and Unicode form. It is made here and not by the engine, whose lower() and
 * NOCASE know ASCII only.
 */
export function emailKey(email: string): string {
  return email.normalize('NFC').toLowerCase().normalize('NFC')
}

// Rows of this table are written by this file alone.
function userOf(row: Row): User {
  return row as unknown as User
}
