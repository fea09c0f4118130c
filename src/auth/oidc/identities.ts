// Identities: whom an issuer vouches for (issuer and subject), and whose account that is here. One account may have
// several, one identity has one account. An e-mail never links an identity to an account that is there.
import { createHash } from 'node:crypto'
import { timestamp, type Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { StaleError, UniqueError, UnmetError } from '../../storage/store.ts'
import type { Insert, Operation, Require, Row, Store, Table } from '../../storage/store.ts'
import type { Accounts } from '../accounts.ts'
import type { Audit } from '../audit.ts'
import { findByEmail, findById, userIdColumn, type User } from '../users.ts'
import type { Identity } from './claims.ts'

/** A stored identity. Times are RFC 3339, UTC. */
export interface StoredIdentity {
  /** Of issuer and subject. */
  readonly id: string
  readonly user_id: string
  readonly issuer: string
  readonly subject: string
  /** The provider's name; null where it came with a token of a trusted issuer. */
  readonly provider: string | null
  /** As the issuer told it first. It decides nothing. */
  readonly email: string | null
  readonly created_at: string
  readonly last_used_at: string
}

export const identitiesTable: Table = {
  name: '_hipflask_identities',
  id: 'uuid',
  columns: [
    userIdColumn,
    { name: 'issuer', kind: 'text', nullable: false },
    { name: 'subject', kind: 'text', nullable: false },
    { name: 'provider', kind: 'text', nullable: true },
    { name: 'email', kind: 'text', nullable: true },
    { name: 'created_at', kind: 'text', nullable: false },
    { name: 'last_used_at', kind: 'text', nullable: false },
  ],
}

export interface IdentitiesOptions {
  store: Store
  accounts: Accounts
  audit: Audit
  clock: Clock
}

/** Where an identity comes from. */
export interface Source {
  /** The provider's name; null for a token of a trusted issuer. */
  provider: string | null
  /** The client's address. */
  ip?: string | undefined
}

export interface Identities {
  /**
   * Whose it is; at first sight a new account of it. Throws AppError `link_required` where an account has its e-mail
   * already, unless it comes with a token: then the new account has no e-mail.
   */
  accountOf(identity: Identity, source: Source): Promise<User>
  /** Makes it the user's. Throws AppError `conflict` where it is somebody else's, or the user has too many. */
  link(identity: Identity, source: Source & { userId: string }): Promise<void>
  /** Those of a user, the oldest first. */
  list(userId: string): Promise<StoredIdentity[]>
  /** Takes it from the user. Throws AppError `not_found`, or `conflict` where the user has no other way to sign in. */
  remove(id: string, userId: string): Promise<void>
}

/** Identities of one account. */
export const IDENTITIES_MAX = 20
const NAME = 'User'
/** Tries of a first sight that another one came before. */
const TRIES_MAX = 3

export function createIdentities(options: IdentitiesOptions): Identities {
  const { store, audit } = options
  const { name: table } = identitiesTable
  const insertOf = createInsertMaker(options)
  return {
    accountOf: createAccountFinder(options),
    async link(identity, { userId, ...source }) {
      const known = await findIdentity(store, identity)
      if (known !== undefined && known.user_id !== userId) throw ofAnother()
      if (known !== undefined) return
      const count = await store.count(table, { user_id: userId }, { limit: IDENTITIES_MAX })
      if (count >= IDENTITIES_MAX) throw tooMany()
      try {
        await store.commit([insertOf(identity, source, userId)])
      } catch (error) {
        throw error instanceof UniqueError ? ofAnother() : error
      }
      audit('identity.linked', { user_id: userId, ip: source.ip })
    },
    async list(userId) {
      const sort = [{ field: 'created_at', direction: 'asc' }] as const
      const rows = await store.list({ table, where: { user_id: userId }, sort, limit: IDENTITIES_MAX })
      return rows.map(identityOf)
    },
    async remove(id, userId) {
      const user = await findById(store, userId)
      const another: Require = { kind: 'require', table, where: { user_id: userId } }
      // By a password nobody signs in without an e-mail. Neither is ever taken away again, so this can't change meanwhile.
      const hasPassword = user !== undefined && user.password_hash !== null && user.email !== null
      const need = hasPassword ? [] : [another]
      try {
        await store.commit([{ kind: 'delete', table, id, where: { user_id: userId } }, ...need])
      } catch (error) {
        if (error instanceof StaleError) throw new AppError('not_found')
        throw error instanceof UnmetError ? lastOne() : error
      }
      audit('identity.removed', { user_id: userId })
    },
  }
}

function createAccountFinder(options: IdentitiesOptions): Identities['accountOf'] {
  const { store, accounts, audit } = options
  const insertOf = createInsertMaker(options)
  const noteUse = createUseNoter(options)

  /** Undefined where the identity, or its e-mail, has come to be somebody's meanwhile. */
  async function createAccount(identity: Identity, source: Source): Promise<User | undefined> {
    const { email, name = NAME } = identity
    const isTaken = email !== undefined && (await findByEmail(store, email)) !== undefined
    if (isTaken && source.provider !== null) throw new AppError('link_required')
    const account = { name, ...(email === undefined || isTaken ? {} : { email }) }
    const also = ([row]: readonly Row[]): Operation => insertOf(identity, source, String(row?.id))
    try {
      const id = await accounts.createWith(account, also)
      audit('identity.linked', { user_id: id, ip: source.ip, reason: 'first sign-in' })
      return await findById(store, id)
    } catch (error) {
      if (error instanceof AppError && error.code === 'conflict') return undefined
      throw error
    }
  }
  return async (identity, source) => {
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const known = await findIdentity(store, identity)
      const user = known === undefined ? undefined : await findById(store, known.user_id)
      if (known !== undefined && user !== undefined) {
        await noteUse(known, source)
        return user
      }
      const created = await createAccount(identity, source)
      if (created !== undefined) return created
    }
    throw new AppError('unavailable')
  }
}

