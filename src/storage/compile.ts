// Turns reads and writes into SQL text with parameters, for any engine. Kysely only makes text here: this file opens
// no connection and runs nothing. Names come from the declared tables alone, values are always parameters.
import {
  type Dialect,
  type Expression,
  type RawBuilder,
  type SqlBool,
  Kysely,
  expressionBuilder,
  sql,
} from 'kysely'
import { type Condition, type Filter, type ListQuery, type SortKey, foldFilter } from './query.ts'
import type { Column, ColumnKind, Delete, Id, Insert, Table, Update, Value, Values } from './store.ts'
import { checkId, checkValue } from './values.ts'

/** What differs between engines. */
export interface SqlDialect {
  /** Kysely's adapter and query compiler, with a driver that does nothing. */
  kysely: Dialect
  /** A value as the engine's driver takes it. It has been checked. */
  encode: (kind: ColumnKind, value: Value) => unknown
  /** Text with its ASCII letters, and only those, in lower case. */
  lower: (text: Expression<string>) => Expression<string>
  /** Where `part` begins in `text`, counted from 1; 0 where it does not occur. */
  position: (text: Expression<string>, part: string) => Expression<number>
}

/** A statement that is ready to run. Equal shapes have the identical text, so it is the key of prepared statements. */
export interface SqlStatement {
  readonly sql: string
  readonly parameters: readonly unknown[]
}

/**
 * Every method throws TypeError on an unknown table, field or operator and on a value of the wrong kind. Reads give
 * rows of `id`, `_version` and the columns; writes give the row after the write (delete: before it), or none.
 */
export interface Compiler {
  get(table: string, id: Id, where?: Filter): SqlStatement
  list(query: ListQuery): SqlStatement
  /** One row with `total`, counted up to `limit` rows. */
  count(table: string, where: Filter, limit?: number): SqlStatement
  insert(operation: Insert): SqlStatement
  update(operation: Update): SqlStatement
  delete(operation: Delete): SqlStatement
}

/** Texts kept per table. Only updates of many different sets of columns, or lists in many orders, make so many. */
const TEXTS_MAX = 256

export function createCompiler(dialect: SqlDialect, tables: readonly Table[]): Compiler {
  const builder = new Kysely<Schema>({ dialect: dialect.kysely })
  const shapes = new Map(tables.map((table) => [table.name, shapeOf(table, dialect, builder)]))
  const shape = (name: string): TableShape => {
    const found = shapes.get(name)
    if (found === undefined) throw new TypeError(`Table ${name} is not declared`)
    return found
  }
  return {
    get: (table, id, where) => compileGet(shape(table), id, where),
    list: (query) => compileList(shape(query.table), query),
    count: (table, where, limit) => compileCount(shape(table), where, limit),
    insert: (operation) => compileInsert(shape(operation.table), operation),
    update: (operation) => compileUpdate(shape(operation.table), operation),
    delete: (operation) => compileDelete(shape(operation.table), operation),
  }
}

type Schema = Record<string, Record<string, unknown>>

/** A table with what is worked out once. */
interface TableShape {
  table: Table
  dialect: SqlDialect
  builder: Kysely<Schema>
  columns: ReadonlyMap<string, Column>
  /** All columns of a row, in the order of the table. */
  names: readonly string[]
  texts: Map<string, string>
}

function shapeOf(table: Table, dialect: SqlDialect, builder: Kysely<Schema>): TableShape {
  return {
    table,
    dialect,
    builder,
    columns: new Map(table.columns.map((column) => [column.name, column])),
    names: ['id', '_version', ...table.columns.map((column) => column.name)],
    texts: new Map(),
  }
}

// Without a filter, text depends on the shape alone. Kysely takes 5 to 10 µs, more than SQLite needs to run most of
// them; so it is asked once, and the caller lines the parameters up in the order of the text.
function compileOnce(shape: TableShape, key: string, query: () => { compile(): SqlStatement }): string {
  let text = shape.texts.get(key)
  if (text === undefined) {
    if (shape.texts.size >= TEXTS_MAX) shape.texts.clear()
    text = query().compile().sql
    shape.texts.set(key, text)
  }
  return text
}

// ── Reads ───────────────────────────────────────────────────────────────────────────────────────────────────────

