// Builds the product: the files that the executable carries, then the executable. The same sources give the same bytes.
// `--types` stops after the files; `--target NAME` builds for another machine, `--outfile PATH` elsewhere than
// dist/hipflask. It runs no tests and installs nothing; for another machine Bun fetches its own executable from npm once.
import { $ } from 'bun'
import { dictionary } from '@zxcvbn-ts/language-common'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { parseArgs } from 'node:util'
import { version } from './package.json'
import { PASSWORD_LENGTH_MIN } from './src/auth/passwords.ts'

const ROOT = import.meta.dir
/** What a machine is called here, and what Bun calls it. amd64 is what Debian and Docker call x64. */
const TARGETS: Readonly<Record<string, string>> = {
  'linux-x64': 'bun-linux-x64',
  'linux-amd64': 'bun-linux-x64',
  'linux-arm64': 'bun-linux-arm64',
  'macos-arm64': 'bun-darwin-arm64',
  'windows-x64': 'bun-windows-x64',
}
/** What `hipflask init` writes. The names end in .txt, or the compiler would take the files for parts of this project. */
const DECLARATIONS = join(ROOT, 'dist/hipflask.d.ts.txt')
/** The resource files of src/starter. */
const STARTERS = ['items', 'users']
/** The page at /swagger, in gzip as browsers take it: a quarter of its 1.9 MB. */
const SWAGGER_UI = ['swagger-ui-bundle.js', 'swagger-ui.css', 'favicon-32x32.png']
const COMMON_PASSWORDS = join(ROOT, 'dist/common-passwords.txt.zst')
/**
 * How many times later than usual code is optimized while the program starts, for most of that code runs once: 90 → 70 ms
 * to ready. src/cli/start-up.ts ends it.
 */
const JIT_POLICY = 100
/** The thread of slow reads, which the executable loads by itself: a second entry point. */
const READER = 'src/storage/sqlite/reader.ts'
/** This very Bun: there may be no other on the PATH. */
const bun = process.execPath

const { values } = parseArgs({
  options: {
    types: { type: 'boolean', default: false },
    target: { type: 'string' },
    outfile: { type: 'string', default: join(ROOT, 'dist/hipflask') },
  },
})
const target = bunTargetOf(values.target)

$.cwd(ROOT)
await makeDeclarations()
// A copy, since the bundler takes a file in as code or as text, not both.
for (const name of STARTERS) {
  await Bun.write(join(ROOT, `dist/starter-${name}.ts.txt`), Bun.file(join(ROOT, `src/starter/${name}.ts`)))
}
await packSwaggerUi()
await packCommonPasswords()
if (!values.types) {
  await makeExecutable()
  const name = relative(ROOT, values.outfile)
  console.log(`${name} ${version}, ${(Bun.file(values.outfile).size / 1e6).toFixed(1)} MB`)
}

/** Undefined for this machine, which needs no name. Ends the program where there is no such target. */
function bunTargetOf(name: string | undefined): string | undefined {
  if (name === undefined) return undefined
  const found = TARGETS[name]
  if (found !== undefined) return found
  console.error(`Target is ${name}, must be one of ${Object.keys(TARGETS).join(', ')}`)
  process.exit(2)
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

async function packSwaggerUi(): Promise<void> {
  for (const name of SWAGGER_UI) {
    const bytes = await Bun.file(join(ROOT, 'node_modules/swagger-ui-dist', name)).bytes()
    const packed = Bun.gzipSync(bytes, { library: 'libdeflate', level: 12 })
    await Bun.write(join(ROOT, 'dist', `${name}.gz`), packed)
  }
}

/** In the form that src/auth/common-passwords.ts searches. The shorter ones are refused for their length. */
async function packCommonPasswords(): Promise<void> {
  const folded = dictionary['passwords-common'].map((password) => password.normalize('NFC').toLowerCase())
  const long = folded.filter((password) => Array.from(password).length >= PASSWORD_LENGTH_MIN)
  const text = `\n${[...new Set(long)].sort().join('\n')}\n`
  await Bun.write(COMMON_PASSWORDS, Bun.zstdCompressSync(text, { level: 19 }))
}

/**
 * Compiles it twice: the second time what a start asks for lies together at the front of the bytecode, so that 2 MB of it
 * are never read into memory. That order is the same each time, and goes for all machines.
 */
async function makeExecutable(): Promise<void> {
  // Where the other is to be, programs may run and there is room. What a build that was ended has left is gone then too.
  const folder = join(ROOT, 'dist/first')
  await rm(folder, { recursive: true, force: true })
  try {
    const first = join(folder, 'hipflask')
    await compile(['--outfile', first])
    const order = await recordOrder(first, folder)
    const machine = target === undefined ? [] : [`--target=${target}`]
    await compile([...machine, `--bytecode-order=${order}`, '--outfile', values.outfile])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * Not minified: that breaks how Elysia reads handlers. `.env` and `bunfig.toml` of the working folder stay unread, since
 * they run foreign code; package.json is read, for npm packages beside resource files. Bytecode halves the time to start
 * (148 → 70 ms); deeper than one level of functions it adds 1.5 MB and no speed. Elysia loads file-type (0.4 MB) only for
 * its own schemas of files, which are not used here.
 */
async function compile(options: readonly string[]): Promise<void> {
  await $`${bun} build --compile --bytecode --bytecode-depth=1 --compile-jit-policy=${JIT_POLICY} --format=esm --sourcemap \
    --env=disable --no-compile-autoload-dotenv --no-compile-autoload-bunfig --compile-autoload-package-json \
    --external file-type ${options} src/main.ts ${READER}`.quiet()
}

/**
 * Makes the document of the built-in example, for which everything is made but the database, and resolves to what that
 * has run. Nobody reads the document: how fast somebody does would change the order.
 */
async function recordOrder(executable: string, folder: string): Promise<string> {
  const order = join(folder, 'order')
  const env = { BUN_BYTECODE_ORDER_OUT: order }
  const { exitCode } = Bun.spawnSync([executable, 'openapi'], {
    cwd: folder,
    env,
    stdout: 'ignore',
    stderr: 'inherit',
  })
  if (exitCode !== 0 || !(await Bun.file(order).exists()))
    throw new Error(`${executable} has not told what it runs`)
  return order
}
