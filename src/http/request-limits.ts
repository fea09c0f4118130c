// How many requests a client may make, whatever it asks for: an account by its id, everybody else by network. It decides
// before a credential costs anything, and tells in every answer what is left
// (draft-ietf-httpapi-ratelimit-headers-11). How passwords are limited is auth/login-limits.ts's business.
import type { Principal } from '../access/principal.ts'
import { AppError } from '../core/errors.ts'
import type { Eventual } from '../core/eventual.ts'
import { networkPrefix } from './client-address.ts'
import { createRateLimiter, type Quota, type RateLimiter } from './rate-limit.ts'

export interface RequestLimitsOptions {
  /** Of an account, and of a network. */
  rate: { readonly limit: number; readonly windowMs: number }
  /** The address of a request's client. */
  addressOf: (request: Request) => string
  /** Told of each request that is refused. */
  onRefused?: (by: 'account' | 'network') => void
  /** Milliseconds of a clock that is never set. */
  now?: () => number
}

/** A request, and what it is counted for. */
export interface Countable {
  readonly request: Request
  /** What is left, for its answer to tell. */
  quota: Quota | undefined
  /** The network that a look at the credential was counted for. */
  claimed: string | undefined
}

/** Throws where a credential that is not known may not be looked at. */
export type Claim = () => void

/** Finds who makes the request; it calls what `claimOf` gives before it looks at a credential that is not known. */
type Find<C> = (counted: C, claimOf: (counted: Countable) => Claim) => Eventual<Principal>

/** Both counts throw AppError `rate_limited` with Retry-After where nothing is left. */
export interface RequestLimits {
  /** Counts a request that nobody is asked for who makes it. */
  countNetwork: (counted: Countable) => void
  /**
   * Counts a request for whom `find` finds, and gives that. A look at a credential counts for the network unless it
   * proves right.
   */
  countCaller: <C extends Countable>(counted: C, find: Find<C>) => Eventual<Principal>
  /** Tells in the answer, of an error too, what is left. */
  tell: (counted: Countable, response: Response) => Response
}

/** Accounts, and networks, that are counted at once (24 MB). */
export const COUNTED_MAX = 50_000
const POLICY = '"default"'

export function createRequestLimits(options: RequestLimitsOptions): RequestLimits {
  const { rate, addressOf, onRefused, now = () => performance.now() } = options
  const { limit, windowMs } = rate
  const createLimiter = () => createRateLimiter({ limit, windowMs, keysMax: COUNTED_MAX, now })
  const accounts = createLimiter()
  const networks = createLimiter()
  const policy = `${POLICY};q=${limit};w=${Math.ceil(windowMs / 1000)}`

  const take = (limiter: RateLimiter, key: string, counted: Countable): void => {
    const quota = limiter.take(key)
    counted.quota = quota
    if (quota.retryAfterSeconds === undefined) return
    onRefused?.(limiter === accounts ? 'account' : 'network')
    throw new AppError('rate_limited', { headers: { 'retry-after': String(quota.retryAfterSeconds) } })
  }
  const networkOf = ({ request }: Countable) => networkPrefix(addressOf(request))
  const countNetwork = (counted: Countable) => take(networks, networkOf(counted), counted)
  const claimOf = (counted: Countable) => () => {
    counted.claimed = networkOf(counted)
    take(networks, counted.claimed, counted)
  }
  const found = (counted: Countable, principal: Principal): Principal => {
    const { claimed } = counted
    if (principal.id === null) {
      if (claimed === undefined) countNetwork(counted)
      return principal
    }
    // Who is refused here has cost its network a look at a credential.
    take(accounts, principal.id, counted)
    if (claimed !== undefined) networks.giveBack(claimed)
    return principal
  }
  const failed = (counted: Countable, thrown: unknown): never => {
    if (counted.claimed === undefined) countNetwork(counted)
    throw thrown
  }

  return {
    countNetwork,
    countCaller: (counted, find) => {
      let principal: Eventual<Principal>
      try {
        principal = find(counted, claimOf)
      } catch (thrown) {
        return failed(counted, thrown)
      }
      if (!(principal instanceof Promise)) return found(counted, principal)
      return principal.then(
        (late) => found(counted, late),
        (thrown: unknown) => failed(counted, thrown),
      )
    },
    tell: ({ quota }, response) => {
      if (quota === undefined) return response
      const { headers } = response
      headers.set('ratelimit-policy', policy)
      headers.set('ratelimit', `${POLICY};r=${quota.remaining};t=${quota.resetSeconds}`)
      return response
    },
  }
}
