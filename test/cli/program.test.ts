import { describe, expect, test } from 'bun:test'
import type { Arguments, Command } from '../../src/cli/command.ts'
import { settingNames, flagOf, settingOf, variableOf } from '../../src/config/settings.ts'
import { StartError } from '../../src/core/errors.ts'
import { version as VERSION } from '../../src/core/version.ts'
import { run } from './run.ts'

const EXAMPLES = [{ line: 'hipflask probe', does: 'show how it works' }]

function createProbe(act: (args: Arguments) => Promise<number>): readonly Command[] {
  const options = [
    { flags: '--watch', summary: 'Watch' },
    { flags: '--format <name>', summary: 'Form' },
  ] as const
  const positional = [{ name: 'file', summary: 'A file' }]
  return [{ name: 'probe', summary: 'Does nothing', examples: EXAMPLES, options, positional, run: act }]
}

describe('a command', () => {
  test.each<[string, Partial<Arguments>]>([
    ['probe', { positional: [], options: {}, flags: {} }],
    ['probe a.ts --watch', { positional: ['a.ts'], options: { watch: true } }],
    ['probe --format csv', { options: { format: 'csv' } }],
    [
      'probe --port 4000 --data=./x --body-limit 2MiB',
      { flags: { port: '4000', data: './x', bodyLimit: '2MiB' } },
    ],
    ['--port 4000 probe --log-level warn', { flags: { port: '4000', logLevel: 'warn' } }],
    ['probe --port -1', { flags: { port: '-1' } }],
    ['probe --port 1 --port 2', { flags: { port: '2' } }],
    ['probe -- --port', { positional: ['--port'] }],
  ])('gets its arguments: %s', async (line, expected) => {
    let given: Arguments | undefined
    const commands = createProbe((args) => Promise.resolve(((given = args), 0)))
    expect(await run(line, { commands })).toEqual({ exitCode: 0, stdout: '', stderr: '' })
    expect(given).toMatchObject(expected)
  })

  test('takes every setting as a flag but secrets', async () => {
    const names = settingNames.filter((name) => settingOf(name).isSecret !== true)
    let given: Arguments | undefined
    const commands = createProbe((args) => Promise.resolve(((given = args), 0)))
    await run(['probe', ...names.flatMap((name) => [flagOf(name), 'x'])], { commands })
    expect<object>(given!.flags).toEqual(Object.fromEntries(names.map((name) => [name, 'x'])))
  })

  test.each<[string, () => Promise<number>, { exitCode: number; stderr: string }]>([
    ['an exit code', () => Promise.resolve(7), { exitCode: 7, stderr: '' }],
    [
      'a StartError',
      () => Promise.reject(new StartError('Port is in use', 1)),
      { exitCode: 1, stderr: 'Port is in use\n' },
    ],
    [
      'damaged data',
      () => Promise.reject(new StartError('Database is damaged', 3)),
      { exitCode: 3, stderr: 'Database is damaged\n' },
    ],
    [
      'a newer database',
      () => Promise.reject(new StartError('Database is newer', 4)),
      { exitCode: 4, stderr: 'Database is newer\n' },
    ],
    [
      'an error',
      () => Promise.reject(new RangeError('Odd')),
      { exitCode: 1, stderr: 'Unexpected error: Odd\n' },
    ],
    [
      'a thrown text',
      () => Promise.reject('odd' as unknown as Error),
      { exitCode: 1, stderr: 'Unexpected error: odd\n' },
    ],
  ])('ends with %s', async (_, act, expected) => {
    expect(await run('probe', { commands: createProbe(act) })).toEqual({ stdout: '', ...expected })
  })
})

