import { describe, expect, test } from 'bun:test'
import { authorize, decide, isAdministrator, refusal } from '../../src/access/authorize.ts'
import { ANONYMOUS, type Principal } from '../../src/access/principal.ts'
import {
  ANY_SCOPE,
  EVERY_SCOPE,
  covers,
  readScope,
  withinScope,
  writeScope,
} from '../../src/access/scopes.ts'
import { AppError } from '../../src/core/errors.ts'
import { anyOf, everyone, owner, role, signedIn, type Rule } from '../../src/sdk.ts'

const READ = readScope('items')
const WRITE = writeScope('items')
const user: Principal = { ...ANONYMOUS, kind: 'user', id: 'u1', role: 'user' }
const keyOf = (scopes: readonly string[], role = 'user'): Principal => ({
  ...user,
  kind: 'key',
  role,
  scopes,
})
const mine = { owner_id: 'u1' }

describe('covers', () => {
  test.each<[scopes: readonly string[] | null, needed: string | undefined, expected: boolean]>([
    [null, READ, true],
    [null, undefined, true],
    [null, EVERY_SCOPE, true],
    [[READ], READ, true],
    [[READ], WRITE, false],
    [[WRITE], READ, false],
    [[readScope('item')], READ, false],
    [['items:readable', 'items'], READ, false],
    [[], READ, false],
    [[EVERY_SCOPE], READ, true],
    [[EVERY_SCOPE], EVERY_SCOPE, true],
    [[READ, WRITE], EVERY_SCOPE, false],
    // A route without a scope is closed to every bounded principal.
    [[EVERY_SCOPE], undefined, false],
    [['undefined'], undefined, false],
    [[], ANY_SCOPE, true],
  ])('%j, %j: %j', (scopes, needed, expected) => {
    expect(covers({ ...user, scopes }, needed)).toBe(expected)
  })
})

describe('a key', () => {
  const functionRule: Rule = (principal) => (principal.kind === 'anonymous' ? false : mine)
  const adminWithoutScopes = ({ role: name, scopes }: Principal) => name === 'admin' && scopes === null

  test.each<[name: string, rule: Rule | undefined, covered: unknown, outside: unknown]>([
    ['no rule', undefined, 'deny', 'deny'],
    ['everyone', everyone(), 'allow', 'allow'],
    ['signedIn', signedIn(), 'allow', 'deny'],
    ['role', role('user'), 'allow', 'deny'],
    ['owner', owner(), mine, 'deny'],
    ['a function of the principal', functionRule, mine, 'deny'],
    ['anyOf', anyOf(owner(), () => ({ price: 1 })), { or: [mine, { price: 1 }] }, { price: 1 }],
  ])('under %s', (_, rule, covered, outside) => {
    const ask = (scopes: readonly string[]) =>
      decide({ rule, principal: keyOf(scopes), action: 'read', scope: READ })
    expect([ask([READ]), ask([EVERY_SCOPE]), ask([WRITE])]).toEqual([covered, covered, outside] as never)
  })

  test('of an administrator passes every rule where its scopes reach, and there alone', () => {
    const ask = (scope: string | undefined) => ({ principal: keyOf([READ], 'admin'), scope })
    expect(decide({ rule: undefined, action: 'read', ...ask(READ) })).toBe('allow')
    for (const scope of [WRITE, undefined, EVERY_SCOPE]) {
      expect(decide({ rule: undefined, action: 'read', ...ask(scope) })).toBe('deny')
      expect(isAdministrator(ask(scope))).toBe(false)
    }
    expect(isAdministrator(ask(READ))).toBe(true)
    expect(isAdministrator({ principal: keyOf([READ]), scope: READ })).toBe(false)
  })

  test('is what a function gets, with its scopes, and nobody outside them', () => {
    const seen: Principal[] = []
    const rule: Rule = (principal) => seen.push(principal) > 0
    const principal = keyOf([READ])
    decide({ rule, principal, action: 'read', scope: READ })
    decide({ rule, principal, action: 'read', scope: WRITE })
    expect(seen).toEqual([principal, ANONYMOUS])
    expect(decide({ rule: adminWithoutScopes, principal, action: 'read', scope: READ })).toBe('deny')
  })
})

describe('a refusal', () => {
  const failureOf = (act: () => unknown): unknown[] => {
    try {
      act()
    } catch (error) {
      const { code, headers } = error as AppError
      return [code, headers['WWW-Authenticate']]
    }
    throw new Error('Nothing was refused')
  }
  const challenge = `Bearer error="insufficient_scope", scope="${WRITE}"`

  test.each<[who: string, principal: Principal, scope: string | undefined, expected: unknown[]]>([
    ['an anonymous caller', ANONYMOUS, WRITE, ['unauthenticated', undefined]],
    ['a user', user, WRITE, ['forbidden', undefined]],
    ['a key in scope', keyOf([WRITE]), WRITE, ['forbidden', undefined]],
    ['a key out of scope', keyOf([READ]), WRITE, ['forbidden', challenge]],
    [
      'a key out of scope, already nobody',
      withinScope(keyOf([READ]), WRITE),
      WRITE,
      ['forbidden', challenge],
    ],
    ['a key where no scope helps', keyOf([EVERY_SCOPE]), undefined, ['forbidden', undefined]],
  ])('of %s', (_, principal, scope, expected) => {
    expect(failureOf(() => authorize({ rule: () => false, principal, action: 'call', scope }))).toEqual(
      expected,
    )
    const { code, headers } = refusal({ principal, scope })
    expect<unknown[]>([code, headers['WWW-Authenticate']]).toEqual(expected)
  })
})
