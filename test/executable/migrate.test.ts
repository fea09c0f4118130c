// What becomes of stored data when the declarations change, on the executable: which commands change tables, which only
// tell, and what production asks for.
import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, runCommand, startServer } from '../support/executable.ts'

const PRODUCTION = { HIPFLASK_ENV: 'production' }

const resource = (fields: string, more = '') => ({
  'items.ts': `import { defineResource, everyone, t } from 'hipflask'
export default defineResource({ name: 'items', schema: t.Object({ ${fields} }), ${more}
  access: { list: everyone(), read: everyone(), create: everyone(), update: everyone(), delete: everyone() } })\n`,
})
const OLD = resource('name: t.String(), colour: t.Optional(t.String())')
const WIDER = resource(
  'name: t.String({ search: true }), colour: t.Optional(t.String()), size: t.Optional(t.Integer({ index: true }))',
)
const NARROWER = resource('name: t.String()')
const DROP = 'ALTER TABLE items DROP COLUMN colour;\n'

/** A folder with a database of the old declaration and two records. */
async function makeData(): Promise<string> {
  const folder = makeFolder()
  await using server = await startServer({ folder, resources: OLD })
  for (const name of ['apple', 'pear']) {
    const response = await server.fetch('/api/items', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name, colour: 'red' }),
    })
    expect(response.status).toBe(201)
  }
  await server.stop()
  return folder
}

const migration = (folder: string, name: string, sql: string) => {
  mkdirSync(join(folder, 'migrations'), { recursive: true })
  writeFileSync(join(folder, 'migrations', name), sql)
}
const columnsOf = (folder: string): string[] => {
  using database = new Database(join(folder, 'data/hipflask.db'), { readonly: true })
  return database
    .query<{ name: string }, []>("SELECT name FROM pragma_table_info('items')")
    .all()
    .map(({ name }) => name)
}
const copiesIn = (folder: string) =>
  readdirSync(join(folder, 'data'))
    .filter((name) => /before-\d+$/.test(name))
    .toSorted()
const migrate = (folder: string, ...args: string[]) => runCommand(['migrate', ...args], { folder })

/** The names of the records that a server of the folder lists. */
async function listed(
  folder: string,
  query = '',
  options: Parameters<typeof startServer>[0] = {},
): Promise<unknown[]> {
  await using server = await startServer({ folder, ...options })
  const { data } = (await (await server.fetch(`/api/items${query}`)).json()) as { data: { name: string }[] }
  await server.stop()
  return data.map(({ name }) => name)
}

describe('additions', () => {
  test('are made at start in development, and what is searched is found at once', async () => {
    const folder = await makeData()
    expect(await listed(folder, '?q=app', { resources: WIDER })).toEqual(['apple'])
    expect(columnsOf(folder)).toContain('size')
  })

  test('are made in staging too', async () => {
    const folder = await makeData()
    expect(await listed(folder, '', { resources: WIDER, env: { HIPFLASK_ENV: 'staging' } })).toEqual([
      'apple',
      'pear',
    ])
    expect(columnsOf(folder)).toContain('size')
  })

  test('wait in production for --migrate', async () => {
    const folder = await makeData()
    const refused = await runCommand(['serve', '--port', '0'], { folder, resources: WIDER, env: PRODUCTION })
    expect(refused.exitCode).toBe(1)
    expect(refused.stderr).toMatch(
      /^Database .*hipflask\.db is behind the declarations: see hipflask migrate plan, then run hipflask migrate up, or serve --migrate\n$/,
    )
    expect(columnsOf(folder)).not.toContain('size')
    expect(await listed(folder, '', { env: PRODUCTION, args: ['--migrate'] })).toEqual(['apple', 'pear'])
    expect(columnsOf(folder)).toContain('size')
    expect(await listed(folder, '', { env: PRODUCTION })).toEqual(['apple', 'pear'])
  })

  test('an empty production database is set up in full, without --migrate and without running files', async () => {
    const folder = makeFolder()
    migration(folder, '0001_drop_colour.sql', DROP)
    expect(await listed(folder, '', { resources: NARROWER, env: PRODUCTION })).toEqual([])
    expect(await listed(folder, '', { env: PRODUCTION })).toEqual([])
    expect(JSON.parse((await migrate(folder, 'status', '--json')).stdout)).toMatchObject({
      is_empty: false,
      applied: [{ name: '0001_drop_colour.sql' }],
      pending: [],
      statements: [],
      problems: [],
    })
  })

  test.each(['openapi', 'config', 'access', 'export items', 'migrate status', 'migrate plan'])(
    '%s changes no table',
    async (command) => {
      const folder = await makeData()
      migration(folder, '0001_drop_colour.sql', DROP)
      await runCommand(command.split(' '), { folder, resources: WIDER })
      expect(columnsOf(folder)).toEqual(['id', '_version', 'name', 'colour', 'created_at', 'updated_at'])
    },
  )
})

