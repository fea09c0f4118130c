// Sessions: what a sign-in begins and a sign-out ends. A session lives while its row is there, its times are not over
// and it is of the user's present generation; its access tokens and refresh tokens live with it.
import { timestamp } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { Filter } from '../storage/query.ts'
import { StaleError, type Operation, type Row, type Step, type Store, type Table } from '../storage/store.ts'
import { findById, userIdColumn, usersTable, type User } from './users.ts'

/** Sessions of one account: beyond it the least recently used one ends, so that no storm of logins fills the disk. */
export const SESSIONS_MAX = 100
/** Code points of a user agent that are kept. */
export const USER_AGENT_LENGTH_MAX = 256
/** Tries of a change that another one of the same account came before. */
const TRIES_MAX = 10

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
  /** When the session is over unless it is refreshed: never after `ends_at`. */
  readonly expires_at: string
  /** When the session is over, however often it is refreshed. */
  readonly ends_at: string
  readonly ip: string
  readonly user_agent: string | null
  readonly created_at: string
  /** When its latest tokens were given. */
  readonly last_used_at: string
}

export const sessionsTable: Table = {
  name: '_hipflask_sessions',
  id: 'uuid',
  columns: [
    userIdColumn,
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
    session.expires_at > at
  )
}

/** When it is over unless it is refreshed, in milliseconds since 1970. */
export function endOf({ expires_at }: Session): number {
  return Date.parse(expires_at)
}

/** When a session is over that is refreshed now, at the end of its idle time or of itself. */
function nextEnd(now: number, idleMs: number, endsMs: number): string {
  return timestamp(Math.min(now + idleMs, endsMs))
}

/** The session with this id, living or not. */
export async function findSession(store: Store, id: string): Promise<Session | undefined> {
  const row = await store.get(sessionsTable.name, id)
  return row as unknown as Session | undefined
}

export interface SessionStart {
  id: string
  /** As it was when its password was checked. */
  user: User
  /** The client's address. */
  ip: string
  userAgent: string | null
  /** SHA-256 of the first refresh token. */
  refreshHash: string
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
  const { id, user, ip, userAgent, refreshHash, idleMs, totalMs, now } = start
  await makeRoom(store, user)
  const at = timestamp(now)
  const login: Operation = {
    kind: 'update',
    table: usersTable.name,
    id: user.id,
    values: { last_login_at: at },
    where: { ...credentialOf(user), disabled: false },
  }
  const values = {
    user_id: user.id,
    refresh_hash: refreshHash,
    refresh_count: 0,
    refreshed_at: at,
    expires_at: nextEnd(now, idleMs, now + totalMs),
    ends_at: timestamp(now + totalMs),
    ip,
    user_agent: userAgent === null ? null : harmless(userAgent),
    created_at: at,
    last_used_at: at,
  }
  const begin = ([row]: readonly Row[]): Operation => ({
    kind: 'insert',
    table: sessionsTable.name,
    id,
    values: { ...values, generation: (row as unknown as User).session_generation },
  })
  const rows = await commitUnlessStale(store, [login, begin])
  return rows?.[1] as unknown as Session | undefined
}

export interface Renewal {
  /** SHA-256 of the next refresh token. */
  refreshHash: string
  /** Milliseconds that it lives. */
  idleMs: number
  /** Milliseconds since 1970. */
  now: number
}

/** Gives the session its next refresh token; undefined where it has had another one since, or was ended. */
export async function renewSession(
  store: Store,
  session: Session,
  { refreshHash, idleMs, now }: Renewal,
): Promise<Session | undefined> {
  const at = timestamp(now)
  const { id, refresh_hash, refresh_count } = session
  const values = {
    refresh_hash: refreshHash,
    refresh_count: refresh_count + 1,
    refreshed_at: at,
    last_used_at: at,
    expires_at: nextEnd(now, idleMs, Date.parse(session.ends_at)),
  }
  const where = { refresh_hash, refresh_count }
  const rows = await commitUnlessStale(store, [
    { kind: 'update', table: sessionsTable.name, id, values, where },
  ])
  return rows?.[0] as unknown as Session | undefined
}

