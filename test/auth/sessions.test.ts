// Sessions and refresh tokens over the routes, with a clock that tests set. Races of processes and power cuts are in
// test/executable/sessions.test.ts.
import { describe, expect, test } from 'bun:test'
import { createCodes } from '../../src/auth/oidc/codes.ts'
import { createFlows } from '../../src/auth/oidc/flow.ts'
import { startSessionSweep } from '../../src/auth/session-sweep.ts'
import {
  SESSIONS_MAX,
  endSessions,
  keepSession,
  renewSession,
  sessionsTable,
  type Session,
} from '../../src/auth/sessions.ts'
import type { TokenPair } from '../../src/auth/token-pairs.ts'
import { usersTable } from '../../src/auth/users.ts'
import { StaleError } from '../../src/storage/store.ts'
import { PASSWORD, basic, createAccounts, failureOf, type Accounts, type LocalUser } from './accounts.ts'

const accounts = createAccounts()
const { store } = accounts

let made = 0
const newEmail = () => `user${++made}@example.com`
const bearer = ({ access_token }: TokenPair) => `Bearer ${access_token}`
const json = { 'content-type': 'application/json' }

async function login(
  email: string,
  { on = accounts, agent }: { on?: Accounts; agent?: string } = {},
): Promise<TokenPair> {
  const response = await on.send('/auth/login', {
    method: 'POST',
    headers: { ...json, ...(agent === undefined ? {} : { 'user-agent': agent }) },
    body: JSON.stringify({ email, password: PASSWORD }),
  })
  expect(response.status).toBe(200)
  return (await response.json()) as TokenPair
}

const refresh = (token: string, on = accounts) => on.post('/auth/refresh', { refresh_token: token })

async function refreshed(token: string, on = accounts): Promise<TokenPair> {
  const response = await refresh(token, on)
  expect(response.status).toBe(200)
  return (await response.json()) as TokenPair
}

async function refused(token: string, on = accounts): Promise<unknown> {
  const { status, code, challenge } = await failureOf(await refresh(token, on))
  expect(status).toBe(401)
  expect(challenge).toStartWith('Bearer realm="hipflask", error="invalid_token"')
  return code
}

const isAlive = async (pair: TokenPair, on = accounts) => (await on.me(bearer(pair))).status === 200
const send = (path: string, method: string, authorization: string) =>
  accounts.send(path, { method, headers: { authorization } })

async function sessionsOf(authorization: string): Promise<Record<string, unknown>[]> {
  const response = await send('/auth/sessions', 'GET', authorization)
  expect(response.status).toBe(200)
  return ((await response.json()) as { data: Record<string, unknown>[] }).data
}
const rowsOf = async (user: LocalUser, on = accounts) =>
  (await on.store.list({
    table: sessionsTable.name,
    where: { user_id: user.id },
    limit: 1000,
  })) as unknown as Session[]

