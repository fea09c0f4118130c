// The command lines of export and import: what they take, what they say, and with which exit code.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp, resourcesOf } from '../../src/app.ts'
import { configOf, type Io } from '../../src/cli/command.ts'
import { runProgram } from '../../src/cli/program.ts'
import { createLogger } from '../../src/core/logger.ts'
import { provideModule } from '../../src/rest/virtual-module.ts'

const RESOURCE = `import { defineResource, problem, t } from 'hipflask'
export default defineResource({
  name: 'items',
  schema: t.Object({
    name: t.String(),
    price: t.Number({ minimum: 0 }),
    pin: t.Optional(t.String({ writeOnly: true })),
  }),
})`
const CODED = `import { defineResource, problem, t } from 'hipflask'
export default defineResource({
  name: 'coded',
  schema: t.Object({ name: t.String(), slug: t.Optional(t.String({ readOnly: true })) }),
  validate: ({ name }) => (name === 'bad' ? [{ field: 'name', message: 'Not this one' }] : []),
  hooks: {
    beforeCreate: async (record, { principal }) => {
      if (record.name === 'full') throw problem(409, 'There is no room')
      if (record.name === 'bug') throw new Error('secret')
      return { ...record, slug: record.name + ' by ' + principal.role }
    },
    afterCreate: () => {
      throw new Error('Is not called')
    },
  },
})`
const CSV = 'id,name,price\r\n1,a,1\r\n2,b,2\r\n'

let folder: string
beforeAll(async () => {
  provideModule()
  folder = await mkdtemp(join(tmpdir(), 'hipflask-transfer-'))
  await mkdir(join(folder, 'resources'))
  await Promise.all([
    writeFile(join(folder, 'resources/items.ts'), RESOURCE),
    writeFile(join(folder, 'resources/coded.ts'), CODED),
    writeFile(join(folder, 'good.csv'), CSV),
    writeFile(join(folder, 'good.txt'), CSV),
    writeFile(join(folder, 'bad.csv'), 'name,price\na,-1\nb,x\n\u001b[2J,3,4\n'),
    writeFile(join(folder, 'many.ndjson'), '{}\n'.repeat(51)),
    writeFile(join(folder, 'names.ndjson'), '{"name":"a","price":1,"\\u001b[2J\\u202e":1}\n'),
    writeFile(join(folder, 'upper.JSONL'), '{"name":"a","price":1}\n'),
  ])
})
afterAll(() => rm(folder, { recursive: true }))

interface Ran {
  exitCode: number
  stdout: string
  stderr: string
}

async function run(line: string, more: Partial<Io> = {}): Promise<Ran> {
  const ran: Ran = { exitCode: 0, stdout: '', stderr: '' }
  const io: Io = {
    stdout: (text) => void (ran.stdout += text),
    stderr: (text) => void (ran.stderr += text),
    env: { HIPFLASK_DATA: join(folder, 'data'), HIPFLASK_RESOURCES: join(folder, 'resources') },
    cwd: folder,
    ...more,
  }
  // A flag is looked up from the folder of the process.
  const place = (word: string, index: number, words: string[]) =>
    /^--(?:data|resources)$/.test(words[index - 1] ?? '') && word !== ':memory:' ? join(folder, word) : word
  ran.exitCode = await runProgram(line.split(' ').map(place), io)
  return ran
}

