// The 401 answers of auth/ and the WWW-Authenticate challenge that each carries (RFC 9110, 11.6.1; RFC 6750, section 3;
// RFC 7617, section 2). They never say which part of a credential was wrong.
import { AppError } from '../core/errors.ts'
import type { Eventual } from '../core/eventual.ts'
import { BASIC_CHALLENGE, BEARER_CHALLENGE } from '../http/problem.ts'

const INVALID_TOKEN_CHALLENGE = `${BEARER_CHALLENGE}, error="invalid_token"`
const EXPIRED_CHALLENGE = `${INVALID_TOKEN_CHALLENGE}, error_description="The access token expired"`
const REFRESH_EXPIRED_CHALLENGE = `${INVALID_TOKEN_CHALLENGE}, error_description="The refresh token expired"`
const REVOKED_CHALLENGE = `${INVALID_TOKEN_CHALLENGE}, error_description="The access token was revoked"`

/** A token or key that is forged, malformed or unknown. */
export function invalidToken(): AppError {
  return new AppError('invalid_token', { headers: { 'WWW-Authenticate': INVALID_TOKEN_CHALLENGE } })
}

/** A token that was good until its time ran out. */
export function tokenExpired(): AppError {
  return new AppError('token_expired', { headers: { 'WWW-Authenticate': EXPIRED_CHALLENGE } })
}

/** A refresh token that was good until its time, or that of its session, ran out. */
export function refreshExpired(): AppError {
  return new AppError('token_expired', { headers: { 'WWW-Authenticate': REFRESH_EXPIRED_CHALLENGE } })
}

/** A token that was good until its session, key or account was ended. */
export function tokenRevoked(): AppError {
  return new AppError('token_revoked', { headers: { 'WWW-Authenticate': REVOKED_CHALLENGE } })
}

/** An e-mail and password that do not sign anybody in. */
export function invalidCredentials(challenge: string): AppError {
  return new AppError('invalid_credentials', { headers: { 'WWW-Authenticate': challenge } })
}

/** An Authorization header of a scheme that is not taken here. */
export function unknownScheme(): AppError {
  return new AppError('unauthenticated', {
    message: 'Authorization header must be of the Bearer or Basic scheme',
    headers: { 'WWW-Authenticate': `${BEARER_CHALLENGE}, ${BASIC_CHALLENGE}` },
  })
}

/** What a credential stands for; undefined where it is refused by a 401. */
export async function unlessRefused<T>(find: () => Eventual<T>): Promise<T | undefined> {
  try {
    return await find()
  } catch (error) {
    if (error instanceof AppError && error.status === 401) return undefined
    throw error
  }
}
