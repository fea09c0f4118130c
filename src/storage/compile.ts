// Turns reads and writes into SQL text with parameters, for any engine. Kysely only makes text here: this file opens
// no connection and runs nothing. Names come from the declared tables alone, values are always parameters.
import { sql } from 'kysely'
import { filterExpression, readFilter } from './filter-sql.ts'
import { type ListPlan, aliveOrDeleted, compileCount, compileList } from './list-sql.ts'
import type { Filter, ListQuery } from './query.ts'
import { isCheapList, isOfFewRows } from './read-cost.ts'
import type {
  Column,
  CountOptions,
  Delete,
  Id,
  Insert,
  ReadOptions,
  Sweep,
  Table,
  Update,
  Values,
} from './store.ts'
import {
  type InsertStatement,
  type SqlDialect,
  type SqlStatement,
  type TableShape,
  checkSize,
  compileOnce,
  qualified,
  shapeOf,
} from './table-shape.ts'
import { checkId, checkValue } from './values.ts'

export type { InsertStatement, ListPlan, SqlDialect, SqlStatement }

/** A read of one row by its id. */
export interface GetQuery extends ReadOptions {
  table: string
  id: Id
  where?: Filter | undefined
}

/** A count of rows. */
export interface CountQuery extends CountOptions {
  table: string
  where?: Filter | undefined
}

/**
 * Every method throws TypeError on an unknown table, field or operator and on a value of the wrong kind. Reads give
 * rows of `id`, `_version` and the columns; writes give the row after the write (delete: before it), or none. An insert
 * gives none where what it stores is known.
 */
export interface Compiler {
  get(query: GetQuery): SqlStatement
  list(query: ListQuery): ListPlan
  /** Whether the list takes the same time whatever the size of the table. */
  isCheapList(query: ListQuery): boolean
  /** One row with `total`; undefined where no row can be found. */
  count(query: CountQuery): SqlStatement | undefined
  isCheapCount(query: CountQuery): boolean
  insert(operation: Insert): InsertStatement
  update(operation: Update): SqlStatement
  delete(operation: Delete): SqlStatement
  /** Deletes the rows, and gives them. */
  sweep(sweep: Sweep): SqlStatement
}

export function createCompiler(dialect: SqlDialect, tables: readonly Table[]): Compiler {
  const shapes = new Map(tables.map((table) => [table.name, shapeOf(table, dialect)]))
  const shape = (name: string): TableShape => {
    const found = shapes.get(name)
    if (found === undefined) throw new TypeError(`Table ${name} is not declared`)
    return found
  }
  return {
    get: (query) => compileGet(shape(query.table), query),
    list: (query) => compileList(shape(query.table), query),
    isCheapList: (query) => isCheapList(shape(query.table), query),
    count: ({ table, where, ...options }) => compileCount(shape(table), where, options),
    isCheapCount: ({ table, where, search }) =>
      search === undefined && where !== undefined && isOfFewRows(shape(table), where),
    insert: (operation) => compileInsert(shape(operation.table), operation),
    update: (operation) => compileUpdate(shape(operation.table), operation),
    delete: (operation) => compileDelete(shape(operation.table), operation),
    sweep: (sweep) => compileSweep(shape(sweep.table), sweep),
  }
}

function compileGet(shape: TableShape, { id, where, deleted = false }: GetQuery): SqlStatement {
  const { builder, table, names } = shape
  checkId(table, id)
  const { key, parameters } = readFilter(shape, where)
  return compileOnce(
    shape,
    { key: `get ${deleted ? 'deleted' : ''} ${key}`, parameters: [id, ...parameters] },
    () => {
      const state = aliveOrDeleted(shape, deleted)
      const query = builder.selectFrom(table.name).select(names).where('id', '=', id)
      const alive = state === undefined ? query : query.where(state)
      return where === undefined ? alive : alive.where(filterExpression(shape, where))
    },
  )
}

// ── Writes ──────────────────────────────────────────────────────────────────────────────────────────────────────

