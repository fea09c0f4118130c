// Turns a TypeBox schema of the supported kinds into the one canonical JSON Schema (2020-12) that both the validator
// and the API document use. It checks a declaration's kinds and options, not its names.
import { Check } from 'typebox/schema'
import './formats.ts'
import { nearest } from '../core/nearest.ts'
import type { TSchema } from '../sdk.ts'
import { pointerTo } from './json.ts'
import type { JsonSchema } from './route.ts'

/** Arrays and objects within a property. */
export const MAX_SCHEMA_DEPTH = 8

// A symbol: it survives a spread of the schema, and neither typebox nor JSON.stringify sees it.
const MESSAGE: unique symbol = Symbol('message')

/** The text that replaces the messages of all errors at this schema, where its declaration gave one. */
export function fieldMessage(schema: JsonSchema): string | undefined {
  return (schema as { readonly [MESSAGE]?: string })[MESSAGE]
}

/**
 * Plain JSON Schema: closed objects, `required` without the properties that have a default, literals and unions as
 * `enum`, null as a second `type`, integers within what a double holds exactly, no `anyOf`. Throws TypeError with the
 * field and the remedy for an unsupported kind, an unknown or ill-typed option, a default that does not fit.
 */
export function canonicalSchema(schema: TSchema): JsonSchema {
  return nodeOf(schema, '', 0)
}

type Raw = Readonly<Record<string, unknown>>

const KINDS: Readonly<Record<string, (schema: Raw, pointer: string, depth: number) => JsonSchema>> = {
  String: () => ({ type: 'string' }),
  Number: () => ({ type: 'number' }),
  Integer: integerNode,
  Boolean: () => ({ type: 'boolean' }),
  Literal: (schema, pointer) => enumNode([schema.const], pointer),
  Enum: (schema, pointer) => enumNode(schema.enum as unknown[], pointer),
  Union: unionNode,
  Array: (schema, pointer, depth) => {
    checkDepth(pointer, depth)
    return { type: 'array', items: innerNode(schema.items as Raw, `${pointer}/items`, depth + 1) }
  },
  Object: objectNode,
}

const REMEDIES = new Map(
  Object.entries({
    Record: 'use t.Object',
    Intersect: 'use one t.Object',
    Tuple: 'use t.Array or t.Object',
    Ref: 'use the schema itself',
    Cyclic: 'use a schema that does not contain itself',
    BigInt: 'use t.Integer',
    Date: "use t.String({ format: 'date-time' })",
    TemplateLiteral: 'use t.String with a pattern',
    Undefined: 'use t.Optional or t.Nullable',
  }),
)

function nodeOf(schema: unknown, pointer: string, depth: number): JsonSchema {
  if (typeof schema !== 'object' || schema === null)
    throw fault(pointer, 'is not a schema; use t.String and its kin')
  const raw = schema as Raw
  const kind = kindOf(raw)
  const toNode = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined
  if (toNode === undefined) throw unsupported(pointer, kind, REMEDIES.get(kind))
  const node = withOptions(toNode(raw, pointer, depth), raw, { pointer, depth })
  checkOrder(node, pointer)
  if ('default' in node && !fits(node, node.default)) {
    throw fault(pointer, "option 'default' does not fit the schema")
  }
  if ((node.examples as unknown[] | undefined)?.some((example) => !fits(node, example))) {
    throw fault(pointer, "option 'examples' has a value that does not fit the schema")
  }
  return node
}

/** What a body could carry too: texts with NUL or a lone surrogate are refused there. */
function fits(node: JsonSchema, value: unknown): boolean {
  return Check(node, value) && hasSoundTexts(value)
}

function hasSoundTexts(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0')
  return typeof value !== 'object' || value === null || Object.values(value).every(hasSoundTexts)
}

/** `t.Optional` says something of a property; elsewhere it has no meaning. */
function innerNode(schema: unknown, pointer: string, depth: number): JsonSchema {
  if (typeof schema === 'object' && schema !== null && '~optional' in schema) {
    throw fault(pointer, 't.Optional must be the outermost, around the whole property')
  }
  return nodeOf(schema, pointer, depth)
}

// TypeBox marks with `~…` what it adds to a kind: a refinement, a codec, a foreign schema.
function kindOf(schema: Raw): string {
  const mark = Object.getOwnPropertyNames(schema).find(
    (name) => name.startsWith('~') && name !== '~kind' && name !== '~optional',
  )
  if (mark !== undefined) return mark.charAt(1).toUpperCase() + mark.slice(2)
  const kind = schema['~kind']
  return typeof kind === 'string' ? kind : 'none'
}

