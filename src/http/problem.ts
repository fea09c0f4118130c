// Every error leaves the server through here, once: the body of api.md section 3, or RFC 9457 where it is asked for.
// A bug or a foreign error becomes `internal_error`; its cause goes to the log with the request id, never out.
import { AppError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Exchange } from './exchange.ts'
import type { AnswerHeaders } from './headers.ts'
import { preferredType } from './negotiation.ts'
import { oauthErrorBody } from './oauth-errors.ts'
import { statusText } from './status-text.ts'

export interface FailedRequest {
  exchange: Exchange
  noStore: boolean
  /** As in the route's contract. */
  errorShape?: 'oauth' | undefined
}

/** For a request without a credential, and for a sign-in that failed. */
export const BEARER_CHALLENGE = 'Bearer realm="hipflask"'
/** For a Basic credential that is wrong, and for a page. Elsewhere it is not offered: browsers would open a dialog. */
export const BASIC_CHALLENGE = 'Basic realm="hipflask", charset="UTF-8"'

const JSON_TYPE = 'application/json'
const PROBLEM_TYPE = 'application/problem+json'
const SHORT_BODY_BYTES = 64 * 1024

/** Makes the function that answers a request which failed with `thrown`. */
export function createProblemResponder(answerHeaders: AnswerHeaders, logger: Logger) {
  return (thrown: unknown, { exchange, noStore, errorShape }: FailedRequest): Response => {
    const { request, requestId } = exchange
    const error = thrown instanceof AppError ? thrown : new AppError('internal_error', { cause: thrown })
    if (error.status >= 500) logFailure(logger, error, requestId)
    const accept = request.headers.get('accept')
    const isOAuth = errorShape === 'oauth'
    const wantsProblem = !isOAuth && preferredType(accept, [JSON_TYPE, PROBLEM_TYPE]) === PROBLEM_TYPE
    const headers = answerHeaders.own(requestId, noStore)
    if (wantsProblem) headers.set('content-type', PROBLEM_TYPE)
    // RFC 9110, 15.5.2: a 401 says how to authenticate.
    if (error.status === 401) headers.set('www-authenticate', challengeFor(request))
    for (const [name, value] of Object.entries(error.headers)) headers.set(name, value)
    if (hasLongUnreadBody(request)) headers.set('connection', 'close')
    const bodyOf = isOAuth ? oauthErrorBody : wantsProblem ? problemBody : errorBody
    const body = JSON.stringify(bodyOf(error, requestId))
    exchange.bytes = Buffer.byteLength(body)
    return new Response(body, { status: error.status, headers })
  }
}

// Whoever opens a page that needs a credential gets the browser's own dialog; a script's request must not open one.
function challengeFor(request: Request): string {
  const isNavigation = request.headers.get('sec-fetch-mode') === 'navigate'
  return isNavigation ? BASIC_CHALLENGE : BEARER_CHALLENGE
}

function logFailure(logger: Logger, error: AppError, requestId: string): void {
  const fields = { request_id: requestId, code: error.code, cause: error.cause }
  if (error.code === 'internal_error') logger.error('Request failed', fields)
  else logger.warn(error.message, fields)
}

// A body that was refused unread must not be read to its end only to find the next request of the connection; a short
// one may.
function hasLongUnreadBody(request: Request): boolean {
  if (request.body === null || request.bodyUsed) return false
  const length = request.headers.get('content-length')
  return length === null || Number(length) > SHORT_BODY_BYTES
}

/** The body of an error answer (api.md, section 3); the API document takes its examples from here too. */
export function errorBody(error: AppError, requestId: string) {
  const { status, code, message, details } = error
  return { error: { status_code: status, code, message, details, request_id: requestId } }
}

/** The same as RFC 9457. */
export function problemBody(error: AppError, requestId: string) {
  const { status, code, message, details } = error
  return {
    type: 'about:blank',
    title: statusText(status) ?? code,
    status,
    detail: message,
    code,
    errors: details,
    request_id: requestId,
  }
}
