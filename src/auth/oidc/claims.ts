// What is taken from the claims of another issuer. It may say anything: what does not fit an account is left out, and no
// claim makes an administrator.
import { isEmail } from '../../http/formats.ts'
import { EMAIL_LENGTH_MAX, NAME_LENGTH_MAX } from '../users.ts'

/** Whom an issuer vouches for. */
export interface Identity extends Profile {
  issuer: string
  subject: string
}

export interface Profile {
  email?: string
  name?: string
}

interface Claims {
  readonly [claim: string]: unknown
}

/** OpenID Connect Core, 2, allows 255 ASCII characters. */
export const SUBJECT_LENGTH_MAX = 255

/** `sub` (OpenID Connect Core, 2); undefined where it can't be one. */
export function subjectOf({ sub }: Claims): string | undefined {
  if (typeof sub !== 'string' || sub === '' || sub.length > SUBJECT_LENGTH_MAX) return undefined
  return sub.isWellFormed() && !/\p{Cc}/u.test(sub) ? sub : undefined
}

/** E-mail and name, where they are there and can be an account's. */
export function profileOf(claims: Claims): Profile {
  const email = textOf(claims['email'], EMAIL_LENGTH_MAX)?.normalize('NFC')
  const name =
    textOf(claims['name'], NAME_LENGTH_MAX) ?? textOf(claims['preferred_username'], NAME_LENGTH_MAX)
  return {
    ...(email === undefined || !isEmail(email) ? {} : { email }),
    ...(name === undefined ? {} : { name }),
  }
}

function textOf(claim: unknown, lengthMax: number): string | undefined {
  if (typeof claim !== 'string' || claim.length > lengthMax || !claim.isWellFormed()) return undefined
  const text = claim.replace(/\p{Cc}/gu, ' ').trim()
  return text === '' ? undefined : text
}
