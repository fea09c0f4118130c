// The routes for OAuth clients: /auth/token, /auth/revoke, /auth/introspect, with keys made up for it.
import { beforeAll, describe, expect, test } from 'bun:test'
import { createApiKeys, type ApiKeys, type KnownKey } from '../../src/auth/api-keys.ts'
import { invalidToken } from '../../src/auth/challenges.ts'
import { keyPrincipal } from '../../src/auth/principals.ts'
import type { TokenPair } from '../../src/auth/token-pairs.ts'
import { PASSWORD, basic, createAccounts, failureOf, type LocalUser } from './accounts.ts'

const FORM = 'application/x-www-form-urlencoded'
const KEY = 'hf_key'
const KEY_ID = '01991f6e-8c00-7000-8000-00000000000a'
const OTHER_ID = '01991f6e-8c00-7000-8000-00000000000b'
const OTHER_KEY = 'hf_other'
const keys = new Map<string, KnownKey>()
const byId = (id: string) => [...keys.values()].find(({ keyId }) => keyId === id)
const madeUp: Pick<ApiKeys, 'find' | 'findById' | 'revoke'> = {
  find: async (text) => {
    const key = keys.get(text)
    if (key === undefined) throw invalidToken()
    return key
  },
  findById: async (id) => byId(id),
  revoke: async (id) => {
    const [text] = [...keys].find(([, { keyId }]) => keyId === id) ?? []
    return text !== undefined && keys.delete(text)
  },
}
const accounts = createAccounts({ createKeys: (options) => ({ ...createApiKeys(options), ...madeUp }) })

let ada: LocalUser
let admin: LocalUser
beforeAll(async () => {
  ada = await accounts.register('ada@example.com')
  admin = await accounts.register('root@example.com')
  await accounts.change(admin.id, { role: 'admin' })
  restoreKeys()
})

function restoreKeys(): void {
  const known = (keyId: string, scopes: string[], seconds: number): KnownKey => {
    const expiresMs = accounts.clock() + seconds * 1000
    // Known for a minute only, as one whose uses are noted.
    return { principal: keyPrincipal(ada, scopes), untilMs: accounts.clock() + 60_000, keyId, expiresMs }
  }
  keys.set(KEY, known(KEY_ID, ['items:read', 'items:write'], Infinity))
  keys.set(OTHER_KEY, known(OTHER_ID, ['*'], 100))
}

type Parameters = Record<string, string> | string

function send(path: string, form: Parameters, headers: Record<string, string> = {}): Promise<Response> {
  const body = typeof form === 'string' ? form : new URLSearchParams(form).toString()
  return accounts.send(path, { method: 'POST', headers: { 'content-type': FORM, ...headers }, body })
}
const token = (form: Parameters, headers?: Record<string, string>) => send('/auth/token', form, headers)
const authorization = (id: string, secret: string) => ({ authorization: basic(id, secret) })
const asAda = { grant_type: 'password', username: 'ada@example.com', password: PASSWORD }

async function tokens(
  form: Parameters,
  headers?: Record<string, string>,
): Promise<TokenPair & { scope?: string }> {
  const response = await token(form, headers)
  const body: unknown = await response.json()
  expect({ status: response.status, body }).toMatchObject({ status: 200 })
  return body as TokenPair
}
const isAlive = async ({ access_token }: { access_token: string }) =>
  (await accounts.me(`Bearer ${access_token}`)).status === 200

