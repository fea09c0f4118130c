// How many requests a client may make, whatever it asks for: an account by its id, everybody else by network. It decides
// before a credential costs anything, and tells in every answer what is left
// (draft-ietf-httpapi-ratelimit-headers-11). How passwords are limited is auth/login-limits.ts's business.
import { ANONYMOUS, type Principal } from '../access/principal.ts'
import { AppError } from '../core/errors.ts'
import { proceed, type Eventual } from '../core/eventual.ts'
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

/** What a request was counted for, to be told in its answer. */
export interface Ticket {
  quota: Quota | undefined
}

/** A request whose client is not counted yet. */
export interface Countable {
  request: Request
  ticket?: Ticket | undefined
}

/** Throws where the credential of a network that is used up would have to be looked at. */
export type Claim = () => void

type Handle<P> = (request: Request, params: P, ticket?: Ticket) => Eventual<Response>

/** Both counts throw AppError `rate_limited` with Retry-After where nothing is left. */
export interface RequestLimits {
  /** Makes the answers of a handler tell what is left, errors too. */
  telling: <P>(handle: Handle<P>) => Handle<P>
  /** Counts a request that nobody is asked for who makes it. */
  countNetwork: (incoming: Countable) => void
  /**
   * Counts a request for whom `find` finds, and gives that. `find` calls `claim` before it looks at a credential that
   * it does not know yet: that counts for the network unless the credential proves right.
   */
  countCaller: (incoming: Countable, find: (claim: Claim) => Eventual<Principal>) => Eventual<Principal>
}

/** Accounts, and networks, that are counted at once (20 MB). */
export const COUNTED_MAX = 50_000
const POLICY = '"default"'

export function createRequestLimits(options: RequestLimitsOptions): RequestLimits {
  const { rate, addressOf, onRefused, now = () => performance.now() } = options
  const { limit, windowMs } = rate
  const createLimiter = () => createRateLimiter({ limit, windowMs, keysMax: COUNTED_MAX, now })
  const accounts = createLimiter()
  const networks = createLimiter()
  const policy = `${POLICY};q=${limit};w=${Math.ceil(windowMs / 1000)}`

  const take = (limiter: RateLimiter, key: string, { ticket }: Countable): void => {
    const quota = limiter.take(key)
    if (ticket !== undefined) ticket.quota = quota
    if (quota.retryAfterSeconds === undefined) return
    onRefused?.(limiter === accounts ? 'account' : 'network')
    throw new AppError('rate_limited', { headers: { 'retry-after': String(quota.retryAfterSeconds) } })
  }
  const networkOf = ({ request }: Countable) => networkPrefix(addressOf(request))
  const countNetwork = (incoming: Countable) => take(networks, networkOf(incoming), incoming)

  return {
    telling: (handle) => (request, params) => {
      const ticket: Ticket = { quota: undefined }
      return proceed(handle(request, params, ticket), (response) => {
        const { quota } = ticket
        if (quota === undefined) return response
        response.headers.set('ratelimit-policy', policy)
        response.headers.set('ratelimit', `${POLICY};r=${quota.remaining};t=${quota.resetSeconds}`)
        return response
      })
    },
    countNetwork,
    countCaller: (incoming, find) => {
      let claimed: string | undefined
      const claim = () => {
        claimed = networkOf(incoming)
        take(networks, claimed, incoming)
      }
      const found = (principal: Principal) => {
        if (principal === ANONYMOUS || principal.id === null) {
          if (claimed === undefined) countNetwork(incoming)
          return principal
        }
        // Who is refused here has cost its network a look at a credential.
        take(accounts, principal.id, incoming)
        if (claimed !== undefined) networks.giveBack(claimed)
        return principal
      }
      const failed = (thrown: unknown): never => {
        if (claimed === undefined) countNetwork(incoming)
        throw thrown
      }
      let principal: Eventual<Principal>
      try {
        principal = find(claim)
      } catch (thrown) {
        return failed(thrown)
      }
      return principal instanceof Promise ? principal.then(found, failed) : found(principal)
    },
  }
}
