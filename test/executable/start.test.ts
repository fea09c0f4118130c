// What stops the start: each fault gets one clear message with a remedy and an exit code, without a stack, and nothing
// is changed on disk.
import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, runCommand, startServer } from '../support/executable.ts'
import { fixtureResources } from '../support/world.ts'

const resource = (body: string) =>
  `import { allOf, anyOf, defineResource, everyone, owner, role, signedIn, t } from 'hipflask'\nexport default defineResource(${body})\n`
const withField = (field: string) => resource(`{ name: 'things', schema: t.Object({ ${field} }) }`)

/** Runs `serve` where it must fail; gives its message. */
async function failToServe(options: Parameters<typeof runCommand>[1], args: string[] = []) {
  const folder = options?.folder ?? makeFolder()
  const result = await runCommand(['serve', '--port', '0', ...args], { ...options, folder })
  expect(result.stderr).not.toMatch(/\bat .+:\d+:\d+\)?$/m)
  expect(result.stderr).not.toMatch(/bunfs|src\/|TypeError|SQLITE|Unexpected error/)
  return { ...result, folder }
}

describe('a bad declaration stops the start and leaves nothing behind', () => {
  const files: [string, Record<string, string>, RegExp[]][] = [
    ['no default export', { 'a.ts': 'export const x = 1' }, [/a\.ts: .*export default defineResource/]],
    ['another default export', { 'a.ts': 'export default 5' }, [/a\.ts: .*not a resource/]],
    ['a syntax error', { 'a.ts': 'export default {\n  x: \n}' }, [/a\.ts:[23]:\d+: /]],
    [
      'a syntax error in an imported file',
      { 'a.ts': "import './_b'", '_b.ts': 'const = 1' },
      [/_b\.ts:1:\d+: /],
    ],
    ['an unknown import', { 'a.ts': "import { nope } from 'hipflask'\nnope()" }, [/a\.ts: .*nope/]],
    ['a missing package', { 'a.ts': "import x from 'no-such-package'\nx()" }, [/a\.ts: .*no-such-package/]],
    ['a throw while loading', { 'a.ts': "\nthrow new Error('my own')" }, [/a\.ts:2:\d+: my own/]],
    [
      'an unknown option',
      { 'a.ts': resource("{ name: 'a', schema: t.Object({}), colour: 1 }") },
      [/a\.ts: option 'colour'/],
    ],
    [
      'an option of the wrong type',
      { 'a.ts': resource("{ name: 'a', schema: t.Object({}), softDelete: 'yes' }") },
      [/a\.ts: option 'softDelete' must be true or false/],
    ],
    [
      'a bad name',
      { 'a.ts': resource("{ name: 'Bad-Name', schema: t.Object({}) }") },
      [/a\.ts: option 'name'/],
    ],
    [
      'a name of 61 characters',
      { 'a.ts': resource(`{ name: '${'a'.repeat(61)}', schema: t.Object({}) }`) },
      [/option 'name'/],
    ],
    [
      'a reserved name',
      { 'a.ts': resource("{ name: 'users', schema: t.Object({}) }") },
      [/'users' is built in/],
    ],
    ['no schema', { 'a.ts': resource("{ name: 'a' }") }, [/option 'schema'/]],
    [
      'a reserved field',
      { 'a.ts': withField('owner_id: t.String()') },
      [/a\.ts: field 'owner_id': .*reserved/],
    ],
    ['a badly named field', { 'a.ts': withField('camelCase: t.String()') }, [/field 'camelCase'/]],
    ['an unsupported kind', { 'a.ts': withField('x: (t as any).Any()') }, [/a\.ts: .*x.*Any/]],
    [
      'an unknown field option',
      { 'a.ts': withField('x: t.String({ uniqe: true } as any)') },
      [/a\.ts: .*uniqe.*unique/],
    ],
    [
      'a default that does not fit',
      { 'a.ts': withField('x: t.Integer({ default: 1.5 })') },
      [/a\.ts: .*x.*'default' does not fit/],
    ],
    [
      'a nested hidden field',
      { 'a.ts': withField('x: t.Object({ y: t.Optional(t.String({ hidden: true })) })') },
      [/x\/y.*'hidden'/],
    ],
    [
      'a nested reference',
      { 'a.ts': withField("x: t.Array(t.Integer({ references: 'things' }))") },
      [/'references'/],
    ],
    ['a field that is always null', { 'a.ts': withField('x: t.Null()') }, [/x.*Null/]],
    [
      'a default that no body has',
      { 'a.ts': withField("x: t.String({ default: 'a\\0b' })") },
      [/x.*'default'/],
    ],
    [
      'an example that does not fit',
      { 'a.ts': withField('x: t.String({ examples: [5n as any] })') },
      [/x.*'examples'/],
    ],
    [
      'a getter that throws',
      { 'a.ts': resource("{ name: 'a', get schema() { throw new Error('my getter') } } as any") },
      [/a\.ts: .*my getter/],
    ],
    ['throw undefined', { 'a.ts': 'throw undefined' }, [/a\.ts: it threw undefined/]],
    [
      'a rule of no role',
      { 'a.js': resource("{ name: 'a', schema: t.Object({}), access: { read: role(null) } }") },
      [/a\.js: access: read: the name of a role/],
    ],
    [
      'rules as a list',
      { 'a.js': resource("{ name: 'a', schema: t.Object({}), access: [] }") },
      [/'access'/],
    ],
    [
      'a field that every object has',
      { 'a.ts': withField('constructor: t.String()') },
      [/field 'constructor'/],
    ],
    [
      'a missing reference',
      { 'a.ts': withField("x_id: t.Integer({ references: 'nothing' })") },
      [/'x_id': it references 'nothing'/],
    ],
    [
      'a reference of the wrong kind',
      { 'a.ts': withField("x_id: t.Integer({ references: 'users' })") },
      [/'users' has uuid ids/],
    ],
    [
      'owner() without owned',
      { 'a.ts': resource("{ name: 'a', schema: t.Object({}), access: { read: owner() } }") },
      [/access: read: owner\(\) needs/],
    ],
    [
      'a rule that is not called',
      { 'a.ts': resource("{ name: 'a', schema: t.Object({}), access: { read: everyone as any } }") },
      [/everyone must be called/],
    ],
    [
      'an unknown action',
      { 'a.ts': resource("{ name: 'a', schema: t.Object({}), access: { write: everyone() } as any }") },
      [/action 'write'/],
    ],
    [
      'a page size over its maximum',
      { 'a.ts': resource("{ name: 'a', schema: t.Object({}), pageSize: 20, pageSizeMax: 10 }") },
      [/'pageSize' must not be greater/],
    ],
    [
      'one name twice',
      { 'a.ts': withField(''), 'b.ts': withField('') },
      [/b\.ts: the name 'things' is taken by a\.ts/],
    ],
    ['a badly named file', { 'My File.ts': withField('') }, [/My File\.ts: the name of a resource file/]],
    [
      'all faults at once',
      { 'a.ts': withField('camelCase: t.String()'), 'b.ts': 'export default 1', 'c.ts': '(' },
      [/a\.ts/, /b\.ts/, /c\.ts/, /3 problems/],
    ],
  ]
  for (const [what, resources, patterns] of files) {
    test(what, async () => {
      const { exitCode, stderr, folder } = await failToServe({ resources })
      expect(exitCode).toBe(1)
      for (const pattern of patterns) expect(stderr).toMatch(pattern)
      expect(readdirSync(folder)).toEqual(['resources'])
    })
  }
})

