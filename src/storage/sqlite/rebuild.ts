// Changes of a table that SQLite has no statement for: a new table takes the rows and then the name of the old one
// (https://www.sqlite.org/lang_altertable.html, section 7). Foreign keys must be off, or dropping the old table would
// delete its rows one by one; they are checked by whoever turned them off.
import type { Column, ColumnKind, Table } from '../store.ts'
import { quote } from './derived.ts'
import { type StoredColumn, type StoredTable, createTable, literal } from './schema.ts'

/** Statements that make the table what it is declared to be. Indexes and triggers of ours are gone afterwards. */
export function rebuildTable(table: Table, stored: StoredTable): string[] {
  const [name, successor] = [quote(table.name), `_hipflask_new_${table.name}`]
  const columns = ['id', '_version', ...table.columns.map((column) => quote(column.name))]
  const values = [
    'id',
    '_version',
    ...table.columns.map((column) => valueOf(column, stored.columns.get(column.name))),
  ]
  return [
    // A view of another program's that names the table would not let it go.
    'PRAGMA legacy_alter_table = ON',
    createTable(table, successor),
    `INSERT INTO ${quote(successor)} (${columns.join(', ')})\n  SELECT ${values.join(', ')}\n  FROM ${name}\n  ORDER BY _rowid_`,
    ...(table.id === 'integer' ? keepSequence(table.name, successor) : []),
    `DROP TABLE ${name}`,
    `ALTER TABLE ${quote(successor)} RENAME TO ${name}`,
    'PRAGMA legacy_alter_table = OFF',
    ...stored.foreign,
  ]
}

/** What a column of this kind can be filled with where there is no better value. */
export function placeholder(column: Column): string {
  if (column.default !== undefined && column.default !== null) return literal(column)
  return PLACEHOLDERS[column.kind]
}

const PLACEHOLDERS: Readonly<Record<ColumnKind, string>> = {
  text: "''",
  real: '0',
  integer: '0',
  boolean: '0',
  json: "'{}'",
}

// The ids of deleted rows are not given again by the new table either.
function keepSequence(from: string, to: string): string[] {
  return [
    `DELETE FROM sqlite_sequence WHERE name = '${to}'`,
    `INSERT INTO sqlite_sequence (name, seq)\n  SELECT '${to}', seq FROM sqlite_sequence WHERE name = '${from}'`,
  ]
}

function valueOf(column: Column, stored: StoredColumn | undefined): string {
  const name = quote(column.name)
  if (stored === undefined) return column.nullable ? literal(column) : placeholder(column)
  if (stored.kind === column.kind) return name
  switch (column.kind) {
    case 'text':
      return `CAST(${name} AS TEXT)`
    case 'real':
      return `CAST(${name} AS REAL)`
    case 'integer':
      return `CAST(${name} AS INTEGER)`
    case 'boolean':
      return `CAST(${name} AS INTEGER) <> 0`
    case 'json':
      return `iif(${name} IS NULL, NULL, json_array(${name}))`
  }
}
