// Every fault at once, in words, at the pointer where it is.
import { describe, expect, test } from 'bun:test'
import { Compile } from 'typebox/schema'
import { AppError } from '../../src/core/errors.ts'
import { canonicalSchema } from '../../src/http/json-schema.ts'
import type { JsonSchema } from '../../src/http/route.ts'
import { applyDefaults, createValidator, jsonBody, MAX_DETAILS } from '../../src/http/validate.ts'
import { t, type TSchema } from '../../src/sdk.ts'

type Details = [field: string, message: string][]
const faultsOf = (schema: TSchema, value: unknown, pointer?: string): Details =>
  createValidator(canonicalSchema(schema))(value, pointer).map(({ field, message }) => [field, message])

const BETWEEN = t.Number({ minimum: 0, exclusiveMaximum: 10, multipleOf: 0.01 })
const FAMILY = t.Union([t.Literal('memo'), t.Literal('task')])

describe('a value is', () => {
  const cases: [schema: TSchema, value: unknown, messages: string[]][] = [
    [t.String(), 'x', []],
    [t.String(), 1, ['Expected text']],
    [t.Number(), '1', ['Expected a number']],
    [t.Integer(), 1.5, ['Expected a whole number']],
    [t.Integer(), 1, []],
    [t.Integer(), 2 ** 53 - 1, []],
    [t.Integer(), 2 ** 53, ['Expected a number less than or equal to 9007199254740991']],
    [t.Integer(), -1e300, ['Expected a number greater than or equal to -9007199254740991']],
    [t.Boolean(), 'true', ['Expected true or false']],
    [t.Object({}), [], ['Expected an object']],
    [t.Object({}), null, ['Expected an object']],
    [t.Array(t.String()), {}, ['Expected a list']],
    [t.Nullable(t.String()), null, []],
    [t.Nullable(t.String()), 1, ['Expected text or null']],
    [BETWEEN, 0, []],
    [BETWEEN, -0.01, ['Expected a number greater than or equal to 0']],
    [BETWEEN, 9.99, []],
    [BETWEEN, 10, ['Expected a number less than 10']],
    [BETWEEN, 1.005, ['Expected a multiple of 0.01']],
    [t.Number({ exclusiveMinimum: 0 }), 0, ['Expected a number greater than 0']],
    [t.String({ minLength: 1 }), '', ['Expected text of at least 1 character']],
    [t.String({ maxLength: 2 }), '😀😀', []],
    [t.String({ maxLength: 2 }), '😀😀😀', ['Expected text of at most 2 characters']],
    [t.String({ pattern: '^[a-z]+$' }), 'A', ['Expected text that matches ^[a-z]+$']],
    [t.String({ format: 'date' }), '2026-02-30', ['Expected a date such as 2026-01-31']],
    [t.String({ format: 'email' }), 'a', ['Expected an e-mail address']],
    [t.String({ format: 'uuid' }), 'a', ['Expected a UUID']],
    [t.String({ format: 'uri' }), 'a', ['Expected an absolute URI such as https://example.com']],
    [
      t.String({ format: 'date-time' }),
      '2026-01-31',
      ['Expected a date and time with its zone such as 2026-01-31T12:00:00Z'],
    ],
    [
      t.String({ format: 'email', minLength: 3 }),
      'a',
      ['Expected text of at least 3 characters', 'Expected an e-mail address'],
    ],
    [FAMILY, 'memo', []],
    [FAMILY, 'other', ['Expected one of: memo, task']],
    [FAMILY, 5, ['Expected one of: memo, task']],
    [t.Nullable(FAMILY), 'x', ['Expected one of: memo, task, null']],
    [t.Array(t.Integer(), { minItems: 1 }), [], ['Expected at least 1 item']],
    [t.Array(t.Integer(), { maxItems: 1 }), [1, 2], ['Expected at most 1 item']],
    [t.Array(t.Integer(), { uniqueItems: true }), [1, 2], []],
    [t.Array(t.Integer(), { uniqueItems: true }), [1, 2, 1], ['Expected no item twice']],
    [t.Array(t.Nullable(t.String()), { uniqueItems: true }), ['null', null], []],
    [t.String({ message: 'Say it' }), 1, ['Say it']],
    [t.String({ message: 'Say it', minLength: 3, format: 'email' }), 'a', ['Say it']],
  ]
  test.each(cases)('%j against %j: %j', (schema, value, messages) => {
    expect(faultsOf(schema, value)).toEqual(messages.map((message) => ['', message]))
  })
})

