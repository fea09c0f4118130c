import { describe, expect, spyOn, test } from 'bun:test'
import { decide } from '../../src/access/authorize.ts'
import { ANONYMOUS, type Principal } from '../../src/access/principal.ts'
import { accountOwners, ownAccountOf } from '../../src/auth/own-account.ts'
import { findSession, sessionsTable } from '../../src/auth/sessions.ts'
import { findById } from '../../src/auth/users.ts'
import type { Values } from '../../src/storage/store.ts'
import { createAccounts, PASSWORD } from './accounts.ts'

const accounts = createAccounts()
const { account, store, passwords } = accounts
const NEW_PASSWORD = 'green stapler melon'

let made = 0
async function signedIn() {
  const user = await accounts.register(`own${++made}@example.com`)
  const { sessionId } = await accounts.accessTokens.verify(await accounts.login(user.email))
  const principal: Principal = {
    ...ANONYMOUS,
    kind: 'user',
    id: user.id,
    role: 'user',
    email: user.email,
    session_id: sessionId,
  }
  return { user, sessionId, principal }
}
const requestOf = (principal: Principal) => ({ principal, requestId: 'x', address: () => '127.0.0.1' })
const change = (principal: Principal, password = NEW_PASSWORD) =>
  account.changePassword({ current_password: PASSWORD, new_password: password }, requestOf(principal))
const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: { code?: unknown }) => error.code ?? error,
  )

/** Does something while the next password is being checked or hashed. */
function meanwhile(step: 'verify' | 'hash', work: () => Promise<unknown>) {
  const real = passwords[step] as (...given: never[]) => Promise<never>
  const spy = spyOn(passwords, step).mockImplementationOnce((async (...given: never[]) => {
    const result = await real(...given)
    await work()
    return result
  }) as never)
  return spy
}

describe('what only the owner of an account may do', () => {
  const id = '01991f6e-8c00-7000-8000-000000000001'
  const of = (more: Partial<Principal>): Principal => ({
    ...ANONYMOUS,
    kind: 'user',
    id,
    role: 'user',
    ...more,
  })

  test.each<[string, Partial<Principal>, boolean]>([
    ['a user', {}, true],
    ['an administrator', { role: 'admin' }, true],
    ['nobody', { kind: 'anonymous', id: null, role: null }, false],
    ['a key', { kind: 'key', scopes: ['items:read'] }, false],
    ["an administrator's key for everything", { kind: 'key', role: 'admin', scopes: ['*'] }, false],
    ['an outside token', { kind: 'issuer', scopes: ['*'] }, false],
    ['an outside token of nobody here', { kind: 'issuer', id: null, scopes: [] }, false],
  ])('is done by %s: %j', (_, more, isAllowed) => {
    expect(decide({ rule: accountOwners, principal: of(more), action: 'call' })).toBe(
      isAllowed ? 'allow' : 'deny',
    )
    if (isAllowed) expect(ownAccountOf(of(more))).toBe(id)
    else expect(() => ownAccountOf(of(more))).toThrow(expect.objectContaining({ code: 'forbidden' }) as never)
  })

  test('are the routes that change an account, which refuse others also without a rule', async () => {
    const own = accounts.routes.filter(({ access }) => access === accountOwners)
    expect(own.map(({ method, path }) => `${method} ${path}`)).toEqual([
      'PATCH /auth/me',
      'DELETE /auth/me',
      'POST /auth/password',
    ])
    const { principal } = await signedIn()
    const key = { ...principal, kind: 'key', session_id: null, scopes: ['*'] } as const
    expect(await codeOf(change(key))).toBe('forbidden')
    expect(await codeOf(account.change({ name: 'x' }, requestOf(key)))).toBe('forbidden')
    expect(await codeOf(account.delete(requestOf(key)))).toBe('forbidden')
    expect(await account.read(key)).toMatchObject({ id: principal.id as string })
  })
})

