import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadConfig, readDotenv, type LoadOptions } from '../../src/config/load.ts'
import { StartError } from '../../src/core/errors.ts'

const SECRET = 'correct horse battery'
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hipflask-config-'))
})
afterAll(() => rm(folder, { recursive: true }))

function failure(options: Partial<LoadOptions>): StartError {
  try {
    loadConfig({ env: {}, cwd: folder, ...options })
  } catch (error) {
    if (error instanceof StartError) return error
    throw error
  }
  throw new Error('The settings were taken')
}

function problems(options: Partial<LoadOptions>): string[] {
  const [first, ...lines] = failure(options).message.split('\n')
  expect(first).toBe('Settings are not valid:')
  return lines.map((line) => line.slice(2))
}

describe('defaults', () => {
  const everywhere = {
    port: 3000,
    data: './data',
    resources: './resources',
    publicUrl: undefined,
    allowedHosts: undefined,
    logLevel: 'info',
    bodyLimit: 1_048_576,
    accessTokenSeconds: 900,
    refreshTokenSeconds: 2_592_000,
    refreshGraceSeconds: 10,
    sessionSeconds: 7_776_000,
    loginRateLimit: { limit: 10, windowMs: 900_000 },
    trustProxy: undefined,
    jwtAlgorithm: 'EdDSA',
    jwtSecret: undefined,
    jwtKeyFile: undefined,
    tlsCert: undefined,
    tlsKey: undefined,
    adminEmail: undefined,
    adminPassword: undefined,
    oidcRedirects: undefined,
    trustedIssuers: undefined,
    oidc: [],
    durability: 'full',
    backupEvery: undefined,
    backupKeep: 7,
    backupTo: undefined,
    backupS3Endpoint: undefined,
    backupS3Region: 'us-east-1',
    backupS3AccessKeyId: undefined,
    backupS3SecretAccessKey: undefined,
  } as const
  test.each([
    [
      'development',
      {
        host: '127.0.0.1',
        logFormat: 'pretty',
        rateLimit: 'off',
        corsOrigins: ['loopback'],
        swagger: 'on',
        registration: 'open',
        drainSeconds: 0,
      },
    ],
    [
      'staging',
      {
        host: '0.0.0.0',
        logFormat: 'json',
        rateLimit: 'off',
        corsOrigins: 'off',
        swagger: 'on',
        registration: 'open',
        drainSeconds: 1,
      },
    ],
    [
      'production',
      {
        host: '0.0.0.0',
        logFormat: 'json',
        rateLimit: { limit: 100, windowMs: 10_000 },
        corsOrigins: 'off',
        swagger: 'off',
        registration: 'closed',
        drainSeconds: 1,
      },
    ],
  ] as const)('of %s', (env, own) => {
    const { config, origins } = loadConfig({ env: { HIPFLASK_ENV: env } })
    expect<object>(config).toEqual({ env, ...everywhere, ...own })
    expect(origins.env).toEqual({ source: 'environment', name: 'HIPFLASK_ENV' })
    expect(origins.host).toEqual({ source: 'default' })
  })

  test('are those of development when nothing is said', () => {
    expect(loadConfig({ env: {} }).config).toEqual(
      loadConfig({ env: { HIPFLASK_ENV: 'development' } }).config,
    )
  })

  test.each([
    [{ flags: { env: 'production' } }, 'flag'],
    [{ dotenv: 'HIPFLASK_ENV=production' }, '.env'],
  ])('follow the environment wherever it is said: %p', (options, source) => {
    const { config, origins } = loadConfig({ env: {}, ...options })
    expect(config.registration).toBe('closed')
    expect(origins.env.source).toBe(source as 'flag')
  })
})