const POINT = t.Object({ x: t.Number(), y: t.Optional(t.Number()) })

describe('within an object', () => {
  const schema = t.Object({
    name: t.String({ minLength: 1, message: 'Give a name' }),
    price: t.Number({ minimum: 0 }),
    'a/b~': t.Optional(t.String()),
    point: t.Optional(POINT),
    points: t.Optional(t.Array(POINT, { uniqueItems: true })),
    constructor: t.Optional(t.Integer()),
  })
  const cases: [value: unknown, details: Details][] = [
    [{ name: 'x', price: 0 }, []],
    [
      {},
      [
        ['/name', 'Give a name'],
        ['/price', 'Required'],
      ],
    ],
    [
      { name: '', price: -1 },
      [
        ['/name', 'Give a name'],
        ['/price', 'Expected a number greater than or equal to 0'],
      ],
    ],
    [
      { name: 'x', price: 0, z: 1, 'y/~': 2 },
      [
        ['/z', 'Unknown property'],
        ['/y~1~0', 'Unknown property'],
      ],
    ],
    [{ name: 'x', price: 0, 'a/b~': 1 }, [['/a~1b~0', 'Expected text']]],
    [
      { name: 'x', price: 0, point: { y: '1', q: 1 } },
      [
        ['/point/x', 'Required'],
        ['/point/y', 'Expected a number'],
        ['/point/q', 'Unknown property'],
      ],
    ],
    [
      { name: 'x', price: 0, points: [{ x: 1 }, { x: 1, y: 2 }, { y: 2, x: 1 }, null] },
      [
        ['/points', 'Expected no item twice'],
        ['/points/3', 'Expected an object'],
      ],
    ],
    [{ name: 'x', price: 0, points: [{ x: 1 }, { x: 2 }] }, []],
    [{ name: 'x', price: 0, constructor: 'c' }, [['/constructor', 'Expected a whole number']]],
    [JSON.parse('{"name":"x","price":0,"__proto__":{"price":-1}}'), [['/__proto__', 'Unknown property']]],
    [
      JSON.parse('{"name":"x","__proto__":{"price":1}}'),
      [
        ['/price', 'Required'],
        ['/__proto__', 'Unknown property'],
      ],
    ],
  ]
  test.each(cases)('%j: %j', (value, details) => expect(faultsOf(schema, value)).toEqual(details))

  test('the pointer of the whole value goes before', () => {
    expect(faultsOf(schema, { price: 1 }, '/1')).toEqual([['/1/name', 'Give a name']])
  })

  test('a required `constructor` is missed', () => {
    expect(faultsOf(t.Object({ constructor: t.String() }), {})).toEqual([['/constructor', 'Required']])
  })

  test('an unknown key of 100 kB is cut', () => {
    const [detail] = faultsOf(t.Object({}), { ['k'.repeat(100_000)]: 1 })
    expect(detail?.[0].length).toBe(200)
  })

  test(`at most ${MAX_DETAILS} faults are listed`, () => {
    const list = t.Array(t.Object({ a: t.String() }))
    expect(faultsOf(list, Array(MAX_DETAILS).fill({})).length).toBe(MAX_DETAILS)
    expect(faultsOf(list, Array(500).fill({ b: 1, c: 1 })).length).toBe(MAX_DETAILS)
    const three = t.Array(t.Object({ a: t.String(), b: t.String(), c: t.String() }))
    expect(faultsOf(three, Array(500).fill({})).length).toBe(MAX_DETAILS)
  })
})

