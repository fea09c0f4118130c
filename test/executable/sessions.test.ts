// Sessions on the built executable: refresh tokens that race, also in two processes, restarts and power cuts in
// between, and that what was revoked stays so (threats 10 to 14).
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { makeFolder, startServer, type RunningServer } from '../support/executable.ts'
import { ADMIN, basic } from '../support/world.ts'

interface Pair {
  access_token: string
  refresh_token: string
}

const ADMIN_ENV = { HIPFLASK_ADMIN_EMAIL: ADMIN.email, HIPFLASK_ADMIN_PASSWORD: ADMIN.password }
const TIMEOUT_MS = 60_000

/** Starts a server on this folder, whose settings may differ. */
function start(folder: string, env: Record<string, string> = {}): Promise<RunningServer> {
  return startServer({ folder, env: { ...ADMIN_ENV, ...env } })
}

function post(server: RunningServer, path: string, body: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  return server.fetch(path, { method: 'POST', headers, body: JSON.stringify(body) })
}

async function login(server: RunningServer): Promise<Pair> {
  const response = await post(server, '/auth/login', ADMIN)
  expect(response.status).toBe(200)
  return (await response.json()) as Pair
}

const refresh = (server: RunningServer, { refresh_token }: Pair) =>
  post(server, '/auth/refresh', { refresh_token })

async function refreshed(server: RunningServer, pair: Pair): Promise<Pair> {
  const response = await refresh(server, pair)
  expect(response.status).toBe(200)
  return (await response.json()) as Pair
}

async function codeOf(response: Response): Promise<string> {
  const body = (await response.json()) as { error?: { code: string } }
  return `${response.status} ${body.error?.code}`
}

const me = (server: RunningServer, { access_token }: Pair, more: Record<string, string> = {}) =>
  server.fetch('/auth/me', { headers: { authorization: `Bearer ${access_token}`, ...more } })
const statusOf = async (server: RunningServer, pair: Pair) => (await me(server, pair)).status

/** All of the session is dead: no token of it does anything. */
async function expectDead(server: RunningServer, ...pairs: Pair[]): Promise<void> {
  for (const pair of pairs) {
    expect(await codeOf(await me(server, pair))).toBe('401 token_revoked')
    expect(await codeOf(await refresh(server, pair))).toBe('401 invalid_token')
  }
}

describe('50 refreshes of one token at once', () => {
  test('give the same successor, which works once', async () => {
    await using server = await start(makeFolder())
    await checkRace([server])
  })

  test(
    'give the same successor in two processes on one folder',
    async () => {
      const folder = makeFolder()
      await using one = await start(folder)
      await using other = await start(folder)
      await checkRace([one, other])
    },
    TIMEOUT_MS,
  )

  async function checkRace(servers: readonly RunningServer[]): Promise<void> {
    const first = await login(servers[0]!)
    const responses = await Promise.all(
      Array.from({ length: 50 }, (_, at) => refresh(servers[at % servers.length]!, first)),
    )
    const pairs = await Promise.all(responses.map((response) => response.json() as Promise<Pair>))
    expect(new Set(responses.map(({ status }) => status))).toEqual(new Set([200]))
    expect(new Set(pairs.map((pair) => pair.refresh_token)).size).toBe(1)
    const second = pairs[0]!
    const third = await refreshed(servers.at(-1)!, second)
    expect(third.refresh_token).not.toBe(second.refresh_token)
    for (const server of servers) {
      expect(await Promise.all(pairs.map((pair) => statusOf(server, pair)))).toEqual(pairs.map(() => 200))
    }
    // Now the first is the one before the predecessor: within the grace, but spent.
    expect(await codeOf(await refresh(servers[0]!, first))).toBe('401 invalid_token')
    for (const server of servers) await expectDead(server, first, second, third)
  }
})

describe('a session outlives a power cut', () => {
  test(
    'between login and refresh, and between a refresh and its repeat',
    async () => {
      const folder = makeFolder()
      let server = await start(folder)
      const first = await login(server)
      await server.kill()
      server = await start(folder)
      const second = await refreshed(server, first)
      await server.kill()
      server = await start(folder)
      expect((await refreshed(server, first)).refresh_token).toBe(second.refresh_token)
      const third = await refreshed(server, second)
      await server.kill()
      server = await start(folder)
      expect(await codeOf(await refresh(server, first))).toBe('401 invalid_token')
      await server.kill()
      server = await start(folder)
      await expectDead(server, first, second, third)
      await server.stop()
    },
    TIMEOUT_MS,
  )
})

