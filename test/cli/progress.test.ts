// What is drawn on a terminal, and that nothing is drawn without one.
import { describe, expect, test } from 'bun:test'
import { createProgress } from '../../src/cli/progress.ts'

function drawn(
  isTerminal: boolean,
  steps: readonly [atMs: number, records: number, ratio?: number | undefined][],
): string[] {
  const out: string[] = []
  let now = 1000
  const progress = createProgress({
    label: 'Importing items',
    isTerminal,
    write: (text) => out.push(text),
    clock: () => now,
  })
  for (const [atMs, records, ratio] of steps) {
    now = 1000 + atMs
    progress.show(records, ratio)
  }
  progress.end()
  return out
}

const CLEAR = '\r\u001b[2K'

test('without a terminal nothing is written', () => {
  expect(drawn(false, [[0, 1, 0.5]])).toEqual([])
})

test('nothing that was drawn stays', () => {
  expect(drawn(true, [[0, 1, 0.5]]).at(-1)).toBe(CLEAR)
  expect(drawn(true, [])).toEqual([])
})

test('it is drawn at most once in 100 ms', () => {
  const lines = drawn(true, [
    [0, 1],
    [99, 2],
    [100, 3],
    [199, 4],
    [200, 5],
  ])
  expect(lines).toHaveLength(4)
  expect(lines[1]).toContain('  3 records')
  expect(lines[2]).toContain('  5 records')
})

describe('a line', () => {
  const cases: [records: number, ratio: number | undefined, line: string][] = [
    [0, 0, 'Importing items  [........................]    0 %  0 records  0/s'],
    [500, 0.5, 'Importing items  [############............]   50 %  500 records  250/s'],
    [1234567, 0.999, 'Importing items  [########################]   99 %  1,234,567 records  617,284/s'],
    [1000, 1, 'Importing items  [########################]  100 %  1,000 records  500/s'],
    [1000, 1.2, 'Importing items  [########################]  100 %  1,000 records  500/s'],
    [999, undefined, 'Importing items  999 records  500/s'],
  ]
  test.each(cases)('of %i records and %p', (records, ratio, line) => {
    const [first] = drawn(true, [[2000, records, ratio]])
    expect(first).toBe(CLEAR + line)
    expect(line.length).toBeLessThanOrEqual(80)
  })
})

test('of bytes, step after step', () => {
  const out: string[] = []
  let now = 0
  const progress = createProgress({
    label: 'Copying',
    unit: 'MB',
    isTerminal: true,
    write: (text) => out.push(text),
    clock: () => now,
  })
  now = 1000
  progress.show(50.4, 0.5)
  progress.relabel('Checking')
  now = 1500
  progress.show(100)
  progress.relabel('Checking')
  now = 2000
  progress.show(100)
  expect(out.map((line) => line.slice(CLEAR.length))).toEqual([
    'Copying  [############............]   50 %  50 MB  50/s',
    'Checking  100 MB  200/s',
    'Checking  100 MB  100/s',
  ])
})