describe('a bad setting or flag', () => {
  const cases: [string, string[], Record<string, string>, number, RegExp[]][] = [
    ['a port', ['--port', '70000'], {}, 2, [/port/i]],
    ['an unknown flag', ['--prot', '1'], {}, 2, [/--prot.*--port/]],
    ['a secret as a flag', ['--admin-password', 'canary12'], {}, 2, [/HIPFLASK_ADMIN_PASSWORD/]],
    ['a setting', [], { HIPFLASK_LOG_LEVEL: 'loud' }, 1, [/HIPFLASK_LOG_LEVEL/]],
    ['an unknown setting', [], { HIPFLASK_PROT: '1' }, 1, [/HIPFLASK_PROT.*HIPFLASK_PORT/]],
    ['a setting of a later version', [], { HIPFLASK_WORKERS: '2' }, 1, [/HIPFLASK_WORKERS/]],
    ['several', [], { HIPFLASK_LOG_LEVEL: 'loud', HIPFLASK_SWAGGER: 'x' }, 1, [/LOG_LEVEL/, /SWAGGER/]],
    ['an address for the data folder', ['--data', 'postgres://user:canary@host/db'], {}, 2, [/data/]],
    ['a missing resources folder', ['--resources', 'nowhere'], {}, 1, [/nowhere.*does not exist/]],
    [
      'an administrator without a password',
      [],
      { HIPFLASK_ADMIN_EMAIL: 'a@b.example' },
      1,
      [/ADMIN_PASSWORD/],
    ],
  ]
  for (const [what, args, env, code, patterns] of cases) {
    test(what, async () => {
      const { exitCode, stderr, folder } = await failToServe({ env }, args)
      expect(exitCode).toBe(code)
      for (const pattern of patterns) expect(stderr).toMatch(pattern)
      expect(stderr).not.toContain('canary')
      expect(readdirSync(folder)).toEqual([])
    })
  }
})

