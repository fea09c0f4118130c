// A declared table with what its statements are made of, worked out once; and the texts that were made for it. It knows
// no query and no engine.
import { type Expression, type QueryExecutor, type SqlBool, QueryCreator } from 'kysely'
import type { Column, ColumnKind, Table, Value } from './store.ts'

/** What differs between engines. */
export interface SqlDialect {
  /** Kysely's adapter and query compiler of the engine; it is never asked to run anything. */
  kysely: QueryExecutor
  /** A value as the engine's driver takes it. It has been checked. */
  encode: (kind: ColumnKind, value: Value) => unknown
  /** Nobody has to ask for what an insert has stored: an id that the engine makes is told by the driver. */
  knowsInserted: (table: Table) => boolean
  /** A parameter that is compared for equality. */
  operand: (value: unknown) => Expression<unknown>
  /** A parameter that is a limit or an offset. */
  size: (size: number) => Expression<number>
  /** Text with its ASCII letters, and only those, in lower case. */
  lower: (text: Expression<string>) => Expression<string>
  /** Where `part` begins in `text`, counted from 1; 0 where it does not occur. */
  position: (text: Expression<string>, part: string) => Expression<number>
  search: SearchDialect
}

/** How an engine finds words: by an index that can be joined to its table by the number of the row. */
export interface SearchDialect {
  /** The name of the table's index. */
  index: (table: string) => string
  /** The column, of the table and of the index, that has the number of the row: a newer row has a greater one. */
  rowNumber: string
  /** What the index is asked for rows with all of the words, the last one also as a beginning. */
  text: (words: readonly string[]) => string
  matches: (index: string, text: string) => Expression<SqlBool>
  /** Less is better. */
  score: (index: string) => Expression<number>
}

/** A statement that is ready to run. Equal shapes have the identical text, so it is the key of prepared statements. */
export interface SqlStatement {
  readonly sql: string
  readonly parameters: readonly unknown[]
}

export interface InsertStatement extends SqlStatement {
  /** What is stored, as a read would give it, but for an id that the engine makes. Undefined: the statement gives it. */
  readonly row: Record<string, unknown> | undefined
}

export type Schema = Record<string, Record<string, unknown>>

export interface TableShape {
  table: Table
  dialect: SqlDialect
  builder: QueryCreator<Schema>
  columns: ReadonlyMap<string, Column>
  /** All columns of a row, in the order of the table. */
  names: readonly string[]
  texts: Map<string, string>
}

export function shapeOf(table: Table, dialect: SqlDialect): TableShape {
  return {
    table,
    dialect,
    builder: new QueryCreator<Schema>({ executor: dialect.kysely }),
    columns: new Map(table.columns.map((column) => [column.name, column])),
    names: ['id', '_version', ...table.columns.map((column) => column.name)],
    texts: new Map(),
  }
}

/** The column's name with that of its table, since an index that is joined has columns of the same names. */
export function qualified({ table }: TableShape, column: string): string {
  return `${table.name}.${column}`
}

/** Texts kept per table. Only many different sets of columns, or of conditions and orders, make so many. */
const TEXTS_MAX = 1000

interface Compilable {
  compile(): SqlStatement
}

/**
 * The statement of a query. Its text depends on `key` alone: Kysely takes 10 to 100 µs, more than SQLite needs to run
 * most of them; so it is asked once, and the caller lines the parameters up in the order of the text.
 */
export function compileOnce(
  shape: TableShape,
  { key, parameters }: { key: string; parameters: readonly unknown[] },
  query: () => Compilable,
): SqlStatement {
  let text = shape.texts.get(key)
  if (text === undefined) {
    const compiled = query().compile()
    checkParameters(compiled.parameters, parameters)
    if (shape.texts.size >= TEXTS_MAX) shape.texts.clear()
    text = compiled.sql
    shape.texts.set(key, text)
  }
  return { sql: text, parameters }
}

// A caller that counts differently from Kysely would ask for something else than it was told to, so it is told at once.
function checkParameters(made: readonly unknown[], given: readonly unknown[]): void {
  if (made.length === given.length && made.every((value, index) => Object.is(value, given[index]))) return
  throw new TypeError('Parameters of a statement are not in the order of its text')
}

/** Throws TypeError unless it is an integer from 0. */
export function checkSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 0)
    throw new TypeError('Limits and offsets must be integers from 0')
}
