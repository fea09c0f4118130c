// Export and import of the built executable: beside a running server, through pipes, with more than fits into memory.
import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { runCommand, startServer, type RunningServer } from '../support/executable.ts'
import { fixtureResources, post } from '../support/world.ts'

const EXECUTABLE = join(import.meta.dir, '../../dist/hipflask')
const ROWS = 60_000

let folder: string
let server: RunningServer
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hipflask-executable-transfer-'))
  server = await startServer({ resources: fixtureResources(), folder })
})
afterAll(async () => {
  await server.stop()
  await rm(folder, { recursive: true })
})

const command = (...args: string[]) => runCommand(args, { resources: fixtureResources(), folder })
const total = async (path: string) =>
  ((await (await server.fetch(path)).json()) as { total_items: number }).total_items

test('an import beside a running server is seen at once, with the total', async () => {
  await post(server, '/api/authors', { name: 'first' })
  await writeFile(join(folder, 'authors.csv'), 'name\nsecond\nthird\n')
  const { exitCode, stdout, stderr } = await command('import', 'authors', 'authors.csv')
  expect({ exitCode, stdout, stderr }).toEqual({
    exitCode: 0,
    stdout: 'Stored 2 records in authors\n',
    stderr: '',
  })
  expect(await total('/api/authors')).toBe(3)
  await post(server, '/api/authors', { name: 'fourth' })
  expect(await total('/api/authors')).toBe(4)
})

test('an import while the server writes loses neither', async () => {
  const before = await total('/api/kinds')
  const lines = Array.from({ length: ROWS }, (_, index) => `{"maybe":${index},"text":"row ${index}"}`)
  await writeFile(join(folder, 'kinds.ndjson'), lines.join('\n'))
  let isDone = false
  let written = 0
  const writing = (async () => {
    while (!isDone) {
      await Promise.all(Array.from({ length: 8 }, () => post(server, '/api/kinds', { maybe: -1 })))
      written += 8
    }
  })()
  const { exitCode, stderr } = await command('import', 'kinds', 'kinds.ndjson')
  isDone = true
  await writing
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  expect(await total('/api/kinds')).toBe(before + written + ROWS)
  using database = new Database(join(folder, 'data/hipflask.db'), { readonly: true })
  expect(database.query('SELECT count(*) AS count FROM kinds').get()).toEqual({
    count: before + written + ROWS,
  })
})

test('a faulty import beside a running server changes nothing', async () => {
  const before = await total('/api/authors')
  await writeFile(join(folder, 'authors.csv'), 'name\nfifth\nsecond\n')
  const { exitCode, stderr } = await command('import', 'authors', 'authors.csv')
  expect(exitCode).toBe(1)
  expect(stderr).toBe('Row 3, /name: Is taken by another record\nNothing was stored\n')
  expect(await total('/api/authors')).toBe(before)
})

describe('what was exported', () => {
  test.each(['ndjson', 'csv'])(
    'as %s and is imported elsewhere is the same, byte for byte',
    async (format) => {
      const copy = await mkdtemp(join(tmpdir(), 'hipflask-copy-'))
      try {
        const other = { resources: fixtureResources(), folder: copy }
        await (await startServer(other)).stop()
        for (const name of ['kinds', 'authors']) {
          const first = await command('export', name, '--format', format)
          await writeFile(join(copy, `${name}.${format}`), first.stdout)
          const { stdout } = await runCommand(['import', name, `${name}.${format}`], other)
          expect(stdout).toStartWith('Stored ')
          for (const again of ['ndjson', 'csv']) {
            const [one, two] = await Promise.all([
              command('export', name, '--format', again),
              runCommand(['export', name, '--format', again], other),
            ])
            expect(one.exitCode + two.exitCode).toBe(0)
            expect(two.stdout === one.stdout).toBe(true)
          }
        }
      } finally {
        await rm(copy, { recursive: true })
      }
    },
  )
})

test('a pipe joins the two, and leaves nothing in the data folder', async () => {
  const copy = await mkdtemp(join(tmpdir(), 'hipflask-copy-'))
  try {
    const other = { resources: fixtureResources(), folder: copy }
    await (await startServer(other)).stop()
    const env = { PATH: process.env.PATH as string, HOME: folder }
    const source = Bun.spawn([EXECUTABLE, 'export', 'kinds'], { cwd: folder, env, stdout: 'pipe' })
    const target = Bun.spawn([EXECUTABLE, 'import', 'kinds', '-'], {
      cwd: copy,
      env,
      stdin: source.stdout,
      stdout: 'pipe',
      stderr: 'pipe',
    })
    expect(await new Response(target.stdout).text()).toBe(
      `Stored ${await total('/api/kinds')} records in kinds\n`,
    )
    expect([await source.exited, await target.exited]).toEqual([0, 0])
    expect((await readdir(join(copy, 'data'))).toSorted()).toEqual(['hipflask.db', 'keys'])
  } finally {
    await rm(copy, { recursive: true })
  }
})

test('a killed import stores nothing and leaves nothing', async () => {
  const before = await total('/api/kinds')
  const child = Bun.spawn([EXECUTABLE, 'import', 'kinds', '-'], {
    cwd: folder,
    env: { PATH: process.env.PATH as string, HOME: folder },
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  await child.stdin.write('{"maybe":1}\n'.repeat(5000))
  await child.stdin.flush()
  await Bun.sleep(300)
  child.kill('SIGKILL')
  await child.exited
  expect(await total('/api/kinds')).toBe(before)
  expect((await readdir(join(folder, 'data'))).filter((name) => name.includes('load'))).toEqual([])
})
