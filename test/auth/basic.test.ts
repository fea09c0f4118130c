import { describe, expect, setSystemTime, spyOn, test } from 'bun:test'
import { BASIC_CACHE_MAX, createBasicVerifier } from '../../src/auth/basic.ts'
import { createLoginLimits } from '../../src/auth/login-limits.ts'
import { createSignIn } from '../../src/auth/sign-in.ts'
import { PASSWORD, basic, createAccounts, failureOf } from './accounts.ts'

const accounts = createAccounts()
const limits = createLoginLimits({ rate: 'off', now: () => 0 })
const { email } = await accounts.register('ada@example.com')

const encode = (text: string | Buffer) => Buffer.from(text).toString('base64')
const status = async (authorization: string) => (await accounts.me(authorization)).status
/** How many passwords are checked while `work` runs. */
const checksDuring = async (work: () => Promise<unknown>) => {
  const before = accounts.checks()
  await work()
  return accounts.checks() - before
}

describe('a Basic credential', () => {
  const good = `${email}:${PASSWORD}`
  const unpadded = encode(`${good}`).replaceAll('=', '')
  test.each<[string, string]>([
    ['nothing', ''],
    ['a colon alone, no base64', ':'],
    ['no base64', '!!!!'],
    ['base64 without its padding', unpadded.length % 4 === 0 ? 'YTpi=' : unpadded],
    ['too much padding', `${encode(good)}====`],
    ['base64url', Buffer.from(`${email}:\u00fb\u00ff\u00fe???>>>`).toString('base64url')],
    ['spare bits', 'YTpiZR=='],
    ['a line end', `${encode(good)}\n=`.replace('\n', '%0A')],
    ['no colon', encode(email)],
    ['bytes that are not UTF-8', encode(Buffer.from([0x61, 0x3a, 0xff, 0xfe]))],
    ['Latin-1', encode(Buffer.from(`${email}:cr\u00e8me br\u00fbl\u00e9e`, 'latin1'))],
    ['NUL', encode(`${good}\0`)],
    ['a line end in the e-mail', encode(`${email}\n:${PASSWORD}`)],
    ['a byte order mark', encode(`\ufeff${good}`)],
    ['an empty e-mail', encode(`:${PASSWORD}`)],
    ['an empty password', encode(`${email}:`)],
    ['a space behind the password', encode(`${good} `)],
    ['a space before the e-mail', encode(` ${good}`)],
    ['an unknown account', encode(`nobody@example.com:${PASSWORD}`)],
    ['an e-mail of 8 KB', encode(`${'x'.repeat(8000)}@example.com:${PASSWORD}`)],
    ['a password of 8 KB', encode(`${email}:${'x'.repeat(8000)}`)],
    ['a password of hostile marks', encode(`${email}:a${'\u0301\u0316'.repeat(2000)}`)],
    ['an e-mail of hostile marks', encode(`a${'\u0301\u0316'.repeat(2000)}@example.com:x`)],
  ])('of %s answers 401 with its challenge', async (_, encoded) => {
    expect(await failureOf(await accounts.me(`Basic ${encoded}`.trim()))).toEqual({
      status: 401,
      code: 'invalid_credentials',
      challenge: 'Basic realm="hipflask", charset="UTF-8"',
    })
  })

  test('may have colons, quotes and other scripts in its password, in any Unicode form', async () => {
    const password = ':a:b "cr\u00e8me" \u{1f511}:'
    await accounts.post('/auth/register', { name: 'Eve', email: 'eve@example.com', password })
    expect(await status(basic('eve@example.com', password))).toBe(200)
    expect(await status(basic('EVE@Example.com', password.normalize('NFD')))).toBe(200)
    expect(await status(basic('eve@example.com', password.slice(1)))).toBe(401)
  })

  test('is not mended: a byte that is no UTF-8 is not the replacement character of a password', async () => {
    const password = 'purple \ufffd lemon'
    await accounts.post('/auth/register', { name: 'Eve', email: 'mended@example.com', password })
    expect(await status(basic('mended@example.com', password))).toBe(200)
    const bytes = Buffer.from('mended@example.com:purple \xff lemon', 'latin1')
    expect(await status(`Basic ${encode(bytes)}`)).toBe(401)
  })

  test('has no control character, even where the password has one (RFC 7617)', async () => {
    const password = 'purple\tlemon'
    await accounts.post('/auth/register', { name: 'Eve', email: 'tab@example.com', password })
    expect(await accounts.login('tab@example.com', password)).toContain('.')
    expect(await status(basic('tab@example.com', password))).toBe(401)
  })

  test('with an e-mail that no account can have is not looked up', async () => {
    const list = spyOn(accounts.store, 'list')
    expect(await status(basic('x'.repeat(255), PASSWORD))).toBe(401)
    const calls = list.mock.calls.length
    list.mockRestore()
    expect(calls).toBe(0)
  })
})

