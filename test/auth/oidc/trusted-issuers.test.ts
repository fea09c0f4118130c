import { afterAll, beforeEach, describe, expect, test } from 'bun:test'
import { createOutbound } from '../../../src/auth/outbound.ts'
import { createTrustedIssuers, type TrustedIssuers } from '../../../src/auth/oidc/trusted-issuers.ts'
import { AppError } from '../../../src/core/errors.ts'
import { createLogger } from '../../../src/core/logger.ts'
import {
  signedBySecret,
  startHostileProvider,
  unsigned,
  SUBJECT,
  type Claims,
  type HostileProvider,
} from '../../support/hostile-provider.ts'

const AUDIENCE = 'https://api.example.com'
const NOW = 1_800_000_000
const issuer: HostileProvider = await startHostileProvider()
const other: HostileProvider = await startHostileProvider()
afterAll(() => Promise.all([issuer[Symbol.asyncDispose](), other[Symbol.asyncDispose]()]))

let trusted: TrustedIssuers
let elapsed = 0

beforeEach(() => {
  issuer.behave({})
  issuer.asked.length = 0
  elapsed = 0
  trusted = trust([{ issuer: issuer.issuer, audience: AUDIENCE }])
})

function trust(issuers: { issuer: string; audience: string }[]): TrustedIssuers {
  return createTrustedIssuers({
    issuers,
    outbound: createOutbound({ isProduction: false, namedHosts: new Set(['127.0.0.1']), timeoutMs: 700 }),
    logger: createLogger({ level: 'debug', format: 'json', write: () => undefined, clock: Date.now }),
    clock: () => NOW * 1000,
    monotonic: () => elapsed,
  })
}

const sound = (): Claims => ({ iss: issuer.issuer, aud: AUDIENCE, sub: SUBJECT, iat: NOW, exp: NOW + 60 })
const sign = (changes: Claims = {}, header: Claims = {}) => issuer.sign({ ...sound(), ...changes }, header)

async function codeOf(token: string): Promise<string> {
  try {
    await trusted.verify(token)
    return 'sound'
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    if (error.code === 'unavailable') expect(error.headers).toEqual({ 'Retry-After': '1' })
    return error.code
  }
}

test('a sound token names its subject and ends with its leeway', async () => {
  expect(await trusted.verify(await sign())).toEqual({
    issuer: issuer.issuer,
    subject: SUBJECT,
    scopes: [],
    permissions: undefined,
    expiresMs: (NOW + 90) * 1000,
  })
  expect(await trusted.verify(await sign({ email: 'ada@example.com', name: 'Ada' }))).toMatchObject({
    email: 'ada@example.com',
    name: 'Ada',
  })
})

test.each<[Claims, string[], string[] | undefined]>([
  [{ scope: 'items:read  items:write' }, ['items:read', 'items:write'], undefined],
  [{ permissions: ['items:read', 7] }, [], []],
  [{ scope: 'openid a', permissions: ['a', 'b'] }, ['openid', 'a'], ['a', 'b']],
  [{ scope: '' }, [], undefined],
  [{ permissions: [] }, [], []],
  [{ scope: ['a', 'b c'], permissions: 'a' }, ['a', 'b', 'c'], ['a']],
  [{ scope: 'a,b\tc\nd' }, ['a', 'b', 'c', 'd'], undefined],
  [{ scp: ['a'] }, ['a'], undefined],
  [{ scp: 'a b', scope: 'c' }, ['c', 'a', 'b'], undefined],
  [{ scope: { 0: 'a' } }, [], []],
  [{ scope: 7 }, [], []],
  [{ permissions: { 0: 'a' } }, [], []],
])('claims %p give scopes and permissions', async (claims, scopes, permissions) => {
  expect(await trusted.verify(await sign(claims))).toMatchObject({ scopes, permissions })
})

test.each(['RS256', 'PS256', 'ES256', 'EdDSA'])('%s is taken', async (algorithm) => {
  await issuer.rotate(algorithm)
  expect(await codeOf(await sign())).toBe('sound')
  await issuer.rotate('RS256')
})

test.each(['RS384', 'RS512', 'ES384', 'PS512'])('%s is not', async (algorithm) => {
  await issuer.rotate(algorithm)
  expect(await codeOf(await sign())).toBe('invalid_token')
  await issuer.rotate('RS256')
})

test.each([
  [undefined, 'sound'],
  ['JWT', 'sound'],
  ['at+jwt', 'sound'],
  ['application/at+jwt', 'sound'],
  ['logout+jwt', 'invalid_token'],
  ['dpop+jwt', 'invalid_token'],
])('of type %p is %s', async (typ, expected) => {
  expect(await codeOf(await sign({}, { typ }))).toBe(expected)
})

test('one issuer may have several audiences, and a token too', async () => {
  trusted = trust(['one', 'two'].map((audience) => ({ issuer: issuer.issuer, audience })))
  expect(await codeOf(await sign({ aud: 'two' }))).toBe('sound')
  expect(await codeOf(await sign({ aud: ['three', 'one'] }))).toBe('sound')
  expect(await codeOf(await sign({ aud: ['three'] }))).toBe('invalid_token')
})

test('the slash at the end of an issuer may be left out in the setting', async () => {
  const metadata = (usual: Claims) => ({ ...usual, issuer: `${issuer.issuer}/` })
  issuer.behave({ metadata })
  expect(await codeOf(await sign({ iss: `${issuer.issuer}/` }))).toBe('sound')
  // The token must spell it as the issuer does.
  expect(await codeOf(await sign())).toBe('invalid_token')
})

