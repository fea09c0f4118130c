// What tables a SQLite file has, and the statements that make or change them. What to change is decided in
// ../migration-plan.ts; indexes and triggers are in derived.ts.
import type { Database } from 'bun:sqlite'
import type { Column, ColumnKind, Table } from '../store.ts'
import { type DerivedObject, quote, readDerived } from './derived.ts'
import { COLUMN_TYPES, sqliteDialect } from './dialect.ts'

/** A column as it is stored. */
export interface StoredColumn {
  /** Undefined where the type is none of ours. */
  kind: ColumnKind | undefined
  nullable: boolean
  /** `users`, or `users set null`: see `describeReference`. Undefined without a foreign key. */
  reference: string | undefined
}

/** A table as it is stored, read when it is asked for. */
export interface StoredTable {
  /** Undefined where the table is not one of ours: another program made it, or it is a view. */
  id: Table['id'] | undefined
  /** Without `id` and `_version`. */
  columns: ReadonlyMap<string, StoredColumn>
  derived: readonly DerivedObject[]
  /** Statements that made the indexes and triggers of others. */
  foreign: readonly string[]
  hasRows: boolean
}

/** Names of all tables and views but SQLite's own, in lower case: SQLite takes `Items` and `items` for one table. */
export function readTableNames(database: Database): string[] {
  const sql = `SELECT lower(name) AS name FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow' ORDER BY name`
  const names = database.query<{ name: string }, []>(sql).all()
  return names.map(({ name }) => name).filter((name) => !name.startsWith('sqlite_'))
}

export function readTable(database: Database, name: string): StoredTable {
  const isStrict = database
    .query<{ strict: number }, [string]>(
      `SELECT strict FROM pragma_table_list WHERE schema = 'main' AND name = ?`,
    )
    .get(name)?.strict
  const info = database
    .query<ColumnInfo, [string]>('SELECT name, type, "notnull", pk FROM pragma_table_xinfo(?)')
    .all(name)
  const references = readReferences(database, name)
  const id = info.find((column) => column.name === 'id' && column.pk === 1)
  const isOurs = isStrict === 1 && id !== undefined && info.some((column) => column.name === '_version')
  const columns = info.filter((column) => column.name !== 'id' && column.name !== '_version')
  const derived = readDerived(database, name)
  return {
    id: isOurs ? idOf(database, name, id.type) : undefined,
    columns: new Map(
      columns.map((column) => [
        column.name,
        { kind: kindOf(column.type), nullable: column.notnull === 0, reference: references.get(column.name) },
      ]),
    ),
    derived,
    foreign: readForeign(database, name, derived),
    hasRows: isOurs && hasAny(database, name, 'true'),
  }
}

/** Whether a row of the table meets a condition, in SQL of ours. */
export function hasAny(database: Database, table: string, condition: string): boolean {
  return database.query(`SELECT 1 FROM ${quote(table)} WHERE ${condition} LIMIT 1`).get() !== null
}

/** Whether two rows, or two living ones, have the same value in a column; nulls are never the same. */
export function hasDuplicates(
  database: Database,
  table: string,
  { column, living }: { column: string; living: boolean },
): boolean {
  const name = quote(column)
  const condition = `${name} IS NOT NULL${living ? ' AND "deleted_at" IS NULL' : ''} GROUP BY ${name} HAVING count(*) > 1`
  return hasAny(database, table, condition)
}

/** A foreign key as one text, for comparing and for messages. */
export function describeReference({ references, onDelete = 'restrict' }: Column): string | undefined {
  if (references === undefined) return undefined
  return onDelete === 'restrict' ? references : `${references} ${onDelete}`
}

const ID_DEFINITIONS: Readonly<Record<Table['id'], string>> = {
  // AUTOINCREMENT: the id of a deleted row is never given to another.
  integer: 'id INTEGER PRIMARY KEY AUTOINCREMENT',
  uuid: 'id TEXT PRIMARY KEY NOT NULL',
  given: 'id INTEGER PRIMARY KEY NOT NULL',
}

/** `name` where it is to have another than its own. */
export function createTable(table: Table, name: string = table.name): string {
  const columns = [
    ID_DEFINITIONS[table.id],
    '_version INTEGER NOT NULL',
    ...table.columns.map(columnDefinition),
  ]
  return `CREATE TABLE ${quote(name)} (\n  ${columns.join(',\n  ')}\n) STRICT`
}

export function addColumn(table: Table, column: Column): string {
  const value = column.default === undefined ? '' : ` DEFAULT ${literal(column)}`
  return `ALTER TABLE ${quote(table.name)} ADD COLUMN ${columnDefinition(column)}${value}`
}

interface ColumnInfo {
  name: string
  type: string
  notnull: number
  pk: number
}

function idOf(database: Database, name: string, type: string): Table['id'] {
  if (type === 'TEXT') return 'uuid'
  const sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND lower(name) = ?"
  const made = database.query<{ sql: string }, [string]>(sql).get(name)?.sql ?? ''
  return made.includes('AUTOINCREMENT') ? 'integer' : 'given'
}

function readForeign(database: Database, table: string, derived: readonly DerivedObject[]): string[] {
  const sql = `
    SELECT name, sql
    FROM sqlite_schema
    WHERE type IN ('index', 'trigger') AND lower(tbl_name) = ? AND sql IS NOT NULL`
  const own = new Set(derived.map(({ name }) => name))
  const objects = database.query<{ name: string; sql: string }, [string]>(sql).all(table)
  return objects.filter(({ name }) => !own.has(name)).map((object) => object.sql)
}

function readReferences(database: Database, table: string): Map<string, string> {
  const sql = 'SELECT "from" AS name, "table" AS target, on_delete AS action FROM pragma_foreign_key_list(?)'
  const rows = database.query<{ name: string; target: string; action: string }, [string]>(sql).all(table)
  return new Map(
    rows.map(({ name, target, action }) => [
      name,
      action === 'NO ACTION' ? target : `${target} ${action.toLowerCase()}`,
    ]),
  )
}

function kindOf(type: string): ColumnKind | undefined {
  const kinds = Object.keys(COLUMN_TYPES) as ColumnKind[]
  return kinds.find((kind) => COLUMN_TYPES[kind] === type)
}

// No action on delete is what `restrict` means here: it refuses the delete too, but looks when the statement is
// done, so that a row which refers to itself can be deleted.
function columnDefinition(column: Column): string {
  const parts = [quote(column.name), COLUMN_TYPES[column.kind]]
  if (!column.nullable) parts.push('NOT NULL')
  if (column.references !== undefined) parts.push(`REFERENCES ${quote(column.references)} (id)`)
  if (column.onDelete === 'set null') parts.push('ON DELETE SET NULL')
  if (column.onDelete === 'cascade') parts.push('ON DELETE CASCADE')
  return parts.join(' ')
}

/** The column's default in SQL, NULL without one. */
export function literal({ kind, default: value }: Column): string {
  if (value === null || value === undefined) return 'NULL'
  const encoded = sqliteDialect.encode(kind, value)
  return typeof encoded === 'number' ? String(encoded) : `'${String(encoded).replaceAll("'", "''")}'`
}
