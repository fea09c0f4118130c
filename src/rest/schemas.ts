// The JSON Schemas of a resource: what each body must be, and what the answers are. The same values validate and are
// printed in the API document.
import type { JsonSchema } from '../http/route.ts'
import type { Field } from './fields.ts'
import type { ResourceDefinition } from './resource.ts'

export interface ResourceSchemas {
  /** A record as it is answered. */
  record: JsonSchema
  /** The body of a create, without the properties that are ignored in it. */
  create: JsonSchema
  /** The body of a replace: absent `writeOnly` properties stay as they are. */
  replace: JsonSchema
  /** What a record's writable properties must be after a merge patch; what it need not have may be missing. */
  merged: JsonSchema
  /** A merge patch, for the document: every property optional, null where null has a meaning. */
  patch: JsonSchema
  /** What the author's own code may store: every field, `hidden` and `readOnly` ones too. */
  stored: JsonSchema
}

/** The names that the server sets on every record of the resource. */
export function systemProperties({ id, owned }: ResourceDefinition): Record<string, JsonSchema> {
  const time = { type: 'string', format: 'date-time', readOnly: true }
  const idSchema = id === 'uuid' ? { type: 'string', format: 'uuid' } : { type: 'integer', minimum: 1 }
  return {
    id: { ...idSchema, readOnly: true },
    created_at: time,
    updated_at: time,
    ...(owned ? { owner_id: { type: ['string', 'null'], format: 'uuid', readOnly: true } } : {}),
  }
}

/** The fields that a body may set. */
export function writableFields(definition: ResourceDefinition): Field[] {
  return definition.fields.filter((field) => !field.hidden && !field.readOnly)
}

export function schemasOf(definition: ResourceDefinition): ResourceSchemas {
  const { name, fields, computed, softDelete } = definition
  const system = systemProperties(definition)
  const answered = fields.filter((field) => !field.hidden && !field.writeOnly)
  const writable = writableFields(definition)
  const title = pascalCase(name)
  const isRequired = (field: Field) =>
    field.demanded === true || (!field.optional && field.default === undefined)
  // What a replace leaves out of `writeOnly` stays as it is: neither required there nor defaulted.
  const replaceable = writable.map((field) =>
    field.writeOnly ? { ...undemanded(field), optional: true, schema: withoutDefault(field.schema) } : field,
  )
  const body = (of: readonly Field[]): JsonSchema => ({
    type: 'object',
    properties: properties(of),
    required: of.filter(isRequired).map((field) => field.name),
    additionalProperties: false,
  })
  const { id, ...times } = system
  return {
    record: {
      title: `${title}Record`,
      type: 'object',
      properties: {
        id,
        ...properties(answered),
        ...properties(computed),
        ...times,
        ...(softDelete ? { deleted_at: DELETED_AT } : {}),
      },
      required: [
        'id',
        ...answered.filter(isAlwaysAnswered).map((field) => field.name),
        ...computed.filter((field) => !field.optional).map((field) => field.name),
        ...Object.keys(times),
      ],
      additionalProperties: false,
    },
    create: { title: `${title}Create`, ...body(writable) },
    replace: { title: `${title}Replace`, ...body(replaceable) },
    merged: body(writable.map(undemanded)),
    patch: { title: `${title}Patch`, ...patchOf(body(writable)) },
    stored: body(fields.map(undemanded)),
  }
}

const DELETED_AT: JsonSchema = {
  type: 'string',
  format: 'date-time',
  readOnly: true,
  description: 'Only in the list of deleted records',
}

/** The names that a body may have and that have no effect in it, so that what was read can be sent back. */
export function ignoredNames(definition: ResourceDefinition): string[] {
  return Object.keys(ignoredProperties(definition))
}

function ignoredProperties(definition: ResourceDefinition): Record<string, JsonSchema> {
  return {
    ...properties(definition.fields.filter((field) => field.readOnly)),
    ...properties(definition.computed),
    ...systemProperties(definition),
    ...(definition.softDelete ? { deleted_at: DELETED_AT } : {}),
  }
}

/**
 * A body's schema for the document: it also takes what the server sets and ignores, so that a record that was read can
 * be sent back.
 */
export function documentedBody(definition: ResourceDefinition, schema: JsonSchema): JsonSchema {
  return {
    ...schema,
    properties: { ...(schema.properties as object), ...ignoredProperties(definition) },
  }
}

function undemanded({ demanded: _, ...field }: Field): Field {
  return field
}

function isAlwaysAnswered(field: Field): boolean {
  return field.nullable || !field.optional
}

function properties(fields: readonly Pick<Field, 'name' | 'schema'>[]): Record<string, JsonSchema> {
  return Object.fromEntries(fields.map(({ name, schema }) => [name, schema]))
}

// RFC 7396: any property may be absent, in depth; null removes, where the property may be absent or has a default.
function patchOf(schema: JsonSchema): JsonSchema {
  if (schema.properties === undefined) return schema
  const required = new Set(schema.required as string[] | undefined)
  const patched = Object.entries(schema.properties as Record<string, JsonSchema>).map(([name, property]) => {
    const schema = withoutDefault(patchOf(property))
    return [name, required.has(name) ? schema : withNull(schema)]
  })
  const { required: _, ...rest } = schema
  return { ...rest, properties: Object.fromEntries(patched) }
}

function withoutDefault({ default: _, ...schema }: JsonSchema): JsonSchema {
  return schema
}

function withNull(schema: JsonSchema): JsonSchema {
  const types = [schema.type].flat() as string[]
  if (types.includes('null')) return schema
  const values = schema.enum as unknown[] | undefined
  return { ...schema, type: [...types, 'null'], ...(values === undefined ? {} : { enum: [...values, null] }) }
}

/** `order_lines` → `OrderLines`; no two names of resources give the same. */
export function pascalCase(name: string): string {
  return name.replace(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())
}
