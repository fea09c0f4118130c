// Between the API's record and the store's row, in both directions. An answer is built from the declared fields, so
// that a hidden one has no way out.
import type { Row, Value } from '../storage/store.ts'
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
