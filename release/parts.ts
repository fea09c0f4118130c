// What is in the executable and whose it is: a parts list (SBOM) in CycloneDX 1.6, and the licence texts that go along.
// Packages are those that the bundler took in, by its source map, not those that happen to be installed; versions and
// digests are of bun.lock. Nothing in it is of the day or the machine, so that the same sources give the same list.
// `bun release/parts.ts MAP` prints the licence texts of an executable by its source map, for the image.
import { Database } from 'bun:sqlite'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import packageJson from '../package.json'

const ROOT = join(import.meta.dir, '..')
/** In the executable as data, so the bundler does not know them: see build.ts. */
const EMBEDDED = ['swagger-ui-dist', '@zxcvbn-ts/language-common']
const LICENCE_FILE = /^((swagger-ui-bundle\.js\.)?licen[cs]e|notice)(\.(txt|md))?$/i

/** An entry of bun.lock: name@version, registry, what it needs, digest. */
type Locked = readonly [string, string, { dependencies?: Record<string, string> }, string]

interface Component {
  type: 'library' | 'application' | 'data'
  'bom-ref': string
  name: string
  version: string
  purl?: string
  licenses: object[]
  hashes?: object[]
}

/** The npm packages whose files are in the bundle of this source map. */
export async function bundledPackages(map: string): Promise<ReadonlySet<string>> {
  const { sources } = (await Bun.file(map).json()) as { sources: string[] }
  const names = sources.map((source) => /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(source)?.[1])
  return new Set(names.filter((name) => name !== undefined))
}

/** https://cyclonedx.org/docs/1.6/json/ */
export async function makeParts(bundled: ReadonlySet<string>): Promise<object> {
  const locked = await readLock()
  const names = [...bundled, ...EMBEDDED].toSorted()
  const own = `hipflask@${packageJson.version}`
  const packages = await Promise.all(names.map((name) => componentOf(name, locked)))
  const runtime = [bunComponent(), sqliteComponent()]
  const refs = new Map(packages.map((component) => [nameOf(component), component['bom-ref']]))
  const needs = (name: string) => Object.keys(locked[name]?.[2].dependencies ?? {})
  const list = {
    metadata: {
      component: {
        type: 'application',
        'bom-ref': own,
        name: 'hipflask',
        version: packageJson.version,
        description: packageJson.description,
        licenses: [{ license: { id: packageJson.license } }],
      },
    },
    components: [...packages, ...runtime],
    dependencies: [
      { ref: own, dependsOn: [...refs.values(), bunComponent()['bom-ref']] },
      ...names.map((name) => ({
        ref: refs.get(name),
        dependsOn: needs(name).flatMap((needed) => refs.get(needed) ?? []),
      })),
      { ref: bunComponent()['bom-ref'], dependsOn: [sqliteComponent()['bom-ref']] },
      { ref: sqliteComponent()['bom-ref'], dependsOn: [] },
    ],
  }
  return {
    $schema: 'http://cyclonedx.org/schema/bom-1.6.schema.json',
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify(list))}`,
    version: 1,
    ...list,
  }
}

/** The licences of the packages in full, as most of them ask of whoever gives copies away. */
export async function licenceTexts(bundled: ReadonlySet<string>): Promise<string> {
  const parts = [
    `hipflask contains Bun ${Bun.version} (MIT, with parts under the LGPL and other licences: ` +
      'https://bun.com/docs/project/licensing), SQLite (public domain), and these packages.\n',
  ]
  for (const name of [...bundled, ...EMBEDDED].toSorted()) {
    const folder = join(ROOT, 'node_modules', name)
    const files = (await readdir(folder)).filter((file) => LICENCE_FILE.test(file)).toSorted()
    if (files.length === 0) throw new Error(`${name} has no file of its licence`)
    for (const file of files) {
      parts.push(
        `${'='.repeat(80)}\n${name}, ${file}\n\n${(await Bun.file(join(folder, file)).text()).trim()}\n`,
      )
    }
  }
  return parts.join('\n')
}

async function readLock(): Promise<Readonly<Record<string, Locked>>> {
  // Its commas at the ends of lists are no JSON.
  const lock = Bun.JSON5.parse(await Bun.file(join(ROOT, 'bun.lock')).text())
  return (lock as { packages: Record<string, Locked> }).packages
}

async function componentOf(name: string, locked: Readonly<Record<string, Locked>>): Promise<Component> {
  const entry = locked[name]
  if (entry === undefined) throw new Error(`${name} is in the executable and not in bun.lock`)
  const version = entry[0].slice(name.length + 1)
  const { license } = (await Bun.file(join(ROOT, 'node_modules', name, 'package.json')).json()) as {
    license: string
  }
  const purl = `pkg:npm/${name.replace('@', '%40')}@${version}`
  const digest = Buffer.from(entry[3].replace(/^sha512-/, ''), 'base64').toString('hex')
  return {
    type: EMBEDDED.includes(name) ? 'data' : 'library',
    'bom-ref': purl,
    name,
    version,
    purl,
    licenses: [{ license: { id: license } }],
    hashes: [{ alg: 'SHA-512', content: digest }],
  }
}

/** Bun is the greatest part of the executable. Its own licence is MIT, those of its parts are many. */
function bunComponent(): Component {
  const purl = `pkg:npm/bun@${Bun.version}`
  return {
    type: 'application',
    'bom-ref': purl,
    name: 'bun',
    version: Bun.version,
    purl,
    licenses: [{ license: { id: 'MIT' } }, { license: { id: 'LGPL-2.0-or-later' } }],
  }
}

/** SQLite is within Bun, so its version is that of the Bun that builds. */
function sqliteComponent(): Component {
  const database = new Database(':memory:')
  const { version } = database.query('SELECT sqlite_version() AS version').get() as { version: string }
  database.close()
  return {
    type: 'library',
    'bom-ref': `sqlite@${version}`,
    name: 'sqlite',
    version,
    licenses: [{ license: { id: 'blessing' } }],
  }
}

function nameOf({ name }: Component): string {
  return name
}

/** A UUID of its own kind (version 8, RFC 9562 5.8) that depends on the text alone. */
function uuidOf(text: string): string {
  const hex = new Bun.CryptoHasher('sha256').update(text).digest('hex')
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`]
  return [...parts, hex.slice(20, 32)].join('-')
}

if (import.meta.main) console.log(await licenceTexts(await bundledPackages(Bun.argv[2] ?? '')))
