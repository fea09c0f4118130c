import { describe, expect, spyOn, test } from 'bun:test'
import { PASSWORDS_WAITING_MAX, createPasswords, normalizePassword } from '../../src/auth/passwords.ts'

const passwords = createPasswords({ atOnce: 2 })
const PASSWORD = 'purple staple lemon'

describe('hash and verify', () => {
  test('a hash is Argon2id, salted, with its parameters, and verifies its password only', async () => {
    const [one, two] = await Promise.all([passwords.hash(PASSWORD), passwords.hash(PASSWORD)])
    expect(one).toStartWith('$argon2id$v=19$m=32768,t=2,p=1$')
    expect(one).not.toBe(two)
    const tried = [PASSWORD, `${PASSWORD} `, PASSWORD.toUpperCase()].map((text) =>
      passwords.verify(text, one),
    )
    expect(await Promise.all(tried)).toEqual([true, false, false])
  })

  test('the Unicode form that a password is typed in makes no difference, its compatibility characters do', async () => {
    const hash = await passwords.hash('crème brûlée \ufb01n'.normalize('NFD'))
    const tried = ['crème brûlée \ufb01n', 'crème brûlée fin'].map((text) => passwords.verify(text, hash))
    expect(await Promise.all(tried)).toEqual([true, false])
  })

  test('without a hash a password is checked against one of the same cost, and wrong', async () => {
    const hash = await passwords.hash(PASSWORD)
    const verify = spyOn(Bun.password, 'verify')
    expect(await passwords.verify(PASSWORD, undefined)).toBe(false)
    const [[, dummy], outcome] = [verify.mock.calls[0] as [string, string], verify.mock.results[0]?.value]
    verify.mockRestore()
    // A malformed hash would be refused at once, and so tell an unknown account.
    expect(await outcome).toBe(false)
    expect(dummy.split('$').slice(0, 4)).toEqual(hash.split('$').slice(0, 4))
    expect(dummy).toHaveLength(hash.length)
  })

  test.each([
    '',
    'x',
    '$argon2id$',
    '$argon2id$v=19$m=32768,t=2,p=1$AAAA$AAAA',
    '$argon2id$v=19$m=4294967295,t=2,p=1$AA$AA',
    '$2b$10$short',
    'plain text password',
  ])('a stored hash of %j is a wrong password', async (hash) =>
    expect(await passwords.verify(PASSWORD, hash)).toBe(false),
  )

  test.each([0, 7, 257, 1024, 1025, 1 << 20])(
    'hash refuses %d characters, verify finds them wrong',
    async (length) => {
      const password = 'x'.repeat(length)
      await expect(passwords.hash(password)).rejects.toThrow(TypeError)
      expect(await passwords.verify(password, undefined)).toBe(false)
    },
  )

  test.each([8, 256])('%d characters beyond the basic plane are that many', async (length) => {
    const password = '\u{1f511}'.repeat(length)
    const hash = await passwords.hash(password)
    expect(await passwords.verify(password, hash)).toBe(true)
    expect(await passwords.verify(password.replace('\u{1f511}', '\u{1f512}'), hash)).toBe(false)
  })
})

describe('normalizePassword', () => {
  test('reaches 256 characters of a living script in any form', () => {
    for (const character of ['é', '한', '\u1f82', 'ệ']) {
      const password = character.repeat(256)
      expect(normalizePassword(password.normalize('NFD'))).toBe(password)
    }
  })

  test('leaves alone what is too long: it would take quadratic time', () => {
    const hostile = 'a'.concat('\u0301\u0316'.repeat(200_000))
    expect(normalizePassword(hostile)).toBe(hostile)
  })
})

describe('the queue', () => {
  test('refuses the first check beyond those at work and waiting, at once, with Retry-After', async () => {
    const single = createPasswords({ atOnce: 1 })
    // A hash of an unknown form costs nothing, and still takes its turn.
    const check = () => single.verify(PASSWORD, 'no hash')
    const taken = Array.from({ length: 1 + PASSWORDS_WAITING_MAX }, check)
    const refused = [check(), single.hash(PASSWORD)]
    for (const one of await Promise.allSettled(refused)) {
      expect(one).toMatchObject({ reason: { code: 'unavailable', headers: { 'Retry-After': '1' } } })
    }
    expect(await Promise.all(taken)).toEqual(taken.map(() => false))
    expect(await check()).toBe(false)
  })
})
