// What there is to know of a token or key (RFC 7662), for whoever may ask. It decides nothing: what is not good now is
// not active, and nothing else is told of it.
import type { Clock } from '../core/clock.ts'
import { t, type Static } from '../sdk.ts'
import type { Store } from '../storage/store.ts'
import { AUDIENCE, type AccessClaims, type AccessTokens } from './access-tokens.ts'
import { API_KEY_PREFIX } from './api-key-text.ts'
import type { ApiKeys, KnownKey } from './api-keys.ts'
import { unlessRefused } from './challenges.ts'
import { findKey } from './oauth-clients.ts'
import { REFRESH_TOKEN_PREFIX } from './refresh-tokens.ts'
import { endOf, findSession, isLiving, type Session } from './sessions.ts'
import type { TokenPairs } from './token-pairs.ts'
import { findById, type User } from './users.ts'

const seconds = (description: string) =>
  t.Optional(t.Integer({ description: `${description}, seconds since 1970` }))

/** RFC 7662, 2.2. */
export const Introspection = t.Object(
  {
    active: t.Boolean({ description: 'Whether it is good now; where not, nothing else is told' }),
    sub: t.Optional(t.String({ description: 'Id of the user whom it stands for' })),
    username: t.Optional(t.String({ description: 'E-mail of that user' })),
    scope: t.Optional(t.String({ description: 'Scopes of a key, and of a token that was given for it' })),
    client_id: t.Optional(t.String({ description: 'Id of the key' })),
    token_type: t.Optional(t.String({ description: '`Bearer`, or `refresh_token`' })),
    sid: t.Optional(t.String({ description: 'Id of the session' })),
    jti: t.Optional(t.String()),
    iss: t.Optional(t.String()),
    aud: t.Optional(t.String()),
    iat: seconds('When it was made'),
    exp: seconds('When it is over, by its own time or that of its session'),
  },
  { title: 'Introspection' },
)
export type Introspection = Static<typeof Introspection>

export interface IntrospectionOptions {
  store: Store
  accessTokens: AccessTokens
  tokenPairs: TokenPairs
  apiKeys: ApiKeys
  clock: Clock
  /** `iss` of the tokens. */
  issuer: string
}

const INACTIVE: Introspection = { active: false }

export function createIntrospection({
  store,
  accessTokens,
  tokenPairs,
  apiKeys,
  clock,
  issuer,
}: IntrospectionOptions): (token: string) => Promise<Introspection> {
  /** The account of a session that lives. */
  async function userOf(session: Session): Promise<User | undefined> {
    const user = await findById(store, session.user_id)
    return user !== undefined && isLiving(session, user, clock()) ? user : undefined
  }
  async function ofAccessToken(token: string): Promise<Introspection> {
    const claims = await claimsOf(token, accessTokens)
    if (claims === undefined) return INACTIVE
    const { sessionId, tokenId, clientId, issuedAt, expiresAt } = claims
    const own = { token_type: 'Bearer', jti: tokenId, iss: issuer, aud: AUDIENCE, iat: issuedAt }
    if (clientId !== undefined) {
      const key = await apiKeys.findById(clientId)
      return key === undefined
        ? INACTIVE
        : { ...ofKey(key), ...own, ...expiry(expiresAt * 1000, key.expiresMs) }
    }
    const session = await findSession(store, sessionId)
    const user = session && (await userOf(session))
    if (session === undefined || user === undefined) return INACTIVE
    return { ...ofUser(user), sid: sessionId, ...own, ...expiry(expiresAt * 1000, endOf(session)) }
  }
  async function ofRefreshToken(token: string): Promise<Introspection> {
    const { session, state } = (await tokenPairs.find(token)) ?? {}
    const user = session && (await userOf(session))
    if (session === undefined || user === undefined || state !== 'current') return INACTIVE
    const own = { token_type: 'refresh_token', sid: session.id, iss: issuer }
    const iat = Math.floor(Date.parse(session.refreshed_at) / 1000)
    return { ...ofUser(user), ...own, iat, ...expiry(endOf(session)) }
  }
  return async (token) => {
    if (token.startsWith(REFRESH_TOKEN_PREFIX)) return ofRefreshToken(token)
    if (!token.startsWith(API_KEY_PREFIX)) return ofAccessToken(token)
    const key = await findKey(token, apiKeys)
    if (key === undefined) return INACTIVE
    return { ...ofKey(key), token_type: 'Bearer', iss: issuer, ...expiry(key.expiresMs) }
  }
}

/** What a good access token says; undefined for any other text. */
export async function claimsOf(token: string, accessTokens: AccessTokens): Promise<AccessClaims | undefined> {
  return unlessRefused(() => accessTokens.verify(token))
}

function ofUser({ id, email }: Pick<User, 'id' | 'email'>): Introspection {
  return { active: true, sub: id, ...(email === null ? {} : { username: email }) }
}

function ofKey({ keyId, principal: { id, email, scopes } }: KnownKey): Introspection {
  return { ...ofUser({ id: id as string, email }), client_id: keyId, scope: (scopes ?? []).join(' ') }
}

/** The earliest of these times; a key may have none. */
function expiry(...timesMs: readonly number[]): Pick<Introspection, 'exp'> {
  const earliest = Math.min(...timesMs)
  return Number.isFinite(earliest) ? { exp: Math.floor(earliest / 1000) } : {}
}