describe('POST /auth/refresh', () => {
  test('answers a new pair, and the old access token lives on', async () => {
    const user = await accounts.register(newEmail())
    const first = await login(user.email)
    const response = await refresh(first.refresh_token)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const second = (await response.json()) as TokenPair
    expect(second).toEqual({
      access_token: expect.any(String),
      refresh_token: expect.stringMatching(/^hfr_[0-9A-Za-z]{92}$/),
      token_type: 'Bearer',
      expires_in: 900,
      refresh_expires_in: 2_592_000,
    })
    expect(second.refresh_token).not.toBe(first.refresh_token)
    expect([await isAlive(first), await isAlive(second)]).toEqual([true, true])
    expect(await rowsOf(user)).toHaveLength(1)
  })

  test('gives the same successor again within the grace, and to nobody after it', async () => {
    const { email } = await accounts.register(newEmail())
    const first = await login(email)
    const second = await refreshed(first.refresh_token)
    accounts.advance(9.999)
    expect((await refreshed(first.refresh_token)).refresh_token).toBe(second.refresh_token)
    accounts.advance(0.001)
    expect(await refused(first.refresh_token)).toBe('invalid_token')
    expect(await isAlive(second)).toBe(false)
    expect(await refused(second.refresh_token)).toBe('invalid_token')
  })

  test('ends the session for the one before the predecessor, within the grace too', async () => {
    const user = await accounts.register(newEmail())
    const first = await login(user.email)
    const second = await refreshed(first.refresh_token)
    const third = await refreshed(second.refresh_token)
    accounts.log.length = 0
    expect(await refused(first.refresh_token)).toBe('invalid_token')
    for (const pair of [first, second, third]) expect(await isAlive(pair)).toBe(false)
    expect(await refused(third.refresh_token)).toBe('invalid_token')
    expect(await rowsOf(user)).toEqual([])
    const events = accounts.log.filter((line) => line.includes('refresh.reused'))
    expect(events).toHaveLength(1)
    expect(JSON.parse(events[0]!)).toMatchObject({ level: 'warn', user_id: user.id })
  })

  test('has no grace where that is 0', async () => {
    const strict = createAccounts({ lifetimes: { refreshGraceSeconds: 0 } })
    const { email } = await strict.register(newEmail())
    const first = await login(email, { on: strict })
    const second = await refreshed(first.refresh_token, strict)
    expect(await refused(first.refresh_token, strict)).toBe('invalid_token')
    expect(await isAlive(second, strict)).toBe(false)
  })

  test('has no longer grace after the clock was set back', async () => {
    const { email } = await accounts.register(newEmail())
    const first = await login(email)
    await refreshed(first.refresh_token)
    accounts.advance(-3600)
    expect(await refused(first.refresh_token)).toBe('invalid_token')
    accounts.advance(3600)
  })

  test('of 50 at once gives each the same successor, which works once', async () => {
    const user = await accounts.register(newEmail())
    const { refresh_token: token } = await login(user.email)
    const pairs = await Promise.all(Array.from({ length: 50 }, () => refreshed(token)))
    expect(new Set(pairs.map((pair) => pair.refresh_token)).size).toBe(1)
    expect((await rowsOf(user)).map((row) => row.refresh_count)).toEqual([1])
    const third = await refreshed(pairs[0]!.refresh_token)
    expect(await refused(token)).toBe('invalid_token')
    expect(await isAlive(third)).toBe(false)
  })

  test.each([
    ['a token of another database', () => createAccounts().refreshTokens.first(crypto.randomUUID())],
    ['a token of no session', () => accounts.refreshTokens.first(crypto.randomUUID())],
    ['an empty token', () => ''],
    ['an API key', () => 'hf_x'],
    ['1,000 characters', () => 'x'.repeat(1000)],
  ])('refuses %s', async (_, token) => {
    expect(await refused(token())).toBe('invalid_token')
  })

  test('refuses an access token', async () => {
    const pair = await login((await accounts.register(newEmail())).email)
    expect(await refused(pair.access_token)).toBe('invalid_token')
    expect(await isAlive(pair)).toBe(true)
  })

  test.each([
    ['no token', {}, '/refresh_token'],
    ['1,001 characters', { refresh_token: 'x'.repeat(1001) }, '/refresh_token'],
    ['a number', { refresh_token: 1 }, '/refresh_token'],
    ['more than a token', { refresh_token: 'x', scope: 'y' }, '/scope'],
  ])('answers 400 for %s', async (_, body, field) => {
    const response = await accounts.post('/auth/refresh', body)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { details: [{ field }] } })
  })

  test('takes a forged token for no reuse: the session lives', async () => {
    const user = await accounts.register(newEmail())
    const pair = await login(user.email)
    const [row] = await rowsOf(user)
    const forged = createAccounts().refreshTokens.first(row!.id)
    const unknownHere = accounts.refreshTokens.first(row!.id)
    const ahead = accounts.refreshTokens.successorOf(accounts.refreshTokens.successorOf(pair.refresh_token))
    for (const token of [forged, unknownHere, ahead]) expect(await refused(token)).toBe('invalid_token')
    expect(await isAlive(pair)).toBe(true)
    await refreshed(pair.refresh_token)
  })

  test('does not look at credentials', async () => {
    const { refresh_token } = await login((await accounts.register(newEmail())).email)
    const response = await accounts.send('/auth/refresh', {
      method: 'POST',
      headers: { ...json, authorization: 'Bearer wrong', 'x-api-key': 'wrong' },
      body: JSON.stringify({ refresh_token }),
    })
    expect(response.status).toBe(200)
  })

  test.each([
    ['disabled', (user: LocalUser) => accounts.change(user.id, { disabled: true })],
    ['given another generation', (user: LocalUser) => accounts.change(user.id, { session_generation: 1 })],
    [
      'deleted',
      async (user: LocalUser) =>
        void (await store.commit([{ kind: 'delete', table: usersTable.name, id: user.id }])),
    ],
  ])('refuses the token of an account that is %s', async (_, change) => {
    const user = await accounts.register(newEmail())
    const first = await login(user.email)
    const second = await refreshed(first.refresh_token)
    await change(user)
    for (const { refresh_token } of [second, first])
      expect(await refused(refresh_token)).toBe('invalid_token')
    expect(await isAlive(second)).toBe(false)
  })
})

