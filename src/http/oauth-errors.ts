// Errors as OAuth clients expect them (RFC 6749, 5.2), for the routes that are made for such clients. What the frame
// refuses there has this shape too.
import { AppError, type ErrorCode } from '../core/errors.ts'

export const OAUTH_ERROR_CODES = [
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'unsupported_token_type',
  'invalid_token',
  'insufficient_scope',
  'temporarily_unavailable',
  'server_error',
] as const

/** RFC 6749, 4.1.2.1 and 5.2; RFC 6750, 3.1; RFC 7009, 2.2.1. */
export type OAuthErrorCode = (typeof OAUTH_ERROR_CODES)[number]

/** An error with a code of OAuth's own: 400, and 401 where a client is not who it says. */
export class OAuthError extends AppError {
  readonly error: OAuthErrorCode

  /** The message holds no quote, backslash or character beyond ASCII, as the RFC says. */
  constructor(error: OAuthErrorCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(error === 'invalid_client' ? 'unauthenticated' : 'bad_request', { message, headers })
    this.error = error
  }
}

/** What a code of the catalogue is called there; `invalid_request` unless it is here. */
const OAUTH_CODES: Partial<Record<ErrorCode, OAuthErrorCode>> = {
  unauthenticated: 'invalid_client',
  invalid_credentials: 'invalid_client',
  invalid_token: 'invalid_token',
  token_expired: 'invalid_token',
  token_revoked: 'invalid_token',
  forbidden: 'insufficient_scope',
  rate_limited: 'temporarily_unavailable',
  unavailable: 'temporarily_unavailable',
  internal_error: 'server_error',
}

/** The body of the answer. */
export function oauthErrorBody(error: AppError): { error: OAuthErrorCode; error_description: string } {
  const code = error instanceof OAuthError ? error.error : (OAUTH_CODES[error.code] ?? 'invalid_request')
  return { error: code, error_description: error.message }
}
