// E-mail and password to account: the one place where a password is compared, for every way to send one. It starts no
// session and answers nothing.
import { AppError } from '../core/errors.ts'
import { StaleError, type Store } from '../storage/store.ts'
import type { Audit, AuditFields } from './audit.ts'
import { invalidCredentials } from './challenges.ts'
import type { LoginLimits } from './login-limits.ts'
import { needsRehash, type Passwords } from './passwords.ts'
import { EMAIL_LENGTH_MAX, emailKey, findByEmail, usersTable, type User } from './users.ts'

export interface SignInOptions {
  store: Store
  passwords: Passwords
  limits: LoginLimits
  audit: Audit
  /** Told of the client of each attempt. */
  onPassword?: ((address: string) => void) | undefined
}

export interface SignInAttempt {
  email: string
  password: string
  /** How they came, for the audit log. */
  method: 'login' | 'basic' | 'token' | 'password change' | 'e-mail change'
  /** The client's, as http/ knows it. */
  address: string
  /** WWW-Authenticate of the refusal. */
  challenge: string
}

/**
 * The account of e-mail and password. Throws AppError `invalid_credentials` where they are no pair or the account is
 * disabled, all in the same time; `rate_limited` after too many failures of the account or the client's network, also
 * for the right password; `unavailable` where too many hashes wait.
 */
export type SignIn = (attempt: SignInAttempt) => Promise<User>

export function createSignIn({ store, passwords, limits, audit, onPassword }: SignInOptions): SignIn {
  return async ({ email, password, method, address, challenge }) => {
    onPassword?.(address)
    const user = await findByEmail(store, email)
    const counted = await begin(email, address, { method, user_id: user?.id })
    // First the password, then the rest: an account that is unknown or disabled takes as long as a wrong password.
    const isRight = await passwords
      .verify(password, user?.password_hash ?? undefined)
      .catch((error: unknown) => {
        // Nothing was looked at.
        counted.giveBack()
        throw error
      })
    if (isRight && user !== undefined && !user.disabled) {
      counted.giveBack()
      return renewed(user, password)
    }
    counted.keep()
    const reason = user === undefined ? 'unknown account' : isRight ? 'disabled account' : 'wrong password'
    audit('login.failed', { method, ip: address, reason, user_id: user?.id })
    throw invalidCredentials(challenge)
  }

  async function begin(email: string, address: string, fields: Pick<AuditFields, 'method' | 'user_id'>) {
    try {
      return await limits.begin({ account: accountOf(email), address })
    } catch (error) {
      if (error instanceof AppError) audit('login.limited', { ...fields, ip: address })
      throw error
    }
  }

  /** The account with a hash of today's parameters. It signs in also where that can't be made now. */
  async function renewed(user: User, password: string): Promise<User> {
    const stored = user.password_hash
    if (stored === null || !needsRehash(stored, password)) return user
    try {
      const values = { password_hash: await passwords.hash(password) }
      const where = { password_hash: stored }
      const [row] = await store.commit([
        { kind: 'update', table: usersTable.name, id: user.id, values, where },
      ])
      audit('password.rehashed', { user_id: user.id })
      return row as unknown as User
    } catch (error) {
      const isOfUs = error instanceof AppError || error instanceof StaleError || error instanceof TypeError
      if (!isOfUs) throw error
      return user
    }
  }
}

// What is too long for an e-mail is one account that nobody has: normalizing it would take quadratic time.
function accountOf(email: string): string {
  return email.length > EMAIL_LENGTH_MAX ? '' : emailKey(email)
}
