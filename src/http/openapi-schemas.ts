// The schemas of the document: each titled one is written once, under components, and referred to. It changes no
// schema's meaning.
import type { TSchema } from '../sdk.ts'
import { canonicalSchema } from './json-schema.ts'
import type { JsonSchema } from './route.ts'

export interface SchemaComponents {
  /** By title, in the order of the routes. */
  readonly all: Readonly<Record<string, JsonSchema>>
  /** The schema for use in an operation: a reference where it, or what is in it, is a component. */
  refer(schema: JsonSchema | TSchema): JsonSchema
}

const COMPONENT_TITLE = /^[A-Z][A-Za-z0-9_.]*$/

/**
 * The components are the schemas of `roots`, and of their items and alternatives, whose title is a name such as `Item`.
 * A title deeper within is a user's own text on a property: it makes no component, and so no clash. Throws TypeError
 * where one title stands for two contents.
 */
export function createSchemaComponents(roots: readonly JsonSchema[]): SchemaComponents {
  const found = new Map<string, JsonSchema>()
  for (const root of roots) register(plainSchema(root), found)

  const refer = (schema: JsonSchema): JsonSchema => {
    const title = componentTitle(schema)
    const isComponent = title !== undefined && Bun.deepEquals(found.get(title), schema, true)
    return isComponent ? { $ref: `#/components/schemas/${title}` } : mapChildren(schema, refer)
  }
  const all = Object.fromEntries([...found].map(([title, schema]) => [title, mapChildren(schema, refer)]))
  return { all, refer: (schema) => refer(plainSchema(schema)) }
}

/** JSON Schema as it goes into the document, also from a TypeBox schema as it was written. */
export function plainSchema(schema: JsonSchema | TSchema): JsonSchema {
  return '~kind' in schema ? canonicalSchema(schema as TSchema) : schema
}

function register(schema: JsonSchema, found: Map<string, JsonSchema>): void {
  const title = componentTitle(schema)
  if (title !== undefined) {
    const earlier = found.get(title)
    if (earlier === undefined) found.set(title, schema)
    else if (!Bun.deepEquals(earlier, schema, true))
      throw new TypeError(`Two schemas have the title ${title}`)
  }
  for (const keyword of ['anyOf', 'oneOf'] as const) {
    for (const member of (schema[keyword] ?? []) as JsonSchema[]) register(member, found)
  }
  if (schema.items !== undefined) register(schema.items as JsonSchema, found)
}

function componentTitle({ title }: JsonSchema): string | undefined {
  return typeof title === 'string' && COMPONENT_TITLE.test(title) ? title : undefined
}

type Visit = (schema: JsonSchema) => JsonSchema

function mapChildren(schema: JsonSchema, visit: Visit): JsonSchema {
  return Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => [keyword, mapKeyword(keyword, value, visit)]),
  )
}

function mapKeyword(keyword: string, value: unknown, visit: Visit): unknown {
  switch (keyword) {
    case 'items':
      return visit(value as JsonSchema)
    case 'anyOf':
    case 'oneOf':
      return (value as JsonSchema[]).map(visit)
    case 'properties':
      return Object.fromEntries(
        Object.entries(value as Record<string, JsonSchema>).map(([name, schema]) => [name, visit(schema)]),
      )
    default:
      return value
  }
}
