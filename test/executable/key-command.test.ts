// `hipflask key` beside a running server: what it prints, and that the server takes note at once.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { runCommand, type CommandResult } from '../support/executable.ts'
import { post, startWorld, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.stop())

const run = (...args: string[]): Promise<CommandResult> =>
  runCommand(['key', ...args], { folder: world.folder })
const ADA = ['--user', 'ada@example.com']
const create = (...args: string[]) => run('create', ...ADA, '--name', 'robot', ...args)
const statusOf = async (key: string, path = '/auth/me') =>
  (await world.fetch(path, { headers: { 'x-api-key': key } })).status

describe('hipflask key create', () => {
  test('prints the key alone, which works at once, and tells of it on stderr', async () => {
    const { exitCode, stdout, stderr } = await create('--scopes', 'items:read')
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^hf_[0-9A-Za-z]{22}_[0-9A-Za-z]{49}\n$/)
    expect(await statusOf(stdout.trim())).toBe(200)
    expect(stderr).toContain('key.created')
    expect(stderr).not.toContain(stdout.slice(30, -1))
  })

  test.each([
    ['90d', 90 * 24],
    ['12h', 12],
  ])('--json with --expires %s prints what POST /auth/keys answers', async (expires, hours) => {
    const before = Date.now()
    const { stdout } = await create('--scopes', 'items:read, notes:write', '--expires', expires, '--json')
    const made = JSON.parse(stdout)
    const request = { name: 'robot', scopes: ['items:read', 'notes:write'] }
    const answered = await post(world, '/auth/keys', request, world.credentials['ada'])
    expect(Object.keys(made)).toEqual(Object.keys(answered))
    expect(made).toMatchObject(request)
    expect(Math.abs((Date.parse(made.expires_at) - before) / 3_600_000 - hours)).toBeLessThan(0.1)
  })

  const cases: [what: string, args: string[], exitCode: number, stderr: RegExp][] = [
    [
      'an e-mail in capitals',
      ['--user', 'ADA@example.com', '--name', 'x', '--scopes', '*'],
      0,
      /key.created/,
    ],
    ['12 hours', [...ADA, '--name', 'x', '--scopes', '*', '--expires', '12h'], 0, /key.created/],
    [
      'a time',
      [...ADA, '--name', 'x', '--scopes', '*', '--expires', '2999-01-31T12:00:00Z'],
      0,
      /key.created/,
    ],
    [
      'users:read of an administrator',
      ['--user', 'root@example.com', '--name', 'x', '--scopes', 'users:read,users:write'],
      0,
      /key.created/,
    ],
    ['no name', [...ADA, '--scopes', '*'], 2, /^Option --name is missing\n$/],
    ['no scopes', [...ADA, '--name', 'x'], 2, /^Option --scopes is missing\n$/],
    ['no user', ['--name', 'x', '--scopes', '*'], 2, /^Option --user is missing\n$/],
    ['a long name', [...ADA, '--name', 'x'.repeat(101), '--scopes', '*'], 2, /^--name: /],
    [
      'a scope that is misspelt',
      [...ADA, '--name', 'x', '--scopes', 'items:raed'],
      2,
      /did you mean items:read\?/,
    ],
    ['a scope that is far off', [...ADA, '--name', 'x', '--scopes', 'xylophone'], 2, /is not known, such as/],
    ['a scope twice', [...ADA, '--name', 'x', '--scopes', '*,*'], 2, /^--scopes: /],
    [
      'a time that is over',
      [...ADA, '--name', 'x', '--scopes', '*', '--expires', '2026-01-31T12:00:00Z'],
      2,
      /^--expires: /,
    ],
    ['a time that is none', [...ADA, '--name', 'x', '--scopes', '*', '--expires', 'soon'], 2, /^--expires: /],
    ['no time at all', [...ADA, '--name', 'x', '--scopes', '*', '--expires', '0d'], 2, /^--expires: /],
    [
      'an unknown account',
      ['--user', 'nobody@example.com', '--name', 'x', '--scopes', '*'],
      1,
      /^No account has this e-mail\n$/,
    ],
    [
      'metrics:read of a user',
      [...ADA, '--name', 'x', '--scopes', 'metrics:read'],
      1,
      /within the rights of its owner/,
    ],
  ]
  for (const [what, args, exitCode, stderr] of cases) {
    test(`with ${what} exits ${exitCode}`, async () => {
      const result = await run('create', ...args)
      expect({ ...result, stdout: result.stdout !== '' }).toEqual({
        exitCode,
        stdout: exitCode === 0,
        stderr: expect.stringMatching(stderr),
      })
    })
  }
})

