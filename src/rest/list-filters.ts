// The filters of a list: which fields can be asked about, by which operators, and how the text of an operand is read and
// written. It knows no parameters other than filters, and no SQL.
import { createValidator, describeType } from '../http/validate.ts'
import { parseScalar } from '../http/query-parameters.ts'
import type { JsonSchema } from '../http/route.ts'
import type { Filter, FilterOperator, FilterOperators, FilterValue } from '../storage/query.ts'
import { columnKind } from './fields.ts'
import type { ResourceDefinition } from './resource.ts'
import { systemProperties } from './schemas.ts'

/** Conditions of one request; an `in` is one. */
export const MAX_CONDITIONS = 20
/** Greatest index of `or[…]`; there can be no more alternatives than conditions. */
export const MAX_OR_INDEX = MAX_CONDITIONS - 1
/** Code points of one text in a query. */
export const MAX_TEXT_LENGTH = 2000
/** Values of one `in` or `nin`. */
export const MAX_IN_VALUES = 100

/** A field that a request may filter by. */
export interface FilterField {
  name: string
  /** Its place among the fields of the resource: conditions are put in this order. */
  index: number
  kind: ReturnType<typeof columnKind>
  /** What a single operand must be; undefined where only `null` can be asked. */
  operand: JsonSchema | undefined
  /** Those in brackets: `price[gte]=10`. */
  operators: readonly FilterOperator[]
  /** The value, or what is wrong. */
  read: (text: string) => Read<FilterValue>
}

type Read<T> = { value: T } | { fault: string }

/** One condition of a request. */
export interface RequestCondition {
  field: FilterField
  operator: FilterOperator
  operand: FilterValue | readonly FilterValue[]
  /** The index of its `or[…]`; undefined where it must hold anyway. */
  alternative: number | undefined
}

const COMPARISONS: readonly FilterOperator[] = ['ne', 'gt', 'gte', 'lt', 'lte', 'in', 'nin', 'null']
const OPERATORS: Readonly<Record<string, readonly FilterOperator[]>> = {
  string: [...COMPARISONS, 'contains', 'starts_with'],
  number: COMPARISONS,
  integer: COMPARISONS,
  boolean: ['ne', 'in', 'nin', 'null'],
}

/** The fields that requests may filter by, in their order: what the server sets, and what answers may show. */
export function filterFields(definition: ResourceDefinition): Map<string, FilterField> {
  const shown = definition.fields.filter((field) => !field.hidden && !field.writeOnly)
  const { id, ...others } = systemProperties(definition)
  const schemas: [string, JsonSchema][] = [
    ['id', id as JsonSchema],
    ...shown.map(({ name, schema }): [string, JsonSchema] => [name, schema]),
    ...Object.entries(others),
  ]
  return new Map(schemas.map(([name, schema], index) => [name, filterField(name, index, schema)]))
}

function filterField(name: string, index: number, schema: JsonSchema): FilterField {
  const kind = columnKind(schema)
  const operand = kind === 'json' ? undefined : operandSchema(schema)
  if (operand === undefined) {
    const read = () => ({ fault: `Expected ${name}[null]=true or ${name}[null]=false` })
    return { name, index, kind, operand, operators: ['null'], read }
  }
  const operators = operand.enum === undefined ? OPERATORS[operand.type as string] : COMPARISONS
  return { name, index, kind, operand, operators: operators ?? [], read: operandReader(operand) }
}

const CHECKED_FORMATS: readonly unknown[] = ['date', 'date-time', 'uuid']

// A value that no record can have is a fair question; only what is no value of the type at all is refused.
function operandSchema({ type, enum: values, format }: JsonSchema): JsonSchema {
  return {
    type: [type].flat().find((one) => one !== 'null'),
    ...(values === undefined ? {} : { enum: (values as unknown[]).filter((one) => one !== null) }),
    ...(CHECKED_FORMATS.includes(format) ? { format } : {}),
  }
}

