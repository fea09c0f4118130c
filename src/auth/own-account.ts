// One's own account: registering, and what its owner may do with it. It answers no HTTP.
import { ANONYMOUS, type Principal } from '../access/principal.ts'
import type { Clock } from '../core/clock.ts'
import type { Eventual } from '../core/eventual.ts'
import { AppError, type ErrorDetail } from '../core/errors.ts'
import { BEARER_CHALLENGE } from '../http/problem.ts'
import type { Engine } from '../rest/engine.ts'
import { createInputReader, invalid } from '../rest/input.ts'
import { recordReader, type ApiRecord } from '../rest/record.ts'
import type { Caller } from '../rest/records.ts'
import type { ResourceDefinition } from '../rest/resource.ts'
import { allOf, signedIn, type Rule } from '../sdk.ts'
import type { Row, Store } from '../storage/store.ts'
import { PASSWORD_LENGTH_MAX, normalizePassword } from './passwords.ts'
import { invalidCredentials, tokenRevoked } from './challenges.ts'
import type { Audit } from './audit.ts'
import type { LoginLimits } from './login-limits.ts'
import { findSession, isLiving, keepSession } from './sessions.ts'
import type { SignIn, SignInAttempt } from './sign-in.ts'
import { findById, usersTable, type User } from './users.ts'
import { ownAccountResource, usersOf } from './users-resource.ts'

export interface OwnAccountOptions {
  engine: Engine
  store: Store
  resources: readonly ResourceDefinition[]
  signIn: SignIn
  limits: LoginLimits
  audit: Audit
  clock: Clock
}

/** Who asks, and from where. */
export interface OwnRequest {
  principal: Principal
  requestId: string
  address: () => string
}

/** All but `register` throw AppError `forbidden` for keys and outside tokens, and `token_revoked` where the account is gone. */
export interface OwnAccount {
  /** Throws AppError `validation_failed`, `conflict` for an e-mail that is taken, `rate_limited` after too many of those, or `unavailable`. */
  register(body: unknown, request: Omit<OwnRequest, 'principal'>): Promise<ApiRecord>
  /** For any credential. */
  read(principal: Principal): Promise<ApiRecord>
  /** A merge patch; a new e-mail needs `current_password` in it, else AppError `invalid_credentials`. */
  change(body: unknown, request: OwnRequest): Promise<ApiRecord>
  /** Ends all other sessions. Throws AppError `invalid_credentials` where the current password is wrong. */
  changePassword(change: PasswordChange, request: OwnRequest): Promise<void>
  /** Throws AppError `conflict` for the last administrator, and while records refer to the account. */
  delete(request: OwnRequest): Promise<void>
}

export interface PasswordChange {
  current_password: string
  new_password: string
}

/** The access rule of what only the owner of an account does, signed in by password or session. */
export const accountOwners: Rule = allOf(signedIn(), ({ kind }) => kind === 'user')

/** The id of the account that the caller may manage. Throws AppError `forbidden` for keys and outside tokens. */
export function ownAccountOf({ kind, id }: Principal): string {
  if (kind === 'user' && id !== null) return id
  throw new AppError('forbidden', { message: 'Sign in as the user to do this, not by a key' })
}

export function createOwnAccount(options: OwnAccountOptions): OwnAccount {
  const { engine, store, resources, signIn, clock } = options
  const counted = createCounter(options)
  const records = engine.recordsOf(usersTable.name)
  const toRecord = recordReader(usersOf(resources))
  const input = createInputReader(ownAccountResource(usersOf(resources)), 'client')

  const confirm = async (user: User, password: string, { method, address }: Confirmation): Promise<User> => {
    const attempt = { password, method, address: address(), challenge: BEARER_CHALLENGE }
    const found = await signIn({ email: user.email ?? '', ...attempt })
    if (found.id !== user.id) throw invalidCredentials(BEARER_CHALLENGE)
    return found
  }

  return {
    async register(body, { requestId, address }) {
      // One account is registered; many at once are for administrators.
      if (Array.isArray(body)) throw invalid([{ field: '', message: 'Expected an object' }])
      const caller = { ...callerOf(ANONYMOUS, requestId), input }
      const [row] = await counted(address(), 'register', () => records.create(body, caller))
      return toRecord(row as Row)
    },
    async read(principal) {
      return toRecord((await ownUser(store, principal.id)) as unknown as Row)
    },
    async change(body, { principal, requestId, address }) {
      const user = await ownUser(store, ownAccountOf(principal))
      const caller = { ...callerOf(principal, requestId), input }
      const { patch, current } = readChange(body)
      checkPatch(() => input.patch(user as unknown as Row, patch), body)
      if (current === undefined) {
        if (isNewEmail(patch, user)) throw invalid([CURRENT_NEEDED])
        return toRecord(await records.patch(user.id, patch, caller))
      }
      const confirmed = await confirm(user, current, { method: 'e-mail change', address })
      const changing = { ...caller, expect: stillOf(confirmed) }
      return toRecord(
        await counted(address(), 'e-mail change', () => records.patch(user.id, patch, changing)),
      )
    },
    async changePassword({ current_password: current, new_password: password }, request) {
      const { principal, requestId, address } = request
      const user = await ownUser(store, ownAccountOf(principal))
      const confirmed = await confirm(user, current, { method: 'password change', address })
      if (password === current) throw invalid([UNCHANGED])
      const kept = principal.session_id
      if (kept !== null) await checkLiving(store, { id: kept, user: confirmed, now: clock() })
      const caller = {
        ...callerOf(principal, requestId),
        isAuthor: true,
        expect: stillOf(confirmed),
        also: kept === null ? undefined : ([row]: readonly Row[]) => keeping(kept, row as Row),
      }
      await named('/password', '/new_password', () => records.patch(user.id, { password }, caller))
    },
    async delete({ principal, requestId }) {
      const { id } = await ownUser(store, ownAccountOf(principal))
      await records.delete(id, callerOf(principal, requestId))
    },
  }
}