describe('POST /auth/token', () => {
  test('gives the tokens of a session for a password', async () => {
    const response = await token(asAda)
    expect(response.status).toBe(200)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(response.headers.get('pragma')).toBe('no-cache')
    const pair = (await response.json()) as TokenPair
    expect(Object.keys(pair).toSorted()).toEqual(
      ['access_token', 'expires_in', 'refresh_expires_in', 'refresh_token', 'token_type'].toSorted(),
    )
    expect(await isAlive(pair)).toBe(true)
  })

  test('changes a refresh token for the next, which /auth/refresh takes too', async () => {
    const first = await tokens(asAda)
    const second = await tokens({ grant_type: 'refresh_token', refresh_token: first.refresh_token })
    const third = await accounts.post('/auth/refresh', { refresh_token: second.refresh_token })
    expect(third.status).toBe(200)
    const response = await token({ grant_type: 'refresh_token', refresh_token: first.refresh_token })
    expect([response.status, await response.json()]).toEqual([
      400,
      expect.objectContaining({ error: 'invalid_grant' }),
    ])
    expect(await isAlive(second)).toBe(false)
  })

  test.each<[string, Parameters, Record<string, string>?]>([
    ['an empty client', asAda, { authorization: 'Basic Og==' }],
    ['an empty client in the body', { ...asAda, client_id: '', client_secret: '' }],
    ['a scope', { ...asAda, scope: 'anything' }],
    ['a parameter that nobody knows', { ...asAda, audience: 'x' }],
    ['a scope, of which there is none', { ...asAda, scope: 'items:read' }],
  ])('takes a password with %s', async (_, form, headers = {}) => {
    expect(await isAlive(await tokens(form, headers))).toBe(true)
  })

  test.each<[string, Parameters, number, string, Record<string, string>?]>([
    ['no grant type', {}, 400, 'invalid_request'],
    ['an empty grant type', { grant_type: '' }, 400, 'invalid_request'],
    ['an unknown grant type', { grant_type: 'constructor' }, 400, 'unsupported_grant_type'],
    ['no code', { grant_type: 'authorization_code', redirect_uri: 'x' }, 400, 'invalid_request'],
    ['a code for no address', { grant_type: 'authorization_code', code: 'x' }, 400, 'invalid_request'],
    [
      'a made-up code',
      { grant_type: 'authorization_code', code: 'x', redirect_uri: 'x' },
      400,
      'invalid_grant',
    ],
    ['no username', { grant_type: 'password', password: PASSWORD }, 400, 'invalid_request'],
    ['no password', { grant_type: 'password', username: 'ada@example.com' }, 400, 'invalid_request'],
    ['a wrong password', { ...asAda, password: 'canary password' }, 400, 'invalid_grant'],
    ['an unknown account', { ...asAda, username: 'nobody@example.com' }, 400, 'invalid_grant'],
    ['a password of 257 characters', { ...asAda, password: 'x'.repeat(257) }, 400, 'invalid_request'],
    ['a username with NUL', `${new URLSearchParams(asAda).toString()}%00`, 400, 'invalid_request'],
    ['a parameter twice', `${new URLSearchParams(asAda).toString()}&scope=a&scope=a`, 400, 'invalid_request'],
    ['no refresh token', { grant_type: 'refresh_token' }, 400, 'invalid_request'],
    ['a wrong refresh token', { grant_type: 'refresh_token', refresh_token: 'canary' }, 400, 'invalid_grant'],
    ['no client for its credentials', { grant_type: 'client_credentials' }, 401, 'invalid_client'],
    ['an unknown client', asAda, 401, 'invalid_client', authorization('app', 'secret')],
    ['an unknown client without a secret', { ...asAda, client_id: 'app' }, 401, 'invalid_client'],
    [
      'an unknown client in the body',
      { ...asAda, client_id: 'app', client_secret: 'x' },
      401,
      'invalid_client',
    ],
    [
      'e-mail and password as a client',
      asAda,
      401,
      'invalid_client',
      authorization('ada@example.com', PASSWORD),
    ],
    ['a wrong access token', asAda, 401, 'invalid_token', { authorization: 'Bearer x' }],
    ['a wrong key in its header', asAda, 401, 'invalid_token', { 'x-api-key': 'wrong' }],
    [
      'a client and a key in its header',
      asAda,
      400,
      'invalid_request',
      { authorization: 'Basic Og==', 'x-api-key': 'wrong' },
    ],
    ['no base64', asAda, 401, 'invalid_client', { authorization: 'Basic %' }],
    ['two clients', asAda, 400, 'invalid_request', { authorization: 'Basic Og==, Basic Og==' }],
    [
      'a client in header and body',
      { grant_type: 'client_credentials', client_id: KEY_ID, client_secret: KEY },
      400,
      'invalid_request',
      authorization(KEY_ID, KEY),
    ],
    ['a password of a key', asAda, 400, 'unauthorized_client', authorization(KEY_ID, KEY)],
    [
      'a refresh token of a key',
      { grant_type: 'refresh_token', refresh_token: 'x', client_id: KEY_ID, client_secret: KEY },
      400,
      'unauthorized_client',
    ],
    [
      'the id of another key',
      { grant_type: 'client_credentials' },
      401,
      'invalid_client',
      authorization(OTHER_ID, KEY),
    ],
    [
      'a scope beyond those of the key',
      { grant_type: 'client_credentials', scope: 'items:read users:read' },
      400,
      'invalid_scope',
      authorization(KEY_ID, KEY),
    ],
    [
      'two spaces in a scope',
      { grant_type: 'client_credentials', scope: 'items:read  items:write' },
      400,
      'invalid_scope',
      authorization(KEY_ID, KEY),
    ],
    [
      'every scope',
      { grant_type: 'client_credentials', scope: '*' },
      400,
      'invalid_scope',
      authorization(KEY_ID, KEY),
    ],
  ])('refuses %s', async (_, form, status, error, headers = {}) => {
    const response = await token(form, headers)
    const text = await response.text()
    expect({ status: response.status, body: JSON.parse(text) }).toEqual({
      status,
      body: { error, error_description: expect.any(String) },
    })
    expect(response.headers.get('cache-control')).toBe('no-store')
    const challenge = response.headers.get('www-authenticate')
    const expected = {
      invalid_client: 'Basic realm="hipflask", charset="UTF-8"',
      invalid_token: 'Bearer realm="hipflask", error="invalid_token"',
    }[error]
    expect(challenge).toBe(expected ?? null)
    expect(text).not.toContain('canary')
  })

  test('takes nothing from the query', async () => {
    const query = new URLSearchParams(asAda).toString()
    const response = await send(`/auth/token?${query}`, '')
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: 'invalid_request' })
  })

  test.each<[string, Parameters, Record<string, string>]>([
    ['Basic', {}, authorization(KEY_ID, KEY)],
    ['Basic with escapes', {}, authorization(KEY_ID.replace('-', '%2D'), 'hf%5Fkey')],
    ['the body', { client_id: KEY_ID, client_secret: KEY }, {}],
    ['Basic, and a scope', { scope: 'items:read' }, authorization(KEY_ID, KEY)],
  ])('gives a token of a key by %s', async (_, form, headers) => {
    const answer = await tokens({ grant_type: 'client_credentials', ...(form as object) }, headers)
    expect(answer).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 900,
      scope: 'items:read items:write',
    } as never)
    const claims = await accounts.accessTokens.verify(answer.access_token)
    expect(claims).toMatchObject({ userId: ada.id, sessionId: KEY_ID, clientId: KEY_ID })
  })

  test('gives no token that outlives its key', async () => {
    restoreKeys()
    const form = { grant_type: 'client_credentials', scope: 'items:read *' }
    expect((await tokens(form, authorization(OTHER_ID, OTHER_KEY))).expires_in).toBe(100)
  })
})