describe('wrong usage', () => {
  test.each([
    ['confg', "Unknown command 'confg', did you mean config?"],
    ['zzzzzzzz', "Unknown command 'zzzzzzzz'\n"],
    ['help confg', "Unknown command 'confg', did you mean config?"],
    ['help zzzzzzzz', "Unknown command 'zzzzzzzz'\n"],
    ['config --prot 3', "Unknown option '--prot', did you mean --port?"],
    ['config --jsno', "Unknown option '--jsno', did you mean --json?"],
    ['--prot 3 config', "Unknown option '--prot', did you mean --port?"],
    ['--verison', "Unknown option '--verison', did you mean --version?"],
    ['config -x', "Unknown option '-x'"],
    ['config --zzzzzzzz', "Unknown option '--zzzzzzzz'\n"],
    ['config --port', "Option '--port <number>' argument missing"],
    ['config extra', "Too many arguments for 'config'"],
    ['init a b', "Too many arguments for 'init'"],
    ['config --port x', '--port must be a whole number from 0 to 65535'],
    ['config --json=1', '--json'],
    ['--port 3000', 'Usage: hipflask'],
  ])('hipflask %s has exit code 2 and says so on stderr', async (line, message) => {
    const { exitCode, stdout, stderr } = await run(line)
    expect(stderr).toContain(message)
    expect(stdout).toBe('')
    expect(exitCode).toBe(2)
  })

  test.each([
    '--admin-password hunter2 config',
    'config --admin-password hunter2',
    'config --admin-password=hunter2',
    'config --admin-password',
  ])('hipflask %s names the ways a secret may come, and not the secret', async (line) => {
    const { exitCode, stdout, stderr } = await run(line)
    expect(stderr).toStartWith('--admin-password is no option')
    expect(stderr).toContain('HIPFLASK_ADMIN_PASSWORD or the file that HIPFLASK_ADMIN_PASSWORD_FILE names')
    expect(stdout + stderr).not.toContain('hunter2')
    expect(exitCode).toBe(2)
  })

  test.each([
    'config --admin-pasword=hunter2',
    'config --admin-pasword hunter2',
    '--admin-pasword=a=hunter2',
  ])('hipflask %s does not repeat what may be a secret', async (line) => {
    const { exitCode, stderr } = await run(line)
    expect(stderr).toStartWith("Unknown option '--admin-pasword'")
    expect(stderr).not.toContain('hunter2')
    expect(exitCode).toBe(2)
  })
})

describe('help', () => {
  test.each(['', '--help', '-h', 'help'])(
    'hipflask %s names every command on stdout, with exit code 0',
    async (line) => {
      const { exitCode, stdout, stderr } = await run(line)
      for (const name of ['serve', 'init', 'openapi', 'access', 'config', 'health', 'version', 'help']) {
        expect(stdout).toMatch(new RegExp(`^  ${name} `, 'm'))
      }
      expect(stdout).toContain('\nExamples:\n  hipflask ')
      expect(stderr).toBe('')
      expect(exitCode).toBe(0)
    },
  )

  test.each(['serve', 'init', 'openapi', 'access', 'config', 'health', 'version', 'help'])(
    'of %s has examples and every setting',
    async (name) => {
      const { exitCode, stdout } = await run(`${name} --help`)
      for (const setting of settingNames) expect(stdout.replace(/\s+/g, ' ')).toContain(variableOf(setting))
      expect(stdout).toContain('HIPFLASK_OIDC_<NAME>_ISSUER')
      expect(exitCode).toBe(0)
      expect(stdout).toStartWith(`Usage: hipflask ${name}`)
      expect(stdout).toMatch(new RegExp(`\nExamples:\n  hipflask (help )?${name}`))
      for (const one of settingNames) {
        if (settingOf(one).isSecret === true) expect(stdout).not.toContain(flagOf(one))
        else expect(stdout).toContain(`${flagOf(one)} <`)
      }
      if (name !== 'help') expect((await run(`help ${name}`)).stdout).toBe(stdout)
    },
  )
})

test.each(['--version', '-v', 'config --version'])('hipflask %s prints the version', async (line) => {
  expect(await run(line)).toEqual({ exitCode: 0, stdout: `hipflask ${VERSION}\n`, stderr: '' })
})
