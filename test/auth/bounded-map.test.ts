import { expect, test } from 'bun:test'
import { setBounded } from '../../src/auth/bounded-map.ts'

test('setBounded lets the oldest entry go when the map is full, and none for a key that is there', () => {
  const entries = new Map<string, number>()
  for (const key of ['a', 'b', 'c']) setBounded(entries, [key, 1], 3)
  setBounded(entries, ['a', 2], 3)
  expect([...entries]).toEqual([
    ['a', 2],
    ['b', 1],
    ['c', 1],
  ])
  setBounded(entries, ['d', 1], 3)
  expect([...entries.keys()]).toEqual(['b', 'c', 'd'])
})