test('a token of another issuer is not ours to look at', async () => {
  expect(trusted.isNamedBy(await sign())).toBe(true)
  for (const token of [await other.sign(other.soundClaims()), 'x', '', 'a.b.c', unsigned({ iss: 7 })])
    expect(trusted.isNamedBy(token)).toBe(false)
  expect(await codeOf(await other.sign(other.soundClaims()))).toBe('invalid_token')
  expect(issuer.asked).toEqual([])
})

describe('a token is refused', () => {
  test.each<[string, Claims, string]>([
    ['of another audience', { aud: 'other' }, 'invalid_token'],
    ['of no audience', { aud: undefined }, 'invalid_token'],
    ['without an end', { exp: undefined }, 'invalid_token'],
    ['that ended 30 s ago', { exp: NOW - 30 }, 'token_expired'],
    ['that ended 29 s ago', { exp: NOW - 29 }, 'sound'],
    ['that begins in 31 s', { nbf: NOW + 31 }, 'invalid_token'],
    ['that begins in 30 s', { nbf: NOW + 30 }, 'sound'],
    ['made in 60 s', { iat: NOW + 60 }, 'sound'],
    ['made in 61 s', { iat: NOW + 61 }, 'invalid_token'],
    ['bound to a key', { cnf: { jkt: 'x' } }, 'invalid_token'],
    ['without a subject', { sub: undefined }, 'invalid_token'],
    ['with an empty subject', { sub: '' }, 'invalid_token'],
    ['with a subject of 255', { sub: 'x'.repeat(255) }, 'sound'],
    ['with a subject of 256', { sub: 'x'.repeat(256) }, 'invalid_token'],
  ])('%s: %p', async (_, changes, expected) => {
    expect(await codeOf(await sign(changes))).toBe(expected)
  })

  test.each<[string, () => Promise<string> | string]>([
    ['without a signature', () => unsigned(sound())],
    ['by HS256 with the public key', async () => signedBySecret(sound(), await issuer.publicPem())],
    ['without kid', () => sign({}, { kid: undefined })],
    ['by the key of another', () => other.sign(sound())],
    ['with a key that it brings', () => other.sign(sound(), { jku: `${other.issuer}/jwks` })],
    ['changed', async () => (await sign()).replace(/\.[^.]/, (text) => `.${text[1] === 'e' ? 'f' : 'e'}`)],
    ['with another signature', async () => (await sign()).slice(0, -8) + 'AAAAAAAA'],
  ])('%s', async (_, make) => {
    expect(await codeOf(await make())).toBe('invalid_token')
    expect(other.asked).toEqual([])
  })
})

test('keys may rotate at any time; for unknown ones the issuer is asked at most each 30 s', async () => {
  const asks = () => issuer.asked.filter((path) => path === '/jwks').length
  expect(await codeOf(await sign())).toBe('sound')
  const old = await sign()
  await issuer.rotate()
  const both = await Promise.all([sign(), sign({ n: 1 })])
  expect(await Promise.all(both.map(codeOf))).toEqual(['sound', 'sound'])
  expect(asks()).toBe(2)
  expect(await codeOf(old)).toBe('invalid_token')
  await issuer.rotate()
  for (let time = 0; time < 20; time++) expect(await codeOf(await sign({ n: time }))).toBe('invalid_token')
  elapsed = 29_999
  expect(await codeOf(await sign())).toBe('invalid_token')
  expect(asks()).toBe(2)
  elapsed = 30_000
  expect(await codeOf(await sign())).toBe('sound')
  expect(asks()).toBe(3)
})

test('a key that is taken back is refused after ten minutes', async () => {
  const token = await sign()
  expect(await codeOf(token)).toBe('sound')
  issuer.behave({ keys: () => ({ keys: [] }) })
  elapsed = 599_999
  expect(await codeOf(token)).toBe('sound')
  elapsed = 600_000
  expect(await codeOf(token)).toBe('invalid_token')
})

test('an issuer that is down is asked at most once a second, and its kept keys serve on', async () => {
  const token = await sign()
  const down = () => new Response('', { status: 500 })
  issuer.behave({ answers: { '/.well-known/openid-configuration': down } })
  for (let time = 0; time < 5; time++) expect(await codeOf(token)).toBe('unavailable')
  expect(issuer.asked.length).toBe(1)
  issuer.behave({})
  elapsed = 1000
  expect(await codeOf(token)).toBe('sound')
  issuer.behave({ answers: { '/.well-known/openid-configuration': down, '/jwks': down } })
  elapsed = 10_000_000
  expect(await codeOf(token)).toBe('sound')
})

test.each<[string, Claims]>([
  ['another issuer', { issuer: 'https://example.com' }],
  ['no issuer', { issuer: undefined }],
  ['no keys', { jwks_uri: undefined }],
  ['keys in a file', { jwks_uri: 'file:///etc/hostname' }],
  ['keys in a private network', { jwks_uri: 'https://10.0.0.1/' }],
])('metadata with %s: unavailable', async (_, changes) => {
  issuer.behave({ metadata: (usual) => ({ ...usual, ...changes }) })
  expect(await codeOf(await sign())).toBe('unavailable')
})

test.each<[string, unknown]>([
  ['no keys', {}],
  ['no list', { keys: 7 }],
  ['nothing', null],
])('a key set with %s: unavailable', async (_, keys) => {
  issuer.behave({ keys: () => keys })
  expect(await codeOf(await sign())).toBe('unavailable')
})
