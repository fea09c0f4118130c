// The rules of the source tree, as functions over its texts: each answers the faults as `path:line what is wrong`.
// It reads no file, so that every rule can be tried on made-up trees. (The length of functions is a rule of the linter.)
import { posix } from 'node:path'

/** Source texts by their path under src, such as `http/route.ts`. */
export type Sources = Readonly<Record<string, string>>
export type ArchitectureRule = (sources: Sources) => string[]

/** Which parts of src a part may import, beside itself: folders, and files by name. */
const LADDER: Readonly<Record<string, readonly string[]>> = {
  core: [],
  'sdk.ts': ['core'],
  starter: ['sdk.ts'],
  config: ['core', 'sdk.ts'],
  storage: ['core', 'sdk.ts'],
  access: ['core', 'sdk.ts', 'storage/query.ts'],
  http: ['core', 'sdk.ts', 'storage/query.ts', 'access'],
  rest: ['core', 'sdk.ts', 'storage', 'access', 'http'],
  auth: ['core', 'sdk.ts', 'storage', 'access', 'http', 'rest'],
  'app.ts': ['core', 'sdk.ts', 'starter', 'config', 'storage', 'access', 'http', 'rest', 'auth'],
  cli: ['core', 'sdk.ts', 'starter', 'config', 'storage', 'access', 'http', 'rest', 'auth', 'app.ts'],
  'main.ts': [
    'core',
    'sdk.ts',
    'starter',
    'config',
    'storage',
    'access',
    'http',
    'rest',
    'auth',
    'app.ts',
    'cli',
  ],
}

/** Who may import what lies outside src. A package that is not here is not a dependency of the product. */
const OUTSIDE: Readonly<Record<string, readonly string[]>> = {
  '@elysiajs/jwt': ['auth/access-tokens.ts'],
  aws4fetch: ['storage/bucket-request.ts'],
  'bun:sqlite': ['storage/sqlite/'],
  commander: ['cli/'],
  elysia: ['http/'],
  jose: ['auth/'],
  kysely: ['storage/'],
  'openid-client': ['auth/oidc/provider.ts'],
  'prom-client': ['http/metrics.ts', 'http/prom-client.d.ts'],
  typebox: ['sdk.ts', 'http/'],
  'package.json': ['core/version.ts'],
  'dist/common-passwords.txt.zst': ['auth/common-passwords.ts'],
  'dist/favicon-32x32.png.gz': ['http/docs.ts'],
  'dist/hipflask.d.ts.txt': ['cli/'],
  'dist/starter-items.ts.txt': ['cli/'],
  'dist/starter-users.ts.txt': ['cli/'],
  'dist/swagger-ui-bundle.js.gz': ['http/docs.ts'],
  'dist/swagger-ui.css.gz': ['http/docs.ts'],
}

/** Parts that do no input or output, and so import no module of the platform either. */
const PURE = ['core', 'sdk.ts', 'access', 'starter']
/** core/ is what everything stands on; a new file there is a decision, made here. */
const CORE_FILES = [
  'clock.ts',
  'errors.ts',
  'eventual.ts',
  'ids.ts',
  'logger.ts',
  'metrics.ts',
  'nearest.ts',
  'version.ts',
]
const FORBIDDEN_FOLDERS = ['utils', 'helpers', 'common', 'shared', 'types']
const FILE_LINES_MAX = 400
/** All public types are in one file, so that the compiler's output for it is the whole hipflask.d.ts of an editor. */
const LONGER_FILES: Readonly<Record<string, number>> = { 'sdk.ts': 560 }

export const ladder: ArchitectureRule = (sources) =>
  eachImport(sources, ({ at, from, target }) => {
    if (target === undefined) return []
    const [own, other] = [partOf(from), partOf(target)]
    const allowed = LADDER[own]
    if (allowed === undefined) return [`${at} is in a part of src that the ladder does not name: ${own}`]
    if (own === other || allowed.includes(other) || allowed.includes(target)) return []
    return [`${at} imports ${target}, but ${own} may import only ${allowed.join(', ') || 'itself'}`]
  })

export const outsideImports: ArchitectureRule = (sources) =>
  eachImport(sources, ({ at, from, specifier, target }) => {
    if (target !== undefined) return []
    if (!(packageOf(specifier) in OUTSIDE) && isPlatform(specifier)) {
      return PURE.includes(partOf(from))
        ? [`${at} imports ${specifier}, but ${partOf(from)} does no I/O`]
        : []
    }
    const allowed = OUTSIDE[packageOf(specifier)]
    if (allowed === undefined) return [`${at} imports ${specifier}, which is not on the list of dependencies`]
    if (allowed.some((place) => from === place || (place.endsWith('/') && from.startsWith(place)))) return []
    return [`${at} imports ${specifier}, which only ${allowed.join(', ')} may import`]
  })

