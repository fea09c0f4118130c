// README.md must not lie: its commands are run against dist/hipflask, each section in an empty folder of its own, the
// answers it shows are compared with what came, its resource files are loaded and type-checked, and its tables are
// those of the source. Not run here are `bun …` and `npx … bun …` (this test is part of what they run, so they are
// only looked up in package.json) and `docker …` (test/container runs that).
import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import packageJson from '../../package.json'
import { SESSIONS_MAX, USER_AGENT_LENGTH_MAX } from '../../src/auth/sessions.ts'
import { USERS_CREATE_MAX } from '../../src/auth/users-resource.ts'
import { OIDC_PARTS, oidcDocs, oidcVariable } from '../../src/config/oidc.ts'
import { describeFallback, settingNames, settingOf, variableOf } from '../../src/config/settings.ts'
import { errorCodes, messageOf, statusOf } from '../../src/core/errors.ts'
import { SCOPES_MAX } from '../../src/auth/api-key-request.ts'
import { KEYS_MAX } from '../../src/auth/api-keys.ts'
import { IDENTITIES_MAX } from '../../src/auth/oidc/identities.ts'
import { MAX_DEPTH, MAX_PROPERTIES } from '../../src/http/json.ts'
import { IDLE_SECONDS } from '../../src/http/listener.ts'
import { MAX_PARAMETERS } from '../../src/http/query-parameters.ts'
import { MAX_DETAILS } from '../../src/http/validate.ts'
import { HOOK_TIMEOUT_MS } from '../../src/rest/author-code.ts'
import { MAX_CURSOR_LENGTH } from '../../src/rest/cursor.ts'
import { MAX_EXPANSIONS } from '../../src/rest/expand.ts'
import { createFormats } from '../../src/rest/formats/media-types.ts'
import { ROW_BYTES_MAX } from '../../src/rest/formats/rows.ts'
import { ANSWER_LIFETIME_MS, MAX_KEY_LENGTH } from '../../src/rest/idempotency.ts'
import { MAX_RECORDS } from '../../src/rest/input.ts'
import { COUNT_LIMIT } from '../../src/rest/list.ts'
import { MAX_CONDITIONS, MAX_IN_VALUES, MAX_TEXT_LENGTH } from '../../src/rest/list-filters.ts'
import { MAX_OFFSET, MAX_SORT_KEYS } from '../../src/rest/list-query.ts'
import { MAX_WAITING } from '../../src/rest/record-queue.ts'
import { HOOK_DEPTH_MAX, LIST_LIMIT_MAX } from '../../src/rest/resource-store.ts'
import {
  FILTER_CONDITIONS_MAX,
  FILTER_DEPTH_MAX,
  FILTER_OPERATORS,
  FILTER_VALUES_MAX,
  SEARCH_RANKED_MAX,
} from '../../src/storage/query.ts'
import { SEARCH_WORD_LENGTH_MAX, SEARCH_WORDS_MAX } from '../../src/storage/search-words.ts'
import { QUEUE_MAX } from '../../src/storage/sqlite/group-commit.ts'
import { READERS_MAX, READS_WAITING_MAX } from '../../src/storage/sqlite/reader-pool.ts'
import { dockerBlocks } from '../support/containers.ts'
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
const missing = ['curl', 'openssl'].filter((tool) => Bun.which(tool) === null)
if (missing.length > 0)
  console.log(`The commands of README.md are not run: ${missing.join(', ')} is not installed`)

const hasWrk = Bun.which('wrk') !== null
if (!hasWrk) console.log('The load of README.md is not run: wrk is not installed')
const isOfWrk = ({ text }: Block) => text.startsWith('wrk ')