test('a refresh that was overtaken changes nothing', async () => {
  const user = await accounts.register(newEmail())
  const first = await login(user.email)
  const [old] = await rowsOf(user)
  await refreshed((await refreshed(first.refresh_token)).refresh_token)
  const before = await rowsOf(user)
  const renewal = { refreshHash: 'x', idleMs: 1, now: accounts.clock() }
  expect(await renewSession(store, old!, renewal)).toBeUndefined()
  expect(await rowsOf(user)).toEqual(before)
})

describe('the times of a session', () => {
  const lifetimes = { refreshTokenSeconds: 1000, sessionSeconds: 2500 }

  test('end it when it is idle, with its access token', async () => {
    const on = createAccounts({ lifetimes: { ...lifetimes, refreshTokenSeconds: 600 } })
    const pair = await login((await on.register(newEmail())).email, { on })
    expect([pair.expires_in, pair.refresh_expires_in]).toEqual([600, 600])
    on.advance(599)
    expect(await isAlive(pair, on)).toBe(true)
    on.advance(1)
    expect(await isAlive(pair, on)).toBe(false)
    expect(await refused(pair.refresh_token, on)).toBe('token_expired')
  })

  test('begin anew with each refresh, up to the end of the session', async () => {
    const on = createAccounts({ lifetimes })
    let pair = await login((await on.register(newEmail())).email, { on })
    const ends = [pair.refresh_expires_in]
    for (const seconds of [999, 999]) {
      on.advance(seconds)
      pair = await refreshed(pair.refresh_token, on)
      ends.push(pair.refresh_expires_in)
    }
    expect(ends).toEqual([1000, 1000, 502])
    expect(pair.expires_in).toBe(502)
    on.advance(501)
    pair = await refreshed(pair.refresh_token, on)
    expect([pair.expires_in, pair.refresh_expires_in]).toEqual([1, 1])
    on.advance(1)
    expect(await refused(pair.refresh_token, on)).toBe('token_expired')
    expect(await isAlive(pair, on)).toBe(false)
  })

  test('are the smaller of the two where a session is shorter than a token', async () => {
    const on = createAccounts({ lifetimes: { refreshTokenSeconds: 1000, sessionSeconds: 10 } })
    const pair = await login((await on.register(newEmail())).email, { on })
    expect([pair.expires_in, pair.refresh_expires_in]).toEqual([10, 10])
  })

  test('do not end what is valid once a clock that jumped is right again', async () => {
    const on = createAccounts()
    const user = await on.register(newEmail())
    const pair = await login(user.email, { on })
    on.advance(366 * 86_400)
    expect(await refused(pair.refresh_token, on)).toBe('token_expired')
    on.advance(-366 * 86_400)
    expect(await isAlive(pair, on)).toBe(true)
    await refreshed(pair.refresh_token, on)
  })
})