/** Makes the function that counts a conflict as a failed login of the network: it tells that an e-mail is taken. */
function createCounter({ limits, audit }: Pick<OwnAccountOptions, 'limits' | 'audit'>) {
  return async <T>(address: string, method: string, work: () => Eventual<T>): Promise<T> => {
    let attempt
    try {
      attempt = await limits.beginRegistration(address)
    } catch (error) {
      audit('login.limited', { method, ip: address })
      throw error
    }
    try {
      const made = await work()
      attempt.giveBack()
      return made
    } catch (error) {
      if (error instanceof AppError && error.code === 'conflict') attempt.keep()
      else attempt.giveBack()
      throw error
    }
  }
}

interface Confirmation {
  method: SignInAttempt['method']
  address: () => string
}

const CURRENT = '/current_password'
const CURRENT_NEEDED = { field: CURRENT, message: 'Required to change the e-mail' }
const UNCHANGED = { field: '/new_password', message: 'Must differ from the current one' }
const NOT_HERE = { field: '/password', message: 'Is changed by POST /auth/password' }

function callerOf(principal: Principal, requestId: string): Caller {
  return { principal, requestId, depth: 0, held: [], where: undefined, isAuthor: false }
}

/** The account with this id. Throws AppError `token_revoked` where it is gone. */
export async function ownUser(store: Store, id: string | null): Promise<User> {
  const user = id === null ? undefined : await findById(store, id)
  // Deleted since the credential was checked.
  if (user === undefined) throw tokenRevoked()
  return user
}

/** The patch of a body, and the password that it brings along. */
function readChange(body: unknown): {
  patch: Readonly<Record<string, unknown>>
  current: string | undefined
} {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return { patch: body as never, current: undefined }
  const { current_password: current, password: _, ...patch } = body as Record<string, unknown>
  return { patch, current: typeof current === 'string' ? normalizePassword(current) : undefined }
}

/** Names all faults of a body at once: what the patch can't be, and what may not be in it. */
function checkPatch(check: () => unknown, body: unknown): void {
  const details: ErrorDetail[] = []
  try {
    check()
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'validation_failed') throw error
    details.push(...error.details)
  }
  const given = Object(body) as Record<string, unknown>
  if (Object.hasOwn(given, 'password')) details.push(NOT_HERE)
  if (Object.hasOwn(given, 'current_password')) details.push(...currentFaults(given['current_password']))
  if (details.length > 0) throw invalid(details)
}

function currentFaults(current: unknown): ErrorDetail[] {
  if (typeof current !== 'string') return [{ field: CURRENT, message: 'Expected text' }]
  if (Array.from(normalizePassword(current)).length <= PASSWORD_LENGTH_MAX) return []
  return [{ field: CURRENT, message: `Expected text of at most ${PASSWORD_LENGTH_MAX} characters` }]
}

function isNewEmail({ email }: Readonly<Record<string, unknown>>, user: User): boolean {
  return typeof email === 'string' && email.normalize('NFC') !== user.email
}

/**
 * What was confirmed by a password holds until it is changed, which raises the generation. The hash says less: the same
 * password may have been hashed anew.
 */
function stillOf({ session_generation: generation }: User): (row: Row) => void {
  return ({ session_generation: now, disabled }) => {
    if (now !== generation || disabled === true) throw invalidCredentials(BEARER_CHALLENGE)
  }
}

/** A session that was ended meanwhile must not be kept. */
async function checkLiving(
  store: Store,
  { id, user, now }: { id: string; user: User; now: number },
): Promise<void> {
  const session = await findSession(store, id)
  if (session === undefined || !isLiving(session, user, now)) throw tokenRevoked()
}

/** Moves the session to the generation that the row has now, if it is of the one before. */
function keeping(sessionId: string, row: Row) {
  const generation = row.session_generation as number
  return { ...keepSession(sessionId, generation), where: { generation: generation - 1 } }
}

/** Names a field in errors as the client has named it. */
async function named<T>(from: string, to: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'validation_failed') throw error
    throw invalid(error.details.map((detail) => (detail.field === from ? { ...detail, field: to } : detail)))
  }
}
