import { describe, expect, test } from 'bun:test'
import {
  ATTEMPTS_WAITING_MAX,
  NETWORK_FACTOR,
  createLoginLimits,
  type Attempt,
  type LoginLimits,
} from '../../src/auth/login-limits.ts'
import { AppError } from '../../src/core/errors.ts'

const RATE = { limit: 10, windowMs: 900_000 }
const NETWORK_LIMIT = RATE.limit * NETWORK_FACTOR
const PART_SECONDS = 90
const NETWORK_PART_SECONDS = 18

/** Limits with a clock that tests move; each attempt fails unless it is given back. */
function createLimits(rate: typeof RATE | 'off' = RATE) {
  let nowMs = 5000
  const limits = createLoginLimits({ rate, now: () => nowMs })
  return { ...limits, advance: (seconds: number) => void (nowMs += seconds * 1000) }
}

let addresses = 0
/** Of a network that nobody used yet. */
const freshAddress = () => `10.0.${++addresses >> 8}.${addresses & 255}`

/** Retry-After of the refusal, or 0 where the attempt may be made. */
async function refusalOf(attempt: () => Promise<Attempt>): Promise<number> {
  try {
    ;(await attempt()).keep()
    return 0
  } catch (error) {
    expect(error).toBeInstanceOf(AppError)
    const { code, headers, message, details } = error as AppError
    expect({ code, message, details }).toEqual({
      code: 'rate_limited',
      message: 'Too many requests, try again later',
      details: [],
    })
    expect(Object.keys(headers)).toEqual(['retry-after'])
    expect(headers['retry-after']).toMatch(/^[1-9][0-9]*$/)
    return Number(headers['retry-after'])
  }
}

async function fail(limits: LoginLimits, count: number, account?: string, address?: string): Promise<number> {
  for (let index = 0; index < count; index++) {
    const attempt = {
      account: account ?? `somebody-${index}@example.com`,
      address: address ?? freshAddress(),
    }
    const refusal = await refusalOf(() => limits.begin(attempt))
    if (refusal > 0) return refusal
  }
  return 0
}

describe('an account', () => {
  test('has so many failures from wherever, then one each part of the window', async () => {
    const limits = createLimits()
    expect(await fail(limits, RATE.limit, 'ada@example.com')).toBe(0)
    expect(await fail(limits, 1, 'ada@example.com')).toBe(PART_SECONDS)
    expect(await fail(limits, 1, 'eve@example.com')).toBe(0)
    limits.advance(PART_SECONDS - 0.001)
    expect(await fail(limits, 1, 'ada@example.com')).toBe(1)
    limits.advance(0.001)
    expect(await fail(limits, 1, 'ada@example.com')).toBe(0)
    expect(await fail(limits, 1, 'ada@example.com')).toBe(PART_SECONDS)
    limits.advance(900)
    expect(await fail(limits, RATE.limit, 'ada@example.com')).toBe(0)
    expect(await fail(limits, 1, 'ada@example.com')).toBe(PART_SECONDS)
  })

  test('that is used up costs the network nothing', async () => {
    const limits = createLimits()
    const address = '192.0.2.1'
    await fail(limits, RATE.limit, 'ada@example.com')
    for (let index = 0; index < 1000; index++)
      expect(await fail(limits, 1, 'ada@example.com', address)).toBe(PART_SECONDS)
    expect(await fail(limits, NETWORK_LIMIT, undefined, address)).toBe(0)
  })

  test('is no network, whatever it is called', async () => {
    const limits = createLimits()
    expect(await fail(limits, RATE.limit, '192.0.2.1', '192.0.2.1')).toBe(0)
    expect(await fail(limits, NETWORK_LIMIT - RATE.limit, undefined, '192.0.2.1')).toBe(0)
    expect(await fail(limits, 1, undefined, '192.0.2.1')).toBe(NETWORK_PART_SECONDS)
    expect(await fail(limits, 1, '192.0.2.2', freshAddress())).toBe(0)
  })
})

describe('a network', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1', '192.0.2.2'],
    ['2001:db8::1', '2001:db8::ffff:1:2:3', '2001:db8:0:1::1'],
    ['unknown', 'unknown', '192.0.2.1'],
  ])('has five times as many failures: %s with %s, not with %s', async (address, same, other) => {
    const limits = createLimits()
    expect(await fail(limits, NETWORK_LIMIT, undefined, address)).toBe(0)
    expect(await fail(limits, 1, 'ada@example.com', address)).toBe(NETWORK_PART_SECONDS)
    expect(await fail(limits, 1, 'ada@example.com', same)).toBe(NETWORK_PART_SECONDS)
    expect(await fail(limits, 1, 'ada@example.com', other)).toBe(0)
  })

  test('that is used up costs no account anything', async () => {
    const limits = createLimits()
    await fail(limits, NETWORK_LIMIT, undefined, '192.0.2.1')
    for (let index = 0; index < 100; index++) await fail(limits, 1, 'ada@example.com', '192.0.2.1')
    expect(await fail(limits, RATE.limit, 'ada@example.com')).toBe(0)
    expect(await fail(limits, 1, 'ada@example.com')).toBe(PART_SECONDS)
  })

  test('and an account that are both used up tell the longer wait', async () => {
    const limits = createLimits()
    await fail(limits, RATE.limit, 'ada@example.com')
    await fail(limits, NETWORK_LIMIT, undefined, '192.0.2.1')
    expect(await fail(limits, 1, 'ada@example.com', '192.0.2.1')).toBe(PART_SECONDS)
    limits.advance(PART_SECONDS - 5)
    await fail(limits, NETWORK_LIMIT, undefined, '192.0.2.2')
    expect(await fail(limits, 1, 'ada@example.com', '192.0.2.3')).toBe(5)
    expect(await fail(limits, 1, 'ada@example.com', '192.0.2.2')).toBe(NETWORK_PART_SECONDS)
  })
})

