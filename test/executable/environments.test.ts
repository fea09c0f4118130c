// One executable for development, staging and production: the whole difference between them, by every default and by
// what shows over HTTP, on the command line and in the log.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { makeFolder, rawRequest, runCommand, startServer, type RunningServer } from '../support/executable.ts'

const ENVIRONMENTS = ['development', 'staging', 'production'] as const
type Environment = (typeof ENVIRONMENTS)[number]
type Observed = Record<string, unknown>

const ACCOUNT = { name: 'Ada', email: 'ada@example.com', password: 'correct horse battery staple' }
const PAGE = 'http://localhost:5173'
const TEST_TIMEOUT_MS = 60_000
const PERSONAL = new Set(['date', 'x-request-id', 'content-length', 'ratelimit'])

/** A server with the defaults of the environment, but on an address that nobody else reaches. */
const startIn = (env: Environment, more: Parameters<typeof startServer>[0] = {}) =>
  startServer({
    ...more,
    env: {
      HIPFLASK_ENV: env,
      HIPFLASK_HOST: '127.0.0.1',
      HIPFLASK_LOG_FORMAT: '',
      HIPFLASK_PUBLIC_URL: 'https://api.example.com',
      ...more.env,
    },
  })

const defaultsOf = async (env: Environment): Promise<Observed> => {
  const { stdout } = await runCommand(['config', '--json', '--env', env])
  const settings = JSON.parse(stdout) as Record<string, { value: unknown }>
  return Object.fromEntries(Object.entries(settings).map(([name, { value }]) => [name, value]))
}

const headersOf = ({ headers }: Response): Observed =>
  Object.fromEntries([...headers].filter(([name]) => !PERSONAL.has(name)))

const seenOverHttp = async (server: RunningServer): Promise<Observed> => {
  const listHeaders = headersOf(await server.fetch('/api/items'))
  const json = { 'content-type': 'application/json' }
  const registered = await server.fetch('/auth/register', {
    method: 'POST',
    headers: json,
    body: JSON.stringify(ACCOUNT),
  })
  const root = (await (await server.fetch('/')).json()) as { environment: string; links: object }
  const fromPage = await server.fetch('/api/items', { headers: { origin: PAGE } })
  const statuses: number[] = []
  for (let at = 0; at < 130; at++) statuses.push((await server.fetch('/api/items')).status)
  return {
    environment: root.environment,
    'links of /': Object.keys(root.links).join(', '),
    'POST /auth/register': registered.status,
    'GET /swagger': (await server.fetch('/swagger')).status === 200 ? 'the page' : 'no page',
    'page of this machine': fromPage.headers.get('access-control-allow-origin'),
    '130 requests at once': statuses.includes(429) ? 'some 429' : 'all 200',
    'headers of a list': listHeaders,
    'log on start': server.log()[0]?.startsWith('{') === true ? 'JSON' : 'text',
  }
}
/** What it does with a declaration that has changed, with `--watch`, and with a provider without https. */
const seenOnTheCommandLine = async (env: Environment): Promise<Observed> => {
  const folder = makeFolder()
  const declare = (fields: string) => ({
    'notes.ts': `import { defineResource, t } from 'hipflask'
      export default defineResource({ name: 'notes', schema: t.Object({ ${fields} }) })`,
  })
  await (await startIn(env, { folder, resources: declare('a: t.String()') })).stop()
  const changed = await startIn(env, {
    folder,
    resources: declare('a: t.String(), b: t.Optional(t.String())'),
  }).then(
    async (server) => (await server.stop(), 'followed'),
    (error: Error) => (error.message.includes('is behind the declarations') ? 'refused' : error.message),
  )
  const watching = await startIn(env, { args: ['--watch'], resources: declare('a: t.String()') }).then(
    async (server) => (await server.stop(), 'watches'),
    (error: Error) => (error.message.includes('--watch is for development') ? 'refused' : error.message),
  )
  const provider = {
    HIPFLASK_ENV: env,
    HIPFLASK_PUBLIC_URL: 'https://api.example.com',
    HIPFLASK_OIDC_ACME_ISSUER: 'http://127.0.0.1:9',
    HIPFLASK_OIDC_ACME_CLIENT_ID: 'client',
  }
  const { exitCode } = await runCommand(['config'], { env: provider })
  return {
    'a changed declaration': changed,
    'serve --watch': watching,
    'a provider of http': exitCode === 0 ? 'taken' : 'refused',
  }
}

