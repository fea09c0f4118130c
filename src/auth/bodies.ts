// What a client may send to sign in and to change a password, and which new passwords are refused. A password is measured in the
// form in which it is hashed.
import { AppError, type ErrorDetail } from '../core/errors.ts'
import { MAX_DETAILS, jsonBody } from '../http/validate.ts'
import type { BodyContract } from '../http/route.ts'
import { t } from '../sdk.ts'
import { foldPassword, isCommonPassword } from './common-passwords.ts'
import { PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN, normalizePassword } from './passwords.ts'
import { EMAIL_LENGTH_MAX } from './users.ts'

export const REFRESH_EXAMPLE = 'hfr_0A1b2C3d4E5f6G7h8I9j'
/** Far longer than any that is given. */
const REFRESH_LENGTH_MAX = 1000
const PASSWORD_EXAMPLE = 'correct horse battery staple'

/** A password that somebody chooses. What `withPasswords` refuses beyond this no schema can say. */
export const NewPassword = t.String({
  minLength: PASSWORD_LENGTH_MIN,
  maxLength: PASSWORD_LENGTH_MAX,
  description:
    'Its length is counted in Unicode Normalization Form C. The most common passwords, and the name and e-mail of ' +
    'the account, are refused',
  examples: [PASSWORD_EXAMPLE],
})

// What no account can have is wrong (401) and not invalid, so that nothing is told that the rules of registering don't.
const Login = t.Object(
  {
    email: t.String({ maxLength: EMAIL_LENGTH_MAX }),
    password: t.String({ maxLength: PASSWORD_LENGTH_MAX }),
  },
  { title: 'Login' },
)

const Refresh = t.Object({ refresh_token: t.String({ maxLength: REFRESH_LENGTH_MAX }) }, { title: 'Refresh' })

const PasswordChange = t.Object(
  { current_password: t.String({ maxLength: PASSWORD_LENGTH_MAX }), new_password: NewPassword },
  { title: 'PasswordChange' },
)

/** The old and the new password of one's own account. */
export const passwordChangeBody = withPasswords(
  jsonBody(PasswordChange, {
    example: { current_password: PASSWORD_EXAMPLE, new_password: 'purple staple lemon horse' },
  }),
  { typed: 'current_password', chosen: 'new_password' },
)

/** E-mail and password of a sign-in. */
export const loginBody = withPasswords(
  jsonBody(Login, { example: { email: 'ada@example.com', password: PASSWORD_EXAMPLE } }),
  { typed: 'password' },
)

/** The refresh token to spend. */
export const refreshBody = jsonBody(Refresh, { example: { refresh_token: REFRESH_EXAMPLE } })

export interface PasswordProperties {
  /** The property that holds a password to be checked. */
  typed?: string
  /** The property that holds a new one. */
  chosen?: string
}

/**
 * The contract of a body with passwords: both come out normalized, and a new one must not be common, nor the name or
 * e-mail that the same body gives. All faults are named at once.
 */
export function withPasswords<B>(
  contract: BodyContract<B>,
  { typed, chosen }: PasswordProperties,
): BodyContract<B> {
  return {
    ...contract,
    parse: (value) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return contract.parse(value)
      const normal = normalizeIn(value, [typed, chosen])
      const details = chosen === undefined ? [] : faultsOf(normal, chosen)
      return withFaults(details, () => contract.parse(normal))
    },
  }
}

/** Whose password it is. */
export interface AccountWords {
  readonly name?: string | undefined
  readonly email?: string | undefined
}

/** What is wrong with a new password: that it is common, or the name or e-mail of its account. */
export function passwordFaults(
  password: string,
  { name, email }: AccountWords,
  field: string,
): ErrorDetail[] {
  const words = [name, email, email?.slice(0, email.lastIndexOf('@'))]
  const folded = foldPassword(password)
  if (words.some((word) => word !== undefined && foldPassword(word) === folded)) {
    return [{ field, message: 'Is the name or e-mail of the account' }]
  }
  return isCommonPassword(password) ? [{ field, message: 'Is one of the most common passwords' }] : []
}

function normalizeIn(value: object, names: readonly (string | undefined)[]): Record<string, unknown> {
  const entries = Object.entries(value).map(([name, held]: [string, unknown]) => [
    name,
    names.includes(name) && typeof held === 'string' ? normalizePassword(held) : held,
  ])
  return Object.fromEntries(entries) as Record<string, unknown>
}

function faultsOf(body: Readonly<Record<string, unknown>>, chosen: string): ErrorDetail[] {
  const textOf = (name: string) => (typeof body[name] === 'string' ? body[name] : undefined)
  const password = textOf(chosen)
  if (password === undefined) return []
  return passwordFaults(password, { name: textOf('name'), email: textOf('email') }, `/${chosen}`)
}

/** What `parse` gives, unless there are faults: then those that it finds are named before them. */
function withFaults<B>(details: readonly ErrorDetail[], parse: () => B): B {
  let body: B
  try {
    body = parse()
  } catch (error) {
    if (details.length === 0 || !(error instanceof AppError)) throw error
    throw new AppError('validation_failed', { details: [...error.details, ...details].slice(0, MAX_DETAILS) })
  }
  if (details.length > 0) throw new AppError('validation_failed', { details })
  return body
}
