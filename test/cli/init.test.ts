import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { environmentExample } from '../../src/cli/init.ts'
import { loadConfig } from '../../src/config/load.ts'
import { starter } from '../../src/starter/index.ts'
import { checkTypes, faultyLines, foundMistakes } from '../support/type-check.ts'
import { run } from './run.ts'

const ROOT = join(import.meta.dir, '../..')
const FILES = [
  '.env.example',
  '.hipflask/hipflask.d.ts',
  'resources/items.ts',
  'resources/users.ts',
  'tsconfig.json',
]

let parent: string
let folder: string

beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), 'hipflask-init-'))
})
beforeEach(async () => {
  folder = await mkdtemp(join(parent, 'project-'))
})
afterAll(() => rm(parent, { recursive: true }))

const read = (name: string) => readFile(join(folder, name), 'utf8')

async function filesOf(path: string): Promise<string[]> {
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1))
    .sort()
}

describe('hipflask init', () => {
  test('writes the starter into the working folder and lists it', async () => {
    const { exitCode, stdout, stderr } = await run('init', { cwd: folder })
    expect(stderr).toBe('')
    expect(exitCode).toBe(0)
    expect(await filesOf(folder)).toEqual(FILES)
    for (const name of FILES) expect(stdout).toContain(`wrote ${name}\n`)
    expect(stdout).toContain('\nNext: hipflask serve\n')
  })

  test('writes into a folder that it makes', async () => {
    const { exitCode, stdout } = await run('init shop/api', { cwd: folder })
    expect(exitCode).toBe(0)
    expect(await filesOf(join(folder, 'shop/api'))).toEqual(FILES)
    expect(stdout).toContain('\nNext: cd shop/api && hipflask serve\n')
  })

  test('writes the very file that is served when there is none', async () => {
    await run('init', { cwd: folder })
    for (const { file } of starter) {
      expect(await read(`resources/${file}`)).toBe(await readFile(join(ROOT, 'src/starter', file), 'utf8'))
    }
  })

  test('takes --resources', async () => {
    const { stdout } = await run('init --resources api', { cwd: folder })
    expect(await filesOf(folder)).toContain('api/items.ts')
    expect(JSON.parse(await read('tsconfig.json'))).toMatchObject({ include: ['api'] })
    expect(stdout).toContain('hipflask serve --resources api\n')
  })

  test('keeps what is there and names it', async () => {
    await mkdir(join(folder, 'resources'))
    await writeFile(join(folder, 'resources/items.ts'), 'mine')
    await writeFile(join(folder, 'tsconfig.json'), '{}')
    const { exitCode, stdout } = await run('init', { cwd: folder })
    expect(exitCode).toBe(0)
    expect(await read('resources/items.ts')).toBe('mine')
    expect(await read('tsconfig.json')).toBe('{}')
    expect(stdout).toContain('kept  resources/items.ts (there already, and different)\n')
    expect(stdout).toContain('kept  tsconfig.json (yours; for types, its "paths" must have "hipflask"')
    expect(stdout).toContain('wrote .env.example\n')
  })

  test('follows no symbolic link out of the folder', async () => {
    await symlink(join(parent, 'outside'), join(folder, '.env.example'))
    await run('init', { cwd: folder })
    expect(await readdir(parent)).not.toContain('outside')
  })

  test('--json tells programs what became of each file', async () => {
    await run('init', { cwd: folder })
    await rm(join(folder, '.env.example'))
    await writeFile(join(folder, 'tsconfig.json'), '{}')
    const { stdout } = await run('init --json', { cwd: folder })
    expect(JSON.parse(stdout)).toEqual({
      folder,
      files: [
        { path: 'resources/items.ts', outcome: 'kept' },
        { path: 'resources/users.ts', outcome: 'kept' },
        { path: '.env.example', outcome: 'written' },
        { path: '.hipflask/hipflask.d.ts', outcome: 'kept' },
        { path: 'tsconfig.json', outcome: 'differs' },
      ],
    })
  })

  test('into a file fails with one line and changes nothing', async () => {
    await writeFile(join(folder, 'file'), 'mine')
    const { exitCode, stdout, stderr } = await run('init file', { cwd: folder })
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^\S+ can't be written, .*\n$/)
    expect(exitCode).toBe(1)
    expect(await filesOf(folder)).toEqual(['file'])
  })
})

