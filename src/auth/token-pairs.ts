// Pairs of an access token and a refresh token: what a sign-in gets, and what a refresh gets for the old ones. Each
// refresh token is good once. It knows no route.
import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { newUuid } from '../core/ids.ts'
import type { Store } from '../storage/store.ts'
import type { AccessTokens } from './access-tokens.ts'
import type { Audit } from './audit.ts'
import { invalidToken, refreshExpired } from './challenges.ts'
import { isOfHash, refreshHash, type RefreshClaims, type RefreshTokens } from './refresh-tokens.ts'
import {
  endOf,
  endSession,
  findSession,
  isLiving,
  renewSession,
  startSession,
  type Session,
} from './sessions.ts'
import { findById, type User } from './users.ts'

export interface TokenPairsOptions {
  store: Store
  accessTokens: AccessTokens
  refreshTokens: RefreshTokens
  audit: Audit
  clock: Clock
  /** How long a refresh token lives, and so an idle session. */
  refreshTokenSeconds: number
  /** How long the predecessor of the latest refresh token still gets that one. */
  refreshGraceSeconds: number
  /** How long a session lives at most. */
  sessionSeconds: number
}

/** As RFC 6749, 5.1, answers it. */
export interface TokenPair {
  access_token: string
  refresh_token: string
  token_type: 'Bearer'
  /** Seconds. */
  expires_in: number
  /** Seconds until the session is over unless it is refreshed. */
  refresh_expires_in: number
}

export interface SignedIn {
  /** As it was when its password was checked. */
  user: User
  /** The client's address. */
  ip: string
  userAgent: string | null
  /** How they signed in, for the audit log. */
  method: string
}

/** What there is to know of a refresh token that was made here. */
export interface KnownRefresh {
  session: Session
  /** `repeated`: the one before the current one, sent again so soon that its answer may have been lost. */
  state: 'current' | 'repeated' | 'spent'
}

export interface TokenPairs {
  /** Begins a session. Undefined where the account changed while its password was checked: then nobody signs in. */
  begin(signedIn: SignedIn): Promise<TokenPair | undefined>
  /**
   * The next pair of the session. A spent token ends it. Throws AppError `invalid_token`, or `token_expired` where time
   * is all that is wrong.
   */
  refresh(token: string, ip: string): Promise<TokenPair>
  /** Its session, living or not; undefined where it was not made here, or its session was ended. */
  find(token: string): Promise<KnownRefresh | undefined>
}

/** Tries of a refresh that others of the same token came before. */
const TRIES_MAX = 10

export function createTokenPairs(options: TokenPairsOptions): TokenPairs {
  const { store, refreshTokens, audit, clock } = options
  const pairOf = createPairOf(options)
  const find = createFind(options)
  const tryRefresh = createTryRefresh(options, pairOf, find)
  return {
    async begin({ user, ip, userAgent, method }) {
      const id = newUuid()
      const token = refreshTokens.first(id)
      const session = await startSession(store, {
        id,
        user,
        ip,
        userAgent,
        refreshHash: refreshHash(token),
        idleMs: options.refreshTokenSeconds * 1000,
        totalMs: options.sessionSeconds * 1000,
        now: clock(),
      })
      if (session === undefined) return undefined
      audit('login.succeeded', { user_id: user.id, session_id: id, ip, method })
      return pairOf(session, user, token)
    },
    async refresh(token, ip) {
      for (let tries = 0; tries < TRIES_MAX; tries++) {
        const pair = await tryRefresh(token, ip)
        if (pair !== undefined) return pair
      }
      throw new AppError('unavailable')
    },
    find,
  }
}

type PairOf = (session: Session, user: User, refreshToken: string) => Promise<TokenPair>

function createPairOf({ accessTokens, clock }: TokenPairsOptions): PairOf {
  return async (session, user, refreshToken) => {
    const leftSeconds = Math.max(1, Math.round((endOf(session) - clock()) / 1000))
    const lifetimeSeconds = Math.min(accessTokens.lifetimeSeconds, leftSeconds)
    const subject = { userId: user.id, sessionId: session.id, role: user.role, lifetimeSeconds }
    return {
      access_token: await accessTokens.issue(subject),
      refresh_token: refreshToken,
      token_type: 'Bearer',
      expires_in: lifetimeSeconds,
      refresh_expires_in: leftSeconds,
    }
  }
}

/** Makes one try of a refresh; undefined where another request of the session was faster. */
function createTryRefresh(options: TokenPairsOptions, pairOf: PairOf, find: TokenPairs['find']) {
  const { store, refreshTokens, audit, clock } = options
  const idleMs = options.refreshTokenSeconds * 1000
  return async (token: string, ip: string): Promise<TokenPair | undefined> => {
    const found = await find(token)
    if (found === undefined) throw invalidToken()
    const { session, state } = found
    const fields = { user_id: session.user_id, session_id: session.id, ip }
    if (state === 'spent') {
      const ended = await endSession(store, session.id)
      if (ended !== undefined) audit('refresh.reused', fields)
      throw invalidToken()
    }
    const user = await findById(store, session.user_id)
    if (user === undefined) throw invalidToken()
    if (!isLiving(session, user, clock())) {
      // What ended it before its time is nobody's business but its user's.
      throw endOf(session) <= clock() ? refreshExpired() : invalidToken()
    }
    const successor = refreshTokens.successorOf(token)
    const next =
      state === 'current'
        ? await renewSession(store, session, { refreshHash: refreshHash(successor), idleMs, now: clock() })
        : session
    if (next === undefined) return undefined
    audit('session.refreshed', { ...fields, ...(state === 'repeated' ? { reason: 'repeated' } : {}) })
    return pairOf(next, user, successor)
  }
}

function createFind(options: TokenPairsOptions): TokenPairs['find'] {
  const stateOf = createStateOf(options)
  const { store, refreshTokens } = options
  return async (token) => {
    const claims = refreshTokens.read(token)
    const session = claims && (await findSession(store, claims.sessionId))
    const state = session && stateOf(token, claims, session)
    return state && { session, state }
  }
}

/** Makes the function that tells which of its session's tokens an authentic one is; undefined for none of them. */
function createStateOf({ refreshTokens, clock, refreshGraceSeconds }: TokenPairsOptions) {
  return (token: string, { count }: RefreshClaims, session: Session): KnownRefresh['state'] | undefined => {
    const { refresh_count: latest, refresh_hash: hash } = session
    // Made after the backup that this database was restored from: it proves no theft.
    if (count > latest) return undefined
    if (count === latest) return isOfHash(token, hash) ? 'current' : undefined
    const isPredecessor = count === latest - 1 && isOfHash(refreshTokens.successorOf(token), hash)
    // A clock that was set back must not make the time of grace longer.
    const ageMs = Math.abs(clock() - Date.parse(session.refreshed_at))
    return isPredecessor && ageMs < refreshGraceSeconds * 1000 ? 'repeated' : 'spent'
  }
}
