// How SQLite differs from other engines: its text, and how values and rows cross the driver. It runs nothing.
import { DummyDriver, SqliteAdapter, SqliteIntrospector, SqliteQueryCompiler, sql } from 'kysely'
import type { SqlDialect } from '../compile.ts'
import type { ColumnKind, Row, Table } from '../store.ts'

export const sqliteDialect: SqlDialect = {
  kysely: {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new DummyDriver(),
    createIntrospector: (builder) => new SqliteIntrospector(builder),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  },
  encode(kind, value) {
    if (kind === 'boolean') return value === true ? 1 : 0
    if (kind === 'json') return JSON.stringify(value)
    return value
  },
  lower: (text) => sql<string>`lower(${text})`,
  position: (text, part) => sql<number>`instr(${text}, ${part})`,
}

/**
 * The types of STRICT tables. They know neither booleans nor JSON; but of the two spellings of an integer, and of
 * the two types that keep text as it is, one is free to tell such columns from others when a declaration changes.
 */
export const COLUMN_TYPES: Readonly<Record<ColumnKind, string>> = {
  text: 'TEXT',
  real: 'REAL',
  integer: 'INTEGER',
  boolean: 'INT',
  json: 'ANY',
}

/** Turns what the driver gives for a row of the table into the row, in place. */
export function createRowDecoder(table: Table): (raw: Record<string, unknown>) => Row {
  const booleans = table.columns.filter(({ kind }) => kind === 'boolean').map(({ name }) => name)
  const documents = table.columns.filter(({ kind }) => kind === 'json').map(({ name }) => name)
  return (raw) => {
    for (const name of booleans) if (raw[name] !== null) raw[name] = raw[name] === 1
    for (const name of documents) if (raw[name] !== null) raw[name] = JSON.parse(raw[name] as string)
    return raw as Row
  }
}
