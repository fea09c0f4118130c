import { afterAll, describe, expect, spyOn, test } from 'bun:test'
import { KEYS_MAX, USE_INTERVAL_MS, apiKeysTable, createApiKeys } from '../../src/auth/api-keys.ts'
import { newApiKey } from '../../src/auth/api-key-text.ts'
import { createLogger } from '../../src/core/logger.ts'
import { newUuid } from '../../src/core/ids.ts'
import { createAccounts, failureOf } from './accounts.ts'

const accounts = createAccounts()
const { store, apiKeys } = accounts
const ada = await accounts.register('ada@example.com')
afterAll(() => store.stop())

const BEARER = 'Bearer realm="hipflask", error="invalid_token"'
const make = (more: Partial<Parameters<typeof apiKeys.create>[0]> = {}) =>
  apiKeys.create({ userId: ada.id, name: 'robot', scopes: ['items:read'], expiresAt: null, ...more })
const me = (key: string) => accounts.send('/auth/me', { headers: { 'x-api-key': key } })
const statusOf = async (key: string) => (await me(key)).status
const rowOf = async (id: string) => (await store.get(apiKeysTable.name, id))!

describe('find', () => {
  test('gives the owner as a key, with the scopes, frozen', async () => {
    const { text } = await make()
    const { principal, untilMs } = await apiKeys.find(text)
    expect(principal).toEqual({
      kind: 'key',
      id: ada.id,
      role: 'user',
      email: ada.email,
      scopes: ['items:read'],
      session_id: null,
    })
    expect([Object.isFrozen(principal), Object.isFrozen(principal.scopes)]).toEqual([true, true])
    expect(untilMs).toBe(accounts.clock() + USE_INTERVAL_MS)
  })

  test('stores the hash and never the key', async () => {
    const { row, text } = await make()
    expect(JSON.stringify(await rowOf(row.id))).not.toContain(text.slice(30))
  })

  test('refuses a key of the right id and another secret', async () => {
    const { row } = await make()
    await expect(apiKeys.find(newApiKey(row.id).text)).rejects.toMatchObject({ code: 'invalid_token' })
  })

  test('asks the database nothing for a typo, and once for a key that never was', async () => {
    const { text } = await make()
    const reads = (['get', 'list', 'count', 'commit'] as const).map((name) => spyOn(store, name))
    const count = () => reads.reduce((sum, { mock }) => sum + mock.calls.length, 0)
    const typo = text.slice(0, -1) + (text.endsWith('0') ? '1' : '0')
    for (const wrong of [typo, text.slice(1), `${text}0`, text.replace('_', '-')]) {
      await expect(apiKeys.find(wrong)).rejects.toMatchObject({ code: 'invalid_token' })
    }
    expect(count()).toBe(0)
    await expect(apiKeys.find(newApiKey(newUuid()).text)).rejects.toMatchObject({ code: 'invalid_token' })
    expect(count()).toBe(1)
    for (const read of reads) read.mockRestore()
  })
})

describe('a key is 401 from the next request on', () => {
  test('when it is revoked', async () => {
    const { row, text } = await make()
    expect(await statusOf(text)).toBe(200)
    expect(await apiKeys.revoke(row.id)).toBe(true)
    expect(await failureOf(await me(text))).toEqual({ status: 401, code: 'invalid_token', challenge: BEARER })
    expect(await apiKeys.revoke(row.id)).toBe(false)
  })

  test('when its time is over, to the millisecond', async () => {
    const { text } = await make({ expiresAt: accounts.clock() + 10_000 })
    accounts.advance(9.999)
    expect(await statusOf(text)).toBe(200)
    accounts.advance(0.001)
    expect(await failureOf(await me(text))).toMatchObject({ status: 401, code: 'token_expired' })
  })

  test('when its owner is disabled or deleted', async () => {
    const bob = await accounts.register('bob@example.com')
    const { row, text } = await make({ userId: bob.id })
    expect(await statusOf(text)).toBe(200)
    await accounts.change(bob.id, { disabled: true })
    expect(await failureOf(await me(text))).toMatchObject({ status: 401, code: 'token_revoked' })
    expect(await apiKeys.findById(row.id)).toBeUndefined()
    await accounts.change(bob.id, { disabled: false })
    expect(await statusOf(text)).toBe(200)
    await store.commit([{ kind: 'delete', table: 'users', id: bob.id }])
    expect(await failureOf(await me(text))).toMatchObject({ status: 401, code: 'invalid_token' })
    expect(await apiKeys.findById(row.id)).toBeUndefined()
  })

  test('and its owner gets another role at once', async () => {
    const { text } = await make()
    expect((await apiKeys.find(text)).principal.role).toBe('user')
    await accounts.change(ada.id, { role: 'editor' })
    expect((await apiKeys.find(text)).principal.role).toBe('editor')
    await accounts.change(ada.id, { role: 'user' })
  })
})

