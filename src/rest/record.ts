// Between the API's record and the store's row, in both directions. An answer is built from the declared fields, so
// that a hidden one has no way out.
import type { AnyRecord } from '../sdk.ts'
import type { Row, Value } from '../storage/store.ts'
import { createComputer } from './compute.ts'
import type { Field } from './fields.ts'
import type { ResourceDefinition } from './resource.ts'

/** A record as it is answered. */
export type ApiRecord = Record<string, Value>

/**
 * Makes the function that turns a row into the record that the API answers; it throws Error where a computed field
 * fails. `deleted_at` is shown where the row is a deleted one.
 */
export function recordReader(definition: ResourceDefinition): (row: Row) => ApiRecord {
  const answered = definition.fields.filter((field) => !field.hidden && !field.writeOnly)
  const { owned, softDelete } = definition
  const compute = createComputer(definition.name, definition.computed)
  const readStored = storedReader(definition)
  return (row) => {
    const record: ApiRecord = { id: row.id }
    for (const field of answered) {
      const value = row[field.name] as Value
      if (value !== null || field.nullable) record[field.name] = value
    }
    if (compute !== undefined) compute(readStored(row), record)
    record.created_at = row.created_at as Value
    record.updated_at = row.updated_at as Value
    if (owned) record.owner_id = row.owner_id as Value
    if (softDelete && typeof row.deleted_at === 'string') record.deleted_at = row.deleted_at
    return record
  }
}

/**
 * Makes the function that turns a row, or the values of one that is yet to be made, into the record that the author's
 * own code gets: hidden and `writeOnly` fields are in it. It is a copy, to be changed at will.
 */
export function storedReader(definition: ResourceDefinition): (row: Partial<Row>) => AnyRecord {
  const { fields, owned } = definition
  const system = ['id', 'created_at', 'updated_at', ...(owned ? ['owner_id'] : [])]
  return (row) => {
    const record: AnyRecord = {}
    for (const { name, nullable, kind } of fields) {
      const value = row[name] ?? null
      if (value !== null) record[name] = kind === 'json' ? structuredClone(value) : value
      else if (nullable) record[name] = null
    }
    for (const name of system) if (row[name] !== undefined) record[name] = row[name]
    return record
  }
}

/** Makes the function that turns a row into what a body of these fields would say, to merge a patch into. */
export function bodyReader(writable: readonly Field[]): (row: Row) => ApiRecord {
  return (row) => {
    const present = writable.filter((field) => (row[field.name] ?? null) !== null || field.nullable)
    return Object.fromEntries(present.map(({ name }) => [name, row[name] as Value]))
  }
}
