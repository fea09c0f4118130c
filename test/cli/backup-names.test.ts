import { describe, expect, test } from 'bun:test'
import { automaticName, sortOut, warningsOf } from '../../src/cli/backup-names.ts'

const NOW = Date.parse('2026-01-10T00:00:00Z')
const MADE = automaticName(NOW)
const nameAt = (seconds: number) => automaticName(NOW + seconds * 1000)

describe('which backups are old', () => {
  const cases: [
    what: string,
    others: string[],
    keep: number,
    old: string[],
    ahead?: string[],
    junk?: string[],
  ][] = [
    ['none where there are as many as stay', [nameAt(-2), nameAt(-1)], 3, []],
    ['the oldest', [nameAt(-1), nameAt(-2), nameAt(-3)], 3, [nameAt(-3)]],
    ['all others where one stays', [nameAt(-2), nameAt(-1)], 1, [nameAt(-2), nameAt(-1)]],
    ['one of the next minute, rather than the one just made', [nameAt(60)], 1, [nameAt(60)]],
    ['none of a time to come', [nameAt(61), nameAt(-1)], 1, [nameAt(-1)], [nameAt(61)]],
    ['those of a time to come do not count', [nameAt(9e6), nameAt(-1)], 2, [], [nameAt(9e6)]],
    [
      'no month 13 and no 30th of February',
      ['hipflask-20261301T000000Z.db', 'hipflask-20260230T000000Z.db', nameAt(-1)],
      2,
      [],
      [],
      ['hipflask-20261301T000000Z.db', 'hipflask-20260230T000000Z.db'],
    ],
    ['no file of another name', ['hipflask-mine.db', `${nameAt(-1)}.old`, `x${nameAt(-1)}`], 1, []],
  ]
  test.each(cases)('%s', (_, others, keep, old, ahead = [], junk = []) => {
    const files = [MADE, ...others].map((name) => ({ name, size: 1 }))
    expect(sortOut(files, { made: MADE, keep, now: NOW })).toEqual({ old, ahead, junk })
  })

  test('an empty file does not count', () => {
    const files = [
      { name: nameAt(-2), size: 1 },
      { name: nameAt(-1), size: 0 },
    ]
    const { old, junk } = sortOut(files, { made: MADE, keep: 2, now: NOW })
    expect({ old, junk }).toEqual({ old: [], junk: [nameAt(-1)] })
  })

  test('one of a time that has passed is not ahead, also where one of an older time was made', () => {
    const files = [{ name: MADE, size: 1 }]
    const { ahead } = sortOut(files, { made: nameAt(-1e6), keep: 2, now: NOW })
    expect(ahead).toEqual([])
  })
})

test('warnings name the first of them, and how many there are', () => {
  const warnings = warningsOf({ ahead: ['a', 'b', 'c'], junk: ['d'] }, (name) => `/x/${name}`)
  expect(warnings).toEqual([
    expect.stringMatching(/^\/x\/a and 2 more are named for a time to come/),
    expect.stringMatching(/^\/x\/d is named as a backup and none/),
  ])
  expect(warningsOf({ ahead: [], junk: [] }, String)).toEqual([])
})
