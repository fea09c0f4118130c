// Filters as SQL. A filter has a shape, which decides the text, and operands, which are its parameters: the shape is
// read at every query, the text is made when the shape is new.
import { type Expression, type SqlBool, expressionBuilder, sql } from 'kysely'
import { type Condition, type Filter, foldFilter } from './query.ts'
import type { ColumnKind } from './store.ts'
import { type Schema, type TableShape, qualified } from './table-shape.ts'

/** A filter without its operands, as text, and the operands in the order of the SQL text. */
export interface FilterShape {
  readonly key: string
  readonly parameters: readonly unknown[]
}

export const expression = expressionBuilder<Schema, string>()

/** Throws TypeError on an unknown field or operator, and on an operand of the wrong kind. */
export function readFilter(shape: TableShape, where: Filter | undefined): FilterShape {
  const parameters: unknown[] = []
  if (where === undefined) return { key: '', parameters }
  const key = foldFilter<string>(where, {
    condition: (condition) => readCondition(shape, condition, parameters),
    every: (parts) => `(${parts.join('&')})`,
    some: (parts) => `(${parts.join('|')}|)`,
  })
  return { key, parameters }
}

/** The SQL of a filter that `readFilter` has read. */
export function filterExpression(shape: TableShape, where: Filter): Expression<SqlBool> {
  return foldFilter<Expression<SqlBool>>(where, {
    condition: (condition) => conditionExpression(shape, condition),
    every: (parts) => expression.and(parts),
    some: (parts) => expression.or(parts),
  })
}

function readCondition(shape: TableShape, condition: Condition, parameters: unknown[]): string {
  const kind = filterableKind(shape, condition)
  const { field, operator } = condition
  const operands = operandsOf(shape, condition, kind)
  parameters.push(...operands)
  switch (operator) {
    case 'null':
      return `${field} ${condition.operand ? 'null' : 'set'}`
    case 'in':
    case 'nin':
      return `${field} ${operator} ${operands.length}`
    default:
      return condition.operand === null ? 'never' : `${field} ${operator}`
  }
}

/** As parameters, in the order in which `conditionExpression` uses them. */
function operandsOf({ dialect }: TableShape, condition: Condition, kind: ColumnKind): readonly unknown[] {
  switch (condition.operator) {
    case 'null':
      return []
    case 'contains':
      return [lowerAscii(condition.operand)]
    case 'starts_with':
      return [Array.from(condition.operand).length, lowerAscii(condition.operand)]
    case 'in':
    case 'nin':
      return condition.operand.map((operand) => dialect.encode(kind, operand))
    default:
      return condition.operand === null ? [] : [dialect.encode(kind, condition.operand)]
  }
}

const COMPARISONS = { eq: '=', ne: '!=', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const

// NULL compares as unknown, which no WHERE lets through: no operator but `null` ever meets it.
function conditionExpression(shape: TableShape, condition: Condition): Expression<SqlBool> {
  const { dialect } = shape
  const field = qualified(shape, condition.field)
  const column = sql.ref<string>(field)
  const operands = operandsOf(shape, condition, filterableKind(shape, condition))
  switch (condition.operator) {
    case 'null':
      return expression(field, condition.operand ? 'is' : 'is not', null)
    case 'contains':
      return expression(dialect.position(dialect.lower(column), operands[0] as string), '>', sql.lit(0))
    case 'starts_with': {
      const start = sql<string>`substr(${column}, 1, ${operands[0]})`
      return expression(dialect.lower(start), '=', operands[1] as string)
    }
    case 'in':
      return operands.length === 0 ? expression.or([]) : expression(field, 'in', operands)
    case 'nin':
      return operands.length === 0 ? expression(field, 'is not', null) : expression(field, 'not in', operands)
    default:
      if (condition.operand === null) return expression.or([])
      return expression(field, COMPARISONS[condition.operator], dialect.operand(operands[0]))
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
  const type = OPERAND_TYPES[kind]
  const isRight = (value: unknown) => value === null || typeof value === type
  if (Array.isArray(operand) ? operand.every(isRight) : isRight(operand)) return kind
  throw new TypeError(`Filter ${table.name}.${field} ${operator} has an operand of the wrong type`)
}

function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}