describe('losses', () => {
  test('are refused, with the SQL and the file that would do it', async () => {
    const folder = await makeData()
    for (const args of [
      ['serve', '--port', '0'],
      ['migrate', 'up'],
      ['serve', '--port', '0', '--migrate'],
    ]) {
      const { exitCode, stderr } = await runCommand(args, { folder, resources: NARROWER })
      expect(exitCode).toBe(1)
      expect(stderr).toContain('- Column items.colour is stored but not declared')
      expect(stderr).toContain('migrations/0001_NAME.sql')
      expect(stderr).toContain('ALTER TABLE "items" DROP COLUMN "colour";')
      expect(stderr).not.toMatch(/\bat .+:\d+|bunfs/)
    }
    expect(columnsOf(folder)).toContain('colour')
    const { stdout } = await migrate(folder, 'plan')
    expect(stdout).toContain('-- ALTER TABLE "items" DROP COLUMN "colour";')
    expect(stdout.split('\n').every((line) => line === '' || line.startsWith('--'))).toBe(true)
  })

  test('are done by a file, which new begins; a copy is kept for its owner only', async () => {
    const folder = await makeData()
    const begun = await runCommand(['migrate', 'new', 'drop_colour'], { folder, resources: NARROWER })
    expect(begun).toMatchObject({ exitCode: 0, stderr: '' })
    const file = join(folder, 'migrations/0001_drop_colour.sql')
    expect(begun.stdout.trim()).toEndWith('migrations/0001_drop_colour.sql')
    expect(readFileSync(file, 'utf8')).toContain('ALTER TABLE "items" DROP COLUMN "colour";')

    const status = JSON.parse((await migrate(folder, 'status', '--json')).stdout) as object
    expect(status).toMatchObject({ applied: [], pending: ['0001_drop_colour.sql'], problems: [] })
    expect((await migrate(folder, 'status')).stdout).toContain('pending  0001_drop_colour.sql')
    expect((await migrate(folder, 'plan')).stdout).toContain('ALTER TABLE "items" DROP COLUMN "colour";')

    const done = await migrate(folder, 'up')
    expect(done).toMatchObject({ exitCode: 0, stderr: '' })
    expect(done.stdout).toMatch(
      /kept in .*hipflask\.db\.before-0001\nApplied 0001_drop_colour\.sql\nDone: 1 migration, /,
    )
    expect(copiesIn(folder)).toEqual(['hipflask.db.before-0001'])
    expect(statSync(join(folder, 'data/hipflask.db.before-0001')).mode & 0o777).toBe(0o600)
    expect((await migrate(folder, 'up')).stdout).toBe('Done: 0 migrations, 0 statements\n')
    expect((await migrate(folder, 'plan')).stdout).toBe('-- Nothing is to be done\n')
    expect((await migrate(folder, 'status')).stdout).toContain('applied  0001_drop_colour.sql')
    expect(await listed(folder, '', { env: PRODUCTION })).toEqual(['apple', 'pear'])
  })

  test('files are applied at start, in production with --migrate', async () => {
    const folder = await makeData()
    migration(folder, '0001_drop_colour.sql', DROP)
    const refused = await runCommand(['serve', '--port', '0'], {
      folder,
      resources: NARROWER,
      env: PRODUCTION,
    })
    expect(refused.exitCode).toBe(1)
    expect(copiesIn(folder)).toEqual([])
    expect(await listed(folder, '', { env: PRODUCTION, args: ['--migrate'] })).toEqual(['apple', 'pear'])
    migration(folder, '0002_rename.sql', "UPDATE items SET name = 'plum' WHERE id = 1;\n")
    expect(await listed(folder)).toEqual(['plum', 'pear'])
    expect(copiesIn(folder)).toEqual(['hipflask.db.before-0001', 'hipflask.db.before-0002'])
  })

  test('an applied file that changed stops the start', async () => {
    const folder = await makeData()
    migration(folder, '0001_drop_colour.sql', DROP)
    expect((await runCommand(['migrate', 'up'], { folder, resources: NARROWER })).exitCode).toBe(0)
    migration(folder, '0001_drop_colour.sql', `${DROP}-- edited\n`)
    const { exitCode, stderr } = await runCommand(['serve', '--port', '0'], { folder })
    expect(exitCode).toBe(1)
    expect(stderr).toContain('0001_drop_colour.sql was changed after it had been applied')
  })
})

