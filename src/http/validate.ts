// Validates decoded values against a canonical schema (json-schema.ts) and names every fault in words for people,
// never with a value of the input. It coerces nothing.
import Format from 'typebox/format'
import { Guard } from 'typebox/guard'
import { Compile } from 'typebox/schema'
import './formats.ts'
import { AppError, type ErrorDetail } from '../core/errors.ts'
import type { Static, TSchema } from '../sdk.ts'
import { boundName, pointerTo } from './json.ts'
import { canonicalSchema, fieldMessage } from './json-schema.ts'
import type { BodyContract, JsonSchema } from './route.ts'

/** Faults that one answer lists. */
export const MAX_DETAILS = 100
const MAX_LISTED_VALUES = 20

/** The faults of a value, none where it is valid; `pointer` is where the value is in its body. */
export type Validator = (value: unknown, pointer?: string) => ErrorDetail[]

/**
 * Compiles a schema as `canonicalSchema` makes it. typebox decides whether a value is valid; only for one that is not
 * do we walk it, since typebox's own list of errors is quadratic in repeated items and has no message of a field.
 */
export function createValidator(schema: JsonSchema): Validator {
  const compiled = Compile(JSON.parse(JSON.stringify(schema, withoutOurs)))
  const needsWalk = /"(?:uniqueItems|multipleOf)":/.test(JSON.stringify(schema))
  return (value, pointer = '') => {
    const isValid = compiled.Check(value)
    if (isValid && !needsWalk) return []
    const faults: ErrorDetail[] = []
    findFaults({ schema, value, pointer }, faults)
    if (!isValid && faults.length === 0) add(faults, { schema, pointer }, 'Value is not valid')
    return faults
  }
}

// Two keywords are ours to check: typebox compares the hashes of items, at a microsecond each (0.5 s for a body of
// 1 MiB), and takes 1.000000001 for a multiple of 1.
function withoutOurs(keyword: string, value: unknown): unknown {
  return keyword === 'uniqueItems' || keyword === 'multipleOf' ? undefined : value
}

export interface JsonBodyOptions {
  example?: unknown
  /** Accepted beside `application/json`. */
  mediaTypes?: readonly string[]
}

/** The contract of a body with this schema: `parse` validates, then fills the defaults. */
export function jsonBody<const S extends TSchema>(
  schema: S,
  options: JsonBodyOptions = {},
): BodyContract<Static<S>> {
  const canonical = canonicalSchema(schema)
  const validate = createValidator(canonical)
  return {
    ...options,
    schema: canonical,
    parse: (value) => {
      const details = validate(value)
      if (details.length > 0) throw new AppError('validation_failed', { details })
      return applyDefaults(canonical, value) as Static<S>
    },
  }
}

/**
 * The value with the defaults of absent properties, in depth. The value need not be valid, and is not changed; what
 * has nothing to fill is the same object.
 */
export function applyDefaults(schema: JsonSchema, value: unknown): unknown {
  if (Array.isArray(value)) return fillItems(schema.items as JsonSchema | undefined, value)
  if (!isObject(value)) return value
  let result = value
  for (const [name, property] of fillableOf(schema)) {
    const isGiven = Object.hasOwn(value, name)
    if (!isGiven && !('default' in property)) continue
    const filled = applyDefaults(property, isGiven ? value[name] : structuredClone(property.default))
    if (isGiven && filled === value[name]) continue
    // A spread and a computed key copy and make own properties; an assignment to `__proto__` would not.
    result = { ...result, [name]: filled }
  }
  return result
}

const fillable = new WeakMap<JsonSchema, readonly [string, JsonSchema][]>()

/** The properties that have a default, or something within that has. Looked for once: most bodies have few. */
function fillableOf(schema: JsonSchema): readonly [string, JsonSchema][] {
  let found = fillable.get(schema)
  if (found === undefined) {
    found = propertiesOf(schema).filter(([, property]) => isFillable(property))
    fillable.set(schema, found)
  }
  return found
}

function isFillable(schema: JsonSchema): boolean {
  if ('default' in schema || fillableOf(schema).length > 0) return true
  return schema.items !== undefined && isFillable(schema.items as JsonSchema)
}

function fillItems(schema: JsonSchema | undefined, items: readonly unknown[]): readonly unknown[] {
  if (schema === undefined) return items
  const filled = items.map((item) => applyDefaults(schema, item))
  return filled.some((item, index) => item !== items[index]) ? filled : items
}

/** What a value of this type is called: 'a whole number', 'text or null'. */
export function describeType(type: unknown): string {
  return [type]
    .flat()
    .map((name) => TYPE_NAMES[name as string] ?? String(name))
    .join(' or ')
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  integer: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null',
}

interface Place {
  schema: JsonSchema
  value: unknown
  pointer: string
}

function add(faults: ErrorDetail[], { schema, pointer }: Omit<Place, 'value'>, message: string): void {
  if (faults.length >= MAX_DETAILS) return
  const detail = { field: boundName(pointer), message: fieldMessage(schema) ?? message }
  const last = faults.at(-1)
  // Two faults of one field with a message of its own are one.
  if (last?.field !== detail.field || last.message !== detail.message) faults.push(detail)
}

