// TypeBox in, canonical JSON Schema out; every fault of a declaration names field and remedy.
import { describe, expect, test } from 'bun:test'
import { Type } from 'typebox'
import { canonicalSchema, fieldMessage, MAX_SCHEMA_DEPTH } from '../../src/http/json-schema.ts'
import type { JsonSchema } from '../../src/http/route.ts'
import { t, type TSchema } from '../../src/sdk.ts'

const LEAST = -9007199254740991
const MOST = 9007199254740991
const typebox = Type as unknown as Record<string, (...input: unknown[]) => TSchema>
/** As a JavaScript resource file would write it: no type stands in the way. */
const loose = t as unknown as Record<string, (...input: unknown[]) => TSchema>
const anyText = () => t.String()

describe('canonicalSchema turns', () => {
  const cases: [what: string, schema: TSchema, canonical: JsonSchema][] = [
    ['text', t.String({ minLength: 1, format: 'email' }), { type: 'string', minLength: 1, format: 'email' }],
    ['a number', t.Number({ minimum: -0.5 }), { type: 'number', minimum: -0.5 }],
    ['an integer', t.Integer(), { type: 'integer', minimum: LEAST, maximum: MOST }],
    ['a bounded integer', t.Integer({ minimum: 0, maximum: 9 }), { type: 'integer', minimum: 0, maximum: 9 }],
    [
      'an integer bounded too far',
      t.Integer({ minimum: -1e300, maximum: 2 ** 60 }),
      { type: 'integer', minimum: LEAST, maximum: MOST },
    ],
    [
      'an integer with exclusive bounds',
      t.Integer({ exclusiveMinimum: 0, exclusiveMaximum: 9 }),
      { type: 'integer', exclusiveMinimum: 0, exclusiveMaximum: 9 },
    ],
    ['a boolean', t.Boolean({ default: true }), { type: 'boolean', default: true }],
    ['a literal', t.Literal('a'), { type: 'string', enum: ['a'] }],
    ['an enum', t.Enum(['memo', 'task']), { type: 'string', enum: ['memo', 'task'] }],
    ['a union of texts', t.Union([t.Literal('a'), t.Literal('b')]), { type: 'string', enum: ['a', 'b'] }],
    ['a union of integers', t.Union([t.Literal(1), t.Literal(2)]), { type: 'integer', enum: [1, 2] }],
    ['a union of numbers', t.Union([t.Literal(1), t.Literal(2.5)]), { type: 'number', enum: [1, 2.5] }],
    ['nullable text', t.Nullable(t.String({ maxLength: 5 })), { type: ['string', 'null'], maxLength: 5 }],
    ['a nullable enum', t.Nullable(t.Enum(['a'])), { type: ['string', 'null'], enum: ['a', null] }],
    ['null twice', t.Nullable(t.Nullable(t.String())), { type: ['string', 'null'] }],
    [
      'a union with null',
      loose.Union!([t.Literal('a'), t.Null(), t.Literal('b')], { default: null }),
      { type: ['string', 'null'], enum: ['a', 'b', null], default: null },
    ],
    [
      'a list',
      t.Array(t.String(), { minItems: 1, uniqueItems: true }),
      { type: 'array', items: { type: 'string' }, minItems: 1, uniqueItems: true },
    ],
    [
      'an object',
      t.Object({
        a: t.String(),
        b: t.Optional(t.String()),
        c: t.Boolean({ default: false }),
        d: t.Optional(t.Nullable(t.Object({}))),
      }),
      {
        type: 'object',
        properties: {
          a: { type: 'string' },
          b: { type: 'string' },
          c: { type: 'boolean', default: false },
          d: { type: ['object', 'null'], properties: {}, required: [], additionalProperties: false },
        },
        required: ['a'],
        additionalProperties: false,
      },
    ],
    [
      'what documents, without our own options',
      t.String({
        title: 'T',
        description: 'D',
        examples: ['e'],
        deprecated: true,
        default: 'd',
        readOnly: true,
        writeOnly: true,
        unique: true,
        index: true,
        hidden: true,
        references: 'users',
        message: 'M',
      }),
      {
        type: 'string',
        title: 'T',
        description: 'D',
        examples: ['e'],
        deprecated: true,
        default: 'd',
        readOnly: true,
        writeOnly: true,
      },
    ],
  ]
  test.each(cases)('%s', (_what, schema, canonical) => {
    const made = canonicalSchema(schema)
    expect(JSON.parse(JSON.stringify(made))).toEqual(canonical)
    expect(Object.keys(made)).not.toContain('~kind')
  })

  test('the message of a field into a side channel that outlives a spread and never a JSON text', () => {
    const schema = canonicalSchema(t.Nullable(t.String({ message: 'Give a name' })))
    expect(fieldMessage(schema)).toBe('Give a name')
    expect(fieldMessage({ ...schema, title: 'x' })).toBe('Give a name')
    expect(JSON.stringify(schema)).toBe('{"type":["string","null"]}')
    expect(fieldMessage({ type: 'string' })).toBeUndefined()
  })
})

