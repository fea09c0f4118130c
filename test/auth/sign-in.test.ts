import { describe, expect, test } from 'bun:test'
import { findByEmail } from '../../src/auth/users.ts'
import { PASSWORD, basic, createAccounts, failureOf, type AccountsOptions } from './accounts.ts'

const WRONG = 'a wrong password'
/** One of these credentials at a time: three failures of an account, fifteen of a network. */
const limited: AccountsOptions = { loginRate: { limit: 3, windowMs: 60_000 } }

function eventsOf({ log }: { log: readonly string[] }): Record<string, unknown>[] {
  return log
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter(({ event }) => event !== undefined)
}

describe('failures are counted', () => {
  test.each([
    ['of a known account', 'ada@example.com'],
    ['of an unknown one', 'nobody@example.com'],
  ])('%s: three are 401, then all is 429 with Retry-After', async (_, email) => {
    const accounts = createAccounts(limited)
    await accounts.register('ada@example.com')
    const attempt = (password: string) => accounts.post('/auth/login', { email, password })
    for (let turn = 0; turn < 3; turn++) expect((await attempt(WRONG)).status).toBe(401)
    const before = accounts.checks()
    for (const password of [WRONG, PASSWORD]) {
      const response = await attempt(password)
      expect(await failureOf(response)).toMatchObject({ status: 429, code: 'rate_limited' })
      expect(response.headers.get('retry-after')).toBe('20')
    }
    expect(accounts.checks()).toBe(before)
    accounts.advance(19.999)
    expect((await attempt(WRONG)).status).toBe(429)
    accounts.advance(0.001)
    expect((await attempt(WRONG)).status).toBe(401)
  })

  test('by whatever spelling of the e-mail, and by Basic with logins', async () => {
    const accounts = createAccounts(limited)
    await accounts.register('ada@example.com')
    expect((await accounts.post('/auth/login', { email: 'ADA@example.com', password: WRONG })).status).toBe(
      401,
    )
    expect((await accounts.me(basic('Ada@Example.com', WRONG))).status).toBe(401)
    expect((await accounts.me(basic('ada@example.com', `${WRONG}!`))).status).toBe(401)
    expect((await accounts.me(basic('ada@example.com', PASSWORD))).status).toBe(429)
    expect(
      (await accounts.post('/auth/login', { email: 'ada@example.com', password: PASSWORD })).status,
    ).toBe(429)
  })

  test('also those that come at once', async () => {
    const accounts = createAccounts(limited)
    const statuses = await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        const body = { email: 'nobody@example.com', password: `${WRONG} ${index}` }
        return (await accounts.post('/auth/login', body)).status
      }),
    )
    expect(statuses.filter((status) => status === 401)).toHaveLength(3)
    expect(statuses.filter((status) => status === 429)).toHaveLength(17)
  })

  test('of a network too, whatever the account', async () => {
    const accounts = createAccounts(limited)
    const attempt = async (index: number) =>
      (await accounts.post('/auth/login', { email: `a${index}@example.com`, password: WRONG })).status
    const statuses: number[] = []
    for (let index = 0; index < 16; index++) statuses.push(await attempt(index))
    expect(statuses).toEqual([...Array.from({ length: 15 }, () => 401), 429])
  })

  test('but not what succeeds, and what is signed in goes on', async () => {
    const accounts = createAccounts(limited)
    const { email } = await accounts.register('ada@example.com')
    for (let turn = 0; turn < 5; turn++) await accounts.login(email)
    const token = `Bearer ${await accounts.login(email)}`
    expect((await accounts.me(basic(email, PASSWORD))).status).toBe(200)
    for (let turn = 0; turn < 3; turn++) await accounts.post('/auth/login', { email, password: WRONG })
    expect((await accounts.post('/auth/login', { email, password: PASSWORD })).status).toBe(429)
    expect((await accounts.me(token)).status).toBe(200)
    expect((await accounts.me(basic(email, PASSWORD))).status).toBe(200)
  })

  test('and not what found no place among the hashes', async () => {
    const accounts = createAccounts({ loginRate: { limit: 100, windowMs: 60_000 } })
    const { email } = await accounts.register('ada@example.com')
    const burst = async () => {
      const answers = Array.from({ length: 70 }, () =>
        accounts.post('/auth/login', { email, password: PASSWORD }),
      )
      return (await Promise.all(answers)).map(({ status }) => status)
    }
    expect(new Set(await burst())).toEqual(new Set([200, 503]))
    expect(new Set(await burst())).toEqual(new Set([200, 503]))
  })
})

describe('a right password', () => {
  const OLD = Bun.password.hashSync(PASSWORD, { algorithm: 'bcrypt', cost: 4 })

  test('gets a hash of today, once', async () => {
    const accounts = createAccounts()
    const { id, email } = await accounts.register('ada@example.com')
    await accounts.change(id, { password_hash: OLD })
    await accounts.login(email)
    const renewed = (await findByEmail(accounts.store, email))?.password_hash
    expect(renewed).toStartWith('$argon2id$')
    await accounts.login(email)
    expect((await findByEmail(accounts.store, email))?.password_hash).toBe(renewed as string)
    expect(eventsOf(accounts).filter(({ event }) => event === 'password.rehashed')).toHaveLength(1)
  })

  test('by Basic gets one too, and is known then', async () => {
    const accounts = createAccounts()
    const { id, email } = await accounts.register('ada@example.com')
    await accounts.change(id, { password_hash: OLD })
    for (let turn = 0; turn < 2; turn++) expect((await accounts.me(basic(email, PASSWORD))).status).toBe(200)
    expect((await findByEmail(accounts.store, email))?.password_hash).toStartWith('$argon2id$')
    expect(accounts.checks()).toBe(1)
  })

  test('that is wrong leaves the old hash', async () => {
    const accounts = createAccounts()
    const { id, email } = await accounts.register('ada@example.com')
    await accounts.change(id, { password_hash: OLD })
    await accounts.post('/auth/login', { email, password: WRONG })
    expect((await findByEmail(accounts.store, email))?.password_hash).toBe(OLD)
  })
})

test('each outcome is one line of the audit log, without what was typed', async () => {
  const accounts = createAccounts(limited)
  const ada = await accounts.register('ada@example.com')
  const off = await accounts.register('off@example.com')
  await accounts.change(off.id, { disabled: true })
  accounts.log.splice(0)
  const attempt = (email: string, password: string) => accounts.post('/auth/login', { email, password })
  await attempt(ada.email, PASSWORD)
  await attempt(ada.email, 'canary-of-a-password')
  await attempt('canary@example.com', WRONG)
  await attempt(off.email, PASSWORD)
  await accounts.me(basic(ada.email, 'canary-of-another'))
  await attempt(ada.email, WRONG)
  await attempt(ada.email, WRONG)
  const ip = '192.0.2.1'
  const failed = { event: 'login.failed', level: 'warn', ip, method: 'login' }
  expect(eventsOf(accounts)).toMatchObject([
    { event: 'login.succeeded', level: 'info', user_id: ada.id, ip },
    { ...failed, user_id: ada.id, reason: 'wrong password' },
    { ...failed, reason: 'unknown account' },
    { ...failed, user_id: off.id, reason: 'disabled account' },
    { ...failed, method: 'basic', user_id: ada.id, reason: 'wrong password' },
    { ...failed, user_id: ada.id, reason: 'wrong password' },
    { event: 'login.limited', user_id: ada.id, ip },
  ])
  expect(accounts.log.join('')).not.toContain('canary')
})
