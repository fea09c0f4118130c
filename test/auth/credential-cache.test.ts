import { beforeEach, describe, expect, test } from 'bun:test'
import { ANONYMOUS } from '../../src/access/principal.ts'
import {
  CREDENTIALS_MAX,
  createCredentialCache,
  type CredentialCache,
} from '../../src/auth/credential-cache.ts'

let now: number
let version: number
let cache: CredentialCache
const known = (untilMs = 1000) => Promise.resolve({ principal: ANONYMOUS, untilMs })

beforeEach(() => {
  now = 0
  version = 0
  cache = createCredentialCache({ version: () => version, clock: () => now })
})

describe('a credential', () => {
  test('is known once it was learnt, until its time is over', async () => {
    expect(cache.get('a')).toBeUndefined()
    expect(await cache.learn('a', () => known())).toBe(ANONYMOUS)
    now = 999
    expect(cache.get('a')).toBe(ANONYMOUS)
    now = 1000
    expect(cache.get('a')).toBeUndefined()
  })

  test('is unknown as soon as something changed', async () => {
    await cache.learn('a', () => known())
    version += 1
    expect(cache.get('a')).toBeUndefined()
  })

  test('is not kept where something changed while it was looked up', async () => {
    await cache.learn('a', () => {
      version += 1
      return known()
    })
    expect(cache.get('a')).toBeUndefined()
  })

  test('is unknown while what it hangs on is gone', async () => {
    let isGood = true
    await cache.learn('a', async () => ({ ...(await known()), isGood: () => isGood }))
    expect(cache.get('a')).toBe(ANONYMOUS)
    isGood = false
    expect(cache.get('a')).toBeUndefined()
  })

  test('that is wrong is not kept', async () => {
    expect(cache.learn('a', () => Promise.reject(new Error('wrong')))).rejects.toThrow('wrong')
    expect(cache.get('a')).toBeUndefined()
  })

  test('makes room where too many are known: the one that was learnt first goes', async () => {
    for (let index = 0; index < CREDENTIALS_MAX; index++) await cache.learn(String(index), () => known())
    expect(cache.get('0')).toBe(ANONYMOUS)
    await cache.learn('one more', () => known())
    expect(cache.get('0')).toBeUndefined()
    expect(cache.get('1')).toBe(ANONYMOUS)
  })
})