describe('hipflask key list', () => {
  test('shows every key, or those of an account, and no secret', async () => {
    const { stdout: text } = await create('--scopes', 'items:read')
    const [key, prefix] = [text.trim(), text.slice(0, 25)]
    await post(world, '/auth/keys', { name: 'of\u001b[31mbob', scopes: ['*'] }, world.credentials['bob'])
    const [all, adas] = [await run('list'), await run('list', ...ADA)]
    expect(all.stdout.split('\n')[0]!.split(/ +/)).toEqual([
      'prefix',
      'email',
      'name',
      'scopes',
      'expires_at',
      'last_used_at',
    ])
    expect(all.stdout).toContain('bob@example.com')
    expect(all.stdout).not.toContain('\u001b')
    expect(adas.stdout).not.toContain('bob@example.com')
    for (const { stdout } of [all, adas]) {
      expect(stdout).toContain(prefix)
      expect(stdout).not.toContain(key.slice(26))
    }
    expect([all.exitCode, all.stderr]).toEqual([0, ''])
  })

  test('--json shows what GET /auth/keys answers, and whose it is', async () => {
    const { stdout } = await run('list', '--user', 'bob@example.com', '--json')
    const response = await world.fetch('/auth/keys', { headers: world.credentials['bob']! })
    const { data } = (await response.json()) as { data: object[] }
    const owner = { user_id: world.ids['bob'], email: 'bob@example.com' }
    expect(JSON.parse(stdout)).toEqual(data.map((one) => ({ ...one, ...owner })))
  })

  test('of an unknown account exits 1', async () => {
    expect(await run('list', '--user', 'nobody@example.com')).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'No account has this e-mail\n',
    })
  })
})

describe('hipflask key revoke', () => {
  test.each(['prefix', 'id'])('by its %s ends it on the running server at once', async (by) => {
    const made = JSON.parse((await create('--scopes', '*', '--json')).stdout)
    // Known to the server, so that it must forget it.
    expect([await statusOf(made.key), await statusOf(made.key)]).toEqual([200, 200])
    const { exitCode, stdout, stderr } = await run('revoke', made[by])
    expect([exitCode, stdout]).toEqual([0, 'The key is revoked\n'])
    expect(stderr).toContain('key.revoked')
    expect([await statusOf(made.key), await statusOf(made.key, '/api/items')]).toEqual([401, 401])
    expect(await run('revoke', made[by])).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: 'There is no such key\n',
    })
  })

  test.each(['', 'nope', 'hf_nope', '42'])('of %j exits 2', async (given) => {
    const { exitCode, stderr } = await run('revoke', ...(given === '' ? [] : [given]))
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('by its id or its prefix')])
  })
})

test.each(['', 'make', 'toString'])('hipflask key %s exits 2 and names the actions', async (action) => {
  const { exitCode, stderr } = await run(...(action === '' ? [] : [action]))
  expect([exitCode, stderr]).toEqual([2, 'Action must be one of: create, list, revoke\n'])
})

test('without a database exits 1 and says what to do', async () => {
  const { exitCode, stderr } = await runCommand(['key', 'list'])
  expect([exitCode, stderr]).toEqual([1, expect.stringContaining('There is no database in')])
})

test('--help shows examples', async () => {
  const { exitCode, stdout } = await runCommand(['key', '--help'])
  expect(exitCode).toBe(0)
  for (const line of ['hipflask key create', 'hipflask key list', 'hipflask key revoke'])
    expect(stdout).toContain(line)
})