describe('the order is flag, environment, .env, default', () => {
  const flags = { port: '1' }
  const variable = { HIPFLASK_PORT: '2' }
  const platform = { PORT: '3' }
  const dotenv = 'HIPFLASK_PORT=4\nPORT=5'
  test.each<[Partial<LoadOptions>, number, object]>([
    [{ flags, env: { ...variable, ...platform }, dotenv }, 1, { source: 'flag', name: '--port' }],
    [{ env: { ...variable, ...platform }, dotenv }, 2, { source: 'environment', name: 'HIPFLASK_PORT' }],
    [{ env: platform, dotenv }, 3, { source: 'environment', name: 'PORT' }],
    [{ dotenv }, 4, { source: '.env', name: 'HIPFLASK_PORT' }],
    [{ dotenv: 'PORT=5' }, 5, { source: '.env', name: 'PORT' }],
    [{ dotenv: 'HIPFLASK_PORT=6\nHIPFLASK_PORT=7' }, 7, { source: '.env', name: 'HIPFLASK_PORT' }],
    [{}, 3000, { source: 'default' }],
    [{ env: { HIPFLASK_PORT: '', PORT: '' }, dotenv: 'HIPFLASK_PORT=' }, 3000, { source: 'default' }],
    [{ env: { HIPFLASK_PORT: '' }, dotenv }, 4, { source: '.env', name: 'HIPFLASK_PORT' }],
  ])('%p', (options, port, origin) => {
    const { config, origins } = loadConfig({ env: {}, ...options })
    expect(config.port).toBe(port)
    expect(origins.port).toEqual(origin as { source: 'flag' })
  })
})

describe('.env', () => {
  test('may have any other name, which is ignored', () => {
    const { config } = loadConfig({
      env: {},
      dotenv: 'NODE_ENV=production\nHOST=evil.example\nDATABASE_URL="\nhipflask_host=x\nHIPFLASK_HOST=::1',
    })
    expect(config.host).toBe('::1')
  })

  test('is told of where a value of it is wrong', () => {
    expect(
      problems({ dotenv: 'HIPFLASK_LOG_LEVEL=trace\nPORT=x\nHIPFLASK_POT=1\nHIPFLASK_HOST="a' }),
    ).toEqual([
      'HIPFLASK_HOST in .env has a quote that is not closed on its line',
      'HIPFLASK_POT in .env is not a setting, did you mean HIPFLASK_PORT?',
      'PORT in .env must be a whole number from 0 to 65535',
      'HIPFLASK_LOG_LEVEL in .env must be debug, info, warn or error',
    ])
  })

  test('is read from the folder, and is absent where there is none or a folder of that name', async () => {
    const own = await mkdtemp(join(folder, 'dotenv-'))
    expect(readDotenv(own)).toBeUndefined()
    await writeFile(join(own, '.env'), 'A=1\n')
    expect(readDotenv(own)).toBe('A=1\n')
    await rm(join(own, '.env'))
    await mkdir(join(own, '.env'))
    expect(readDotenv(own)).toBeUndefined()
  })

  test.each([
    [64 * 1024, true],
    [64 * 1024 + 1, false],
  ])('of %p bytes is taken: %p', async (size, isTaken) => {
    const own = await mkdtemp(join(folder, 'dotenv-'))
    await writeFile(join(own, '.env'), '#'.repeat(size))
    if (isTaken) expect(readDotenv(own)).toHaveLength(size)
    else expect(() => readDotenv(own)).toThrow(StartError)
  })
})

