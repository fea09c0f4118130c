import { afterAll, describe, expect, test } from 'bun:test'
import { generateKeyPairSync } from 'node:crypto'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KEYS_MAX, madeAt } from '../../src/auth/key-folder.ts'
import { checkKeys, loadKeyRing, REREAD_MS, rotateKeys, SETTLED_MS } from '../../src/auth/key-ring.ts'
import type { SigningKey } from '../../src/auth/signing-keys.ts'
import { StartError } from '../../src/core/errors.ts'

const root = mkdtempSync(join(tmpdir(), 'hipflask-keys-'))
afterAll(() => rmSync(root, { recursive: true }))

const newData = () => mkdtempSync(join(root, 'data-'))
const source = (data: string) => ({ algorithm: 'EdDSA', data }) as const
const warnings: string[] = []
const options = { warn: (message: string) => void warnings.push(message), clock: Date.now }
const keysOf = (data: string) => loadKeyRing(source(data), options).all()
const kidsOf = (data: string) => keysOf(data).map((key) => key.kid)
const pathOf = (data: string, kid: string) => join(data, 'keys', `${kid}.pem`)
const modeOf = (path: string) => statSync(path).mode & 0o777

/** What loading throws, which must be a StartError. */
function refusal(data: string): string {
  try {
    loadKeyRing(source(data), options)
  } catch (error) {
    expect(error).toBeInstanceOf(StartError)
    return (error as Error).message
  }
  throw new Error('Loading must fail')
}

