import { describe, expect, test } from 'bun:test'
import { createRateLimiter, type RateLimiter } from '../../src/http/rate-limit.ts'

const WINDOW_MS = 900_000

interface Options {
  limit?: number
  windowMs?: number
  keysMax?: number
  startMs?: number
}

/** A limiter with a clock that tests move. */
function createLimiter({ limit = 10, windowMs = WINDOW_MS, keysMax = 1000, startMs = 0 }: Options = {}) {
  let nowMs = startMs
  const limiter = createRateLimiter({ limit, windowMs, keysMax, now: () => nowMs })
  return {
    ...limiter,
    advance: (ms: number) => void (nowMs += ms),
    isGranted: (key: string) => limiter.take(key).retryAfterSeconds === undefined,
  }
}

function grants({ take }: Pick<RateLimiter, 'take'>, key: string, tries: number): number {
  let count = 0
  for (let index = 0; index < tries; index++) if (take(key).retryAfterSeconds === undefined) count++
  return count
}

/** The same numbers at each run (xorshift). */
function createRandom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

describe('a limiter', () => {
  test.each([
    [1, 1000],
    [2, 1000],
    [7, 1000],
    [10, 900_000],
    [100, 10_000],
    [10_000, 1000],
    [3, 86_400_000],
  ])('of %d in %d ms grants so many at once, then one each part of the window', (limit, windowMs) => {
    const limiter = createLimiter({ limit, windowMs, startMs: 123_456_789.123 })
    expect(grants(limiter, 'a', limit + 5)).toBe(limit)
    const partMs = Math.ceil(windowMs / limit)
    limiter.advance(partMs - 1)
    if (partMs > 1) expect(grants(limiter, 'a', 2)).toBe(0)
    limiter.advance(1)
    // Of a part that is no whole number of ms.
    expect(grants(limiter, 'a', 100)).toBe(Math.floor((partMs * limit) / windowMs))
    limiter.advance(windowMs)
    expect(grants(limiter, 'a', limit + 5)).toBe(limit)
  })

  test('counts each key by itself, whatever it is called', () => {
    const limiter = createLimiter({ limit: 1 })
    for (const key of ['', 'a', 'A', '__proto__', 'constructor', 'a'.repeat(10_000)]) {
      expect([limiter.isGranted(key), limiter.isGranted(key)]).toEqual([true, false])
    }
  })

  test('does not put the next grant off for what it refuses', () => {
    const limiter = createLimiter({ limit: 1, windowMs: 10_000 })
    expect(grants(limiter, 'a', 1000)).toBe(1)
    limiter.advance(9999)
    expect(grants(limiter, 'a', 1000)).toBe(0)
    limiter.advance(1)
    expect(grants(limiter, 'a', 1000)).toBe(1)
  })

  test('tells what remains, when all is back, and when to come again', () => {
    const { take, advance } = createLimiter({ limit: 3, windowMs: 9000 })
    const granted = { retryAfterSeconds: undefined }
    expect(take('a')).toEqual({ ...granted, remaining: 2, resetSeconds: 3 })
    expect(take('a')).toEqual({ ...granted, remaining: 1, resetSeconds: 6 })
    expect(take('a')).toEqual({ ...granted, remaining: 0, resetSeconds: 9 })
    expect(take('a')).toEqual({ retryAfterSeconds: 3, remaining: 0, resetSeconds: 9 })
    advance(1999)
    expect(take('a')).toEqual({ retryAfterSeconds: 2, remaining: 0, resetSeconds: 8 })
    advance(1000)
    expect(take('a')).toEqual({ retryAfterSeconds: 1, remaining: 0, resetSeconds: 7 })
    advance(1)
    expect(take('a')).toEqual({ ...granted, remaining: 0, resetSeconds: 9 })
  })

  test('grants after the seconds that it tells, never says 0, and no second too many', () => {
    const random = createRandom(1)
    for (let round = 0; round < 300; round++) {
      const limiter = createLimiter({ limit: 1 + random(20), windowMs: 1000 * (1 + random(100)) })
      for (let index = 0; index < 30; index++) {
        limiter.advance(random(2000) / 7)
        const { retryAfterSeconds } = limiter.take('a')
        if (retryAfterSeconds === undefined) continue
        expect(retryAfterSeconds).toBeGreaterThanOrEqual(1)
        limiter.advance((retryAfterSeconds - 1) * 1000)
        // A whole number of seconds covers less than one more.
        if (retryAfterSeconds > 1) expect(limiter.isGranted('a')).toBe(false)
        limiter.advance(1000)
        expect(limiter.isGranted('a')).toBe(true)
      }
    }
  })

  test('grants whatever keeps every stretch of time within limit + elapsed × rate, and nothing else', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = createRandom(seed * 7919)
      const limit = 1 + random(12)
      const windowMs = 1 + random(500)
      const limiter = createLimiter({ limit, windowMs })
      const grantedAt: number[] = []
      let at = 0
      for (let index = 0; index < 200; index++) {
        const pause = random(3) === 0 ? random(Math.ceil((3 * windowMs) / limit) + 1) : 0
        at += pause
        limiter.advance(pause)
        const isWithin = grantedAt.every(
          (since, before) => (grantedAt.length - before + 1 - limit) * windowMs <= (at - since) * limit,
        )
        expect({ seed, index, isGranted: limiter.isGranted('a') }).toEqual({
          seed,
          index,
          isGranted: isWithin,
        })
        if (isWithin) grantedAt.push(at)
      }
    }
  })
})

