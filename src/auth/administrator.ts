// The first administrator, made from the settings while there is none. It never changes an account that exists.
import type { Clock } from '../core/clock.ts'
import { AppError, StartError } from '../core/errors.ts'
import type { Store } from '../storage/store.ts'
import { registrationBody } from './bodies.ts'
import type { Passwords } from './passwords.ts'
import { ADMIN_ROLE, createUser, findByEmail, hasAdministrator } from './users.ts'

export interface FirstAdministratorOptions {
  store: Store
  passwords: Passwords
  clock: Clock
  /** HIPFLASK_ADMIN_EMAIL */
  email: string | undefined
  /** HIPFLASK_ADMIN_PASSWORD */
  password: string | undefined
}

const NAME = 'Administrator'
const EMAIL_SETTING = 'HIPFLASK_ADMIN_EMAIL'
const PASSWORD_SETTING = 'HIPFLASK_ADMIN_PASSWORD'
const SETTING_BY_FIELD: Readonly<Record<string, string>> = {
  '/email': EMAIL_SETTING,
  '/password': PASSWORD_SETTING,
}

/**
 * Makes an administrator of e-mail and password where there is none. Gives a hint for the log where there is none and
 * nothing to make one of. Throws StartError for settings that make none, or an e-mail that an ordinary user has.
 */
export async function ensureAdministrator(options: FirstAdministratorOptions): Promise<string | undefined> {
  const { store, passwords, clock } = options
  if (await hasAdministrator(store)) return undefined
  if (options.email === undefined && options.password === undefined) {
    return (
      `No administrator yet: set ${EMAIL_SETTING} and ${PASSWORD_SETTING} (or ${PASSWORD_SETTING}_FILE) ` +
      'and start again'
    )
  }
  const { email, password } = checkAccount(options)
  const passwordHash = await passwords.hash(password)
  try {
    await createUser(store, { name: NAME, email, passwordHash, role: ADMIN_ROLE, now: clock() })
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'conflict') throw error
    // Another process that started at once may have made it.
    if ((await findByEmail(store, email))?.role !== ADMIN_ROLE) {
      throw new StartError(
        `${EMAIL_SETTING} is the e-mail of an ordinary user; it must be one that no account has`,
      )
    }
  }
  return undefined
}

function checkAccount({ email, password }: FirstAdministratorOptions) {
  if (email === undefined || password === undefined) {
    throw new StartError(`${EMAIL_SETTING} and ${PASSWORD_SETTING} must be set together`)
  }
  try {
    return registrationBody.parse({ name: NAME, email, password })
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const faults = error.details.map(
      ({ field, message }) => `${SETTING_BY_FIELD[field] ?? field}: ${message}`,
    )
    throw new StartError(faults.join('\n'))
  }
}
