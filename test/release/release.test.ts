// Makes a release of the two Linux machines as `bun run release` does, twice, and looks at what came out. Bun fetches
// its own executable for the other machine from npm, once. That of macOS and Windows is left to the real release.
import { $ } from 'bun'
import { beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import packageJson from '../../package.json'
import { bundledPackages } from '../../release/parts.ts'
import { makeFolder } from '../support/executable.ts'

const ROOT = join(import.meta.dir, '../..')
const TIMEOUT_MS = 300_000
const { version } = packageJson
/** e_machine of an ELF file, at byte 18. */
const ELF_MACHINES = { 'linux-x64': 0x3e, 'linux-arm64': 0xb7 }
const PARTS = `hipflask-${version}.cdx.json`

interface Parts {
  serialNumber: string
  components: { name: string; version: string; purl?: string; licenses: object[]; hashes?: object[] }[]
  dependencies: { ref: string; dependsOn: string[] }[]
}

const folder = makeFolder()
let printed = ''
let parts: Parts

beforeAll(async () => {
  const only = Object.keys(ELF_MACHINES).join(',')
  const run =
    await $`${process.execPath} ${join(ROOT, 'release/run.ts')} --only ${only} --twice --out ${folder}`
      .quiet()
      .nothrow()
  printed = `${run.stdout}${run.stderr}`
  expect({ exitCode: run.exitCode, printed }).toMatchObject({ exitCode: 0 })
  parts = await Bun.file(join(folder, PARTS)).json()
}, TIMEOUT_MS)

describe('a release', () => {
  test('is the same when it is made again', () => {
    expect(printed).toContain('Made twice, byte for byte the same')
  })

  test('has an executable and an archive for each machine, a parts list and checksums', () => {
    expect(readdirSync(folder, { recursive: true }).toSorted()).toEqual(
      [
        'SHA256SUMS',
        PARTS,
        ...Object.keys(ELF_MACHINES).flatMap((machine) => [
          machine,
          `${machine}/hipflask`,
          `hipflask-${version}-${machine}.tar.gz`,
        ]),
      ].toSorted(),
    )
  })

  test.each(Object.entries(ELF_MACHINES))('of %s is made for that machine', async (machine, number) => {
    const head = await Bun.file(join(folder, machine, 'hipflask'))
      .slice(0, 20)
      .arrayBuffer()
    expect(new DataView(head).getUint16(18, true)).toBe(number)
  })

  test('of this machine is dist/hipflask, byte for byte', async () => {
    const machine = `linux-${process.arch}`
    expect(await digestOf(join(folder, machine, 'hipflask'))).toBe(
      await digestOf(join(ROOT, 'dist/hipflask')),
    )
  })

  test('has the right checksum of every file but its own', async () => {
    const lines = (await Bun.file(join(folder, 'SHA256SUMS')).text()).trimEnd().split('\n')
    expect(lines).toHaveLength(5)
    for (const line of lines) {
      const [, digest, file = ''] = /^([0-9a-f]{64}) {2}(.+)$/.exec(line) ?? []
      expect({ file, digest }).toEqual({ file, digest: await digestOf(join(folder, file)) })
    }
  })

  test('packs the executable with the licences, all of nobody and of no time', async () => {
    const archive = join(folder, `hipflask-${version}-linux-arm64.tar.gz`)
    const list = await $`tar --list --verbose --numeric-owner --full-time --gzip --file ${archive}`
      .env({ TZ: 'UTC' })
      .text()
    const entries = list
      .trimEnd()
      .split('\n')
      .map((line) => line.replace(/ +\d+ (?=1970)/, ' '))
    expect(entries).toEqual([
      '-rwxr-xr-x 0/0 1970-01-01 00:00:00 hipflask',
      '-rw-r--r-- 0/0 1970-01-01 00:00:00 LICENSE',
      '-rw-r--r-- 0/0 1970-01-01 00:00:00 THIRD-PARTY-LICENSES.txt',
    ])
    const licences =
      await $`tar --extract --to-stdout --gzip --file ${archive} THIRD-PARTY-LICENSES.txt`.text()
    for (const { name, purl } of parts.components) {
      if (purl !== undefined && name !== 'bun') expect(licences).toContain(`\n${name}, `)
    }
  })
})

describe('the parts list', () => {
  test('has the packages of the bundle and of the embedded files, Bun and SQLite', async () => {
    const bundled = await bundledPackages(join(ROOT, 'dist/hipflask.map'))
    const names = parts.components.map(({ name }) => name)
    expect(names.toSorted()).toEqual(
      [...bundled, '@zxcvbn-ts/language-common', 'bun', 'sqlite', 'swagger-ui-dist'].toSorted(),
    )
    expect(names).toEqual(expect.arrayContaining(Object.keys(packageJson.dependencies)))
    const ofDevelopment = Object.keys(packageJson.devDependencies).filter((name) => names.includes(name))
    expect(ofDevelopment).toEqual(['@zxcvbn-ts/language-common'])
  })

  test('gives the installed version, the digest of the lock file and a licence of each', async () => {
    const lock = await Bun.file(join(ROOT, 'bun.lock')).text()
    for (const { name, version: listed, purl, licenses, hashes } of parts.components) {
      expect({ name, licenses }).toEqual({ name, licenses: expect.arrayContaining([expect.anything()]) })
      if (purl === undefined || name === 'bun') continue
      const { version: installed } = await Bun.file(join(ROOT, 'node_modules', name, 'package.json')).json()
      expect({ name, listed }).toEqual({ name, listed: installed })
      expect(decodeURIComponent(purl)).toBe(`pkg:npm/${name}@${listed}`)
      const [{ content }] = hashes as [{ content: string }]
      const digest = Buffer.from(content, 'hex').toString('base64')
      expect({ name, isLocked: lock.includes(`"sha512-${digest}"`) }).toEqual({ name, isLocked: true })
    }
    expect(parts.components.find(({ name }) => name === 'bun')?.version).toBe(packageJson.engines.bun)
  })

  test('says what needs what, of things that are in it', () => {
    const refs = parts.dependencies.map(({ ref }) => ref)
    expect(new Set(refs).size).toBe(parts.components.length + 1)
    const needed = parts.dependencies.flatMap(({ dependsOn }) => dependsOn)
    expect(needed.filter((ref) => !refs.includes(ref))).toEqual([])
    const elysia = parts.dependencies.find(({ ref }) => ref.startsWith('pkg:npm/elysia@'))
    expect(elysia?.dependsOn).toEqual(expect.arrayContaining([expect.stringContaining('npm/memoirist@')]))
  })

  test('has a serial number that is a UUID', () => {
    const { serialNumber } = parts
    expect(serialNumber).toMatch(/^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
  })
})

describe('--only', () => {
  test.each(['bogus', 'linux-x64,', ''])('refuses %p, and empties nothing', async (only) => {
    const out = makeFolder()
    await Bun.write(join(out, 'kept'), '')
    const run = await $`${process.execPath} ${join(ROOT, 'release/run.ts')} --only ${only} --out ${out}`
      .quiet()
      .nothrow()
    expect({ exitCode: run.exitCode, stderr: run.stderr.toString(), left: readdirSync(out) }).toEqual({
      exitCode: 2,
      stderr: expect.stringMatching(
        /^--only names '(bogus)?', must be of linux-x64, .*windows-x64, separated by commas\n$/,
      ),
      left: ['kept'],
    })
  })
})

describe('build.ts', () => {
  test('refuses a machine that it does not know', async () => {
    const run = await $`${process.execPath} ${join(ROOT, 'build.ts')} --target sparc`.quiet().nothrow()
    expect({ exitCode: run.exitCode, stderr: run.stderr.toString() }).toEqual({
      exitCode: 2,
      stderr: expect.stringMatching(/^Target is sparc, must be one of linux-x64, .*windows-x64\n$/),
    })
  })
})

async function digestOf(file: string): Promise<string> {
  return new Bun.CryptoHasher('sha256').update(await Bun.file(file).bytes()).digest('hex')
}
