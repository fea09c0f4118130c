// `hipflask user` beside a running server: accounts, and passwords that come by standard input alone.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { runCommand, type CommandResult } from '../support/executable.ts'
import { basic, PASSWORD, post, startWorld, type World } from '../support/world.ts'

const EXECUTABLE = join(import.meta.dir, '../../dist/hipflask')
const PTY_MS = 10_000
const hasPty = Bun.which('script') !== null
if (!hasPty) console.log('The prompt for a password is not tested: it needs script, of bsdutils')

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.stop())

async function run(args: readonly string[], stdin?: string | Uint8Array): Promise<CommandResult> {
  if (stdin === undefined) return runCommand(['user', ...args], { folder: world.folder })
  const child = Bun.spawn([EXECUTABLE, 'user', ...args], {
    cwd: world.folder,
    env: { PATH: process.env['PATH'] ?? '', HOME: world.folder },
    stdin: new Blob([stdin]),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [exitCode, stdout, stderr] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { exitCode, stdout, stderr }
}

const signIn = async (email: string, password: string) => {
  const response = await world.fetch('/auth/login', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password }),
  })
  return response.status
}
const me = async (headers: Record<string, string>) => {
  const response = await world.fetch('/auth/me', { headers })
  return { status: response.status, body: (await response.json()) as any }
}

describe('hipflask user create', () => {
  test('makes an account of the line on standard input, which signs in at once', async () => {
    const { exitCode, stdout, stderr } = await run(
      ['create', 'carol@example.com', '--name', 'Carol'],
      `${PASSWORD}\nanother line\n`,
    )
    expect([exitCode, stdout]).toEqual([0, expect.stringMatching(/^Made the account [0-9a-f-]{36}\n$/)])
    expect(stdout + stderr).not.toContain(PASSWORD)
    expect(stderr).toContain('account.created')
    expect(await signIn('carol@example.com', PASSWORD)).toBe(200)
    expect((await me(basic('carol@example.com', PASSWORD))).body).toMatchObject({
      name: 'Carol',
      role: 'user',
    })
  })

  test('--role and --json', async () => {
    const { stdout } = await run(
      ['create', 'dan@example.com', '--name', 'Dan', '--role', 'admin', '--json'],
      PASSWORD,
    )
    const made = JSON.parse(stdout)
    expect(made).toMatchObject({ email: 'dan@example.com', name: 'Dan', role: 'admin', disabled: false })
    expect(stdout).not.toContain('password')
  })

  const cases: [what: string, args: string[], stdin: string | undefined, exitCode: number, stderr: RegExp][] =
    [
      ['no e-mail', ['--name', 'X'], PASSWORD, 2, /^E-mail is missing\n$/],
      ['no name', ['x@example.com'], PASSWORD, 2, /^Option --name is missing\n$/],
      ['no password', ['x@example.com', '--name', 'X'], undefined, 2, /^Password is missing/],
      ['an empty password', ['x@example.com', '--name', 'X'], '\n', 2, /^Password is missing/],
      ['a short password', ['x@example.com', '--name', 'X'], 'canary7\n', 2, /^Password: /],
      ['a common password', ['x@example.com', '--name', 'X'], 'password1234\n', 2, /^Password: /],
      ['an e-mail that is none', ['nope', '--name', 'X'], PASSWORD, 2, /^E-mail: /],
      ['an unknown role', ['x@example.com', '--name', 'X', '--role', 'nope'], PASSWORD, 2, /^Role: /],
      ['an e-mail that is taken', ['ADA@example.com', '--name', 'X'], PASSWORD, 1, /^E-mail: /],
    ]
  for (const [what, args, stdin, exitCode, stderr] of cases) {
    test(`with ${what} exits ${exitCode}`, async () => {
      const result = await run(['create', ...args], stdin)
      expect(result).toEqual({ exitCode, stdout: '', stderr: expect.stringMatching(stderr) })
      expect(result.stderr).not.toContain('canary')
    })
  }

  test('takes no password as an argument', async () => {
    const result = await run(['create', 'x@example.com', '--name', 'X', '--password', PASSWORD], '')
    expect([result.exitCode, result.stderr]).toEqual([2, expect.not.stringContaining(PASSWORD)])
  })
})

