// Reads the query of a list into plain data, once and for all: what is unknown, repeated or ill-typed is refused here, all
// of it at once. It asks no store and decides about no access.
import { boundName } from '../http/json.ts'
import { invalidQuery, parseScalar, queryPairs } from '../http/query-parameters.ts'
import type { ErrorDetail } from '../core/errors.ts'
import type { Filter, FilterOperator, SortKey } from '../storage/query.ts'
import type { CursorScope, Cursors, Place } from './cursor.ts'
import { MAX_EXPANSIONS, type Expansions } from './expand.ts'
import {
  filterFields,
  filterOf,
  inOrder,
  MAX_CONDITIONS,
  MAX_OR_INDEX,
  readOperand,
  lengthFault,
  writeOperand,
  type FilterField,
  type RequestCondition,
} from './list-filters.ts'
import type { ResourceDefinition } from './resource.ts'
import { schemasOf } from './schemas.ts'

/** What of each record is answered. */
export interface View {
  /** The properties that were asked for, in that order; undefined: all. */
  fields: readonly string[] | undefined
  /** What is embedded beside them. */
  expand: readonly string[]
}

/** What a list is asked for. */
export interface ListRequest extends View {
  /** 1 where there is a place. */
  page: number
  limit: number
  /** As it came. */
  cursor: string | undefined
  /** The place of the cursor, after which the page begins. */
  after: Place | undefined
  /** The filter of the query alone, without that of the access rule. */
  where: Filter | undefined
  /** Undefined: by id, or with `search` the best matches first. */
  sort: readonly SortKey[] | undefined
  search: string | undefined
  deleted: boolean
  /** `bounded`: exact where that is free, else up to a limit. */
  count: 'bounded' | 'exact' | 'none'
  /** What cursors of this list are bound to: resource, filter, search, deletion and sort; not limit, view and count. */
  scope: CursorScope
  /** All parameters but page, limit and cursor in one spelling, each after a `&`. */
  repeated: string
}

/** Beyond this many records from the start an offset would cost more than it is worth. */
export const MAX_OFFSET = 100_000
/** Keys of one order. */
export const MAX_SORT_KEYS = 8

export interface ListQueryOptions {
  definition: ResourceDefinition
  cursors: Cursors
  expansions: Expansions
}

/** Makes the reader of list queries; it throws AppError `bad_request` with every fault by parameter name. */
export function createListQueryReader(options: ListQueryOptions): (search: string) => ListRequest {
  const { definition, cursors } = options
  const filters = filterFields(definition)
  const parameters = listReaders(options, filters)
  const everything = Object.freeze(requestOf({}, [], { definition, filters }))
  return (search) => {
    if (search === '') return everything
    const query = readQuery(search, parameters, filters)
    refuseContradictions(query, definition)
    if (query.faults.size > 0) throw refused(query.faults)
    const { values } = query
    const request = requestOf(values, inOrder(query.conditions), { definition, filters })
    if (values.cursor === undefined) return request
    const after = cursors.decode(values.cursor, request.scope)
    if (after === undefined) throw invalidCursor()
    return { ...request, after }
  }
}

/** Makes the reader of the query of one record: `fields` and `expand`, under the same rules. */
export function createViewReader(
  options: Pick<ListQueryOptions, 'definition' | 'expansions'>,
): (search: string) => View {
  const parameters = new Map(Object.entries(viewReaders(options)))
  const everything: View = Object.freeze({ fields: undefined, expand: [] })
  return (search) => {
    if (search === '') return everything
    const { values, faults } = readQuery(search, parameters, new Map())
    if (faults.size > 0) throw refused(faults)
    return { fields: values.fields, expand: values.expand ?? [] }
  }
}

/** Best matches first: an order of the moment, which has pages but no places that a cursor could name. */
export function isRanked({ search, sort }: Pick<ListRequest, 'search' | 'sort'>): boolean {
  return search !== undefined && sort === undefined
}

/** The error of a cursor that is not of this list; it does not tell why. */
export function invalidCursor(): Error {
  const message =
    'Expected the cursor of an answer to this very request, apart from limit, fields, expand and count'
  return invalidQuery([{ field: 'cursor', message }])
}

// ── Parameters that are no filters ──────────────────────────────────────────────────────────────────────────────

interface Values {
  page?: number
  limit?: number
  cursor?: string
  sort?: readonly SortKey[]
  fields?: readonly string[]
  q?: string
  expand?: readonly string[]
  count?: 'exact' | 'none'
  deleted?: boolean
}

type Reader<T> = (text: string) => { value: T } | { fault: string }
type Readers = ReadonlyMap<string, Reader<unknown>>

