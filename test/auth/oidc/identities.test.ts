import { describe, expect, test } from 'bun:test'
import { createAudit } from '../../../src/auth/audit.ts'
import { createCodes } from '../../../src/auth/oidc/codes.ts'
import {
  createIdentities,
  IDENTITIES_MAX,
  identitiesTable,
  type Identities,
} from '../../../src/auth/oidc/identities.ts'
import { findByEmail, findById, usersTable, type User } from '../../../src/auth/users.ts'
import { AppError } from '../../../src/core/errors.ts'
import { createLogger } from '../../../src/core/logger.ts'
import { fieldsOf } from '../../../src/rest/fields.ts'
import { t, type TObject } from '../../../src/sdk.ts'
import { createAccounts, type Accounts } from '../accounts.ts'

const ADA = { issuer: 'https://id.example.com/', subject: 'auth0|ada', email: 'ada@example.com', name: 'Ada' }
const SOURCE = { provider: 'auth0', ip: '192.0.2.1' }

interface World extends Accounts {
  identities: Identities
  count: (table: string) => Promise<number>
}

function start(options: Parameters<typeof createAccounts>[0] = {}): World {
  const accounts = createAccounts(options)
  const { store, clock, operations, log } = accounts
  const write = (line: string) => void log.push(line)
  const audit = createAudit(createLogger({ level: 'info', format: 'json', write, clock }))
  const identities = createIdentities({ store, accounts: operations, audit, clock })
  return { ...accounts, identities, count: async (table) => (await store.list({ table, limit: 100 })).length }
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'nothing'
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return error.code
  }
}

describe('an identity at first sight', () => {
  test('makes an account of its claims, and is that account from then on', async () => {
    const { identities, count, log } = start()
    const user = await identities.accountOf(ADA, SOURCE)
    expect(user).toMatchObject({ name: 'Ada', email: 'ada@example.com', role: 'user', disabled: false })
    expect(user.password_hash).toBeNull()
    // What it says later is nothing to the account.
    const again = await identities.accountOf({ ...ADA, email: 'other@example.com', name: 'Other' }, SOURCE)
    expect(again.id).toBe(user.id)
    expect(again.email).toBe('ada@example.com')
    expect(await count(usersTable.name)).toBe(1)
    expect(log.join('\n')).toContain('"event":"identity.linked"')
    expect(log.join('\n')).not.toContain('ada@example.com')
  })

  test('needs no e-mail and no name', async () => {
    const { identities } = start()
    const user = await identities.accountOf({ issuer: 'https://a', subject: 'b' }, SOURCE)
    expect(user).toMatchObject({ name: 'User', email: null })
    const other = await identities.accountOf({ issuer: 'https://a', subject: 'c' }, SOURCE)
    expect(other.id).not.toBe(user.id)
  })

  test('needs nothing of a profile', async () => {
    const profile = fieldsOf(t.Object({ age: t.Integer() }) as unknown as TObject)
    const { identities } = start({ declarations: { profile } })
    expect(await identities.accountOf(ADA, SOURCE)).toMatchObject({ email: 'ada@example.com', age: null })
  })

  test.each([['ada@example.com'], ['ADA@example.com'], ['\uff41da@example.com']])(
    'with the e-mail of a local account, as %s, is link_required and makes nothing',
    async (email) => {
      const { identities, register, count } = start()
      await register('ada@example.com')
      expect(await codeOf(identities.accountOf({ ...ADA, email }, SOURCE))).toBe('link_required')
      expect(await count(usersTable.name)).toBe(1)
      expect(await count(identitiesTable.name)).toBe(0)
    },
  )

  test('with a token and a taken e-mail makes an account without one', async () => {
    const { identities, register } = start()
    const local = await register('ada@example.com')
    const user = await identities.accountOf(ADA, { provider: null })
    expect(user.id).not.toBe(local.id)
    expect(user.email).toBeNull()
  })

  test('ten times at once makes one account', async () => {
    const { identities, count } = start()
    const users = await Promise.all(Array.from({ length: 10 }, () => identities.accountOf(ADA, SOURCE)))
    expect(new Set(users.map(({ id }) => id)).size).toBe(1)
    expect(await count(usersTable.name)).toBe(1)
  })

  test('is told from others by both of its parts, wherever one ends', async () => {
    const { identities, count } = start()
    const pairs = [
      ['a', 'bc'],
      ['ab', 'c'],
      ['', 'abc'],
      ['1:a', '2:bc'],
      ['1:a2', ':bc'],
    ]
    for (const [issuer = '', subject = ''] of pairs) await identities.accountOf({ issuer, subject }, SOURCE)
    expect(await count(usersTable.name)).toBe(pairs.length)
  })

  test('of a deleted account makes a new one', async () => {
    const { identities, store, count } = start()
    const user = await identities.accountOf(ADA, SOURCE)
    await store.commit([{ kind: 'delete', table: usersTable.name, id: user.id }])
    expect(await count(identitiesTable.name)).toBe(0)
    expect((await identities.accountOf(ADA, SOURCE)).id).not.toBe(user.id)
  })
})

