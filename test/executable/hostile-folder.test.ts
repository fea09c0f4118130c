// A working folder is not trusted: whoever can put a file there must not get code or settings into the executable.
// Its package.json is read for npm packages beside resource files, and nothing in it may run.
import { describe, expect, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { version } from '../../package.json'
import { makeFolder, runCommand, startServer } from '../support/executable.ts'

const CANARY = 'canary-5f1c'

describe('the executable in a hostile folder', () => {
  test('version says the version only, and runs no file of the folder', async () => {
    const folder = await makeHostileFolder()
    const { exitCode, stdout, stderr } = await runCommand(['version'], { folder })

    expect(stdout).toContain(version)
    expect(stdout + stderr).not.toContain(CANARY)
    expect(exitCode).toBe(0)
    expect(existsSync(join(folder, 'preload-ran'))).toBe(false)
  })

  test('serve answers as in an empty folder, and runs no file of the folder', async () => {
    const folder = await makeHostileFolder()
    await using server = await startServer({ folder })
    await using plain = await startServer()
    const [answer, expected] = [await server.fetch('/swagger/json'), await plain.fetch('/swagger/json')]

    expect(answer.status).toBe(expected.status)
    expect((await answer.text()).replaceAll(server.url, '')).toBe(
      (await expected.text()).replaceAll(plain.url, ''),
    )
    expect(server.log().join('\n')).not.toContain(CANARY)
    expect(existsSync(join(folder, 'preload-ran'))).toBe(false)
    expect(existsSync(join(folder, 'foreign.db'))).toBe(false)
    expect(existsSync(join(folder, 'foreign'))).toBe(false)
    expect(existsSync(join(folder, 'data/hipflask.db'))).toBe(true)
  })

  test('serve lets resource files import hipflask and each other past the folder’s tsconfig.json', async () => {
    const folder = await makeHostileFolder()
    const resources = {
      'gadgets.ts': [
        "import { defineResource, everyone, t } from 'hipflask'",
        "import { name } from './_name.ts'",
        'export default defineResource({ name, schema: t.Object({ label: t.String() }), access: { list: everyone() } })',
      ].join('\n'),
      '_name.ts': "export const name = 'gadgets'",
    }
    await using server = await startServer({ folder, resources })

    expect((await server.fetch('/api/gadgets')).status).toBe(200)
    expect(existsSync(join(folder, 'preload-ran'))).toBe(false)
  })
})

/** Everything that Bun, Node or a framework would read from a working folder, each with an effect that shows. */
async function makeHostileFolder(): Promise<string> {
  const folder = makeFolder()
  const script = `require('node:fs').writeFileSync(${JSON.stringify(join(folder, 'preload-ran'))}, ''); console.log('${CANARY}')`
  const files: Record<string, string> = {
    'bunfig.toml': [
      'preload = ["./preload.cjs"]',
      'logLevel = "debug"',
      '[define]',
      `"process.env.HIPFLASK_LOG_FORMAT" = "'${CANARY}'"`,
      '[serve.static]',
      'plugins = ["./preload.cjs"]',
      '[test]',
      'preload = ["./preload.cjs"]',
    ].join('\n'),
    'preload.cjs': script,
    '.env': [
      'NODE_OPTIONS=--require ./preload.cjs',
      'BUN_OPTIONS=--preload ./preload.cjs',
      'BUN_BE_BUN=1',
      'BUN_INSPECT_PRELOAD=./preload.cjs',
      'NODE_ENV=production',
      `DATABASE_URL=sqlite://${join(folder, 'foreign.db')}`,
      `DATA=${join(folder, 'foreign')}`,
      'HOST=192.0.2.1',
      'NODE_TLS_REJECT_UNAUTHORIZED=0',
      'HTTP_PROXY=http://192.0.2.1:9',
      `SECRET=${CANARY}`,
    ].join('\n'),
    'package.json': JSON.stringify({
      name: 'hostile',
      version: '6.6.6',
      main: './preload.cjs',
      type: 'commonjs',
      scripts: {
        serve: 'sh -c "touch preload-ran"',
        version: 'touch preload-ran',
        preserve: 'touch preload-ran',
      },
      imports: { '#*': './preload.cjs' },
      exports: './preload.cjs',
      bun: { preload: './preload.cjs' },
    }),
    'tsconfig.json': JSON.stringify({
      compilerOptions: {
        baseUrl: '.',
        paths: {
          hipflask: ['./preload.cjs'],
          elysia: ['./preload.cjs'],
          './*': ['./preload.cjs'],
          '*': ['./preload.cjs'],
        },
        jsx: 'react',
        jsxFactory: 'preload',
        experimentalDecorators: true,
      },
    }),
    'node_modules/hipflask/package.json': JSON.stringify({ name: 'hipflask', main: 'index.js' }),
    'node_modules/hipflask/index.js': script,
    'node_modules/elysia/index.js': script,
    'node_modules/kysely/index.js': script,
  }
  // Names of ours count in `.env` alone; Bun would read these files too.
  for (const name of ['.env.local', '.env.development', '.env.production', '.env.test']) {
    files[name] = `${files['.env']}\nHIPFLASK_DATA=${join(folder, 'foreign')}`
  }
  for (const [name, text] of Object.entries(files)) await Bun.write(join(folder, name), text)
  return folder
}