describe('POST /auth/logout', () => {
  test('ends the session with all of its tokens, and no other', async () => {
    const { email } = await accounts.register(newEmail())
    const [first, other] = [await login(email), await login(email)]
    const second = await refreshed(first.refresh_token)
    const response = await send('/auth/logout', 'POST', bearer(first))
    expect({ status: response.status, body: await response.text() }).toEqual({ status: 204, body: '' })
    expect(await failureOf(await accounts.me(bearer(second)))).toMatchObject({
      status: 401,
      code: 'token_revoked',
    })
    expect(await refused(second.refresh_token)).toBe('invalid_token')
    expect((await send('/auth/logout', 'POST', bearer(first))).status).toBe(401)
    expect(await isAlive(other)).toBe(true)
  })

  test('answers 400 by Basic and 401 without a credential', async () => {
    const { email } = await accounts.register(newEmail())
    const pair = await login(email)
    expect(await failureOf(await send('/auth/logout', 'POST', basic(email, PASSWORD)))).toMatchObject({
      status: 400,
      code: 'bad_request',
    })
    expect((await accounts.send('/auth/logout', { method: 'POST' })).status).toBe(401)
    expect(await isAlive(pair)).toBe(true)
  })
})

describe('GET /auth/sessions', () => {
  test('lists the living ones of the caller, the newest first', async () => {
    const user = await accounts.register(newEmail())
    await login((await accounts.register(newEmail())).email)
    const pairs: TokenPair[] = []
    for (const agent of ['one', 'two', 'three']) {
      accounts.advance(1)
      pairs.push(await login(user.email, { agent }))
    }
    await send('/auth/logout', 'POST', bearer(pairs[1]!))
    accounts.advance(1)
    await refreshed(pairs[0]!.refresh_token)
    const sessions = await sessionsOf(bearer(pairs[0]!))
    expect(sessions).toEqual([
      expect.objectContaining({ user_agent: 'three', current: false }),
      expect.objectContaining({ user_agent: 'one', current: true }),
    ])
    for (const session of sessions) {
      expect(Object.keys(session)).toEqual([
        'id',
        'created_at',
        'last_used_at',
        'ip',
        'user_agent',
        'current',
      ])
    }
    expect(
      Date.parse(sessions[1]!['last_used_at'] as string) - Date.parse(sessions[1]!['created_at'] as string),
    ).toBe(3000)
    expect((await sessionsOf(basic(user.email, PASSWORD))).map(({ current }) => current)).toEqual([
      false,
      false,
    ])
  })

  test('leaves out those that are over or of an older generation', async () => {
    const on = createAccounts({ lifetimes: { refreshTokenSeconds: 100 } })
    const user = await on.register(newEmail())
    await login(user.email, { on })
    on.advance(100)
    const pair = await login(user.email, { on })
    const list = async (authorization: string) =>
      (
        (await (await on.send('/auth/sessions', { headers: { authorization } })).json()) as {
          data: unknown[]
        }
      ).data
    expect(await list(bearer(pair))).toHaveLength(1)
    await on.change(user.id, { session_generation: 1 })
    expect(await list(basic(user.email, PASSWORD))).toEqual([])
  })

  test('shows a user agent cut and without what could do harm', async () => {
    const { email } = await accounts.register(newEmail())
    const pair = await login(email, { agent: `a\tb\u009b31m${'x'.repeat(300)}` })
    const [{ user_agent: shown } = {}] = await sessionsOf(bearer(pair))
    expect(shown).toBe(`a b 31m${'x'.repeat(249)}`)
  })
})