function compileGet(shape: TableShape, id: Id, where: Filter | undefined): SqlStatement {
  const { builder, table, names } = shape
  checkId(table, id)
  const query = () => builder.selectFrom(table.name).select(names).where('id', '=', id)
  if (where !== undefined) return query().where(compileFilter(shape, where)).compile()
  return { sql: compileOnce(shape, 'get', query), parameters: [id] }
}

function compileList(shape: TableShape, { where, sort = [], limit, offset = 0 }: ListQuery): SqlStatement {
  const { builder, table, names } = shape
  checkSize(limit)
  checkSize(offset)
  const order = checkedOrder(shape, sort)
  const query = () => {
    let ordered = builder.selectFrom(table.name).select(names)
    for (const { field, direction } of order) {
      ordered = isNullable(shape, field)
        ? ordered.orderBy(field, (key) =>
            direction === 'asc' ? key.asc().nullsFirst() : key.desc().nullsLast(),
          )
        : ordered.orderBy(field, direction)
    }
    return ordered.limit(limit).offset(offset)
  }
  if (where !== undefined) return query().where(compileFilter(shape, where)).compile()
  const key = `list ${order.map(({ field, direction }) => `${field} ${direction}`).join()}`
  return { sql: compileOnce(shape, key, query), parameters: [limit, offset] }
}

function compileCount(shape: TableShape, where: Filter, limit: number | undefined): SqlStatement {
  const { builder, table } = shape
  let matching = builder
    .selectFrom(table.name)
    .select(sql`1`.as('one'))
    .where(compileFilter(shape, where))
  if (limit !== undefined) {
    checkSize(limit)
    matching = matching.limit(limit)
  }
  return builder
    .selectFrom(matching.as('matching'))
    .select(({ fn }) => fn.countAll().as('total'))
    .compile()
}

/** The keys of an order up to the id, which ends every order. */
function checkedOrder(shape: TableShape, sort: readonly SortKey[]): readonly SortKey[] {
  const order: SortKey[] = []
  for (const key of sort) {
    if (key.direction !== 'asc' && key.direction !== 'desc')
      throw new TypeError('Sort is neither asc nor desc')
    order.push(key)
    if (key.field === 'id') return order
    const kind = shape.columns.get(key.field)?.kind
    if (kind === undefined) throw new TypeError(`Sort names unknown field ${shape.table.name}.${key.field}`)
    if (kind === 'json') throw new TypeError(`Sort cannot use ${shape.table.name}.${key.field}`)
  }
  return [...order, { field: 'id', direction: 'asc' }]
}

// Only a nullable column says where its nulls go: elsewhere the words would keep PostgreSQL from using its index.
function isNullable(shape: TableShape, field: string): boolean {
  return shape.columns.get(field)?.nullable ?? false
}

function checkSize(size: number): void {
  if (!Number.isSafeInteger(size) || size < 0)
    throw new TypeError('Limits and offsets must be integers from 0')
}

// ── Writes ──────────────────────────────────────────────────────────────────────────────────────────────────────

function compileInsert(shape: TableShape, { id, values }: Insert): SqlStatement {
  const { builder, table, names } = shape
  const row: Record<string, unknown> = {}
  if (table.id === 'integer') {
    if (id !== undefined) throw new TypeError(`Table ${table.name} makes its own ids`)
  } else {
    if (id === undefined) throw new TypeError(`Table ${table.name} needs an id with every insert`)
    checkId(table, id)
    row['id'] = id
  }
  row['_version'] = 1
  checkNames(shape, values)
  for (const column of table.columns) row[column.name] = encodedValue(shape, column, values)
  const query = () => builder.insertInto(table.name).values(row).returning(names)
  return { sql: compileOnce(shape, 'insert', query), parameters: Object.values(row) }
}