describe('a password change', () => {
  test('of two at once with the same password is done once', async () => {
    const { principal, sessionId, user } = await signedIn()
    const both = [change(principal), change({ ...principal, session_id: null }, 'orange stapler melon')]
    const codes = await Promise.all(both.map(codeOf))
    expect(codes.toSorted()).toEqual(['done', 'invalid_credentials'])
    const password = codes[0] === 'done' ? NEW_PASSWORD : 'orange stapler melon'
    expect(await accounts.login(user.email, password)).toBeDefined()
    const kept = (await findSession(store, sessionId))?.generation
    expect(kept === (await findById(store, user.id))?.session_generation).toBe(codes[0] === 'done')
  })

  test.each<[string, 'verify' | 'hash', Values, string]>([
    ['gets another password', 'verify', { password_hash: 'x', session_generation: 5 }, 'invalid_credentials'],
    [
      'gets another password later',
      'hash',
      { password_hash: 'x', session_generation: 5 },
      'invalid_credentials',
    ],
    ['is disabled', 'verify', { disabled: true, session_generation: 1 }, 'invalid_credentials'],
    ['is disabled later', 'hash', { disabled: true, session_generation: 1 }, 'invalid_credentials'],
  ])('does nothing where the account meanwhile %s', async (_, step, values, code) => {
    const { principal, user, sessionId } = await signedIn()
    meanwhile(step, () => accounts.change(user.id, values))
    expect(await codeOf(change(principal))).toBe(code)
    expect(await findById(store, user.id)).toMatchObject(values)
    expect(await findSession(store, sessionId)).toMatchObject({ generation: 0 })
  })

  test.each(['verify', 'hash'] as const)(
    'revives no session that is ended while it is at %s',
    async (step) => {
      const { principal, user, sessionId } = await signedIn()
      meanwhile(step, () => store.commit([{ kind: 'delete', table: sessionsTable.name, id: sessionId }]))
      expect(['token_revoked', 'conflict']).toContain((await codeOf(change(principal))) as string)
      expect(await findSession(store, sessionId)).toBeUndefined()
      expect(await accounts.login(user.email)).toBeDefined()
    },
    20_000,
  )

  test('by a session of an earlier generation is refused, which stays ended', async () => {
    const { principal, user, sessionId } = await signedIn()
    await accounts.change(user.id, { session_generation: 1 })
    expect(await codeOf(change(principal))).toBe('token_revoked')
    expect(await findSession(store, sessionId)).toMatchObject({ generation: 0 })
  })

  test('keeps no session that is given another generation while it is at hash', async () => {
    const { principal, sessionId } = await signedIn()
    const ended = {
      kind: 'update',
      table: sessionsTable.name,
      id: sessionId,
      values: { generation: 9 },
    } as const
    meanwhile('hash', () => store.commit([ended]))
    expect(await codeOf(change(principal))).toBe('conflict')
    expect(await findSession(store, sessionId)).toMatchObject({ generation: 9 })
  }, 20_000)

  test('does not mind a role that no rule names any more', async () => {
    const { principal, user } = await signedIn()
    await accounts.change(user.id, { role: 'retired' })
    expect(await codeOf(change(principal))).toBe('done')
    expect(await findById(store, user.id)).toMatchObject({ role: 'retired' })
    expect(await codeOf(accounts.operations.setRole(user.email, 'retired'))).toBe('done')
    expect(await codeOf(accounts.operations.setRole(user.email, 'editor'))).toBe('validation_failed')
  })

  test('ends a login that checked the old password before and starts its session after it', async () => {
    const { principal, user } = await signedIn()
    meanwhile('verify', () => change(principal))
    const response = await accounts.post('/auth/login', { email: user.email, password: PASSWORD })
    expect(response.status).toBe(401)
  })

  test('goes on where the login of another device comes in between', async () => {
    const { principal, user } = await signedIn()
    meanwhile('hash', () => accounts.login(user.email))
    expect(await codeOf(change(principal))).toBe('done')
    expect(await accounts.login(user.email, NEW_PASSWORD)).toBeDefined()
  })

  test('refuses what the account is called', async () => {
    const { id } = await accounts.register('lovelace@example.com')
    const principal: Principal = { ...ANONYMOUS, kind: 'user', id }
    for (const password of ['LOVELACE@example.com', 'Lovelace']) {
      const error: unknown = await change(principal, password).catch((thrown: unknown) => thrown)
      expect((error as { details: unknown }).details).toEqual([
        { field: '/new_password', message: 'Is the name or e-mail of the account' },
      ])
    }
  })
})

test('of two accounts that register at once with one e-mail, one is made', async () => {
  const body = { name: 'x', email: 'race@example.com', password: PASSWORD }
  const both = [body, { ...body, email: 'RACE@example.com' }].map((one) =>
    codeOf(account.register(one, requestOf(ANONYMOUS))),
  )
  expect((await Promise.all(both)).toSorted()).toEqual(['conflict', 'done'])
})