test('an enum of many values is not listed whole', () => {
  const values = Array.from({ length: 25 }, (_, index) => `v${index}`) as [string, ...string[]]
  const [detail] = faultsOf(t.Enum(values), 'x')
  expect(detail?.[1]).toEndWith('v18, v19, and 5 more')
})

test('a keyword that we have no words for is still refused', () => {
  expect(createValidator({ type: 'string', not: { const: 'x' } })('x', '/a')).toEqual([
    { field: '/a', message: 'Value is not valid' },
  ])
})

test('no message holds a value of the input', () => {
  const secret = 'hunter2!'
  const schema = t.Object({
    a: t.String({ maxLength: 1, pattern: '^a$', format: 'email' }),
    b: t.Enum(['x']),
    c: t.Array(t.Integer(), { uniqueItems: true }),
  })
  expect(JSON.stringify(faultsOf(schema, { a: secret, b: secret, c: [secret, secret] }))).not.toContain(
    secret,
  )
})

describe('linear time on', () => {
  const cases: [what: string, schema: TSchema, value: unknown][] = [
    ['equal items', t.Array(t.Integer(), { uniqueItems: true }), Array(300_000).fill(1)],
    [
      'different items',
      t.Array(t.Integer(), { uniqueItems: true }),
      Array.from({ length: 300_000 }, (_, i) => i),
    ],
    ['wrong items', t.Array(t.String()), Array(500_000).fill(1)],
    [
      'unknown keys',
      t.Object({}),
      Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i])),
    ],
    ['long text', t.String({ minLength: 1, maxLength: 10, format: 'email' }), 'a@'.repeat(500_000)],
  ]
  test.each(cases)('%s', (_what, schema, value) => {
    const validate = createValidator(canonicalSchema(schema))
    const start = performance.now()
    validate(value)
    expect(performance.now() - start).toBeLessThan(2000)
  })
})

// typebox says whether a value is valid, we say why not: on random values the two must agree.
test('faults are found if and only if typebox refuses the value', () => {
  let seed = 7
  const random = (below: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648
    return Math.floor((seed / 2147483648) * below)
  }
  const leaves = [
    '',
    'a',
    'abc',
    '2026-01-31',
    'a@b.example',
    '😀',
    0,
    1,
    -1,
    1.5,
    0.01,
    1e300,
    true,
    false,
    null,
  ]
  const schema = t.Object({
    a: t.String({ minLength: 1, maxLength: 2 }),
    b: t.Optional(t.Nullable(t.Number({ minimum: 0, exclusiveMaximum: 1.5, multipleOf: 0.5 }))),
    c: t.Optional(t.Integer({ maximum: 1 })),
    d: t.Optional(t.Nullable(t.Enum(['a', 'abc']))),
    e: t.Optional(t.Array(t.Nullable(t.String({ format: 'date' })), { maxItems: 2 })),
    f: t.Optional(t.Object({ g: t.Boolean(), h: t.Optional(t.String({ pattern: '^a' })) })),
  })
  const valueOf = (depth: number): unknown => {
    const kind = random(depth > 3 ? 6 : 10)
    if (kind < 6) return leaves[random(leaves.length)]
    if (kind < 7) return Array.from({ length: random(4) }, () => valueOf(depth + 1))
    return objectOf(depth)
  }
  const objectOf = (depth: number) => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'].filter(() => random(2) === 0)
    return Object.fromEntries(names.map((name) => [name, valueOf(depth + 1)]))
  }
  const canonical = canonicalSchema(schema)
  const validate = createValidator(canonical)
  const compiled = Compile(canonical)
  // A valid record with one value changed, so that both answers are frequent.
  const base = { a: 'a', b: 1, c: 0, d: null, e: ['2026-01-31'], f: { g: true } }
  const counts = { valid: 0, invalid: 0 }
  for (let round = 0; round < 20_000; round++) {
    const name = ['a', 'b', 'c', 'd', 'e', 'f'][random(6)] as string
    const value = random(4) === 0 ? objectOf(0) : { ...base, [name]: valueOf(1) }
    const isValid = compiled.Check(value)
    counts[isValid ? 'valid' : 'invalid']++
    const messages = validate(value).map(({ message }) => message)
    if (isValid !== (messages.length === 0) || messages.includes('Value is not valid')) {
      throw new Error(`They disagree on ${JSON.stringify(value)}`)
    }
  }
  expect(counts.valid).toBeGreaterThan(1000)
  expect(counts.invalid).toBeGreaterThan(1000)
})

