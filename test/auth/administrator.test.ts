import { describe, expect, test } from 'bun:test'
import { ensureAdministrator } from '../../src/auth/administrator.ts'
import { findByEmail } from '../../src/auth/users.ts'
import { t } from '../../src/sdk.ts'
import { fieldsOf } from '../../src/rest/fields.ts'
import { StartError } from '../../src/core/errors.ts'
import { createAccounts, type Accounts } from './accounts.ts'

const ACCOUNT = { email: 'Root@example.com', password: 'canary horse battery' }

const ensure = ({ store, operations }: Accounts, account: { email?: string; password?: string } = ACCOUNT) =>
  ensureAdministrator({ store, accounts: operations, email: account.email, password: account.password })
const add = ({ operations }: Accounts, email: string, role: string) =>
  operations.create({ name: 'Ada', email, role })

/** The message of the StartError that stops it. */
async function refusal(accounts: Accounts, account: { email?: string; password?: string }): Promise<string> {
  const error: unknown = await ensure(accounts, account).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(StartError)
  return (error as StartError).message
}

describe('ensureAdministrator', () => {
  test('makes the first administrator, once', async () => {
    const accounts = createAccounts()
    const { store } = accounts
    expect(await ensure(accounts)).toBeUndefined()
    const made = await findByEmail(store, 'root@example.com')
    expect(made).toMatchObject({
      email: ACCOUNT.email,
      role: 'admin',
      disabled: false,
      name: 'Administrator',
    })
    expect(await accounts.passwords.verify(ACCOUNT.password, made?.password_hash ?? undefined)).toBe(true)
    expect(await ensure(accounts, { ...ACCOUNT, password: 'another password' })).toBeUndefined()
    expect(await findByEmail(store, 'root@example.com')).toEqual(made as NonNullable<typeof made>)
  })

  test('does nothing where there is one, whatever the settings', async () => {
    const accounts = createAccounts()
    const { store } = accounts
    await add(accounts, 'boss@example.com', 'admin')
    for (const account of [{}, { email: 'bad' }, ACCOUNT])
      expect(await ensure(accounts, account)).toBeUndefined()
    expect(await store.count('users')).toBe(1)
  })

  test('gives a hint where there is none and nothing to make one of', async () => {
    const accounts = createAccounts()
    const { store } = accounts
    await add(accounts, 'ada@example.com', 'user')
    expect(await ensure(accounts, {})).toBe(
      'No administrator yet: make one by "hipflask user create EMAIL --name NAME --role admin" (in a container: "docker exec -it CONTAINER /hipflask user create …"), which asks for the password, or set HIPFLASK_ADMIN_EMAIL and HIPFLASK_ADMIN_PASSWORD (or HIPFLASK_ADMIN_PASSWORD_FILE) and start again',
    )
    expect(await store.count('users')).toBe(1)
  })

  test('never makes an administrator of an ordinary user', async () => {
    const accounts = createAccounts()
    const { store } = accounts
    const user = await add(accounts, 'ROOT@EXAMPLE.COM', 'user')
    expect(await refusal(accounts, ACCOUNT)).toBe(
      'HIPFLASK_ADMIN_EMAIL is the e-mail of an ordinary user; it must be one that no account has',
    )
    expect(await findByEmail(store, ACCOUNT.email)).toMatchObject({ ...user, password_hash: null })
  })

  test.each<[string, { email?: string; password?: string }, RegExp]>([
    [
      'an e-mail alone',
      { email: ACCOUNT.email },
      /HIPFLASK_ADMIN_EMAIL and HIPFLASK_ADMIN_PASSWORD must be set together/,
    ],
    ['a password alone', { password: ACCOUNT.password }, /must be set together/],
    ['a bad e-mail', { ...ACCOUNT, email: 'canary' }, /^HIPFLASK_ADMIN_EMAIL: /],
    ['a password of 7 characters', { ...ACCOUNT, password: 'canary7' }, /^HIPFLASK_ADMIN_PASSWORD: .*8/],
    [
      'a password of 257 characters',
      { ...ACCOUNT, password: 'canary7'.padEnd(257, 'x') },
      /^HIPFLASK_ADMIN_PASSWORD: .*256/,
    ],
    [
      'both bad',
      { email: 'canary', password: 'canary' },
      /^HIPFLASK_ADMIN_EMAIL: .*\nHIPFLASK_ADMIN_PASSWORD: /,
    ],
  ])('stops the start for %s, says why, and makes nothing', async (_, account, message) => {
    const accounts = createAccounts()
    const { store } = accounts
    const text = await refusal(accounts, account)
    expect(text).toMatch(message)
    expect(text).not.toContain('canary')
    expect(await store.count('users')).toBe(0)
  })

  test('lets processes that start at once make one', async () => {
    const accounts = createAccounts()
    const { store } = accounts
    expect(await Promise.all([ensure(accounts), ensure(accounts), ensure(accounts)])).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    expect(await store.count('users')).toBe(1)
  })

  test('makes one that lacks what a profile asks of whoever registers', async () => {
    const profile = fieldsOf(
      t.Object({ phone: t.String(), plan: t.Enum(['free', 'paid'], { default: 'free' }) }) as never,
    )
    const accounts = createAccounts({ declarations: { profile } })
    await ensure(accounts)
    const made = await findByEmail(accounts.store, ACCOUNT.email)
    expect(made as object).toMatchObject({ role: 'admin', phone: null, plan: 'free' })
  })
})
