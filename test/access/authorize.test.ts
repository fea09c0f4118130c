import { describe, expect, test } from 'bun:test'
import { authorize, decide, type Decision } from '../../src/access/authorize.ts'
import { ANONYMOUS, type Principal } from '../../src/access/principal.ts'
import { AppError } from '../../src/core/errors.ts'
import { allOf, anyOf, everyone, owner, role, signedIn, type Action, type Rule } from '../../src/sdk.ts'

const user: Principal = { ...ANONYMOUS, kind: 'user', id: 'u1', role: 'user' }
const editor: Principal = { ...user, role: 'editor' }
const admin: Principal = { ...user, role: 'admin' }
const boundAdmin: Principal = { ...admin, kind: 'key', scopes: ['items:read'] }
const mine = { owner_id: 'u1' }
const cheap = { price: { lt: 5 } }

const cases: [string, Rule | undefined, [Decision, Decision, Decision, Decision]][] = [
  // anonymous, user, editor, administrator
  ['no rule', undefined, ['deny', 'deny', 'deny', 'allow']],
  ['everyone', everyone(), ['allow', 'allow', 'allow', 'allow']],
  ['signedIn', signedIn(), ['deny', 'allow', 'allow', 'allow']],
  ['role', role('editor'), ['deny', 'deny', 'allow', 'allow']],
  ['owner', owner(), ['deny', mine, mine, 'allow']],
  ['true', () => true, ['allow', 'allow', 'allow', 'allow']],
  ['false', () => false, ['deny', 'deny', 'deny', 'allow']],
  ['a filter', () => cheap, [cheap, cheap, cheap, 'allow']],
  ['anyOf with one that allows', anyOf(owner(), role('editor')), ['deny', mine, 'allow', 'allow']],
  [
    'anyOf of filters',
    anyOf(owner(), () => cheap),
    [cheap, { or: [mine, cheap] }, { or: [mine, cheap] }, 'allow'],
  ],
  ['allOf with one that denies', allOf(owner(), role('editor')), ['deny', 'deny', mine, 'allow']],
  [
    'allOf of filters',
    allOf(owner(), () => cheap),
    ['deny', { and: [mine, cheap] }, { and: [mine, cheap] }, 'allow'],
  ],
  ['anyOf of nothing', anyOf(), ['deny', 'deny', 'deny', 'allow']],
  [
    'nested',
    anyOf(
      allOf(signedIn(), () => cheap),
      role('editor'),
    ),
    ['deny', cheap, 'allow', 'allow'],
  ],
]

describe('decide', () => {
  for (const [name, rule, expected] of cases) {
    test(name, () => {
      const decisions = [ANONYMOUS, user, editor, admin].map((principal) =>
        decide({ rule, principal, action: 'read' }),
      )
      expect(decisions).toEqual(expected)
    })
  }

  test('owner() on create means signed in', () => {
    expect(decide({ rule: owner(), principal: user, action: 'create' })).toBe('allow')
    expect(decide({ rule: owner(), principal: ANONYMOUS, action: 'create' })).toBe('deny')
  })

  test('an administrator whose credential is bound by scopes does not pass every rule', () => {
    expect(decide({ rule: undefined, principal: boundAdmin, action: 'read' })).toBe('deny')
  })

  for (const bad of [undefined, null, 1, 'yes', [], Promise.resolve(true)]) {
    test(`a rule that returns ${String(bad)} is a TypeError`, () => {
      expect(() => decide({ rule: () => bad as never, principal: user, action: 'read' })).toThrow(TypeError)
    })
  }
})

describe('authorize', () => {
  const codes: [Principal, string][] = [
    [ANONYMOUS, 'unauthenticated'],
    [user, 'forbidden'],
  ]
  for (const [principal, code] of codes) {
    test(`${principal.kind} is ${code}`, () => {
      const ask = (action: Action) => () => authorize({ rule: undefined, principal, action })
      expect(ask('read')).toThrow(expect.objectContaining({ code }) as AppError)
    })
  }
  test('gives the filter, or undefined where every record is let through', () => {
    expect(authorize({ rule: owner(), principal: user, action: 'read' })).toEqual(mine)
    expect(authorize({ rule: everyone(), principal: user, action: 'read' })).toBeUndefined()
  })
})