function compileInsert(shape: TableShape, { id, values }: Insert): InsertStatement {
  const { table, dialect } = shape
  if (table.id === 'integer') {
    if (id !== undefined) throw new TypeError(`Table ${table.name} makes its own ids`)
  } else {
    if (id === undefined) throw new TypeError(`Table ${table.name} needs an id with every insert`)
    checkId(table, id)
  }
  const row: Record<string, unknown> = { id, _version: 1 }
  const parameters: unknown[] = id === undefined ? [1] : [id, 1]
  let given = 0
  for (const column of table.columns) {
    if (Object.hasOwn(values, column.name)) given++
    const value = encodedValue(shape, column, values)
    row[column.name] = value
    parameters.push(value)
  }
  if (given < Object.keys(values).length) checkNames(shape, values)
  // Looked for here first: what compileOnce is asked by takes three objects for each row.
  const sql = shape.texts.get(INSERT) ?? compileInsertText(shape, row, parameters)
  return { sql, parameters, row: dialect.knowsInserted(table) ? row : undefined }
}

const INSERT = 'insert'

function compileInsertText(
  shape: TableShape,
  row: Record<string, unknown>,
  parameters: readonly unknown[],
): string {
  const { builder, table, names, dialect } = shape
  return compileOnce(shape, { key: INSERT, parameters }, () => {
    const { id, ...withoutId } = row
    const insert = builder.insertInto(table.name).values(id === undefined ? withoutId : row)
    return dialect.knowsInserted(table) ? insert : insert.returning(names)
  }).sql
}

function compileUpdate(shape: TableShape, { id, values, version, where }: Update): SqlStatement {
  const { builder, table, names } = shape
  checkId(table, id)
  checkNames(shape, values)
  const changes: Record<string, unknown> = {}
  for (const column of table.columns) {
    if (Object.hasOwn(values, column.name)) changes[column.name] = encodedValue(shape, column, values)
  }
  const condition = conditionOf(shape, { id, version, where })
  return compileOnce(
    shape,
    {
      key: `update ${Object.keys(changes).join()} ${condition.key}`,
      parameters: [...Object.values(changes), ...condition.parameters],
    },
    () => {
      const next = sql<number>`${sql.ref('_version')} + 1`
      const update = builder
        .updateTable(table.name)
        .set({ ...changes, _version: next })
        .where('id', '=', id)
      const versioned = version === undefined ? update : update.where('_version', '=', version)
      return (where === undefined ? versioned : versioned.where(filterExpression(shape, where))).returning(
        names,
      )
    },
  )
}

function compileDelete(shape: TableShape, { id, version, where }: Delete): SqlStatement {
  const { builder, table, names } = shape
  checkId(table, id)
  const { key, parameters } = conditionOf(shape, { id, version, where })
  return compileOnce(shape, { key: `delete ${key}`, parameters }, () => {
    const deletion = builder.deleteFrom(table.name).where('id', '=', id)
    const versioned = version === undefined ? deletion : deletion.where('_version', '=', version)
    return (where === undefined ? versioned : versioned.where(filterExpression(shape, where))).returning(
      names,
    )
  })
}

/** The condition of an update or delete. */
function conditionOf(
  shape: TableShape,
  { id, version, where }: { id: Id; version: number | undefined; where: Filter | undefined },
) {
  const { key, parameters } = readFilter(shape, where)
  return {
    key: `${version === undefined ? '' : 'version'} ${key}`,
    parameters: [id, ...(version === undefined ? [] : [version]), ...parameters],
  }
}

function compileSweep(shape: TableShape, { column, before, limit }: Sweep): SqlStatement {
  const { builder, table, names, columns } = shape
  if (columns.get(column)?.kind !== 'text')
    throw new TypeError(`Table ${table.name} has no text column ${column}`)
  checkSize(limit)
  return compileOnce(shape, { key: `sweep ${column}`, parameters: [before, limit] }, () => {
    const old = builder
      .selectFrom(table.name)
      .select('id')
      .where(qualified(shape, column), '<', before)
      .orderBy(qualified(shape, column))
      .limit(shape.dialect.size(limit))
    return builder.deleteFrom(table.name).where('id', 'in', old).returning(names)
  })
}

function checkNames({ table, columns }: TableShape, values: Values): void {
  for (const name of Object.keys(values)) {
    if (!columns.has(name)) throw new TypeError(`Table ${table.name} has no column ${name}`)
  }
}

function encodedValue({ table, dialect }: TableShape, column: Column, values: Values): unknown {
  const value = Object.hasOwn(values, column.name) ? values[column.name] : null
  checkValue(table, column, value)
  return value === null ? null : dialect.encode(column.kind, value)
}
