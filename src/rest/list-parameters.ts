// The query parameters of a list for the API document, one for each field that can be asked about. It describes what
// list-query.ts reads, from the same fields and limits.
import type { JsonParameter, JsonSchema } from '../http/route.ts'
import type { FilterOperator } from '../storage/query.ts'
import { MAX_CURSOR_LENGTH } from './cursor.ts'
import { MAX_EXPANSIONS, type Expansions } from './expand.ts'
import {
  filterFields,
  MAX_CONDITIONS,
  MAX_IN_VALUES,
  MAX_OR_INDEX,
  MAX_TEXT_LENGTH,
  type FilterField,
} from './list-filters.ts'
import { MAX_OFFSET, MAX_SORT_KEYS } from './list-query.ts'
import type { ResourceDefinition } from './resource.ts'
import { schemasOf } from './schemas.ts'

/** All parameters of a resource's list. */
export function listParameters(definition: ResourceDefinition, expansions: Expansions): JsonParameter[] {
  const { pageSize, pageSizeMax, search, softDelete } = definition
  const fields = [...filterFields(definition).values()]
  const sortable = fields.filter(({ operand }) => operand !== undefined).map(({ name }) => name)
  const page = { type: 'integer', minimum: 1, default: 1 }
  const limit = { type: 'integer', minimum: 1, maximum: pageSizeMax, default: pageSize }
  const when = (condition: boolean, parameter: JsonParameter) => (condition ? [parameter] : [])
  return [
    parameter(
      'page',
      page,
      `From 1. page × limit is at most ${MAX_OFFSET}; what lies deeper is reached by cursor`,
    ),
    parameter('limit', limit, 'Records on a page'),
    parameter('cursor', { type: 'string', maxLength: MAX_CURSOR_LENGTH }, CURSOR),
    parameter('sort', namesSchema(sortable, { prefix: '-?', maximum: MAX_SORT_KEYS }), sortText(sortable)),
    ...when(
      search.length > 0,
      parameter('q', { type: 'string', maxLength: MAX_TEXT_LENGTH }, searchText(search)),
    ),
    ...viewParameters(definition, expansions),
    parameter('count', { type: 'string', enum: ['exact', 'none'] }, COUNT),
    ...when(softDelete, parameter('deleted', { type: 'boolean', default: false }, DELETED)),
    ...fields.map(filterParameter),
    orParameter(fields),
  ]
}

/** The parameters that choose what of a record is answered. */
export function viewParameters(definition: ResourceDefinition, expansions: Expansions): JsonParameter[] {
  const properties = Object.keys(schemasOf(definition).record.properties as object)
  const names = [...expansions.keys()]
  const fields = namesSchema(properties, { prefix: '', maximum: properties.length })
  const expand = namesSchema(names, { prefix: '', maximum: MAX_EXPANSIONS })
  return [
    parameter(
      'fields',
      fields,
      `The only properties to answer, with commas between: ${properties.join(', ')}`,
    ),
    ...(names.length === 0 ? [] : [parameter('expand', expand, `${EXPAND}: ${names.join(', ')}`)]),
  ]
}

const CURSOR =
  'Instead of page: next_cursor of an answer. sort, q, deleted and filters must be as they were; totals and page numbers ' +
  'are left out'
const COUNT =
  'exact: count all, whatever it costs; none: leave totals out. Otherwise a filtered list is counted up to 10,000'
const DELETED = 'The deleted records instead of the others; for administrators'
const EXPAND = 'Records to embed, with commas between; null where one is absent or not to be read'

function sortText(names: readonly string[]): string {
  return `Up to ${MAX_SORT_KEYS} keys with commas between, each descending after a minus; nulls are least. Keys: ${names.join(', ')}`
}

function searchText(names: readonly string[]): string {
  return (
    `Words that must all be in ${names.join(', ')}, the last one also as a beginning. Without sort the best of the ` +
    'newest 1,000 matches come first, without a cursor'
  )
}

function parameter(name: string, schema: JsonSchema, description: string): JsonParameter {
  return { name, in: 'query', description, schema }
}

function namesSchema(
  names: readonly string[],
  { prefix, maximum }: { prefix: string; maximum: number },
): JsonSchema {
  const one = `${prefix}(${names.join('|')})`
  return { type: 'string', pattern: `^${one}(,${one}){0,${maximum - 1}}$` }
}

const MEANINGS: Readonly<Partial<Record<FilterOperator, string>>> = {
  ne: 'Is another value; null is none',
  in: `One of 1 to ${MAX_IN_VALUES} values with commas between; one with a comma or a quote goes in quotes: "a,b","c\\"d"`,
  nin: 'None of these values, written as for in',
  contains: 'Has this text; the case of ASCII letters does not count',
  starts_with: 'Begins with this text; the case of ASCII letters does not count',
  null: 'Has no value, or has one',
}

// Swagger UI fills an object in with a sample that would be asked for; with this it begins empty.
const EMPTY = { example: {} }

/**
 * In deepObject style an object is written `price[gte]=10`. For a value that is no object the style says nothing, and
 * Swagger UI writes `price=10`. The value comes first: Swagger UI then shows an input, which takes an object as JSON too.
 */
function filterParameter(field: FilterField): JsonParameter {
  const { name, operand } = field
  const description =
    operand === undefined
      ? `Only whether there is one: ${name}[null]=true`
      : `A value to be equal to, as in ${name}=…, or conditions, as in ${name}[${field.operators[0]}]=…`
  const conditions = conditionsSchema(field)
  const schema = operand === undefined ? conditions : { anyOf: [operand, conditions] }
  const example = operand === undefined ? EMPTY : {}
  return { ...parameter(name, schema, description), style: 'deepObject', explode: true, ...example }
}

function conditionsSchema({ operators, operand }: FilterField): JsonSchema {
  const properties = operators.map((operator) => [operator, operandSchema(operator, operand)])
  return { type: 'object', properties: Object.fromEntries(properties), additionalProperties: false }
}

function operandSchema(operator: FilterOperator, operand: JsonSchema | undefined): JsonSchema {
  const meaning = MEANINGS[operator]
  const description = meaning === undefined ? {} : { description: meaning }
  switch (operator) {
    case 'null':
      return { type: 'boolean', ...description }
    case 'in':
    case 'nin':
    case 'contains':
    case 'starts_with':
      return { type: 'string', ...description }
    default:
      return { ...operand, ...description }
  }
}

function orParameter(fields: readonly FilterField[]): JsonParameter {
  const example = fields.find(({ operand }) => operand !== undefined)?.name ?? 'id'
  const description =
    `Alternatives, of which one must hold: or[0][${example}]=…&or[1][${example}][ne]=…. The conditions of one index, from 0 ` +
    `to ${MAX_OR_INDEX}, must all hold; they are written as those of each field. A request has at most ` +
    `${MAX_CONDITIONS} conditions in all`
  const schema = { type: 'object', additionalProperties: { type: 'object' } }
  return { ...parameter('or', schema, description), style: 'deepObject', explode: true, ...EMPTY }
}