describe('POST /auth/revoke', () => {
  const revoke = async (form: Parameters, headers?: Record<string, string>): Promise<object> => {
    const response = await send('/auth/revoke', form, headers)
    const text = await response.text()
    return { status: response.status, ...(text === '' ? {} : (JSON.parse(text) as object)) }
  }

  test.each<[string, (pair: TokenPair) => string | Promise<string>]>([
    ['an access token', (pair) => pair.access_token],
    ['a refresh token', (pair) => pair.refresh_token],
    [
      'a spent refresh token',
      async (pair) => {
        let { refresh_token: next } = pair
        for (let count = 0; count < 3; count++)
          next = (await tokens({ grant_type: 'refresh_token', refresh_token: next })).refresh_token
        return pair.refresh_token
      },
    ],
  ])('ends the session of %s, and no other', async (_, textOf) => {
    const [pair, other] = [await tokens(asAda), await tokens(asAda)]
    expect(await revoke({ token: await textOf(pair), token_type_hint: 'nonsense' })).toEqual({ status: 200 })
    expect([await isAlive(pair), await isAlive(other)]).toEqual([false, true])
    const again = await token({ grant_type: 'refresh_token', refresh_token: pair.refresh_token })
    expect(again.status).toBe(400)
  })

  test('ends a key', async () => {
    restoreKeys()
    expect(await revoke({ token: KEY })).toEqual({ status: 200 })
    expect(keys.has(KEY)).toBe(false)
    expect(accounts.log.at(-1)).toContain('key.revoked')
    expect(await revoke({ token: KEY })).toEqual({ status: 200 })
    restoreKeys()
  })

  test('refuses a token that was given for a key, which lives on', async () => {
    const { access_token } = await tokens({ grant_type: 'client_credentials' }, authorization(KEY_ID, KEY))
    expect(await revoke({ token: access_token })).toMatchObject({
      status: 400,
      error: 'unsupported_token_type',
    })
    expect(keys.has(KEY)).toBe(true)
  })

  test.each([
    ['nonsense', 'x'],
    ['a key that is none', 'hf_nonsense'],
    ['a refresh token that is none', 'hfr_nonsense'],
    ['an access token that is none', 'eyJ.eyJ.x'],
    ['a long text', 'x'.repeat(100_000)],
  ])('answers 200 without a body for %s', async (_, text) => {
    expect(await revoke({ token: text })).toEqual({ status: 200 })
  })

  test('ends nothing for an access token that is over', async () => {
    const pair = await tokens(asAda)
    accounts.advance(900)
    expect(await revoke({ token: pair.access_token })).toEqual({ status: 200 })
    expect(
      await isAlive(await tokens({ grant_type: 'refresh_token', refresh_token: pair.refresh_token })),
    ).toBe(true)
    restoreKeys()
  })

  test('takes a token with a good credential of its holder, and refuses a bad one', async () => {
    const pair = await tokens(asAda)
    expect(await revoke({ token: 'x' }, { authorization: 'Basic Og==' })).toEqual({ status: 200 })
    expect(await revoke({ token: pair.access_token }, authorization('app', 'x'))).toMatchObject({
      status: 401,
      error: 'invalid_client',
    })
    expect(await isAlive(pair)).toBe(true)
    expect(await revoke({ token: pair.access_token }, { 'x-api-key': 'wrong' })).toMatchObject({
      status: 401,
    })
    expect(await isAlive(pair)).toBe(true)
    const bearer = { authorization: `Bearer ${pair.access_token}` }
    expect(await revoke({ token: pair.refresh_token }, bearer)).toEqual({ status: 200 })
    expect(await isAlive(pair)).toBe(false)
  })

  test('answers 400 without a token', async () => {
    for (const form of [{}, { token: '' }, { token_type_hint: 'access_token' }])
      expect(await revoke(form)).toMatchObject({ status: 400, error: 'invalid_request' })
  })
})