async function* bytes(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

/** Makes the database of a data folder, as the first start of a server does. */
async function prepare(data: string): Promise<void> {
  const io: Io = { stdout: () => {}, stderr: () => {}, env: {}, cwd: folder }
  const flags = { data: join(folder, data), resources: join(folder, 'resources') }
  const { config, origins } = configOf({ positional: [], options: {}, flags }, io)
  const logger = createLogger({ level: 'error', format: 'json', write: () => {}, clock: Date.now })
  const app = await createApp({ config, resources: await resourcesOf(config, origins), logger })
  await app.stop()
}

test('import stores the records, and export prints them', async () => {
  await prepare('one')
  expect(await run('import items good.csv --data one')).toEqual({
    exitCode: 0,
    stdout: 'Stored 2 records in items\n',
    stderr: '',
  })
  const csv = await run('export items --format csv --data one')
  expect(csv.stdout).toStartWith('id,name,price,created_at,updated_at\r\n1,a,1,20')
  expect(csv).toMatchObject({ exitCode: 0, stderr: 'Not exported, since no answer shows them: pin\n' })
  const ndjson = await run('export items --data one')
  expect(ndjson.stdout.split('\n').map((line) => line.slice(0, 30))).toEqual([
    '{"id":1,"name":"a","price":1,"',
    '{"id":2,"name":"b","price":2,"',
    '',
  ])
  expect((await run('import items upper.JSONL --data one')).stdout).toBe('Stored 1 records in items\n')
  const stdin = () => bytes('{"name":"c","price":3}')
  expect((await run('import items - --data one', { stdin })).exitCode).toBe(0)
  expect(
    (await run('import items - --format csv --data one', { stdin: () => bytes('price,name\n1,d') })).exitCode,
  ).toBe(0)
  expect((await run('export items --data one')).stdout.match(/"id":\d+/g)).toHaveLength(5)
})

test('import names every fault, exit code 1, and stores nothing', async () => {
  await prepare('two')
  for (const more of ['', ' --dry-run']) {
    expect(await run(`import items bad.csv --data two${more}`)).toEqual({
      exitCode: 1,
      stdout: '',
      stderr: `Row 2, /price: Expected a number greater than or equal to 0
Row 3, /price: Expected a number
Row 4: Expected 2 cells as in the header, got 3
Nothing was stored
`,
    })
  }
  const many = await run('import items many.ndjson --data two')
  expect(many.stderr.split('\n')).toHaveLength(103)
  expect(many.stderr).toEndWith('Row 50, /price: Required\nand 2 more\nNothing was stored\n')
  const named = await run('import items names.ndjson --data two')
  expect(named.stderr).toBe('Row 1, /\ufffd[2J\ufffd: Unknown property\nNothing was stored\n')
  expect((await run('export items --data two')).stdout).toBe('')
})

test("import runs the resource's own code as an administrator, but for what comes after a create", async () => {
  await prepare('coded')
  const lines = (...names: string[]) => names.map((name) => JSON.stringify({ name })).join('\n')
  const importing = (...names: string[]) =>
    run('import coded - --data coded', { stdin: () => bytes(lines(...names)) })
  expect(await importing('a', 'bad', 'full')).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: 'Row 2, /name: Not this one\nRow 3: There is no room\nNothing was stored\n',
  })
  const bug = await importing('a', 'bug')
  expect(bug).toMatchObject({ exitCode: 1, stdout: '' })
  expect(bug.stderr).toBe('Row 2: Hook beforeCreate of coded failed\nNothing was stored\n')
  expect(await importing('a', 'b')).toEqual({
    exitCode: 0,
    stdout: 'Stored 2 records in coded\n',
    stderr: '',
  })
  expect((await run('export coded --format csv --data coded')).stdout).toContain('1,a,a by admin,')
})

test('import --dry-run stores nothing, and says what it would', async () => {
  await prepare('three')
  expect(await run('import items good.csv --dry-run --data three')).toEqual({
    exitCode: 0,
    stdout: '2 records can be stored in items; nothing was stored\n',
    stderr: '',
  })
  const dry = await run('import items good.csv --dry-run --json --data three')
  expect(JSON.parse(dry.stdout)).toEqual({ records: 2, stored: 0, faults: [], faults_total: 0 })
  const real = await run('import items good.csv --json --data three')
  expect(JSON.parse(real.stdout)).toEqual({ records: 2, stored: 2, faults: [], faults_total: 0 })
  const again = await run('import items good.csv --json --data three')
  expect(again).toMatchObject({ exitCode: 1, stderr: '' })
  expect(JSON.parse(again.stdout)).toEqual({
    records: 2,
    stored: 0,
    faults: [1, 2].map((id) => ({ row: id + 1, field: '/id', message: 'Is taken by another record' })),
    faults_total: 2,
  })
})

