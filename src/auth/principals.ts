// Principals: what the rest of the program knows of whoever makes a request. They are frozen, since they are kept and
// the author's own code gets them too.
import type { Principal } from '../access/principal.ts'
import type { User } from './users.ts'

/** A principal and how long its credential stands for it unless something changes, in milliseconds since 1970. */
export interface Known {
  principal: Principal
  untilMs: number
  /** Asked at each use, where more than time and the tables of auth/ can end it. */
  isGood?: () => boolean
}

/** A user who signed in; without a session where the password comes with every request. */
export function userPrincipal({ id, role, email }: User, sessionId: string | null): Principal {
  return Object.freeze({ kind: 'user', id, role, email, scopes: null, session_id: sessionId })
}

/** A program that acts for the key's owner, within these scopes. */
export function keyPrincipal({ id, role, email }: User, scopes: readonly string[]): Principal {
  return Object.freeze({ kind: 'key', id, role, email, scopes: Object.freeze([...scopes]), session_id: null })
}

/** Whoever holds a token of a trusted issuer for the account, within these scopes. */
export function issuerPrincipal({ id, role, email }: User, scopes: readonly string[]): Principal {
  return Object.freeze({
    kind: 'issuer',
    id,
    role,
    email,
    scopes: Object.freeze([...scopes]),
    session_id: null,
  })
}
