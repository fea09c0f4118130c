// Between the API's record and the store's row, in both directions. An answer is built from the declared fields, so
// that a hidden one has no way out.
import type { JsonSchema } from '../http/route.ts'
import type { Row, Value, Values } from '../storage/store.ts'
import type { Field } from './fields.ts'
import type { ResourceDefinition } from './resource.ts'
import { writableFields } from './schemas.ts'

/** A record as it is answered. */
export type ApiRecord = Record<string, Value>

/** Makes the function that turns a row into the record that the API answers. */
export function recordReader(definition: ResourceDefinition): (row: Row) => ApiRecord {
  const answered = definition.fields.filter((field) => !field.hidden && !field.writeOnly)
  const { owned } = definition
  return (row) => {
    const record: ApiRecord = { id: row.id }
    for (const field of answered) {
      const value = row[field.name] as Value
      if (value !== null || field.nullable) record[field.name] = value
    }
    record.created_at = row.created_at as Value
    record.updated_at = row.updated_at as Value
    if (owned) record.owner_id = row.owner_id as Value
    return record
  }
}

/** Makes the function that turns a row into what a body with the same effect would say, to merge a patch into. */
export function bodyReader(definition: ResourceDefinition): (row: Row) => ApiRecord {
  const writable = writableFields(definition)
  return (row) => {
    const present = writable.filter((field) => row[field.name] !== null || field.nullable)
    return Object.fromEntries(present.map(({ name }) => [name, row[name] as Value]))
  }
}

/**
 * Makes the function that turns a validated body into column values, in canonical form: date-times in UTC with
 * milliseconds, UUIDs in lower case. Fields that the body leaves out become null; those in `kept` stay out.
 */
export function valuesWriter(fields: readonly Field[]): (body: Readonly<Record<string, unknown>>) => Values {
  const writers = fields.map((field) => ({ name: field.name, write: canonicalWriter(field.schema) }))
  return (body) => {
    const values: Record<string, Value> = {}
    for (const { name, write } of writers) {
      const value = body[name] as Value | undefined
      values[name] = value === undefined || value === null ? null : write === undefined ? value : write(value)
    }
    return values
  }
}

type Writer = (value: Value) => Value

/** Undefined where a value is stored as it came. */
function canonicalWriter(schema: JsonSchema): Writer | undefined {
  if (schema.format === 'date-time') return (text) => new Date(text as string).toISOString()
  if (schema.format === 'uuid') return (text) => (text as string).toLowerCase()
  if (schema.items !== undefined) return itemsWriter(canonicalWriter(schema.items as JsonSchema))
  if (schema.properties !== undefined)
    return propertiesWriter(schema.properties as Record<string, JsonSchema>)
  return undefined
}

function itemsWriter(write: Writer | undefined): Writer | undefined {
  if (write === undefined) return undefined
  return (items) => (items as Value[]).map((item) => (item === null ? null : write(item)))
}

function propertiesWriter(schemas: Readonly<Record<string, JsonSchema>>): Writer | undefined {
  const writers = Object.entries(schemas).flatMap(([name, schema]) => {
    const write = canonicalWriter(schema)
    return write === undefined ? [] : [{ name, write }]
  })
  if (writers.length === 0) return undefined
  return (object) => {
    const copy = { ...(object as Record<string, Value>) }
    for (const { name, write } of writers) {
      const value = copy[name]
      if (value !== undefined && value !== null) copy[name] = write(value)
    }
    return copy
  }
}