describe('linking', () => {
  test('makes it the account of the user, twice too', async () => {
    const { identities, register } = start()
    const user = await register('ada@example.com')
    for (let time = 0; time < 2; time++) await identities.link(ADA, { ...SOURCE, userId: user.id })
    expect((await identities.accountOf(ADA, SOURCE)).id).toBe(user.id)
    expect(await identities.list(user.id)).toMatchObject([
      { issuer: ADA.issuer, subject: ADA.subject, provider: 'auth0', email: 'ada@example.com' },
    ])
  })

  test('takes none from another account', async () => {
    const { identities, register } = start()
    const [ada, bob] = [await register('ada@example.com'), await register('bob@example.com')]
    await identities.link(ADA, { ...SOURCE, userId: ada.id })
    expect(await codeOf(identities.link(ADA, { ...SOURCE, userId: bob.id }))).toBe('conflict')
    expect(await identities.list(bob.id)).toEqual([])
  })

  test(`takes ${IDENTITIES_MAX} and no more`, async () => {
    const { identities, register } = start()
    const { id: userId } = await register('ada@example.com')
    const link = (at: number) => identities.link({ ...ADA, subject: `${at}` }, { ...SOURCE, userId })
    for (let at = 0; at < IDENTITIES_MAX; at++) await link(at)
    expect(await codeOf(link(IDENTITIES_MAX))).toBe('conflict')
    expect(await identities.list(userId)).toHaveLength(IDENTITIES_MAX)
  })
})

describe('removing', () => {
  const idOf = async ({ identities }: World, { id }: User) => (await identities.list(id))[0]?.id ?? ''

  test('leaves an account with a password without any', async () => {
    const world = start()
    const user = await world.register('ada@example.com')
    await world.identities.link(ADA, { ...SOURCE, userId: user.id })
    await world.identities.remove(await idOf(world, user), user.id)
    expect(await world.identities.list(user.id)).toEqual([])
    expect(await codeOf(world.identities.accountOf(ADA, SOURCE))).toBe('link_required')
  })

  test('leaves the last way to sign in', async () => {
    const world = start()
    const user = await world.identities.accountOf(ADA, SOURCE)
    await world.identities.link({ ...ADA, subject: 'second' }, { ...SOURCE, userId: user.id })
    const [first, second] = await world.identities.list(user.id)
    const results = await Promise.all(
      [first, second].map((one) => codeOf(world.identities.remove(one?.id ?? '', user.id))),
    )
    expect(results.toSorted()).toEqual(['conflict', 'nothing'])
    expect(await world.identities.list(user.id)).toHaveLength(1)
  })

  test('leaves it where there is a password, but no e-mail to type with it', async () => {
    const world = start()
    const { email: _, ...withoutEmail } = ADA
    const user = await world.identities.accountOf(withoutEmail, SOURCE)
    const values = { password_hash: 'a hash' }
    await world.store.commit([{ kind: 'update', table: 'users', id: user.id, values }])
    const [only] = await world.identities.list(user.id)
    expect(await codeOf(world.identities.remove(only?.id ?? '', user.id))).toBe('conflict')
  })

  test('is not for others', async () => {
    const world = start()
    const user = await world.identities.accountOf(ADA, SOURCE)
    const other = await world.register('bob@example.com')
    const id = await idOf(world, user)
    expect(await codeOf(world.identities.remove(id, other.id))).toBe('not_found')
    expect(await codeOf(world.identities.remove('nothing', user.id))).toBe('not_found')
    expect(await world.identities.list(user.id)).toHaveLength(1)
  })
})

test('a use is noted, each minute of a sign-in and each hour of a token', async () => {
  const { identities, advance } = start()
  const user = await identities.accountOf(ADA, SOURCE)
  const last = async () => (await identities.list(user.id))[0]?.last_used_at
  const first = await last()
  advance(60)
  await identities.accountOf(ADA, { provider: null })
  advance(3600)
  await identities.accountOf(ADA, { provider: null })
  const second = await last()
  expect(second).not.toBe(first)
  advance(60)
  await identities.accountOf(ADA, SOURCE)
  expect(await last()).not.toBe(second)
})

describe('a one-time code', () => {
  const TO = 'https://app.example.com/in'

  async function issue() {
    const world = start()
    const user = await world.register('ada@example.com')
    const codes = createCodes(world)
    const code = await codes.issue((await findById(world.store, user.id)) as User, TO)
    return { ...world, user, codes, code }
  }

  test('is good once', async () => {
    const { codes, code, user } = await issue()
    expect(code).toMatch(/^[\w-]{43}$/)
    const redeemed = await Promise.all(Array.from({ length: 10 }, () => codes.redeem(code, TO)))
    expect(redeemed.filter((one) => one !== undefined).map(({ id }) => id)).toEqual([user.id])
    expect(await codes.redeem(code, TO)).toBeUndefined()
  })

  test('is used up by a wrong address', async () => {
    const { codes, code } = await issue()
    expect(await codes.redeem(code, `${TO}/`)).toBeUndefined()
    expect(await codes.redeem(code, TO)).toBeUndefined()
  })

  test.each([
    [59, true],
    [60, false],
    [-1, false],
  ])('after %d s is good: %p', async (seconds, isGood) => {
    const { codes, code, turn } = await issue()
    turn(seconds)
    expect((await codes.redeem(code, TO)) !== undefined).toBe(isGood)
  })

  test.each([[{ disabled: true }], [{ session_generation: 5 }]])('is none after %p', async (values) => {
    const { codes, code, change, user } = await issue()
    await change(user.id, values)
    expect(await codes.redeem(code, TO)).toBeUndefined()
  })

  test('is none of a deleted account, nor one that was made up', async () => {
    const { codes, code, store } = await issue()
    const user = await findByEmail(store, 'ada@example.com')
    await store.commit([{ kind: 'delete', table: usersTable.name, id: user?.id ?? '' }])
    expect(await codes.redeem(code, TO)).toBeUndefined()
    expect(await codes.redeem('x', TO)).toBeUndefined()
    expect(await codes.redeem('', TO)).toBeUndefined()
  })
})
