// Checks the functions of a declaration: hooks, `validate` and what is computed. What they do is seen when they run.
import { canonicalSchema } from '../http/json-schema.ts'
import type { Hooks, ResourceOptions, TSchema } from '../sdk.ts'
import { checkFieldName } from './declared-names.ts'
import { optionsOf } from './fields.ts'

const HOOKS = Object.keys({
  beforeCreate: 1,
  afterCreate: 1,
  beforeUpdate: 1,
  afterUpdate: 1,
  beforeDelete: 1,
  afterDelete: 1,
} satisfies Record<keyof Hooks<any, any, any>, 1>)
/** Options that say how a stored field is kept or shown; a computed one is neither. */
const STORED_OPTIONS = ['unique', 'index', 'hidden', 'writeOnly', 'search', 'references', 'default'] as const

/** The problems of `hooks` and `validate`. */
export function checkCode({ hooks, validate }: ResourceOptions<any>): string[] {
  const problems: string[] = []
  if (validate !== undefined && typeof validate !== 'function') {
    problems.push("option 'validate' must be a function of the record")
  }
  if (hooks === undefined) return problems
  if (!isObject(hooks)) return [...problems, "option 'hooks' must be an object of functions"]
  for (const [name, hook] of Object.entries(hooks)) {
    if (!HOOKS.includes(name)) {
      problems.push(`hooks: hook '${name}' is not known; they are ${HOOKS.join(', ')}`)
    } else if (hook !== undefined && typeof hook !== 'function') {
      problems.push(`hooks: ${name} must be a function`)
    }
  }
  return problems
}

/** The problems of `compute`, with a schema that is right. */
export function checkCompute({ compute, schema }: ResourceOptions<any>): string[] {
  if (compute === undefined) return []
  if (!isObject(compute)) return ["option 'compute' must be an object of { schema, from }"]
  return Object.entries(compute).flatMap(([name, field]) =>
    checkComputed(name, field, Object.hasOwn(schema.properties, name)).map(
      (problem) => `compute: field '${name}': ${problem}`,
    ),
  )
}

function checkComputed(name: string, field: unknown, isTaken: boolean): string[] {
  const problems = checkFieldName(name)
  if (isTaken) problems.push('the schema has a field of this name; choose another')
  if (!isObject(field) || typeof field.from !== 'function') {
    return [...problems, 'it must be { schema, from }, and from a function of the record']
  }
  const unknown = Object.keys(field).filter((key) => key !== 'schema' && key !== 'from')
  problems.push(...unknown.map((key) => `'${key}' is not known; it has schema and from`))
  try {
    canonicalSchema(field.schema as TSchema)
  } catch (error) {
    if (error instanceof TypeError) return [...problems, error.message]
    throw error
  }
  const options = optionsOf(field.schema as TSchema)
  const useless = STORED_OPTIONS.filter((option) => options[option] !== undefined)
  return [...problems, ...useless.map((option) => `it is not stored, so '${option}' means nothing`)]
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
