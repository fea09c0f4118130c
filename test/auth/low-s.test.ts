import { expect, test } from 'bun:test'
import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { isLowS, withLowS } from '../../src/auth/low-s.ts'
import { P256_ORDER as ORDER, twinOf } from '../support/signers.ts'

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const signatureOf = (token: string) => Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url')

test('of the two signatures of a token one is taken, and it is as good', () => {
  for (let round = 0; round < 50; round++) {
    const text = `header.payload${round}`
    const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' })
    const token = `${text}.${signature.toString('base64url')}`
    const [low, twin] = [withLowS(token), withLowS(twinOf(token))]
    expect(low).toBe(twin)
    expect([isLowS(signatureOf(low)), isLowS(signatureOf(twinOf(low)))]).toEqual([true, false])
    const key = { key: createPublicKey(privateKey), dsaEncoding: 'ieee-p1363' } as const
    for (const one of [low, twinOf(low)]) {
      expect(verify('sha256', Buffer.from(text), key, signatureOf(one))).toBe(true)
    }
  }
})

test.each([
  [ORDER / 2n, true],
  [ORDER / 2n + 1n, false],
  [1n, true],
  [ORDER - 1n, false],
])('s of %p is low: %p', (s, expected) => {
  const signature = Buffer.alloc(64)
  signature.write(s.toString(16).padStart(64, '0'), 32, 'hex')
  expect(isLowS(signature)).toBe(expected)
})
