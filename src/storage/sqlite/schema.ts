// What tables a SQLite file has, and the statements that make or change them. What to change is decided in
// ../migrate.ts.
import type { Database } from 'bun:sqlite'
import type { Column, ColumnKind, Table } from '../store.ts'
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
  /** Names of the indexes that `indexName` made. */
  indexes: readonly string[]
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
  const indexes = database
    .query<{ name: string }, [string]>('SELECT name FROM pragma_index_list(?)')
    .all(name)
  return {
    id: isOurs ? (id.type === 'TEXT' ? 'uuid' : 'integer') : undefined,
    columns: new Map(
      columns.map((column) => [
        column.name,
        { kind: kindOf(column.type), nullable: column.notnull === 0, reference: references.get(column.name) },
      ]),
    ),
    indexes: indexes.map((index) => index.name).filter((index) => isIndexName(name, index)),
    hasRows: isOurs && database.query(`SELECT 1 FROM ${quote(name)} LIMIT 1`).get() !== null,
  }
}

/** Whether two rows have the same value in a column; nulls are never the same. */
export function hasDuplicates(database: Database, table: string, column: string): boolean {
  const [target, name] = [quote(table), quote(column)]
  const sql = `SELECT 1 FROM ${target} WHERE ${name} IS NOT NULL GROUP BY ${name} HAVING count(*) > 1 LIMIT 1`
  return database.query(sql).get() !== null
}

/** A foreign key as one text, for comparing and for messages. */
export function describeReference({ references, onDelete = 'restrict' }: Column): string | undefined {
  if (references === undefined) return undefined
  return onDelete === 'restrict' ? references : `${references} ${onDelete}`
}

/** The name of the index that a column should have: that of its unique values serves as its index too. */
export function indexName(table: Table, column: Column): string | undefined {
  if (column.unique === true) return `${table.name}.${column.name}.unique`
  const isIndexed = column.index === true || column.references !== undefined
  return isIndexed ? `${table.name}.${column.name}.index` : undefined
}

export function createTable(table: Table): string {
  // AUTOINCREMENT: the id of a deleted row is never given to another.
  const id = table.id === 'integer' ? 'id INTEGER PRIMARY KEY AUTOINCREMENT' : 'id TEXT PRIMARY KEY NOT NULL'
  const columns = [id, '_version INTEGER NOT NULL', ...table.columns.map(columnDefinition)]
  return `CREATE TABLE ${quote(table.name)} (\n  ${columns.join(',\n  ')}\n) STRICT`
}

export function addColumn(table: Table, column: Column): string {
  const value = column.default === undefined ? '' : ` DEFAULT ${literal(column)}`
  return `ALTER TABLE ${quote(table.name)} ADD COLUMN ${columnDefinition(column)}${value}`
}

export function createIndex(table: Table, column: Column, name: string): string {
  const kind = column.unique === true ? 'UNIQUE INDEX' : 'INDEX'
  return `CREATE ${kind} ${quote(name)} ON ${quote(table.name)} (${quote(column.name)})`
}

export function dropIndex(name: string): string {
  return `DROP INDEX ${quote(name)}`
}

interface ColumnInfo {
  name: string
  type: string
  notnull: number
  pk: number
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

// "items.price.index": a name holds dots, which no resource and no property can have, so that no two collide.
function isIndexName(table: string, name: string): boolean {
  const [owner, , kind] = name.split('.')
  return owner === table && (kind === 'index' || kind === 'unique')
}

// No action on delete is what `restrict` means here: it refuses the delete too, but looks when the statement is
// done, so that a row which refers to itself can be deleted.
function columnDefinition(column: Column): string {
  const parts = [quote(column.name), COLUMN_TYPES[column.kind]]
  if (!column.nullable) parts.push('NOT NULL')
  if (column.references !== undefined) parts.push(`REFERENCES ${quote(column.references)} (id)`)
  if (column.onDelete === 'set null') parts.push('ON DELETE SET NULL')
  return parts.join(' ')
}

function literal({ kind, default: value }: Column): string {
  if (value === null || value === undefined) return 'NULL'
  const encoded = sqliteDialect.encode(kind, value)
  return typeof encoded === 'number' ? String(encoded) : `'${String(encoded).replaceAll("'", "''")}'`
}

function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