describe('a verified password', () => {
  test('is known for 60 s, and then checked again', async () => {
    accounts.advance(3600)
    const once = () => status(basic(email, PASSWORD))
    expect(
      await checksDuring(async () =>
        expect([await once(), await once(), await once()]).toEqual([200, 200, 200]),
      ),
    ).toBe(1)
    accounts.advance(59.999)
    expect(await checksDuring(once)).toBe(0)
    accounts.advance(0.001)
    expect(await checksDuring(once)).toBe(1)
    // A clock that is set neither ends it nor lets it live longer.
    for (const seconds of [-3600, 7200, -3600]) accounts.turn(seconds)
    accounts.advance(59.999)
    expect(await checksDuring(once)).toBe(0)
    accounts.turn(-3600)
    accounts.advance(0.001)
    expect(await checksDuring(once)).toBe(1)
    accounts.turn(3600)
  })

  test('is checked once for equal requests at once, right or wrong, known account or not', async () => {
    accounts.advance(3600)
    for (const [authorization, answer] of [
      [basic(email, PASSWORD), 200],
      [basic(email, 'wrong password'), 401],
      [basic('nobody@example.com', PASSWORD), 401],
    ] as const) {
      const burst = async () => {
        const answers = await Promise.all(Array.from({ length: 20 }, () => status(authorization)))
        expect(new Set(answers)).toEqual(new Set([answer]))
      }
      expect(await checksDuring(burst)).toBe(1)
    }
  })

  test('that is wrong is never known', async () => {
    const wrong = basic(email, 'wrong password')
    expect(await checksDuring(async () => [await status(wrong), await status(wrong)])).toBe(2)
  })

  test('is unknown at once where the account has another, and the other is checked', async () => {
    const { id } = await accounts.register('changed@example.com')
    expect(await status(basic('changed@example.com', PASSWORD))).toBe(200)
    const other = 'lemon staple purple'
    await accounts.change(id, { password_hash: await accounts.passwords.hash(other) })
    expect(await status(basic('changed@example.com', PASSWORD))).toBe(401)
    expect(await status(basic('changed@example.com', other))).toBe(200)
    expect(await checksDuring(() => status(basic('changed@example.com', other)))).toBe(0)
    // The same password under another hash is another one too.
    await accounts.change(id, { password_hash: await accounts.passwords.hash(other) })
    expect(await checksDuring(() => status(basic('changed@example.com', other)))).toBe(1)
  })

  test('is refused where the account changes while it is checked', async () => {
    const { id } = await accounts.register('changing@example.com')
    const [answer] = await Promise.all([
      status(basic('changing@example.com', PASSWORD)),
      new Promise(setImmediate).then(() => accounts.change(id, { password_hash: 'another' })),
    ])
    expect(answer).toBe(401)
  })

  test('is known by a clock that nobody sets, unless told otherwise', async () => {
    let checked = 0
    const passwords = { ...accounts.passwords, verify: () => Promise.resolve(++checked > 0) }
    const signIn = createSignIn({ store: accounts.store, passwords, limits, audit: () => undefined })
    const verify = createBasicVerifier({ store: accounts.store, audit: () => undefined, signIn })
    const attempt = () => verify(encode(`${email}:${PASSWORD}`), { address: () => '127.0.0.1' })
    await attempt()
    setSystemTime(Date.now() + 3_600_000)
    await attempt()
    setSystemTime()
    expect(checked).toBe(1)
  })

  test('makes room for others when too many are known', async () => {
    let checked = 0
    // Any password is right here: a thousand hashes would take a minute.
    const passwords = { ...accounts.passwords, verify: () => Promise.resolve(++checked > 0) }
    const signIn = createSignIn({ store: accounts.store, passwords, limits, audit: () => undefined })
    const verify = createBasicVerifier({
      store: accounts.store,
      audit: () => undefined,
      signIn,
      monotonic: () => 0,
    })
    const attempt = (password: string) =>
      verify(encode(`${email}:${password}`), { address: () => '127.0.0.1' })
    for (let index = 0; index <= BASIC_CACHE_MAX; index++) await attempt(`password ${index}`)
    expect(checked).toBe(BASIC_CACHE_MAX + 1)
    await attempt(`password ${BASIC_CACHE_MAX}`)
    await attempt('password 1')
    expect(checked).toBe(BASIC_CACHE_MAX + 1)
    await attempt('password 0')
    expect(checked).toBe(BASIC_CACHE_MAX + 2)
  })
})

test('no password gets into the log', () => {
  expect(accounts.log.join('')).not.toContain(PASSWORD)
})
