import { describe, expect, test } from 'bun:test'
import { ensureAdministrator } from '../../src/auth/administrator.ts'
import { createPasswords } from '../../src/auth/passwords.ts'
import { createUser, findByEmail } from '../../src/auth/users.ts'
import { StartError } from '../../src/core/errors.ts'
import type { Store } from '../../src/storage/store.ts'
import { createUserStore } from './accounts.ts'

const passwords = createPasswords({ atOnce: 2 })
const ACCOUNT = { email: 'Root@example.com', password: 'canary horse battery' }
const clock = Date.now

const ensure = (store: Store, account: { email?: string; password?: string } = ACCOUNT) =>
  ensureAdministrator({ store, passwords, clock, email: account.email, password: account.password })
const add = (store: Store, email: string, role: string) =>
  createUser(store, { name: 'Ada', email, passwordHash: 'x', role, now: clock() })

/** The message of the StartError that stops it. */
async function refusal(store: Store, account: { email?: string; password?: string }): Promise<string> {
  const error: unknown = await ensure(store, account).catch((thrown: unknown) => thrown)
  expect(error).toBeInstanceOf(StartError)
  return (error as StartError).message
}

describe('ensureAdministrator', () => {
  test('makes the first administrator, once', async () => {
    const store = createUserStore()
    expect(await ensure(store)).toBeUndefined()
    const made = await findByEmail(store, 'root@example.com')
    expect(made).toMatchObject({
      email: ACCOUNT.email,
      role: 'admin',
      disabled: false,
      name: 'Administrator',
    })
    expect(await passwords.verify(ACCOUNT.password, made?.password_hash ?? undefined)).toBe(true)
    expect(await ensure(store, { ...ACCOUNT, password: 'another password' })).toBeUndefined()
    expect(await findByEmail(store, 'root@example.com')).toEqual(made as NonNullable<typeof made>)
  })

  test('does nothing where there is one, whatever the settings', async () => {
    const store = createUserStore()
    await add(store, 'boss@example.com', 'admin')
    for (const account of [{}, { email: 'bad' }, ACCOUNT])
      expect(await ensure(store, account)).toBeUndefined()
    expect(await store.count('users')).toBe(1)
  })

  test('gives a hint where there is none and nothing to make one of', async () => {
    const store = createUserStore()
    await add(store, 'ada@example.com', 'user')
    expect(await ensure(store, {})).toBe(
      'No administrator yet: set HIPFLASK_ADMIN_EMAIL and HIPFLASK_ADMIN_PASSWORD (or HIPFLASK_ADMIN_PASSWORD_FILE) and start again',
    )
    expect(await store.count('users')).toBe(1)
  })

  test('never makes an administrator of an ordinary user', async () => {
    const store = createUserStore()
    const user = await add(store, 'ROOT@EXAMPLE.COM', 'user')
    expect(await refusal(store, ACCOUNT)).toBe(
      'HIPFLASK_ADMIN_EMAIL is the e-mail of an ordinary user; it must be one that no account has',
    )
    expect(await findByEmail(store, ACCOUNT.email)).toEqual(user)
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
    const store = createUserStore()
    const text = await refusal(store, account)
    expect(text).toMatch(message)
    expect(text).not.toContain('canary')
    expect(await store.count('users')).toBe(0)
  })

  test('lets processes that start at once make one', async () => {
    const store = createUserStore()
    expect(await Promise.all([ensure(store), ensure(store), ensure(store)])).toEqual([
      undefined,
      undefined,
      undefined,
    ])
    expect(await store.count('users')).toBe(1)
  })
})
