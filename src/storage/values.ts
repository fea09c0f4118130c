// What a column may hold, the same on every engine. Validation of input is not done here: a value that fails is a
// fault of our own code, found before an engine could wrap, round or replace it.
import type { Column, ColumnKind, Id, Table, Value } from './store.ts'

/** Throws TypeError unless the value may be written to the column. */
export function checkValue(table: Table, column: Column, value: Value | undefined): asserts value is Value {
  if (value === null) {
    if (column.nullable) return
    throw new TypeError(`Column ${table.name}.${column.name} may not be null`)
  }
  if (!isOfKind(column.kind, value)) {
    throw new TypeError(`Column ${table.name}.${column.name} needs a value of kind ${column.kind}`)
  }
}

/** Throws TypeError unless the id is of the table's kind. */
export function checkId(table: Table, id: Id): void {
  if (table.id === 'uuid' ? isStorableText(id) : Number.isSafeInteger(id)) return
  throw new TypeError(`Table ${table.name} needs an id of kind ${table.id}`)
}

function isOfKind(kind: ColumnKind, value: unknown): boolean {
  switch (kind) {
    case 'text':
      return isStorableText(value)
    case 'real':
      return Number.isFinite(value)
    case 'integer':
      return Number.isSafeInteger(value)
    case 'boolean':
      return typeof value === 'boolean'
    case 'json':
      return typeof value === 'object'
  }
}

// PostgreSQL stores no NUL and SQLite's functions stop at one; a lone surrogate would become U+FFFD on the way.
function isStorableText(value: unknown): boolean {
  return typeof value === 'string' && !value.includes('\0') && value.isWellFormed()
}
