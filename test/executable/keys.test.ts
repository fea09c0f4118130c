// Keys of access tokens from outside: rotation beside running servers, key files and secrets that stop the start, and
// what is left on disk.
import { describe, expect, test } from 'bun:test'
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { makeFolder, runCommand, startServer, type RunningServer } from '../support/executable.ts'
import { decode, newKey, pemOf, SECRET, signIn, writeRingKey } from '../support/signers.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/
/** A change of the folder is noticed within a second, and a new key signs two later; the rest is for slow machines. */
const NOTICED_MS = 15_000
const DAY_MS = 86_400_000

const kidOf = (token: string) => decode(token)[0]['kid'] as string
const statusOf = async (server: RunningServer, token: string) => {
  const response = await server.fetch('/auth/me', { headers: { authorization: `Bearer ${token}` } })
  const { error } = (await response.json()) as { error?: { code: string } }
  return error === undefined ? response.status : `${response.status} ${error.code}`
}
const kidsOf = async (server: RunningServer) => {
  const { keys } = (await (await server.fetch('/.well-known/jwks.json')).json()) as {
    keys: { kid: string }[]
  }
  return keys.map(({ kid }) => kid)
}
const keyFiles = (folder: string) => readdirSync(join(folder, 'data/keys')).toSorted()

/** Asks until the answer is `expected`, at most NOTICED_MS. */
async function becomes<T>(ask: () => Promise<T>, expected: T): Promise<void> {
  const until = performance.now() + NOTICED_MS
  let found = await ask()
  while (!Bun.deepEquals(found, expected) && performance.now() < until) {
    await Bun.sleep(50)
    found = await ask()
  }
  expect<unknown>(found).toEqual(expected)
}

async function rotate(folder: string): Promise<{ kid: string; removed: string[] }> {
  const { exitCode, stdout, stderr } = await runCommand(['keys', 'rotate', '--json'], { folder })
  expect(exitCode).toBe(0)
  expect(stderr).toMatch(/^[^\n]* event=keys\.rotated [^\n]*\n$/)
  return JSON.parse(stdout) as { kid: string; removed: string[] }
}

