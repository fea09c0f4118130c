import { describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { base62Length, decodeBase62, encodeBase62 } from '../../src/auth/base62.ts'
import { createRefreshTokens, isOfHash, refreshHash } from '../../src/auth/refresh-tokens.ts'
import { newUuid } from '../../src/core/ids.ts'

describe('base62', () => {
  test.each([
    ['zeros', new Uint8Array(16)],
    ['ones', new Uint8Array(16).fill(255)],
    ['a leading zero', Uint8Array.of(0, ...randomBytes(15))],
    ['one byte', Uint8Array.of(61)],
    ['68 bytes', new Uint8Array(randomBytes(68))],
  ])('brings back %s', (_, bytes) => {
    const text = encodeBase62(bytes)
    expect(text).toMatch(/^[0-9A-Za-z]+$/)
    expect(text).toHaveLength(base62Length(bytes.length))
    expect(decodeBase62(text, bytes.length)).toEqual(new Uint8Array(bytes))
  })

  test.each([
    ['too short', 'z'.repeat(21)],
    ['too long', '0'.repeat(23)],
    ['of another alphabet', `${'0'.repeat(21)}_`],
    ['beyond ASCII', `${'0'.repeat(21)}\u0130`],
    ['more than 16 bytes', 'z'.repeat(22)],
    ['empty', ''],
  ])('knows no text that is %s', (_, text) => {
    expect(decodeBase62(text, 16)).toBeUndefined()
  })
})

describe('a refresh token', () => {
  const secret = randomBytes(32)
  const tokens = createRefreshTokens(secret)
  const id = newUuid()

  test('tells its session and place', () => {
    const first = tokens.first(id)
    const second = tokens.successorOf(first)
    expect(first).toMatch(/^hfr_[0-9A-Za-z]{92}$/)
    expect(tokens.read(first)).toEqual({ sessionId: id, count: 0 })
    expect(tokens.read(second)).toEqual({ sessionId: id, count: 1 })
    expect(tokens.read(tokens.successorOf(second))).toEqual({ sessionId: id, count: 2 })
  })

  test('has one successor, on every node, and another one than any other token', () => {
    const [first, other] = [tokens.first(id), tokens.first(id)]
    expect(first).not.toBe(other)
    expect(tokens.successorOf(first)).toBe(createRefreshTokens(secret).successorOf(first))
    expect(tokens.successorOf(first)).not.toBe(tokens.successorOf(other))
  })

  test('is not known under another secret', () => {
    const foreign = createRefreshTokens(randomBytes(32)).first(id)
    expect(tokens.read(foreign)).toBeUndefined()
    expect(() => tokens.successorOf(foreign)).toThrow(TypeError)
  })

  test('is unknown after any single bit of its text or of what it stands for was flipped', () => {
    const token = tokens.first(id)
    const bytes = new TextEncoder().encode(token)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(tokens.read(flipped.toString('latin1'))).toBeUndefined()
    }
    const plain = decodeBase62(token.slice(4), 68)!
    for (let bit = 0; bit < plain.length * 8; bit++) {
      const flipped = new Uint8Array(plain)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(tokens.read(`hfr_${encodeBase62(flipped)}`)).toBeUndefined()
    }
  })

  test('has one spelling', () => {
    const token = tokens.first(id)
    for (const text of [
      ` ${token}`,
      `${token}\n`,
      `${token}=`,
      token.toUpperCase(),
      token.slice(4),
      `hf_${token}`,
    ])
      expect(tokens.read(text)).toBeUndefined()
  })

  test('is known by its hash', () => {
    const token = tokens.first(id)
    expect(refreshHash(token)).toMatch(/^[\w-]{43}$/)
    expect(isOfHash(token, refreshHash(token))).toBe(true)
    expect(isOfHash(tokens.first(id), refreshHash(token))).toBe(false)
    expect(isOfHash(token, '')).toBe(false)
  })
})
