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

/** An attempt that is counted as failed until it is known better. Of its two ends the first one counts. */
export interface Attempt {
  /** It failed, and stays counted. */
  keep: () => void
  /**
   * Uncounts it: the password was right, the account was made, or nothing was looked at. It does not forget the
   * account's failures, else whoever signs in often would give those who guess their tries back.
   */
  giveBack: () => void
}

/**
 * Both wait while attempts that are under way have taken what is left, and throw AppError `rate_limited` with
 * Retry-After where the account or the network is used up.
 */
export interface LoginLimits {
  /** `account` is the canonical e-mail, whether or not there is such an account; `address` the client's. */
  begin: (attempt: { account: string; address: string }) => Promise<Attempt>
  /** A registration: a taken e-mail tells as much as a failed login. */
  beginRegistration: (address: string) => Promise<Attempt>
}

/** Many people can be behind one network. */
export const NETWORK_FACTOR = 5
/**
 * Accounts, and networks, that are counted at once (20 MB). To have the failures of an account forgotten, somebody
 * must fail as often with each of so many others within the window, each at the cost of a hash.
 */
export const COUNTED_MAX = 50_000

/** Attempts that wait for others to end; the next one is refused. */
export const ATTEMPTS_WAITING_MAX = 1000

const KEY_BYTES = 32

export function createLoginLimits({ rate, now }: LoginLimitsOptions): LoginLimits {
  if (rate === 'off') return { begin: () => UNCOUNTED, beginRegistration: () => UNCOUNTED }
  const reserve = createReservation()
  const { limit, windowMs } = rate
  const limiterOf = (count: number) =>
    createRateLimiter({ limit: count, windowMs, keysMax: COUNTED_MAX, now })
  const accounts = limiterOf(limit)
  const networks = limiterOf(limit * NETWORK_FACTOR)
  // What was typed is not kept: a digest is as short for every e-mail, and of this process alone.
  const secret = randomBytes(KEY_BYTES)
  const digestOf = (account: string) => createHmac('sha256', secret).update(account).digest('base64')
  const networkOf = (address: string): Claim => ({
    limiter: networks,
    key: `network ${networkPrefix(address)}`,
  })
  return {
    begin: ({ account, address }) =>
      reserve([{ limiter: accounts, key: `account ${digestOf(account)}` }, networkOf(address)]),
    beginRegistration: (address) => reserve([networkOf(address)]),
  }
}

interface Claim {
  limiter: RateLimiter
  /** Of no other limiter. */
  key: string
}

const UNCOUNTED = Promise.resolve<Attempt>({ keep: () => {}, giveBack: () => {} })

/** Makes the function that takes one of each claim or none. */
function createReservation(): (claims: readonly Claim[]) => Promise<Attempt> {
  /** How many attempts of a key are under way, and what resolves when the next of them ends. */
  const underWay = new Map<string, { count: number; end: PromiseWithResolvers<void> }>()
  let waiting = 0

  function enter({ key }: Claim): void {
    const entry = underWay.get(key)
    if (entry === undefined) underWay.set(key, { count: 1, end: Promise.withResolvers() })
    else entry.count += 1
  }
  function leave({ key }: Claim): void {
    const entry = underWay.get(key)
    if (entry === undefined) return
    entry.count -= 1
    entry.end.resolve()
    if (entry.count === 0) underWay.delete(key)
    else entry.end = Promise.withResolvers()
  }
  function attemptOf(claims: readonly Claim[]): Attempt {
    let isUnderWay = true
    const end = (finish: (claim: Claim) => void) => () => {
      if (!isUnderWay) return
      isUnderWay = false
      for (const claim of claims) {
        finish(claim)
        leave(claim)
      }
    }
    for (const claim of claims) enter(claim)
    return { keep: end(() => {}), giveBack: end(({ limiter, key }) => limiter.giveBack(key)) }
  }
  return async (claims) => {
    for (;;) {
      const refused = take(claims)
      if (refused === undefined) return attemptOf(claims)
      const others = underWay.get(refused.claim.key)
      if (others === undefined || waiting >= ATTEMPTS_WAITING_MAX) throw limited(refused.retryAfterSeconds)
      waiting += 1
      await others.end.promise
      waiting -= 1
    }
  }
}

/** Takes one of each; undefined, or the claim that is refused for the longest time, and then none is taken. */
function take(claims: readonly Claim[]): { claim: Claim; retryAfterSeconds: number } | undefined {
  const taken: Claim[] = []
  let refused: { claim: Claim; retryAfterSeconds: number } | undefined
  for (const claim of claims) {
    const { retryAfterSeconds } = claim.limiter.take(claim.key)
    if (retryAfterSeconds === undefined) taken.push(claim)
    else if (refused === undefined || retryAfterSeconds > refused.retryAfterSeconds)
      refused = { claim, retryAfterSeconds }
  }
  if (refused !== undefined) for (const { limiter, key } of taken) limiter.giveBack(key)
  return refused
}

function limited(seconds: number): AppError {
  return new AppError('rate_limited', { headers: { 'retry-after': String(seconds) } })
}
