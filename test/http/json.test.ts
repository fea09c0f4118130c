// Strict decoding: the JSON of RFC 8259 and our rules beyond it, also on the corpus of nst/JSONTestSuite.
import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { AppError } from '../../src/core/errors.ts'
import {
  boundName,
  decodeJson,
  MAX_DEPTH,
  MAX_POINTER_LENGTH,
  MAX_PROPERTIES,
  pointerTo,
} from '../../src/http/json.ts'

const encode = (text: string) => new TextEncoder().encode(text)
const decode = (text: string) => decodeJson(encode(text))
const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
const SAFE = 'Expected a whole number between -9007199254740991 and 9007199254740991'
/** A generous bound for what must be linear: quadratic time takes many seconds here. */
const LINEAR_MS = 2000

function failure(input: string | Uint8Array): AppError {
  try {
    decodeJson(typeof input === 'string' ? encode(input) : input)
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('It was accepted')
}

describe('decodeJson accepts', () => {
  const cases: [text: string, value: unknown][] = [
    ['null', null],
    ['"é😀"', 'é😀'],
    ['"\\ud83d\\ude00"', '😀'],
    [' {"a":[1,2.5,-3e2,true,false,null,{}]} ', { a: [1, 2.5, -300, true, false, null, {}] }],
    ['9007199254740991', 9007199254740991],
    ['-9007199254740991', -9007199254740991],
    ['1e300', 1e300],
    ['9007199254740993.0', 9007199254740992],
    ['1.7976931348623157e308', Number.MAX_VALUE],
    ['1e-400', 0],
    ['{"a":{"a":1},"b":[{"a":1},{"a":2}]}', { a: { a: 1 }, b: [{ a: 1 }, { a: 2 }] }],
    ['{"a:b":"c:\\"d:"}', { 'a:b': 'c:"d:' }],
    ['"\\\\"', '\\'],
    ['{"a":1,"A":2}', { a: 1, A: 2 }],
    [nested(MAX_DEPTH), JSON.parse(nested(MAX_DEPTH))],
  ]
  test.each(cases)('%s', (text, value) => expect(decode(text)).toEqual(value))

  test('-0 as 0 wherever it is', () => {
    const value = decode('{"a":-0,"b":[-0,-0.0],"c":{"__proto__":-0e5}}') as any
    for (const zero of [value.a, ...value.b, Object.entries(value.c)[0]?.[1], decode('-0')])
      expect(zero).toBe(0)
  })

  test('__proto__ as plain data that pollutes nothing', () => {
    const value = decode(
      '{"__proto__":{"isAdmin":true},"constructor":{"prototype":{"isAdmin":true}}}',
    ) as object
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor'])
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect(({} as any).isAdmin).toBeUndefined()
  })

  test(`${MAX_PROPERTIES} properties of one object, and more in several`, () => {
    const object = Object.fromEntries(
      Array.from({ length: MAX_PROPERTIES }, (_, index) => [`k${index}`, index]),
    )
    expect(decode(JSON.stringify([object, object]))).toEqual([object, object])
  })
})

describe('decodeJson answers malformed_json when', () => {
  const cases: [what: string, input: string | Uint8Array][] = [
    ['the body is empty', ''],
    ['there is only space', ' \n'],
    ['there is a byte order mark', '\ufeff{}'],
    ['the body is UTF-16', new Uint8Array([0x7b, 0, 0x7d, 0])],
    ['a byte is not UTF-8', new Uint8Array([0x22, 0xff, 0x22])],
    ['a surrogate is encoded as UTF-8', new Uint8Array([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['UTF-8 is overlong', new Uint8Array([0x22, 0xc0, 0x80, 0x22])],
    ['a comma trails', '[1,]'],
    ['there is a comment', '{}//'],
    ['quotes are single', "{'a':1}"],
    ['a number is NaN', 'NaN'],
    ['a number is hexadecimal', '0x10'],
    ['a string has a raw line break', '"a\nb"'],
    ['text follows', '{} {}'],
    ['depth is one too much', nested(MAX_DEPTH + 1)],
    ['depth is one too much in objects', '{"a":'.repeat(MAX_DEPTH + 1) + '1' + '}'.repeat(MAX_DEPTH + 1)],
    ['brackets never close', '['.repeat(30_000)],
  ]
  test.each(cases)('%s', (_what, input) => {
    const error = failure(input)
    expect(error.code).toBe('malformed_json')
    expect(error.details).toEqual([])
    expect(error.cause).toBeUndefined()
  })

  test('the body is empty, and says so', () =>
    expect(failure('').message).toBe('Request body is empty, it must be JSON'))

  test('30,000 levels, at once', () => {
    const start = performance.now()
    expect(failure(nested(30_000)).code).toBe('malformed_json')
    expect(performance.now() - start).toBeLessThan(LINEAR_MS)
  })
})

describe('decodeJson answers validation_failed with the pointer of', () => {
  const duplicate = 'Property appears more than once'
  const cases: [text: string, details: [field: string, message: string][]][] = [
    ['{"a":1,"a":2}', [['/a', duplicate]]],
    ['{"a":1,"a":2,"a":3}', [['/a', duplicate]]],
    ['{"a":1,"\\u0061":2}', [['/a', duplicate]]],
    ['{"":1,"":2}', [['/', duplicate]]],
    ['[{"x":[{"a/b~c":1,"a/b~c":2}]}]', [['/0/x/0/a~1b~0c', duplicate]]],
    ['{"__proto__":1,"__proto__":2}', [['/__proto__', duplicate]]],
    [
      '{"a":{"b":1 , "b" : 2},"c":1,"c":1}',
      [
        ['/a/b', duplicate],
        ['/c', duplicate],
      ],
    ],
    ['{"a":"\\u0000"}', [['/a', 'Text must not contain the NUL character']]],
    ['"x\\u0000"', [['', 'Text must not contain the NUL character']]],
    ['["ok","\\ud800"]', [['/1', 'Text must not contain a lone surrogate']]],
    ['["\\udc00\\ud800"]', [['/0', 'Text must not contain a lone surrogate']]],
    ['{"a\\u0000":1}', [['/a\ufffd', 'Property name must not contain the NUL character']]],
    ['{"\\ud800":1}', [['/\ufffd', 'Property name must not contain a lone surrogate']]],
    ['{"n":9007199254740992}', [['/n', SAFE]]],
    ['[1,-9007199254740992]', [['/1', SAFE]]],
    [`[${'9'.repeat(400)}]`, [['/0', SAFE]]],
    ['{"n":1e400}', [['/n', `Expected a number between -${Number.MAX_VALUE} and ${Number.MAX_VALUE}`]]],
    [
      '{"n":-1e400,"m":9007199254740993}',
      [
        ['/n', `Expected a number between -${Number.MAX_VALUE} and ${Number.MAX_VALUE}`],
        ['/m', SAFE],
      ],
    ],
  ]
  test.each(cases)('%s', (text, details) => {
    const error = failure(text)
    expect(error.code).toBe('validation_failed')
    expect(error.details.map(({ field, message }) => [field, message])).toEqual(details)
  })

  test(`an object of more than ${MAX_PROPERTIES} properties`, () => {
    const wide = `{${Array.from({ length: MAX_PROPERTIES + 1 }, (_, index) => `"k${index}":1`).join()}}`
    expect(failure(`[1,${wide}]`).details).toEqual([
      { field: '', message: 'Expected objects of at most 2000 properties' },
    ])
  })

  test('a key of 100 kB, cut', () => {
    const key = '~'.repeat(100_000)
    const [detail] = failure(`{"${key}":1,"${key}":2}`).details
    expect(detail?.field.length).toBeLessThanOrEqual(MAX_POINTER_LENGTH)
    expect(detail?.field).toMatch(/^\/(~0)+$/)
  })

  test('at most 100 faults', () => {
    const details = failure(`[${Array(200).fill('1e400').join()}]`).details
    expect(details.length).toBe(100)
  })
})

test('boundName cuts at 200 characters and never within an escape or a character', () => {
  expect(boundName('x'.repeat(200))).toBe('x'.repeat(200))
  expect(boundName('x'.repeat(201))).toBe('x'.repeat(200))
  expect(boundName('x'.repeat(199) + '~0')).toBe('x'.repeat(199))
  expect(boundName('x'.repeat(199) + '😀')).toBe('x'.repeat(199) + '\ufffd')
})

test('pointerTo escapes by RFC 6901', () => {
  expect(pointerTo('/a', 'b/~')).toBe('/a/b~1~0')
  expect(pointerTo('', 0)).toBe('/0')
})

describe('decodeJson takes linear time on 1 MiB of', () => {
  const many = (count: number, item: (index: number) => string) =>
    Array.from({ length: count }, (_, i) => item(i)).join()
  const cases: [what: string, text: string][] = [
    ['one object of 100,000 keys', `{${many(100_000, (i) => `"${i}":1`)}}`],
    ['objects of different keys', `[${many(80_000, (i) => `{"${i}":1}`)}]`],
    ['objects with the same key twice', `[${many(70_000, () => '{"a":1,"a":1}')}]`],
    ['numbers that look too large', `[${many(170_000, () => '1e300')}]`],
    ['numbers that are too large', `[${many(170_000, () => '1e400')}]`],
    ['escapes', `["${'\\\\'.repeat(500_000)}\\u0000"]`],
    ['an open string', `["${'a'.repeat(1_000_000)}`],
  ]
  test.each(cases)('%s', (_what, text) => {
    const bytes = encode(text)
    const start = performance.now()
    try {
      decodeJson(bytes)
    } catch (error) {
      expect(error).toBeInstanceOf(AppError)
    }
    expect(performance.now() - start).toBeLessThan(LINEAR_MS)
  })
})

describe('JSONTestSuite', () => {
  const folder = `${import.meta.dir}/../../../shared/corpora/jsontestsuite`
  const isThere = existsSync(folder)
  if (!isThere) console.log('JSONTestSuite is not here: skipped')
  const files: { file: string; expect: string }[] = isThere
    ? JSON.parse(readFileSync(`${folder}/index.json`, 'utf8'))
    : []
  /** JSON by RFC 8259 that we refuse for the meaning it loses. */
  const REFUSED = [
    'y_object_duplicated_key.json',
    'y_object_duplicated_key_and_value.json',
    'y_object_escaped_null_in_key.json',
    'y_string_null_escape.json',
  ]
  const outcome = (file: string) => {
    try {
      decodeJson(readFileSync(`${folder}/${file}`))
      return 'accepted'
    } catch (error) {
      return error instanceof AppError ? error.code : 'crashed'
    }
  }
  for (const wanted of ['accept', 'reject', 'either']) {
    test.skipIf(!isThere)(`${wanted}: no file surprises`, () => {
      const surprises = files
        .filter((file) => file.expect === wanted && file.file.startsWith('test_parsing/'))
        .map(({ file }) => ({ file, is: outcome(file) }))
        .filter(({ file, is }) => {
          if (wanted === 'either') return is === 'crashed'
          if (wanted === 'reject') return is !== 'malformed_json'
          return is !== (REFUSED.some((name) => file.endsWith(name)) ? 'validation_failed' : 'accepted')
        })
      expect(surprises).toEqual([])
    })
  }
})