describe('giving back', () => {
  test('leaves all as if the take had not been, also among others and where the limit is no divisor', () => {
    for (let seed = 1; seed <= 200; seed++) {
      const random = createRandom(seed * 104_729)
      const options = { limit: 1 + random(12), windowMs: 1 + random(500) }
      const [tried, untried] = [createLimiter(options), createLimiter(options)]
      for (let index = 0; index < 100; index++) {
        const pause = random(60)
        for (const limiter of [tried, untried]) limiter.advance(pause)
        const held = grants(tried, 'a', random(5))
        const others = Math.min(random(4), held)
        for (let count = 0; count < held - others; count++) tried.giveBack('a')
        for (let count = 0; count < others; count++) untried.take('a')
        const at = { seed, index }
        expect({ ...at, ...tried.take('a') }).toEqual({ ...at, ...untried.take('a') })
      }
    }
  })

  test('lets what was full be taken again at once, and no more', () => {
    const limiter = createLimiter({ limit: 3 })
    expect(grants(limiter, 'a', 9)).toBe(3)
    limiter.giveBack('a')
    limiter.giveBack('a')
    expect(grants(limiter, 'a', 9)).toBe(2)
  })

  test('of what nobody took, or of what has come back by itself, gives nothing', () => {
    const limiter = createLimiter({ limit: 3, windowMs: 3000 })
    limiter.giveBack('a')
    expect(grants(limiter, 'a', 9)).toBe(3)
    limiter.advance(3000)
    for (let count = 0; count < 3; count++) limiter.giveBack('a')
    expect(grants(limiter, 'a', 9)).toBe(3)
  })

  test('late, never lets more than limit + elapsed × rate stand, in any stretch of time', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const random = createRandom(seed * 15_485_863)
      const limit = 1 + random(10)
      const windowMs = 1 + random(300)
      const limiter = createLimiter({ limit, windowMs })
      const steps: { at: number; change: number }[] = []
      let at = 0
      let held = 0
      for (let index = 0; index < 150; index++) {
        const pause = random(2) * random(Math.ceil((2 * windowMs) / limit) + 1)
        at += pause
        limiter.advance(pause)
        if (held > 0 && random(3) === 0) {
          limiter.giveBack('a')
          held -= 1
          steps.push({ at, change: -1 })
        } else if (limiter.isGranted('a')) {
          held += random(2)
          steps.push({ at, change: 1 })
        }
        let standing = 0
        for (const step of steps.toReversed()) {
          standing += step.change
          expect((standing - limit) * windowMs).toBeLessThanOrEqual((at - step.at) * limit)
        }
      }
    }
  })
})

