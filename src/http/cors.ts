// Which pages of other origins may call (Fetch, 3.3): those whose origin the operator named, letter by letter. No answer
// of this server depends on a cookie, so that a browser's credentials are let in for one route alone. It opens no
// private network to public pages: that would need a header which is never sent.
import { proceed, type Eventual } from '../core/eventual.ts'

/** `off`: none. `*`: all. Else each of these alone, as a browser sends them; `loopback` is every one of this machine. */
export type CorsOrigins = 'off' | '*' | readonly string[]

type Handle = (request: Request) => Eventual<Response>

export interface Cors {
  /** Makes the answers of a handler name the origin that may read them, errors too. */
  granting: (handle: Handle) => Handle
  /** Whether a browser asks what a page of an allowed origin may send (Fetch, 4.9). */
  isPreflight: (request: Request) => boolean
  /** What the answer to that says beside the origin, on every path: a wrong method is for the page to be told. */
  preflightHeaders: Readonly<Record<string, string>>
}

const LOOPBACK = 'loopback'
/** Browsers cap it: Chromium at two hours. */
const PREFLIGHT_SECONDS = 7200

const ALLOWED_METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE'
// The star stands for all but Authorization, and not where a browser's credentials go along; so those that this server
// reads are named.
const ALLOWED_HEADERS =
  'Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer, X-API-Key, *'

const EXPOSED_HEADERS = [
  'Allow',
  'ETag',
  'Idempotency-Replayed',
  'Link',
  'Location',
  'Preference-Applied',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'Server-Timing',
  'WWW-Authenticate',
  'X-Request-Id',
  'X-Total-Count',
].join(', ')

const LOOPBACK_ORIGIN = /^https?:\/\/(?:(?:[a-z0-9-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/

/** It sets a cookie for the browser to come back with; see auth/oidc/flow.ts. */
const SIGN_IN = /^https?:\/\/[^/]+\/auth\/oidc\/[^/?]+\/login(?:\?|$)/

/** Undefined where no other origin may call. */
export function createCors(origins: CorsOrigins): Cors | undefined {
  if (origins === 'off') return undefined
  const isForAll = origins === '*'
  const listed = new Set(isForAll ? [] : origins.filter((origin) => origin !== LOOPBACK))
  const isLoopbackAllowed = !isForAll && origins.includes(LOOPBACK)
  /** What may be told to the origin; the origin of a page without one is `null`, which is anybody. */
  const grantFor = (origin: string): string | undefined => {
    if (isForAll) return '*'
    return listed.has(origin) || (isLoopbackAllowed && LOOPBACK_ORIGIN.test(origin)) ? origin : undefined
  }
  return {
    granting: (handle) => (request) => {
      const origin = request.headers.get('origin')
      const grant = origin === null ? undefined : grantFor(origin)
      if (grant === undefined) return handle(request)
      return proceed(handle(request), (response) => {
        const { headers } = response
        headers.set('access-control-allow-origin', grant)
        headers.set('access-control-expose-headers', EXPOSED_HEADERS)
        if (listed.has(grant) && SIGN_IN.test(request.url)) {
          headers.set('access-control-allow-credentials', 'true')
        }
        return response
      })
    },
    isPreflight: ({ method, headers }) => {
      const origin = method === 'OPTIONS' ? headers.get('origin') : null
      return origin !== null && headers.has('access-control-request-method') && grantFor(origin) !== undefined
    },
    preflightHeaders: {
      'access-control-allow-methods': ALLOWED_METHODS,
      'access-control-allow-headers': ALLOWED_HEADERS,
      'access-control-max-age': String(PREFLIGHT_SECONDS),
    },
  }
}