describe('what is wrong with settings, the files of TLS and the password of the administrator', () => {
  const TLS = { HIPFLASK_TLS_CERT: 'nowhere.crt', HIPFLASK_TLS_KEY: 'nowhere.key' }
  const ADMIN = { HIPFLASK_ADMIN_EMAIL: 'a@b.example', HIPFLASK_ADMIN_PASSWORD: 'password123' }

  test('is told at once, and nothing is made', async () => {
    for (const HIPFLASK_ENV of ['development', 'production']) {
      const { exitCode, stdout, stderr, folder } = await failToServe({
        env: { HIPFLASK_ENV, HIPFLASK_LOG_LEVEL: 'loud', ...TLS, ...ADMIN },
      })
      expect([exitCode, stdout]).toEqual([1, ''])
      expect(stderr.split('\n').slice(0, -1)).toEqual([
        'Settings are not valid:',
        expect.stringContaining('  HIPFLASK_LOG_LEVEL must be'),
        expect.stringContaining('  HIPFLASK_TLS_CERT names a file'),
        expect.stringContaining('  HIPFLASK_TLS_KEY names a file'),
        expect.stringContaining('  HIPFLASK_ADMIN_PASSWORD: Is one of the most common passwords'),
      ])
      expect(readdirSync(folder)).toEqual([])
    }
  })

  test('is no hindrance to commands that need neither', async () => {
    const folder = makeFolder()
    await (await startServer({ folder })).stop()
    const { exitCode, stderr } = await runCommand(['user', 'list'], { folder, env: { ...TLS, ...ADMIN } })
    expect([exitCode, stderr]).toEqual([0, ''])
    expect((await runCommand(['config'], { folder, env: TLS })).exitCode).toBe(0)
  })
})

describe('a port in use', () => {
  test('says so and changes nothing', async () => {
    await using server = await startServer()
    const port = new URL(server.url).port
    const folder = makeFolder()
    const { exitCode, stderr } = await runCommand(['serve', '--port', port], { folder })
    expect([exitCode, stderr]).toEqual([1, expect.stringMatching(new RegExp(`Port ${port} .* is in use`))])
    expect(readdirSync(folder)).toEqual([])
  })
})