describe('hipflask keys rotate', () => {
  test('beside a server: new tokens have the new key, old ones go on until its file is removed', async () => {
    const folder = makeFolder()
    await using server = await startServer({ folder })
    const old = await signIn(server)
    const oldKid = kidOf(old)
    expect(await kidsOf(server)).toEqual([oldKid])

    const { exitCode, stdout, stderr } = await runCommand(['keys', 'rotate'], { folder })
    expect(exitCode).toBe(0)
    expect(stderr).toContain(' event=keys.rotated ')
    const [, kid = ''] = /^Added (\S+)\n$/.exec(stdout) ?? []
    expect(kid).toMatch(UUID)
    expect(kid > oldKid).toBe(true)
    expect(keyFiles(folder)).toEqual([`${oldKid}.pem`, `${kid}.pem`])
    expect(statSync(join(folder, 'data/keys', `${kid}.pem`)).mode & 0o777).toBe(0o600)

    await becomes(() => kidsOf(server), [kid, oldKid])
    await becomes(async () => kidOf(await signIn(server)), kid)
    const young = await signIn(server)
    expect([await statusOf(server, old), await statusOf(server, young)]).toEqual([200, 200])

    rmSync(join(folder, 'data/keys', `${oldKid}.pem`))
    await becomes(() => statusOf(server, old), '401 invalid_token')
    expect(await statusOf(server, young)).toBe(200)
    expect(await kidsOf(server)).toEqual([kid])
  }, 60_000)

  test('never makes one of two servers refuse what the other has just signed', async () => {
    const folder = makeFolder()
    await using one = await startServer({ folder })
    await using two = await startServer({ folder })
    await signIn(one)
    const { kid } = await rotate(folder)
    const until = performance.now() + NOTICED_MS
    const seen = new Set<string>()
    let rounds = 0
    // Both have to have signed by it; a few rounds more, for a late reader.
    for (let more = 5; more > 0 && performance.now() < until; rounds++) {
      for (const [signer, reader] of [
        [one, two],
        [two, one],
      ] as const) {
        const token = await signIn(signer)
        expect([rounds, kidOf(token), await statusOf(reader, token)]).toEqual([rounds, kidOf(token), 200])
        if (kidOf(token) === kid) seen.add(signer.url)
      }
      if (seen.size === 2) more -= 1
    }
    expect(seen.size).toBe(2)
  }, 60_000)

  test('lets tokens live on over a restart', async () => {
    const folder = makeFolder()
    const first = await startServer({ folder })
    const old = await signIn(first)
    await first.stop()
    const { kid } = await rotate(folder)
    await Bun.sleep(2100)
    await using second = await startServer({ folder })
    expect(await statusOf(second, old)).toBe(200)
    expect(kidOf(await signIn(second))).toBe(kid)
  })

  test('removes keys that stopped signing more than a day and an hour ago, and no other', async () => {
    const folder = makeFolder()
    const data = join(folder, 'data')
    const kidAt = (ago: number) => Bun.randomUUIDv7('hex', Date.now() - ago)
    const kids = [kidAt(9 * DAY_MS), kidAt(2 * DAY_MS), kidAt(DAY_MS), kidAt(60_000)]
    for (const kid of kids) writeRingKey(data, kid, newKey('EdDSA') as KeyObject)
    const { kid, removed } = await rotate(folder)
    // The second followed the first two days ago; the third followed the second one day ago, which is too young.
    expect(removed).toEqual([kids[0] as string])
    expect(keyFiles(folder)).toEqual([...kids.slice(1), kid].map((one) => `${one}.pem`))
    const { stdout } = await runCommand(['keys', 'rotate'], { folder })
    expect(stdout).toMatch(/^Added \S+\n$/)
  })

  test('makes the first key of a data folder', async () => {
    const folder = makeFolder()
    mkdirSync(join(folder, 'data'))
    const { kid } = await rotate(folder)
    expect(keyFiles(folder)).toEqual([`${kid}.pem`])
    expect(readdirSync(join(folder, 'data'))).toEqual(['keys'])
  })

  const canary = { HIPFLASK_JWT_ALGORITHM: 'HS256', HIPFLASK_JWT_SECRET: SECRET }
  test.each<[string, string[], Record<string, string>, number, RegExp]>([
    [
      'with HS256',
      ['rotate'],
      canary,
      1,
      /signed by HIPFLASK_JWT_SECRET: set another and start the server again/,
    ],
    [
      'with a key file',
      ['rotate'],
      { HIPFLASK_JWT_KEY_FILE: 'absent.pem' },
      1,
      /put a new one before the others/,
    ],
    ['in memory', ['rotate', '--data', ':memory:'], {}, 1, /A server in memory has a new key at every start/],
    [
      'without data',
      ['rotate', '--data', 'absent'],
      {},
      1,
      /There is no data folder absent: choose it by --data/,
    ],
    ['of no action', [], {}, 2, /Action must be: rotate/],
    ['of another action', ['list'], {}, 2, /Action must be: rotate/],
  ])('%s is refused and says what to do', async (_, args, env, code, message) => {
    const folder = makeFolder()
    const { exitCode, stdout, stderr } = await runCommand(['keys', ...args], { folder, env })
    expect({ exitCode, stdout }).toEqual({ exitCode: code, stdout: '' })
    expect(stderr).toMatch(message)
    expect(stderr).not.toContain(SECRET)
    expect(readdirSync(folder)).toEqual([])
  })

  test('of a folder with a file that is no key changes nothing', async () => {
    const folder = makeFolder()
    const path = writeRingKey(join(folder, 'data'), Bun.randomUUIDv7(), newKey('EdDSA') as KeyObject)
    writeFileSync(path, 'canary-content')
    const { exitCode, stderr } = await runCommand(['keys', 'rotate'], { folder })
    expect(exitCode).toBe(1)
    expect(stderr).toContain('must be an Ed25519 private key')
    expect(stderr).not.toContain('canary')
    expect(keyFiles(folder)).toHaveLength(1)
    expect(readFileSync(path, 'utf8')).toBe('canary-content')
  })
})

describe('a key file', () => {
  test('is rotated by a new key before the old one, and named by thumbprints', async () => {
    const folder = makeFolder()
    const [old, young] = [newKey('ES256'), newKey('ES256')].map((key) => pemOf(key as KeyObject))
    const env = { HIPFLASK_JWT_ALGORITHM: 'ES256', HIPFLASK_JWT_KEY_FILE: 'jwt.pem' }
    writeFileSync(join(folder, 'jwt.pem'), old as string)
    const first = await startServer({ folder, env })
    const token = await signIn(first)
    await first.stop()
    writeFileSync(join(folder, 'jwt.pem'), `${young}${old}`)
    const second = await startServer({ folder, env })
    const next = await signIn(second)
    expect(await kidsOf(second)).toEqual([kidOf(next), kidOf(token)])
    expect([await statusOf(second, token), await statusOf(second, next)]).toEqual([200, 200])
    await second.stop()
    writeFileSync(join(folder, 'jwt.pem'), young as string)
    await using third = await startServer({ folder, env })
    expect([await statusOf(third, token), await statusOf(third, next)]).toEqual(['401 invalid_token', 200])
    expect(existsSync(join(folder, 'data/keys'))).toBe(false)
  })

  test('of Ed25519 takes the place of the folder', async () => {
    const folder = makeFolder()
    writeFileSync(join(folder, 'jwt.pem'), pemOf(newKey('EdDSA') as KeyObject))
    await using server = await startServer({ folder, env: { HIPFLASK_JWT_KEY_FILE: 'jwt.pem' } })
    expect(await kidsOf(server)).toEqual([kidOf(await signIn(server))])
    expect(existsSync(join(folder, 'data/keys'))).toBe(false)
  })

  test('is not needed for the API document', async () => {
    const env = { HIPFLASK_JWT_ALGORITHM: 'RS256', HIPFLASK_JWT_KEY_FILE: 'absent.pem' }
    const { exitCode, stdout } = await runCommand(['openapi'], { env })
    expect(exitCode).toBe(0)
    expect(Object.keys(JSON.parse(stdout).paths)).toContain('/.well-known/jwks.json')
  })
})

