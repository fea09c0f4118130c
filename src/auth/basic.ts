// Basic credentials (RFC 7617). A password is verified once and then known for a minute by a keyed digest, so that a
// client that sends it with every request does not cost a hash each time. No password is kept.
import { createHmac, randomBytes } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import type { Store } from '../storage/store.ts'
import { setBounded } from './bounded-map.ts'
import { BASIC_CHALLENGE } from '../http/problem.ts'
import { invalidCredentials } from './challenges.ts'
import type { Passwords } from './passwords.ts'
import { findByEmail, type User } from './users.ts'

export interface BasicOptions {
  store: Store
  passwords: Passwords
  clock: Clock
}

/** The account of what follows the scheme in the header. Throws AppError `invalid_credentials` or `unavailable`. */
export type BasicVerifier = (encoded: string) => Promise<User>

/** How long a verified password is known. */
export const BASIC_CACHE_MS = 60_000
/** Verified passwords that are known at once. */
export const BASIC_CACHE_MAX = 1000

const KEY_BYTES = 32

export function createBasicVerifier({ store, passwords, clock }: BasicOptions): BasicVerifier {
  // Of this process alone, so that a dump of the cache can't be searched with a dictionary elsewhere.
  const key = randomBytes(KEY_BYTES)
  const verifiedAt = new Map<string, number>()
  const underWay = new Map<string, Promise<boolean>>()

  // The stored hash is part of the digest: a changed password is unknown at once.
  const digestOf = ({ email, password }: Credential, hash: string | undefined) =>
    createHmac('sha256', key)
      .update(JSON.stringify([email, password, hash ?? null]))
      .digest('base64')
  const isKnown = (digest: string): boolean => {
    const age = clock() - (verifiedAt.get(digest) ?? -Infinity)
    // Negative where the clock was set back.
    return age >= 0 && age < BASIC_CACHE_MS
  }
  // Equal requests at once share one hash.
  const verify = (digest: string, password: string, hash: string | undefined): Promise<boolean> => {
    const running = underWay.get(digest)
    if (running !== undefined) return running
    const started = passwords.verify(password, hash).finally(() => underWay.delete(digest))
    underWay.set(digest, started)
    return started
  }

  return async (encoded) => {
    const credential = parseBasic(encoded)
    if (credential === undefined) throw invalidCredentials(BASIC_CHALLENGE)
    let user = await findByEmail(store, credential.email)
    const hash = user?.password_hash
    const digest = digestOf(credential, hash)
    if (!isKnown(digest)) {
      if (!(await verify(digest, credential.password, hash))) throw invalidCredentials(BASIC_CHALLENGE)
      setBounded(verifiedAt, [digest, clock()], BASIC_CACHE_MAX)
      // The hash may have waited its turn for seconds; what happened to the account meanwhile counts.
      user = await findByEmail(store, credential.email)
    }
    if (user === undefined || user.password_hash !== hash || user.disabled)
      throw invalidCredentials(BASIC_CHALLENGE)
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
function parseBasic(encoded: string): Credential | undefined {
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
