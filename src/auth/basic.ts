// Basic credentials (RFC 7617). A password is verified once and then known for a minute by a keyed digest, so that a
// client that sends it with every request does not cost a hash each time. No password is kept.
import { createHmac, randomBytes } from 'node:crypto'
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

/**
 * The account of what follows the scheme in the header, sent from this address. Throws AppError `invalid_credentials`,
 * `rate_limited` or `unavailable`.
 */
export type BasicVerifier = (encoded: string, address: string) => Promise<User>

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
  const verifiedAt = new Map<string, number>()
  const underWay = new Map<string, Promise<User>>()

  // The stored hash is part of the digest: a changed password is unknown at once.
  const digestOf = ({ email, password }: Credential, user: User | undefined) =>
    createHmac('sha256', key)
      .update(JSON.stringify([email, password, user?.password_hash ?? null]))
      .digest('base64')
  const isKnown = (digest: string): boolean =>
    monotonic() - (verifiedAt.get(digest) ?? -Infinity) < BASIC_CACHE_MS
  // Equal requests at once share one hash.
  const verify = (digest: string, credential: Credential, address: string): Promise<User> => {
    const running = underWay.get(digest)
    if (running !== undefined) return running
    const started = signIn({ ...credential, address, method: 'basic', challenge: BASIC_CHALLENGE }).finally(
      () => underWay.delete(digest),
    )
    underWay.set(digest, started)
    return started
  }

  return async (encoded, address) => {
    const credential = parseBasic(encoded)
    if (credential === undefined) {
      audit('login.failed', { method: 'basic', ip: address, reason: 'malformed credential' })
      throw invalidCredentials(BASIC_CHALLENGE)
    }
    let user = await findByEmail(store, credential.email)
    if (user === undefined || !isKnown(digestOf(credential, user))) {
      const verified = await verify(digestOf(credential, user), credential, address)
      setBounded(verifiedAt, [digestOf(credential, verified), monotonic()], BASIC_CACHE_MAX)
      // The hash may have waited its turn for seconds; what happened to the account meanwhile counts.
      user = await findByEmail(store, credential.email)
      if (user?.password_hash !== verified.password_hash) throw invalidCredentials(BASIC_CHALLENGE)
    }
    if (user.disabled) throw invalidCredentials(BASIC_CHALLENGE)
    return user
  }
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
