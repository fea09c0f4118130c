// A clock that jumps: nothing that is good by the right time is lost by it, and nothing that ended comes back.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { makeFolder, type RunningServer } from '../../support/executable.ts'
import { NOTES, note, send, startNotes, statusOf } from '../../support/faults.ts'
import { createSetClock, hasFaketime, type SetClock } from '../../support/faketime.ts'
import { PASSWORD, post } from '../../support/world.ts'

const ADA = { email: 'ada@example.com', password: PASSWORD }
const FAILURES_MAX = 3

interface Tokens {
  access_token: string
  refresh_token: string
}

describe.if(hasFaketime())('a clock that is set', () => {
  let clock: SetClock
  let folder: string
  let server: RunningServer

  const start = async (more: Record<string, string> = {}) => {
    const env = { ...clock.env, HIPFLASK_LOGIN_RATE_LIMIT: `${FAILURES_MAX}/1h`, ...more }
    server = await startNotes({ folder, env })
  }
  const login = async () => (await post(server, '/auth/login', ADA)) as unknown as Tokens
  /** What a request by this credential is answered: its status, and the code of an error. */
  async function by(credential: string): Promise<string> {
    const headers = { authorization: `Bearer ${credential}` }
    const answer = await send(server, '/auth/me', { headers })
    return [answer?.status, answer?.body.error?.code].filter((one) => one !== undefined).join(' ')
  }
  const write = async (key: string) => {
    const answer = await send(server, '/api/notes', { body: note(1, 1), headers: { 'idempotency-key': key } })
    return [answer?.status, answer?.headers.get('idempotency-replayed'), answer?.body.id]
  }
  const total = async () => (await send(server, '/api/notes'))?.body.total_items as number

  beforeAll(async () => {
    clock = await createSetClock()
    folder = makeFolder()
    await start()
    await post(server, '/auth/register', { name: 'Ada', ...ADA })
  })
  afterAll(() => server?.stop('SIGKILL'))

  for (const jump of ['+1h', '+1y']) {
    test(`${jump} and back ends tokens meanwhile, and takes nothing`, async () => {
      const [tokens, ended] = [await login(), await login()]
      const headers = { authorization: `Bearer ${tokens.access_token}` }
      const { key } = await post(server, '/auth/keys', { name: 'k', scopes: ['*'] }, headers)
      await send(server, '/auth/logout', {
        method: 'POST',
        headers: { authorization: `Bearer ${ended.access_token}` },
      })
      const first = await write(`key ${jump}`)
      const before = await total()
      await clock.set(jump)
      expect(await by(tokens.access_token)).toBe('401 token_expired')
      expect(await by(key as string)).toBe('200')
      // Else a client that sends it again would do it twice.
      expect(await write(`key ${jump}`)).toEqual([201, 'true', first[2]])
      expect(await statusOf(server, '/api/notes/1')).toBe(200)
      const meanwhile = await login()
      expect(await by(meanwhile.access_token)).toBe('200')
      await clock.set('+0')
      expect(await by(tokens.access_token)).toBe('200')
      expect(await by(ended.access_token)).toBe('401 token_revoked')
      expect(await by(key as string)).toBe('200')
      expect(await write(`key ${jump}`)).toEqual([201, 'true', first[2]])
      expect(await total()).toBe(before)
      const sessions = await send(server, '/auth/sessions', { headers })
      expect(sessions?.body.data.length).toBeGreaterThan(0)
      expect(await statusOf(server, '/auth/refresh', { refresh_token: tokens.refresh_token })).toBe(200)
      // It says that it was made later than now. Its session goes on.
      expect(await by(meanwhile.access_token)).toBe('401 invalid_token')
      const next = await send(server, '/auth/refresh', { body: { refresh_token: meanwhile.refresh_token } })
      expect(await by(next?.body.access_token)).toBe('200')
    })
  }

  test('-1h brings no token back that ended, not even after a restart, and goes on with those that did not', async () => {
    await server.stop()
    await start({ HIPFLASK_ACCESS_TOKEN_SECONDS: '1' })
    const over = await login()
    await Bun.sleep(2100)
    expect(await by(over.access_token)).toBe('401 token_expired')
    await server.stop()
    await start()
    const good = await login()
    expect([await by(over.access_token), await by(good.access_token)]).toEqual(['401 token_expired', '200'])
    await clock.set('-1h')
    const check = async () => {
      expect([await by(over.access_token), await by(good.access_token)]).toEqual(['401 token_expired', '200'])
      const fresh = await login()
      expect(await by(fresh.access_token)).toBe('200')
      const next = await send(server, '/auth/refresh', { body: { refresh_token: fresh.refresh_token } })
      expect(await by(next?.body.access_token)).toBe('200')
    }
    await check()
    expect(await server.stop()).toBe(0)
    await start()
    await check()
    await clock.set('+0')
    await check()
  })

  test('-20s brings no token back that ended before a crash', async () => {
    await server.stop()
    await start({ HIPFLASK_ACCESS_TOKEN_SECONDS: '1' })
    const over = await login()
    await Bun.sleep(2100)
    expect(await write('before the crash')).toHaveLength(3)
    expect(await by(over.access_token)).toBe('401 token_expired')
    await server.kill()
    await clock.set('-20')
    await start()
    expect(await by(over.access_token)).toBe('401 token_expired')
    await server.stop()
    await clock.set('+0')
    await start()
  })

  test('+1y while it stands still and starts again, and back, takes nothing either', async () => {
    const tokens = await login()
    const first = await write('while it stands still')
    await server.stop()
    await clock.set('+1y')
    await start()
    expect(await by(tokens.access_token)).toBe('401 token_expired')
    expect(await write('while it stands still')).toEqual([201, 'true', first[2]])
    await server.stop()
    await clock.set('+0')
    await start()
    expect(await by(tokens.access_token)).toBe('200')
    expect(await statusOf(server, '/auth/refresh', { refresh_token: tokens.refresh_token })).toBe(200)
    expect(await write('while it stands still')).toEqual([201, 'true', first[2]])
  })

  test('gives nobody more guesses of a password', async () => {
    const guess = () => statusOf(server, '/auth/login', { ...ADA, password: 'wrong horse battery' })
    for (let failure = 0; failure < FAILURES_MAX; failure++) expect(await guess()).toBe(401)
    for (const jump of ['+0', '+1h', '+1y', '-1h']) {
      await clock.set(jump)
      expect(await guess()).toBe(429)
    }
    await clock.set('+0')
    expect(Object.keys(NOTES)).toHaveLength(1)
  })
})