/** What is not the same in all: name → its values in the order of ENVIRONMENTS. */
const differencesOf = (observed: readonly Observed[]): Record<string, unknown[]> => {
  const names = [...new Set(observed.flatMap((one) => Object.keys(one)))]
  const rows = names.map((name) => [name, observed.map((one) => one[name] ?? null)] as const)
  return Object.fromEntries(
    rows.filter(([, values]) => new Set(values.map((value) => JSON.stringify(value))).size > 1),
  )
}

const print = (differences: Record<string, unknown[]>) => {
  console.table(
    Object.entries(differences).map(([what, values]) => ({
      what,
      ...Object.fromEntries(ENVIRONMENTS.map((env, at) => [env, JSON.stringify(values[at])])),
    })),
  )
}

describe('the whole difference between development, staging and production', () => {
  test('of the defaults', async () => {
    const differences = differencesOf(await Promise.all(ENVIRONMENTS.map(defaultsOf)))
    print(differences)
    expect(differences).toEqual({
      HIPFLASK_ENV: ['development', 'staging', 'production'],
      HIPFLASK_HOST: ['127.0.0.1', '0.0.0.0', '0.0.0.0'],
      HIPFLASK_LOG_FORMAT: ['pretty', 'json', 'json'],
      HIPFLASK_RATE_LIMIT: ['off', 'off', '100/10s'],
      HIPFLASK_CORS_ORIGINS: [['loopback'], 'off', 'off'],
      HIPFLASK_SWAGGER: ['on', 'on', 'off'],
      HIPFLASK_REGISTRATION: ['open', 'open', 'closed'],
      HIPFLASK_DRAIN_SECONDS: [0, 1, 1],
    })
  })

  test(
    'of what they do',
    async () => {
      const observed: Observed[] = []
      for (const env of ENVIRONMENTS) {
        await using server = await startIn(env)
        const { 'headers of a list': headers, ...rest } = await seenOverHttp(server)
        const named = Object.entries(headers as Observed).map(([name, value]) => [`header ${name}`, value])
        observed.push({ ...rest, ...Object.fromEntries(named), ...(await seenOnTheCommandLine(env)) })
      }
      const differences = differencesOf(observed)
      print(differences)
      expect(differences).toEqual({
        environment: ['development', 'staging', 'production'],
        'links of /': [
          'docs, openapi, health, resources',
          'docs, openapi, health, resources',
          'health, resources',
        ],
        'POST /auth/register': [201, 201, 403],
        'GET /swagger': ['the page', 'the page', 'no page'],
        'page of this machine': [PAGE, null, null],
        '130 requests at once': ['all 200', 'all 200', 'some 429'],
        'log on start': ['text', 'JSON', 'JSON'],
        'header vary': ['Accept, Authorization, Origin', 'Accept, Authorization', 'Accept, Authorization'],
        'header x-robots-tag': [null, 'noindex', null],
        'header ratelimit-policy': [null, null, '"default";q=100;w=10'],
        'a changed declaration': ['followed', 'followed', 'refused'],
        'serve --watch': ['watches', 'watches', 'refused'],
        'a provider of http': ['taken', 'taken', 'refused'],
      })
      // What all have in common is there, and is that of the contract.
      expect(observed[0]).toMatchObject({
        'header strict-transport-security': 'max-age=31536000',
        'header x-content-type-options': 'nosniff',
        'header cache-control': 'private, no-cache',
      })
    },
    TEST_TIMEOUT_MS,
  )
})

