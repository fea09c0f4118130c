// A declared property as the engine sees it: how it is stored and how far it is exposed.
import { canonicalSchema } from '../http/json-schema.ts'
import type { JsonSchema } from '../http/route.ts'
import type { FieldOptions, TObject, TSchema } from '../sdk.ts'
import type { Column, ColumnKind, Value } from '../storage/store.ts'

export interface Field {
  name: string
  kind: ColumnKind
  /** JSON Schema of a value, null included where `nullable`. */
  schema: JsonSchema
  /** A record need not have it. */
  optional: boolean
  nullable: boolean
  /** Undefined: none. */
  default: Value | undefined
  unique: boolean
  index: boolean
  hidden: boolean
  readOnly: boolean
  writeOnly: boolean
  search: boolean
  references: string | undefined
  /** The body of a create must have it, though there may be records without it; then it is `optional` too. */
  demanded?: true
  /** It is no column: something else is made of it. Then it is `writeOnly` too. */
  virtual?: true
}

/** The fields of a checked schema, in the order of their declaration. */
export function fieldsOf(schema: TObject): Field[] {
  const canonical = canonicalSchema(schema).properties as Record<string, JsonSchema>
  return Object.entries<TSchema>(schema.properties).map(([name, property]) => {
    const options = optionsOf(property)
    const json = canonical[name] as JsonSchema
    return {
      name,
      kind: columnKind(json),
      schema: json,
      optional: '~optional' in property,
      nullable: isNullable(json),
      default: json.default as Value | undefined,
      unique: options.unique === true,
      index: options.index === true,
      hidden: options.hidden === true,
      readOnly: options.readOnly === true,
      writeOnly: options.writeOnly === true,
      search: options.search === true,
      references: options.references,
    }
  })
}

/** The options given to the builder of a property; `t.Nullable(x)` has those of x. */
export function optionsOf(
  property: TSchema,
): FieldOptions<unknown> & { references?: string; search?: boolean } {
  if (property['~kind'] !== 'Union') return property as FieldOptions<unknown>
  const members = property.anyOf as TSchema[]
  const nullable = members.length === 2 && members[1]?.['~kind'] === 'Null'
  return (nullable ? members[0] : property) as FieldOptions<unknown>
}

/** The column that holds a field; rows that were there before it get `fallback`. */
export function columnOf(field: Field, fallback: Value | undefined): Column {
  const column: Column = {
    name: field.name,
    kind: field.kind,
    nullable: field.optional || field.nullable,
    unique: field.unique,
    index: field.index,
  }
  if (field.references !== undefined) column.references = field.references
  if (fallback !== undefined) column.default = fallback
  return column
}

function isNullable(schema: JsonSchema): boolean {
  return Array.isArray(schema.type) && schema.type.includes('null')
}

/** How values of a schema are stored. */
export function columnKind(schema: JsonSchema): ColumnKind {
  const type = Array.isArray(schema.type) ? schema.type.find((one) => one !== 'null') : schema.type
  switch (type) {
    case 'string':
      return 'text'
    case 'number':
      return 'real'
    case 'integer':
      return 'integer'
    case 'boolean':
      return 'boolean'
    default:
      return 'json'
  }
}