describe('DELETE /auth/sessions/:id', () => {
  test('ends one, also that of the caller', async () => {
    const { email } = await accounts.register(newEmail())
    const [own, other] = [await login(email), await login(email)]
    const sessions = await sessionsOf(bearer(own))
    const idOf = (current: boolean) => sessions.find((one) => one['current'] === current)?.['id'] as string
    expect((await send(`/auth/sessions/${idOf(false)}`, 'DELETE', bearer(own))).status).toBe(204)
    expect([await isAlive(own), await isAlive(other)]).toEqual([true, false])
    expect((await send(`/auth/sessions/${idOf(false)}`, 'DELETE', bearer(own))).status).toBe(404)
    expect((await send(`/auth/sessions/${idOf(true)}`, 'DELETE', bearer(own))).status).toBe(204)
    expect(await isAlive(own)).toBe(false)
  })

  test("answers 404 for another's, one that is over, and what is no id", async () => {
    const [ada, bob] = [await accounts.register(newEmail()), await accounts.register(newEmail())]
    const [own, others] = [await login(ada.email), await login(bob.email)]
    const [theirs] = await rowsOf(bob)
    const absent = await send(`/auth/sessions/${crypto.randomUUID()}`, 'DELETE', bearer(own))
    const text = async (response: Response) => (await response.text()).replace(/"request_id":"[^"]*"/, '')
    const expected = { status: 404, body: await text(absent) }
    await accounts.change(ada.id, { session_generation: 1 })
    const ended = (await rowsOf(ada))[0]!
    const next = await login(ada.email)
    for (const id of [theirs!.id, ended.id, theirs!.id.toUpperCase(), 'x', '%00', "'"]) {
      const response = await send(`/auth/sessions/${id}`, 'DELETE', bearer(next))
      expect({ id, status: response.status, body: await text(response) }).toEqual({ id, ...expected })
    }
    expect(await isAlive(others)).toBe(true)
  })
})

describe('DELETE /auth/sessions', () => {
  test('ends all but that of the caller, at once', async () => {
    const { email } = await accounts.register(newEmail())
    const stranger = await login((await accounts.register(newEmail())).email)
    const pairs = [await login(email), await login(email), await login(email)]
    expect((await send('/auth/sessions', 'DELETE', bearer(pairs[1]!))).status).toBe(204)
    expect(await Promise.all(pairs.map((pair) => isAlive(pair)))).toEqual([false, true, false])
    expect(await refused(pairs[0]!.refresh_token)).toBe('invalid_token')
    const next = await refreshed(pairs[1]!.refresh_token)
    expect(await sessionsOf(bearer(next))).toHaveLength(1)
    expect(await isAlive(stranger)).toBe(true)
    expect(await isAlive(await login(email))).toBe(true)
  })

  test('ends all by Basic', async () => {
    const { email } = await accounts.register(newEmail())
    const pair = await login(email)
    expect((await send('/auth/sessions', 'DELETE', basic(email, PASSWORD))).status).toBe(204)
    expect(await isAlive(pair)).toBe(false)
    expect(await sessionsOf(basic(email, PASSWORD))).toEqual([])
  })

  test('of two at once leaves one session at most', async () => {
    const { email } = await accounts.register(newEmail())
    const pairs = [await login(email), await login(email)]
    const statuses = await Promise.all(
      pairs.map(async (pair) => (await send('/auth/sessions', 'DELETE', bearer(pair))).status),
    )
    expect(statuses.toSorted()).toEqual([204, 401])
    expect((await Promise.all(pairs.map((pair) => isAlive(pair)))).toSorted()).toEqual([false, true])
  })

  test('may come twice at once of one session', async () => {
    const { email } = await accounts.register(newEmail())
    const [pair, other] = [await login(email), await login(email)]
    const statuses = await Promise.all(
      [pair, pair, pair].map(async (one) => (await send('/auth/sessions', 'DELETE', bearer(one))).status),
    )
    expect(statuses).toEqual([204, 204, 204])
    expect([await isAlive(pair), await isAlive(other)]).toEqual([true, false])
  })
})