function operandReader(schema: JsonSchema): FilterField['read'] {
  const { type, format } = schema as { type: string; format?: string }
  const isChecked = schema.enum !== undefined || format !== undefined
  const validate = isChecked ? createValidator(schema) : undefined
  return (text) => {
    const value = parseScalar(type, text)
    if (value === undefined)
      return { fault: validate?.(text)[0]?.message ?? `Expected ${describeType(type)}` }
    if (type === 'string') {
      const fault = textFault(text)
      if (fault !== undefined) return { fault }
    }
    const [detail] = validate?.(value) ?? []
    if (detail !== undefined) return { fault: detail.message }
    // As valuesWriter stores it.
    if (format === 'date-time') return { value: new Date(text).toISOString() }
    return { value: format === 'uuid' ? text.toLowerCase() : value }
  }
}

function textFault(text: string): string | undefined {
  return lengthFault(text) ?? (text.includes('\0') ? 'Expected text without NUL characters' : undefined)
}

/** What is wrong with the length of a text, if anything. */
export function lengthFault(text: string): string | undefined {
  const isTooLong = text.length > MAX_TEXT_LENGTH && Array.from(text).length > MAX_TEXT_LENGTH
  return isTooLong ? `Expected text of at most ${MAX_TEXT_LENGTH} characters` : undefined
}

/** The operand that the text stands for, or what is wrong with it. */
export function readOperand(
  field: FilterField,
  operator: FilterOperator,
  text: string,
): Read<RequestCondition['operand']> {
  switch (operator) {
    case 'null': {
      const value = parseScalar('boolean', text)
      return value === undefined ? { fault: `Expected ${describeType('boolean')}` } : { value }
    }
    case 'contains':
    case 'starts_with': {
      const fault = textFault(text)
      return fault === undefined ? { value: text } : { fault }
    }
    case 'in':
    case 'nin':
      return readValues(field, text)
    default:
      return field.read(text)
  }
}

const LIST_FAULT =
  `Expected 1 to ${MAX_IN_VALUES} values with commas between; one that is empty or has a comma or a quote goes in ` +
  'quotes, with \\" for a quote and \\\\ for a backslash'

function readValues(field: FilterField, text: string): Read<readonly FilterValue[]> {
  const parts = splitValues(text)
  if (parts === undefined || parts.length > MAX_IN_VALUES) return { fault: LIST_FAULT }
  const values: FilterValue[] = []
  for (const part of parts) {
    const read = field.read(part)
    if ('fault' in read) return read
    values.push(read.value)
  }
  return { value: values }
}

// Each alternative begins differently, so that no text is read twice.
const LISTED_VALUE = /(?:"((?:[^"\\]|\\["\\])*)"|([^",]+))(,|$)/y

function splitValues(text: string): string[] | undefined {
  const values: string[] = []
  LISTED_VALUE.lastIndex = 0
  for (;;) {
    const match = LISTED_VALUE.exec(text)
    if (match === null) return undefined
    const [, quoted, plain, end] = match
    values.push(plain ?? (quoted as string).replace(/\\(.)/g, '$1'))
    if (end === '') return values
  }
}

/** The text that `readOperand` reads as this operand. */
export function writeOperand(operand: RequestCondition['operand']): string {
  if (!Array.isArray(operand)) return String(operand)
  return operand
    .map((value) => {
      const text = String(value)
      return text === '' || /[",]/.test(text) ? `"${text.replace(/["\\]/g, '\\$&')}"` : text
    })
    .join()
}

/** The conditions in the one order that is the same for all spellings of a request. */
export function inOrder(conditions: readonly RequestCondition[]): RequestCondition[] {
  return [...conditions].sort(
    (one, other) =>
      (one.alternative ?? -1) - (other.alternative ?? -1) ||
      one.field.index - other.field.index ||
      rank(one) - rank(other),
  )
}

// `eq` comes first, which no field has in brackets.
function rank({ field, operator }: RequestCondition): number {
  return field.operators.indexOf(operator)
}

/** The filter of conditions that are in order; undefined where there are none. */
export function filterOf(conditions: readonly RequestCondition[]): Filter | undefined {
  if (conditions.length === 0) return undefined
  const filter: Record<string, FilterOperators> = {}
  const alternatives = new Map<number, Record<string, FilterOperators>>()
  for (const { alternative, field, operator, operand } of conditions) {
    let part = filter
    if (alternative !== undefined) {
      part = alternatives.get(alternative) ?? {}
      alternatives.set(alternative, part)
    }
    part[field.name] = { ...part[field.name], [operator]: operand }
  }
  return alternatives.size === 0 ? filter : ({ ...filter, or: [...alternatives.values()] } as Filter)
}