export const cycles: ArchitectureRule = (sources) => {
  const edges = Map.groupBy(
    importsOf(sources).filter((found) => found.target !== undefined && found.target in sources),
    (found) => found.from,
  )
  const done = new Set<string>()
  const visit = (file: string, trail: readonly Import[]): string[] => {
    const start = trail.findIndex((step) => step.from === file)
    if (start >= 0) {
      const path = trail.slice(start).map((step) => step.from)
      return [`${trail[start]!.at} begins a cycle: ${[...path, file].join(' → ')}`]
    }
    if (done.has(file)) return []
    const faults = (edges.get(file) ?? []).flatMap((edge) => visit(edge.target!, [...trail, edge]))
    done.add(file)
    return faults
  }
  return Object.keys(sources).flatMap((file) => visit(file, []))
}

export const folderNames: ArchitectureRule = (sources) =>
  Object.keys(sources)
    .filter((path) =>
      posix
        .dirname(path)
        .split('/')
        .some((folder) => FORBIDDEN_FOLDERS.includes(folder)),
    )
    .map(
      (path) =>
        `${path}:1 is in a folder whose name says nothing: ${FORBIDDEN_FOLDERS.join(', ')} are not used`,
    )

export const coreFiles: ArchitectureRule = (sources) =>
  Object.keys(sources)
    .filter((path) => path.startsWith('core/') && !CORE_FILES.includes(path.slice('core/'.length)))
    .map((path) => `${path}:1 is not one of core's files: ${CORE_FILES.join(', ')}`)

/** A resource file exports its declaration as its default; nothing else does. */
export const defaultExports: ArchitectureRule = (sources) =>
  eachLine(sources, (line, path) =>
    /^export default\b|^export \{[^}]*\bas default\b/.test(line) && !path.startsWith('starter/')
      ? 'has a default export, but only resource files have one'
      : undefined,
  )

export const fileLengths: ArchitectureRule = (sources) =>
  Object.entries(sources)
    .map(([path, text]) => ({
      path,
      lines: text.trimEnd().split('\n').length,
      most: LONGER_FILES[path] ?? FILE_LINES_MAX,
    }))
    .filter(({ lines, most }) => lines > most)
    .map(({ path, lines, most }) => `${path}:${most + 1} File is ${lines} lines, maximum is ${most}`)

export const openingComments: ArchitectureRule = (sources) =>
  Object.entries(sources)
    .filter(([, text]) => !/^\/\/ \S|^\/\*\* ?\S/.test(text))
    .map(([path]) => `${path}:1 must open with a comment that says what the file is for`)

export interface Import {
  /** `path:line` of the statement. */
  at: string
  /** The importing file. */
  from: string
  /** As written. */
  specifier: string
  /** The imported file under src; undefined where it lies outside. */
  target: string | undefined
}

/**
 * Every static and dynamic import and re-export, those of types alone too (which the transpiler drops). It counts on
 * the formatter: a statement begins its line.
 */
export function importsOf(sources: Sources): Import[] {
  const clause = String.raw`(?:type\s+)?(?:[\w$]+\s*,?\s*)?(?:\{[^}]*\}|\*(?:\s+as\s+[\w$]+)?)?\s*`
  const statement = new RegExp(
    String.raw`^(?:import|export)\s+${clause}from\s*'([^']+)'|^import\s*'([^']+)'|\bimport\(\s*'([^']+)'`,
    'gm',
  )
  return Object.entries(sources).flatMap(([from, text]) =>
    [...text.matchAll(statement)].map((match) => {
      const specifier = match[1] ?? match[2] ?? match[3]!
      return {
        at: `${from}:${lineOf(text, match.index)}`,
        from,
        specifier,
        target: targetOf(from, specifier),
      }
    }),
  )
}

function eachImport(sources: Sources, check: (found: Import) => string[]): string[] {
  return importsOf(sources).flatMap(check)
}

function eachLine(sources: Sources, check: (line: string, path: string) => string | undefined): string[] {
  return Object.entries(sources).flatMap(([path, text]) =>
    text.split('\n').flatMap((line, index) => {
      const fault = check(line, path)
      return fault === undefined ? [] : [`${path}:${index + 1} ${fault}`]
    }),
  )
}

function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}

/** The name that stands for a file in the ladder: its top folder, or its own name directly under src. */
function partOf(path: string): string {
  return path.split('/', 1)[0]!
}

function targetOf(from: string, specifier: string): string | undefined {
  if (specifier === 'hipflask') return 'sdk.ts'
  if (!specifier.startsWith('.')) return undefined
  const target = posix.join(posix.dirname(from), specifier)
  return target.startsWith('../') ? undefined : target
}

function isPlatform(specifier: string): boolean {
  return specifier === 'bun' || specifier.startsWith('bun:') || specifier.startsWith('node:')
}

/** `typebox` of `typebox/schema`, `@elysiajs/jwt`, `package.json` of `../../package.json`, `bun:sqlite`. */
function packageOf(specifier: string): string {
  const names = specifier.split('/').filter((name) => name !== '..' && name !== '.')
  if (specifier.startsWith('.')) return names.join('/')
  return names.slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
}