describe.skipIf(missing.length > 0)('README.md shows what comes', () => {
  for (const { title, blocks: all } of sections) {
    const own = all.filter(
      (block) => !isOfProject(block) && !isOfDocker(block) && (hasWrk || !isOfWrk(block)),
    )
    if (!own.some(({ language }) => language === 'sh')) continue
    test(
      title,
      async () => {
        for (const shown of await runBlocks(own, makeFolder())) {
          checkAnswer(shown)
          checkLoad(shown)
        }
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
  } else if (answer.language === 'text') {
    expect({ at, printed: withoutChance(printed) }).toEqual({ at, printed: withoutChance(answer.text) })
  } else expect({ at, json: plain(printed) }).toEqual({ at, json: plain(answer.text) })
}

/** A load that was refused is not what the page means to show. */
function checkLoad({ command, printed }: Shown): void {
  if (!isOfWrk(command)) return
  expect(printed).toMatch(/Requests\/sec: +\d/)
  expect(printed).not.toMatch(/Non-2xx|Socket errors/)
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

  test('of Docker, in the section that the container test runs', () => {
    const run = dockerBlocks(README)
    const lines = commands.filter(isOfDocker)
    console.log(`Not run here but in test/container: ${lines.length} docker commands of README.md`)
    expect(lines.length).toBeGreaterThan(0)
    expect(lines.filter(({ line }) => !run.some((block) => block.line === line))).toEqual([])
  })

  test('of the executable: every one, and no other', async () => {
    const { stdout } = await runCommand(['--help'])
    const listed = stdout.slice(stdout.indexOf('\nCommands:\n')).split('\n\n')[0] as string
    const names = [...listed.matchAll(/^ {2}(\w+)/gm)].map(([, name]) => `hipflask ${name}`)
    expect(tableOf(README, ['Command', 'What it does']).map(([command]) => command)).toEqual(names)
  })

  test('and links to its own headings', () => {
    const anchorOf = (heading: string) =>
      heading
        .toLowerCase()
        .replace(/[^\w\- ]/g, '')
        .replaceAll(' ', '-')
    const text = README.replace(/^```[^]*?^```$/gm, '')
    const anchors = [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading))
    const linked = [...README.matchAll(/\]\(#([^)]+)\)/g)].map(([, anchor = '']) => anchor)
    expect(linked.length).toBeGreaterThan(0)
    expect(linked.filter((anchor) => !anchors.includes(anchor))).toEqual([])
    expect(new Set(anchors).size).toBe(anchors.length)
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
    const names = ['books', 'trips', 'posts', 'tickets', 'notes', 'directors', 'films', 'users', 'tools']
    expect(Object.keys(files)).toEqual(names.map((name) => `resources/${name}.ts`))
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
      ...tableOf(README, ['Option of a route', 'What it is']),
      ...tableOf(README, ['Option of accounts', 'What it is']),
    ].flatMap(([names = '']) => names.split(', '))
    expect(named.filter((name) => !known.has(name))).toEqual([])
    // Every option of a resource, a field and a route is told.
    const declared = [...types.matchAll(/interface \w+Options\b[^]*?^\}/gm)].flatMap(([body]) =>
      [...body.matchAll(/^ {4}(\w+)\??:/gm)].map(([, name]) => name as string),
    )
    expect(declared.length).toBeGreaterThan(40)
    expect(declared.filter((name) => !named.includes(name))).toEqual([])
  })
})

describe('the tables of README.md are those of the source', () => {
  test('settings', () => {
    expect(tableOf(README, ['Variable', 'Default', 'What it is'])).toEqual(
      settingNames.map((name) => [variableOf(name), describeFallback(name) ?? '', settingOf(name).doc]),
    )
  })

  test('settings of a provider', () => {
    expect(tableOf(README, ['Setting of a provider', 'What it is'])).toEqual(
      OIDC_PARTS.map((part) => [oidcVariable('name', part), oidcDocs[part]]),
    )
  })

  test('errors', () => {
    expect(tableOf(README, ['Status', 'Code', 'Message'])).toEqual(
      errorCodes.map((code) => [String(statusOf(code)), code, messageOf(code)]),
    )
  })

  test('operators of filters', () => {
    const rows = tableOf(README, ['Filter', 'Finds records whose field'])
    const named = rows.flatMap(([filter = '']) => [...filter.matchAll(/\[(\w+)\]/g)].map(([, name]) => name))
    expect(['eq', ...named].toSorted()).toEqual([...FILTER_OPERATORS].toSorted())
  })

  test('hooks', () => {
    const [code] = /interface Hooks\b[^]*?^\}/m.exec(readFileSync(join(ROOT, 'src/sdk.ts'), 'utf8')) ?? []
    const declared = [...(code ?? '').matchAll(/^ {2}(\w+)\?:/gm)].map(([, name]) => name as string)
    const rows = tableOf(README, ['Hook', 'When, and what it may do'])
    const named = rows.flatMap(([names = '']) => names.split(', '))
    expect(named.toSorted()).toEqual(declared.toSorted())
  })

  test('formats', () => {
    const offered = createFormats({ properties: {} }, 'list').map(({ mediaType }) => mediaType)
    const rows = tableOf(README, ['Accept', 'What comes'])
    expect(rows.map(([type]) => type)).toEqual(['application/json', ...offered])
  })

  test('limits', () => {
    const limits = Object.fromEntries(tableOf(README, ['Limit', 'At most', 'Beyond it']))
    const filter = `${FILTER_CONDITIONS_MAX} conditions, ${FILTER_DEPTH_MAX} deep, ${counted(FILTER_VALUES_MAX)} values in a list`
    expect(limits).toMatchObject({
      'Seconds without traffic on a connection': counted(IDLE_SECONDS),
      'Lists and objects within each other': counted(MAX_DEPTH),
      'Properties of one object': counted(MAX_PROPERTIES),
      'Records in one POST': counted(MAX_RECORDS),
      'Accounts in one POST': counted(USERS_CREATE_MAX),
      'Query parameters': counted(MAX_PARAMETERS),
      'Conditions of a filter': counted(MAX_CONDITIONS),
      'Values of an in or nin': counted(MAX_IN_VALUES),
      'Characters of a text in a query': counted(MAX_TEXT_LENGTH),
      'Keys of a sort': counted(MAX_SORT_KEYS),
      'Names to expand': counted(MAX_EXPANSIONS),
      'Page × limit': counted(MAX_OFFSET),
      'Characters of a cursor': counted(MAX_CURSOR_LENGTH),
      'Words of a search': `${SEARCH_WORDS_MAX}, of ${SEARCH_WORD_LENGTH_MAX} characters`,
      'Matches that a search without sort ranks': `${counted(SEARCH_RANKED_MAX)}, the newest`,
      'Records that are counted': `${counted(COUNT_LIMIT)}, unless it costs nothing`,
      'Characters of an Idempotency-Key': counted(MAX_KEY_LENGTH),
      'Hours that an answer is kept for it': counted(ANSWER_LIFETIME_MS / 3_600_000),
      'Reads without an index that wait': `${READS_WAITING_MAX}; ${READERS_MAX} run at once`,
      'API keys of an account': counted(KEYS_MAX),
      'Identities of an account': counted(IDENTITIES_MAX),
      'Scopes of an API key': counted(SCOPES_MAX),
      'Seconds of a hook': counted(HOOK_TIMEOUT_MS / 1000),
      'Hooks that call each other by store': `${HOOK_DEPTH_MAX} deep`,
      'Records of one store list': `${counted(LIST_LIMIT_MAX)}; 100 unless it says`,
      'Bytes of a row to import': `${ROW_BYTES_MAX / 1024 / 1024} MiB`,
      'Faults that one answer or import lists': counted(MAX_DETAILS),
      'Sessions of an account': counted(SESSIONS_MAX),
      'Characters of a user agent that are kept': counted(USER_AGENT_LENGTH_MAX),
      'Changes of one record that wait': counted(MAX_WAITING),
      'Writes that wait': counted(QUEUE_MAX),
      'Parts of a filter in a rule': filter,
    })
  })
})

function counted(count: number): string {
  return count.toLocaleString('en')
}