describe('ending all others', () => {
  test('does not bring back a session that was ended', async () => {
    const user = await accounts.register(newEmail())
    await login(user.email)
    const [session] = await rowsOf(user)
    await accounts.change(user.id, { session_generation: 1 })
    expect(await endSessions(store, user.id, session!.id)).toBe(false)
    expect(store.commit([keepSession(session!.id, 2)])).rejects.toBeInstanceOf(StaleError)
    expect((await rowsOf(user))[0]!.generation).toBe(0)
  })

  test('is false for an account that is gone', async () => {
    expect(await endSessions(store, crypto.randomUUID(), null)).toBe(false)
  })
})

describe('the number of sessions', () => {
  // Rows as logins make them, without the cost of a hash each.
  async function seed(user: LocalUser, count: number, change: (at: number) => Partial<Session> = () => ({})) {
    const [row] = await rowsOf(user)
    const { id: _, _version, ...values } = row!
    await store.commit(
      Array.from({ length: count }, (_, at) => ({
        kind: 'insert' as const,
        table: sessionsTable.name,
        id: crypto.randomUUID(),
        values: { ...values, refresh_hash: `${at}`, ...change(at) },
      })),
    )
  }

  test('is at most 100: the least recently used one goes', async () => {
    const user = await accounts.register(newEmail())
    const oldest = await login(user.email)
    await seed(user, SESSIONS_MAX - 2, (at) => ({ last_used_at: `2100-01-01T00:00:00.${100 + at}Z` }))
    const last = await login(user.email)
    expect([(await rowsOf(user)).length, await isAlive(oldest)]).toEqual([SESSIONS_MAX, true])
    const next = await login(user.email)
    expect([(await rowsOf(user)).length, await isAlive(oldest)]).toEqual([SESSIONS_MAX, false])
    expect([await isAlive(last), await isAlive(next)]).toEqual([true, true])
    expect(await sessionsOf(bearer(next))).toHaveLength(SESSIONS_MAX)
  })

  test('counts those of an older generation, which go first', async () => {
    const user = await accounts.register(newEmail())
    const oldest = await login(user.email)
    await seed(user, SESSIONS_MAX + 20, () => ({ generation: 7, last_used_at: '2100-01-01T00:00:00.000Z' }))
    await login(user.email)
    expect([(await rowsOf(user)).length, await isAlive(oldest)]).toEqual([SESSIONS_MAX, true])
  })
})

describe('the sweep', () => {
  test('deletes what is over and nothing else', async () => {
    const on = createAccounts({ lifetimes: { refreshTokenSeconds: 100 } })
    const user = await on.register(newEmail())
    const sweep = startSessionSweep(on)
    await login(user.email, { on })
    on.advance(50)
    await login(user.email, { on })
    on.advance(51)
    expect(await sweep.run()).toBe(1)
    expect(await rowsOf(user, on)).toHaveLength(1)
    expect(await sweep.run()).toBe(0)
    sweep.stop()
  })

  test('deletes what sign-ins at providers have left', async () => {
    const on = createAccounts()
    const user = await on.register(newEmail())
    const codes = createCodes(on)
    const [secret, isSecure] = [new Uint8Array(32), false]
    const flows = createFlows({ ...on, secret, isSecure })
    const flow = { state: 's', nonce: 'n', verifier: 'v', provider: 'p' }
    const [cookies = ''] = flows.cookieOf(flow).split(';')
    await flows.take({ ...flow, cookies })
    await codes.issue(user, 'https://app.example.com/')
    const sweep = startSessionSweep(on)
    const left: number[] = []
    for (const seconds of [60, 1, 539, 1]) {
      on.advance(seconds)
      left.push(await sweep.run())
    }
    expect(left).toEqual([0, 1, 0, 1])
    sweep.stop()
  })
})

test('no refresh token gets into the log or the database', async () => {
  const rows = await store.list({ table: sessionsTable.name, limit: 1000 })
  expect(rows.length).toBeGreaterThan(10)
  expect(JSON.stringify(rows)).not.toContain('hfr_')
  expect(accounts.log.join('')).not.toMatch(/hfr_|eyJ/)
})