function integerNode(schema: Raw): JsonSchema {
  const { MIN_SAFE_INTEGER: least, MAX_SAFE_INTEGER: most } = Number
  const isBelow = typeof schema.exclusiveMaximum === 'number' && schema.exclusiveMaximum <= most
  const isAbove = typeof schema.exclusiveMinimum === 'number' && schema.exclusiveMinimum >= least
  return { type: 'integer', ...(isAbove ? {} : { minimum: least }), ...(isBelow ? {} : { maximum: most }) }
}

function enumNode(values: readonly unknown[], pointer: string): JsonSchema {
  const type = values.every((value) => typeof value === 'string')
    ? 'string'
    : values.every(Number.isSafeInteger)
      ? 'integer'
      : values.every(Number.isFinite)
        ? 'number'
        : undefined
  if (values.length === 0 || type === undefined) {
    throw fault(pointer, 'must have values of one kind, texts or numbers')
  }
  if (new Set(values).size < values.length) throw fault(pointer, 'has the same value twice')
  return { type, enum: values }
}

function unionNode(schema: Raw, pointer: string, depth: number): JsonSchema {
  const members = schema.anyOf as readonly Raw[]
  const others = members.filter((member) => member['~kind'] !== 'Null')
  const first = others[0]
  if (first === undefined) throw unsupported(pointer, 'Null', 'use t.Nullable around another kind')
  const isLiterals = others.every((member) => member['~kind'] === 'Literal')
  if (!isLiterals && others.length > 1)
    throw unsupported(pointer, 'Union of other than literals', 'use t.Object')
  const literals = others.map((member) => member.const)
  const node =
    isLiterals && others.length > 1 ? enumNode(literals, pointer) : innerNode(first, pointer, depth)
  return others.length < members.length ? withNull(node) : node
}

function withNull(node: JsonSchema): JsonSchema {
  const types = [node.type].flat()
  if (types.includes('null')) return node
  const values = node.enum as readonly unknown[] | undefined
  return { ...node, type: [...types, 'null'], ...(values === undefined ? {} : { enum: [...values, null] }) }
}

function objectNode(schema: Raw, pointer: string, depth: number): JsonSchema {
  checkDepth(pointer, depth)
  const properties = Object.entries(schema.properties as Record<string, Raw>).map(
    ([name, property]) => [name, nodeOf(property, pointerTo(pointer, name), depth + 1)] as const,
  )
  const isOptional = (name: string) => '~optional' in ((schema.properties as Raw)[name] as object)
  const required = properties
    .filter(([name, node]) => !isOptional(name) && !('default' in node))
    .map(([name]) => name)
  return { type: 'object', properties: Object.fromEntries(properties), required, additionalProperties: false }
}

function checkDepth(pointer: string, depth: number): void {
  if (depth > MAX_SCHEMA_DEPTH)
    throw fault(pointer, `is nested too deep, maximum is ${MAX_SCHEMA_DEPTH} levels`)
}

interface Option {
  must: string
  test: (value: unknown) => boolean
  /** Of the declaration only; no keyword of JSON Schema. */
  isOwn?: true
  /** Of a column or of what an answer shows: for the fields of a resource only. */
  isOfField?: true
}

const text: Option = { must: 'text', test: (value) => typeof value === 'string' }
const flag: Option = { must: 'true or false', test: (value) => typeof value === 'boolean' }
const own = (option: Option): Option => ({ ...option, isOwn: true })
const ofField = (option: Option): Option => ({ ...option, isOfField: true })
const finite: Option = { must: 'a number', test: Number.isFinite }
const positive: Option = {
  must: 'a number greater than 0',
  test: (value) => Number.isFinite(value) && Number(value) > 0,
}
const count: Option = {
  must: 'a whole number of at least 0',
  test: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
}
const FORMATS: readonly unknown[] = ['email', 'uri', 'uuid', 'date', 'date-time']