function createUseNoter({ store, clock }: IdentitiesOptions) {
  return async ({ id, last_used_at: last }: StoredIdentity, { provider }: Source): Promise<void> => {
    const at = timestamp(clock())
    const length = provider === null ? HOUR_LENGTH : MINUTE_LENGTH
    if (at.slice(0, length) === last.slice(0, length)) return
    const values = { last_used_at: at }
    try {
      await store.commit([{ kind: 'update', table: identitiesTable.name, id, values }])
    } catch (error) {
      // Removed in this moment, or the disk is full: nobody is kept out by that.
      if (!(error instanceof StaleError) && !(error instanceof AppError)) throw error
    }
  }
}

function createInsertMaker({ clock }: IdentitiesOptions) {
  return (identity: Identity, { provider }: Source, userId: string): Insert => {
    const at = timestamp(clock())
    const { issuer, subject, email = null } = identity
    const values = { user_id: userId, issuer, subject, provider, email, created_at: at, last_used_at: at }
    return { kind: 'insert', table: identitiesTable.name, id: idOf(identity), values }
  }
}

async function findIdentity(store: Store, identity: Identity): Promise<StoredIdentity | undefined> {
  const row = await store.get(identitiesTable.name, idOf(identity))
  return row === undefined ? undefined : identityOf(row)
}

/** Of a timestamp up to the minute, and up to the hour: each note empties the cache that tokens are known by. */
const MINUTE_LENGTH = 16
const HOUR_LENGTH = 13

/** Of its two parts, each with its length before it, so that no two pairs are one text. */
function idOf({ issuer, subject }: Identity): string {
  const text = [issuer, subject].map((part) => `${Buffer.byteLength(part)}:${part}`).join('')
  return createHash('sha256').update(text).digest('base64url')
}

function ofAnother(): AppError {
  return new AppError('conflict', { message: 'This identity belongs to another account' })
}

function tooMany(): AppError {
  return new AppError('conflict', {
    message: `An account has at most ${IDENTITIES_MAX} identities; remove one that is not used any more`,
  })
}

function lastOne(): AppError {
  return new AppError('conflict', {
    message: 'This is the last way to sign in: link another identity before you remove it',
  })
}

// Rows of this table are written by this file alone.
function identityOf(row: Row): StoredIdentity {
  return row as unknown as StoredIdentity
}
