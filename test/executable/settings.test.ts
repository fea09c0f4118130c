// The one table of settings, where people meet it: README.md, .env.example, `hipflask config` and the help of a command
// have the same names and the same defaults.
import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, runCommand } from '../support/executable.ts'
import { tableOf } from '../support/readme.ts'

const README = readFileSync(join(import.meta.dir, '../../README.md'), 'utf8')
const rows = tableOf(README, ['Variable', 'Default', 'What it is'])
const names = rows.map(([name]) => name as string)
const flagOf = (name: string) => `--${name.slice('HIPFLASK_'.length).toLowerCase().replaceAll('_', '-')}`

type Shown = Record<string, { value: unknown; origin: string; name: string | null }>

async function configOf(env: Record<string, string>, folder?: string): Promise<Shown> {
  const { stdout, stderr } = await runCommand(['config', '--json'], {
    env,
    ...(folder === undefined ? {} : { folder }),
  })
  expect(stderr).toBe('')
  return JSON.parse(stdout) as Shown
}

const valuesOf = (shown: Shown) =>
  Object.fromEntries(Object.entries(shown).map(([name, { value }]) => [name, value]))

/** The default of a row, such as `on (off in production)`, in this environment. */
function defaultIn(env: string, text: string): string {
  const [, usual = '', others = ''] = /^(.*?)(?: \((.*)\))?$/.exec(text) ?? []
  for (const other of others.split('; ')) {
    const [value, environments = ''] = other.split(' in ')
    if (environments.split(', ').includes(env)) return value as string
  }
  return usual
}

async function exampleIn(folder: string): Promise<string> {
  expect((await runCommand(['init'], { folder })).exitCode).toBe(0)
  return readFileSync(join(folder, '.env.example'), 'utf8')
}

test('there are some', () => {
  expect(names.length).toBeGreaterThan(25)
})

describe.each(['development', 'staging', 'production'])('in %s', (env) => {
  test('hipflask config has the settings of README.md with its defaults', async () => {
    const unset = await configOf({ HIPFLASK_ENV: env })
    expect(Object.keys(unset)).toEqual(names)
    const given = Object.fromEntries(
      rows
        .map(([name = '', text = '']) => [name, defaultIn(env, text)] as const)
        .filter(([name, text]) => name !== 'HIPFLASK_ENV' && text !== ''),
    )
    const set = await configOf({ HIPFLASK_ENV: env, ...given })
    expect(valuesOf(set)).toEqual(valuesOf(unset))
    for (const [name, { origin }] of Object.entries(unset)) {
      expect([name, origin]).toEqual([name, name === 'HIPFLASK_ENV' ? 'environment' : 'default'])
    }
    for (const name of Object.keys(given)) expect(set[name]).toMatchObject({ origin: 'environment', name })
    // What has no default has no value.
    for (const [name, { value }] of Object.entries(unset)) {
      if (name !== 'HIPFLASK_ENV') expect([name, value === null]).toEqual([name, !(name in given)])
    }
  })
})

