// Checks what a resource file exports, before anything is opened or changed. Every problem of every file is told at
// once; each names the file, the field and the remedy.
import { canonicalSchema } from '../http/json-schema.ts'
import { allOf, anyOf, everyone, owner, role, signedIn } from '../sdk.ts'
import type { Resource, ResourceOptions, Rule, TObject, TSchema } from '../sdk.ts'
import { fieldsOf, optionsOf, type Field } from './fields.ts'

/** What a resource file exported as its default, whatever it is. */
export interface Exported {
  file: string
  resource: unknown
}

const NAME = /^[a-z][a-z0-9_]{0,59}$/
const NAME_RULE = 'must start with a letter and have at most 60 of a–z, 0–9 and _'
// The last one is no word of the API, but every object has it.
const RESERVED = new Set(
  'id created_at updated_at deleted_at owner_id owner page limit cursor sort fields q expand count or and constructor'.split(
    ' ',
  ),
)
const OPTIONS = new Set(['name', 'description', 'schema', 'id', 'owned', 'access', 'pageSize', 'pageSizeMax'])
const ACTIONS = ['list', 'read', 'create', 'update', 'delete']
const PAGE_SIZE_LIMIT = 1000
const MAX_FIELDS = 200
const BUILDERS: Readonly<Record<string, unknown>> = { everyone, signedIn, role, owner, anyOf, allOf }
/** Rules within rules. */
const MAX_RULE_DEPTH = 8

/** The problems of all declarations together, each one line; empty when all is well. */
export function checkDeclarations(exported: readonly Exported[]): string[] {
  const problems: string[] = []
  const sound: { file: string; options: ResourceOptions<any> }[] = []
  for (const { file, resource } of exported) {
    const found = checkSafely(resource)
    problems.push(...found.map((problem) => `${file}: ${problem}`))
    if (found.length === 0) sound.push({ file, options: (resource as Resource).options })
  }
  return [...problems, ...checkTogether(sound)]
}

/** A getter or proxy of the file's own may throw. */
function checkSafely(exported: unknown): string[] {
  try {
    return checkOne(exported)
  } catch (error) {
    return [`the declaration can't be read: ${error instanceof Error ? error.message : String(error)}`]
  }
}

function checkOne(exported: unknown): string[] {
  if (!isResource(exported)) {
    return ['the default export is not a resource; write `export default defineResource({ … })`']
  }
  const { options } = exported
  if (typeof options !== 'object' || options === null) return ['defineResource needs an object']
  const problems = Object.keys(options)
    .filter((key) => !OPTIONS.has(key))
    .map((key) => `option '${key}' is not known; the options are ${[...OPTIONS].join(', ')}`)
  problems.push(...checkName(options.name), ...checkSizes(options))
  if (options.id !== undefined && options.id !== 'integer' && options.id !== 'uuid') {
    problems.push("option 'id' must be 'integer' or 'uuid'")
  }
  if (options.owned !== undefined && typeof options.owned !== 'boolean') {
    problems.push("option 'owned' must be true or false")
  }
  if (options.description !== undefined && typeof options.description !== 'string') {
    problems.push("option 'description' must be text")
  }
  problems.push(...checkAccess(options), ...checkSchema(options.schema))
  return problems
}

function isResource(exported: unknown): exported is Resource {
  return typeof exported === 'object' && exported !== null && (exported as Resource).kind === 'resource'
}

function checkName(name: unknown): string[] {
  if (typeof name !== 'string' || !NAME.test(name)) return [`option 'name' ${NAME_RULE}`]
  if (RESERVED.has(name)) return [`the name '${name}' is reserved; choose another`]
  if (name === 'users') return ["the resource 'users' is built in; choose another name"]
  if (name.startsWith('sqlite_'))
    return [`the name '${name}' belongs to SQLite; choose one without 'sqlite_'`]
  return []
}

function checkSizes({ pageSize, pageSizeMax }: ResourceOptions<any>): string[] {
  const problems: string[] = []
  for (const [option, size] of Object.entries({ pageSize, pageSizeMax })) {
    if (size !== undefined && !(Number.isInteger(size) && size >= 1 && size <= PAGE_SIZE_LIMIT)) {
      problems.push(`option '${option}' must be a whole number from 1 to ${PAGE_SIZE_LIMIT}`)
    }
  }
  if (
    problems.length === 0 &&
    pageSize !== undefined &&
    pageSizeMax !== undefined &&
    pageSize > pageSizeMax
  ) {
    problems.push("option 'pageSize' must not be greater than 'pageSizeMax'")
  }
  return problems
}

