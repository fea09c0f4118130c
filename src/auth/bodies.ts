// What a client may send to register and to sign in. A password is measured in the form in which it is hashed.
import { jsonBody } from '../http/validate.ts'
import type { BodyContract } from '../http/route.ts'
import { t } from '../sdk.ts'
import { PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN, normalizePassword } from './passwords.ts'
import { EMAIL_LENGTH_MAX, NAME_LENGTH_MAX } from './users.ts'

const PASSWORD_EXAMPLE = 'correct horse battery staple'

const Registration = t.Object(
  {
    name: t.String({ minLength: 1, maxLength: NAME_LENGTH_MAX }),
    email: t.String({ format: 'email', maxLength: EMAIL_LENGTH_MAX }),
    password: t.String({
      minLength: PASSWORD_LENGTH_MIN,
      maxLength: PASSWORD_LENGTH_MAX,
      description: 'Its length is counted in Unicode Normalization Form C',
    }),
  },
  { title: 'Registration' },
)

// What no account can have is wrong (401) and not invalid, so that nothing is told that the rules of registering don't.
const Login = t.Object(
  {
    email: t.String({ maxLength: EMAIL_LENGTH_MAX }),
    password: t.String({ maxLength: PASSWORD_LENGTH_MAX }),
  },
  { title: 'Login' },
)

/** Name, e-mail and password of a new account. */
export const registrationBody = withNormalPassword(
  jsonBody(Registration, {
    example: { name: 'Ada', email: 'ada@example.com', password: PASSWORD_EXAMPLE },
  }),
)

/** E-mail and password of a sign-in. */
export const loginBody = withNormalPassword(
  jsonBody(Login, { example: { email: 'ada@example.com', password: PASSWORD_EXAMPLE } }),
)

function withNormalPassword<B>(contract: BodyContract<B>): BodyContract<B> {
  return { ...contract, parse: (value) => contract.parse(normalizedIn(value)) }
}

function normalizedIn(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  const { password } = value as { password?: unknown }
  return typeof password === 'string' ? { ...value, password: normalizePassword(password) } : value
}