describe('a spent token', () => {
  test.each(['0', '1'])('ends its session after a grace of %s s', async (seconds) => {
    await using server = await start(makeFolder(), { HIPFLASK_REFRESH_GRACE_SECONDS: seconds })
    const first = await login(server)
    const stranger = await login(server)
    const second = await refreshed(server, first)
    await Bun.sleep(Number(seconds) * 1000)
    expect(await codeOf(await refresh(server, first))).toBe('401 invalid_token')
    await expectDead(server, first, second)
    expect(await statusOf(server, stranger)).toBe(200)
    const events = server.log().filter((line) => line.includes('"event":"refresh.reused"'))
    expect(events).toHaveLength(1)
  })

  test('is known from one that is forged: any flipped bit is refused, and the session lives', async () => {
    await using server = await start(makeFolder())
    const first = await login(server)
    const bytes = new TextEncoder().encode(first.refresh_token)
    const flips = Array.from({ length: bytes.length * 8 }, (_, bit) => {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      return flipped.toString('latin1')
    })
    const codes = new Set<string>()
    for (let at = 0; at < flips.length; at += 64) {
      const batch = flips.slice(at, at + 64)
      const answers = await Promise.all(
        batch.map((token) => refresh(server, { ...first, refresh_token: token })),
      )
      for (const answer of answers) codes.add(await codeOf(answer))
    }
    // NUL is no text of a body.
    codes.delete('400 validation_failed')
    expect([...codes]).toEqual(['401 invalid_token'])
    expect(await statusOf(server, first)).toBe(200)
    await refreshed(server, first)
  })

  test('is known from one that is made up for the same session', async () => {
    await using server = await start(makeFolder())
    await using foreign = await start(makeFolder())
    const [own, others] = [await login(server), await login(foreign)]
    // Session id, count, secret, tag: 16, 4, 32 and 16 bytes.
    const [a, b] = [numberOf(own.refresh_token), numberOf(others.refresh_token)]
    const join = (bits: bigint) => textOf(((a >> bits) << bits) | (b & ((1n << bits) - 1n)))
    expect(textOf(a)).toBe(own.refresh_token)
    for (const refresh_token of [others.refresh_token, join(416n), join(384n), join(128n)])
      expect(await codeOf(await refresh(server, { ...own, refresh_token }))).toBe('401 invalid_token')
    expect(await statusOf(server, own)).toBe(200)
    await refreshed(server, own)
  })
})

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

function numberOf(token: string): bigint {
  return Array.from(token.slice('hfr_'.length)).reduce(
    (value, digit) => value * 62n + BigInt(DIGITS.indexOf(digit)),
    0n,
  )
}

function textOf(value: bigint): string {
  const digits = Array.from({ length: 92 }, (_, at) => DIGITS[Number((value / 62n ** BigInt(91 - at)) % 62n)])
  return `hfr_${digits.join('')}`
}

describe('what was ended', () => {
  const ways: [string, (server: RunningServer, pair: Pair) => Promise<Response>][] = [
    [
      'logout',
      (server, { access_token }) =>
        server.fetch('/auth/logout', {
          method: 'POST',
          headers: { authorization: `Bearer ${access_token}` },
        }),
    ],
    [
      'revoke',
      (server, { refresh_token }) =>
        server.fetch('/auth/revoke', { method: 'POST', body: new URLSearchParams({ token: refresh_token }) }),
    ],
    [
      'the end of all sessions',
      (server) =>
        server.fetch('/auth/sessions', { method: 'DELETE', headers: basic(ADMIN.email, ADMIN.password) }),
    ],
  ]
  test.each(ways)(
    'by %s is so at once in every process on the file, and after a power cut',
    async (_, end) => {
      const folder = makeFolder()
      const one = await start(folder)
      const other = await start(folder)
      const pair = await login(one)
      const next = await refreshed(one, pair)
      // Both know the tokens.
      for (const server of [one, other])
        expect([await statusOf(server, pair), await statusOf(server, next)]).toEqual([200, 200])
      expect((await end(one, next)).ok).toBe(true)
      await expectDead(other, pair, next)
      await expectDead(one, pair, next)
      await Promise.all([one.kill(), other.kill()])
      await using again = await start(folder)
      await expectDead(again, pair, next)
    },
    TIMEOUT_MS,
  )

  test('does not come back under another spelling of the token', async () => {
    await using server = await start(makeFolder())
    const pair = await login(server)
    expect(await statusOf(server, pair)).toBe(200)
    await server.fetch('/auth/logout', {
      method: 'POST',
      headers: { authorization: `Bearer ${pair.access_token}` },
    })
    const [head, body, signature = ''] = pair.access_token.split('.')
    const spellings = [
      `${pair.access_token}=`,
      ` ${pair.access_token}`,
      pair.access_token.replaceAll('-', '+').replaceAll('_', '/'),
      `${head}.${body}=.${signature}`,
      `${head}.${body}.${signature.slice(0, -1)}${String.fromCharCode(signature.charCodeAt(signature.length - 1) + 1)}`,
      `${pair.access_token}.`,
    ]
    for (const text of spellings) {
      const { status, headers } = await server.fetch('/auth/me', {
        headers: { authorization: `Bearer ${text}` },
      })
      expect({ text, status, isChallenged: headers.has('www-authenticate') }).toEqual({
        text,
        status: 401,
        isChallenged: true,
      })
    }
  })
})

test('a session ends when it is idle or too old, and its row is no secret', async () => {
  const folder = makeFolder()
  await using server = await start(folder, {
    HIPFLASK_REFRESH_TOKEN_SECONDS: '2',
    HIPFLASK_SESSION_SECONDS: '3',
  })
  const pair = await login(server)
  expect(pair).toMatchObject({ expires_in: 2, refresh_expires_in: 2 })
  const next = await refreshed(server, pair)
  await Bun.sleep(3100)
  expect(await codeOf(await refresh(server, next))).toBe('401 token_expired')
  expect((await me(server, next)).status).toBe(401)
  await server.stop('SIGTERM')
  const stored = await Bun.file(join(folder, 'data/hipflask.db')).bytes()
  for (const secret of [pair.refresh_token, next.refresh_token])
    expect(Buffer.from(stored).includes(secret)).toBe(false)
  expect(server.log().join('\n')).not.toMatch(/hfr_|eyJ/)
})
