// The first administrator, made from the settings while there is none. It never changes an account that exists.
import { AppError, StartError, type ErrorDetail } from '../core/errors.ts'
import type { Store } from '../storage/store.ts'
import type { Accounts } from './accounts.ts'
import { passwordFaults } from './bodies.ts'
import { ADMIN_ROLE, findByEmail, hasAdministrator } from './users.ts'

export interface FirstAdministratorOptions {
  store: Store
  accounts: Accounts
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
  const { store, accounts, email, password } = options
  if (await hasAdministrator(store)) return undefined
  if (email === undefined && password === undefined) {
    return (
      'No administrator yet: make one by "hipflask user create EMAIL --name NAME --role admin" (in a container: ' +
      '"docker exec -it CONTAINER /hipflask user create …"), which asks for the password, or set ' +
      `${EMAIL_SETTING} and ${PASSWORD_SETTING} (or ${PASSWORD_SETTING}_FILE) and start again`
    )
  }
  if (email === undefined || password === undefined) {
    throw new StartError(`${EMAIL_SETTING} and ${PASSWORD_SETTING} must be set together`)
  }
  try {
    await accounts.create({ name: NAME, email, password, role: ADMIN_ROLE })
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    if (error.code === 'validation_failed') throw badSettings(error)
    // Another process that started at once may have made it.
    if (error.code === 'conflict' && (await findByEmail(store, email))?.role === ADMIN_ROLE) return undefined
    if (error.code !== 'conflict') throw error
    throw new StartError(
      `${EMAIL_SETTING} is the e-mail of an ordinary user; it must be one that no account has`,
    )
  }
  return undefined
}

/** What is wrong with the password itself, whether or not there is an administrator already. */
export function administratorFaults({
  email,
  password,
}: {
  email: string | undefined
  password: string
}): string[] {
  return passwordFaults(password, { name: NAME, email }, '/password').map(describeFault)
}

function badSettings({ details }: AppError): StartError {
  return new StartError(details.map(describeFault).join('\n'))
}

function describeFault({ field, message }: ErrorDetail): string {
  return `${SETTING_BY_FIELD[field] ?? field}: ${message}`
}
