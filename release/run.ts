// Makes what a release consists of in dist/release: an executable for each machine, an archive of each, the parts list,
// and SHA256SUMS of them all. The same sources give the same bytes, which `--twice` proves by making all of it again.
// `--only linux-x64,linux-arm64` makes these alone, `--out FOLDER` puts them elsewhere. It publishes nothing.
import { $ } from 'bun'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { version } from '../package.json'
import { packTarGz, packZip, type Entry } from './archive.ts'
import { bundledPackages, licenceTexts, makeParts } from './parts.ts'

const ROOT = join(import.meta.dir, '..')
/** Names as build.ts knows them. */
const MACHINES = ['linux-x64', 'linux-arm64', 'macos-arm64', 'windows-x64']
const SUMS = 'SHA256SUMS'

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: MACHINES.join(',') },
    out: { type: 'string', default: join(ROOT, 'dist/release') },
    twice: { type: 'boolean', default: false },
  },
})
const machines = machinesOf(values.only)
const sums = await makeRelease(values.out)
console.log(await describe(values.out))
if (values.twice) await makeAgain(sums)

/** Ends the program where one is not known: before the folder is emptied. */
function machinesOf(list: string): string[] {
  const names = list.split(',')
  const unknown = names.find((name) => !MACHINES.includes(name))
  if (unknown === undefined) return names
  console.error(`--only names '${unknown}', must be of ${MACHINES.join(', ')}, separated by commas`)
  process.exit(2)
}

/** Gives the text of SHA256SUMS. The folder is emptied first. */
async function makeRelease(folder: string): Promise<string> {
  await rm(folder, { recursive: true, force: true })
  let packages: ReadonlySet<string> = new Set()
  for (const machine of machines) {
    const name = machine.startsWith('windows') ? 'hipflask.exe' : 'hipflask'
    const file = join(folder, machine, name)
    // A folder for each machine: the file's name is in its bytes, so it is the same everywhere.
    await $`${process.execPath} ${join(ROOT, 'build.ts')} --target ${machine} --outfile ${file}`.quiet()
    packages = await bundledPackages(`${file}.map`)
    await rm(`${file}.map`)
    await rm(join(folder, machine, 'reader.js.map'))
    await pack(folder, machine, [
      { name, bytes: await Bun.file(file).bytes(), isExecutable: true },
      await textEntry('LICENSE', Bun.file(join(ROOT, 'LICENSE')).text()),
      await textEntry('THIRD-PARTY-LICENSES.txt', licenceTexts(packages)),
    ])
  }
  const parts = `${JSON.stringify(await makeParts(packages), null, 2)}\n`
  await Bun.write(join(folder, `hipflask-${version}.cdx.json`), parts)
  const text = await sumsOf(folder)
  await Bun.write(join(folder, SUMS), text)
  return text
}

async function pack(folder: string, machine: string, entries: readonly Entry[]): Promise<void> {
  const base = join(folder, `hipflask-${version}-${machine}`)
  if (machine.startsWith('windows')) await Bun.write(`${base}.zip`, packZip(entries))
  else await Bun.write(`${base}.tar.gz`, await packTarGz(entries))
}

async function textEntry(name: string, text: Promise<string>): Promise<Entry> {
  return { name, bytes: new TextEncoder().encode(await text), isExecutable: false }
}

/** As `sha256sum --check` reads it. */
async function sumsOf(folder: string): Promise<string> {
  const lines = (await filesOf(folder)).map(async (file) => {
    const bytes = await Bun.file(join(folder, file)).bytes()
    return `${new Bun.CryptoHasher('sha256').update(bytes).digest('hex')}  ${file}\n`
  })
  return (await Promise.all(lines)).join('')
}

async function describe(folder: string): Promise<string> {
  const lines = (await filesOf(folder)).map((file) => {
    const megabytes = (Bun.file(join(folder, file)).size / 1e6).toFixed(1)
    return `${megabytes.padStart(8)} MB  ${file}`
  })
  return lines.join('\n')
}

/** Sorted, with slashes, and without folders. */
async function filesOf(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return files.map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1)).toSorted()
}

/** Ends the program with 1 where the second release is not the first. */
async function makeAgain(first: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'hipflask-release-'))
  try {
    const second = await makeRelease(folder)
    if (second !== first) {
      console.error(`Made twice, it is not the same:\n${first}\nand\n${second}`)
      process.exitCode = 1
    } else console.log('Made twice, byte for byte the same')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}
