import { beforeEach, describe, expect, test } from 'bun:test'
import {
  createFlows,
  FLOW_SECONDS,
  usedStatesTable,
  type Flow,
  type Flows,
} from '../../../src/auth/oidc/flow.ts'
import { AppError } from '../../../src/core/errors.ts'
import type { Store } from '../../../src/storage/store.ts'
import { createUserStore } from '../accounts.ts'

const FLOW: Flow = { state: 'a state', nonce: 'a nonce', verifier: 'a verifier', provider: 'auth0' }
let store: Store
let now: number
let flows: Flows

beforeEach(() => {
  store = createUserStore()
  now = Date.parse('2026-01-31T12:00:00Z')
  flows = make()
})

const make = (more: Partial<Parameters<typeof createFlows>[0]> = {}): Flows =>
  createFlows({ store, secret: new Uint8Array(32).fill(7), clock: () => now, isSecure: false, ...more })
const pairOf = (setCookie: string) => setCookie.slice(0, setCookie.indexOf(';'))
const take = (cookies: string | null, state: string | null = FLOW.state, provider = FLOW.provider) =>
  flows.take({ provider, state, cookies })

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'taken'
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return error.code
  }
}

describe('the cookie', () => {
  test('is for no script, no other site and no other route, and for ten minutes', () => {
    const [, ...attributes] = flows.cookieOf(FLOW).split('; ')
    expect(attributes.toSorted()).toEqual(['HttpOnly', 'Max-Age=600', 'Path=/auth/oidc', 'SameSite=Lax'])
    expect(flows.removalOf(FLOW)).toContain('=; Max-Age=0; Path=/auth/oidc')
  })

  test('is for https alone where the public address is https', () => {
    const flow = make({ isSecure: true })
    expect(flow.cookieOf(FLOW)).toEndWith('; Secure')
    expect(flow.removalOf(FLOW)).toEndWith('; Secure')
  })

  test('of the longest address to end at is one that browsers take', () => {
    const cookie = flows.cookieOf({ ...FLOW, redirectTo: `https://a.example/${'x'.repeat(2030)}` })
    expect(cookie.length).toBeLessThan(4096)
  })
})

describe('a sign-in under way', () => {
  test('comes back once', async () => {
    const flow = { ...FLOW, redirectTo: 'https://a.example/' }
    const cookies = pairOf(flows.cookieOf(flow))
    expect(await take(`a=b; ${cookies}; c=d`)).toMatchObject(flow)
    expect(await codeOf(take(cookies))).toBe('bad_request')
  })

  test('comes back to one of ten requests at once, on two nodes', async () => {
    const cookies = pairOf(flows.cookieOf(FLOW))
    const other = make()
    const all = Array.from({ length: 10 }, (_, at) =>
      codeOf((at % 2 === 0 ? flows : other).take({ provider: 'auth0', state: FLOW.state, cookies })),
    )
    expect((await Promise.all(all)).filter((one) => one === 'taken')).toHaveLength(1)
  })

  test('does not disturb another in the same browser', async () => {
    const second = { ...FLOW, state: 'another state' }
    const cookies = [FLOW, second].map((flow) => pairOf(flows.cookieOf(flow))).join('; ')
    expect(await take(cookies, second.state)).toMatchObject({ state: second.state })
    expect(await take(cookies)).toMatchObject({ state: FLOW.state })
  })

  test.each<[number, string]>([
    [0, 'taken'],
    [FLOW_SECONDS - 1, 'taken'],
    [FLOW_SECONDS, 'bad_request'],
    [-1, 'bad_request'],
  ])('after %d s is %s', async (seconds, expected) => {
    const cookies = pairOf(flows.cookieOf(FLOW))
    now += seconds * 1000
    expect(await codeOf(take(cookies))).toBe(expected)
  })
})

describe('nothing comes back', () => {
  const good = () => pairOf(flows.cookieOf(FLOW))
  const [name, value] = [
    (text: string) => text.split('=')[0] ?? '',
    (text: string) => text.slice(text.indexOf('=') + 1),
  ]
  test.each<[string, () => string | null]>([
    ['without a cookie', () => null],
    ['with an empty one', () => ''],
    ['with one of another browser', () => pairOf(flows.cookieOf({ ...FLOW, state: 'other' }))],
    ['with one of another name', () => `hipflask_oidc_x=${value(good())}`],
    [
      'with one of another sign-in under this name',
      () => `${name(good())}=${value(pairOf(flows.cookieOf({ ...FLOW, state: 'other' })))}`,
    ],
    ['with one of another secret', () => pairOf(make({ secret: new Uint8Array(32) }).cookieOf(FLOW))],
    [
      'with another payload',
      () => `${name(good())}=${Buffer.from('{}').toString('base64url')}.${value(good()).split('.')[1]}`,
    ],
    ['without a signature', () => `${name(good())}=${value(good()).split('.')[0]}`],
    ['with an empty signature', () => `${name(good())}=${value(good()).split('.')[0]}.`],
    ['with half a signature', () => good().slice(0, -20)],
    ['with no value', () => `${name(good())}=`],
    ['with two of them', () => `${good()}; ${good()}`],
    ['in a header that is too long', () => `${good()}; a=${'x'.repeat(16 * 1024)}`],
  ])('%s', async (_, cookies) => {
    expect(await codeOf(take(cookies()))).toBe('bad_request')
    expect(await store.list({ table: usedStatesTable.name, limit: 10 })).toEqual([])
  })

  test('for another state, no state, or at another provider', async () => {
    expect(await codeOf(take(good(), 'other'))).toBe('bad_request')
    expect(await codeOf(take(good(), null))).toBe('bad_request')
    expect(await codeOf(take(good(), FLOW.state, 'google'))).toBe('bad_request')
    expect(await codeOf(take(good(), ''))).toBe('bad_request')
  })

  test('for any cookie with one letter changed', async () => {
    const cookies = good()
    const from = cookies.indexOf('=') + 1
    for (let at = from; at < cookies.length - 1; at++) {
      const letter = cookies[at] === 'A' ? 'B' : 'A'
      const changed = cookies.slice(0, at) + letter + cookies.slice(at + 1)
      expect(await codeOf(take(changed))).toBe('bad_request')
    }
  })
})
