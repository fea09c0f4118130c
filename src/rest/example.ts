// An example value that fits a schema, for the API document: the author's own where one is given.
import type { JsonSchema } from '../http/route.ts'

const EXAMPLES_BY_FORMAT: Readonly<Record<string, string>> = {
  email: 'ada@example.com',
  uri: 'https://example.com/',
  uuid: '01991f6e-8c00-7000-8000-000000000001',
  date: '2026-01-31',
  'date-time': '2026-01-31T12:00:00.000Z',
}

/** A value of the schema; undefined where none can be made up, as with a pattern. */
export function exampleOf(schema: JsonSchema): unknown {
  const given =
    (schema.examples as unknown[] | undefined)?.[0] ?? schema.default ?? (schema.enum as unknown[])?.[0]
  if (given !== undefined) return given
  switch ([schema.type].flat()[0]) {
    case 'string':
      return exampleText(schema)
    case 'integer':
    case 'number':
      return exampleNumber(schema)
    case 'boolean':
      return true
    case 'array':
      return exampleArray(schema)
    case 'object':
      return exampleObject(schema)
    default:
      return undefined
  }
}

function exampleText({
  format,
  pattern,
  minLength = 0,
  maxLength = Infinity,
}: JsonSchema): string | undefined {
  if (pattern !== undefined) return undefined
  if (format !== undefined) return EXAMPLES_BY_FORMAT[format as string]
  return 'text'.padEnd(minLength as number, '.').slice(0, maxLength as number)
}

function exampleNumber(schema: JsonSchema): number | undefined {
  const { minimum, exclusiveMinimum, maximum, exclusiveMaximum, multipleOf } = schema as Record<
    string,
    number | undefined
  >
  const step = multipleOf ?? 1
  const atLeast = minimum ?? (exclusiveMinimum === undefined ? -Infinity : exclusiveMinimum + step)
  const atMost = maximum ?? (exclusiveMaximum === undefined ? Infinity : exclusiveMaximum - step)
  // The number nearest to one step that lies between the limits.
  const wanted = Math.min(Math.max(step, atLeast), atMost)
  const example = Math.ceil(wanted / step) * step
  const isWithin = example >= atLeast && example <= atMost
  const isOpen = example > (exclusiveMinimum ?? -Infinity) && example < (exclusiveMaximum ?? Infinity)
  return isWithin && isOpen ? example : undefined
}

function exampleArray(schema: JsonSchema): unknown[] | undefined {
  const minItems = (schema.minItems as number | undefined) ?? 0
  if (minItems === 0 && schema.maxItems === 0) return []
  const item = exampleOf(schema.items as JsonSchema)
  if (minItems > 1 && schema.uniqueItems === true) return undefined
  return item === undefined ? (minItems === 0 ? [] : undefined) : Array(Math.max(minItems, 1)).fill(item)
}

function exampleObject(schema: JsonSchema): Record<string, unknown> | undefined {
  const example: Record<string, unknown> = {}
  for (const [name, property] of Object.entries(schema.properties as Record<string, JsonSchema>)) {
    const value = exampleOf(property)
    if (value !== undefined) example[name] = value
    else if ((schema.required as string[] | undefined)?.includes(name)) return undefined
  }
  return example
}