describe('a key in the data folder that others may read', () => {
  test('is closed to them with a warning, and used', async () => {
    const folder = makeFolder()
    const kid = Bun.randomUUIDv7()
    const path = writeRingKey(join(folder, 'data'), kid, newKey('EdDSA') as KeyObject)
    chmodSync(path, 0o644)
    await using server = await startServer({ folder })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(server.log().filter((line) => line.includes('was open to others'))).toHaveLength(1)
    expect(kidOf(await signIn(server))).toBe(kid)
  })
})

describe('what stops the start', () => {
  const pem = (name: 'ec' | 'rsa', options: object) =>
    pemOf(generateKeyPairSync(name as 'rsa', options as { modulusLength: number }).privateKey)
  const publicPem = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }) as string
  const es256 = { HIPFLASK_JWT_ALGORITHM: 'ES256', HIPFLASK_JWT_KEY_FILE: 'jwt.pem' }
  const rs256 = { ...es256, HIPFLASK_JWT_ALGORITHM: 'RS256' }
  const hs256 = (secret: string) => ({ HIPFLASK_JWT_ALGORITHM: 'HS256', HIPFLASK_JWT_SECRET: secret })
  const weak =
    /HIPFLASK_JWT_SECRET must be at least 32 bytes that nobody can guess, such as what openssl rand/
  test.each<[string, Record<string, string>, string | undefined, RegExp]>([
    [
      'ES256 without a file',
      { HIPFLASK_JWT_ALGORITHM: 'ES256' },
      undefined,
      /ES256 needs HIPFLASK_JWT_KEY_FILE/,
    ],
    [
      'HS256 without a secret',
      { HIPFLASK_JWT_ALGORITHM: 'HS256' },
      undefined,
      /HS256 needs HIPFLASK_JWT_SECRET/,
    ],
    [
      'a secret without HS256',
      { HIPFLASK_JWT_SECRET: SECRET },
      undefined,
      /HIPFLASK_JWT_SECRET is not used by/,
    ],
    [
      'a file with HS256',
      { ...hs256(SECRET), HIPFLASK_JWT_KEY_FILE: 'x' },
      undefined,
      /HIPFLASK_JWT_KEY_FILE is not/,
    ],
    ['a short secret', hs256(SECRET.slice(1)), undefined, weak],
    ['a known secret', hs256('canary-your-256-bit-secret-canary'), undefined, weak],
    ['a repeated secret', hs256('canary'.repeat(8)), undefined, weak],
    [
      'an absent file',
      { ...es256, HIPFLASK_JWT_KEY_FILE: 'canary.pem' },
      undefined,
      /can't be read \(ENOENT\)/,
    ],
    [
      'no PEM',
      es256,
      'canary',
      /names a file without a key; ES256 needs an EC private key of the curve P-256/,
    ],
    ['another curve', es256, pem('ec', { namedCurve: 'P-384' }), /is another one \(ec, secp384r1\)/],
    ['another type', es256, pem('rsa', { modulusLength: 2048 }), /is another one \(rsa, 2048 bits\)/],
    [
      'too few bits',
      rs256,
      pem('rsa', { modulusLength: 1024 }),
      /rsa, 1024 bits\); RS256 needs an RSA private/,
    ],
    [
      'a public key',
      { HIPFLASK_JWT_KEY_FILE: 'jwt.pem' },
      publicPem,
      /is a public key or a certificate; EdDSA needs/,
    ],
  ])('%s: one message, and nothing on disk', async (_, env, file, message) => {
    for (const environment of ['development', 'production']) {
      const folder = makeFolder()
      if (file !== undefined) writeFileSync(join(folder, 'jwt.pem'), file)
      const before = readdirSync(folder)
      const options = { folder, env: { ...env, HIPFLASK_ENV: environment } }
      const { exitCode, stdout, stderr } = await runCommand(['serve', '--port', '0'], options)
      expect([exitCode, stdout]).toEqual([1, ''])
      expect(stderr).toMatch(message)
      expect(stderr).not.toMatch(/canary|BEGIN|\bat .+:\d+/)
      expect(stderr).not.toContain(SECRET.slice(1))
      // A heading and one fault, or the fault alone.
      expect(
        stderr
          .trimEnd()
          .replace(/^Settings are not valid:\n/, '')
          .split('\n'),
      ).toHaveLength(1)
      expect(readdirSync(folder)).toEqual(before)
    }
  })
})

test('hipflask config shows neither secret nor key', async () => {
  const env = { HIPFLASK_JWT_ALGORITHM: 'HS256', HIPFLASK_JWT_SECRET: SECRET }
  const { stdout } = await runCommand(['config'], { env })
  expect(stdout).toMatch(/HIPFLASK_JWT_SECRET +\*{8} /)
  expect(stdout).not.toContain(SECRET)
})