describe('the data folder', () => {
  test.each(['d', './d', 'd/e', './d/e/', '../d'])('is made where it is %s', async (data) => {
    const folder = join(makeFolder(), 'working')
    mkdirSync(folder)
    await using server = await startServer({ folder, data })
    expect(existsSync(join(folder, data, 'hipflask.db'))).toBe(true)
    expect(await server.stop()).toBe(0)
  })

  test('that is a file is exit 1 with its name', async () => {
    const folder = makeFolder()
    writeFileSync(join(folder, 'data'), 'a file')
    const { exitCode, stderr } = await failToServe({ folder })
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('data')])
    expect(readFileSync(join(folder, 'data'), 'utf8')).toBe('a file')
  })

  test('with a file that is no database is exit 3, and the file stays as it is', async () => {
    for (const content of ['this is no database'.repeat(100), 'SQLite format 3\0'.padEnd(4096, '\0')]) {
      const folder = makeFolder()
      mkdirSync(join(folder, 'data'))
      const path = join(folder, 'data/hipflask.db')
      writeFileSync(path, content)
      const { exitCode, stderr } = await failToServe({ folder })
      expect([exitCode, stderr]).toEqual([3, expect.stringContaining('hipflask.db')])
      expect(readFileSync(path, 'utf8')).toBe(content)
      expect(readdirSync(join(folder, 'data'))).toEqual(['hipflask.db'])
    }
  })

  test('with a damaged schema is exit 3, and the file stays as it is', async () => {
    const folder = makeFolder()
    await (await startServer({ folder })).stop()
    const path = join(folder, 'data/hipflask.db')
    const bytes = readFileSync(path)
    // The first page keeps its header of 100 bytes, by which a database is known.
    bytes.fill(0, 100, 4096)
    writeFileSync(path, bytes)
    const { exitCode, stderr } = await failToServe({ folder })
    expect([exitCode, stderr]).toEqual([3, expect.stringContaining('is damaged')])
    expect(readFileSync(path).equals(bytes)).toBe(true)
  })

  test("with another program's tables is refused, and the file stays as it is", async () => {
    const folder = makeFolder()
    mkdirSync(join(folder, 'data'))
    const path = join(folder, 'data/hipflask.db')
    const foreign = new Database(path)
    foreign.run('CREATE TABLE items (name TEXT)')
    foreign.close()
    const bytes = readFileSync(path)
    const { exitCode, stderr } = await failToServe({ folder })
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('Table items was not made by hipflask')])
    expect(readFileSync(path).equals(bytes)).toBe(true)
  })

  test('with a key that is none is refused before the database is made', async () => {
    const folder = makeFolder()
    mkdirSync(join(folder, 'data/keys'), { recursive: true })
    writeFileSync(join(folder, 'data/keys/01991f6e-8c00-7000-8000-000000000001.pem'), 'canary')
    const { exitCode, stderr } = await failToServe({ folder })
    expect([exitCode, stderr]).toEqual([1, expect.stringContaining('Key file')])
    expect(readdirSync(join(folder, 'data'))).toEqual(['keys'])
  })

  test('is made for the user alone, and so are the files in it', async () => {
    await using server = await startServer()
    const modes = await Promise.all(
      ['data', 'data/hipflask.db', 'data/keys'].map(async (name) => {
        const { mode } = await Bun.file(join(server.folder, name)).stat()
        return (mode & 0o777).toString(8)
      }),
    )
    expect(modes).toEqual(['700', '600', '700'])
    const keys = readdirSync(join(server.folder, 'data/keys'))
    expect(keys).toHaveLength(1)
    const { mode } = await Bun.file(join(server.folder, 'data/keys', keys[0]!)).stat()
    expect((mode & 0o777).toString(8)).toBe('600')
  })

  test(':memory: leaves nothing on disk', async () => {
    const folder = makeFolder()
    const server = await startServer({ folder, data: ':memory:' })
    expect((await server.fetch('/api/items')).status).toBe(200)
    await server.stop()
    expect(readdirSync(folder)).toEqual([])
  })

  test.if(process.getuid?.() !== 0)('that may not be written is exit 1', async () => {
    const folder = makeFolder()
    mkdirSync(join(folder, 'data'))
    chmodSync(join(folder, 'data'), 0o500)
    expect((await failToServe({ folder })).exitCode).toBe(1)
  })
})

