// What a read asks for, as plain data. The query string parses into it, an access rule returns it, an engine
// compiles it. It knows neither SQL nor HTTP.
import type { Filter, FilterOperators, FilterValue } from '../sdk.ts'

export type { Filter, FilterOperators, FilterValue }

export const FILTER_OPERATORS = [
  'eq',
  'ne',
  'gt',
  'gte',
  'lt',
  'lte',
  'in',
  'nin',
  'contains',
  'starts_with',
  'null',
] as const satisfies readonly (keyof FilterOperators)[]

export type FilterOperator = (typeof FILTER_OPERATORS)[number]

/** One key of an order. */
export interface SortKey {
  field: string
  direction: 'asc' | 'desc'
}

/** A place in an order: the values of all its sort keys before the id, and the id, of the row that was seen last. */
export interface Keyset {
  values: readonly (FilterValue | null)[]
  id: number | string
}

/**
 * Rows of a table in the order of `sort` and then of id, from `offset` or after a place. Nulls come first ascending and
 * last descending; ids go the way of the last sort key.
 */
export interface ListQuery {
  table: string
  where?: Filter | undefined
  sort?: readonly SortKey[] | undefined
  limit: number
  offset?: number | undefined
  /** Not together with `offset`; a search needs a `sort` for it. */
  after?: Keyset | undefined
  /**
   * Words that a row's search columns must have, all of them, the last one also as a beginning. Without `sort` the best
   * of the newest 1,000 matches come first; text without a word finds nothing. Any text is a search, never an error.
   */
  search?: string | undefined
  /** Soft-deleted rows instead of the living ones. */
  deleted?: boolean | undefined
}

/** Matches of a search that are ranked where it has no `sort`: the newest ones. */
export const SEARCH_RANKED_MAX = 1000
/** Deepest nesting of `or` and `and`; a filter without either has depth 1. */
export const FILTER_DEPTH_MAX = 8
/** Most conditions in one filter. */
export const FILTER_CONDITIONS_MAX = 100
/** Most values of one `in` or `nin`. */
export const FILTER_VALUES_MAX = 1000

/** One condition of a filter, its operand checked against its operator. */
export type Condition = { field: string } & (
  | { operator: 'eq'; operand: FilterValue | null }
  | { operator: 'ne' | 'gt' | 'gte' | 'lt' | 'lte'; operand: FilterValue }
  | { operator: 'in' | 'nin'; operand: readonly FilterValue[] }
  | { operator: 'contains' | 'starts_with'; operand: string }
  | { operator: 'null'; operand: boolean }
)

/** What a filter is folded into: SQL text for an engine, yes or no for a record in memory. */
export interface FilterMeaning<T> {
  condition: (condition: Condition) => T
  /** True without parts. */
  every: (parts: readonly T[]) => T
  /** False without parts. */
  some: (parts: readonly T[]) => T
}

/**
 * Folds a filter from its leaves up. It is the only reader of a filter's structure, so that all of its uses agree.
 * Throws TypeError where the filter is not one: that is a fault of our code or of a rule, never of a client. An
 * operand of undefined, or a field without operators, is such a fault too: a misspelt rule must not match everything.
 */
export function foldFilter<T>(filter: Filter, meaning: FilterMeaning<T>): T {
  let conditions = 0
  const fold = (part: Filter, depth: number): T => {
    if (depth > FILTER_DEPTH_MAX) throw new TypeError(`Filter is deeper than ${FILTER_DEPTH_MAX}`)
    if (!isPlainObject(part)) throw new TypeError('Filter must be an object')
    const parts: T[] = []
    for (const [field, value] of Object.entries(part)) {
      if (field === 'or' || field === 'and') {
        if (!Array.isArray(value)) throw new TypeError(`Filter ${field} must be a list of filters`)
        const members = value.map((member: Filter) => fold(member, depth + 1))
        parts.push(field === 'or' ? meaning.some(members) : meaning.every(members))
        continue
      }
      const tests = isPlainObject(value) ? Object.entries(value) : [['eq', value] as const]
      if (tests.length === 0) throw new TypeError(`Filter ${field} has no operator`)
      for (const [operator, operand] of tests) {
        conditions++
        if (conditions > FILTER_CONDITIONS_MAX) {
          throw new TypeError(`Filter has more than ${FILTER_CONDITIONS_MAX} conditions`)
        }
        parts.push(meaning.condition(checkedCondition(field, operator, operand)))
      }
    }
    const [only] = parts
    return parts.length === 1 ? (only as T) : meaning.every(parts)
  }
  return fold(filter, 1)
}

function checkedCondition(field: string, operator: string, operand: unknown): Condition {
  if (!Object.hasOwn(OPERAND_CHECKS, operator)) {
    throw new TypeError(`Filter ${field} has unknown operator ${operator}`)
  }
  if (!OPERAND_CHECKS[operator as FilterOperator](operand)) {
    throw new TypeError(`Filter ${field} ${operator} has an operand of the wrong type`)
  }
  return { field, operator, operand } as Condition
}

const isValues = (operand: unknown): boolean =>
  Array.isArray(operand) && operand.length <= FILTER_VALUES_MAX && operand.every(isFilterValue)

const OPERAND_CHECKS: Readonly<Record<FilterOperator, (operand: unknown) => boolean>> = {
  eq: (operand) => operand === null || isFilterValue(operand),
  ne: isFilterValue,
  gt: isFilterValue,
  gte: isFilterValue,
  lt: isFilterValue,
  lte: isFilterValue,
  in: isValues,
  nin: isValues,
  contains: isText,
  starts_with: isText,
  null: (operand) => typeof operand === 'boolean',
}

function isFilterValue(operand: unknown): boolean {
  return typeof operand === 'boolean' || Number.isFinite(operand) || isText(operand)
}

// A lone surrogate is no text: an engine would store and compare the replacement character in its place.
function isText(operand: unknown): boolean {
  return typeof operand === 'string' && operand.isWellFormed()
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