describe('an attempt', () => {
  const ada = { account: 'ada@example.com', address: '192.0.2.1' }

  /** What becomes of 50 attempts at once, each of which ends as `end` says as soon as it may be made. */
  async function storm(limits: LoginLimits, end: (attempt: Attempt) => void) {
    const attempts = Array.from({ length: 50 }, () =>
      refusalOf(async () => {
        const attempt = await limits.begin(ada)
        await Bun.sleep(1)
        end(attempt)
        return attempt
      }),
    )
    return (await Promise.all(attempts)).filter((refusal) => refusal === 0).length
  }

  test('is counted before it is decided, so that guesses at once are not free', async () => {
    expect(await storm(createLimits(), (attempt) => attempt.keep())).toBe(RATE.limit)
  })

  test('waits for others that are under way, so that right passwords at once are all taken', async () => {
    expect(await storm(createLimits(), (attempt) => attempt.giveBack())).toBe(50)
  })

  test('waits while there is room to wait', async () => {
    const limits = createLimits({ limit: 1, windowMs: 60_000 })
    const first = await limits.begin(ada)
    const waiting = Array.from({ length: ATTEMPTS_WAITING_MAX }, () => limits.begin(ada))
    expect(await refusalOf(() => limits.begin(ada))).toBe(60)
    first.giveBack()
    for (const one of waiting) (await one).giveBack()
    expect(await refusalOf(() => limits.begin(ada))).toBe(0)
  })

  test('that is given back costs neither anything, however often', async () => {
    const limits = createLimits()
    for (let index = 0; index < 1000; index++) (await limits.begin(ada)).giveBack()
    expect(await fail(limits, RATE.limit, ada.account, ada.address)).toBe(0)
    expect(await fail(limits, 1, ada.account)).toBe(PART_SECONDS)
    expect(await fail(limits, NETWORK_LIMIT - RATE.limit, undefined, ada.address)).toBe(0)
    expect(await fail(limits, 1, undefined, ada.address)).toBe(NETWORK_PART_SECONDS)
  })

  test('is given back once', async () => {
    const limits = createLimits()
    await fail(limits, RATE.limit - 1, ada.account)
    const attempt = await limits.begin(ada)
    for (let index = 0; index < 5; index++) attempt.giveBack()
    expect(await fail(limits, 1, ada.account)).toBe(0)
    expect(await fail(limits, 1, ada.account)).toBe(PART_SECONDS)
  })

  test('that succeeds forgives no failure', async () => {
    const limits = createLimits()
    for (let index = 0; index < RATE.limit; index++) {
      ;(await limits.begin(ada)).giveBack()
      expect(await fail(limits, 1, ada.account)).toBe(0)
    }
    expect(await refusalOf(() => limits.begin(ada))).toBe(PART_SECONDS)
  })

  test('has one end', async () => {
    const limits = createLimits()
    await fail(limits, RATE.limit - 1, ada.account)
    const attempt = await limits.begin(ada)
    attempt.keep()
    attempt.giveBack()
    expect(await refusalOf(() => limits.begin(ada))).toBe(PART_SECONDS)
  })
})

describe('a registration', () => {
  test('that fails counts for the network, like a login', async () => {
    const limits = createLimits()
    const address = '2001:db8::1'
    for (let index = 0; index < NETWORK_LIMIT - 1; index++) (await limits.beginRegistration(address)).keep()
    expect(await fail(limits, 1, undefined, '2001:db8::2')).toBe(0)
    expect(await refusalOf(() => limits.beginRegistration(address))).toBe(NETWORK_PART_SECONDS)
    expect(await refusalOf(() => limits.beginRegistration('2001:db8:1::1'))).toBe(0)
  })

  test('that succeeds costs nothing', async () => {
    const limits = createLimits()
    for (let index = 0; index < 1000; index++) (await limits.beginRegistration('192.0.2.1')).giveBack()
    expect(await fail(limits, NETWORK_LIMIT, undefined, '192.0.2.1')).toBe(0)
  })
})

test('off refuses nobody', async () => {
  const limits = createLimits('off')
  const attempt = { account: 'ada@example.com', address: '192.0.2.1' }
  for (let index = 0; index < 1000; index++) {
    ;(await limits.begin(attempt)).keep()
    ;(await limits.beginRegistration(attempt.address)).giveBack()
  }
  expect(await refusalOf(() => limits.begin(attempt))).toBe(0)
})
