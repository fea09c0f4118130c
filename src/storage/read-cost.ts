// Whether a read touches about as many rows as it gives, however large its table is. It must never say so of one that
// does not: the main thread runs such reads itself. The other way round it only costs a detour.
import { isIndexed, orderOf } from './order.ts'
import type { Filter, FilterOperators, ListQuery } from './query.ts'
import type { TableShape } from './table-shape.ts'

/** Rows that may be passed over before the page: an index is read at over 10,000 in a millisecond. */
const CHEAP_OFFSET_MAX = 10_000
/** Rows that may be found by one value each. */
const CHEAP_VALUES_MAX = 100

/** Whether an index gives the rows of the list one after the other, in order, with none between that is not asked for. */
export function isCheapList(shape: TableShape, query: ListQuery): boolean {
  const { where, sort, search, deleted = false, offset = 0 } = query
  if (search !== undefined) return false
  if (where !== undefined && isOfFewRows(shape, where)) return true
  const order = orderOf(shape, sort)
  const field = order[0]?.field ?? 'id'
  // Rows that have the first key in common are sorted by the others: they may be any number.
  if (order.length > 2 || offset > CHEAP_OFFSET_MAX || !isDriving(shape, field, deleted)) return false
  if (where === undefined) return true
  const conditions = conditionsOf(where)
  const [only, ...others] = new Set(conditions?.map(([name]) => name))
  if (conditions === undefined || only === undefined || others.length > 0) return false
  if (only === field) return conditions.every(([, value]) => isRange(value))
  // The rows of one value are in the order of their ids.
  return field === 'id' && isDriving(shape, only, deleted) && conditions.every(([, value]) => isPoint(value))
}

/** Whether the filter asks for a few rows by their ids or other unique values. */
export function isOfFewRows({ columns, table }: TableShape, where: Filter): boolean {
  const conditions = conditionsOf(where) ?? []
  return conditions.some(([field, value]) => {
    // Among the deleted, values repeat.
    const isUnique = field === 'id' || (columns.get(field)?.unique === true && table.softDelete !== true)
    if (!isUnique || typeof value !== 'object' || value === null) return isUnique
    const { eq, in: values } = value as FilterOperators
    return eq !== undefined || (values !== undefined && values.length <= CHEAP_VALUES_MAX)
  })
}

/** Whether an index has just the rows that are living, or deleted, in the order of the field. */
function isDriving(shape: TableShape, field: string, deleted: boolean): boolean {
  if (!isIndexed(shape, field)) return false
  if (shape.table.softDelete !== true || field === 'id') return true
  // The index of a reference has both.
  return !deleted && shape.columns.get(field)?.references === undefined
}

/** Fields with what is asked of them, all of which must hold; undefined where there is an `or`. */
function conditionsOf(where: Filter): (readonly [field: string, value: unknown])[] | undefined {
  const conditions: (readonly [string, unknown])[] = []
  for (const [field, value] of Object.entries(where)) {
    if (field === 'or') return undefined
    const parts =
      field === 'and' ? (value as readonly Filter[]).map(conditionsOf) : [[[field, value] as const]]
    for (const part of parts) {
      if (part === undefined) return undefined
      conditions.push(...part)
    }
  }
  return conditions
}

const RANGES: ReadonlySet<string> = new Set(['eq', 'gt', 'gte', 'lt', 'lte', 'null'])

/** Whether the rows lie side by side in an index of the field. */
function isRange(value: unknown): boolean {
  return typeof value !== 'object' || value === null || Object.keys(value).every((name) => RANGES.has(name))
}

/** Whether the rows have the same value. */
function isPoint(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  const { eq, null: isNull } = value as FilterOperators
  return Object.keys(value).length === 1 && (eq !== undefined || isNull === true)
}