const COMMON: Readonly<Record<string, Option>> = {
  title: text,
  description: text,
  examples: { must: 'a list', test: Array.isArray },
  deprecated: flag,
  default: { must: 'a value', test: () => true },
  readOnly: ofField(flag),
  writeOnly: ofField(flag),
  message: own(text),
  hidden: ofField(own(flag)),
}
const STORED: Readonly<Record<string, Option>> = {
  ...COMMON,
  unique: ofField(own(flag)),
  index: ofField(own(flag)),
}
const STRING: Readonly<Record<string, Option>> = {
  ...STORED,
  minLength: count,
  maxLength: count,
  pattern: { must: 'the text of a regular expression', test: isPattern },
  format: { must: `one of ${FORMATS.join(', ')}`, test: (value) => FORMATS.includes(value) },
  references: ofField(own(text)),
  search: ofField(own(flag)),
}
const NUMBER: Readonly<Record<string, Option>> = {
  ...STORED,
  minimum: finite,
  maximum: finite,
  exclusiveMinimum: finite,
  exclusiveMaximum: finite,
  multipleOf: positive,
}
const OPTIONS: Readonly<Record<string, Readonly<Record<string, Option>>>> = {
  String: STRING,
  Number: NUMBER,
  Integer: { ...NUMBER, references: ofField(own(text)) },
  Array: { ...COMMON, minItems: count, maxItems: count, uniqueItems: flag },
  Object: COMMON,
}
/** What TypeBox itself writes into a schema. */
const STRUCTURE = new Set(['type', 'const', 'enum', 'anyOf', 'items', 'properties', 'required'])

function withOptions(
  node: JsonSchema,
  schema: Raw,
  { pointer, depth }: { pointer: string; depth: number },
): JsonSchema {
  const options = OPTIONS[schema['~kind'] as string] ?? STORED
  const result: Record<string | symbol, unknown> = { ...node }
  for (const [name, value] of Object.entries(schema)) {
    if (STRUCTURE.has(name) || value === undefined) continue
    const option = Object.hasOwn(options, name) ? options[name] : undefined
    if (option === undefined) throw unknownOption(pointer, name, Object.keys(options))
    // A part of a JSON column is stored and answered with the whole.
    if (depth > 1 && option.isOfField) {
      throw fault(pointer, `option '${name}' is for the fields of a resource, not for what is inside them`)
    }
    if (!option.test(value)) throw fault(pointer, `option '${name}' must be ${option.must}`)
    if (name === 'message') result[MESSAGE] = value
    if (option.isOwn) continue
    // A bound of the declaration may only narrow the one that integers have anyway.
    if (name === 'maximum')
      result[name] = Math.min(value as number, (node.maximum as number | undefined) ?? Infinity)
    else if (name === 'minimum')
      result[name] = Math.max(value as number, (node.minimum as number | undefined) ?? -Infinity)
    else result[name] = value
  }
  return withoutIdleBounds(result as JsonSchema)
}

/** Of an inclusive and an exclusive bound only the one that binds: tools warn of both. */
function withoutIdleBounds(node: JsonSchema): JsonSchema {
  const { minimum, exclusiveMinimum, maximum, exclusiveMaximum, ...rest } = node as Record<string, number>
  const isOpenBelow = exclusiveMinimum !== undefined && !(minimum! > exclusiveMinimum)
  const isOpenAbove = exclusiveMaximum !== undefined && !(maximum! < exclusiveMaximum)
  return {
    ...rest,
    ...(isOpenBelow ? { exclusiveMinimum } : minimum === undefined ? {} : { minimum }),
    ...(isOpenAbove ? { exclusiveMaximum } : maximum === undefined ? {} : { maximum }),
  }
}

function isPattern(value: unknown): boolean {
  if (typeof value !== 'string') return false
  try {
    // The `u` is typebox's.
    new RegExp(value, 'u')
    return true
  } catch {
    return false
  }
}

function checkOrder(node: JsonSchema, pointer: string): void {
  for (const [least, most] of [
    ['minLength', 'maxLength'],
    ['minItems', 'maxItems'],
    ['minimum', 'maximum'],
  ] as const) {
    if ((node[least] as number) > (node[most] as number)) {
      throw fault(pointer, `option '${least}' is greater than '${most}', so no value fits`)
    }
  }
}

function fault(pointer: string, problem: string): TypeError {
  return new TypeError(`${pointer === '' ? 'Schema' : `Field ${pointer}`}: ${problem}`)
}

function unsupported(
  pointer: string,
  kind: string,
  remedy = 'use t.Object, t.Array, t.String, t.Number, t.Integer, t.Boolean or t.Enum',
): TypeError {
  return fault(pointer, `kind '${kind}' is not supported; ${remedy}`)
}

function unknownOption(pointer: string, name: string, known: readonly string[]): TypeError {
  const near = nearest(name, known)
  const remedy = near === undefined ? `the options are ${known.join(', ')}` : `did you mean '${near}'?`
  return fault(pointer, `option '${name}' is not known; ${remedy}`)
}