describe.skipIf(!hasPty)('the prompt', () => {
  /** Types into a terminal of its own once the prompt is there; the settings of the terminal come last. */
  async function type(email: string, keys: readonly string[]): Promise<string> {
    const command = `'${EXECUTABLE}' user create ${email} --name Typed; echo code=$?; stty -a`
    const child = Bun.spawn(['script', '-qefc', command, '/dev/null'], {
      cwd: world.folder,
      env: { PATH: process.env['PATH'] ?? '', HOME: world.folder, SHELL: '/bin/sh', TERM: 'dumb' },
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'ignore',
    })
    let shown = ''
    const reading = (async () => {
      for await (const chunk of child.stdout) shown += new TextDecoder().decode(chunk)
    })()
    const until = async (isReady: () => boolean) => {
      const end = Date.now() + PTY_MS
      while (!isReady() && Date.now() < end) await Bun.sleep(10)
    }
    try {
      for (const [index, one] of keys.entries()) {
        await until(() => shown.split('Password').length > index + 1)
        await child.stdin.write(one)
        await child.stdin.flush()
      }
      await until(() => shown.includes('echoctl'))
    } finally {
      await child.stdin.end()
      child.kill()
      await child.exited
      await reading
    }
    return shown
  }
  const isRestored = (shown: string) =>
    / icanon /.test(shown) && / echo /.test(shown) && /\bisig /.test(shown)

  test('asks twice, shows nothing of what is typed, and puts the terminal back', async () => {
    const shown = await type('typed@example.com', [`${PASSWORD}x\u007f\r`, `${PASSWORD}\r`])
    expect(shown).toContain('Password: \r\nPassword again: \r\n')
    expect(shown).toContain('code=0')
    expect(shown).not.toContain(PASSWORD.slice(0, 6))
    expect(isRestored(shown)).toBe(true)
    expect(await signIn('typed@example.com', PASSWORD)).toBe(200)
  })

  test('refuses two that differ', async () => {
    const shown = await type('differing@example.com', [`${PASSWORD}\r`, `${PASSWORD}x\r`])
    expect(shown).toContain('The two are not the same')
    expect([shown.includes('code=1'), isRestored(shown)]).toEqual([true, true])
    expect(await signIn('differing@example.com', PASSWORD)).toBe(401)
  })

  test.each([
    ['at once', ['\u0003']],
    ['in the middle', ['secr\u0003']],
    ['at the second', [`${PASSWORD}\r`, 'p\u0003']],
  ])('ends with 130 by Ctrl-C %s, and puts the terminal back', async (_, keys) => {
    const shown = await type('stopped@example.com', keys)
    expect([shown.includes('code=130'), isRestored(shown)]).toEqual([true, true])
    expect(await signIn('stopped@example.com', PASSWORD)).toBe(401)
  })
})

describe('what is done to an account acts on the running server at once', () => {
  const login = async (email: string) => {
    const { access_token: token } = await post(world, '/auth/login', { email, password: PASSWORD })
    return { authorization: `Bearer ${token as string}` }
  }

  test('set-role: its next request has the role', async () => {
    const token = await login('ada@example.com')
    expect((await me(token)).body.role).toBe('user')
    const { exitCode, stdout, stderr } = await run(['set-role', 'ada@example.com', 'admin'])
    expect([exitCode, stdout]).toEqual([0, 'The role is admin\n'])
    expect(stderr).toContain('role.changed')
    expect((await me(token)).body.role).toBe('admin')
    expect((await run(['set-role', 'ada@example.com', 'user', '--json'])).stdout).toContain('"role": "user"')
    expect((await me(token)).body.role).toBe('user')
  })

  test('set-role: the keys of somebody who is no administrator any more are no administrator’s', async () => {
    await run(['set-role', 'ada@example.com', 'admin'])
    const body = { name: 'x', scopes: ['closed:read', 'users:read'] }
    const { key } = await post(world, '/auth/keys', body, await login('ada@example.com'))
    const statusOf = async () =>
      (await world.fetch('/api/closed', { headers: { 'x-api-key': key as string } })).status
    expect(await statusOf()).toBe(200)
    await run(['set-role', 'ada@example.com', 'user'])
    expect(await statusOf()).toBe(403)
  })

  test('disable: its tokens, keys and password are 401', async () => {
    const token = await login('bob@example.com')
    const { key } = await post(world, '/auth/keys', { name: 'x', scopes: ['*'] }, token)
    const apiKey = { 'x-api-key': key as string }
    expect([(await me(token)).status, (await me(apiKey)).status]).toEqual([200, 200])
    const { exitCode, stdout } = await run(['disable', 'BOB@example.com'])
    expect([exitCode, stdout]).toEqual([0, 'The account is disabled\n'])
    const answers = await Promise.all([token, apiKey, basic('bob@example.com', PASSWORD)].map(me))
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401])
    expect(await signIn('bob@example.com', PASSWORD)).toBe(401)
  })

  test.each<[args: string[], exitCode: number, stderr: RegExp]>([
    [['set-role', 'nobody@example.com', 'admin'], 1, /^No account has this e-mail\n$/],
    [['set-role', 'ada@example.com'], 2, /^Role is missing\n$/],
    [['set-role', 'ada@example.com', 'nope'], 2, /^Role: /],
    [['set-role'], 2, /^E-mail is missing\n$/],
    [['disable', 'nobody@example.com'], 1, /^No account has this e-mail\n$/],
    [['disable'], 2, /^E-mail is missing\n$/],
    [[], 2, /^Action must be one of: create, list, set-role, disable\n$/],
    [['make'], 2, /^Action must be one of/],
  ])('hipflask user %j', async (args, exitCode, stderr) => {
    expect(await run(args)).toEqual({ exitCode, stdout: '', stderr: expect.stringMatching(stderr) })
  })

  test('the last administrator stays', async () => {
    await run(['set-role', 'dan@example.com', 'user'])
    for (const args of [
      ['set-role', 'root@example.com', 'user'],
      ['disable', 'root@example.com'],
    ]) {
      const { exitCode, stderr } = await run(args)
      expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/last administrator/)])
    }
    expect((await me(world.credentials['admin']!)).body.role).toBe('admin')
  })
})

test('hipflask user list shows every account and no hash', async () => {
  const [table, json] = [await run(['list']), await run(['list', '--json'])]
  const heads = ['id', 'email', 'name', 'role', 'disabled', 'last_login_at']
  expect(table.stdout.split('\n')[0]!.split(/ +/)).toEqual(heads)
  const accounts = JSON.parse(json.stdout) as Record<string, unknown>[]
  expect(accounts.map(({ email }) => email)).toContain('ada@example.com')
  expect(accounts.length).toBe(table.stdout.trim().split('\n').length - 1)
  expect(table.stdout + json.stdout).not.toMatch(/argon2|password|email_key|generation/)
})
