import { describe, expect, test } from 'bun:test'
import { hasHash, idOfApiKey, idOfPrefix, newApiKey, prefixOf } from '../../src/auth/api-key-text.ts'
import { newUuid } from '../../src/core/ids.ts'

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const IDS = [
  '00000000-0000-0000-0000-000000000000',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
  '01991f6e-8c00-7000-8000-000000000003',
  newUuid(),
]

describe('a new key', () => {
  test.each(IDS)('of %s names it, in letters and digits', (id) => {
    const { text, hash } = newApiKey(id)
    expect(text).toMatch(/^hf_[0-9A-Za-z]{22}_[0-9A-Za-z]{49}$/)
    expect(text).toStartWith(`${prefixOf(id)}_`)
    expect([idOfApiKey(text), idOfPrefix(prefixOf(id))]).toEqual([id, id])
    expect(hash).toMatch(/^[\w-]{43}$/)
    expect(hasHash(text, hash)).toBe(true)
  })

  test('is another one each time, and its hash is of the whole', () => {
    const [one, other] = [newApiKey(IDS[2]!), newApiKey(IDS[2]!)]
    expect(one.text).not.toBe(other.text)
    expect(hasHash(one.text, other.hash)).toBe(false)
    expect(hasHash(one.text, '')).toBe(false)
    expect(hasHash(`${one.text}0`, one.hash)).toBe(false)
  })

  test('has 256 bits that differ everywhere', () => {
    const seen = Array.from({ length: 43 }, () => new Set<string>())
    for (let round = 0; round < 400; round++) {
      const secret = newApiKey(IDS[2]!).text.slice(26, 69)
      for (const [at, digit] of [...secret].entries()) seen[at]!.add(digit)
    }
    // The first digit is 0 or 1, since 62^43 is little more than 2^256.
    expect(seen.slice(1).every((digits) => digits.size > 50)).toBe(true)
  })
})

describe('a typo', () => {
  const { text } = newApiKey(IDS[3]!)
  const variants = new Map<string, string[]>([
    ['changed', []],
    ['dropped', []],
    ['doubled', []],
    ['swapped with its neighbour', []],
  ])
  for (let at = 0; at < text.length; at++) {
    const [before, own, next, after] = [text.slice(0, at), text[at]!, text[at + 1] ?? '', text.slice(at + 2)]
    for (const digit of DIGITS) {
      if (digit !== own) variants.get('changed')!.push(before + digit + next + after)
    }
    variants.get('dropped')!.push(before + next + after)
    variants.get('doubled')!.push(before + own + own + next + after)
    if (next !== '' && next !== own)
      variants.get('swapped with its neighbour')!.push(before + next + own + after)
  }

  for (const [kind, texts] of variants) {
    test(`of one character ${kind} makes it no key`, () => {
      expect(texts.length).toBeGreaterThan(60)
      expect(texts.filter((one) => idOfApiKey(one) !== undefined)).toEqual([])
    })
  }
})

test.each([
  '',
  'hf_',
  'hf__',
  `hf_${'0'.repeat(22)}_${'0'.repeat(49)}`,
  `hf_${'z'.repeat(22)}_${'0'.repeat(49)}`,
  `HF_${newApiKey(IDS[3]!).text.slice(3)}`,
  ` ${newApiKey(IDS[3]!).text}`,
  `${newApiKey(IDS[3]!).text}\n`,
  `${newApiKey(IDS[3]!).text}=`,
  'x'.repeat(100_000),
])('%p is no key', (text) => {
  expect(idOfApiKey(text)).toBeUndefined()
})

test.each(['', 'hf_', `hf_${'z'.repeat(22)}`, `hf_${'0'.repeat(21)}`, `${prefixOf(IDS[3]!)}_`, IDS[3]!])(
  '%p is the prefix of no key',
  (prefix) => {
    expect(idOfPrefix(prefix)).toBeUndefined()
  },
)