test('revoke leaves the key of another account', async () => {
  const { row, text } = await make()
  expect(await apiKeys.revoke(row.id, newUuid())).toBe(false)
  expect(await statusOf(text)).toBe(200)
  expect(await apiKeys.revoke(row.id, ada.id)).toBe(true)
})

test('findById gives what the key would, while that is good', async () => {
  const { row, text } = await make({ expiresAt: accounts.clock() + 1000 })
  expect(await apiKeys.findById(row.id)).toEqual(await apiKeys.find(text))
  accounts.advance(1)
  expect(await apiKeys.findById(row.id)).toBeUndefined()
  expect(await apiKeys.findById(newUuid())).toBeUndefined()
})

describe('last_used_at', () => {
  const usesOf = async (id: string) => (await rowOf(id))['last_used_at']
  const at = () => new Date(accounts.clock()).toISOString()

  test('is written behind the request, and again a minute later at the earliest', async () => {
    const { row, text } = await make()
    await me(text)
    expect(await usesOf(row.id)).toBeNull()
    await apiKeys.settle()
    const first = await usesOf(row.id)
    expect(first).toBe(at())
    const { _version: version } = await rowOf(row.id)
    for (const step of [0, 30, 29.999]) {
      accounts.advance(step)
      expect(await statusOf(text)).toBe(200)
      await apiKeys.settle()
      expect([await usesOf(row.id), (await rowOf(row.id))._version]).toEqual([first, version])
    }
    accounts.advance(0.001)
    expect(await statusOf(text)).toBe(200)
    await apiKeys.settle()
    expect(await usesOf(row.id)).toBe(at())
  })

  test('is written by itself, once for many uses', async () => {
    const { row, text } = await make()
    await Promise.all(Array.from({ length: 20 }, () => me(text)))
    for (let wait = 0; (await usesOf(row.id)) === null && wait < 100; wait++) await Bun.sleep(50)
    expect((await rowOf(row.id))._version).toBe(2)
  })

  test('is set anew where the clock was set back', async () => {
    const { row, text } = await make()
    accounts.advance(3600)
    await me(text)
    await apiKeys.settle()
    accounts.advance(-3600)
    await me(text)
    await apiKeys.settle()
    expect(await usesOf(row.id)).toBe(at())
  })

  test('of a key that is revoked meanwhile is nobody’s failure; another failure is logged', async () => {
    const lines: string[] = []
    const clock = accounts.clock
    const logger = createLogger({ level: 'debug', format: 'json', write: (line) => lines.push(line), clock })
    const own = createApiKeys({ store, clock, logger })
    const { row, text } = await make()
    await own.find(text)
    await own.revoke(row.id)
    await own.settle()
    expect(lines).toEqual([])

    const other = await make()
    await own.find(other.text)
    const commit = spyOn(store, 'commit').mockRejectedValue(new Error('canary-disk'))
    await own.settle()
    commit.mockRestore()
    expect(lines.join('')).toContain('canary-disk')
    expect(await usesOf(other.row.id)).toBeNull()
    await own.find(other.text)
    await own.settle()
    expect(await usesOf(other.row.id)).toBe(at())
  })
})

test(`an account has ${KEYS_MAX} keys and no more, also by requests at once`, async () => {
  const eve = await accounts.register('eve@example.com')
  const outcomes = await Promise.allSettled(
    Array.from({ length: KEYS_MAX + 5 }, () => make({ userId: eve.id })),
  )
  const refused = outcomes.filter((one) => one.status === 'rejected')
  expect(refused.map(({ reason }) => (reason as { code: string }).code)).toEqual(Array(5).fill('conflict'))
  const keys = await apiKeys.list(eve.id)
  expect(keys).toHaveLength(KEYS_MAX)
  expect(await apiKeys.revoke(keys[0]!.id, eve.id)).toBe(true)
  await make({ userId: eve.id })
  await expect(make({ userId: eve.id })).rejects.toMatchObject({ code: 'conflict', status: 409 })
})
