// Holds the source tree to its design: the import ladder, no cycles, sizes, names. Every rule is tried on a made-up
// tree first, so that a rule that finds nothing cannot pass for a tree that is clean.
import { describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import {
  type ArchitectureRule,
  type Sources,
  coreFiles,
  cycles,
  defaultExports,
  fileLengths,
  folderNames,
  importsOf,
  ladder,
  openingComments,
  outsideImports,
} from './support/architecture.ts'

const rules: Record<string, ArchitectureRule> = {
  'imports go down the ladder': ladder,
  'packages stay in their places': outsideImports,
  'there are no cycles': cycles,
  'folders have telling names': folderNames,
  'core is a closed list': coreFiles,
  'only resource files have a default export': defaultExports,
  'files are at most 400 lines': fileLengths,
  'files open with a comment': openingComments,
}

const sources = await readSources()

describe('src', () => {
  for (const [name, rule] of Object.entries(rules)) {
    test(name, () => expect(rule(sources)).toEqual([]))
  }

  test('no import escapes the rules', () => {
    const transpiler = new Bun.Transpiler({ loader: 'ts' })
    for (const [path, text] of Object.entries(sources)) {
      const seen = new Set(importsOf({ [path]: text }).map((found) => found.specifier))
      const missed = transpiler.scanImports(text).filter((found) => !seen.has(found.path))
      expect({ path, missed }).toEqual({ path, missed: [] })
    }
  })
})

describe('importsOf', () => {
  const cases: readonly (readonly [text: string, specifier: string, line: number])[] = [
    ["import { a } from './a.ts'", './a.ts', 1],
    ["\nimport type { A } from './a.ts'", './a.ts', 2],
    ["import {\n  type A,\n  b,\n} from './a.ts'", './a.ts', 1],
    ["import a from './a.ts'", './a.ts', 1],
    ["import a, { b } from './a.ts'", './a.ts', 1],
    ["import * as a from './a.ts'", './a.ts', 1],
    ["import './a.ts'", './a.ts', 1],
    ["import text from './a.txt' with { type: 'text' }", './a.txt', 1],
    ["export { a } from './a.ts'", './a.ts', 1],
    ["export type { A } from './a.ts'", './a.ts', 1],
    ["export * from './a.ts'", './a.ts', 1],
    ["export * as a from './a.ts'", './a.ts', 1],
    ["const one = 1\nconst a = await import('./a.ts')", './a.ts', 2],
    ["export type A = import('./a.ts').A", './a.ts', 1],
  ]
  test.each(cases)('finds %j', (text, specifier, line) => {
    expect(importsOf({ 'http/x.ts': text })).toEqual([
      { at: `http/x.ts:${line}`, from: 'http/x.ts', specifier, target: specifier.replace('.', 'http') },
    ])
  })

  test.each([
    "// import { a } from './a.ts'",
    "const text = ' from './a.ts'",
    "export const from = './a.ts'",
  ])('does not take %j for an import', (text) => expect(importsOf({ 'http/x.ts': text })).toEqual([]))
})

describe('ladder', () => {
  const cases: readonly (readonly [from: string, specifier: string, isAllowed: boolean])[] = [
    ['core/ids.ts', './clock.ts', true],
    ['core/ids.ts', '../sdk.ts', false],
    ['sdk.ts', './core/errors.ts', true],
    ['sdk.ts', './access/principal.ts', false],
    ['starter/items.ts', 'hipflask', true],
    ['starter/items.ts', '../core/ids.ts', false],
    ['config/load.ts', '../core/errors.ts', true],
    ['config/load.ts', '../storage/store.ts', false],
    ['storage/sqlite/store.ts', '../store.ts', true],
    ['storage/sqlite/store.ts', '../../core/ids.ts', true],
    ['storage/store.ts', '../access/principal.ts', false],
    ['access/authorize.ts', '../storage/query.ts', true],
    ['access/authorize.ts', '../storage/store.ts', false],
    ['http/route.ts', '../access/principal.ts', true],
    ['http/route.ts', '../storage/query.ts', true],
    ['http/route.ts', '../storage/store.ts', false],
    ['http/route.ts', '../config/settings.ts', false],
    ['rest/resource.ts', '../storage/store.ts', true],
    ['rest/resource.ts', '../auth/users.ts', false],
    ['auth/users.ts', '../rest/resource.ts', true],
    ['auth/users.ts', '../app.ts', false],
    ['app.ts', './auth/users.ts', true],
    ['app.ts', './cli/serve.ts', false],
    ['cli/serve.ts', '../app.ts', true],
    ['cli/serve.ts', '../main.ts', false],
    ['main.ts', './cli/serve.ts', true],
    ['main.ts', './rest/virtual-module.ts', true],
    ['extras/new.ts', '../core/ids.ts', false],
  ]
  test.each(cases)('%s importing %s: allowed %j', (from, specifier, isAllowed) => {
    expectFaults(
      ladder,
      { [from]: `// One.\nimport type { A } from '${specifier}'\n` },
      isAllowed ? [] : [`${from}:2`],
    )
  })
})

describe('outsideImports', () => {
  const cases: readonly (readonly [from: string, specifier: string, isAllowed: boolean])[] = [
    ['http/server.ts', 'elysia', true],
    ['rest/resource.ts', 'elysia', false],
    ['auth/access-tokens.ts', '@elysiajs/jwt', true],
    ['auth/users.ts', '@elysiajs/jwt', false],
    ['storage/sqlite/store.ts', 'bun:sqlite', true],
    ['storage/store.ts', 'bun:sqlite', false],
    ['storage/compile.ts', 'kysely', true],
    ['rest/list.ts', 'kysely', false],
    ['sdk.ts', 'typebox', true],
    ['http/validate.ts', 'typebox/schema', true],
    ['auth/routes.ts', 'typebox', false],
    ['http/server.ts', '@sinclair/typebox', false],
    ['http/server.ts', 'left-pad', false],
    ['http/server.ts', 'node:fs', true],
    ['core/ids.ts', 'node:fs', false],
    ['access/authorize.ts', 'bun', false],
    ['core/version.ts', '../../package.json', true],
    ['http/server.ts', '../../package.json', false],
    ['cli/init.ts', '../../dist/hipflask.d.ts.txt', true],
    ['cli/init.ts', '../../test/support/executable.ts', false],
  ]
  test.each(cases)('%s importing %s: allowed %j', (from, specifier, isAllowed) => {
    expectFaults(outsideImports, { [from]: `import a from '${specifier}'` }, isAllowed ? [] : [`${from}:1`])
  })
})

describe('cycles', () => {
  test('finds one of two files, by types alone', () => {
    const sources = { 'http/a.ts': "import './b.ts'", 'http/b.ts': "\nexport type A = import('./a.ts').A" }
    expect(cycles(sources)).toEqual(['http/a.ts:1 begins a cycle: http/a.ts → http/b.ts → http/a.ts'])
  })

  test('finds one that the first file only leads to', () => {
    const sources = {
      'http/a.ts': "import './b.ts'",
      'http/b.ts': "import './c.ts'",
      'http/c.ts': "import './d.ts'",
      'http/d.ts': "import './b.ts'",
    }
    expectFaults(cycles, sources, ['http/b.ts:1'])
  })

  test('lets two ways lead to one file', () => {
    const sources = { 'a.ts': "import './b.ts'\nimport './c.ts'", 'b.ts': "import './c.ts'", 'c.ts': '' }
    expect(cycles(sources)).toEqual([])
  })
})

describe('the other rules', () => {
  const cases: readonly (readonly [
    name: string,
    rule: ArchitectureRule,
    sources: Sources,
    faults: string[],
  ])[] = [
    ['a folder named utils', folderNames, { 'http/utils/a.ts': '' }, ['http/utils/a.ts:1']],
    ['a folder named types', folderNames, { 'types/a.ts': '' }, ['types/a.ts:1']],
    ['a file named types', folderNames, { 'http/types.ts': '' }, []],
    ['a new file in core', coreFiles, { 'core/strings.ts': '' }, ['core/strings.ts:1']],
    ['a known file in core', coreFiles, { 'core/clock.ts': '' }, []],
    ['a default export', defaultExports, { 'http/a.ts': '//\nexport default 1' }, ['http/a.ts:2']],
    ['a renamed default export', defaultExports, { 'http/a.ts': 'export { a as default }' }, ['http/a.ts:1']],
    ['a default export of the starter', defaultExports, { 'starter/items.ts': 'export default 1' }, []],
    ['400 lines', fileLengths, { 'http/a.ts': 'x\n'.repeat(400) }, []],
    ['401 lines', fileLengths, { 'http/a.ts': 'x\n'.repeat(401) }, ['http/a.ts:401']],
    ['no opening comment', openingComments, { 'http/a.ts': "import './b.ts'\n// Late." }, ['http/a.ts:1']],
    ['an empty opening comment', openingComments, { 'http/a.ts': '//\nexport const a = 1' }, ['http/a.ts:1']],
    ['an opening comment', openingComments, { 'http/a.ts': '// What it is for.' }, []],
  ]
  test.each(cases)('%s', (_name, rule, sources, faults) => expectFaults(rule, sources, faults))
})

/** Compares where the faults are; what they say is for people. */
function expectFaults(rule: ArchitectureRule, sources: Sources, places: readonly string[]): void {
  expect(rule(sources).map((fault) => fault.split(' ', 1)[0]!)).toEqual([...places])
}

async function readSources(): Promise<Sources> {
  const root = join(import.meta.dir, '../src')
  const paths = [...new Bun.Glob('**/*.ts').scanSync(root)].toSorted()
  return Object.fromEntries(
    await Promise.all(paths.map(async (path) => [path, await Bun.file(join(root, path)).text()])),
  )
}
