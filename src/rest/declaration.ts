// Checks what a resource file exports, before anything is opened or changed. Every problem of every file is told at
// once; each names the file, the field and the remedy.
import { canonicalSchema } from '../http/json-schema.ts'
import type { IdKind, Resource, ResourceOptions, TObject, TSchema, Users } from '../sdk.ts'
import { checkCode, checkCompute } from './declared-code.ts'
import { ACCOUNT_NAMES, checkFieldName, NAME, NAME_RULE, RESERVED } from './declared-names.ts'
import { checkRoutes } from './declared-routes.ts'
import { checkRule } from './declared-rules.ts'
import { fieldsOf, optionsOf, type Field } from './fields.ts'

/** What a resource file exported as its default, whatever it is. */
export interface Exported {
  file: string
  resource: unknown
}

const OPTIONS = new Set(
  'name description schema id owned access validate hooks compute routes softDelete requireIfMatch pageSize pageSizeMax'.split(
    ' ',
  ),
)
const FLAGS = ['owned', 'softDelete', 'requireIfMatch'] as const
const ACTIONS = ['list', 'read', 'create', 'update', 'delete']
const PAGE_SIZE_LIMIT = 1000
const MAX_FIELDS = 200

/** The problems of all declarations together, each one line; empty when all is well. */
export function checkDeclarations(exported: readonly Exported[]): string[] {
  const problems: string[] = []
  const sound: Sound[] = []
  for (const { file, resource } of exported) {
    const found = checkSafely(resource)
    problems.push(...found.map((problem) => `${file}: ${problem}`))
    if (found.length === 0) sound.push(soundOf(file, resource as Resource | Users))
  }
  return [...problems, ...checkTogether(sound)]
}

/** A declaration without a problem of its own. */
interface Sound {
  file: string
  name: string
  id: IdKind
  fields: readonly Field[]
}

