// Sessions: what a sign-in begins and a sign-out ends. A session lives while its row is there, its times are not over
// and it is of the user's present generation; its access tokens and refresh tokens live with it.
import { timestamp } from '../core/clock.ts'
import { newUuid } from '../core/ids.ts'
import { StaleError, type Operation, type Row, type Store, type Table } from '../storage/store.ts'
import { usersTable, type User } from './users.ts'

/** A stored session. Times are RFC 3339, UTC. */
export interface Session {
  /** The `sid` of its access tokens. */
  readonly id: string
  readonly _version: number
  readonly user_id: string
  /** That of the user when the session began, or was kept while all others were ended. */
  readonly generation: number
  /** SHA-256 of the refresh token, base64url. */
  readonly refresh_hash: string
  /** How many refresh tokens the session had before this one. */
  readonly refresh_count: number
  /** When the refresh token was made. */
  readonly refreshed_at: string
  /** When the refresh token is over. */
  readonly expires_at: string
  /** When the session is over, however often it is refreshed. */
  readonly ends_at: string
  readonly ip: string
  readonly user_agent: string | null
  readonly created_at: string
  readonly last_used_at: string
}

export const sessionsTable: Table = {
  name: '_hipflask_sessions',
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
    { name: 'generation', kind: 'integer', nullable: false },
    { name: 'refresh_hash', kind: 'text', nullable: false },
    { name: 'refresh_count', kind: 'integer', nullable: false },
    { name: 'refreshed_at', kind: 'text', nullable: false },
    { name: 'expires_at', kind: 'text', nullable: false, index: true },
    { name: 'ends_at', kind: 'text', nullable: false },
    { name: 'ip', kind: 'text', nullable: false },
    { name: 'user_agent', kind: 'text', nullable: true },
    { name: 'created_at', kind: 'text', nullable: false },
    { name: 'last_used_at', kind: 'text', nullable: false },
  ],
}

/** Whether the session of this user has not been ended and is not over by its times. */
export function isLiving(session: Session, user: User, now: number): boolean {
  const at = timestamp(now)
  return (
    session.user_id === user.id &&
    session.generation === user.session_generation &&
    !user.disabled &&
    session.expires_at > at &&
    session.ends_at > at
  )
}

/** When it is over unless it is refreshed, in milliseconds since 1970. */
export function endOf({ expires_at, ends_at }: Session): number {
  return Math.min(Date.parse(expires_at), Date.parse(ends_at))
}

/** The session with this id, living or not. */
export async function findSession(store: Store, id: string): Promise<Session | undefined> {
  const row = await store.get(sessionsTable.name, id)
  return row as unknown as Session | undefined
}

export interface SessionStart {
  /** As it was when its password was checked. */
  user: User
  /** The client's address. */
  ip: string
  userAgent: string | null
  /** SHA-256 of the first refresh token of the session with this id. */
  refreshHashOf: (sessionId: string) => string
  /** Milliseconds that a refresh token lives, and that the session lives at most. */
  idleMs: number
  totalMs: number
  /** Milliseconds since 1970. */
  now: number
}

/**
 * Notes a sign-in and begins its session, in one commit. Undefined where the account was deleted, disabled or given
 * another password while the old one was being checked: then nobody signs in.
 */
export async function startSession(store: Store, start: SessionStart): Promise<Session | undefined> {
  const { user, ip, userAgent, refreshHashOf, idleMs, totalMs, now } = start
  const id = newUuid()
  const at = timestamp(now)
  const login: Operation = {
    kind: 'update',
    table: usersTable.name,
    id: user.id,
    values: { last_login_at: at },
    where: { password_hash: user.password_hash, disabled: false },
  }
  const values = {
    user_id: user.id,
    refresh_hash: refreshHashOf(id),
    refresh_count: 0,
    refreshed_at: at,
    expires_at: timestamp(now + idleMs),
    ends_at: timestamp(now + totalMs),
    ip,
    user_agent: userAgent,
    created_at: at,
    last_used_at: at,
  }
  const begin = ([row]: readonly Row[]): Operation => ({
    kind: 'insert',
    table: sessionsTable.name,
    id,
    values: { ...values, generation: (row as unknown as User).session_generation },
  })
  try {
    const [, session] = await store.commit([login, begin])
    return session as unknown as Session
  } catch (error) {
    if (error instanceof StaleError) return undefined
    throw error
  }
}

/** The step that lets a session outlive the end of all others: it joins the commit that raises the generation. */
export function keepSession(id: string, generation: number): Operation {
  return { kind: 'update', table: sessionsTable.name, id, values: { generation } }
}