describe('applyDefaults', () => {
  const schema = canonicalSchema(
    t.Object({
      flag: t.Boolean({ default: true }),
      tags: t.Array(t.String(), { default: ['a'] }),
      inner: t.Optional(t.Object({ count: t.Integer({ default: 0 }), text: t.Optional(t.String()) })),
      list: t.Optional(t.Array(t.Object({ on: t.Boolean({ default: false }) }))),
      made: t.Object({ count: t.Integer({ default: 1 }) }, { default: {} as { count: number } }),
    }),
  )
  const whole = { flag: true, tags: ['a'], made: { count: 1 } }

  const cases: [value: unknown, filled: unknown][] = [
    [{}, whole],
    [
      { flag: false, tags: [] },
      { ...whole, flag: false, tags: [] },
    ],
    [{ inner: {} }, { ...whole, inner: { count: 0 } }],
    [{ inner: null }, { ...whole, inner: null }],
    [{ list: [{}, { on: true }, 5] }, { ...whole, list: [{ on: false }, { on: true }, 5] }],
    [5, 5],
    [null, null],
    [[], []],
  ]
  test.each(cases)('%j becomes %j', (value, filled) => {
    const before = JSON.stringify(value)
    expect(applyDefaults(schema, value)).toEqual(filled)
    expect(JSON.stringify(value)).toBe(before)
  })

  test('returns the same value where there is nothing to fill', () => {
    const value = { ...whole, inner: { count: 3 }, list: [{ on: true }] }
    expect(applyDefaults(schema, value)).toBe(value)
  })

  test('gives each value its own default', () => {
    const first = applyDefaults(schema, {}) as { tags: string[] }
    first.tags.push('b')
    expect(applyDefaults(schema, {})).toEqual(whole)
  })

  test('neither reads nor writes a prototype', () => {
    const value = JSON.parse('{"__proto__":{"flag":false}}') as object
    const filled = applyDefaults(schema, value) as Record<string, unknown>
    expect(filled.flag).toBe(true)
    expect(Object.getPrototypeOf(filled)).toBe(Object.prototype)
    expect(Object.keys(filled)).toContain('__proto__')
    const named = canonicalSchema(t.Object({ constructor: t.String({ default: 'c' }) }))
    expect(applyDefaults(named, {})).toEqual({ constructor: 'c' } as object)
  })
})

describe('jsonBody', () => {
  const body = jsonBody(t.Object({ name: t.String(), on: t.Boolean({ default: true }) }), {
    example: { name: 'x' },
    mediaTypes: ['application/merge-patch+json'],
  })

  test('parse returns the typed value with defaults', () => {
    const value: { name: string; on: boolean } = body.parse({ name: 'x' })
    expect(value).toEqual({ name: 'x', on: true })
  })

  test('parse throws validation_failed with every fault', () => {
    const parse = () => body.parse({ on: 1, z: 1 })
    expect(parse).toThrow(AppError)
    try {
      parse()
    } catch (error) {
      expect((error as AppError).code).toBe('validation_failed')
      expect((error as AppError).details.map(({ field }) => field)).toEqual(['/name', '/on', '/z'])
    }
  })

  test('carries what the document needs', () => {
    expect((body.schema as JsonSchema).required).toEqual(['name'])
    expect(body).toMatchObject({ example: { name: 'x' }, mediaTypes: ['application/merge-patch+json'] })
  })
})
