// What is done to accounts without a request: by the settings at the start, and by commands. Each change has the checks and
// the consequences of the same change through /api/users.
import { ANONYMOUS } from '../access/principal.ts'
import { AppError } from '../core/errors.ts'
import { newUuid } from '../core/ids.ts'
import { createEngine, type Engine, type EngineOptions } from '../rest/engine.ts'
import { recordReader, type ApiRecord } from '../rest/record.ts'
import type { Caller } from '../rest/records.ts'
import type { ResourceDefinition } from '../rest/resource.ts'
import type { Operation, Row, Store } from '../storage/store.ts'
import { createAccountGuard } from './account-guard.ts'
import { createAudit, type Audit } from './audit.ts'
import { createPasswords, type Passwords } from './passwords.ts'
import { findByEmail, usersTable } from './users.ts'
import { usersOf } from './users-resource.ts'

export interface AccountEngineOptions extends Omit<EngineOptions, 'guards'> {
  passwords?: Passwords
  audit?: Audit
}

/** The engine of resources with accounts among them. */
export function createAccountEngine(options: AccountEngineOptions): Engine {
  const { passwords = createPasswords(), audit = createAudit(options.logger), ...rest } = options
  const guard = createAccountGuard({ store: options.store, passwords, audit })
  return createEngine({ ...rest, guards: new Map([[usersTable.name, guard]]) })
}

export interface NewAccount {
  name: string
  /** Without one nobody can sign in to it by password. */
  email?: string
  /** Without one it can't sign in by password. */
  password?: string
  /** `user` unless given. */
  role?: string
}

/** Throws AppError: `validation_failed` with every fault, `not_found`, or `conflict` for a taken e-mail and the last administrator. */
export interface Accounts {
  create(account: NewAccount): Promise<ApiRecord>
  /** Makes an account together with what `also` makes of its row, or neither; gives its id. */
  createWith(account: NewAccount, also: (rows: readonly Row[]) => Operation): Promise<string>
  /** In the order in which they were made; those after an id, at most `limit`. */
  list(options: { after?: string | undefined; limit: number }): Promise<ApiRecord[]>
  setRole(email: string, role: string): Promise<ApiRecord>
  /** Disabling ends the sessions; enabling brings none of them back. */
  setDisabled(email: string, disabled: boolean): Promise<ApiRecord>
}

export interface AccountsOptions {
  engine: Engine
  store: Store
  resources: readonly ResourceDefinition[]
}

export function createAccounts({ engine, store, resources }: AccountsOptions): Accounts {
  const records = engine.recordsOf(usersTable.name)
  const toRecord = recordReader(usersOf(resources))
  const change = async (email: string, patch: object): Promise<ApiRecord> => {
    const user = await findByEmail(store, email)
    if (user === undefined) throw new AppError('not_found', { message: 'No account has this e-mail' })
    return toRecord(await records.patch(user.id, patch, operator()))
  }
  return {
    async create(account) {
      const [row] = await records.create(account, operator())
      return toRecord(row as Row)
    },
    async createWith(account, also) {
      const [row] = await records.create(account, { ...operator(), also })
      return String(row?.id)
    },
    async list({ after, limit }) {
      const where = after === undefined ? undefined : { id: { gt: after } }
      return (await store.list({ table: usersTable.name, where, limit })).map(toRecord)
    },
    setRole: (email, role) => change(email, { role }),
    setDisabled: (email, disabled) => change(email, { disabled }),
  }
}

/** Whoever runs the program. */
function operator(): Caller {
  const principal = { ...ANONYMOUS, role: 'admin' }
  return { principal, requestId: newUuid(), depth: 0, held: [], where: undefined, isAuthor: true }
}