describe('.env.example', () => {
  test('sets nothing', () => {
    for (const line of environmentExample().split('\n')) expect(line).toMatch(/^(#.*)?$/)
  })

  test('without the marks of its comments is the defaults', () => {
    const dotenv = environmentExample().replaceAll(/^# (HIPFLASK_)/gm, '$1')
    expect(dotenv.match(/^HIPFLASK_/gm)!.length).toBeGreaterThan(10)
    expect(loadConfig({ env: {}, dotenv }).config).toEqual(loadConfig({ env: {} }).config)
  })
})

describe('an editor without node_modules', () => {
  test('finds no fault in what init wrote, the declarations included', async () => {
    await run('init', { cwd: folder })
    expect(await checkTypes(folder)).toEqual({ exitCode: 0, output: '' })
    expect(await checkTypes(folder, '--skipLibCheck', 'false')).toEqual({ exitCode: 0, output: '' })
  })

  test('has declarations that import nothing', async () => {
    await run('init', { cwd: folder })
    expect(await read('.hipflask/hipflask.d.ts')).not.toMatch(/\bimport\b|\brequire\b|\/\/\/ *</)
  })

  test('takes what is right', async () => {
    const text = `${PREAMBLE}
      export default defineResource({
        name: 'posts', description: 'Posts', schema, owned: true, id: 'uuid', pageSize: 20, pageSizeMax: 50,
        access: {
          list: () => ({ kind: 'memo' }),
          read: (who) => (who.id === null ? { or: [{ kind: { in: ['memo'] } }, { price: { lt: 5 } }] } : true),
          create: anyOf(signedIn(), allOf(role('editor'), () => false)),
          update: ({ email }) => ({ owner_id: 'x', note: null, mail: { starts_with: email ?? '' }, tags: { null: false } }),
          delete: everyone(),
        },
      })
      const item: Item = {
        id: 1, created_at: '', updated_at: '', price: 1, kind: 'task', note: null, mail: 'a', tags: ['x'], place: { city: 'Oslo' },
      }
      export const seen: [number, 'memo' | 'task', string | null, string | undefined] = [item.price, item.kind, item.note, item.text]
      console.log(new URL('https://example.com').host, fetch)
    `
    await run('init', { cwd: folder })
    expect(await faultyLines(folder, text)).toEqual([])
  })

  test('finds every mistake', async () => {
    await run('init', { cwd: folder })
    expect(await foundMistakes(folder, PREAMBLE, MISTAKES)).toEqual(MISTAKES.map(([name]) => name))
  })
})

const PREAMBLE = `import { allOf, anyOf, defineResource, everyone, role, signedIn, t, type RecordOf } from 'hipflask'
const schema = t.Object({
  price: t.Number({ minimum: 0, index: true }),
  kind: t.Enum(['memo', 'task'], { default: 'memo' }),
  note: t.Nullable(t.String()),
  text: t.Optional(t.String({ maxLength: 5000 })),
  mail: t.String({ format: 'email', unique: true }),
  tags: t.Array(t.String(), { maxItems: 9 }),
  place: t.Object({ city: t.String() }),
})
const items = defineResource({ name: 'items', schema, access: { list: everyone(), create: signedIn() } })
type Item = RecordOf<typeof items>
export { allOf, anyOf, role, items, type Item }`

const declare = (more: string) => `defineResource({ name: 'x', schema, ${more} })`

/** One mistake a line. */
const MISTAKES: [string, string][] = [
  ['misspelt option', 't.String({ minLenght: 3 })'],
  ['wrong default', "t.Number({ default: 'x' })"],
  ['default that is no value of the enum', "t.Enum(['memo'], { default: 'task' })"],
  ['option of another kind', "t.Number({ format: 'email' })"],
  ['unknown format', "t.String({ format: 'ipv4' })"],
  ['unsupported kind', 't.Date()'],
  ['option of the wrong type', "t.String({ unique: 'yes' })"],
  ['unknown declaration option', declare('ownd: true')],
  ['declaration option of the wrong type', declare("softDelete: 'yes'")],
  ['missing schema', "defineResource({ name: 'x' })"],
  ['schema that is no object', "defineResource({ name: 'x', schema: t.String() })"],
  ['unknown kind of id', declare("id: 'text'")],
  ['unknown action', declare('access: { reed: everyone() }')],
  ['rule that is not called', declare('access: { read: everyone }')],
  ['unknown field in a filter', declare('access: { read: () => ({ prise: 5 }) }')],
  ['unknown field in a part of a filter', declare('access: { read: () => ({ or: [{ prise: 5 }] }) }')],
  ['unknown operator in a filter', declare('access: { read: () => ({ price: { below: 5 } }) }')],
  ['wrong type in a filter', declare("access: { read: () => ({ price: { lt: 'x' } }) }")],
  ['value in a filter that is none of the enum', declare("access: { read: () => ({ kind: 'letter' }) }")],
  ['owner in a filter of what nobody owns', declare("access: { read: () => ({ owner_id: 'x' }) }")],
  ['unknown field of the caller', declare('access: { read: (who) => who.name === null }')],
  ['unknown field of a record', 'null! as Item["nope"]'],
  ['wrong type of a record', 'null! as Item["price"] satisfies string'],
  ['unknown export', "(await import('hipflask')).defineThing"],
]
