// How SQLite differs from other engines: its text, and how values and rows cross the driver. It runs nothing.
import {
  type SqlBool,
  DefaultConnectionProvider,
  DefaultQueryExecutor,
  DummyDriver,
  SqliteAdapter,
  SqliteQueryCompiler,
  sql,
} from 'kysely'
import type { ColumnKind, Row, Table } from '../store.ts'
import type { SqlDialect } from '../table-shape.ts'
import { ContentError } from './errors.ts'

export const sqliteDialect: SqlDialect = {
  // Not the whole of a Kysely, which brings schemas, transactions and the catalogues of engines.
  kysely: new DefaultQueryExecutor(
    new SqliteQueryCompiler(),
    new SqliteAdapter(),
    new DefaultConnectionProvider(new DummyDriver()),
  ),
  encode(kind, value) {
    if (kind === 'boolean') return value === true ? 1 : 0
    if (kind === 'json') return JSON.stringify(value)
    // SQLite stores -0 as 0.
    return typeof value === 'number' ? value + 0 : value
  },
  // RETURNING doubles the time of an insert. A trigger of ours that fills an index of words inserts rows itself: let no
  // id of a row depend on whose number SQLite takes for the last one then.
  knowsInserted: ({ id, search }) => id !== 'integer' || search === undefined,
  // SQLite looks at a plain parameter when it plans, where the parameter equals a column of the order or is a limit; then
  // each new value is planned for anew, which takes as long as the statement itself. It does not look into expressions.
  operand: (value) => sql`+${value}`,
  size: (size) => sql<number>`${size} + 0`,
  lower: (text) => sql<string>`lower(${text})`,
  position: (text, part) => sql<number>`instr(${text}, ${part})`,
  search: {
    index: searchIndexName,
    // A column may be called rowid, but none begins with _.
    rowNumber: '_rowid_',
    // Within quotes nothing means anything but the words, which have no quotes.
    text: (words) => `${words.map((word) => `"${word}"`).join(' ')}*`,
    matches: (index, text) => sql<SqlBool>`${sql.ref(index)} MATCH ${text}`,
    score: (index) => sql<number>`bm25(${sql.ref(index)})`,
  },
}

/**
 * The FTS5 table of a table with `search`. The sign at its end keeps it apart from what FTS5 makes for the index of
 * another table: for `items` it makes one that ends with items_data, and that may be the name of a resource.
 */
export function searchIndexName(table: string): string {
  return `_hipflask_fts_${table}$`
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

/** A row with less text is on one page of 4 KiB, in any script. */
const ONE_PAGE_CHARACTERS = 1000

/**
 * Turns what the driver gives for a row of the table into the row, in place. Throws ContentError where a text has a NUL:
 * none is ever written (values.ts). What a row has beyond its first page is on pages that have nothing by which SQLite
 * would find out that they were emptied.
 */
export function createRowDecoder(table: Table): (raw: Record<string, unknown>) => Row {
  const namesOf = (kind: ColumnKind) =>
    table.columns.filter((column) => column.kind === kind).map(({ name }) => name)
  const booleans = namesOf('boolean')
  const documents = namesOf('json')
  const texts = [...namesOf('text'), ...documents]
  return (raw) => {
    let characters = 0
    for (const name of texts) characters += (raw[name] as string | null)?.length ?? 0
    if (characters >= ONE_PAGE_CHARACTERS) refuseZeros(raw, texts)
    for (const name of booleans) if (raw[name] !== null) raw[name] = raw[name] === 1
    for (const name of documents) if (raw[name] !== null) raw[name] = JSON.parse(raw[name] as string)
    return raw as Row
  }
}

function refuseZeros(raw: Record<string, unknown>, texts: readonly string[]): void {
  for (const name of texts) {
    if ((raw[name] as string | null)?.includes('\0') === true)
      throw new ContentError(`Text ${name} has a NUL`)
  }
}