function listReaders(options: ListQueryOptions, filters: ReadonlyMap<string, FilterField>): Readers {
  const { pageSizeMax, search, softDelete } = options.definition
  const readers: { [N in Exclude<keyof Values, keyof View>]-?: Reader<NonNullable<Values[N]>> } = {
    page: wholeNumber(Number.MAX_SAFE_INTEGER),
    limit: wholeNumber(pageSizeMax),
    cursor: (text) => ({ value: text }),
    sort: sortReader(filters),
    q: (text) => {
      const fault = search.length === 0 ? 'This resource has no fields to search' : lengthFault(text)
      return fault === undefined ? { value: text } : { fault }
    },
    count: (text) =>
      text === 'exact' || text === 'none' ? { value: text } : { fault: 'Expected one of: exact, none' },
    deleted: (text) => {
      const value = parseScalar('boolean', text) as boolean | undefined
      return value === undefined ? { fault: 'Expected true or false' } : { value }
    },
  }
  const { deleted, ...always } = readers
  return new Map(Object.entries({ ...always, ...(softDelete ? { deleted } : {}), ...viewReaders(options) }))
}

function wholeNumber(maximum: number): Reader<number> {
  const expected = maximum < Number.MAX_SAFE_INTEGER ? `from 1 to ${maximum}` : 'from 1 up'
  return (text) => {
    const value = parseScalar('integer', text) as number | undefined
    const isWithin = value !== undefined && value >= 1 && value <= maximum
    return isWithin ? { value } : { fault: `Expected a whole number ${expected}` }
  }
}

function viewReaders({ definition, expansions }: Pick<ListQueryOptions, 'definition' | 'expansions'>) {
  const properties = new Set(Object.keys(schemasOf(definition).record.properties as object))
  const isReference = (name: string) =>
    definition.fields.some((field) => field.name === name && field.references !== undefined && !field.hidden)
  const fields: Reader<readonly string[]> = (text) =>
    readNames(text, properties.size, (name, position) =>
      properties.has(name) ? { value: name } : { fault: `Name ${position} is no property of a record` },
    )
  const expand: Reader<readonly string[]> = (text) =>
    readNames(text, MAX_EXPANSIONS, (name, position) => {
      if (expansions.has(name)) return { value: name }
      const isMisnamed = isReference(name) && !name.endsWith('_id')
      const reason = isMisnamed ? ': only a reference in a field that ends in _id can' : ''
      return { fault: `Name ${position} cannot be expanded${reason}` }
    })
  return { fields, expand }
}

function sortReader(filters: ReadonlyMap<string, FilterField>): Reader<readonly SortKey[]> {
  return (text) => {
    const names = new Set<string>()
    const read = readNames(text, MAX_SORT_KEYS, (key, position): ReturnType<Reader<SortKey>> => {
      const field = key.startsWith('-') ? key.slice(1) : key
      if (names.has(field)) return { fault: `Key ${position} names a field again` }
      names.add(field)
      if (filters.get(field)?.operand === undefined) {
        return { fault: `Key ${position} is no field that can be sorted by` }
      }
      return { value: { field, direction: field === key ? 'asc' : 'desc' } }
    })
    if ('fault' in read) return read
    // No two records have the same id: what follows it decides nothing.
    const end = read.value.findIndex(({ field }) => field === 'id')
    return end === -1 ? read : { value: read.value.slice(0, end + 1) }
  }
}

/** Reads names with commas between; the same one twice is a fault. */
function readNames<T>(
  text: string,
  maximum: number,
  read: (name: string, position: number) => ReturnType<Reader<T>>,
): ReturnType<Reader<readonly T[]>> {
  const names = text === '' ? [] : text.split(',')
  if (names.length === 0 || names.length > maximum) {
    return { fault: `Expected 1 to ${maximum} names with commas between` }
  }
  const values: T[] = []
  for (const [index, name] of names.entries()) {
    if (names.indexOf(name) < index) return { fault: `Name ${index + 1} is there twice` }
    const one = read(name, index + 1)
    if ('fault' in one) return one
    values.push(one.value)
  }
  return { value: values }
}

// ── The query as a whole ────────────────────────────────────────────────────────────────────────────────────────

interface Query {
  values: Values
  conditions: RequestCondition[]
  /** Messages by parameter name. */
  faults: Map<string, string>
}

function readQuery(search: string, readers: Readers, filters: ReadonlyMap<string, FilterField>): Query {
  const values: Record<string, unknown> = {}
  const conditions: RequestCondition[] = []
  const faults = new Map<string, string>()
  const seen = new Set<string>()
  for (const [name, text] of queryPairs(search)) {
    if (seen.has(name)) {
      faults.set(name, 'Given more than once')
      continue
    }
    const reader = readers.get(name)
    const read = reader === undefined ? readCondition(name, text, filters) : reader(text)
    if (read === undefined) {
      faults.set(name, 'Unknown parameter')
      continue
    }
    seen.add(name)
    if ('fault' in read) faults.set(name, read.fault)
    else if (reader !== undefined) values[name] = read.value
    else if (conditions.length < MAX_CONDITIONS) conditions.push(read.value as RequestCondition)
    else faults.set(name, `Expected at most ${MAX_CONDITIONS} conditions`)
  }
  return { values, conditions, faults }
}

