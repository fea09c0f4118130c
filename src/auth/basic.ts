// Basic credentials (RFC 7617). A password is verified once and then known for a minute by a keyed digest, so that a
// client that sends it with every request does not cost a hash each time. No password is kept.
import { createHmac, randomBytes } from 'node:crypto'
import type { Credentials } from '../access/principal.ts'
import type { Store } from '../storage/store.ts'
import { setBounded } from './bounded-map.ts'
import { BASIC_CHALLENGE } from '../http/problem.ts'
import { invalidCredentials } from './challenges.ts'
import type { Audit } from './audit.ts'
import type { SignIn } from './sign-in.ts'
import { findByEmail, type User } from './users.ts'

export interface BasicOptions {
  store: Store
  signIn: SignIn
  audit: Audit
  /** Milliseconds of a clock that nobody sets: set back, another would let a password be known for longer. */
  monotonic?: () => number
}

/** Where a credential comes from, and what is called before one that is not known costs anything. */
type Sender = Pick<Credentials, 'address' | 'claim'>

/**
 * The account of what follows the scheme in the header. Throws AppError `invalid_credentials`, `rate_limited` or
 * `unavailable`, and what `claim` throws.
 */
export type BasicVerifier = (encoded: string, sender: Sender) => Promise<User>

/** How long a verified password is known. */
export const BASIC_CACHE_MS = 60_000
/** Verified passwords that are known at once. */
export const BASIC_CACHE_MAX = 1000

const KEY_BYTES = 32

export function createBasicVerifier({
  store,
  signIn,
  audit,
  monotonic = () => performance.now(),
}: BasicOptions): BasicVerifier {
  // Of this process alone, so that a dump of the cache can't be searched with a dictionary elsewhere.
  const key = randomBytes(KEY_BYTES)
  const verified = new Map<string, Verified>()
  const underWay = new Map<string, Promise<User>>()

  const digestOf = ({ email, password }: Credential) =>
    createHmac('sha256', key)
      .update(JSON.stringify([email, password]))
      .digest('base64')
  const isFresh = (digest: string): boolean =>
    monotonic() - (verified.get(digest)?.atMs ?? -Infinity) < BASIC_CACHE_MS
  // Equal requests at once share one hash, unless the stored one was changed between them.
  const verify = (digest: string, attempt: Attempt): Promise<User> => {
    const { credential, user, address } = attempt
    const name = `${digest} ${user?.password_hash ?? ''}`
    const running = underWay.get(name)
    if (running !== undefined) return running
    const started = signIn({ ...credential, address, method: 'basic', challenge: BASIC_CHALLENGE }).finally(
      () => underWay.delete(name),
    )
    underWay.set(name, started)
    return started
  }

  return async (encoded, { address, claim }) => {
    const credential = parseBasic(encoded)
    if (credential === undefined) {
      claim?.()
      audit('login.failed', { method: 'basic', ip: address(), reason: 'malformed credential' })
      throw invalidCredentials(BASIC_CHALLENGE)
    }
    const digest = digestOf(credential)
    const mayBeKnown = isFresh(digest)
    if (!mayBeKnown) claim?.()
    let user = await findByEmail(store, credential.email)
    // The hash that is stored counts: a changed password is unknown at once.
    const isKnown = user !== undefined && isFresh(digest) && verified.get(digest)?.hash === user.password_hash
    if (user === undefined || !isKnown) {
      if (mayBeKnown) claim?.()
      const found = await verify(digest, { credential, user, address: address() })
      setBounded(verified, [digest, { hash: found.password_hash, atMs: monotonic() }], BASIC_CACHE_MAX)
      // The hash may have waited its turn for seconds; what happened to the account meanwhile counts.
      user = await findByEmail(store, credential.email)
      if (user?.password_hash !== found.password_hash) throw invalidCredentials(BASIC_CHALLENGE)
    }
    if (user.disabled) throw invalidCredentials(BASIC_CHALLENGE)
    return user
  }
}

/** The stored hash that a password was found right for, and when. */
interface Verified {
  hash: string | null
  atMs: number
}

interface Attempt {
  credential: Credential
  user: User | undefined
  address: string
}

interface Credential {
  email: string
  password: string
}

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/
// RFC 7617, section 2: neither part may have one.
const CONTROL = /[\u0000-\u001f\u007f]/
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** E-mail and password of a credential; undefined unless it is canonical base64 of UTF-8 with a colon in it. */
export function parseBasic(encoded: string): Credential | undefined {
  const bytes = Buffer.from(encoded, 'base64')
  if (!BASE64.test(encoded) || bytes.toString('base64') !== encoded) return undefined
  let text: string
  try {
    text = decoder.decode(bytes)
  } catch {
    return undefined
  }
  const colon = text.indexOf(':')
  if (colon === -1 || CONTROL.test(text)) return undefined
  return { email: text.slice(0, colon), password: text.slice(colon + 1) }
}
