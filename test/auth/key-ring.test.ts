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
import { loadKeyRing } from '../../src/auth/key-ring.ts'
import { StartError } from '../../src/core/errors.ts'

const root = mkdtempSync(join(tmpdir(), 'hipflask-keys-'))
afterAll(() => rmSync(root, { recursive: true }))

const newData = () => mkdtempSync(join(root, 'data-'))
const kidsOf = (data: string) => loadKeyRing(data).map((key) => key.kid)

/** What loading throws, which must be a StartError. */
function refusal(data: string): string {
  try {
    loadKeyRing(data)
  } catch (error) {
    expect(error).toBeInstanceOf(StartError)
    return (error as Error).message
  }
  throw new Error('Loading must fail')
}

describe('loadKeyRing', () => {
  test('makes one key on the first start, for its owner alone, and finds it on the next', () => {
    const data = newData()
    const [made] = loadKeyRing(data)
    const folder = join(data, 'keys')
    expect(readdirSync(data)).toEqual(['keys'])
    expect(readdirSync(folder)).toEqual([`${made.kid}.pem`])
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    expect(statSync(join(folder, `${made.kid}.pem`)).mode & 0o777).toBe(0o600)
    const [found] = loadKeyRing(data)
    expect(found.kid).toBe(made.kid)
    expect(found.privateKey.equals(made.privateKey)).toBe(true)
    expect(found.publicKey.equals(made.publicKey)).toBe(true)
    expect(found.privateKey.asymmetricKeyType).toBe('ed25519')
  })

  test('keeps the key of a throw-away server in memory', () => {
    const [one] = loadKeyRing(':memory:')
    const [two] = loadKeyRing(':memory:')
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
    for (const kid of [newer, older]) writeFileSync(join(folder, `${kid}.pem`), pem)
    for (const name of ['notes.txt', `${older}.pem.bak`, `.${newer}.pem`])
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
  ])('refuses a file that %s, names it and a remedy, and leaves it as it is', (_, content) => {
    const data = newData()
    const [kid] = kidsOf(data)
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

  test.skipIf(process.getuid?.() === 0)('refuses what file modes forbid', () => {
    const data = newData()
    const [kid] = kidsOf(data)
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
        process.stdout.write(loadKeyRing(${JSON.stringify(data)}).map((key) => key.kid).join())`
      const processes = Array.from({ length: 4 }, () =>
        Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe' }),
      )
      const kids = await Promise.all(processes.map((one) => one.stdout.text()))
      expect(new Set(kids)).toEqual(new Set([kidsOf(data).join()]))
      expect(readdirSync(data)).toEqual(['keys'])
    }
  })
})
