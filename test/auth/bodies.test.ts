import { describe, expect, test } from 'bun:test'
import { loginBody, NewPassword, passwordFaults, withPasswords } from '../../src/auth/bodies.ts'
import { AppError, type ErrorDetail } from '../../src/core/errors.ts'
import { MAX_DETAILS, jsonBody } from '../../src/http/validate.ts'
import { t } from '../../src/sdk.ts'

const COMMON = { field: '/password', message: 'Is one of the most common passwords' }
const OWN = { field: '/password', message: 'Is the name or e-mail of the account' }

const account = { name: 'Ada Lovelace', email: 'Lovelace@example.com', password: 'purple staple lemon' }

const Account = t.Object({
  name: t.String({ minLength: 1 }),
  email: t.String({ format: 'email' }),
  password: NewPassword,
})
const accountBody = withPasswords(jsonBody(Account), { chosen: 'password' })

function faultsOf(check: () => unknown): readonly ErrorDetail[] {
  try {
    check()
  } catch (error) {
    if (error instanceof AppError && error.code === 'validation_failed') return error.details
    throw error
  }
  return []
}

describe('a body with a new password', () => {
  test.each<[string, object, object[]]>([
    ['an uncommon password', {}, []],
    ['a common one', { password: 'trustno1' }, [COMMON]],
    ['a common one in another case', { password: 'SunShine' }, [COMMON]],
    ['a common one with more behind', { password: 'trustno1 trustno1' }, []],
    ['the name', { password: account.name }, [OWN]],
    [
      'the name in another case and form',
      { name: 'Zo\u00eb Ren\u00e9e', password: 'ZOE\u0308 RENE\u0301E' },
      [OWN],
    ],
    ['the e-mail', { password: account.email.toLowerCase() }, [OWN]],
    ['the part of the e-mail before the @', { password: 'LOVELACE' }, [OWN]],
    ['the domain', { password: 'example.com' }, []],
    ['a word of the name', { name: 'Ada Purplestaple', password: 'purplestaple' }, []],
    ['the name and more', { password: `${account.name} 7` }, []],
    ['a common one that is the name too', { name: 'trustno1', password: 'trustno1' }, [OWN]],
  ])('answers the faults of %s', (_, values, faults) =>
    expect(faultsOf(() => accountBody.parse({ ...account, ...values }))).toEqual(faults as never),
  )

  test('names a common password with the faults of the other fields', () => {
    const fields = faultsOf(() => accountBody.parse({ name: '', email: 'x', password: 'trustno1' })).map(
      ({ field }) => field,
    )
    expect(fields.toSorted()).toEqual(['/email', '/name', '/password'])
  })

  test('lists no more faults than an answer has', () => {
    const body = Object.fromEntries(Array.from({ length: 200 }, (__, index) => [`x${index}`, 1]))
    expect(faultsOf(() => accountBody.parse({ ...body, password: 'trustno1' }))).toHaveLength(MAX_DETAILS)
  })

  test.each([[{ ...account, password: 12345678 }], [{ password: null }], [[account]], ['trustno1'], [null]])(
    'says of %j no more than its schema does',
    (body) => expect(JSON.stringify(faultsOf(() => accountBody.parse(body)))).not.toContain('common'),
  )

  test('gives the password normalized, and a key of any name as its own', () => {
    expect(accountBody.parse({ ...account, password: 'cre\u0300me bru\u0302le\u0301e' }).password).toBe(
      'cr\u00e8me br\u00fbl\u00e9e',
    )
    const hostile: unknown = JSON.parse('{"__proto__": {"name": "x"}, "password": "purple staple lemon"}')
    expect(faultsOf(() => accountBody.parse(hostile)).map(({ field }) => field)).toContain('/__proto__')
  })
})

test('a sign-in may be by a common password, which accounts from elsewhere have', () => {
  const body = { email: 'trustno1', password: 'trustno1' }
  expect(loginBody.parse(body)).toEqual(body)
})

test('a body with two passwords has both normalized and only the new one judged', () => {
  const Change = t.Object({ current_password: t.String(), new_password: t.String() })
  const body = withPasswords(jsonBody(Change), { typed: 'current_password', chosen: 'new_password' })
  const decomposed = 'cre\u0300me bru\u0302le\u0301e'
  expect(body.parse({ current_password: decomposed, new_password: decomposed })).toEqual({
    current_password: decomposed.normalize('NFC'),
    new_password: decomposed.normalize('NFC'),
  })
  const faults = faultsOf(() => body.parse({ current_password: 'trustno1', new_password: 'iloveyou' }))
  expect(faults).toEqual([{ ...COMMON, field: '/new_password' }])
})

test('a new password is checked against the account that is known already', () => {
  const check = (password: string) => passwordFaults(password, account, '/new_password')
  expect(check('ada lovelace')).toEqual([{ ...OWN, field: '/new_password' }])
  expect(check('TRUSTNO1')).toEqual([{ ...COMMON, field: '/new_password' }])
  expect(check(account.password)).toEqual([])
  expect(passwordFaults('trustno1', {}, '/password')).toEqual([COMMON])
})