describe('the bound of keys', () => {
  const KEYS = 100
  const flood = (limiter: RateLimiter, count: number, takes: number, name = 'flood') => {
    for (let index = 0; index < count; index++) grants(limiter, `${name} ${index}`, takes)
  }
  /** Takes that the key has standing, as far as the limiter remembers. */
  const standing = ({ take }: RateLimiter, key: string, limit = 10) => {
    const { retryAfterSeconds, remaining } = take(key)
    return retryAfterSeconds === undefined ? limit - 1 - remaining : limit
  }

  test.each([
    [KEYS - 1, 1],
    [KEYS, 0],
  ])('beside one key, %d others leave %d of it', (others, left) => {
    const limiter = createLimiter({ keysMax: KEYS })
    limiter.take('a')
    flood(limiter, others, 1)
    expect(standing(limiter, 'a')).toBe(left)
  })

  test.each([
    [10, 1],
    [10, 4],
    [10, 9],
    [5, 4],
    [2, 1],
  ])('a key with %d takes outlives any number of others with %d', (takes, others) => {
    const limiter = createLimiter({ keysMax: KEYS })
    grants(limiter, 'a', takes)
    flood(limiter, KEYS * 20, others)
    expect(standing(limiter, 'a')).toBe(takes)
  })

  test('a key that is used up is forgotten only where as many others are', () => {
    const limiter = createLimiter({ keysMax: KEYS })
    grants(limiter, 'a', 10)
    flood(limiter, KEYS - 1, 10)
    expect(limiter.isGranted('a')).toBe(false)
    flood(limiter, KEYS, 10, 'more')
    expect(limiter.isGranted('a')).toBe(true)
  })

  test('what has come back is forgotten before all that has not', () => {
    const limiter = createLimiter({ keysMax: KEYS })
    // Many takes long ago, and one each just now.
    flood(limiter, KEYS / 2, 10, 'old')
    limiter.advance(WINDOW_MS)
    flood(limiter, KEYS / 2, 1, 'new')
    flood(limiter, KEYS / 2, 1, 'newest')
    for (let index = 0; index < KEYS / 2; index++) expect(standing(limiter, `new ${index}`)).toBe(1)
  })

  test('of keys with as much the oldest is forgotten, and a new take makes a key new', () => {
    const limiter = createLimiter({ keysMax: 3 })
    for (const key of ['a', 'a', 'b', 'b', 'c', 'c', 'a', 'd']) limiter.take(key)
    expect(standing(limiter, 'a')).toBe(3)
    expect(standing(limiter, 'c')).toBe(2)
    expect(standing(limiter, 'b')).toBe(0)
  })

  test('a refusal does not make a key new', () => {
    const limiter = createLimiter({ limit: 2, keysMax: 3 })
    for (const key of ['a', 'b', 'c']) {
      expect(grants(limiter, key, 2)).toBe(2)
      limiter.advance(1)
    }
    expect(limiter.isGranted('a')).toBe(false)
    limiter.take('d')
    expect([limiter.isGranted('b'), limiter.isGranted('c')]).toEqual([false, false])
  })

  test('a key that all was given back of leaves its place', () => {
    const limiter = createLimiter({ keysMax: KEYS })
    flood(limiter, KEYS, 1)
    for (let index = 0; index < KEYS * 20; index++) {
      limiter.giveBack(`flood ${KEYS - 1}`)
      limiter.take(`flood ${KEYS - 1}`)
    }
    expect(standing(limiter, 'flood 0')).toBe(1)
  })

  test.each([7, 33, 50, 10_000])('of a limit of %d, one that is used up outlives others', (limit) => {
    const limiter = createLimiter({ limit, keysMax: 3 })
    grants(limiter, 'a', limit)
    flood(limiter, 100, Math.floor(limit * 0.9))
    expect(limiter.isGranted('a')).toBe(false)
  })

  test('makes no difference while there is room', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const random = createRandom(seed * 611_953)
      const options = { limit: 1 + random(40), windowMs: 1 + random(1000) }
      const limiters = [30, 1000].map((keysMax) => createLimiter({ ...options, keysMax }))
      for (let index = 0; index < 400; index++) {
        const [key, pause, isBack] = [String(random(30)), random(40), random(4) === 0]
        const [tight, roomy] = limiters.map((limiter) => {
          limiter.advance(pause)
          if (isBack) limiter.giveBack(key)
          return limiter.take(key)
        })
        expect(tight).toEqual(roomy!)
      }
    }
  })
})
