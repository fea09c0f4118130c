import { afterEach, describe, expect, spyOn, test } from 'bun:test'
import type { Credentials } from '../../src/access/principal.ts'
import { newUuid } from '../../src/core/ids.ts'
import { usersTable } from '../../src/auth/users.ts'
import { basic, createAccounts, failureOf, PASSWORD } from './accounts.ts'

const accounts = createAccounts()
const user = await accounts.register('ada@example.com')
const token = await accounts.login(user.email)
const other = await accounts.register('eve@example.com')

const BEARER = 'Bearer realm="hipflask"'
const INVALID = `${BEARER}, error="invalid_token"`
const REVOKED = `${INVALID}, error_description="The access token was revoked"`
const BASIC = 'Basic realm="hipflask", charset="UTF-8"'

describe('a principal', () => {
  const { accessTokens, authenticate } = accounts
  const known = { kind: 'user', id: user.id, role: 'user', email: user.email, scopes: null }
  const by = (credentials: Partial<Credentials>) =>
    authenticate({ authorization: null, apiKey: null, address: () => '127.0.0.1', ...credentials })

  test('of a token is its user, with the session', async () => {
    const { sessionId } = await accessTokens.verify(token)
    const issued = await accessTokens.issue({ userId: user.id, sessionId, role: 'admin' })
    // The role is that of the account, not that of the token.
    expect(await by({ authorization: `Bearer ${issued}` })).toEqual({
      ...known,
      session_id: sessionId,
    } as never)
  })

  test('of e-mail and password is their user, without a session', async () => {
    expect(await by({ authorization: basic(user.email, PASSWORD) })).toEqual({
      ...known,
      session_id: null,
    } as never)
  })

  test('of no credential is anonymous', async () => {
    expect(await by({})).toMatchObject({ kind: 'anonymous', id: null, role: null })
  })

  test('can not be changed by whoever gets it, since it is kept', async () => {
    const principal = await by({ authorization: `Bearer ${token}` })
    expect(() => Object.assign(principal, { role: 'admin' })).toThrow(TypeError)
    expect(await by({ authorization: `Bearer ${token}` })).toMatchObject({ role: 'user' })
  })

  test.each<[string, (session: string) => { userId: string; sessionId: string }]>([
    ['whose subject is nobody', (sessionId) => ({ userId: newUuid(), sessionId })],
    ['of no session', () => ({ userId: user.id, sessionId: newUuid() })],
    ["of another user's session", (sessionId) => ({ userId: other.id, sessionId })],
  ])('of a token %s is nobody', async (_, subjectOf) => {
    const { sessionId } = await accessTokens.verify(token)
    const issued = await accessTokens.issue({ ...subjectOf(sessionId), role: 'admin' })
    await expect(by({ authorization: `Bearer ${issued}` })).rejects.toMatchObject({ code: 'token_revoked' })
  })
})

describe('one credential', () => {
  test.each([
    ['Bearer', () => `Bearer ${token}`],
    ['bearer', () => `bearer ${token}`],
    ['BEARER and two spaces', () => `BEARER  ${token}`],
    ['Basic', () => basic(user.email, PASSWORD)],
    ['bAsIc', () => basic(user.email, PASSWORD).replace('Basic', 'bAsIc')],
  ])('by %s signs in', async (_, authorization) => {
    expect((await accounts.me(authorization())).status).toBe(200)
  })

  test.each([
    ['Bearer without a token', 'Bearer', 'invalid_token', INVALID],
    ['Bearer with a wrong one', 'Bearer x', 'invalid_token', INVALID],
    ['Bearer with more than one word', 'Bearer a b', 'invalid_token', INVALID],
    ['an API key', 'Bearer hf_0123456789_abc', 'invalid_token', INVALID],
    ['Basic without anything', 'Basic', 'invalid_credentials', BASIC],
    ['another scheme', 'Negotiate abc', 'unauthenticated', `${BEARER}, ${BASIC}`],
    [
      'another scheme with commas',
      'Digest username="a", realm="b", uri="/"',
      'unauthenticated',
      `${BEARER}, ${BASIC}`,
    ],
    ['no scheme', 'x', 'unauthenticated', `${BEARER}, ${BASIC}`],
    ['an empty header', '', 'unauthenticated', `${BEARER}, ${BASIC}`],
    ['a tab for the space', 'Bearer\tx', 'unauthenticated', `${BEARER}, ${BASIC}`],
  ])('of %s answers 401', async (_, authorization, code, challenge) => {
    expect(await failureOf(await accounts.me(authorization))).toEqual({ status: 401, code, challenge })
  })

  test.each(['', 'x', 'hf_0123456789_abc'])('of X-API-Key %j answers 401, there are none', async (key) => {
    const response = await accounts.send('/auth/me', { headers: { 'x-api-key': key } })
    expect(await failureOf(response)).toEqual({ status: 401, code: 'invalid_token', challenge: INVALID })
  })

  test.each(['access_token', 'token', 'authorization', 'api_key'])(
    'in the query as %s is not taken',
    async (name) => {
      const response = await accounts.send(`/auth/me?${name}=${token}`)
      expect(response.status).toBe(401)
      expect(await response.text()).not.toContain(token)
    },
  )

  test('in a cookie is not taken', async () => {
    expect((await accounts.send('/auth/me', { headers: { cookie: `access_token=${token}` } })).status).toBe(
      401,
    )
  })
})

