// Whether a record in memory passes a filter: the third use of a filter, for states that are not stored yet. It
// answers exactly as an engine would, and knows no tables.
import { type Condition, type Filter, type FilterValue, foldFilter } from '../storage/query.ts'

/** A record or row; a property that is absent counts as null. */
export type FilterableValues = { readonly [field: string]: unknown }

/**
 * Whether the values pass the filter, as the store's `where` would answer. Throws TypeError where the filter is not
 * well-formed or compares values of different types.
 */
export function matches(filter: Filter, values: FilterableValues): boolean {
  return foldFilter<boolean>(filter, {
    condition: (condition) => meets(values[condition.field] ?? null, condition),
    every: (parts) => !parts.includes(false),
    some: (parts) => parts.includes(true),
  })
}

// SQL's logic with three values needs no third value here: a filter has no negation, so unknown is as good as false.
function meets(value: unknown, condition: Condition): boolean {
  if (condition.operator === 'null') return (value === null) === condition.operand
  if (value === null || condition.operand === null) return false
  switch (condition.operator) {
    case 'in':
      return condition.operand.some((operand) => compare(value, operand, condition) === 0)
    case 'nin':
      return condition.operand.every((operand) => compare(value, operand, condition) !== 0)
    case 'contains':
      return lowerAscii(text(value, condition)).includes(lowerAscii(condition.operand))
    case 'starts_with':
      return lowerAscii(text(value, condition)).startsWith(lowerAscii(condition.operand))
  }
  const order = compare(value, condition.operand, condition)
  switch (condition.operator) {
    case 'eq':
      return order === 0
    case 'ne':
      return order !== 0
    case 'gt':
      return order > 0
    case 'gte':
      return order >= 0
    case 'lt':
      return order < 0
    case 'lte':
      return order <= 0
  }
}

/** Negative, zero or positive: the order that both engines sort by. */
function compare(value: unknown, operand: FilterValue, condition: Condition): number {
  if (typeof value === 'string' && typeof operand === 'string') return compareText(value, operand)
  if (typeof value === 'number' && typeof operand === 'number')
    return value < operand ? -1 : Number(value > operand)
  if (typeof value === 'boolean' && typeof operand === 'boolean') return Number(value) - Number(operand)
  throw new TypeError(`Filter ${condition.field} ${condition.operator} has an operand of the wrong type`)
}

/** By code points, as bytes of UTF-8 are ordered; JavaScript's own `<` puts emoji before U+E000 to U+FFFF. */
function compareText(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index)
    const right = b.charCodeAt(index)
    if (left !== right) return codePointRank(left) - codePointRank(right)
  }
  return a.length - b.length
}

// A half of a surrogate pair belongs to a code point above all that one unit can hold.
function codePointRank(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit
}

function text(value: unknown, condition: Condition): string {
  if (typeof value === 'string') return value
  throw new TypeError(`Filter ${condition.field} ${condition.operator} is for text only`)
}

function lowerAscii(value: string): string {
  return value.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())
}
