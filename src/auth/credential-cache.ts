// Credentials that were found right, with their principals, so that a request costs neither cryptography nor a read. An
// entry is good until something changes in the tables that it was made of, here or in another process.
import type { Principal } from '../access/principal.ts'
import type { Clock } from '../core/clock.ts'
import { setBounded } from './bounded-map.ts'
import type { Known } from './principals.ts'

/** Credentials that are kept. */
export const CREDENTIALS_MAX = 10_000

export interface CredentialCacheOptions {
  /** Another number as soon as what principals are made of may have changed (`Store.watch`). */
  version: () => number
  clock: Clock
}

export interface CredentialCache {
  /** The principal of a credential that is known and still good. */
  get(credential: string): Principal | undefined
  /** Finds out whose credential it is, and keeps that unless something changed meanwhile. */
  learn(credential: string, find: () => Promise<Known>): Promise<Principal>
}

export function createCredentialCache({ version, clock }: CredentialCacheOptions): CredentialCache {
  const entries = new Map<string, Known>()
  let entriesVersion = version()

  function upToDate(): number {
    const now = version()
    if (now !== entriesVersion) {
      entries.clear()
      entriesVersion = now
    }
    return now
  }
  return {
    get(credential) {
      upToDate()
      const entry = entries.get(credential)
      if (entry === undefined || entry.untilMs <= clock() || entry.isGood?.() === false) return undefined
      return entry.principal
    },
    async learn(credential, find) {
      const before = upToDate()
      const found = await find()
      if (upToDate() === before) setBounded(entries, [credential, found], CREDENTIALS_MAX)
      return found.principal
    },
  }
}