describe('a declaration that would lose data is refused, one that adds is followed', () => {
  const items = (fields: string, more = '') => ({
    'items.ts': `import { defineResource, everyone, t } from 'hipflask'
export default defineResource({ name: 'items', ${more} schema: t.Object({ ${fields} }),
  access: { list: everyone(), read: everyone(), create: everyone(), update: everyone() } })`,
  })
  const before = 'name: t.String(), price: t.Number(), code: t.Optional(t.String())'

  async function populated(): Promise<string> {
    const folder = makeFolder()
    const server = await startServer({ folder, resources: items(before) })
    await server.fetch('/api/items', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '[{"name":"a","price":1,"code":"x"},{"name":"a","price":2}]',
    })
    expect(await server.stop()).toBe(0)
    return folder
  }

  const refused: [string, string, RegExp[], string?][] = [
    ['a field that is gone', 'name: t.String(), price: t.Number()', [/items.*code|code.*items/]],
    ['another kind', `name: t.String(), price: t.String(), code: t.Optional(t.String())`, [/price/]],
    ['an optional that is required', 'name: t.String(), price: t.Number(), code: t.String()', [/code/]],
    ['a required field without default', `${before}, more: t.String()`, [/more/]],
    [
      'a unique over what is there twice',
      `name: t.String({ unique: true }), price: t.Number(), code: t.Optional(t.String())`,
      [/name/],
    ],
    ['another kind of id', before, [/id/], "id: 'uuid',"],
    ['all at once', 'name: t.String({ unique: true }), price: t.String()', [/name/, /price/, /code/]],
  ]
  for (const [what, fields, patterns, more] of refused) {
    test(what, async () => {
      const folder = await populated()
      const bytes = readFileSync(join(folder, 'data/hipflask.db'))
      const { exitCode, stderr } = await failToServe({ folder, resources: items(fields, more) })
      expect(exitCode).toBe(1)
      for (const pattern of patterns) expect(stderr).toMatch(pattern)
      expect(readFileSync(join(folder, 'data/hipflask.db')).equals(bytes)).toBe(true)
    })
  }

  test('new fields, defaults, indexes, resources and owners are added', async () => {
    const folder = await populated()
    const added = `${before}, size: t.Integer({ default: 3 }), note: t.Optional(t.String()), tags: t.Array(t.String(), { default: [] })`
    const resources = {
      ...fixtureResources(),
      ...items(added.replace('t.Number()', 't.Number({ index: true })'), 'owned: true,'),
    }
    await using server = await startServer({ folder, resources })
    const record = (await (await server.fetch('/api/items/1')).json()) as object
    expect(record).toMatchObject({ name: 'a', price: 1, size: 3, tags: [], owner_id: null })
    expect((await server.fetch('/api/authors')).status).toBe(200)
  })

  test('a resource that is gone keeps its table, which the log names', async () => {
    const folder = await populated()
    await using server = await startServer({ folder, resources: { 'items.ts': withField('') } })
    expect(server.log().join('\n')).toMatch(/left alone.*items/)
    expect((await server.fetch('/api/items')).status).toBe(404)
    await server.stop()
    expect(existsSync(join(folder, 'data/hipflask.db'))).toBe(true)
  })
})

describe('a server', () => {
  test('goes on when the reader of its log is gone, and when a resource file forgets an await', async () => {
    const resources = {
      'a.ts': resource(
        "{ name: 'a', schema: t.Object({}), access: { list: () => { void Promise.reject(new Error('stray')); throw new Error('mine') } } }",
      ),
    }
    const folder = makeFolder()
    await Bun.write(join(folder, 'resources/a.ts'), resources['a.ts'])
    const server = await startServer({ folder })
    expect((await server.fetch('/api/a')).status).toBe(500)
    expect((await server.fetch('/health/ready')).status).toBe(200)
    expect(server.log().join('\n')).toContain('stray')
    await server.closeOutput()
    for (let request = 0; request < 3; request++) expect((await server.fetch('/api/a')).status).toBe(500)
    expect((await server.fetch('/health/ready')).status).toBe(200)
    expect(await server.stop()).toBe(0)
  })

  test('gives rows that were there before a field its default in the form that is stored', async () => {
    const folder = makeFolder()
    const before = {
      'things.ts': `import { defineResource, everyone, t } from 'hipflask'
export default defineResource({ name: 'things', schema: t.Object({}), access: { create: everyone(), read: everyone() } })`,
    }
    const first = await startServer({ folder, resources: before })
    const created = await first.fetch('/api/things', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
    expect(created.status).toBe(201)
    await first.stop()
    const fields =
      "at: t.String({ format: 'date-time', default: '2024-01-01T02:00:00+02:00' }), more: t.Object({ a: t.Integer({ default: 1 }) }, { default: {} })"
    await using second = await startServer({
      folder,
      resources: { 'things.ts': before['things.ts'].replace('t.Object({})', `t.Object({ ${fields} })`) },
    })
    expect(await (await second.fetch('/api/things/1')).json()).toMatchObject({
      at: '2024-01-01T00:00:00.000Z',
      more: { a: 1 },
    })
  })
})

describe('a signal', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    test(`${signal} ends with 0 and leaves one file without a log beside it`, async () => {
      const folder = makeFolder()
      const server = await startServer({ folder })
      await server.fetch('/api/items')
      expect(await server.stop(signal)).toBe(0)
      expect(readdirSync(join(folder, 'data')).filter((name) => name.startsWith('hipflask.db'))).toEqual([
        'hipflask.db',
      ])
    })
  }
})
