import { describe, expect, test } from 'bun:test'
import { parseSchedule } from '../../src/config/schedule.ts'

const at = (text: string) => Date.parse(text)

describe('the next time', () => {
  const cases: [text: string, after: string, next: string][] = [
    ['1s', '2026-11-27T22:00:00.999Z', '2026-11-27T22:00:01Z'],
    ['30m', '2026-11-27T22:00:00Z', '2026-11-27T22:30:00Z'],
    ['30m', '2026-11-27T22:29:59.999Z', '2026-11-27T22:30:00Z'],
    ['6h', '2026-11-27T22:00:00Z', '2026-11-28T00:00:00Z'],
    ['1d', '2026-12-31T00:00:00Z', '2027-01-01T00:00:00Z'],
    ['30d', '1970-01-01T00:00:00Z', '1970-01-31T00:00:00Z'],
    ['0 3 * * *', '2026-11-27T22:00:00Z', '2026-11-28T03:00:00Z'],
    ['0 3 * * *', '2026-11-28T03:00:00Z', '2026-11-29T03:00:00Z'],
    ['*/15 8-9 * * MON-FRI', '2026-11-27T09:45:00Z', '2026-11-30T08:00:00Z'],
    ['@hourly', '2026-11-27T22:00:00Z', '2026-11-27T23:00:00Z'],
  ]
  test.each(cases)('of %s after %s is %s', (text, after, next) => {
    expect(parseSchedule(text)?.next(at(after))).toBe(at(next))
  })

  test('does not depend on the zone of the machine', () => {
    const zone = process.env.TZ
    process.env.TZ = 'America/New_York'
    try {
      expect(parseSchedule('0 3 * * *')?.next(at('2026-11-27T22:00:00Z'))).toBe(at('2026-11-28T03:00:00Z'))
    } finally {
      if (zone === undefined) delete process.env.TZ
      else process.env.TZ = zone
    }
  })
})

test('it prints as it was given', () => {
  expect(`${parseSchedule('6h')}`).toBe('6h')
  expect(JSON.stringify(parseSchedule('0 3 * * *'))).toBe('"0 3 * * *"')
})
