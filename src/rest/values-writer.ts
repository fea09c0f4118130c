// From a validated body to column values in canonical form, the only form that is stored.
import type { JsonSchema } from '../http/route.ts'
import type { Value, Values } from '../storage/store.ts'
import type { Field } from './fields.ts'

/**
 * Makes the function that turns a validated body into column values, in canonical form: date-times in UTC with
 * milliseconds, UUIDs in lower case. Fields that the body leaves out become null.
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