function findFaults(place: Place, faults: ErrorDetail[]): void {
  const { schema, value } = place
  const values = schema.enum as readonly unknown[] | undefined
  if (values !== undefined) {
    if (!values.includes(value)) add(faults, place, `Expected one of: ${listValues(values)}`)
  } else if (schema.type !== undefined && ![schema.type].flat().some((type) => isOfType(value, type))) {
    add(faults, place, `Expected ${describeType(schema.type)}`)
  } else if (typeof value === 'string') {
    for (const message of textFaults(schema, value)) add(faults, place, message)
  } else if (typeof value === 'number') {
    for (const message of numberFaults(schema, value)) add(faults, place, message)
  } else if (Array.isArray(value)) findListFaults(place, value, faults)
  else if (isObject(value)) findObjectFaults(place, value, faults)
}

function isOfType(value: unknown, type: unknown): boolean {
  switch (type) {
    case 'integer':
      return Number.isInteger(value)
    case 'null':
      return value === null
    case 'array':
      return Array.isArray(value)
    case 'object':
      return isObject(value)
    default:
      return typeof value === type
  }
}

function listValues(values: readonly unknown[]): string {
  const listed = values.slice(0, MAX_LISTED_VALUES).map(String).join(', ')
  return values.length > MAX_LISTED_VALUES
    ? `${listed}, and ${values.length - MAX_LISTED_VALUES} more`
    : listed
}

const FORMAT_MESSAGES: Readonly<Record<string, string>> = {
  email: 'Expected an e-mail address',
  uri: 'Expected an absolute URI such as https://example.com',
  uuid: 'Expected a UUID',
  date: 'Expected a date such as 2026-01-31',
  'date-time': 'Expected a date and time with its zone such as 2026-01-31T12:00:00Z',
}

function textFaults({ minLength, maxLength, pattern, format }: JsonSchema, value: string): string[] {
  const found: string[] = []
  if (isNumber(minLength) && !Guard.IsMinLength(value, minLength)) {
    found.push(`Expected text of at least ${counted(minLength, 'character')}`)
  }
  if (isNumber(maxLength) && !Guard.IsMaxLength(value, maxLength)) {
    found.push(`Expected text of at most ${counted(maxLength, 'character')}`)
  }
  if (typeof format === 'string' && !Format.Test(format, value)) {
    found.push(FORMAT_MESSAGES[format] ?? `Expected the format ${format}`)
  }
  if (typeof pattern === 'string' && !new RegExp(pattern, 'u').test(value)) {
    found.push(`Expected text that matches ${pattern}`)
  }
  return found
}

function numberFaults(schema: JsonSchema, value: number): string[] {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = schema
  const found: string[] = []
  if (isNumber(minimum) && value < minimum)
    found.push(`Expected a number greater than or equal to ${minimum}`)
  if (isNumber(maximum) && value > maximum) found.push(`Expected a number less than or equal to ${maximum}`)
  if (isNumber(exclusiveMinimum) && value <= exclusiveMinimum) {
    found.push(`Expected a number greater than ${exclusiveMinimum}`)
  }
  if (isNumber(exclusiveMaximum) && value >= exclusiveMaximum) {
    found.push(`Expected a number less than ${exclusiveMaximum}`)
  }
  if (isNumber(multipleOf) && !isMultiple(value, multipleOf))
    found.push(`Expected a multiple of ${multipleOf}`)
  return found
}

/** In decimals, as people count: 19.99 is a multiple of 0.01, though not in binary. Doubles keep 15 digits. */
function isMultiple(value: number, step: number): boolean {
  const product = Math.round(value / step) * step
  return product === value || Number(product.toPrecision(15)) === value
}

function findListFaults(place: Place, items: readonly unknown[], faults: ErrorDetail[]): void {
  const { minItems, maxItems, uniqueItems, items: schema } = place.schema
  if (isNumber(minItems) && items.length < minItems) {
    add(faults, place, `Expected at least ${counted(minItems, 'item')}`)
  }
  if (isNumber(maxItems) && items.length > maxItems) {
    add(faults, place, `Expected at most ${counted(maxItems, 'item')}`)
  }
  if (uniqueItems === true && new Set(items.map(identity)).size < items.length) {
    add(faults, place, 'Expected no item twice')
  }
  if (schema === undefined) return
  for (let index = 0; index < items.length && faults.length < MAX_DETAILS; index++) {
    findFaults(
      { schema: schema as JsonSchema, value: items[index], pointer: pointerTo(place.pointer, index) },
      faults,
    )
  }
}

/** JSON text that is equal for equal values, whatever the order of their keys. */
function identity(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(identity).join()}]`
  if (!isObject(value)) return JSON.stringify(value)
  const members = Object.keys(value)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${identity(value[key])}`)
  return `{${members.join()}}`
}

function findObjectFaults(
  place: Place,
  value: Readonly<Record<string, unknown>>,
  faults: ErrorDetail[],
): void {
  const { schema, pointer } = place
  const required = (schema.required ?? []) as readonly string[]
  const known = new Set<string>()
  for (const [name, property] of propertiesOf(schema)) {
    known.add(name)
    const inner = { schema: property, pointer: pointerTo(pointer, name) }
    if (Object.hasOwn(value, name)) findFaults({ ...inner, value: value[name] }, faults)
    else if (required.includes(name)) add(faults, inner, 'Required')
  }
  if (schema.additionalProperties !== false) return
  for (const name of Object.keys(value)) {
    if (faults.length >= MAX_DETAILS) return
    if (!known.has(name)) add(faults, { schema: {}, pointer: pointerTo(pointer, name) }, 'Unknown property')
  }
}

function propertiesOf({ properties }: JsonSchema): [string, JsonSchema][] {
  return Object.entries((properties ?? {}) as Record<string, JsonSchema>)
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number'
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
