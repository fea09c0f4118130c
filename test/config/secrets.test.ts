import { describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { isGuessablePassword, isStrongSecret, SECRET_BYTES_MIN } from '../../src/config/secrets.ts'

const GOOD = 'kJ8vQ2xN5mW7pR4tY6uB3cZ9dF1gH0sL'

describe('isStrongSecret', () => {
  test.each([
    ['32 bytes', GOOD, true],
    ['31 bytes', GOOD.slice(1), false],
    ['32 bytes in fewer characters', `${GOOD.slice(0, 28)}éü`, true],
    ['31 bytes in 29 characters', `${GOOD.slice(0, 27)}éü`, false],
    ['long', GOOD + GOOD.toLowerCase(), true],
    ['what openssl rand -hex 16 prints', '9f86d081884c7d659a2feaa0c55ad015', true],
    [
      'a passphrase of ten words',
      'violet gravel sonnet hammock tundra oblique wafer kettle prism dunes',
      true,
    ],
    ['bytes that are no UTF-8', Buffer.from('ff'.repeat(40), 'hex').toString() + GOOD, false],
    ['nothing', '', false],
  ])('%s: %p is %p', (_, secret, isStrong) => {
    expect(isStrongSecret(secret)).toBe(isStrong)
  })

  test.each([
    'your-256-bit-secret-your-256-bit-secret',
    'a-string-secret-at-least-256-bits-long',
    'a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long',
    'your-super-secret-jwt-token-with-at-least-32-characters-long',
    'super-secret-jwt-token-with-at-least-32-characters-long',
    'reallyreallyreallyreallyverysafe',
    'secretsecretsecretsecretsecretsecret',
    'Secret-Secret-Secret-Secret-Secret-1',
    'SECRET secret SeCrEt secret secret 42',
    'change-me-in-production-please-12345',
    'ChangeThisSecretBeforeDeploying!!!!!',
    'toBeModified-toBeModified-toBeModified2',
    'django-insecure-k2$3v!p0q9z&u7w1x5y8c4b6n',
    'my-32-character-ultra-secure-and-ultra-long-secret'.replace('ultra-long', 'my'),
    'better-auth-secret-12345678901234567890',
    'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
    '09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7',
    '404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970',
    '3EK6FD+o0+c7tzBNVfjpMkNDi2yARAAKzQlk8O2IKoxQu4nF7EdAh8s3TwpHwrdWT6R',
    'correct horse battery staple correct horse',
    'hipflask-hipflask-jwt-signing-key-2026',
    'DO NOT USE THIS VALUE. INSTEAD, CREATE A COMPLEX SECRET',
    'qwertyuiopasdfghjklzxcvbnm1234567890',
    'a'.repeat(32),
    '0'.repeat(64),
    'ab'.repeat(20),
    'xK9#mQ2$vL7!pR4&'.repeat(2),
    `${'kJ8vQ2xN5mW7pR4tY6uB'.repeat(2)}kJ8v`,
    'abcabdabeabcabdabeabcabdabeabcabdabc',
    'abcdefghijklmnopqrstuvwxyz0123456789',
    '12345678901234567890123456789012',
    '0123456789abcdef0123456789abcdef',
    'zyxwvutsrqponmlkjihgfedcba9876543210',
    '🔑'.repeat(20),
  ])('refuses %p', (secret) => {
    expect(Buffer.byteLength(secret)).toBeGreaterThanOrEqual(SECRET_BYTES_MIN)
    expect(isStrongSecret(secret)).toBe(false)
  })

  test('takes what a random generator makes', () => {
    for (let round = 0; round < 2000; round++) {
      for (const secret of [randomBytes(16).toString('hex'), randomBytes(32).toString('base64')])
        expect([secret, isStrongSecret(secret)]).toEqual([secret, true])
    }
  })
})

describe('isGuessablePassword', () => {
  test.each([
    'adminadmin',
    'a'.repeat(20),
    'a'.repeat(256),
    '12345678901234567890',
    '98765432109876543210',
    'abcdefghijkl',
    'qwertyuiop',
    'hipflask',
    'Hipflask-2026!',
    'changeme123',
    'Change-This-Now!',
    'Password123!',
    'P@ssw0rd12345',
    'pa$$w0rd!!!!',
    'Admin123!',
    '4dm1n1str4t0r',
    'ADMIN-password',
    'root:toor',
    'L3tme1n!2026',
    '\uff50\uff41\uff53\uff53\uff57\uff4f\uff52\uff44!2026',
    'welcome to admin',
    'Summer2026!',
    'S3cr3t_S3rv3r',
    'passwordabc1',
    'password123456789012345678901234',
    '19850412',
    '198504120930147',
    'banana12',
  ])('%p', (password) => expect(isGuessablePassword(password)).toBe(true))

  test.each([
    'a long enough passphrase',
    'zebra lamp kettle 9',
    'correct horse battery staple',
    'correct horse battery',
    'purple staple lemon',
    'plum tea',
    'password kiwi',
    'my admin password is a heron',
    'contrase\u00f1a segura',
    '\u9752\u3044\u9ce5\u304c\u6b4c\u3046\u6d77\u8fba',
    '1985041209301472',
  ])('not %p', (password) => expect(isGuessablePassword(password)).toBe(false))

  test('takes what a random generator makes', () => {
    for (let round = 0; round < 2000; round++) {
      for (const password of [randomBytes(12).toString('base64'), randomBytes(24).toString('base64')])
        expect([password, isGuessablePassword(password)]).toEqual([password, false])
    }
  })
})
