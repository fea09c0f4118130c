import { afterAll, describe, expect, test } from 'bun:test'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { calculateJwkThumbprint, type JWK } from 'jose'
import type { AsymmetricAlgorithm } from '../../src/auth/algorithms.ts'
import { KEYS_MAX } from '../../src/auth/key-folder.ts'
import { KEY_FILE_BYTES_MAX, readKeyFile } from '../../src/auth/key-file.ts'
import { publicJwkOf, secretKey } from '../../src/auth/signing-keys.ts'
import { StartError } from '../../src/core/errors.ts'

const root = mkdtempSync(join(tmpdir(), 'hipflask-key-file-'))
afterAll(() => rmSync(root, { recursive: true }))

let count = 0
function fileOf(...texts: string[]): string {
  const path = join(root, `${++count}.pem`)
  writeFileSync(path, texts.join(''))
  return path
}
const ed = () => generateKeyPairSync('ed25519').privateKey
const ec = (namedCurve = 'P-256') => generateKeyPairSync('ec', { namedCurve }).privateKey
const rsa = (modulusLength = 2048) => generateKeyPairSync('rsa', { modulusLength }).privateKey
const pem = (key: KeyObject, type: 'pkcs8' | 'sec1' | 'pkcs1' = 'pkcs8') =>
  key.export({ type, format: 'pem' } as { type: 'pkcs8'; format: 'pem' }) as string
const encrypted = (key: KeyObject, type: 'pkcs8' | 'pkcs1' = 'pkcs8') =>
  key.export({ type, format: 'pem', cipher: 'aes-256-cbc', passphrase: 'canary' } as {
    type: 'pkcs8'
    format: 'pem'
  }) as string
const spki = (pair: { publicKey: KeyObject }) =>
  pair.publicKey.export({ type: 'spki', format: 'pem' }) as string

function refusal(path: string, algorithm: AsymmetricAlgorithm): string {
  try {
    readKeyFile(path, algorithm)
  } catch (error) {
    expect(error).toBeInstanceOf(StartError)
    const { message } = error as Error
    expect(message).not.toMatch(/canary|BEGIN/)
    expect(message).not.toContain(path)
    return message
  }
  throw new Error('Reading must fail')
}

