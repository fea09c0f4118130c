// From a decoded body to column values: what a body may not set is left out, defaults are filled, every fault is
// named at once (AppError `validation_failed`).
import { AppError, type ErrorDetail } from '../core/errors.ts'
import { pointerTo } from '../http/json.ts'
import { applyDefaults, createValidator, MAX_DETAILS } from '../http/validate.ts'
import type { JsonSchema } from '../http/route.ts'
import type { Row, Values } from '../storage/store.ts'
import type { Field } from './fields.ts'
import { mergePatch } from './merge-patch.ts'
import { bodyReader } from './record.ts'
import type { BodyChecks, ResourceDefinition } from './resource.ts'
import { ignoredNames, schemasOf, writableFields } from './schemas.ts'
import { valuesWriter } from './values-writer.ts'

/** The most records that one create may make, unless the resource says otherwise. */
export const MAX_RECORDS = 1000

/** The most records that one create of this resource may make. */
export function createMaxOf({ createMax = MAX_RECORDS }: ResourceDefinition): number {
  return createMax
}

/** What one body, or an array of them, gives: no values where the body is at fault. */
export interface ReadBodies {
  isArray: boolean
  values: (Values | undefined)[]
  details: ErrorDetail[]
}

/** Reads the bodies of one resource. */
export interface InputReader {
  /** The values of one new record, or of each of an array's. It throws only where there are too many. */
  create(body: unknown): ReadBodies
  replace(body: unknown): Values
  patch(row: Row, body: unknown): Values
}

/** For the bodies of clients, or for records that the author's own code gives: those may set every field. */
export function createInputReader(definition: ResourceDefinition, from: 'client' | 'author'): InputReader {
  const schemas = schemasOf(definition)
  const isAuthor = from === 'author'
  const writable = isAuthor ? definition.fields : writableFields(definition)
  const ignored = ignoredBeside(isAuthor ? writable : [], definition)
  const merged = isAuthor ? schemas.stored : schemas.merged
  const { checks } = definition
  const createMax = createMaxOf(definition)
  const readCreate = bodyChecker(isAuthor ? schemas.stored : schemas.create, { ignored, checks })
  const readReplace = bodyChecker(schemas.replace, { ignored, checks })
  const readMerged = bodyChecker(merged, { ignored, checks })
  const demanded = writable.filter((field) => field.demanded)
  const storedBody = bodyReader(writable)
  const writeAll = valuesWriter(writable)
  const unset = valuesWriter(definition.fields.filter((field) => !writable.includes(field)))
  const unsetDefaults = unset(defaultsOf(definition))
  const hasUnset = Object.keys(unsetDefaults).length > 0
  return {
    create(body) {
      const isArray = Array.isArray(body)
      const bodies = isArray ? (body as unknown[]) : [body]
      if (bodies.length > createMax) throw tooMany(bodies.length, createMax)
      const details: ErrorDetail[] = []
      const values: (Values | undefined)[] = []
      for (let index = 0; index < bodies.length; index++) {
        const checked = readCreate(bodies[index], isArray ? `/${index}` : '')
        const isFaulty = checked.details.length > 0
        if (isFaulty) details.push(...checked.details)
        const written = isFaulty ? undefined : writeAll(checked.body)
        values.push(hasUnset && written !== undefined ? { ...written, ...unsetDefaults } : written)
      }
      return { isArray, values, details }
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
      const checked = readMerged(mergePatch(storedBody(row), patch, merged), '', row)
      const taken = demanded.filter(({ name }) => patch[name] === null && checked.body[name] === undefined)
      const details = [...checked.details, ...taken.map(({ name }) => required(name))]
      if (details.length > 0) throw invalid(details)
      return writeAll(checked.body)
    },
  }
}

/**
 * Makes the function that checks what the author's code gives as a whole record: its values, or its faults. Properties
 * that are undefined count as absent; what the server sets has no effect.
 */
export function createStoredChecker(definition: ResourceDefinition) {
  const { checks, fields } = definition
  const ignored = ignoredBeside(fields, definition)
  const check = bodyChecker(schemasOf(definition).stored, { ignored, checks })
  const write = valuesWriter(fields)
  return (record: unknown): { values: Values; details: ErrorDetail[] } => {
    const { body, details } = check(isObject(record) ? withoutUndefined(record) : record, '')
    return { values: details.length > 0 ? {} : write(body), details }
  }
}

type Body = Readonly<Record<string, unknown>>

interface Checking {
  ignored: readonly string[]
  checks: BodyChecks | undefined
}

/** Makes the function that checks a body, or what a patch makes of a row. */
function bodyChecker(schema: JsonSchema, { ignored, checks }: Checking) {
  const validate = createValidator(schema)
  return (given: unknown, pointer: string, previous?: Row): { body: Body; details: ErrorDetail[] } => {
    if (!isObject(given)) return { body: given as never, details: validate(given, pointer) }
    const known = without(given, ignored)
    const body = applyDefaults(schema, checks === undefined ? known : checks.normalize(known)) as Body
    const details = validate(body, pointer)
    if (checks === undefined) return { body, details }
    const more = checks.faultsOf(body, previous)
    return { body, details: [...details, ...more.map((one) => ({ ...one, field: pointer + one.field }))] }
  }
}

/** What a body may have to no effect, where these fields have one. */
function ignoredBeside(fields: readonly Field[], definition: ResourceDefinition): readonly string[] {
  const effective = new Set(fields.map(({ name }) => name))
  return ignoredNames(definition).filter((name) => !effective.has(name))
}

function without(body: Body, names: readonly string[]): Body {
  for (const given of names) {
    if (!Object.hasOwn(body, given)) continue
    return Object.fromEntries(Object.entries(body).filter(([name]) => !names.includes(name)))
  }
  return body
}

function withoutUndefined(body: Body): Body {
  return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined))
}

function isObject(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function defaultsOf({ fields }: ResourceDefinition): Body {
  return Object.fromEntries(fields.map((field) => [field.name, field.default]))
}

/** The error of a body with these faults, as many of them as one answer lists. */
export function invalid(details: readonly ErrorDetail[]): AppError {
  return new AppError('validation_failed', { details: details.slice(0, MAX_DETAILS) })
}

function required(name: string): ErrorDetail {
  return { field: pointerTo('', name), message: 'Required' }
}

function tooMany(count: number, most: number): AppError {
  return invalid([{ field: '', message: `Expected at most ${most} records, got ${count}` }])
}