/** What the sign-in was by. An account without a password has signed in elsewhere: it is as it was if nothing was ended. */
function credentialOf({ password_hash, session_generation }: User): Filter {
  return password_hash === null ? { session_generation } : { password_hash }
}

/** Ends sessions of the account until one more has room: first those that are of an older generation. */
async function makeRoom(store: Store, { id, session_generation: generation }: User): Promise<void> {
  const where = { user_id: id }
  const count = await store.count(sessionsTable.name, where, { limit: SESSIONS_MAX })
  if (count < SESSIONS_MAX) return
  // Logins at once may each have made one too many.
  const rows = await store.list({ table: sessionsTable.name, where, limit: 2 * SESSIONS_MAX })
  const isOld = (session: Session) => session.generation !== generation
  const inOrder = (rows as unknown as Session[]).toSorted(
    (one, other) =>
      Number(isOld(other)) - Number(isOld(one)) || (one.last_used_at < other.last_used_at ? -1 : 1),
  )
  const surplus = inOrder.slice(0, inOrder.length - SESSIONS_MAX + 1)
  await Promise.all(surplus.map((session) => endSession(store, session.id)))
}

/** Ends it with all of its tokens, and gives what it was; undefined where it had been ended. */
export async function endSession(store: Store, id: string): Promise<Session | undefined> {
  const rows = await commitUnlessStale(store, [{ kind: 'delete', table: sessionsTable.name, id }])
  return rows?.[0] as unknown as Session | undefined
}

/**
 * Ends all sessions of the account but the one to keep (null: all). False where that one has been ended, or the account
 * deleted, meanwhile.
 */
export async function endSessions(store: Store, userId: string, keptId: string | null): Promise<boolean> {
  const raise = (generation: number): Operation => ({
    kind: 'update',
    table: usersTable.name,
    id: userId,
    values: { session_generation: generation + 1 },
    where: { session_generation: generation },
  })
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    // Both of one moment.
    const [user, kept] = await Promise.all([
      findById(store, userId),
      keptId === null ? undefined : findSession(store, keptId),
    ])
    if (user === undefined) return false
    const { session_generation: generation } = user
    if (keptId !== null && kept?.generation !== generation) return false
    const keep = keptId === null ? [] : [keepSession(keptId, generation + 1)]
    if ((await commitUnlessStale(store, [raise(generation), ...keep])) !== undefined) return true
  }
  throw new AppError('unavailable')
}

/**
 * The step that lets a session outlive the end of all others: it joins the commit that raises the generation by one to
 * this. A session that had been ended stays so: then the commit throws StaleError.
 */
export function keepSession(id: string, generation: number): Operation {
  return {
    kind: 'update',
    table: sessionsTable.name,
    id,
    values: { generation },
    where: { generation: generation - 1 },
  }
}

/** The living sessions of the account, the newest first. */
export async function livingSessions(store: Store, user: User, now: number): Promise<Session[]> {
  const rows = await store.list({
    table: sessionsTable.name,
    where: {
      user_id: user.id,
      generation: user.session_generation,
      expires_at: { gt: timestamp(now) },
    },
    sort: [{ field: 'created_at', direction: 'desc' }],
    limit: SESSIONS_MAX,
  })
  return rows as unknown as Session[]
}

async function commitUnlessStale(store: Store, steps: readonly Step[]): Promise<readonly Row[] | undefined> {
  try {
    return await store.commit(steps)
  } catch (error) {
    if (error instanceof StaleError) return undefined
    throw error
  }
}

// It is shown to people, in terminals too: nothing in it may end a line, hide or turn round what stands beside it.
function harmless(userAgent: string): string {
  const characters = [...userAgent.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ')]
  return characters.slice(0, USER_AGENT_LENGTH_MAX).join('')
}
