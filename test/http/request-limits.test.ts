import { describe, expect, test } from 'bun:test'
import { ANONYMOUS, type Principal } from '../../src/access/principal.ts'
import { AppError } from '../../src/core/errors.ts'
import {
  COUNTED_MAX,
  createRequestLimits,
  type Claim,
  type Countable,
} from '../../src/http/request-limits.ts'

const ADA: Principal = { ...ANONYMOUS, kind: 'user', id: 'ada', role: 'user' }
const BOB: Principal = { ...ANONYMOUS, kind: 'user', id: 'bob', role: 'user' }

/** Limits of `limit` in ten seconds, with a clock of the test. */
function createLimits(limit = 3) {
  let time = 0
  const refused: string[] = []
  const limits = createRequestLimits({
    rate: { limit, windowMs: 10_000 },
    addressOf: (request) => request.headers.get('address') ?? '192.0.2.1',
    onRefused: (by) => refused.push(by),
    now: () => time,
  })
  const countedOf = (address: string): Countable => ({
    request: new Request('http://a/', { headers: { address } }),
    quota: undefined,
    claimed: undefined,
  })
  /** 200, or the code of the refusal. */
  const attempt = async (count: () => unknown): Promise<string | number> => {
    try {
      await count()
      return 200
    } catch (error) {
      return (error as AppError).code
    }
  }
  return {
    limits,
    countedOf,
    refused,
    pass: (ms: number) => (time += ms),
    anonymous: (address = '192.0.2.1') => attempt(() => limits.countNetwork(countedOf(address))),
    call: (find: (claim: Claim) => Principal | Promise<Principal>, address = '192.0.2.1') =>
      attempt(() => limits.countCaller(countedOf(address), (counted, claimOf) => find(claimOf(counted)))),
  }
}

const times = async <T>(count: number, run: () => Promise<T>): Promise<T[]> => {
  const results: T[] = []
  for (let at = 0; at < count; at++) results.push(await run())
  return results
}

/** A credential that must be looked at, which takes a while. */
const unknown = (principal: Principal, seen?: { looks: number }) => async (claim: Claim) => {
  claim()
  if (seen !== undefined) seen.looks += 1
  await Bun.sleep(0)
  return principal
}
const wrong = (seen?: { looks: number }) => async (claim: Claim) => {
  await unknown(ANONYMOUS, seen)(claim)
  throw new AppError('invalid_token')
}

describe('a network', () => {
  test('may make so many requests, then one each time that a share of the window has passed', async () => {
    const { anonymous, pass, refused } = createLimits()
    expect(await times(4, anonymous)).toEqual([200, 200, 200, 'rate_limited'])
    pass(3333)
    expect(await anonymous()).toBe('rate_limited')
    pass(1)
    expect(await times(2, anonymous)).toEqual([200, 'rate_limited'])
    expect(refused).toEqual(['network', 'network', 'network'])
  })

  test.each([
    ['192.0.2.1', '192.0.2.2', false],
    ['2001:db8::1', '2001:db8::ffff:1', true],
    ['2001:db8::1', '2001:db8:0:1::1', false],
  ])('%s and %s are one: %p', async (one, other, isOne) => {
    const { anonymous } = createLimits(1)
    expect(await anonymous(one)).toBe(200)
    expect(await anonymous(other)).toBe(isOne ? 'rate_limited' : 200)
  })

  test('is not forgotten for others before there are too many', async () => {
    const { anonymous } = createLimits(1)
    await anonymous('198.51.100.1')
    for (let at = 1; at < COUNTED_MAX; at++) await anonymous(`10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`)
    expect(await anonymous('198.51.100.1')).toBe('rate_limited')
    await anonymous('198.51.100.2')
    expect(await anonymous('198.51.100.1')).toBe(200)
  })
})