describe('two credentials at once answer 400', () => {
  const good = `Bearer ${token}`
  const password = basic(user.email, PASSWORD)
  test.each<[string, string, string | null]>([
    ['token and key', good, 'hf_0123456789_abc'],
    ['token and empty key', good, ''],
    ['password and key', password, 'x'],
    ['another scheme and key', 'Digest x', 'x'],
    ['the token twice', `${good}, ${good}`, null],
    ['token and password', `${good}, ${password}`, null],
    ['password and token', `${password}, ${good}`, null],
    ['without a space', `${good},${password}`, null],
    ['in another case', `${good}, bASIC x`, null],
    ['token and a bare word', `${good}, x`, null],
    ['token and nothing', `${good},`, null],
    ['nothing and token', `, ${good}`, null],
    ['two empty ones', 'Bearer, Bearer', null],
    ['another scheme and token', `Digest x, ${good}`, null],
  ])('%s', async (_, authorization, key) => {
    const response = await accounts.me(authorization, key === null ? {} : { 'x-api-key': key })
    expect(await failureOf(response)).toEqual({ status: 400, code: 'ambiguous_credentials', challenge: null })
  })

  test('two keys', async () => {
    const response = await accounts.send('/auth/me', { headers: { 'x-api-key': 'a, b' } })
    expect(await failureOf(response)).toMatchObject({ status: 400, code: 'ambiguous_credentials' })
  })

  test('two lines of one header', async () => {
    const headers = new Headers([
      ['authorization', good],
      ['authorization', password],
    ])
    expect((await accounts.send('/auth/me', { headers })).status).toBe(400)
  })
})

describe('what happens to an account acts on its next request', () => {
  let made = 0
  const signIn = async () => {
    const { id, email } = await accounts.register(`next${++made}@example.com`)
    const bearer = `Bearer ${await accounts.login(email)}`
    const secret = basic(email, PASSWORD)
    for (const authorization of [bearer, secret]) expect((await accounts.me(authorization)).status).toBe(200)
    const failures = async () =>
      [await failureOf(await accounts.me(bearer)), await failureOf(await accounts.me(secret))] as unknown[]
    return { id, email, bearer, secret, failures }
  }
  const refused = [
    { status: 401, code: 'token_revoked', challenge: REVOKED },
    { status: 401, code: 'invalid_credentials', challenge: BASIC },
  ]

  test('disabled: 401, and enabled again it is back', async () => {
    const { id, bearer, failures } = await signIn()
    await accounts.change(id, { disabled: true })
    expect(await failures()).toEqual(refused)
    await accounts.change(id, { disabled: false })
    expect((await accounts.me(bearer)).status).toBe(200)
  })

  test('deleted: 401', async () => {
    const { id, failures } = await signIn()
    await accounts.store.commit([{ kind: 'delete', table: usersTable.name, id }])
    expect(await failures()).toEqual(refused)
  })

  test('another role: that role', async () => {
    const { id, bearer, secret } = await signIn()
    await accounts.change(id, { role: 'admin' })
    for (const authorization of [bearer, secret]) {
      expect(await (await accounts.me(authorization)).json()).toMatchObject({ role: 'admin' })
    }
  })

  test('another password: the old one is refused at once, the new one taken', async () => {
    const { id, email, secret } = await signIn()
    await accounts.change(id, { password_hash: await accounts.passwords.hash('another password') })
    expect((await accounts.me(secret)).status).toBe(401)
    expect((await accounts.me(basic(email, 'another password'))).status).toBe(200)
  })
})

describe('a token of a bad kind', () => {
  afterEach(() => void accounts.log.splice(0))

  test('is refused without a look at the database or the net', async () => {
    const get = spyOn(accounts.store, 'get')
    const list = spyOn(accounts.store, 'list')
    const fetched = spyOn(globalThis, 'fetch')
    for (const text of ['x', 'a.b.c', `${token}=`, `${token.slice(0, -4)}AAAA`])
      await accounts.me(`Bearer ${text}`)
    const calls = [get, list, fetched].map((spy) => spy.mock.calls.length)
    for (const spy of [get, list, fetched]) spy.mockRestore()
    expect(calls).toEqual([0, 0, 0])
  })
})