test('a migration that is killed is done once, by whoever comes next, also by two at once', async () => {
  const folder = await makeData()
  migration(
    folder,
    '0001_many.sql',
    `INSERT INTO items (_version, name, created_at, updated_at)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)
SELECT 1, 'many ' || i, '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z' FROM n;\n`,
  )
  migration(folder, '0002_drop_colour.sql', DROP)
  for (const [name, text] of Object.entries(NARROWER)) writeFileSync(join(folder, 'resources', name), text)
  const executable = join(import.meta.dir, '../../dist/hipflask')
  const start = () =>
    Bun.spawn([executable, 'migrate', 'up'], { cwd: folder, env: {}, stdout: 'pipe', stderr: 'pipe' })
  for (const delay of [60, 120, 250, 500]) {
    const victim = start()
    await Bun.sleep(delay)
    victim.kill('SIGKILL')
    await victim.exited
  }
  const both = [start(), start()]
  for (const one of both) expect([await one.exited, await one.stderr.text()]).toEqual([0, ''])
  using database = new Database(join(folder, 'data/hipflask.db'), { readonly: true })
  expect(database.query('SELECT count(*) FROM items').values()).toEqual([[400_002]])
  expect(columnsOf(folder)).not.toContain('colour')
  expect(database.query('PRAGMA integrity_check').values()).toEqual([['ok']])
}, 60_000)

test('a database of a newer hipflask is refused with exit code 4, by every command that opens it', async () => {
  const folder = await makeData()
  const database = new Database(join(folder, 'data/hipflask.db'))
  database.run('PRAGMA user_version = 2')
  database.close()
  for (const args of [
    ['serve', '--port', '0', '--migrate'],
    ['migrate', 'up'],
    ['migrate', 'status'],
  ]) {
    const { exitCode, stderr } = await runCommand(args, { folder })
    expect({ args, exitCode }).toEqual({ args, exitCode: 4 })
    expect(stderr).toContain('was made by a newer hipflask')
  }
})

describe('migrate', () => {
  test.each([
    [[], 2, /Action must be one of: status, plan, up, new/],
    [['down'], 2, /Action must be one of/],
    [['new'], 2, /Name of the migration must be/],
    [['new', '../evil'], 2, /Name of the migration must be/],
    [['new', 'Drop'], 2, /Name of the migration must be/],
    [['up', '--data', ':memory:'], 1, /in memory has nothing to migrate/],
  ])('%j is refused', async (args, code, message) => {
    const { exitCode, stderr } = await migrate(makeFolder(), ...args)
    expect(exitCode).toBe(code)
    expect(stderr).toMatch(message)
  })

  test('without a database tells what the first start makes, and makes nothing', async () => {
    const folder = makeFolder()
    const { stdout } = await runCommand(['migrate', 'plan'], { folder, resources: OLD })
    expect(stdout).toContain('CREATE TABLE "items"')
    expect((await migrate(folder, 'status')).stdout).toContain('is empty')
    expect((await migrate(folder, 'new', 'first')).exitCode).toBe(0)
    expect((await migrate(folder, 'new', 'second')).stdout).toContain('0002_second.sql')
    expect(existsSync(join(folder, 'data'))).toBe(false)
    expect((await migrate(folder, 'up')).exitCode).toBe(0)
    expect(columnsOf(folder)).toContain('colour')
  })
})

test('a cursor outlives a restart, and searches and scans go on beside a large table', async () => {
  const folder = await makeData()
  for (const [name, text] of Object.entries(WIDER)) writeFileSync(join(folder, 'resources', name), text)
  migration(
    folder,
    '0001_many.sql',
    `INSERT INTO items (_version, name, created_at, updated_at)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000)
SELECT 1, 'many ' || i, '2026-01-01T00:00:00.000Z', '2026-01-01T00:00:00.000Z' FROM n;\n`,
  )
  const get = async (server: { fetch: (path: string) => Promise<Response> }, query: string) =>
    (await (await server.fetch(`/api/items?${query}`)).json()) as {
      data: { name: string }[]
      next_cursor: string
    }
  let cursor: string
  {
    await using server = await startServer({ folder })
    cursor = (await get(server, 'sort=-name&limit=2')).next_cursor
    expect((await get(server, 'q=many+29999')).data).toMatchObject([{ name: 'many 29999' }])
    expect((await get(server, 'name=pear')).data).toMatchObject([{ name: 'pear' }])
    await server.stop()
  }
  await using server = await startServer({ folder })
  expect((await get(server, `sort=-name&limit=2&cursor=${cursor}`)).data).toHaveLength(2)
  rmSync(join(folder, 'migrations'), { recursive: true })
})
