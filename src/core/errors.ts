// The one catalogue of errors that a client can see: code → status and default message (api.md, section 3).
// It knows nothing of HTTP answers (http/problem.ts) nor of who throws.

/** One failing field: `field` is a JSON pointer into the body, or a parameter's name. Never holds the input's value. */
export interface ErrorDetail {
  field: string
  message: string
}

const CATALOGUE = {
  malformed_json: [400, 'Request body is not valid JSON'],
  validation_failed: [400, 'Request body is not valid'],
  bad_request: [400, 'Request is not valid'],
  ambiguous_credentials: [400, 'Request carries more than one credential'],
  unauthenticated: [401, 'Sign in to do this'],
  invalid_credentials: [401, 'E-mail or password is wrong'],
  invalid_token: [401, 'Token is not valid'],
  token_expired: [401, 'Token has expired'],
  token_revoked: [401, 'Token was revoked'],
  payment_required: [402, 'This must be paid for first'],
  forbidden: [403, 'You may not do this'],
  not_found: [404, 'There is nothing here'],
  method_not_allowed: [405, 'This method is not supported here'],
  not_acceptable: [406, 'None of the accepted media types can be given'],
  request_timeout: [408, 'Request body did not arrive in time'],
  conflict: [409, 'Request conflicts with what is stored'],
  link_required: [409, 'An account has this e-mail, sign in to it and link this identity'],
  gone: [410, 'What was here is gone'],
  precondition_failed: [412, 'Record is not as the condition of the request says'],
  payload_too_large: [413, 'Request body is too large'],
  uri_too_long: [414, 'Request target is too long'],
  unsupported_media_type: [415, 'Request body must be application/json'],
  misdirected_request: [421, 'This server does not answer for the requested host'],
  idempotency_mismatch: [422, 'This Idempotency-Key was used for another request'],
  unprocessable: [422, 'This can not be done as it was asked for'],
  precondition_required: [428, 'Send If-Match with the ETag of the record to change'],
  rate_limited: [429, 'Too many requests, try again later'],
  internal_error: [500, 'Something went wrong on our side'],
  unavailable: [503, 'Service is not available at the moment, try again'],
} as const satisfies Record<string, readonly [number, string]>

export type ErrorCode = keyof typeof CATALOGUE

/** Every code with its status and default message, for the API document. */
export const errorCodes = Object.keys(CATALOGUE) as ErrorCode[]

/** The HTTP status of a code. */
export function statusOf(code: ErrorCode): number {
  return CATALOGUE[code][0]
}

/** The message that an error of this code has when it is not given one. */
export function messageOf(code: ErrorCode): string {
  return CATALOGUE[code][1]
}

export interface AppErrorOptions {
  message?: string
  details?: readonly ErrorDetail[]
  /** Extra headers of the answer, such as `Allow` or `Retry-After`. */
  headers?: Readonly<Record<string, string>>
  /** What went wrong below; it goes to the log, never to the client. */
  cause?: unknown
}

/** What every 503 says. */
const RETRY_SOON = { 'Retry-After': '1' }

/** An expected failure. Everything else that is thrown is a bug and answers `internal_error`. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly details: readonly ErrorDetail[]
  readonly headers: Readonly<Record<string, string>>

  constructor(code: ErrorCode, options: AppErrorOptions = {}) {
    super(options.message ?? messageOf(code), { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.details = options.details ?? []
    this.headers = code === 'unavailable' ? { ...RETRY_SOON, ...options.headers } : (options.headers ?? {})
  }

  get status(): number {
    return statusOf(this.code)
  }
}

/** How a message names the user whose rights the process has: in a container nobody knows it else. Windows has no uid. */
export function thisUser(): string {
  return process.getuid === undefined ? 'this user' : `this user (uid ${process.getuid()})`
}

/**
 * A failure of the operator's side: a bad setting, declaration, file or command. The command line prints its
 * message without a stack and ends with `exitCode` (api.md, section 6): 1 failure, 2 wrong usage, 3 damaged data,
 * 4 a database newer than the executable.
 */
export class StartError extends Error {
  readonly exitCode: 1 | 2 | 3 | 4

  constructor(message: string, exitCode: 1 | 2 | 3 | 4 = 1, cause?: unknown) {
    super(message, { cause })
    this.name = 'StartError'
    this.exitCode = exitCode
  }
}
