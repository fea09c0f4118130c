// Lists and counts as SQL: filter, order, place, words. A text is made once for each shape of a query.
import { type Expression, type SelectQueryBuilder, type SqlBool, sql } from 'kysely'
import { expression, filterExpression, readFilter } from './filter-sql.ts'
import { type KeyTest, type Segment, isIndexed, orderOf, segmentsAfter } from './order.ts'
import { type Filter, type ListQuery, type SortKey, SEARCH_RANKED_MAX } from './query.ts'
import { searchWords } from './search-words.ts'
import type { CountOptions } from './store.ts'
import {
  type Schema,
  type SqlStatement,
  type TableShape,
  checkSize,
  compileOnce,
  qualified,
} from './table-shape.ts'

type Selection = SelectQueryBuilder<Schema, string, Record<string, unknown>>

/** Statements to run one after the other until there are `limit` rows: the last parameter of each is its own limit. */
export interface ListPlan {
  parts: readonly SqlStatement[]
  limit: number
}

/** No parts where no row can be found: the search has no word. */
export function compileList(shape: TableShape, query: ListQuery): ListPlan {
  const { limit, offset, after, sort } = query
  const { size } = shape.dialect
  checkSize(limit)
  if (offset !== undefined) checkSize(offset)
  if (after !== undefined && offset !== undefined)
    throw new TypeError('A list has an offset or a place, not both')
  const rows = readRows(shape, query)
  if (rows === undefined) return { parts: [], limit }
  if (rows.search !== undefined && sort === undefined)
    return { parts: [compileRanked(shape, rows, query)], limit }
  const order = orderOf(shape, sort)
  const key = `${order.map(({ field, direction }) => `${field} ${direction}`).join()} ${rows.key}`
  if (after !== undefined) {
    const segments = segmentsAfter(shape, order, after)
    return { parts: compileAfter(shape, { rows, order, segments, limit, key }), limit }
  }
  const page = [limit, ...(offset === undefined ? [] : [offset])]
  const part = compileOnce(
    shape,
    { key: `list ${page.length} ${key}`, parameters: [...parametersOf(rows), ...page] },
    () => {
      const limited = inOrder(shape, selectRows(shape, rows), { order, rows }).limit(size(limit))
      return offset === undefined ? limited : limited.offset(size(offset))
    },
  )
  return { parts: [part], limit }
}

/** One row with `total`; undefined as with `compileList`. */
export function compileCount(
  shape: TableShape,
  where: Filter | undefined,
  { limit, search, deleted }: CountOptions,
): SqlStatement | undefined {
  const rows = readRows(shape, { where, search, deleted })
  if (rows === undefined) return undefined
  if (limit !== undefined) checkSize(limit)
  const parameters = [...parametersOf(rows), ...(limit === undefined ? [] : [limit])]
  const key = `count ${limit === undefined ? 'all' : ''} ${rows.key}`
  return compileOnce(shape, { key, parameters }, () => {
    const matching = fromRows(shape, rows).select(sql.lit(1).as('one'))
    const limited = limit === undefined ? matching : matching.limit(shape.dialect.size(limit))
    return shape.builder.selectFrom(limited.as('matching')).select(({ fn }) => fn.countAll().as('total'))
  })
}

/** Which rows, in no order yet. */
interface Rows {
  key: string
  where: Filter | undefined
  operands: readonly unknown[]
  deleted: boolean
  /** What the index is asked for. */
  search: string | undefined
}

function readRows(
  shape: TableShape,
  { where, search, deleted = false }: Pick<ListQuery, 'where' | 'search' | 'deleted'>,
): Rows | undefined {
  const { key: filter, parameters: operands } = readFilter(shape, where)
  const key = `${deleted ? 'deleted' : ''} ${search === undefined ? '' : 'search'} ${filter}`
  if (search === undefined) return { key, where, operands, deleted, search }
  if (shape.table.search === undefined) throw new TypeError(`Table ${shape.table.name} cannot be searched`)
  const words = searchWords(search)
  if (words.length === 0) return undefined
  return { key, where, operands, deleted, search: shape.dialect.search.text(words) }
}

/** In the order in which `fromRows` uses them; `place` has those of its condition. */
function parametersOf({ search, operands }: Rows, place: readonly unknown[] = []): unknown[] {
  return [...(search === undefined ? [] : [search]), ...place, ...operands]
}

/** The rows with their words and conditions, behind a place. */
function fromRows(
  shape: TableShape,
  { where, deleted, search }: Rows,
  place?: Expression<SqlBool>,
): Selection {
  const { builder, table, dialect } = shape
  let from: Selection = builder.selectFrom(table.name)
  if (search !== undefined) {
    const index = dialect.search.index(table.name)
    const number = dialect.search.rowNumber
    // The index drives, always: from the other side each row of the table would be looked up in it.
    from = builder
      .selectFrom(index)
      .crossJoin(table.name)
      .whereRef(qualified(shape, number), '=', `${index}.${number}`)
      .where(dialect.search.matches(index, search))
  }
  // Before the filter: of two lower bounds of one column SQLite takes the first to begin at.
  if (place !== undefined) from = from.where(place)
  const state = aliveOrDeleted(shape, deleted)
  if (state !== undefined) from = from.where(state)
  return where === undefined ? from : from.where(filterExpression(shape, where))
}

