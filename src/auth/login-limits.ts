// How often a password may be guessed: of one account, and from one network. Both are counted before the password is
// looked at, so that guesses at once are not free. It knows no account: unknown ones are counted like others.
import { createHmac, randomBytes } from 'node:crypto'
import { AppError } from '../core/errors.ts'
import { networkPrefix } from '../http/client-address.ts'
import { createRateLimiter, type RateLimiter } from '../http/rate-limit.ts'

export interface LoginLimitsOptions {
  /** For an account; a network has NETWORK_FACTOR times the count. */
  rate: { readonly limit: number; readonly windowMs: number } | 'off'
  /** Milliseconds of a clock that is never set, such as `performance.now`. */
  now: () => number
}

/** An attempt that is counted as failed until it is known better. */
export interface Attempt {
  /**
   * Uncounts it: the password was right, the account was made, or nothing was looked at. It does not forget the
   * account's failures, else whoever signs in often would give those who guess their tries back. More calls do nothing.
   */
  giveBack: () => void
}

/** Both throw AppError `rate_limited` with Retry-After where the account or the network is used up. */
export interface LoginLimits {
  /** `account` is the canonical e-mail, whether or not there is such an account; `address` the client's. */
  begin: (attempt: { account: string; address: string }) => Attempt
  /** A registration: a taken e-mail tells as much as a failed login. */
  beginRegistration: (address: string) => Attempt
}

/** Many people can be behind one network. */
export const NETWORK_FACTOR = 5
/**
 * Accounts, and networks, that are counted at once (20 MB). To have the failures of an account forgotten, somebody
 * must fail as often with each of so many others within the window, each at the cost of a hash.
 */
export const COUNTED_MAX = 50_000

const KEY_BYTES = 32

export function createLoginLimits({ rate, now }: LoginLimitsOptions): LoginLimits {
  if (rate === 'off') return { begin: () => UNCOUNTED, beginRegistration: () => UNCOUNTED }
  const { limit, windowMs } = rate
  const limiterOf = (count: number) =>
    createRateLimiter({ limit: count, windowMs, keysMax: COUNTED_MAX, now })
  const accounts = limiterOf(limit)
  const networks = limiterOf(limit * NETWORK_FACTOR)
  // What was typed is not kept: a digest is as short for every e-mail, and of this process alone.
  const secret = randomBytes(KEY_BYTES)
  const digestOf = (account: string) => createHmac('sha256', secret).update(account).digest('base64')
  const networkOf = (address: string): Claim => ({ limiter: networks, key: networkPrefix(address) })
  return {
    begin: ({ account, address }) =>
      reserve([{ limiter: accounts, key: digestOf(account) }, networkOf(address)]),
    beginRegistration: (address) => reserve([networkOf(address)]),
  }
}

interface Claim {
  limiter: RateLimiter
  key: string
}

const UNCOUNTED: Attempt = { giveBack: () => {} }

/** One of each or none. */
function reserve(claims: readonly Claim[]): Attempt {
  const taken: Claim[] = []
  const giveBack = () => {
    for (const { limiter, key } of taken.splice(0)) limiter.giveBack(key)
  }
  let retryAfterSeconds = 0
  for (const claim of claims) {
    const quota = claim.limiter.take(claim.key)
    if (quota.retryAfterSeconds === undefined) taken.push(claim)
    else retryAfterSeconds = Math.max(retryAfterSeconds, quota.retryAfterSeconds)
  }
  if (retryAfterSeconds === 0) return { giveBack }
  giveBack()
  throw new AppError('rate_limited', { headers: { 'retry-after': String(retryAfterSeconds) } })
}