function compileUpdate(shape: TableShape, { id, values, version, where }: Update): SqlStatement {
  const { builder, table, names } = shape
  checkId(table, id)
  checkNames(shape, values)
  const changes: Record<string, unknown> = {}
  for (const column of table.columns) {
    if (Object.hasOwn(values, column.name)) changes[column.name] = encodedValue(shape, column, values)
  }
  const query = () => {
    const next = sql<number>`${sql.ref('_version')} + 1`
    const update = builder
      .updateTable(table.name)
      .set({ ...changes, _version: next })
      .where('id', '=', id)
    return (version === undefined ? update : update.where('_version', '=', version)).returning(names)
  }
  if (where !== undefined) return query().where(compileFilter(shape, where)).compile()
  const key = `update ${Object.keys(changes).join()}${version === undefined ? '' : ' version'}`
  const parameters = [...Object.values(changes), id, ...(version === undefined ? [] : [version])]
  return { sql: compileOnce(shape, key, query), parameters }
}

function compileDelete(shape: TableShape, { id, version, where }: Delete): SqlStatement {
  const { builder, table, names } = shape
  checkId(table, id)
  const query = () => {
    const deletion = builder.deleteFrom(table.name).where('id', '=', id)
    return (version === undefined ? deletion : deletion.where('_version', '=', version)).returning(names)
  }
  if (where !== undefined) return query().where(compileFilter(shape, where)).compile()
  if (version === undefined) return { sql: compileOnce(shape, 'delete', query), parameters: [id] }
  return { sql: compileOnce(shape, 'delete version', query), parameters: [id, version] }
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

// ── Filters ─────────────────────────────────────────────────────────────────────────────────────────────────────

const expression = expressionBuilder<Schema, string>()
const COMPARISONS = { eq: '=', ne: '!=', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const

function compileFilter(shape: TableShape, where: Filter): Expression<SqlBool> {
  return foldFilter<Expression<SqlBool>>(where, {
    condition: (condition) => compileCondition(shape, condition),
    every: (parts) => expression.and(parts),
    some: (parts) => expression.or(parts),
  })
}

// NULL compares as unknown, which no WHERE lets through: no operator but `null` ever meets it.
function compileCondition(shape: TableShape, condition: Condition): Expression<SqlBool> {
  const { dialect } = shape
  const { field } = condition
  const kind = filterableKind(shape, condition)
  const column: RawBuilder<string> = sql.ref(field)
  switch (condition.operator) {
    case 'null':
      return expression(field, condition.operand ? 'is' : 'is not', null)
    case 'contains':
      return expression(dialect.position(dialect.lower(column), lowerAscii(condition.operand)), '>', 0)
    case 'starts_with': {
      const length = Array.from(condition.operand).length
      const start = sql<string>`substr(${column}, 1, ${length})`
      return expression(dialect.lower(start), '=', lowerAscii(condition.operand))
    }
    case 'in':
      return condition.operand.length === 0
        ? expression.or([])
        : expression(
            field,
            'in',
            condition.operand.map((operand) => dialect.encode(kind, operand)),
          )
    case 'nin':
      return condition.operand.length === 0
        ? expression(field, 'is not', null)
        : expression(
            field,
            'not in',
            condition.operand.map((operand) => dialect.encode(kind, operand)),
          )
    default:
      if (condition.operand === null) return expression.or([])
      return expression(field, COMPARISONS[condition.operator], dialect.encode(kind, condition.operand))
  }
}

const OPERAND_TYPES = {
  text: 'string',
  real: 'number',
  integer: 'number',
  boolean: 'boolean',
  json: 'none',
} as const

/** The kind of the condition's field, where the condition can be asked of it; TypeError otherwise. */
function filterableKind({ table, columns }: TableShape, condition: Condition): ColumnKind {
  const { field, operator, operand } = condition
  const idKind = table.id === 'uuid' ? 'text' : 'integer'
  const kind = field === 'id' ? idKind : columns.get(field)?.kind
  if (kind === undefined) throw new TypeError(`Filter names unknown field ${table.name}.${field}`)
  if (operator === 'null') return kind
  if (kind === 'json' || ((operator === 'contains' || operator === 'starts_with') && kind !== 'text')) {
    throw new TypeError(`Filter ${table.name}.${field} does not know operator ${operator}`)
  }
  const operands = Array.isArray(operand) ? operand : [operand]
  if (operands.some((value) => value !== null && typeof value !== OPERAND_TYPES[kind])) {
    throw new TypeError(`Filter ${table.name}.${field} ${operator} has an operand of the wrong type`)
  }
  return kind
}

function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}