// price, price[gte], or[0][price], or[0][price][gte]
const CONDITION_NAME = /^(?:or\[(0|[1-9]\d*)\]\[(\w+)\]|(\w+))(?:\[(\w+)\])?$/

/** Undefined where the name is that of no filter: a field that is hidden is as unknown as one that does not exist. */
function readCondition(
  name: string,
  text: string,
  filters: ReadonlyMap<string, FilterField>,
): ReturnType<Reader<RequestCondition>> | undefined {
  const [, index, inner, outer, bracket] = CONDITION_NAME.exec(name) ?? []
  const field = filters.get((inner ?? outer) as string)
  if (field === undefined) return undefined
  const alternative = index === undefined ? undefined : Number(index)
  if (alternative !== undefined && alternative > MAX_OR_INDEX) {
    return { fault: `Expected an index of or from 0 to ${MAX_OR_INDEX}` }
  }
  const operator = (bracket ?? 'eq') as FilterOperator
  if (bracket !== undefined && !field.operators.includes(operator)) {
    return { fault: `Unknown operator; ${field.name} knows ${field.operators.join(', ')}` }
  }
  const read = readOperand(field, operator, text)
  return 'fault' in read ? read : { value: { field, operator, operand: read.value, alternative } }
}

function refuseContradictions({ values, faults }: Query, { pageSize }: ResourceDefinition): void {
  const { page, limit = pageSize, cursor, q, sort } = values
  if (cursor !== undefined && page !== undefined) faults.set('page', 'Expected a page or a cursor, not both')
  if (cursor !== undefined && isRanked({ search: q, sort })) {
    faults.set('cursor', 'A search in order of relevance has pages only; give a sort to walk by cursor')
  }
  if (page !== undefined && page * limit > MAX_OFFSET) {
    const message = `page × limit is over ${MAX_OFFSET}; follow the cursor of next_cursor instead`
    faults.set('page', message)
  }
}

interface RequestContext {
  definition: ResourceDefinition
  filters: ReadonlyMap<string, FilterField>
}

function requestOf(
  values: Values,
  conditions: readonly RequestCondition[],
  { definition, filters }: RequestContext,
): ListRequest {
  const {
    page = 1,
    limit = definition.pageSize,
    sort,
    fields,
    q,
    expand = [],
    count,
    deleted = false,
  } = values
  const keys = (sort ?? []).filter(({ field }) => field !== 'id')
  const bound =
    conditionsText(conditions) + textOf({ q, sort: sort && sortText(sort), deleted: deleted || undefined })
  const free = textOf({ fields: fields?.join(), expand: expand.join() || undefined, count })
  return {
    page,
    limit,
    cursor: values.cursor,
    after: undefined,
    where: filterOf(conditions),
    sort,
    search: q,
    deleted,
    count: count ?? 'bounded',
    fields,
    expand,
    scope: {
      binding: `${definition.name}?${bound}`,
      order: keys.map(({ field }) => ({ name: field, kind: (filters.get(field) as FilterField).kind })),
      id: definition.id,
    },
    repeated: bound + free,
  }
}

function sortText(sort: readonly SortKey[]): string {
  return sort.map(({ field, direction }) => (direction === 'asc' ? field : `-${field}`)).join()
}

/** The conditions in their one spelling; the alternatives are counted anew. */
function conditionsText(conditions: readonly RequestCondition[]): string {
  let text = ''
  let count = -1
  let latest: number | undefined
  for (const { field, operator, operand, alternative } of conditions) {
    if (alternative !== latest) count++
    latest = alternative
    const name = alternative === undefined ? field.name : `or[${count}][${field.name}]`
    text += pairText(operator === 'eq' ? name : `${name}[${operator}]`, writeOperand(operand))
  }
  return text
}

function textOf(values: Readonly<Record<string, string | boolean | undefined>>): string {
  let text = ''
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) text += pairText(name, String(value))
  }
  return text
}

// Commas and colons are plain in a query (RFC 3986, section 3.4), and easier on the eye.
function pairText(name: string, value: string): string {
  return `&${encodeURIComponent(name)}=${encodeURIComponent(value).replace(/%2C|%3A/g, decodeURIComponent)}`
}

function refused(faults: ReadonlyMap<string, string>): Error {
  return invalidQuery(
    [...faults].map(([name, message]): ErrorDetail => ({ field: boundName(name), message })),
  )
}