describe('staging', () => {
  let server: RunningServer
  beforeAll(async () => {
    server = await startIn('staging', {
      env: { HIPFLASK_RATE_LIMIT: '1000/1s', HIPFLASK_BODY_LIMIT: '1KiB' },
    })
  })
  afterAll(() => server?.stop('SIGKILL'))

  test.each([
    [200, '/', {}],
    [200, '/health/live', {}],
    [200, '/swagger', {}],
    [200, '/swagger/json', { method: 'HEAD' }],
    [200, '/swagger/init.js', {}],
    [200, '/hipflask.css', {}],
    [204, '/api/items', { method: 'OPTIONS' }],
    [400, '/api/items?nope=1', {}],
    [401, '/auth/me', {}],
    [401, '/api/users', { headers: { authorization: 'Basic eDp5' } }],
    [404, '/nowhere', {}],
    [405, '/api/items', { method: 'DELETE' }],
    [406, '/api/items', { headers: { accept: 'image/png' } }],
    [414, `/${'a'.repeat(8200)}`, {}],
  ] as [number, string, RequestInit][])(
    'keeps search engines from a %p of %s',
    async (status, path, init) => {
      const response = await server.fetch(path, init)
      expect(response.headers.get('x-robots-tag')).toBe('noindex')
      expect(response.status).toBe(status)
    },
  )

  test('keeps them also where no route is asked', async () => {
    const answer = await rawRequest(server.url, 'GET / HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n')
    expect(answer).toStartWith('HTTP/1.1 400')
    expect(answer.toLowerCase()).toContain('x-robots-tag: noindex')
  })
})