test('.env.example has them with a default and a line on each, and changes nothing where all is taken', async () => {
  const folder = makeFolder()
  const example = await exampleIn(folder)
  const shown = [...example.matchAll(/^# (HIPFLASK_\w+)=/gm)].map(([, name]) => name as string)
  expect(shown.filter((name) => !name.startsWith('HIPFLASK_OIDC_NAME_'))).toEqual(names)
  for (const [name = '', fallback = '', doc] of rows) {
    const block = example
      .split('\n\n')
      .find((one) => one.includes(`\n# ${name}=`))
      ?.split('\n')
    expect(block?.[0]).toBe(`# ${doc}`)
    if (fallback.includes('(')) expect(block?.[1]).toBe(`# Default: ${fallback}`)
  }
  await Bun.write(join(folder, '.env'), example.replaceAll(/^# (HIPFLASK_)/gm, '$1'))
  const taken = await configOf({}, folder)
  expect(valuesOf(taken)).toEqual(valuesOf(await configOf({})))
  expect(taken['HIPFLASK_PORT']).toMatchObject({ origin: '.env', name: 'HIPFLASK_PORT' })
})

test('each has a flag, but secrets, which may come from a file and are never shown', async () => {
  const { stdout: help } = await runCommand(['serve', '--help'])
  const example = await exampleIn(makeFolder())
  const secrets = names.filter((name) => !new RegExp(` ${flagOf(name)}[ ,]`).test(help))
  expect(secrets).toEqual(names.filter((name) => /_SECRET|_PASSWORD|_ACCESS_KEY/.test(name)))
  expect(secrets).toContain('HIPFLASK_ADMIN_PASSWORD')
  const files = [...example.matchAll(/: (HIPFLASK_\w+)_FILE=/g)].map(([, name]) => name as string)
  expect(files).toEqual(secrets)
  const secret = 'k9#mQ2x!vL7zT4w@pR8sN3y&bF6h$jD1'
  const folder = makeFolder()
  await Bun.write(join(folder, 'secret'), `${secret}\n`)
  const env = {
    HIPFLASK_JWT_ALGORITHM: 'HS256',
    HIPFLASK_JWT_SECRET_FILE: 'secret',
    HIPFLASK_ADMIN_EMAIL: 'root@example.com',
    HIPFLASK_ADMIN_PASSWORD: secret,
  }
  for (const args of [['config'], ['config', '--json']]) {
    const { stdout, stderr } = await runCommand(args, { env, folder })
    expect(stdout + stderr).not.toContain(secret)
    expect(stdout).toContain('********')
    expect(stdout).toContain('HIPFLASK_JWT_SECRET_FILE')
  }
})

test('a flag comes before the environment, that before .env, that before the default', async () => {
  const folder = makeFolder()
  await Bun.write(
    join(folder, '.env'),
    'HIPFLASK_PORT=1\nHIPFLASK_LOG_LEVEL=warn\nHIPFLASK_BODY_LIMIT=2KiB\nOTHER=1\nPORT=9\n',
  )
  const env = { HIPFLASK_PORT: '2', HIPFLASK_LOG_LEVEL: 'error', PORT: '8' }
  const { stdout } = await runCommand(['config', '--json', '--port', '3'], { env, folder })
  expect(JSON.parse(stdout)).toMatchObject({
    HIPFLASK_PORT: { value: 3, origin: 'flag', name: '--port' },
    HIPFLASK_LOG_LEVEL: { value: 'error', origin: 'environment', name: 'HIPFLASK_LOG_LEVEL' },
    HIPFLASK_BODY_LIMIT: { value: 2048, origin: '.env', name: 'HIPFLASK_BODY_LIMIT' },
    HIPFLASK_DATA: { value: './data', origin: 'default', name: null },
  })
})

test('all problems are told at once, each with what would be right, and no value', async () => {
  const { exitCode, stderr } = await runCommand(['serve', '--rate-limit', 'canary'], {
    env: {
      HIPFLASK_RATE_LIMITS: '1/1s',
      HIPFLASK_CORS_ORIGIN: '*',
      HIPFLASK_ADMIN_PASSWORD_FILE: '/canary',
      HIPFLASK_CORS_ORIGINS: 'https://app.example.com/canary',
      HIPFLASK_JWT_SECRET: 'canary',
      HIPFLASK_OIDC_ACME_ISSUERS: 'canary',
    },
  })
  expect(exitCode).toBe(2)
  expect(stderr).not.toContain('canary')
  for (const line of [
    'HIPFLASK_RATE_LIMITS is not a setting, did you mean HIPFLASK_RATE_LIMIT?',
    'HIPFLASK_CORS_ORIGIN is not a setting, did you mean HIPFLASK_CORS_ORIGINS?',
    'HIPFLASK_OIDC_ACME_ISSUERS is not a setting, did you mean HIPFLASK_OIDC_ACME_ISSUER?',
    'HIPFLASK_ADMIN_PASSWORD_FILE must name a readable file',
    'HIPFLASK_CORS_ORIGINS must be off, *, or 1 to 100 origins',
    'HIPFLASK_JWT_SECRET must be at least 32 bytes',
    '--rate-limit must be a count from 1 to 10000',
    'HIPFLASK_ADMIN_EMAIL and HIPFLASK_ADMIN_PASSWORD must be set together',
  ]) {
    expect(stderr).toContain(`  ${line}`)
  }
})