function checkAccess({ access, owned }: ResourceOptions<any>): string[] {
  if (access === undefined) return []
  if (typeof access !== 'object' || access === null || Array.isArray(access))
    return ["option 'access' must be an object of rules"]
  return Object.entries(access).flatMap(([action, rule]) => {
    if (!ACTIONS.includes(action))
      return [`access: action '${action}' is not known; they are ${ACTIONS.join(', ')}`]
    return checkRule(rule, owned === true, 0).map((problem) => `access: ${action}: ${problem}`)
  })
}

function checkRule(rule: unknown, owned: boolean, depth: number): string[] {
  if (typeof rule === 'function') {
    const builder = Object.entries(BUILDERS).find(([, one]) => one === rule)?.[0]
    return builder === undefined ? [] : [`${builder} must be called: ${builder}()`]
  }
  if (depth > MAX_RULE_DEPTH) return [`rules are nested more than ${MAX_RULE_DEPTH} deep`]
  const built = rule as Exclude<Rule, (...args: never) => unknown> | null | undefined
  switch (built?.rule) {
    case 'everyone':
    case 'signedIn':
      return []
    case 'owner':
      return owned ? [] : ["owner() needs the option 'owned: true'"]
    case 'role':
      return typeof built.role === 'string' && NAME.test(built.role)
        ? []
        : [`the name of a role ${NAME_RULE}`]
    case 'anyOf':
    case 'allOf':
      if (built.rules.length === 0) return [`${built.rule}() needs at least one rule`]
      return built.rules.flatMap((one) => checkRule(one, owned, depth + 1))
    default:
      return ['a rule is everyone(), signedIn(), role(), owner(), anyOf(), allOf() or a function']
  }
}

function checkSchema(schema: unknown): string[] {
  const object = schema as TObject<Record<string, TSchema>> | null | undefined
  if (object?.['~kind'] !== 'Object') return ["option 'schema' must be t.Object({ … })"]
  const names = Object.keys(object.properties)
  if (names.length > MAX_FIELDS)
    return [`a resource has at most ${MAX_FIELDS} fields, this one has ${names.length}`]
  const problems = names.flatMap((name) => {
    if (!NAME.test(name)) return [`field '${name}': a name ${NAME_RULE}`]
    return RESERVED.has(name) ? [`field '${name}': the name is reserved; choose another`] : []
  })
  if (problems.length > 0) return problems
  try {
    canonicalSchema(object)
  } catch (error) {
    if (error instanceof TypeError) return [error.message]
    throw error
  }
  return fieldsOf(object).flatMap((field) =>
    checkField(field, object.properties[field.name] as TSchema).map(
      (problem) => `field '${field.name}': ${problem}`,
    ),
  )
}

function checkField(field: Field, property: TSchema): string[] {
  const problems: string[] = []
  if (field.kind === 'json' && (field.unique || field.index)) {
    problems.push("objects and arrays can't be 'unique' or have an 'index'")
  }
  if ([field.hidden, field.readOnly, field.writeOnly].filter(Boolean).length > 1) {
    problems.push("only one of 'hidden', 'readOnly' and 'writeOnly' can be true")
  }
  const isUnsettable = field.hidden || field.readOnly
  if (isUnsettable && !field.optional && !field.nullable && field.default === undefined) {
    const option = field.hidden ? 'hidden' : 'readOnly'
    problems.push(`no body can set a '${option}' field; make it t.Optional or give it a 'default'`)
  }
  const { references } = optionsOf(property)
  if (references !== undefined && (typeof references !== 'string' || !NAME.test(references))) {
    problems.push("'references' must be the name of a resource")
  }
  return problems
}

function checkTogether(declared: readonly { file: string; options: ResourceOptions<any> }[]): string[] {
  const problems: string[] = []
  const files = new Map<string, string>()
  for (const { file, options } of declared) {
    const other = files.get(options.name)
    if (other !== undefined)
      problems.push(`${file}: the name '${options.name}' is taken by ${other}; choose another`)
    files.set(options.name, file)
  }
  const idKinds = new Map(declared.map(({ options }) => [options.name, options.id ?? 'integer']))
  idKinds.set('users', 'uuid')
  for (const { file, options } of declared) {
    for (const field of fieldsOf(options.schema)) {
      const problem = field.references === undefined ? undefined : checkReference(field, idKinds)
      if (problem !== undefined) problems.push(`${file}: field '${field.name}': ${problem}`)
    }
  }
  return problems
}

function checkReference(field: Field, idKinds: ReadonlyMap<string, string>): string | undefined {
  const kind = idKinds.get(field.references as string)
  if (kind === undefined) return `it references '${field.references}', which no file declares`
  const expected = kind === 'uuid' ? 'text' : 'integer'
  if (field.kind === expected) return undefined
  return `'${field.references}' has ${kind} ids, so the field must be ${kind === 'uuid' ? 't.String' : 't.Integer'}`
}
