// What changes of accounts mean beyond their fields, however they are made: passwords become hashes, e-mails get their
// key, sessions end, and one administrator stays. All of it is part of the commit of the change itself.
import { AppError } from '../core/errors.ts'
import type { Guard } from '../rest/guard.ts'
import { UniqueError, UnmetError, type Require, type Store, type Values } from '../storage/store.ts'
import type { Audit, AuditFields, SecurityEvent } from './audit.ts'
import type { Passwords } from './passwords.ts'
import { ADMIN_ROLE, emailKey, findByEmail, usersTable, type User } from './users.ts'

export interface AccountGuardOptions {
  store: Store
  passwords: Passwords
  audit: Audit
}

/** Somebody must be left who can undo what was done. */
const ADMINISTRATOR: Require = {
  kind: 'require',
  table: usersTable.name,
  where: { role: ADMIN_ROLE, disabled: false },
}

export function createAccountGuard({ store, passwords, audit }: AccountGuardOptions): Guard {
  const secretsOf = async (password: unknown): Promise<Values> =>
    typeof password === 'string' ? { password_hash: await passwords.hash(password) } : {}

  return {
    async create(values) {
      const made: Values[] = []
      for (const [index, { password, ...fields }] of values.entries()) {
        const { email } = fields
        // Before the costly hash; the commit would find it out too.
        if (typeof email === 'string' && (await findByEmail(store, email)) !== undefined) {
          throw new UniqueError('email_key', index)
        }
        const secrets = await secretsOf(password)
        made.push({ password_hash: null, ...fields, ...keyOf(fields), ...secrets, session_generation: 0 })
      }
      return made
    },
    async update(row, { password, ...fields }) {
      const user = row as unknown as User
      const next = { ...user, ...fields }
      const secrets = await secretsOf(password)
      const endsSessions = secrets.password_hash !== undefined || (next.disabled && !user.disabled)
      const generation = endsSessions ? { session_generation: user.session_generation + 1 } : {}
      return {
        values: { ...fields, ...keyOf(fields), ...secrets, ...generation },
        also: isAdministrating(user) && !isAdministrating(next) ? [ADMINISTRATOR] : [],
      }
    },
    delete: (row) => (isAdministrating(row as unknown as User) ? [ADMINISTRATOR] : []),
    fieldOf: (column) => (column === 'email_key' ? 'email' : undefined),
    explain: (error) => (error instanceof UnmetError ? lastAdministrator() : error),
    done({ row, previous }, { principal }) {
      const id = (row ?? previous)?.id as string
      const by = principal.id === id ? undefined : (principal.id ?? undefined)
      const tell = (event: SecurityEvent, more: AuditFields = {}) =>
        audit(event, { user_id: id, by_user_id: by, ...more })
      if (row === undefined) tell('account.deleted')
      else if (previous !== undefined) tellChanges(row as unknown as User, previous as unknown as User, tell)
      else if (principal.role === ADMIN_ROLE) tell('account.created', { role: row.role as string })
      else tell('account.registered')
    },
  }
}

function keyOf({ email }: Values): Values {
  if (email === undefined) return {}
  return { email_key: typeof email === 'string' ? emailKey(email) : null }
}

function isAdministrating({ role, disabled }: Pick<User, 'role' | 'disabled'>): boolean {
  return role === ADMIN_ROLE && !disabled
}

function lastAdministrator(): AppError {
  return new AppError('conflict', {
    message: 'This is the last administrator: make another one before it is demoted, disabled or deleted',
  })
}

/** What is told of by an event of its own, or is no change. */
const TOLD = new Set(
  'password_hash email email_key role disabled session_generation _version updated_at last_login_at'.split(
    ' ',
  ),
)

function tellChanges(
  user: User,
  before: User,
  tell: (event: SecurityEvent, more?: AuditFields) => void,
): void {
  if (user.password_hash !== before.password_hash) tell('password.changed')
  if (user.email !== before.email) tell('email.changed')
  if (user.role !== before.role) tell('role.changed', { role: user.role })
  if (user.disabled !== before.disabled) tell(user.disabled ? 'account.disabled' : 'account.enabled')
  if (user.session_generation !== before.session_generation) tell('sessions.ended')
  const names = Object.keys(user) as (keyof User)[]
  const isOther = (name: keyof User) => !TOLD.has(name) && !Bun.deepEquals(user[name], before[name])
  if (names.some(isOther)) tell('account.changed')
}
