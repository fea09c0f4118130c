import { describe, expect, test } from 'bun:test'
import { dictionary } from '@zxcvbn-ts/language-common'
import { foldPassword, isCommonPassword } from '../../src/auth/common-passwords.ts'

const common = dictionary['passwords-common']

describe('a common password', () => {
  test('is every one of the list that has 8 or more characters, and no shorter one', () => {
    const long = common.filter((password) => password.length >= 8)
    expect(new Set(long.map((password) => password.toLowerCase())).size).toBe(17_950)
    expect(long.filter((password) => !isCommonPassword(password))).toEqual([])
    expect(common.filter((password) => password.length < 8 && isCommonPassword(password))).toEqual([])
  })

  test.each([
    'password',
    'PassWord',
    'PASSWORD1',
    'qwertyuiop',
    '12345678',
    'trustno1',
    'x'.repeat(8),
    'x'.repeat(16),
    'x'.repeat(17),
    'x'.repeat(256),
    'abc'.repeat(20),
    '12345678901234567890',
    '98765432109876543210',
    'abcdefghijklmnopqrstuvwxyz',
    'uvwxyzabc',
    '        ',
    '\u{1f511}'.repeat(8),
    '01010110',
    'abcabcab',
    'wxyzwxyz',
    'abcdefgh',
    '87654321',
    'STUVWXYZ',
    '\u212aAWASA\u212aI',
  ])('is %s', (password) =>
    expect(isCommonPassword(password.replace('\u212aAWASA\u212aI', '\u212aAWASA\u212aI'))).toBe(true),
  )

  test.each([
    '',
    '\n',
    'assword',
    'passwor',
    'password ',
    ' password',
    'password!!x',
    'p@ssw0rd!x',
    '\npassword',
    'password\n',
    'password\npassword00',
    'correct horse battery',
    'correct horse battery staple',
    'purple staple lemon',
    'a long enough passphrase',
    'contrase\u00f1a segura',
    'x'.repeat(257),
    `${'x'.repeat(254)}yz`,
    '1234567890123456789013',
    'uvwxyzacb',
    'aabbccdj',
    'abcdefgj',
    'abcdeabcdeab',
    'a'.concat('\u0301\u0316'.repeat(200_000)),
  ])('is not %j', (password) => expect(isCommonPassword(password)).toBe(false))

  test('is not what two neighbours of the list make with the line end between them', () => {
    const sorted = [...new Set(common.map((password) => password.toLowerCase()))]
      .filter((password) => password.length >= 8)
      .sort()
    expect(isCommonPassword(`${sorted[100]}\n${sorted[101]}`)).toBe(false)
  })
})

test('the form of comparison ignores case and Unicode form, and leaves hostile text alone', () => {
  expect(foldPassword('Cre\u0300me')).toBe('cr\u00e8me')
  const hostile = 'a'.concat('\u0301\u0316'.repeat(200_000))
  expect(foldPassword(hostile)).toBe(hostile)
})
