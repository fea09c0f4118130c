// One-time codes: what a browser carries from the end of a sign-in at a provider to the application, which exchanges it
// for tokens. A code is good for a minute, once, and for the address that it was sent to; only its SHA-256 is stored.
import { createHash, randomBytes } from 'node:crypto'
import { timestamp, type Clock } from '../../core/clock.ts'
import { StaleError, type Row, type Store, type Table } from '../../storage/store.ts'
import { findById, usersTable, type User } from '../users.ts'

export interface Codes {
  /** A code for this user, to be sent to this address. */
  issue(user: User, redirectTo: string): Promise<string>
  /** Uses the code up, and gives whose it was; undefined where it is not good, for this address. */
  redeem(code: string, redirectUri: string): Promise<User | undefined>
}

export const CODE_SECONDS = 60
const CODE_BYTES = 32

export const codesTable: Table = {
  name: '_hipflask_oidc_codes',
  id: 'uuid',
  columns: [
    {
      name: 'user_id',
      kind: 'text',
      nullable: false,
      references: usersTable.name,
      onDelete: 'cascade',
    },
    // That of the user: who ends all sessions ends what is about to become one.
    { name: 'generation', kind: 'integer', nullable: false },
    { name: 'redirect_to', kind: 'text', nullable: false },
    { name: 'created_at', kind: 'text', nullable: false, index: true },
  ],
}

export function createCodes({ store, clock }: { store: Store; clock: Clock }): Codes {
  const { name: table } = codesTable
  return {
    async issue({ id: userId, session_generation: generation }, redirectTo) {
      const code = randomBytes(CODE_BYTES).toString('base64url')
      const values = {
        user_id: userId,
        generation,
        redirect_to: redirectTo,
        created_at: timestamp(clock()),
      }
      await store.commit([{ kind: 'insert', table, id: digestOf(code), values }])
      return code
    },
    async redeem(code, redirectUri) {
      const row = await take(store, digestOf(code))
      if (row === undefined || row['redirect_to'] !== redirectUri) return undefined
      const ageMs = clock() - Date.parse(String(row['created_at']))
      // One from the future is of before the clock was set back.
      if (ageMs < 0 || ageMs >= CODE_SECONDS * 1000) return undefined
      const user = await findById(store, String(row['user_id']))
      const isSame = user?.session_generation === row['generation'] && user?.disabled === false
      return isSame ? user : undefined
    },
  }
}

/** The row, which is gone after that: of requests at once one gets it. */
async function take(store: Store, id: string): Promise<Row | undefined> {
  try {
    const [row] = await store.commit([{ kind: 'delete', table: codesTable.name, id }])
    return row
  } catch (error) {
    if (error instanceof StaleError) return undefined
    throw error
  }
}

function digestOf(code: string): string {
  return createHash('sha256').update(code).digest('base64url')
}
