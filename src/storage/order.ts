// The order of a list, and what comes after a place in it. A place is found by values, not by counting, so that a step
// through an index costs the same anywhere.
import type { Keyset, SortKey } from './query.ts'
import type { Column, Table } from './store.ts'
import type { TableShape } from './table-shape.ts'
import { checkId, checkValue } from './values.ts'

/** The keys of an order, the last of which is always the id. Throws TypeError on a field that can't be sorted by. */
export function orderOf(shape: TableShape, sort: readonly SortKey[] = []): readonly SortKey[] {
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
  // An index of (key, id) is read in either direction, but not the two columns in different ones.
  return [...order, { field: 'id', direction: sort.at(-1)?.direction ?? 'asc' }]
}

/** Whether an index has the rows of the table in the order of this field and then of id. */
export function isIndexed({ columns }: TableShape, field: string): boolean {
  const column = columns.get(field)
  if (column === undefined) return field === 'id'
  return column.index === true || column.unique === true || column.references !== undefined
}

/** A condition on one key. */
export interface KeyTest {
  field: string
  is: 'equal' | 'after' | 'before' | 'null' | 'set'
  /** A parameter, as the engine takes it; none for `null` and `set`. */
  operand?: unknown
}

/** Rows that meet all of the tests. */
export type Segment = readonly KeyTest[]

/**
 * What comes after a place, as segments that lie one behind the other in the order and have no row in common: first the
 * rows that equal the place in all keys but the last, in the end those that differ in the first.
 */
export function segmentsAfter(
  shape: TableShape,
  order: readonly SortKey[],
  { values, id }: Keyset,
): readonly Segment[] {
  if (values.length !== order.length - 1)
    throw new TypeError('A place has one value for each key of the order')
  const operands = [
    ...values.map((value, index) => operandOf(shape, order[index], value)),
    idOf(shape.table, id),
  ]
  const segments: Segment[] = []
  for (let at = order.length - 1; at >= 0; at--) {
    const key = order[at] as SortKey
    const same = order.slice(0, at).map(({ field }, index) => sameTest(field, operands[index]))
    const isNullable = shape.columns.get(key.field)?.nullable ?? false
    for (const test of testsBeyond(key, operands[at], isNullable)) segments.push([...same, test])
  }
  return segments
}

function sameTest(field: string, operand: unknown): KeyTest {
  return operand === null ? { field, is: 'null' } : { field, is: 'equal', operand }
}

// Nulls are first ascending and last descending.
function testsBeyond({ field, direction }: SortKey, operand: unknown, isNullable: boolean): KeyTest[] {
  if (direction === 'asc')
    return operand === null ? [{ field, is: 'set' }] : [{ field, is: 'after', operand }]
  if (operand === null) return []
  const before: KeyTest = { field, is: 'before', operand }
  return isNullable ? [before, { field, is: 'null' }] : [before]
}

function operandOf(
  { table, columns, dialect }: TableShape,
  key: SortKey | undefined,
  value: Keyset['values'][number],
) {
  const column = columns.get(key?.field ?? '') as Column
  // A place may be older than the declaration by which its field is required.
  if (value === null) return null
  checkValue(table, column, value)
  return dialect.encode(column.kind, value)
}

function idOf(table: Table, id: Keyset['id']): Keyset['id'] {
  checkId(table, id)
  return id
}
