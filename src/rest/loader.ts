// Reads a folder of resource files: user code, run in this process. A file that cannot be loaded is told with its name
// and place and without a stack of ours; all of them at once.
import { readdirSync, realpathSync, statSync } from 'node:fs'
import { join, relative, resolve, sep } from 'node:path'
import { StartError } from '../core/errors.ts'
import { checkDeclarations, type Exported } from './declaration.ts'
import { rolesIn } from './declared-rules.ts'
import { fieldsOf, type Field } from './fields.ts'
import { defineFrom, type ResourceDefinition } from './resource.ts'
import type { Resource, Users } from '../sdk.ts'

const FILE_NAME = /^[a-z0-9_-]+\.(ts|js)$/
const MAX_FILES = 500
/** A file that waits longer for something (top-level await) is taken for one that never loads. */
const LOAD_TIMEOUT_MS = 10_000

/** Loads and checks every resource file directly in the folder. Throws StartError with every problem. */
export async function loadResources(folder: string): Promise<Declarations> {
  const root = resolve(folder)
  const exported: Exported[] = []
  const problems: string[] = []
  for (const file of resourceFiles(root)) {
    if (!FILE_NAME.test(file)) {
      problems.push(
        `${file}: the name of a resource file must be of a–z, 0–9, _ and - and end with .ts or .js`,
      )
      continue
    }
    try {
      const module = (await inTime(import(join(root, file)))) as { default?: unknown }
      exported.push({ file, resource: module.default })
    } catch (error) {
      problems.push(...describeLoadError(file, error, root))
    }
  }
  return definitionsOf(exported, problems)
}

/**
 * Forgets every module of the folder, so that the next load reads all files anew, those too that resource files import
 * from it. A query in the import would read the resource file alone anew.
 */
export function forgetModules(folder: string): void {
  const roots = [resolve(folder), realpathSync(folder)].map((root) => join(root, sep))
  for (const path of Object.keys(require.cache)) {
    if (roots.some((root) => path.startsWith(root))) delete require.cache[path]
  }
}

async function inTime<T>(loading: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(
    () => late.reject(new Error(`it has not loaded after ${LOAD_TIMEOUT_MS / 1000} s; what does it await?`)),
    LOAD_TIMEOUT_MS,
  )
  try {
    return await Promise.race([loading, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** What the files of a folder declare. */
export interface Declarations {
  resources: ResourceDefinition[]
  /** The fields that accounts have beside those that all accounts have. */
  profile: readonly Field[]
  /** The roles that rules ask for. */
  roles: readonly string[]
}

/** The definitions of what was exported. Throws StartError with every problem, those found before included. */
export function definitionsOf(exported: readonly Exported[], before: readonly string[] = []): Declarations {
  const problems = [...before, ...checkDeclarations(exported)]
  if (problems.length > 0) {
    const count = problems.length === 1 ? 'a problem' : `${problems.length} problems`
    throw new StartError(
      `The resource files have ${count}:\n${problems.map((line) => `  ${line}`).join('\n')}`,
    )
  }
  const declared = exported.map(({ resource }) => resource as Resource | Users)
  const resources = declared.filter((one) => one.kind === 'resource').map(defineFrom)
  const users = declared.find((one) => one.kind === 'users')
  const rules = resources.flatMap(({ access, routes }) => [
    ...Object.values(access),
    ...routes.map(({ options }) => options.access),
  ])
  return {
    resources,
    profile: users === undefined ? [] : fieldsOf(users.options.profile),
    roles: [...new Set(rolesIn(rules))].sort(),
  }
}

function resourceFiles(root: string): string[] {
  let names: string[]
  try {
    names = readdirSync(root).sort()
  } catch (error) {
    throw new StartError(
      `Resources folder ${root} can't be read: ${reason(error)}; check --resources`,
      1,
      error,
    )
  }
  const files = names.filter(
    (name) =>
      /\.(ts|js)$/.test(name) && !name.startsWith('_') && !name.endsWith('.d.ts') && isFile(join(root, name)),
  )
  if (files.length > MAX_FILES) {
    throw new StartError(`Resources folder ${root} has ${files.length} files, the most is ${MAX_FILES}`)
  }
  return files
}

/** A link that leads nowhere counts as a file: importing it then says so. */
function isFile(path: string): boolean {
  try {
    return statSync(path).isFile()
  } catch {
    return true
  }
}

/** One line for each fault. Bun throws four kinds of value here: syntax errors alone or together, and what the file threw. */
export function describeLoadError(file: string, error: unknown, root: string): string[] {
  if (error instanceof AggregateError) {
    return error.errors.flatMap((one: unknown) => describeLoadError(file, one, root))
  }
  const { position } = Object(error) as {
    position?: { file?: string; line?: number; column?: number } | null
  }
  const message = error instanceof Error ? error.message : messageOf(error)
  const text = message.replaceAll(`${root}/`, '').replaceAll(root, '.')
  if (position?.line !== undefined && position.file !== undefined) {
    return [`${relative(root, position.file)}:${position.line}:${position.column ?? 1}: ${text}`]
  }
  const at = error instanceof Error ? placeOf(error, root) : undefined
  return [`${at ?? file}: ${text}`]
}

function messageOf(error: unknown): string {
  const message = (error as { message?: unknown } | null)?.message
  return typeof message === 'string' ? message : `it threw ${String(error)}`
}

// The first frame in the user's folder: `items.ts:3:7`.
function placeOf(error: Error, root: string): string | undefined {
  const at = error.stack?.split('\n').find((line) => line.includes(`${root}/`))
  const place = at?.slice(at.indexOf(`${root}/`) + root.length + 1).replace(/\)$/, '')
  return place
}

function reason(error: unknown): string {
  switch ((error as { code?: string }).code) {
    case 'ENOENT':
      return 'it does not exist'
    case 'ENOTDIR':
      return 'it is not a folder'
    case 'EACCES':
    case 'EPERM':
      return 'permission denied'
    default:
      return 'the file system refused'
  }
}
