// Builds the product: the texts that the executable carries for editors, then the executable dist/hipflask. The same
// sources give the same bytes. `bun build.ts --types` stops after the texts. It runs no tests and installs nothing.
import { $ } from 'bun'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { version } from './package.json'

const ROOT = import.meta.dir
const EXECUTABLE = join(ROOT, 'dist/hipflask')
/** What `hipflask init` writes. The names end in .txt, or the compiler would take the files for parts of this project. */
const DECLARATIONS = join(ROOT, 'dist/hipflask.d.ts.txt')
const STARTER = join(ROOT, 'dist/starter-items.ts.txt')
/** The thread of slow reads, which the executable loads by itself: a second entry point. */
const READER = 'src/storage/sqlite/reader.ts'
/** This very Bun: there may be no other on the PATH. */
const bun = process.execPath

$.cwd(ROOT)
await makeDeclarations()
// A copy, since the bundler takes a file in as code or as text, not both.
await Bun.write(STARTER, Bun.file(join(ROOT, 'src/starter/items.ts')))
if (!process.argv.includes('--types')) {
  await makeExecutable()
  console.log(`dist/hipflask ${version}, ${(Bun.file(EXECUTABLE).size / 1e6).toFixed(1)} MB`)
}

/**
 * Writes the public types as one file without imports. They are all in src/sdk.ts, so the compiler's own output is
 * enough; a bundler of declarations would bring 300 KB of TypeBox with it. The second run proves that the file stands
 * alone: where it lies there is no package to import.
 */
async function makeDeclarations(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'hipflask-types-'))
  const tsc = [bun, 'node_modules/typescript/bin/tsc', '--ignoreConfig', '--strict', '--types', '']
  try {
    await $`${tsc} src/sdk.ts --target esnext --module preserve --skipLibCheck --declaration --emitDeclarationOnly \
      --rootDir src --outDir ${folder}`.quiet()
    await $`${tsc} ${join(folder, 'sdk.d.ts')} --noEmit --lib esnext,dom`.quiet()
    await Bun.write(DECLARATIONS, Bun.file(join(folder, 'sdk.d.ts')))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * Compiles src/main.ts. Not minified: that breaks how Elysia reads handlers. `.env` and `bunfig.toml` of the working
 * folder stay unread, since they run foreign code; package.json is read, for npm packages beside resource files.
 * Bytecode halves the time to start (148 → 70 ms); deeper than one level of functions it adds 1.5 MB and no speed.
 */
async function makeExecutable(): Promise<void> {
  await $`${bun} build --compile --bytecode --bytecode-depth=1 --format=esm --sourcemap --env=disable \
    --no-compile-autoload-dotenv --no-compile-autoload-bunfig --compile-autoload-package-json --outfile ${EXECUTABLE} \
    src/main.ts ${READER}`.quiet()
}