describe('a secret', () => {
  const admin = { HIPFLASK_ADMIN_EMAIL: 'ada@example.com' }

  test.each([
    [SECRET, SECRET],
    [`${SECRET}\n`, SECRET],
    [`${SECRET}\r\n`, SECRET],
    [`${SECRET}\n\n`, `${SECRET}\n`],
    [`${SECRET} `, `${SECRET} `],
  ])('may come from a file: %p is %p', async (content, value) => {
    await writeFile(join(folder, 'secret'), content)
    const env = { ...admin, HIPFLASK_ADMIN_PASSWORD_FILE: 'secret' }
    const { config, origins } = loadConfig({ env, cwd: folder })
    expect(config.adminPassword).toBe(value)
    expect(origins.adminPassword).toEqual({ source: 'environment', name: 'HIPFLASK_ADMIN_PASSWORD_FILE' })
  })

  test('from a file named in .env is taken too, and the environment comes before', async () => {
    await writeFile(join(folder, 'secret'), SECRET)
    const dotenv = 'HIPFLASK_ADMIN_PASSWORD_FILE=secret'
    expect(loadConfig({ env: admin, dotenv, cwd: folder }).config.adminPassword).toBe(SECRET)
    const env = { ...admin, HIPFLASK_ADMIN_PASSWORD: 'another one' }
    expect(loadConfig({ env, dotenv, cwd: folder }).config.adminPassword).toBe('another one')
  })

  test('given twice is a problem', async () => {
    await writeFile(join(folder, 'secret'), SECRET)
    const env = { ...admin, HIPFLASK_ADMIN_PASSWORD: SECRET, HIPFLASK_ADMIN_PASSWORD_FILE: 'secret' }
    expect(problems({ env })).toEqual([
      'HIPFLASK_ADMIN_PASSWORD and HIPFLASK_ADMIN_PASSWORD_FILE are both set, only one of them may be',
    ])
  })

  test.each([
    ['absent', undefined, 'there is no such file'],
    ['a folder', 'folder', 'it is a folder'],
    ['over 4096 bytes', 'p'.repeat(4097), 'it is longer'],
  ])('of a file that is %s is one problem', async (_, content, reason) => {
    const own = await mkdtemp(join(folder, 'secret-'))
    if (content === 'folder') await mkdir(join(own, 'secret'))
    else if (content !== undefined) await writeFile(join(own, 'secret'), content)
    const env = { ...admin, HIPFLASK_ADMIN_PASSWORD_FILE: 'secret' }
    expect(problems({ env, cwd: own })).toEqual([
      `HIPFLASK_ADMIN_PASSWORD_FILE must name a readable file of at most 4096 bytes: ${reason}`,
    ])
  })

  test.skipIf(process.getuid?.() !== 0)('of a file of another user tells who may not read it', async () => {
    const own = await mkdtemp(join(folder, 'secret-'))
    await writeFile(join(own, 'secret'), SECRET, { mode: 0o600 })
    for (const path of [folder, own]) await chmod(path, 0o755)
    const script = `
      const { loadConfig } = await import(${JSON.stringify(join(import.meta.dir, '../../src/config/load.ts'))})
      process.setuid(65534)
      try { loadConfig({ flags: {}, env: { HIPFLASK_ADMIN_PASSWORD_FILE: 'secret' }, cwd: ${JSON.stringify(own)} }) }
      catch (error) { console.log(error.message) }`
    const { stdout } = Bun.spawnSync([process.execPath, '-e', script])
    expect(`${stdout}`).toContain('at most 4096 bytes: this user (uid 65534) may not read it')
  })

  test('of an empty file is too short', async () => {
    await writeFile(join(folder, 'empty'), '\n')
    const env = { ...admin, HIPFLASK_ADMIN_PASSWORD_FILE: 'empty' }
    expect(problems({ env })).toEqual(['HIPFLASK_ADMIN_PASSWORD_FILE must be 8 to 256 characters'])
  })

  test.each([
    [{ HIPFLASK_ADMIN_PASSWORD: 'hunter2' }],
    [{ HIPFLASK_ADMIN_PASSWORD_FILE: 'hunter2' }],
    [{ HIPFLASK_ADMIN_PASSWORD: 'hunter2', HIPFLASK_ADMIN_PASSWORD_FILE: 'hunter2' }],
    [{ HIPFLASK_ADMIN_PASWORD: 'hunter2' }],
    [{ HIPFLASK_PORT: 'hunter2', HIPFLASK_PUBLIC_URL: 'https://hunter2@x' }],
  ])('is no part of a message: %p', (env) => {
    expect(failure({ env }).message).not.toContain('hunter2')
    const dotenv = Object.entries(env).map(([name, value]) => `${name}="${value}"`)
    expect(failure({ dotenv: dotenv.join('\n') }).message).not.toContain('hunter2')
    expect(failure({ dotenv: dotenv.join('\n').replaceAll(/"$/gm, '') }).message).not.toContain('hunter2')
  })
})

describe('what signs tokens fits their algorithm', () => {
  const strong = 'kJ8vQ2xN5mW7pR4tY6uB3cZ9dF1gH0sL'
  const file = 'jwt.pem'
  const unused = 'HIPFLASK_JWT_SECRET is not used by HIPFLASK_JWT_ALGORITHM'
  const mustBe =
    'HIPFLASK_JWT_SECRET must be at least 32 bytes that nobody can guess, such as what openssl rand -base64 48 prints'
  test.each<[Record<string, string>, string[]]>([
    [{ ALGORITHM: 'EdDSA' }, []],
    [{ KEY_FILE: file }, []],
    [{ ALGORITHM: 'ES256', KEY_FILE: file }, []],
    [{ ALGORITHM: 'RS256', KEY_FILE: file }, []],
    [{ ALGORITHM: 'HS256', SECRET: strong }, []],
    [{ ALGORITHM: 'ES256' }, ['HIPFLASK_JWT_ALGORITHM ES256 needs HIPFLASK_JWT_KEY_FILE']],
    [{ ALGORITHM: 'RS256' }, ['HIPFLASK_JWT_ALGORITHM RS256 needs HIPFLASK_JWT_KEY_FILE']],
    [
      { ALGORITHM: 'HS256' },
      ['HIPFLASK_JWT_ALGORITHM HS256 needs HIPFLASK_JWT_SECRET or HIPFLASK_JWT_SECRET_FILE'],
    ],
    [{ SECRET: strong }, [`${unused} EdDSA, take it away or choose HS256`]],
    [
      { ALGORITHM: 'ES256', KEY_FILE: file, SECRET: strong },
      [`${unused} ES256, take it away or choose HS256`],
    ],
    [
      { ALGORITHM: 'HS256', SECRET: strong, KEY_FILE: file },
      ['HIPFLASK_JWT_KEY_FILE is not used by HIPFLASK_JWT_ALGORITHM HS256, take it away'],
    ],
    [{ ALGORITHM: 'HS256', SECRET: 'canary' }, [mustBe]],
    [{ ALGORITHM: 'HS256', SECRET: 'canary'.repeat(8) }, [mustBe]],
    [{ ALGORITHM: 'none' }, ['HIPFLASK_JWT_ALGORITHM must be EdDSA, ES256, RS256 or HS256']],
    [
      { ALGORITHM: 'ES256', KEY_FILE: '-----BEGIN PRIVATE KEY-----canary' },
      ['HIPFLASK_JWT_KEY_FILE must be the name of a PEM file'],
    ],
  ])('%p', (settings, expected) => {
    for (const HIPFLASK_ENV of ['development', 'staging', 'production']) {
      const own = Object.entries(settings).map(([name, value]) => [`HIPFLASK_JWT_${name}`, value])
      const env = { HIPFLASK_ENV, ...Object.fromEntries(own) }
      if (expected.length > 0) expect(problems({ env })).toEqual(expected)
      else expect(loadConfig({ env }).config.jwtAlgorithm).toBe((settings['ALGORITHM'] ?? 'EdDSA') as 'EdDSA')
    }
  })
})

describe('a problem', () => {
  test.each<[string, string[]]>([
    ['HIPFLASK_POT', ['HIPFLASK_POT is not a setting, did you mean HIPFLASK_PORT?']],
    [
      'HIPFLASK_ALLOWED_HOST',
      ['HIPFLASK_ALLOWED_HOST is not a setting, did you mean HIPFLASK_ALLOWED_HOSTS?'],
    ],
    ['HIPFLASK_WORKERS', ['HIPFLASK_WORKERS is not a setting, hipflask help config lists those there are']],
    ['HIPFLASK_PORT_FILE', ['HIPFLASK_PORT_FILE is not a setting, only secrets may come from a file']],
    ['HIPFLASK_', ['HIPFLASK_ is not a setting, hipflask help config lists those there are']],
    [
      'HIPFLASK_ADMIN_EMAIL',
      [
        'HIPFLASK_ADMIN_EMAIL must be an e-mail address',
        'HIPFLASK_ADMIN_EMAIL and HIPFLASK_ADMIN_PASSWORD must be set together',
      ],
    ],
    [
      'HIPFLASK_ADMIN_PASSWORD',
      [
        'HIPFLASK_ADMIN_PASSWORD must be 8 to 256 characters',
        'HIPFLASK_ADMIN_EMAIL and HIPFLASK_ADMIN_PASSWORD must be set together',
      ],
    ],
  ])('with %s', (name, expected) => {
    expect(problems({ env: { [name]: 'x' } })).toEqual(expected)
  })

  test('with an unknown name is one even if it is empty', () => {
    expect(problems({ env: { HIPFLASK_POT: '' } })).toHaveLength(1)
  })

  test.each([
    'HIPFLASK_ENV: canary',
    'HIPFLASK_ENV canary',
    'HIPFLASK_ENV',
    'HIPFLASK-ENV=canary',
    'HIPFLASK_EN V=canary',
    ' export HIPFLASK_ENV:canary',
    '"HIPFLASK_ENV"=canary',
  ])('is the line %j of .env, told by its number without its text', (line) => {
    expect(problems({ env: {}, dotenv: `# first\nOTHER: 1\n${line}\nexport HIPFLASK_PORT=1` })).toEqual([
      'Line 3 of .env begins as a setting, but is not of the form HIPFLASK_NAME=value',
    ])
  })

  test.each(['export HIPFLASK_ENV = staging', '  HIPFLASK_ENV="staging" # for now'])(
    'is not the line %j of .env',
    (dotenv) => expect(loadConfig({ env: {}, dotenv }).config.env).toBe('staging'),
  )

  test.each(['# HIPFLASK_ENV: staging', 'A="\nHIPFLASK_ENV: staging\n"', 'OTHER: HIPFLASK_ENV'])(
    'is not what %j says to others',
    (dotenv) => expect(loadConfig({ env: {}, dotenv }).config.env).toBe('development'),
  )

  test('does not hide the others', () => {
    const env = {
      HIPFLASK_ENV: 'test',
      HIPFLASK_POT: '1',
      HIPFLASK_BODY_LIMIT: '1GB',
      HIPFLASK_ADMIN_EMAIL: 'a@b.example',
    }
    expect(problems({ flags: { port: '99999', data: '' }, env, dotenv: 'HIPFLASK_SWAGGER=true' })).toEqual([
      'HIPFLASK_POT is not a setting, did you mean HIPFLASK_PORT?',
      'HIPFLASK_ENV must be development, staging or production',
      '--port must be a whole number from 0 to 65535',
      '--data must be the name of a folder, or :memory:',
      'HIPFLASK_BODY_LIMIT must be a size from 1KiB to 64MiB, such as 512KiB or 1MiB',
      'HIPFLASK_SWAGGER in .env must be on, off or admin',
      'HIPFLASK_ADMIN_EMAIL and HIPFLASK_ADMIN_PASSWORD must be set together',
    ])
  })

  test('has exit code 2 where a flag is wrong, else 1', () => {
    expect(failure({ flags: { port: 'x' }, env: { HIPFLASK_HOST: '?' } }).exitCode).toBe(2)
    expect(failure({ env: { HIPFLASK_HOST: '?' } }).exitCode).toBe(1)
  })
})