describe('POST /auth/introspect', () => {
  const asAdmin = { authorization: basic('root@example.com', PASSWORD) }
  const introspect = async (text: string, headers: Record<string, string> = asAdmin): Promise<object> => {
    const response = await send('/auth/introspect', { token: text }, headers)
    return { status: response.status, ...((await response.json()) as object) }
  }
  const seconds = () => Math.floor(accounts.clock() / 1000)

  test('tells whose an access token is', async () => {
    const pair = await tokens(asAda)
    const { sessionId, tokenId } = await accounts.accessTokens.verify(pair.access_token)
    expect(await introspect(pair.access_token)).toEqual({
      status: 200,
      active: true,
      sub: ada.id,
      username: 'ada@example.com',
      token_type: 'Bearer',
      sid: sessionId,
      jti: tokenId,
      iss: 'hipflask',
      aud: 'hipflask',
      iat: expect.any(Number),
      exp: seconds() + 900,
    })
  })

  test('tells whose a refresh token is, while it is the current one', async () => {
    const pair = await tokens(asAda)
    expect(await introspect(pair.refresh_token)).toEqual({
      status: 200,
      active: true,
      sub: ada.id,
      username: 'ada@example.com',
      token_type: 'refresh_token',
      sid: expect.any(String),
      iss: 'hipflask',
      iat: seconds(),
      exp: seconds() + 2_592_000,
    })
    const next = await tokens({ grant_type: 'refresh_token', refresh_token: pair.refresh_token })
    expect(await introspect(pair.refresh_token)).toEqual({ status: 200, active: false })
    expect(await introspect(next.refresh_token)).toMatchObject({ active: true })
    // To ask is not to use.
    expect(await isAlive(next)).toBe(true)
  })

  test('tells whose a key is, and a token that was given for it', async () => {
    restoreKeys()
    const own = { active: true, sub: ada.id, username: 'ada@example.com', token_type: 'Bearer', status: 200 }
    expect(await introspect(KEY)).toEqual({
      ...own,
      client_id: KEY_ID,
      scope: 'items:read items:write',
      iss: 'hipflask',
    })
    expect(await introspect(OTHER_KEY)).toMatchObject({ scope: '*', exp: seconds() + 100 })
    const { access_token } = await tokens({ grant_type: 'client_credentials' }, authorization(KEY_ID, KEY))
    expect(await introspect(access_token)).toMatchObject({ ...own, client_id: KEY_ID, exp: seconds() + 900 })
    keys.clear()
    for (const text of [KEY, access_token])
      expect(await introspect(text)).toEqual({ status: 200, active: false })
    restoreKeys()
  })

  test('tells nothing of what is not good', async () => {
    const ended = await tokens(asAda)
    await send('/auth/revoke', { token: ended.refresh_token })
    const old = await tokens(asAda)
    const disabled = await accounts.register('disabled@example.com')
    const theirs = await tokens({ ...asAda, username: disabled.email })
    await accounts.change(disabled.id, { disabled: true })
    for (const text of [theirs.access_token, theirs.refresh_token])
      expect(await introspect(text)).toEqual({ status: 200, active: false })
    accounts.advance(900)
    for (const text of ['x', 'hf_x', 'hfr_x', ended.access_token, ended.refresh_token, old.access_token])
      expect(await introspect(text)).toEqual({ status: 200, active: false })
  })

  test.each<[string, Record<string, string>, number, string]>([
    ['nobody', {}, 401, 'invalid_client'],
    ['a user', { authorization: basic('ada@example.com', PASSWORD) }, 403, 'insufficient_scope'],
    ['a key of a user', { 'x-api-key': KEY }, 403, 'insufficient_scope'],
    ['a wrong key', { 'x-api-key': 'hf_x' }, 401, 'invalid_token'],
    ['a wrong password', { authorization: basic('root@example.com', 'wrong') }, 401, 'invalid_client'],
    ['two credentials', { ...authorization('a', 'b'), 'x-api-key': KEY }, 400, 'invalid_request'],
  ])('tells nothing to %s', async (_, headers, status, error) => {
    restoreKeys()
    const { access_token } = await tokens(asAda)
    const answer = await introspect(access_token, headers)
    expect(answer).toEqual({ status, error, error_description: expect.any(String) })
  })

  test('answers 400 without a token', async () => {
    const response = await send('/auth/introspect', {}, asAdmin)
    expect([response.status, await response.json()]).toEqual([
      400,
      { error: 'invalid_request', error_description: 'Parameter token is missing' },
    ])
  })
})

test('keys see and end no sessions', async () => {
  restoreKeys()
  for (const [method, path] of [
    ['GET', '/auth/sessions'],
    ['DELETE', '/auth/sessions'],
    ['DELETE', `/auth/sessions/${crypto.randomUUID()}`],
    ['POST', '/auth/logout'],
  ] as const) {
    const response = await accounts.send(path, { method, headers: { 'x-api-key': OTHER_KEY } })
    expect({ method, path, ...(await failureOf(response)) }).toMatchObject({ method, path, status: 403 })
  }
})

test('no token, key or password gets into the log', () => {
  const text = accounts.log.join('')
  for (const secret of [PASSWORD, 'canary', 'eyJ', 'hfr_', KEY, OTHER_KEY]) expect(text).not.toContain(secret)
})
