// README.md must not lie: its commands are run against dist/hipflask, each section in an empty folder of its own, the
// answers it shows are compared with what came, its resource files are loaded and type-checked, and its tables are
// those of the source. Not run here are `bun …` and `npx … bun …` (this test is part of what they run, so they are
// only looked up in package.json) and `docker …` (test/container runs that).
import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import packageJson from '../../package.json'
import { describeFallback, settingNames, settingOf, variableOf } from '../../src/config/settings.ts'
import { errorCodes, messageOf, statusOf } from '../../src/core/errors.ts'
import { MAX_DEPTH, MAX_PROPERTIES } from '../../src/http/json.ts'
import { MAX_PARAMETERS } from '../../src/http/query-parameters.ts'
import { MAX_RECORDS } from '../../src/rest/input.ts'
import { MAX_WAITING } from '../../src/rest/record-queue.ts'
import { FILTER_CONDITIONS_MAX, FILTER_DEPTH_MAX, FILTER_VALUES_MAX } from '../../src/storage/query.ts'
import { QUEUE_MAX } from '../../src/storage/sqlite/group-commit.ts'
import { makeFolder, runCommand } from '../support/executable.ts'
import {
  fileOf,
  runBlocks,
  sectionsOf,
  tableOf,
  withoutChance,
  type Block,
  type Shown,
} from '../support/readme.ts'

const ROOT = join(import.meta.dir, '../..')
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
const SECTION_TIMEOUT_MS = 60_000

const sections = sectionsOf(README)
const blocks = sections.flatMap((section) => section.blocks)
const commands = blocks.filter(({ language }) => language === 'sh')
const isOfProject = ({ text }: Block) => /^(npx|bun) /.test(text)
const isOfDocker = ({ text }: Block) => text.startsWith('docker ')
const hasCurl = Bun.which('curl') !== null
if (!hasCurl) console.log('The commands of README.md are not run: they need curl, which is not installed')

describe.skipIf(!hasCurl)('README.md shows what comes', () => {
  for (const { title, blocks: all } of sections) {
    const own = all.filter((block) => !isOfProject(block) && !isOfDocker(block))
    if (!own.some(({ language }) => language === 'sh')) continue
    test(
      title,
      async () => {
        for (const shown of await runBlocks(own, makeFolder())) checkAnswer(shown)
      },
      SECTION_TIMEOUT_MS,
    )
  }
})