describe('an account', () => {
  test('has a count of its own, wherever it comes from, and is not held back by its neighbours', async () => {
    const { anonymous, call, refused } = createLimits()
    await times(4, anonymous)
    const asAda = (address?: string) => call(() => ADA, address)
    expect([await asAda(), await asAda('198.51.100.1'), await asAda('2001:db8::1')]).toEqual([200, 200, 200])
    expect(await asAda('198.51.100.2')).toBe('rate_limited')
    expect(await call(() => BOB)).toBe(200)
    expect(refused).toEqual(['network', 'account'])
  })

  test('is one with its API keys and sessions', async () => {
    const { call } = createLimits(2)
    const key: Principal = { ...ADA, kind: 'key', scopes: ['items:read'] }
    const elsewhere: Principal = { ...ADA, session_id: 'other' }
    expect([await call(() => ADA), await call(() => key), await call(() => elsewhere)]).toEqual([
      200,
      200,
      'rate_limited',
    ])
  })

  test('costs its network nothing', async () => {
    const { anonymous, call } = createLimits(3)
    expect(await times(3, () => call(unknown(ADA)))).toEqual([200, 200, 200])
    expect(await times(3, anonymous)).toEqual([200, 200, 200])
  })

  test('that is used up costs its network each credential that must be looked at', async () => {
    const { anonymous, call } = createLimits(3)
    await times(3, () => call(() => ADA))
    expect(await times(2, () => call(unknown(ADA)))).toEqual(['rate_limited', 'rate_limited'])
    expect(await times(2, anonymous)).toEqual([200, 'rate_limited'])
  })
})

describe('a credential that is not known', () => {
  test('is not looked at for a network that is used up', async () => {
    const { call } = createLimits()
    const seen = { looks: 0 }
    expect(await times(5, () => call(wrong(seen)))).toEqual([
      'invalid_token',
      'invalid_token',
      'invalid_token',
      'rate_limited',
      'rate_limited',
    ])
    expect(seen.looks).toBe(3)
    expect(await call(unknown(ADA, seen))).toBe('rate_limited')
    expect(seen.looks).toBe(3)
    // Nobody else is held back, nor who is known.
    expect(await call(() => ADA)).toBe(200)
    expect(await call(unknown(ADA), '198.51.100.1')).toBe(200)
  })

  test('is not looked at more often at once than the network may ask', async () => {
    const { call } = createLimits()
    const seen = { looks: 0 }
    await Promise.all(Array.from({ length: 20 }, () => call(wrong(seen))))
    expect(seen.looks).toBe(3)
  })

  test('counts for the network where it is refused by its form alone', async () => {
    const { anonymous, call } = createLimits()
    const malformed = () => {
      throw new AppError('ambiguous_credentials')
    }
    expect(await times(3, () => call(malformed))).toEqual(Array(3).fill('ambiguous_credentials'))
    expect(await call(malformed)).toBe('rate_limited')
    expect(await anonymous()).toBe('rate_limited')
  })
})

describe('an answer', () => {
  const ask = ({ limits, countedOf }: ReturnType<typeof createLimits>) => {
    const counted = countedOf('192.0.2.1')
    let response = new Response()
    try {
      limits.countNetwork(counted)
    } catch (error) {
      response = new Response(null, { status: 429, headers: (error as AppError).headers })
    }
    const { headers, status } = limits.tell(counted, response)
    return [status, ...['ratelimit-policy', 'ratelimit', 'retry-after'].map((name) => headers.get(name))]
  }

  test('tells what there may be and what is left, as structured fields', () => {
    const made = createLimits()
    const policy = '"default";q=3;w=10'
    expect(ask(made)).toEqual([200, policy, '"default";r=2;t=4', null])
    expect(ask(made)).toEqual([200, policy, '"default";r=1;t=7', null])
    expect(ask(made)).toEqual([200, policy, '"default";r=0;t=10', null])
    expect(ask(made)).toEqual([429, policy, '"default";r=0;t=10', '4'])
    made.pass(10_000)
    expect(ask(made)).toEqual([200, policy, '"default";r=2;t=4', null])
  })

  test('to what was not counted tells nothing', () => {
    const { limits, countedOf } = createLimits()
    expect([...limits.tell(countedOf('192.0.2.1'), new Response()).headers.keys()]).toEqual([])
  })
})