describe('canonicalSchema throws for', () => {
  const meta = (schema: unknown) => t.Object({ meta: schema as TSchema })
  const kind = (name: string, remedy: string) => `Field /meta: kind '${name}' is not supported; ${remedy}`
  const builders = 'use t.Object, t.Array, t.String, t.Number, t.Integer, t.Boolean or t.Enum'
  const cases: [what: string, schema: () => TSchema, message: string][] = [
    ['Record', () => meta(typebox.Record!(anyText(), anyText())), kind('Record', 'use t.Object')],
    ['Any', () => meta(typebox.Any!()), kind('Any', builders)],
    ['Unknown', () => meta(typebox.Unknown!()), kind('Unknown', builders)],
    ['Tuple', () => meta(typebox.Tuple!([anyText()])), kind('Tuple', 'use t.Array or t.Object')],
    ['Ref', () => meta(typebox.Ref!('A')), kind('Ref', 'use the schema itself')],
    [
      'Intersect',
      () => meta(typebox.Intersect!([t.Object({}), t.Object({})])),
      kind('Intersect', 'use one t.Object'),
    ],
    ['BigInt', () => meta(typebox.BigInt!()), kind('BigInt', 'use t.Integer')],
    ['Unsafe', () => meta(typebox.Unsafe!({ type: 'string' })), kind('Unsafe', builders)],
    ['Refine', () => meta(typebox.Refine!(anyText(), () => true)), kind('Refine', builders)],
    ['Readonly', () => meta(typebox.Readonly!(anyText())), kind('Readonly', builders)],
    ['plain JSON Schema', () => meta({ type: 'string' }), kind('none', builders)],
    ['a name of Object.prototype', () => meta({ '~kind': 'constructor' }), kind('constructor', builders)],
    ['no schema', () => meta(undefined), 'Field /meta: is not a schema; use t.String and its kin'],
    [
      'a union of objects',
      () => meta(loose.Union!([t.Object({}), t.Object({})])),
      kind('Union of other than literals', 'use t.Object'),
    ],
    [
      'a union of mixed kinds',
      () => meta(loose.Union!([t.Literal('a'), t.Literal(1)])),
      'Field /meta: must have values of one kind, texts or numbers',
    ],
    [
      'a boolean literal',
      () => meta(loose.Literal!(true)),
      'Field /meta: must have values of one kind, texts or numbers',
    ],
    [
      'an empty enum',
      () => meta(loose.Enum!([])),
      'Field /meta: must have values of one kind, texts or numbers',
    ],
    [
      'an enum with a value twice',
      () => meta(loose.Enum!(['a', 'a'])),
      'Field /meta: has the same value twice',
    ],
    [
      't.Optional within t.Nullable',
      () => meta(t.Nullable(t.Optional(anyText()))),
      'Field /meta: t.Optional must be the outermost, around the whole property',
    ],
    [
      't.Optional within t.Array',
      () => meta(t.Array(t.Optional(anyText()))),
      'Field /meta/items: t.Optional must be the outermost, around the whole property',
    ],
    [
      'a misspelt option',
      () => meta(loose.String!({ minLenght: 3 })),
      "Field /meta: option 'minLenght' is not known; did you mean 'minLength'?",
    ],
    [
      'an option of another kind',
      () => meta(loose.Boolean!({ zzzzzzzz: 3 })),
      "Field /meta: option 'zzzzzzzz' is not known; the options are title, description, examples, deprecated, default, " +
        'readOnly, writeOnly, message, hidden, unique, index',
    ],
    [
      'an option of Object.prototype',
      () => meta(loose.String!({ toString: 3 })),
      "Field /meta: option 'toString' is not known; ",
    ],
    [
      'unique on a list',
      () => meta(loose.Array!(anyText(), { unique: true })),
      "Field /meta: option 'unique' is not known; ",
    ],
    [
      'minLength as text',
      () => meta(loose.String!({ minLength: 'x' })),
      "Field /meta: option 'minLength' must be a whole number of at least 0",
    ],
    [
      'minLength below 0',
      () => meta(t.String({ minLength: -1 })),
      "Field /meta: option 'minLength' must be a whole number of at least 0",
    ],
    [
      'minimum NaN',
      () => meta(t.Number({ minimum: Number.NaN })),
      "Field /meta: option 'minimum' must be a number",
    ],
    [
      'multipleOf 0',
      () => meta(t.Number({ multipleOf: 0 })),
      "Field /meta: option 'multipleOf' must be a number greater than 0",
    ],
    [
      'unique as text',
      () => meta(loose.String!({ unique: 'yes' })),
      "Field /meta: option 'unique' must be true or false",
    ],
    [
      'an unknown format',
      () => meta(loose.String!({ format: 'ipv4' })),
      "Field /meta: option 'format' must be one of email, uri, uuid, date, date-time",
    ],
    [
      'a broken pattern',
      () => meta(t.String({ pattern: '(' })),
      "Field /meta: option 'pattern' must be the text of a regular expression",
    ],
    [
      'bounds that cross',
      () => meta(t.String({ minLength: 3, maxLength: 2 })),
      "Field /meta: option 'minLength' is greater than 'maxLength', so no value fits",
    ],
    [
      'a minimum beyond what integers have',
      () => meta(t.Integer({ minimum: 1e300 })),
      "Field /meta: option 'minimum' is greater than 'maximum', so no value fits",
    ],
    [
      'a default of another type',
      () => meta(loose.String!({ default: 5 })),
      "Field /meta: option 'default' does not fit the schema",
    ],
    [
      'a default that breaks a format',
      () => meta(t.String({ format: 'email', default: 'a@b' })),
      "Field /meta: option 'default' does not fit the schema",
    ],
    [
      'a fault in depth',
      () => meta(t.Array(t.Object({ 'a/b': loose.String!({ x: 1 }) }))),
      "Field /meta/items/a~1b: option 'x' is not known; ",
    ],
    [
      'a fault at the root',
      () => loose.Object!({}, { additionalProperties: true }),
      "Schema: option 'additionalProperties' is not known; ",
    ],
  ]
  test.each(cases)('%s', (_what, schema, message) => {
    let thrown: unknown
    try {
      canonicalSchema(schema())
    } catch (error) {
      thrown = error
    }
    expect(thrown).toBeInstanceOf(TypeError)
    expect((thrown as TypeError).message).toStartWith(message)
    expect((thrown as TypeError).message).not.toEndWith('; ')
  })

  test(`${MAX_SCHEMA_DEPTH + 1} levels within a record, not for ${MAX_SCHEMA_DEPTH}`, () => {
    const nested = (levels: number): TSchema =>
      levels === 0 ? t.String() : t.Object({ a: nested(levels - 1) })
    expect(() => canonicalSchema(nested(MAX_SCHEMA_DEPTH + 1))).not.toThrow()
    expect(() => canonicalSchema(nested(MAX_SCHEMA_DEPTH + 2))).toThrow(
      'is nested too deep, maximum is 8 levels',
    )
  })
})
