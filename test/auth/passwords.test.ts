import { describe, expect, spyOn, test } from 'bun:test'
import {
  PASSWORDS_WAITING_MAX,
  createPasswords,
  needsRehash,
  normalizePassword,
} from '../../src/auth/passwords.ts'

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

/** The form of a hash, with made-up contents. */
const argon2 = (parameters: string, variant = 'argon2id', version = 'v=19$') =>
  `$${variant}$${version}${parameters}$${'A'.repeat(22)}$${'A'.repeat(43)}`
const bcrypt = (cost: string, variant = '2b') => `$${variant}$${cost}$${'C'.repeat(53)}`

describe('a hash that was made elsewhere', () => {
  test.each([
    ['bcrypt $2a$', 'U*U', '$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
    ['bcrypt $2b$', 'U*U', '$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
    ['bcrypt $2y$', 'U*U', '$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW'],
    [
      'Argon2id of the reference implementation',
      'password',
      '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc',
    ],
  ])('verifies its password only: %s', async (_, password, hash) => {
    expect(await passwords.verify(password, hash)).toBe(true)
    expect(await passwords.verify(`${password} `, hash)).toBe(false)
  })

  test('of bcrypt knows 72 bytes of a password, as what made it did', async () => {
    const kept = `${'\u00e9'.repeat(35)}ab`
    const hash = await Bun.password.hash(kept, { algorithm: 'bcrypt', cost: 4 })
    const tried = [kept, `${kept}c`, `${kept}${'x'.repeat(100)}`, kept.slice(0, -1), `${kept.slice(0, -1)}c`]
    const outcomes = await Promise.all(tried.map((password) => passwords.verify(password, hash)))
    expect(outcomes).toEqual([true, true, true, false, false])
  })

  const run = [
    argon2('m=65536,t=10,p=16'),
    argon2('m=8,t=1,p=1', 'argon2i'),
    argon2('m=8,t=1,p=1', 'argon2d'),
    bcrypt('04'),
    bcrypt('14', '2a'),
    bcrypt('10', '2y'),
  ]
  const refused = [
    argon2('m=65537,t=1,p=1'),
    argon2('m=4194304,t=1,p=1'),
    argon2('m=99999999999,t=1,p=1'),
    argon2('m=8,t=11,p=1'),
    argon2('m=8,t=4294967295,p=1'),
    argon2('m=65536,t=1,p=17'),
    argon2('m=65536,t=1,p=255'),
    argon2('t=1,m=8,p=1'),
    argon2('m=8,t=1,p=1', 'argon2x'),
    argon2('m=8,t=1,p=1', 'argon2id', 'v=16$'),
    argon2('m=8,t=1,p=1', 'argon2id', ''),
    `${argon2('m=8,t=1,p=1')}\n`,
    bcrypt('15'),
    bcrypt('31'),
    bcrypt('10', '2x'),
    bcrypt('10', '2'),
    `${bcrypt('10')}C`,
    '',
    'plain text password',
    PASSWORD,
  ]
  test.each([...run.map((hash) => [hash, true] as const), ...refused.map((hash) => [hash, false] as const)])(
    'of %p is computed: %p',
    async (hash, isComputed) => {
      const verify = spyOn(Bun.password, 'verify').mockResolvedValue(true)
      await passwords.verify(PASSWORD, hash)
      const [[, used]] = verify.mock.calls as unknown as [[string, string]]
      verify.mockRestore()
      // Instead of the others, that of an unknown account: they take the time of a wrong password.
      if (isComputed) expect(used).toBe(hash)
      else expect(used).toStartWith('$argon2id$v=19$m=32768,t=2,p=1$')
    },
  )
})

test.each([argon2('m=8,t=0,p=1'), argon2('m=8,t=1,p=0'), bcrypt('00'), bcrypt('03')])(
  'a hash of %p, which nobody could have made, is a wrong password',
  async (hash) => expect(await passwords.verify(PASSWORD, hash)).toBe(false),
)

describe('needsRehash', () => {
  test('is false for a hash that was made now', async () =>
    expect(needsRehash(await passwords.hash(PASSWORD), PASSWORD)).toBe(false))

  test.each([
    ['more memory', argon2('m=65536,t=2,p=1')],
    ['less memory', argon2('m=19456,t=2,p=1')],
    ['more passes', argon2('m=32768,t=3,p=1')],
    ['passes that begin alike', argon2('m=32768,t=20,p=1')],
    ['fewer passes', argon2('m=32768,t=1,p=1')],
    ['more lanes', argon2('m=32768,t=2,p=4')],
    ['lanes that begin alike', argon2('m=32768,t=2,p=10')],
    ['another variant', argon2('m=32768,t=2,p=1', 'argon2i')],
    ['bcrypt', bcrypt('12')],
  ])('is true for a hash of %s', (_, hash) => expect(needsRehash(hash, PASSWORD)).toBe(true))

  test.each([
    [72, true],
    [73, false],
  ])('of bcrypt is %p bytes of password: %p', (bytes, expected) =>
    expect(needsRehash(bcrypt('12'), 'x'.repeat(bytes))).toBe(expected),
  )
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
