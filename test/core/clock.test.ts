// What a clock that others set does to the two views of it: nothing that ended comes back, nothing is deleted ahead of
// its time, and neither lasts for ever.
import { describe, expect, test } from 'bun:test'
import { BELIEVED_AFTER_MS, SET_BACK_MAX_MS, createTimes } from '../../src/core/clock.ts'

const HOUR = 60 * 60 * 1000
const YEAR = 366 * 24 * HOUR
const START = Date.UTC(2026, 0, 1)

/** Times by clocks of the test: `pass` lets time go by, `set` changes the wall clock alone. */
function create(known?: { latest: number; lived: number }) {
  let wall = START
  let elapsed = 1234.5
  const times = createTimes({ wall: () => wall, monotonic: () => elapsed, known })
  return {
    latest: () => times.latest() - START,
    lived: () => times.lived() - START,
    pass(ms: number) {
      wall += ms
      elapsed += ms
    },
    set(ms: number) {
      wall += ms
    },
  }
}

describe('a clock that is left alone', () => {
  test('is both', () => {
    const times = create()
    for (const ms of [0, 1, HOUR, YEAR]) {
      times.pass(ms)
      expect(times.latest()).toBe(times.lived())
    }
    expect(times.latest()).toBe(HOUR + YEAR + 1)
  })
})

describe('a clock that is set back', () => {
  test.each([HOUR, SET_BACK_MAX_MS])('by %d ms brings nothing back', (ms) => {
    const times = create()
    times.pass(HOUR)
    times.set(-ms)
    expect(times.latest()).toBe(HOUR)
    times.pass(1000)
    expect(times.latest()).toBe(HOUR + 500)
    expect(times.lived()).toBe(HOUR + 1000 - ms)
    for (let rest = 2 * ms; rest > 1000; rest -= HOUR) {
      const before = times.latest()
      times.pass(Math.min(rest - 1000, HOUR))
      expect(times.latest()).toBeGreaterThan(before)
    }
    expect(times.latest()).toBe(HOUR + ms)
    expect(times.lived()).toBe(HOUR + ms)
  })

  test('by more than a day was wrong before', () => {
    const times = create()
    times.set(-SET_BACK_MAX_MS - 1)
    expect(times.latest()).toBe(-SET_BACK_MAX_MS - 1)
  })
})

describe('a clock that jumps ahead', () => {
  test.each([HOUR, YEAR])(
    'by %d ms and back refuses meanwhile, and neither deletes nor stays ahead',
    (ms) => {
      const times = create()
      times.set(ms)
      times.pass(1000)
      expect([times.latest(), times.lived()]).toEqual([ms + 1000, 1000])
      times.set(-ms)
      expect([times.latest(), times.lived()]).toEqual([1000, 1000])
    },
  )

  test('is believed when it has stayed ahead for a day', () => {
    const times = create()
    times.set(YEAR)
    times.lived()
    times.pass(BELIEVED_AFTER_MS - 1)
    expect(times.lived()).toBe(BELIEVED_AFTER_MS - 1)
    times.pass(1)
    expect(times.lived()).toBe(YEAR + BELIEVED_AFTER_MS)
    times.set(-HOUR)
    expect(times.latest()).toBe(YEAR + BELIEVED_AFTER_MS)
  })

  test('and back begins that day anew', () => {
    const times = create()
    times.set(YEAR)
    times.lived()
    times.pass(BELIEVED_AFTER_MS - 1)
    times.set(-YEAR)
    times.lived()
    times.set(YEAR)
    times.lived()
    times.pass(1)
    expect(times.lived()).toBe(BELIEVED_AFTER_MS)
  })
})

describe('what a former process knew', () => {
  test('holds where the clock was set back before the start', () => {
    const times = create({ latest: START + HOUR, lived: START + HOUR })
    expect([times.latest(), times.lived()]).toEqual([HOUR, 0])
    times.pass(1000)
    expect([times.latest(), times.lived()]).toEqual([HOUR + 500, 1000])
  })

  test('is wrong where it is more than a day ahead', () => {
    const times = create({ latest: START + YEAR, lived: START })
    expect([times.latest(), times.lived()]).toEqual([0, 0])
  })

  test('keeps a start with a clock that is ahead from deleting', () => {
    const times = create({ latest: START - YEAR, lived: START - YEAR })
    times.pass(1000)
    expect([times.latest(), times.lived()]).toEqual([1000, 1000 - YEAR])
  })
})