describe('readKeyFile', () => {
  const one = ec()
  const parameters = '-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n'
  test.each<[string, AsymmetricAlgorithm, string, number]>([
    ['Ed25519 in PKCS #8', 'EdDSA', pem(ed()), 1],
    ['P-256 in PKCS #8', 'ES256', pem(ec()), 1],
    ['P-256 in SEC 1', 'ES256', pem(ec(), 'sec1'), 1],
    ['P-256 with its parameters, as openssl ecparam writes it', 'ES256', parameters + pem(ec(), 'sec1'), 1],
    ['RSA of 2048 bits in PKCS #8', 'RS256', pem(rsa()), 1],
    ['RSA in PKCS #1', 'RS256', pem(rsa(), 'pkcs1'), 1],
    ['several, with text between', 'ES256', `first\n${pem(ec())}then\r\n${pem(ec(), 'sec1')}`, 2],
    ['ends of lines of another system', 'ES256', pem(ec()).replaceAll('\n', '\r\n'), 1],
    [`${KEYS_MAX} keys`, 'EdDSA', Array.from({ length: KEYS_MAX }, () => pem(ed())).join(''), KEYS_MAX],
    ['64 KiB', 'EdDSA', pem(ed()).padEnd(KEY_FILE_BYTES_MAX, ' '), 1],
  ])('takes %s', (_, algorithm, text, keys) => {
    const read = readKeyFile(fileOf(text), algorithm)
    expect(read).toHaveLength(keys)
    for (const key of read) expect(key).toMatchObject({ algorithm })
  })

  test('names each key by its RFC 7638 thumbprint, in the order of the file', async () => {
    for (const [algorithm, make] of [
      ['EdDSA', ed],
      ['ES256', ec],
      ['RS256', rsa],
    ] as const) {
      const read = readKeyFile(fileOf(pem(make()), pem(make())), algorithm)
      for (const { kid, publicKey } of read) {
        expect(kid).toBe(await calculateJwkThumbprint(publicKey.export({ format: 'jwk' }) as JWK))
      }
      const reversed = [...read].reverse().map(({ privateKey }) => pem(privateKey))
      expect(readKeyFile(fileOf(...reversed), algorithm).map(({ kid }) => kid)).toEqual(
        read.map(({ kid }) => kid).reverse(),
      )
    }
  })

  const must = 'ES256 needs an EC private key of the curve P-256 in PEM'
  test.each<[string, AsymmetricAlgorithm, string, string]>([
    ['nothing', 'ES256', '', `names a file without a key; ${must}`],
    ['no PEM', 'ES256', 'canary', `names a file without a key; ${must}`],
    [
      'a cut key',
      'ES256',
      pem(one).slice(0, -20),
      `Key 1 of HIPFLASK_JWT_KEY_FILE can't be understood; ${must}`,
    ],
    [
      'a key and a cut one',
      'ES256',
      pem(ec()) + pem(one).slice(0, -20),
      "Key 2 of HIPFLASK_JWT_KEY_FILE can't be",
    ],
    [
      'a damaged key',
      'ES256',
      '-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n',
      "Key 1 of HIPFLASK_JWT_KEY_FILE can't be understood",
    ],
    ['a public key', 'ES256', spki(generateKeyPairSync('ec', { namedCurve: 'P-256' })), 'is a public key or'],
    ['a key and its public key', 'ES256', pem(one) + spki(generateKeyPairSync('ed25519')), 'Key 2 of'],
    [
      'a certificate',
      'ES256',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----',
      'is a public key or a certificate',
    ],
    ['an encrypted key', 'ES256', encrypted(ec()), 'Key 1 of HIPFLASK_JWT_KEY_FILE is encrypted'],
    [
      'a key encrypted as OpenSSL once did',
      'RS256',
      '-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,AB\n\nAAAA\n-----END RSA PRIVATE KEY-----',
      'is encrypted',
    ],
    ['another curve', 'ES256', pem(ec('P-384')), 'is another one (ec, secp384r1)'],
    ['another kind', 'ES256', pem(ed()), 'is another one (ed25519)'],
    ['another kind for RS256', 'RS256', pem(ec()), 'is another one (ec, prime256v1)'],
    ['another kind for EdDSA', 'EdDSA', pem(rsa()), 'is another one (rsa, 2048 bits)'],
    ['RSA of 1920 bits', 'RS256', pem(rsa(1920)), 'is another one (rsa, 1920 bits)'],
    [
      'a good key and one of another kind',
      'RS256',
      pem(rsa()) + pem(ed()),
      'Key 2 of HIPFLASK_JWT_KEY_FILE is another',
    ],
    ['a key twice', 'ES256', pem(one) + pem(one, 'sec1'), 'holds a key twice'],
    [
      `over ${KEYS_MAX} keys`,
      'EdDSA',
      Array.from({ length: KEYS_MAX + 1 }, () => pem(ed())).join(''),
      '101 keys',
    ],
    ['over 64 KiB', 'EdDSA', pem(ed()).padEnd(KEY_FILE_BYTES_MAX + 1, ' '), 'over 64 KiB'],
  ])('refuses %s', (_, algorithm, text, message) => {
    expect(refusal(fileOf(text), algorithm)).toContain(message)
  })

  test.each([
    ['is absent', () => join(root, 'canary'), 'ENOENT'],
    ['is a folder', () => root, 'EISDIR'],
  ])('refuses a file that %s', (_, path, code) => {
    expect(refusal(path(), 'ES256')).toBe(
      `HIPFLASK_JWT_KEY_FILE names a file that can't be read (${code}); let this user (uid ${process.getuid?.()}) read it`,
    )
  })
})

describe('publicJwkOf', () => {
  test.each([
    ['EdDSA', ed, ['crv', 'kty', 'x']],
    ['ES256', ec, ['crv', 'kty', 'x', 'y']],
    ['RS256', rsa, ['e', 'kty', 'n']],
  ] as const)('of %s has what makes the public key and nothing private', (algorithm, make, members) => {
    const [key] = readKeyFile(fileOf(pem(make())), algorithm)
    const jwk = publicJwkOf(key) as object
    expect(Object.keys(jwk)).toEqual([...members, 'kid', 'use', 'alg'])
    expect(jwk).toMatchObject({
      ...key.publicKey.export({ format: 'jwk' }),
      kid: key.kid,
      use: 'sig',
      alg: algorithm,
    })
  })

  test('of a secret is nothing', () => {
    expect(publicJwkOf(secretKey('kJ8vQ2xN5mW7pR4tY6uB3cZ9dF1gH0sL'))).toBeUndefined()
  })
})
