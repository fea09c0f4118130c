// JSON Merge Patch (RFC 7396) with the schema at hand: null stays null where the property may be null, otherwise it
// removes the property, so that its default or its absence takes its place.
import type { JsonSchema } from '../http/route.ts'

type JsonObject = Readonly<Record<string, unknown>>

/** The target with the patch applied; neither is changed. What the schema does not know is kept, null too, to be named by validation. */
export function mergePatch(target: JsonObject, patch: JsonObject, schema: JsonSchema): JsonObject {
  const properties = (schema.properties ?? {}) as Readonly<Record<string, JsonSchema>>
  // A map and not an object: `__proto__` is a name like any other.
  const merged = new Map(Object.entries(target))
  for (const [name, value] of Object.entries(patch)) {
    const property = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (value === null && property !== undefined && !takesNull(property)) merged.delete(name)
    else merged.set(name, isObject(value) ? mergeInto(merged.get(name), value, property) : value)
  }
  return Object.fromEntries(merged)
}

function mergeInto(target: unknown, patch: JsonObject, schema: JsonSchema | undefined): JsonObject {
  return mergePatch(isObject(target) ? target : {}, patch, schema ?? {})
}

function takesNull(schema: JsonSchema | undefined): boolean {
  return Array.isArray(schema?.type) && schema.type.includes('null')
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
