import { expect, test } from 'bun:test'
import { nearest } from '../../src/core/nearest.ts'

const CANDIDATES = ['PORT', 'HOST', 'ALLOWED_HOSTS', 'BODY_LIMIT']

test.each([
  ['PORT', 'PORT'],
  ['PROT', 'PORT'],
  ['POT', 'PORT'],
  ['PORTS', 'PORT'],
  ['HSOT', 'HOST'],
  ['OPTR', 'PORT'],
  ['ALLOWED_HOST', 'ALLOWED_HOSTS'],
  ['BODYLIMIT', 'BODY_LIMIT'],
  ['ALOWD_HOTS', 'ALLOWED_HOSTS'],
  ['WORKERS', undefined],
  ['', undefined],
  ['P'.repeat(60), undefined],
  ['P'.repeat(100_000), undefined],
] as const)('%p suggests %p', (word, suggestion) => {
  expect(nearest(word, CANDIDATES)).toBe(suggestion as string)
})