function checkAnswer({ command, printed, answer }: Shown): void {
  const at = `README.md:${command.line}`
  if (answer === undefined) {
    // What is not shown must have gone well.
    expect({ at, printed }).not.toEqual({ at, printed: expect.stringMatching(/^\{"error":/) })
  } else if (answer.language === 'text') expect({ at, printed }).toEqual({ at, printed: answer.text })
  else expect({ at, json: plain(printed) }).toEqual({ at, json: plain(answer.text) })
}

function plain(text: string): unknown {
  return JSON.parse(withoutChance(text))
}

describe('README.md names commands that there are', () => {
  test('of package.json, with its version of Bun', () => {
    const lines = commands.filter(isOfProject).map(({ text }) => text.trim())
    expect(lines.slice(0, 2)).toEqual([
      `npx --yes ${packageJson.packageManager} start`,
      `npx --yes ${packageJson.packageManager} run test`,
    ])
    for (const line of lines) {
      const [, script] = /^(?:npx --yes bun@\S+|bun)(?: run)? (\w+)$/.exec(line) ?? []
      expect({ line, scripts: Object.keys(packageJson.scripts) }).toEqual({
        line,
        scripts: expect.arrayContaining([script]),
      })
    }
  })

  test('of Docker, with the options that the container test uses', () => {
    const used = readFileSync(join(ROOT, 'test/container/container.test.ts'), 'utf8')
    const lines = commands.filter(isOfDocker).map(({ text }) => text)
    console.log(`Not run here but in test/container: ${lines.length} docker commands of README.md`)
    for (const line of lines) {
      const [, command = ''] = /^docker (\w+)/.exec(line) ?? []
      for (const word of [`docker ${command}`, ...(line.match(/--[a-z-]+/g) ?? [])])
        expect(used).toContain(word)
    }
    expect(lines.length).toBeGreaterThan(0)
  })

  test('of the executable: every one, and no other', async () => {
    const { stdout } = await runCommand(['--help'])
    const listed = stdout.slice(stdout.indexOf('\nCommands:\n')).split('\n\n')[0] as string
    const names = [...listed.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => `hipflask ${name}`)
    expect(tableOf(README, ['Command', 'What it does']).map(([command]) => command)).toEqual(names)
  })

  test('and links to files that there are', () => {
    const files = [...README.matchAll(/\]\(([^)#:]+)\)/g)].map(([, file]) => file as string)
    expect(files.length).toBeGreaterThan(0)
    expect(files.filter((file) => !existsSync(join(ROOT, file)))).toEqual([])
  })
})

describe('the resource files of README.md', () => {
  const files = Object.fromEntries(
    blocks
      .filter(({ language }) => language === 'ts')
      .map((block) => [fileOf(block) ?? '', block.text] as const),
  )
  const folder = makeFolder()

  test('are each a file of the resources folder', () => {
    expect(Object.keys(files)).toEqual(['resources/books.ts', 'resources/notes.ts'])
  })

  test('are loaded by the executable and pass the type check with what init wrote', async () => {
    await runCommand(['init'], { folder })
    for (const [file, text] of Object.entries(files)) await Bun.write(join(folder, file), text)
    const { exitCode, stdout, stderr } = await runCommand(['openapi'], { folder })
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    const { paths } = JSON.parse(stdout) as { paths: object }
    expect(Object.keys(paths)).toEqual(expect.arrayContaining(['/api/books', '/api/items', '/api/notes']))

    const compiler = join(ROOT, 'node_modules/typescript/bin/tsc')
    const checked = Bun.spawnSync([process.execPath, compiler, '--project', folder])
    expect({ exitCode: checked.exitCode, output: checked.stdout.toString() }).toEqual({
      exitCode: 0,
      output: '',
    })
  })

  test('use options that the types have', async () => {
    await runCommand(['init'], { folder })
    const types = await Bun.file(join(folder, '.hipflask/hipflask.d.ts')).text()
    const known = new Set([...types.matchAll(/^ +(\w+)\??:/gm)].map(([, name]) => name))
    const named = [
      ...tableOf(README, ['Option', 'For', 'What it does']),
      ...tableOf(README, ['Option', 'What it is']),
    ].flatMap(([names = '']) => names.split(', '))
    expect(named.filter((name) => !known.has(name))).toEqual([])
    // Every option of a resource and of a field is told.
    const declared = [...types.matchAll(/interface (?:\w+Options)\b[^{]*\{([^}]*)\}/g)].flatMap(
      ([, body = '']) => [...body.matchAll(/^ +(\w+)\??:/gm)].map(([, name]) => name as string),
    )
    expect(declared.length).toBeGreaterThan(20)
    expect(declared.filter((name) => !named.includes(name))).toEqual([])
  })
})

describe('the tables of README.md are those of the source', () => {
  test('settings', () => {
    expect(tableOf(README, ['Variable', 'Default', 'What it is'])).toEqual(
      settingNames.map((name) => [variableOf(name), describeFallback(name) ?? '', settingOf(name).doc]),
    )
  })

  test('errors', () => {
    expect(tableOf(README, ['Status', 'Code', 'Message'])).toEqual(
      errorCodes.map((code) => [String(statusOf(code)), code, messageOf(code)]),
    )
  })

  test('limits', () => {
    const limits = Object.fromEntries(tableOf(README, ['Limit', 'At most', 'Beyond it']))
    const filter = `${FILTER_CONDITIONS_MAX} conditions, ${FILTER_DEPTH_MAX} deep, ${counted(FILTER_VALUES_MAX)} values in a list`
    expect(limits).toMatchObject({
      'Lists and objects within each other': counted(MAX_DEPTH),
      'Properties of one object': counted(MAX_PROPERTIES),
      'Records in one POST': counted(MAX_RECORDS),
      'Query parameters': counted(MAX_PARAMETERS),
      'Changes of one record that wait': counted(MAX_WAITING),
      'Writes that wait': counted(QUEUE_MAX),
      'Parts of a filter in a rule': filter,
    })
  })
})

function counted(count: number): string {
  return count.toLocaleString('en')
}