function selectRows(shape: TableShape, rows: Rows, place?: Expression<SqlBool>): Selection {
  return fromRows(shape, rows, place).select(shape.names.map((name) => qualified(shape, name)))
}

/** Whether a row is one of the living, or of the deleted; undefined where all live. */
export function aliveOrDeleted(shape: TableShape, deleted: boolean): Expression<SqlBool> | undefined {
  if (shape.table.softDelete !== true) return deleted ? expression.or([]) : undefined
  return expression(qualified(shape, 'deleted_at'), deleted ? 'is not' : 'is', null)
}

// ── Order ───────────────────────────────────────────────────────────────────────────────────────────────────────

interface OrderedRows {
  rows: Rows
  order: readonly SortKey[]
}

function inOrder(shape: TableShape, selection: Selection, { rows, order }: OrderedRows): Selection {
  let ordered = selection
  for (const { field, direction } of order) {
    // Only a nullable column says where its nulls go: elsewhere the words would keep PostgreSQL from using its index.
    ordered =
      shape.columns.get(field)?.nullable === true
        ? ordered.orderBy(qualified(shape, field), (key) =>
            direction === 'asc' ? key.asc().nullsFirst() : key.desc().nullsLast(),
          )
        : ordered.orderBy(placeOf(shape, field, rows), direction)
  }
  return ordered
}

// An index of words has its rows in the order of their numbers; integer ids are those numbers.
function placeOf(shape: TableShape, field: string, { search }: Rows): string {
  if (field !== 'id' || search === undefined || shape.table.id === 'uuid') return qualified(shape, field)
  const { index, rowNumber } = shape.dialect.search
  return `${index(shape.table.name)}.${rowNumber}`
}

interface RowsAfter extends OrderedRows {
  segments: readonly Segment[]
  limit: number
  key: string
}

/**
 * The rows of the segments, in order. Where an index has the first key, each segment is a range of it: they are read in
 * turn, and mostly the first two make a page. (As one UNION ALL they take longer; and no row is in two segments, so that
 * it does not matter what others commit in between.) Elsewhere one pass over the table finds the rows of all segments,
 * and they are sorted.
 */
function compileAfter(
  shape: TableShape,
  { rows, order, segments, limit, key }: RowsAfter,
): readonly SqlStatement[] {
  const isInTurn = rows.search === undefined && isIndexed(shape, order[0]?.field ?? 'id')
  const groups = isInTurn ? segments.map((segment) => [segment]) : [segments]
  return groups.map((group) => {
    const tests = group.map((segment) => segment.map(({ is }) => is).join()).join(';')
    const parameters = [...parametersOf(rows, group.flatMap(operandsOf)), limit]
    return compileOnce(shape, { key: `after ${key} ${tests}`, parameters }, () => {
      const place = expression.or(group.map((segment) => segmentExpression(shape, segment, rows)))
      return inOrder(shape, selectRows(shape, rows, place), { rows, order }).limit(shape.dialect.size(limit))
    })
  })
}

function operandsOf(segment: Segment): unknown[] {
  return segment.filter(({ is }) => is !== 'null' && is !== 'set').map(({ operand }) => operand)
}

function segmentExpression(shape: TableShape, segment: Segment, rows: Rows): Expression<SqlBool> {
  return expression.and(segment.map((test) => testExpression(shape, placeOf(shape, test.field, rows), test)))
}

const KEY_TESTS = { equal: '=', after: '>', before: '<' } as const

function testExpression(
  { dialect }: TableShape,
  column: string,
  { is, operand }: KeyTest,
): Expression<SqlBool> {
  if (is === 'null' || is === 'set') return expression(column, is === 'null' ? 'is' : 'is not', null)
  return expression(column, KEY_TESTS[is], dialect.operand(operand))
}

// ── Rank ────────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * The best of the newest matches. To score a match costs as much as to find ten, and a common word has hundreds of
 * thousands: so only as many are scored as anyone would page through.
 */
function compileRanked(shape: TableShape, rows: Rows, { limit, offset = 0, after }: ListQuery): SqlStatement {
  if (after !== undefined) throw new TypeError('A search has no places without a sort')
  const { search, size } = shape.dialect
  const parameters = [...parametersOf(rows), SEARCH_RANKED_MAX, limit, offset]
  return compileOnce(shape, { key: `ranked ${rows.key}`, parameters }, () => {
    const index = search.index(shape.table.name)
    const newest = selectRows(shape, rows)
      .select(sql<number>`${search.score(index)}`.as('_score'))
      .orderBy(`${index}.${search.rowNumber}`, 'desc')
      .limit(size(SEARCH_RANKED_MAX))
    return shape.builder
      .selectFrom(newest.as('newest'))
      .select(shape.names)
      .orderBy('_score')
      .orderBy('id')
      .limit(size(limit))
      .offset(size(offset))
  })
}