test('on a terminal the progress is drawn on stderr and taken away', async () => {
  await prepare('four')
  const CLEAR = '\r\u001b[2K'
  const imported = await run('import items good.csv --data four', { isTerminal: true })
  expect(imported.stderr).toStartWith(`${CLEAR}Importing items  [########################]  100 %  2 records`)
  expect(imported.stderr).toEndWith(CLEAR)
  const exported = await run('export items --data four', { isTerminal: true })
  expect(exported.stderr).toStartWith(`${CLEAR}Exporting items  [`)
  expect(exported.stderr).toContain(`${CLEAR}Not exported`)
})

test('export waits for a slow reader', async () => {
  await prepare('five')
  await run('import items good.csv --data five')
  let full = false
  let missed = 0
  const { exitCode } = await run('export items --data five', {
    stdout: () => {
      if (full) missed++
      full = true
    },
    stdoutReady: async () => {
      await Bun.sleep(1)
      full = false
    },
  })
  expect({ exitCode, missed }).toEqual({ exitCode: 0, missed: 0 })
})

describe('wrong use', () => {
  beforeAll(() => prepare('data'))
  const cases: [line: string, exitCode: number, stderr: string][] = [
    ['export', 2, 'Name is missing, must be one of: coded, items'],
    ['export item', 2, 'Resource item is not declared: did you mean items?'],
    ['export customers', 2, 'Resource customers is not declared: the resources are coded, items'],
    ['export items --format xml', 2, 'Format is not known, must be ndjson or csv'],
    ['export items --data nowhere', 1, 'There is no database in '],
    ['export items --data :memory:', 1, 'There is no database in :memory:'],
    ['import', 2, 'Name is missing, must be one of: coded, items'],
    ['import items', 2, 'File is missing, must be a path or - for standard input'],
    ['import items absent.csv', 1, 'File absent.csv does not exist'],
    ['import items resources --format csv', 1, 'resources is a folder, must be a file'],
    [
      'import items good.txt',
      2,
      'Name of good.txt ends in none of .ndjson, .jsonl, .csv: say which by --format',
    ],
    ['import items good.csv --format json', 2, 'Format is not known, must be ndjson or csv'],
    ['import items good.csv --data nowhere', 1, 'There is no database in '],
    ['import items good.csv --nope', 2, "Unknown option '--nope'"],
  ]
  for (const [line, exitCode, stderr] of cases) {
    test(`${line}: ${stderr}`, async () => {
      const ran = await run(line)
      expect(ran.stderr).toStartWith(stderr)
      expect(ran).toMatchObject({ exitCode, stdout: '' })
    })
  }

  test('neither makes a database', async () => {
    expect((await run('import items good.csv --data nowhere')).exitCode).toBe(1)
    expect(await Bun.file(join(folder, 'nowhere/hipflask.db')).exists()).toBe(false)
  })

  test('neither changes a table', async () => {
    await prepare('behind')
    const more = RESOURCE.replace('price:', 'more: t.Optional(t.String()), price:')
    await mkdir(join(folder, 'later'), { recursive: true })
    await writeFile(join(folder, 'later/items.ts'), more)
    await writeFile(join(folder, 'later/coded.ts'), CODED)
    for (const line of ['export items', 'import items good.csv']) {
      const { exitCode, stderr } = await run(`${line} --data behind --resources later`)
      expect(exitCode).toBe(1)
      expect(stderr).toContain('does not follow the declarations yet')
    }
  })
})