describe('production', () => {
  const warningsOf = (server: RunningServer) =>
    server
      .log()
      .map((line) => JSON.parse(line) as { level: string; message: string })
      .filter(({ level }) => level === 'warn')
      .map(({ message }) => message)
  const PUBLIC = { HIPFLASK_PUBLIC_URL: 'https://api.example.com' }
  const ADMIN = { HIPFLASK_ADMIN_EMAIL: 'root@example.com', HIPFLASK_ADMIN_PASSWORD: 'purple staple lemon' }

  test.each([
    ['nothing that is as it should be', {}, []],
    ['no public address', { HIPFLASK_PUBLIC_URL: '' }, ['HIPFLASK_PUBLIC_URL is not set']],
    [
      'a plain public address',
      { HIPFLASK_PUBLIC_URL: 'http://api.example.com' },
      ['HIPFLASK_PUBLIC_URL is not https'],
    ],
    ['data that ends', { HIPFLASK_DATA: ':memory:' }, ['HIPFLASK_DATA is :memory:']],
    ['writes that may be lost', { HIPFLASK_DURABILITY: 'normal' }, ['HIPFLASK_DURABILITY is normal']],
    ['passwords to guess', { HIPFLASK_LOGIN_RATE_LIMIT: 'off' }, ['HIPFLASK_LOGIN_RATE_LIMIT is off']],
    ['requests without end', { HIPFLASK_RATE_LIMIT: 'off' }, ['HIPFLASK_RATE_LIMIT is off']],
    ['pages of any site', { HIPFLASK_CORS_ORIGINS: '*' }, ['HIPFLASK_CORS_ORIGINS is *']],
    ['pages of one site not', { HIPFLASK_CORS_ORIGINS: 'https://app.example.com' }, []],
    ['a document for all', { HIPFLASK_SWAGGER: 'on' }, ['HIPFLASK_SWAGGER is on']],
    ['a document for administrators not', { HIPFLASK_SWAGGER: 'admin' }, []],
    ['accounts for all not', { HIPFLASK_REGISTRATION: 'open' }, []],
    [
      'no administrator',
      { HIPFLASK_ADMIN_EMAIL: '', HIPFLASK_ADMIN_PASSWORD: '' },
      ['No administrator yet: make one by "hipflask user create'],
    ],
  ] as [string, Record<string, string>, string[]][])('warns of %s', async (_, env, expected) => {
    await using server = await startIn('production', { env: { ...PUBLIC, ...ADMIN, ...env } })
    expect(warningsOf(server).map((message, at) => message.slice(0, expected[at]?.length))).toEqual(expected)
  })

  test.each(['development', 'staging'] as const)('%s warns of none of them', async (env) => {
    const careless = { HIPFLASK_PUBLIC_URL: '', HIPFLASK_DATA: ':memory:', HIPFLASK_LOGIN_RATE_LIMIT: 'off' }
    await using server = await startIn(env, { env: { ...ADMIN, ...careless, HIPFLASK_LOG_FORMAT: 'json' } })
    expect(warningsOf(server)).toEqual([])
  })

  test('tells once of a proxy that is not named, and not of one that is', async () => {
    const headers = { 'x-forwarded-for': '192.0.2.1' }
    for (const [trusted, count] of [
      ['', 1],
      ['loopback', 0],
    ] as const) {
      await using server = await startIn('production', {
        env: { ...PUBLIC, ...ADMIN, HIPFLASK_TRUST_PROXY: trusted },
      })
      for (let at = 0; at < 3; at++) await server.fetch('/', { headers })
      const told = warningsOf(server).filter((message) => message.includes('X-Forwarded-For'))
      expect([trusted, told.length]).toEqual([trusted, count])
    }
  })

  test.each([
    [
      'a known secret',
      { HIPFLASK_JWT_ALGORITHM: 'HS256', HIPFLASK_JWT_SECRET: 'your-256-bit-secret-your-256-bit-secret' },
      'HIPFLASK_JWT_SECRET must be',
    ],
    [
      'a short secret',
      { HIPFLASK_JWT_ALGORITHM: 'HS256', HIPFLASK_JWT_SECRET: 'k9#mQ2x' },
      'HIPFLASK_JWT_SECRET must be',
    ],
    ...['adminadmin', 'a'.repeat(20), '12345678901234567890', 'hipflask', 'changeme123', 'Password123!'].map(
      (password) =>
        [
          `the password ${password}`,
          { ...ADMIN, HIPFLASK_ADMIN_PASSWORD: password },
          'HIPFLASK_ADMIN_PASSWORD',
        ] as [string, Record<string, string>, string],
    ),
    ['a common password', { ...ADMIN, HIPFLASK_ADMIN_PASSWORD: 'password123' }, 'HIPFLASK_ADMIN_PASSWORD'],
    [
      'a password that is the e-mail',
      { ...ADMIN, HIPFLASK_ADMIN_PASSWORD: ADMIN.HIPFLASK_ADMIN_EMAIL },
      'HIPFLASK_ADMIN_PASSWORD',
    ],
  ])('does not start with %s', async (_, env, named) => {
    const folder = makeFolder()
    for (const command of [['serve', '--port', '0'], ['config']]) {
      const { exitCode, stdout, stderr } = await runCommand(command, {
        folder,
        env: { HIPFLASK_ENV: 'production', HIPFLASK_HOST: '127.0.0.1', ...env },
      })
      expect([exitCode, stderr]).toEqual([1, expect.stringContaining(named)])
      for (const [name, secret] of Object.entries(env)) {
        if (/SECRET|PASSWORD/.test(name)) expect(stdout + stderr).not.toContain(secret)
      }
    }
    expect(readdirSync(folder)).toEqual([])
  })

  test.each(['development', 'staging'] as const)(
    'alone asks that much of a password, %s does not',
    async (env) => {
      const weak = { ...ADMIN, HIPFLASK_ADMIN_PASSWORD: 'changeme-admin' }
      await using server = await startIn(env, { env: weak })
      expect((await server.fetch('/health/ready')).status).toBe(200)
    },
  )
})
