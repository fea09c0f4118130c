import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { version as VERSION } from '../../src/core/version.ts'
import { settingNames, variableOf } from '../../src/config/settings.ts'
import { run } from './run.ts'

const SECRET = 'hunter2hunter2'
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hipflask-cli-'))
  await writeFile(join(folder, '.env'), 'HIPFLASK_LOG_LEVEL=warn\nSECRET=foreign\n')
})
afterAll(() => rm(folder, { recursive: true }))

describe('hipflask version', () => {
  test('prints the version', async () => {
    expect(await run('version')).toEqual({ exitCode: 0, stdout: `hipflask ${VERSION}\n`, stderr: '' })
  })

  test('--json prints it for programs', async () => {
    const { stdout } = await run('version --json')
    expect(JSON.parse(stdout)).toEqual({
      version: VERSION,
      bun: Bun.version,
      platform: `${process.platform}-${process.arch}`,
    })
  })

  test('works while a setting is wrong', async () => {
    expect((await run('version', { env: { HIPFLASK_PORT: 'x' } })).exitCode).toBe(0)
  })
})

describe('hipflask config', () => {
  const env = {
    HIPFLASK_ADMIN_EMAIL: 'ada@example.com',
    HIPFLASK_ADMIN_PASSWORD: SECRET,
    HIPFLASK_ALLOWED_HOSTS: 'a.example,b.example',
    HIPFLASK_LOGIN_RATE_LIMIT: '7/120s',
    HIPFLASK_TRUST_PROXY: 'linklocal, 192.0.2.1',
    PORT: '4000',
  }

  test('prints every setting with its value and origin, secrets masked', async () => {
    const { exitCode, stdout, stderr } = await run('config --host ::1', { env, cwd: folder })
    const lines = stdout.split('\n').map((line) => line.replaceAll(/ {2,}/g, '|'))
    for (const line of [
      'HIPFLASK_HOST|::1|flag (--host)',
      'HIPFLASK_PORT|4000|environment (PORT)',
      'HIPFLASK_LOG_LEVEL|warn|.env (HIPFLASK_LOG_LEVEL)',
      'HIPFLASK_DATA|./data|default',
      'HIPFLASK_PUBLIC_URL|-|default',
      'HIPFLASK_ALLOWED_HOSTS|a.example,b.example|environment (HIPFLASK_ALLOWED_HOSTS)',
      'HIPFLASK_LOGIN_RATE_LIMIT|7/120s|environment (HIPFLASK_LOGIN_RATE_LIMIT)',
      'HIPFLASK_TRUST_PROXY|169.254.0.0/16,fe80::/10,192.0.2.1/32|environment (HIPFLASK_TRUST_PROXY)',
      'HIPFLASK_ADMIN_PASSWORD|********|environment (HIPFLASK_ADMIN_PASSWORD)',
    ]) {
      expect(lines).toContain(line)
    }
    expect(lines).toHaveLength(settingNames.length + 1)
    expect(stdout + stderr).not.toContain(SECRET)
    expect(exitCode).toBe(0)
  })

  test('--json prints the same for programs', async () => {
    const { stdout } = await run('config --json --body-limit 2KiB', { env, cwd: folder })
    const printed = JSON.parse(stdout) as Record<string, unknown>
    expect(Object.keys(printed)).toEqual(settingNames.map(variableOf))
    expect(printed).toMatchObject({
      HIPFLASK_BODY_LIMIT: { value: 2048, origin: 'flag', name: '--body-limit' },
      HIPFLASK_LOGIN_RATE_LIMIT: { value: '7/120s' },
      HIPFLASK_PUBLIC_URL: { value: null, origin: 'default', name: null },
      HIPFLASK_ADMIN_PASSWORD: { value: '********', origin: 'environment', name: 'HIPFLASK_ADMIN_PASSWORD' },
    })
    expect(stdout).not.toContain(SECRET)
  })

  test('prints every problem on stderr with exit code 1, without the secret', async () => {
    const { exitCode, stdout, stderr } = await run('config', {
      env: { HIPFLASK_PORT: 'x', HIPFLASK_ADMIN_PASSWORD: 'hunter2' },
      cwd: folder,
    })
    expect(stdout).toBe('')
    expect(stderr).toStartWith('Settings are not valid:\n')
    expect(stderr).toContain('HIPFLASK_PORT must be')
    expect(stderr).toContain('HIPFLASK_ADMIN_PASSWORD must be')
    expect(stderr).not.toContain('hunter2')
    expect(exitCode).toBe(1)
  })
})

describe('hipflask health', () => {
  const requests: { path: string; host: string | null }[] = []
  let status = 200
  let server: Bun.Server<undefined>
  let silent: Server
  let silentPort: number

  beforeAll(async () => {
    server = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch(request) {
        requests.push({ path: new URL(request.url).pathname, host: request.headers.get('host') })
        return new Response('{}', { status, headers: status === 302 ? { location: '/' } : {} })
      },
    })
    silent = createServer(() => {})
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    silentPort = (silent.address() as { port: number }).port
  })
  afterAll(async () => {
    await server.stop(true)
    silent.close()
  })

  test.each([
    ['127.0.0.1', 200, 0],
    ['0.0.0.0', 200, 0],
    ['localhost', 200, 0],
    ['127.0.0.1', 503, 1],
    ['127.0.0.1', 302, 1],
    ['127.0.0.1', 404, 1],
  ])('of a server on %s that answers %d ends with %d', async (host, answered, exitCode) => {
    status = answered
    const outcome = await run(`health --host ${host} --port ${server.port}`)
    expect(outcome.exitCode).toBe(exitCode)
    expect(exitCode === 0 ? outcome.stdout : outcome.stderr).toContain(
      `http://${host === 'localhost' ? host : '127.0.0.1'}:${server.port}/health/ready`,
    )
    expect(exitCode === 0 ? outcome.stderr : outcome.stdout).toBe('')
    expect(requests.at(-1)!.path).toBe('/health/ready')
  })

  test('--json tells programs', async () => {
    status = 503
    const { exitCode, stdout } = await run(`health --json --port ${server.port}`)
    expect(exitCode).toBe(1)
    expect(JSON.parse(stdout)).toEqual({
      ready: false,
      url: `http://127.0.0.1:${server.port}/health/ready`,
      status: 503,
      message: 'not ready, status 503',
    })
  })

  test('asks under a name that the server answers for, and no proxy', async () => {
    status = 200
    const proxy = process.env['HTTP_PROXY']
    process.env['HTTP_PROXY'] = 'http://127.0.0.1:9'
    try {
      const outcome = await run(`health --allowed-hosts api.example.com,b.example --port ${server.port}`)
      expect(outcome.exitCode).toBe(0)
      expect(requests.at(-1)!.host).toBe('api.example.com')
    } finally {
      if (proxy === undefined) delete process.env['HTTP_PROXY']
      else process.env['HTTP_PROXY'] = proxy
    }
  })

  test('ends with 1 where nothing answers', async () => {
    const free = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response() })
    const { port } = free
    await free.stop(true)
    expect(await run(`health --port ${port}`)).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: `http://127.0.0.1:${port}/health/ready: nothing answers\n`,
    })
  })

  test('gives up after 3 seconds', async () => {
    const { exitCode, stderr } = await run(`health --port ${silentPort}`)
    expect(stderr).toContain('no answer in 3 seconds')
    expect(exitCode).toBe(1)
  })

  test('of port 0 is refused', async () => {
    const { exitCode, stderr } = await run('health --port 0')
    expect(stderr).toBe('Port is 0, must be the one that the server listens on\n')
    expect(exitCode).toBe(1)
  })
})