describe('loadKeyRing', () => {
  test('makes one key on the first start, for its owner alone, and finds it on the next', () => {
    const data = newData()
    const [made] = keysOf(data) as [SigningKey]
    const folder = join(data, 'keys')
    expect(readdirSync(data)).toEqual(['keys'])
    expect(readdirSync(folder)).toEqual([`${made.kid}.pem`])
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    expect(statSync(join(folder, `${made.kid}.pem`)).mode & 0o777).toBe(0o600)
    const [found] = keysOf(data) as [SigningKey]
    expect(found.kid).toBe(made.kid)
    expect(found.privateKey.equals(made.privateKey)).toBe(true)
    expect(found.publicKey.equals(made.publicKey)).toBe(true)
    expect(found.privateKey.asymmetricKeyType).toBe('ed25519')
  })

  test('keeps the key of a throw-away server in memory', () => {
    const [one] = keysOf(':memory:') as [SigningKey]
    const [two] = keysOf(':memory:') as [SigningKey]
    expect(one.kid).not.toBe(two.kid)
    expect(one.publicKey.equals(two.publicKey)).toBe(false)
  })

  test('puts the newest key first and ignores files of other names', () => {
    const data = newData()
    const [first] = kidsOf(data) as [string]
    const folder = join(data, 'keys')
    const newer = 'ffffffff-0000-7000-8000-000000000000'
    const older = '00000000-0000-7000-8000-000000000000'
    const pem = readFileSync(join(folder, `${first}.pem`))
    for (const kid of [newer, older]) writeFileSync(join(folder, `${kid}.pem`), pem, { mode: 0o600 })
    for (const name of [
      'notes.txt',
      `${older}.pem.bak`,
      `.${newer}.pem`,
      '01991f6e-8c00-4000-8000-000000000001.pem',
    ])
      writeFileSync(join(folder, name), 'x')
    expect(kidsOf(data)).toEqual([newer, first, older])
  })

  test('does not make a key in a folder that has lost its own', () => {
    const data = newData()
    mkdirSync(join(data, 'keys'))
    expect(refusal(data)).toMatch(/Key folder .*keys holds no key; restore it from a backup, or remove it/)
    rmSync(join(data, 'keys'), { recursive: true })
    expect(kidsOf(data)).toHaveLength(1)
  })

  const pemOf = (type: 'rsa' | 'ed448') =>
    (type === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ed448')
    ).privateKey.export({ type: 'pkcs8', format: 'pem' })
  const publicPem = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' })
  const ed25519Pem = () =>
    generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
  const encrypted = generateKeyPairSync('ed25519').privateKey.export({
    type: 'pkcs8',
    format: 'pem',
    cipher: 'aes-256-cbc',
    passphrase: 'canary',
  })
  test.each([
    ['is empty', ''],
    ['is no PEM', 'canary-content'],
    ['is cut', '-----BEGIN PRIVATE KEY-----\ncanary'],
    ['is an RSA key', pemOf('rsa')],
    ['is a public key', publicPem],
    ['is encrypted', encrypted],
    ['holds two keys', ed25519Pem() + ed25519Pem()],
  ])('refuses a file that %s, names it and a remedy, and leaves it as it is', (_, content) => {
    const data = newData()
    const [kid] = kidsOf(data) as [string]
    const path = join(data, 'keys', `${kid}.pem`)
    writeFileSync(path, content)
    const message = refusal(data)
    expect(message).toStartWith(
      `Key file ${path} must be an Ed25519 private key in PEM (PKCS #8); restore it`,
    )
    expect(message).not.toContain('canary')
    expect(readFileSync(path, 'utf8')).toBe(content.toString())
  })

  test('refuses a key, key folder or data folder that it cannot use', () => {
    const data = newData()
    const kid = '00000000-0000-7000-8000-000000000000'
    mkdirSync(join(data, 'keys', `${kid}.pem`), { recursive: true })
    expect(refusal(data)).toMatch(/Key file .*\.pem can't be read \(EISDIR\); let this user read it/)
    const file = newData()
    writeFileSync(join(file, 'keys'), 'x')
    expect(refusal(file)).toMatch(/Key folder .*keys can't be read \(ENOTDIR\)/)
    expect(refusal(join(data, 'absent'))).toMatch(
      /Key folder .*keys can't be made \(ENOENT\); let this user write to/,
    )
  })

  test.each([0o640, 0o604, 0o660, 0o644, 0o777])('closes a file of mode %o to others and says so', (mode) => {
    const data = newData()
    const [kid] = kidsOf(data) as [string]
    chmodSync(pathOf(data, kid), mode)
    warnings.length = 0
    checkKeys(source(data), options)
    expect(modeOf(pathOf(data, kid))).toBe(0o600)
    expect(kidsOf(data)).toEqual([kid])
    expect(warnings).toEqual([expect.stringContaining('was open to others, now it is not')])
  })

  test('is checked without making anything', () => {
    const data = newData()
    checkKeys(source(data), options)
    expect(readdirSync(data)).toEqual([])
    mkdirSync(join(data, 'keys'))
    expect(() => checkKeys(source(data), options)).toThrow(StartError)
  })

  test.each([
    [KEYS_MAX, 'good'],
    [KEYS_MAX + 1, `Key folder .*keys holds ${KEYS_MAX + 1} keys, maximum is ${KEYS_MAX}`],
  ])('of %d keys is %s', (count, outcome) => {
    const data = newData()
    const [first] = kidsOf(data) as [string]
    const pem = readFileSync(pathOf(data, first))
    for (let at = 1; at < count; at++) writeFileSync(pathOf(data, Bun.randomUUIDv7()), pem, { mode: 0o600 })
    if (outcome === 'good') expect(kidsOf(data)).toHaveLength(count)
    else expect(refusal(data)).toMatch(new RegExp(outcome))
  })

  test.skipIf(process.getuid?.() === 0)('refuses what file modes forbid', () => {
    const data = newData()
    const [kid] = kidsOf(data) as [string]
    chmodSync(join(data, 'keys', `${kid}.pem`), 0)
    expect(refusal(data)).toMatch(/can't be read \(EACCES\)/)
  })

  test('gives processes that start at once the same key', async () => {
    const module = join(import.meta.dir, '../../src/auth/key-ring.ts')
    for (let round = 0; round < 3; round++) {
      const data = newData()
      // They all wait for the same moment, so that they are past their own start.
      const at = Date.now() + 300
      const script = `import { loadKeyRing } from ${JSON.stringify(module)}
        while (Date.now() < ${at}) {}
        const options = { warn() {}, clock: Date.now }
        const ring = loadKeyRing({ algorithm: 'EdDSA', data: ${JSON.stringify(data)} }, options)
        process.stdout.write(ring.all().map((key) => key.kid).join())`
      const processes = Array.from({ length: 4 }, () =>
        Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe' }),
      )
      const kids = await Promise.all(processes.map((one) => one.stdout.text()))
      expect(new Set(kids)).toEqual(new Set([kidsOf(data).join()]))
      expect(readdirSync(data)).toEqual(['keys'])
    }
  })
})

/** A ring of a folder with clocks that tests set. */
function openRing(data: string) {
  const time = { wall: Date.now(), elapsed: 0 }
  const told: string[] = []
  const ring = loadKeyRing(source(data), {
    warn: (message) => void told.push(message),
    clock: () => time.wall,
    elapsed: () => time.elapsed,
  })
  const pass = (ms: number) => {
    time.wall += ms
    time.elapsed += ms
  }
  const kids = () => ring.all().map(({ kid }) => kid)
  // The next key is made now, and not a millisecond later for it must be newer.
  time.wall = madeAt(kids()[0] as string) + 1
  return { ring, time, told, pass, kids }
}

const DAY_SECONDS = 86_400
const HOUR_MS = 3_600_000
const rotate = (data: string, now: number) =>
  rotateKeys(data, { warn: () => {}, clock: () => now, lifetimeSecondsMax: DAY_SECONDS })

describe('a ring that serves', () => {
  test('takes up a new key within a second, and signs by it once every other ring must have', () => {
    const data = newData()
    const { ring, time, pass, kids } = openRing(data)
    const [old] = kids() as [string]
    const { kid } = rotate(data, time.wall)
    pass(REREAD_MS - 1)
    expect(ring.find(kid)).toBeUndefined()
    pass(1)
    expect(ring.find(kid)?.kid).toBe(kid)
    expect(kids()).toEqual([kid, old])
    expect(ring.signing().kid).toBe(old)
    pass(SETTLED_MS - REREAD_MS - 1)
    expect(ring.signing().kid).toBe(old)
    pass(1)
    expect(ring.signing().kid).toBe(kid)
    expect(ring.find(old)?.kid).toBe(old)
  })

  test('signs at once by a new key that is old enough when it is first seen', () => {
    const data = newData()
    const { ring, time, pass } = openRing(data)
    const { kid } = rotate(data, time.wall)
    pass(SETTLED_MS)
    expect(ring.signing().kid).toBe(kid)
  })

  test('signs by a new key also where the wall clock is behind', () => {
    const data = newData()
    const { ring, time, pass } = openRing(data)
    const { kid } = rotate(data, time.wall + HOUR_MS)
    pass(REREAD_MS)
    expect(ring.signing().kid).not.toBe(kid)
    pass(SETTLED_MS)
    expect(ring.signing().kid).toBe(kid)
  })

  test('drops a key whose file is removed, within a second', () => {
    const data = newData()
    const { ring, time, pass, kids } = openRing(data)
    const [old] = kids() as [string]
    const { kid } = rotate(data, time.wall)
    pass(SETTLED_MS)
    expect(kids()).toEqual([kid, old])
    rmSync(pathOf(data, old))
    pass(REREAD_MS - 1)
    expect(ring.find(old)).toBeDefined()
    pass(1)
    expect(ring.find(old)).toBeUndefined()
    expect(ring.find(kid)).toBeDefined()
  })

  test.each([
    [
      'is gone',
      (folder: string) => rmSync(folder, { recursive: true }),
      'holds no key; run hipflask keys rotate',
    ],
    [
      'has lost its keys',
      (folder: string) => readdirSync(folder).forEach((name) => rmSync(join(folder, name))),
      'holds no key; run hipflask keys rotate',
    ],
    [
      'is a file',
      (folder: string) => {
        rmSync(folder, { recursive: true })
        writeFileSync(folder, 'x')
      },
      "can't be read (ENOTDIR)",
    ],
  ])('keeps its keys where the folder %s, and says so once', (_, spoil, message) => {
    const data = newData()
    const { ring, told, pass, kids } = openRing(data)
    const [kid] = kids() as [string]
    spoil(join(data, 'keys'))
    for (let round = 0; round < 3; round++) {
      pass(REREAD_MS)
      expect(ring.signing().kid).toBe(kid)
      expect(ring.find(kid)).toBeDefined()
    }
    expect(told).toEqual([expect.stringContaining(message)])
    expect(told[0]).toStartWith('Keys in use are kept: Key folder ')
  })

  test('leaves out a new file that is no key, says so once, and takes up the others', () => {
    const data = newData()
    const { told, time, pass, kids } = openRing(data)
    const [old] = kids() as [string]
    const bad = Bun.randomUUIDv7('hex', time.wall + 10)
    writeFileSync(pathOf(data, bad), 'canary', { mode: 0o600 })
    const { kid } = rotateBeside(data, time.wall, bad)
    for (let round = 0; round < 3; round++) {
      pass(REREAD_MS)
      expect(kids()).toEqual([kid, old])
    }
    expect(told).toEqual([expect.stringContaining(`Key file ${pathOf(data, bad)} must be an Ed25519`)])
    expect(told.join()).not.toContain('canary')
  })

  /** A rotation that a bad file would stop. */
  function rotateBeside(data: string, now: number, bad: string) {
    const content = readFileSync(pathOf(data, bad))
    rmSync(pathOf(data, bad))
    const rotation = rotate(data, now)
    writeFileSync(pathOf(data, bad), content, { mode: 0o600 })
    return rotation
  }

  test('reads the folder once a second, however many unknown keys are asked for', () => {
    const data = newData()
    const { ring, time, pass } = openRing(data)
    const { kid } = rotate(data, time.wall)
    for (let asked = 0; asked < 1000; asked++) expect(ring.find(Bun.randomUUIDv7())).toBeUndefined()
    expect(ring.find(kid)).toBeUndefined()
    pass(REREAD_MS)
    expect(ring.find('x')).toBeUndefined()
    expect(ring.find(kid)).toBeDefined()
    rmSync(pathOf(data, kid))
    for (let asked = 0; asked < 1000; asked++) expect(ring.find(Bun.randomUUIDv7())).toBeUndefined()
    expect(ring.find(kid)).toBeDefined()
  })
})

describe('rotateKeys', () => {
  test('adds a key for its owner alone and leaves nothing else', () => {
    const data = newData()
    const [old] = kidsOf(data) as [string]
    const { kid, removed } = rotate(data, Date.now())
    expect(removed).toEqual([])
    expect(readdirSync(join(data, 'keys')).toSorted()).toEqual([`${old}.pem`, `${kid}.pem`].toSorted())
    expect(modeOf(pathOf(data, kid))).toBe(0o600)
    expect(kidsOf(data)).toEqual([kid, old])
    expect(keysOf(data)[0]!.publicKey.equals(keysOf(data)[1]!.publicKey)).toBe(false)
  })

  test('makes the first key where there is none', () => {
    const data = newData()
    const { kid } = rotate(data, Date.now())
    expect(kidsOf(data)).toEqual([kid])
    const empty = newData()
    mkdirSync(join(empty, 'keys'))
    expect(rotate(empty, Date.now()).kid).toBe(kidsOf(empty)[0] as string)
  })

  test('removes a key once the next one has signed for longer than any token lives, and an hour', () => {
    const data = newData()
    const start = Date.now()
    const [first] = kidsOf(data) as [string]
    const second = rotate(data, start).kid
    const retiredAt = madeAt(second) + DAY_SECONDS * 1000 + HOUR_MS
    const early = rotate(data, retiredAt)
    expect(early.removed).toEqual([])
    const late = rotate(data, retiredAt + 1)
    expect(late.removed).toEqual([first])
    expect(kidsOf(data)).toEqual([late.kid, early.kid, second])
  })

  test('never removes the newest key, however old', () => {
    const data = newData()
    const [first] = kidsOf(data) as [string]
    const { kid, removed } = rotate(data, Date.now() + 365 * DAY_SECONDS * 1000)
    expect(removed).toEqual([])
    expect(kidsOf(data)).toEqual([kid, first])
  })

  test('makes a key that is newer than the others also where the clock was set back', () => {
    const data = newData()
    const [first] = kidsOf(data) as [string]
    const ahead = 'fffffffe-0000-7000-8000-000000000000'
    writeFileSync(pathOf(data, ahead), readFileSync(pathOf(data, first)), { mode: 0o600 })
    const { kid } = rotate(data, Date.now())
    expect(kidsOf(data).slice(0, 2)).toEqual([kid, ahead])
  })

  test(`refuses to hold more than ${KEYS_MAX} keys, and makes room by those that are retired`, () => {
    const data = newData()
    const start = Date.now()
    const [first] = kidsOf(data) as [string]
    const pem = readFileSync(pathOf(data, first))
    for (let at = 1; at < KEYS_MAX - 1; at++)
      writeFileSync(pathOf(data, Bun.randomUUIDv7('hex', start + at)), pem, { mode: 0o600 })
    rotate(data, start + KEYS_MAX)
    const before = readdirSync(join(data, 'keys'))
    expect(before).toHaveLength(KEYS_MAX)
    expect(() => rotate(data, start + KEYS_MAX + 1)).toThrow(/holds 100 keys whose tokens may still be good/)
    expect(readdirSync(join(data, 'keys'))).toEqual(before)
    expect(rotate(data, start + 26 * HOUR_MS).removed).toHaveLength(KEYS_MAX - 1)
  })

  test('changes nothing where a key file is none', () => {
    const data = newData()
    const [kid] = kidsOf(data) as [string]
    writeFileSync(pathOf(data, kid), 'canary')
    expect(() => rotate(data, Date.now())).toThrow(StartError)
    expect(readdirSync(join(data, 'keys'))).toEqual([`${kid}.pem`])
  })

  test('refuses a data folder that is not there', () => {
    expect(() => rotate(join(newData(), 'absent'), Date.now())).toThrow(/can't be made \(ENOENT\)/)
  })
})
