// From a decoded body to column values: what a body may not set is left out, defaults are filled, every fault is
// named at once (AppError `validation_failed`).
import { AppError, type ErrorDetail } from '../core/errors.ts'
import { applyDefaults, createValidator, MAX_DETAILS } from '../http/validate.ts'
import type { JsonSchema } from '../http/route.ts'
import type { Row, Values } from '../storage/store.ts'
import { mergePatch } from './merge-patch.ts'
import { bodyReader } from './record.ts'
import type { ResourceDefinition } from './resource.ts'
import { valuesWriter } from './values-writer.ts'
import { schemasOf, systemProperties, writableFields } from './schemas.ts'

/** The most records that one create may make. */
export const MAX_RECORDS = 1000

/** Reads the bodies of one resource. */
export interface InputReader {
  /** The values of one new record, or of each of an array's. */
  create(body: unknown): { isArray: boolean; values: Values[] }
  replace(body: unknown): Values
  patch(row: Row, body: unknown): Values
}

export function createInputReader(definition: ResourceDefinition): InputReader {
  const schemas = schemasOf(definition)
  const writable = writableFields(definition)
  const ignored = new Set([
    ...Object.keys(systemProperties(definition)),
    ...definition.fields.filter((field) => field.readOnly).map((field) => field.name),
  ])
  const readCreate = bodyChecker(schemas.create, ignored)
  const readReplace = bodyChecker(schemas.replace, ignored)
  const readMerged = bodyChecker(schemas.merged, ignored)
  const storedBody = bodyReader(definition)
  const writeAll = valuesWriter(writable)
  const unset = valuesWriter(definition.fields.filter((field) => field.hidden || field.readOnly))
  const unsetDefaults = unset(defaultsOf(definition))
  return {
    create(body) {
      const isArray = Array.isArray(body)
      const bodies = isArray ? (body as unknown[]) : [body]
      if (bodies.length > MAX_RECORDS) throw tooMany(bodies.length)
      const details: ErrorDetail[] = []
      const values = bodies.map((one, index) => {
        const checked = readCreate(one, isArray ? `/${index}` : '')
        details.push(...checked.details)
        return checked.details.length > 0 ? {} : { ...writeAll(checked.body), ...unsetDefaults }
      })
      if (details.length > 0) throw invalid(details)
      return { isArray, values }
    },
    replace(body) {
      const checked = readReplace(body, '')
      if (checked.details.length > 0) throw invalid(checked.details)
      const kept = writable.filter(({ name, writeOnly }) => writeOnly && checked.body[name] === undefined)
      const values = { ...writeAll(checked.body) }
      for (const { name } of kept) delete values[name]
      return values
    },
    patch(row, body) {
      if (!isObject(body)) throw invalid([{ field: '', message: 'Expected an object' }])
      const patch = without(body, ignored)
      const checked = readMerged(mergePatch(storedBody(row), patch, schemas.merged), '')
      if (checked.details.length > 0) throw invalid(checked.details)
      return writeAll(checked.body)
    },
  }
}

type Body = Readonly<Record<string, unknown>>

function bodyChecker(schema: JsonSchema, ignored: ReadonlySet<string>) {
  const validate = createValidator(schema)
  return (given: unknown, pointer: string): { body: Body; details: ErrorDetail[] } => {
    const body = isObject(given) ? (applyDefaults(schema, without(given, ignored)) as Body) : given
    return { body: body as Body, details: validate(body, pointer) }
  }
}

function without(body: Body, names: ReadonlySet<string>): Body {
  const entries = Object.entries(body)
  return entries.some(([name]) => names.has(name))
    ? Object.fromEntries(entries.filter(([name]) => !names.has(name)))
    : body
}

function isObject(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function defaultsOf({ fields }: ResourceDefinition): Body {
  return Object.fromEntries(fields.map((field) => [field.name, field.default]))
}

function invalid(details: readonly ErrorDetail[]): AppError {
  return new AppError('validation_failed', { details: details.slice(0, MAX_DETAILS) })
}

function tooMany(count: number): AppError {
  return invalid([{ field: '', message: `Expected at most ${MAX_RECORDS} records, got ${count}` }])
}
