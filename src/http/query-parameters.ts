// Parses the query of a request target into typed values. There is one spelling of each value, and what is unknown or
// repeated is refused: two readers must never see two queries.
import { AppError, type ErrorDetail } from '../core/errors.ts'
import type { TSchema } from '../sdk.ts'
import { boundName } from './json.ts'
import { canonicalSchema } from './json-schema.ts'
import type { JsonSchema } from './route.ts'
import { applyDefaults, createValidator, describeType, MAX_DETAILS } from './validate.ts'

/** Parameters of one request. */
export const MAX_PARAMETERS = 100

export type QueryParser = (search: string) => Readonly<Record<string, unknown>>

/**
 * Makes the parser for an object schema whose properties are text, numbers, integers or booleans. It takes the query
 * with or without its `?`, fills defaults, and throws AppError `bad_request` with every fault by parameter name.
 * Throws TypeError for a property of another type.
 */
export function createQueryParser(schema: JsonSchema | TSchema): QueryParser {
  const canonical = '~kind' in schema ? canonicalSchema(schema as TSchema) : schema
  const parameters = new Map(Object.entries((canonical.properties ?? {}) as Record<string, JsonSchema>))
  for (const [name, { type }] of parameters) {
    if (typeof type !== 'string' || !Object.hasOwn(PARSERS, type)) {
      throw new TypeError(`Query parameter ${name} must be text, a number, a whole number or a boolean`)
    }
  }
  const validate = createValidator(canonical)
  return (search) => {
    const faults = new Map<string, string>()
    const values: Record<string, unknown> = {}
    const seen = new Set<string>()
    for (const [name, text] of queryPairs(search)) {
      const parameter = parameters.get(name)
      if (parameter === undefined) faults.set(name, 'Unknown parameter')
      else if (seen.has(name)) faults.set(name, 'Given more than once')
      else {
        seen.add(name)
        const parsed = parseText(parameter, text)
        if ('fault' in parsed) faults.set(name, parsed.fault)
        else values[name] = parsed.value
      }
    }
    const details = [...faults].map(([name, message]) => ({ field: boundName(name), message }))
    for (const { field, message } of validate(values)) {
      const name = field.slice(1).replaceAll('~1', '/').replaceAll('~0', '~')
      if (!faults.has(name)) details.push({ field: name, message })
    }
    if (details.length > 0) throw invalidQuery(details)
    return applyDefaults(canonical, values) as Readonly<Record<string, unknown>>
  }
}

/** The error of a query with these faults, by parameter name. */
export function invalidQuery(details: readonly ErrorDetail[]): AppError {
  return new AppError('bad_request', {
    message: 'Query parameters are not valid',
    details: details.slice(0, MAX_DETAILS),
  })
}

/**
 * The decoded names and texts of a query, in its order, with or without its `?`. Throws AppError `bad_request` for more
 * than MAX_PARAMETERS and for an invalid percent escape.
 */
export function queryPairs(search: string): [name: string, text: string][] {
  const parts = search
    .replace(/^\?/, '')
    .split('&', MAX_PARAMETERS + 1)
    .filter((part) => part !== '')
  if (parts.length > MAX_PARAMETERS) {
    throw new AppError('bad_request', {
      message: `Request has too many query parameters, maximum is ${MAX_PARAMETERS}`,
    })
  }
  return parts.map((part) => {
    const equals = part.indexOf('=')
    return equals === -1
      ? [decode(part), '']
      : [decode(part.slice(0, equals)), decode(part.slice(equals + 1))]
  })
}

function decode(text: string): string {
  if (!ESCAPED.test(text)) return text
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    throw new AppError('bad_request', { message: 'Query has an invalid percent escape' })
  }
}

const ESCAPED = /[%+]/
const INTEGER = /^(?:0|-?[1-9]\d*)$/
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/
const CONTROL = /\p{Cc}/u

const PARSERS: Readonly<Record<string, (text: string) => string | number | boolean | undefined>> = {
  string: (text) => text,
  integer: (text) => (INTEGER.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : undefined),
  // -0 + 0 is 0.
  number: (text) => (NUMBER.test(text) && Number.isFinite(Number(text)) ? Number(text) + 0 : undefined),
  boolean: (text) => (text === 'true' ? true : text === 'false' ? false : undefined),
}

/**
 * The value that a text stands for, by JSON Schema type: text, or in the one spelling of JSON a number, a safe integer,
 * true or false. Undefined where it stands for none.
 */
export function parseScalar(type: string, text: string): string | number | boolean | undefined {
  return PARSERS[type]?.(text)
}

function parseText({ type }: JsonSchema, text: string): { value: unknown } | { fault: string } {
  if (CONTROL.test(text)) return { fault: 'Control characters are not allowed' }
  const value = parseScalar(type as string, text)
  return value === undefined ? { fault: `Expected ${describeType(type)}` } : { value }
}
