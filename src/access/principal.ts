// Who makes a request, and how http/ asks for it. How a credential is checked is auth/'s business.
import type { Principal } from '../sdk.ts'

export type { Principal }

/** A caller without a credential. */
export const ANONYMOUS: Principal = Object.freeze({
  kind: 'anonymous',
  id: null,
  role: null,
  email: null,
  scopes: null,
  session_id: null,
})

/** The two headers that may carry a credential, as they came, and where from. */
export interface Credentials {
  authorization: string | null
  apiKey: string | null
  /** The client's network address. */
  address: () => string
  /** Called before a credential that is not known yet is looked at; what it throws refuses that. */
  claim?: (() => void) | undefined
}

/**
 * Turns the credential of a request into its principal. Throws AppError `unauthenticated`, `invalid_credentials`,
 * `invalid_token`, `token_expired`, `token_revoked` or `ambiguous_credentials` where one is present and wrong,
 * and what `claim` throws.
 */
export type Authenticator = (credentials: Credentials) => Principal | Promise<Principal>