function soundOf(file: string, declared: Resource | Users): Sound {
  if (declared.kind === 'users') {
    return { file, name: 'users', id: 'uuid', fields: fieldsOf(declared.options.profile) }
  }
  const { name, id = 'integer', schema } = declared.options
  return { file, name, id, fields: fieldsOf(schema) }
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
  if (isOfKind<Users>(exported, 'users')) return checkUsers(exported)
  if (!isOfKind<Resource>(exported, 'resource')) {
    return [
      'the default export is not a resource; write `export default defineResource({ … })`, or defineUsers for accounts',
    ]
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
  for (const flag of FLAGS) {
    if (options[flag] !== undefined && typeof options[flag] !== 'boolean') {
      problems.push(`option '${flag}' must be true or false`)
    }
  }
  if (options.description !== undefined && typeof options.description !== 'string') {
    problems.push("option 'description' must be text")
  }
  const ofSchema = checkSchema(options)
  problems.push(...checkAccess(options), ...ofSchema, ...checkCode(options))
  // What is computed and the routes are judged with the fields at hand.
  if (ofSchema.length === 0) problems.push(...checkCompute(options), ...checkRoutes(options))
  return problems
}

function isOfKind<D extends { kind: string }>(exported: unknown, kind: D['kind']): exported is D {
  return typeof exported === 'object' && exported !== null && (exported as D).kind === kind
}

function checkUsers({ options }: Users): string[] {
  if (typeof options !== 'object' || options === null) return ['defineUsers needs an object']
  const problems = Object.keys(options)
    .filter((key) => key !== 'profile')
    .map((key) => `option '${key}' is not known; the only option is profile`)
  const names = Object.keys(Object(options.profile?.properties) as object)
  const taken = names.filter((name) => ACCOUNT_NAMES.has(name))
  problems.push(...taken.map((name) => `field '${name}': accounts have it already; choose another name`))
  return [...problems, ...checkFields(options.profile, 'profile', {})]
}

function checkName(name: unknown): string[] {
  if (typeof name !== 'string' || !NAME.test(name)) return [`option 'name' ${NAME_RULE}`]
  if (RESERVED.has(name)) return [`the name '${name}' is reserved; choose another`]
  if (name === 'users') {
    return [
      "the resource 'users' is built in; choose another name, or give accounts more fields by defineUsers",
    ]
  }
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

function checkSchema({ schema, hooks, softDelete }: ResourceOptions<any>): string[] {
  return checkFields(schema, 'schema', { softDelete, isSetByHook: typeof hooks?.beforeCreate === 'function' })
}

interface FieldsContext {
  softDelete?: boolean | undefined
  /** Whether hidden and readOnly fields get a value from a hook. */
  isSetByHook?: boolean
}

/** The problems of an option that declares the fields of a record. */
function checkFields(
  schema: unknown,
  option: string,
  { softDelete = false, isSetByHook = false }: FieldsContext,
): string[] {
  const object = schema as TObject<Record<string, TSchema>> | null | undefined
  if (object?.['~kind'] !== 'Object') return [`option '${option}' must be t.Object({ … })`]
  const names = Object.keys(object.properties)
  if (names.length > MAX_FIELDS)
    return [`a resource has at most ${MAX_FIELDS} fields, this one has ${names.length}`]
  const problems = names.flatMap((name) =>
    checkFieldName(name).map((problem) => `field '${name}': ${problem}`),
  )
  if (softDelete && names.includes('deleted')) {
    problems.push("field 'deleted': with softDelete the name is a parameter of the list; choose another")
  }
  if (problems.length > 0) return problems
  try {
    canonicalSchema(object)
  } catch (error) {
    if (error instanceof TypeError) return [error.message]
    throw error
  }
  return fieldsOf(object).flatMap((field) =>
    checkField(field, object.properties[field.name] as TSchema, isSetByHook).map(
      (problem) => `field '${field.name}': ${problem}`,
    ),
  )
}

function checkField(field: Field, property: TSchema, isSetByHook: boolean): string[] {
  const problems: string[] = []
  if (field.kind === 'json' && (field.unique || field.index)) {
    problems.push("objects and arrays can't be 'unique' or have an 'index'")
  }
  if ([field.hidden, field.readOnly, field.writeOnly].filter(Boolean).length > 1) {
    problems.push("only one of 'hidden', 'readOnly' and 'writeOnly' can be true")
  }
  const isUnsettable = field.hidden || field.readOnly
  if (isUnsettable && !isSetByHook && !field.optional && !field.nullable && field.default === undefined) {
    const option = field.hidden ? 'hidden' : 'readOnly'
    problems.push(
      `no body can set a '${option}' field; make it t.Optional, give it a 'default', or set it in the hook beforeCreate`,
    )
  }
  if (field.search && (field.hidden || field.writeOnly)) {
    problems.push(`a '${field.hidden ? 'hidden' : 'writeOnly'}' field can't be searched; take 'search' away`)
  }
  const { references } = optionsOf(property)
  if (references !== undefined && (typeof references !== 'string' || !NAME.test(references))) {
    problems.push("'references' must be the name of a resource")
  }
  return problems
}

function checkTogether(declared: readonly Sound[]): string[] {
  const problems: string[] = []
  const files = new Map<string, string>()
  for (const { file, name } of declared) {
    const other = files.get(name)
    if (other !== undefined) problems.push(`${file}: ${takenBy(name, other)}`)
    files.set(name, file)
  }
  const idKinds = new Map<string, string>(declared.map(({ name, id }) => [name, id]))
  idKinds.set('users', 'uuid')
  for (const { file, fields } of declared) {
    for (const field of fields) {
      const problem = field.references === undefined ? undefined : checkReference(field, idKinds)
      if (problem !== undefined) problems.push(`${file}: field '${field.name}': ${problem}`)
    }
  }
  return problems
}

function takenBy(name: string, file: string): string {
  if (name === 'users')
    return `defineUsers is in ${file} already; put all fields of accounts in one of the two`
  return `the name '${name}' is taken by ${file}; choose another`
}

function checkReference(field: Field, idKinds: ReadonlyMap<string, string>): string | undefined {
  const kind = idKinds.get(field.references as string)
  if (kind === undefined) return `it references '${field.references}', which no file declares`
  const expected = kind === 'uuid' ? 'text' : 'integer'
  if (field.kind === expected) return undefined
  return `'${field.references}' has ${kind} ids, so the field must be ${kind === 'uuid' ? 't.String' : 't.Integer'}`
}
