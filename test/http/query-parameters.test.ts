// One spelling for each value; every fault at once.
import { describe, expect, test } from 'bun:test'
import { AppError } from '../../src/core/errors.ts'
import { createQueryParser, MAX_PARAMETERS } from '../../src/http/query-parameters.ts'
import { t } from '../../src/sdk.ts'

const parse = createQueryParser(
  t.Object({
    page: t.Integer({ minimum: 1, default: 1 }),
    price: t.Optional(t.Number({ maximum: 100 })),
    done: t.Optional(t.Boolean()),
    word: t.Optional(t.String({ maxLength: 10 })),
    kind: t.Optional(t.Enum(['memo', 'task'])),
    'a[b]/c': t.Optional(t.String({ minLength: 1 })),
  }),
)

function failure(search: string): AppError {
  try {
    parse(search)
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
  throw new Error('It was accepted')
}

describe('a query is parsed', () => {
  const cases: [search: string, values: Readonly<Record<string, unknown>>][] = [
    ['', { page: 1 }],
    ['?', { page: 1 }],
    ['?page=2&done=false', { page: 2, done: false }],
    ['page=2', { page: 2 }],
    ['&page=2&&', { page: 2 }],
    ['price=1.5e1', { page: 1, price: 15 }],
    ['price=-0', { page: 1, price: 0 }],
    ['word=a+b%2Bc', { page: 1, word: 'a b+c' }],
    ['word=%C3%A9', { page: 1, word: 'é' }],
    ['word=a=b?', { page: 1, word: 'a=b?' }],
    ['word=', { page: 1, word: '' }],
    ['word', { page: 1, word: '' }],
    ['%70age=3', { page: 3 }],
    ['kind=task', { page: 1, kind: 'task' }],
    ['a%5Bb%5D/c=x', { page: 1, 'a[b]/c': 'x' }],
  ]
  test.each(cases)('%s', (search, values) => {
    const parsed = parse(search)
    expect(parsed).toEqual(values)
    if ('price' in parsed && parsed.price === 0) expect(parsed.price).toBe(0)
  })
})

describe('a query is refused', () => {
  const whole = 'Expected a whole number'
  const control = 'Control characters are not allowed'
  const cases: [search: string, details: [field: string, message: string][]][] = [
    ...['+1', '01', '1.0', '1e1', '0x10', '-0', ' 1', '1%20', '', '٣', '9007199254740992', 'null'].map(
      (text): [string, [string, string][]] => [`page=${text}`, [['page', whole]]],
    ),
    ...['+1', '.5', '1.', '01', '0x1', 'Infinity', 'NaN', '1e999', ''].map(
      (text): [string, [string, string][]] => [
        `price=${encodeURIComponent(text)}`,
        [['price', 'Expected a number']],
      ],
    ),
    ...['1', 'TRUE', 'yes', ''].map((text): [string, [string, string][]] => [
      `done=${text}`,
      [['done', 'Expected true or false']],
    ]),
    ['page=0', [['page', 'Expected a number greater than or equal to 1']]],
    ['kind=x', [['kind', 'Expected one of: memo, task']]],
    ['word=12345678901', [['word', 'Expected text of at most 10 characters']]],
    ['a[b]/c=', [['a[b]/c', 'Expected text of at least 1 character']]],
    ['page=1&page=1', [['page', 'Given more than once']]],
    ['page=1&%70age=x', [['page', 'Given more than once']]],
    ['nope=1&nope=2', [['nope', 'Unknown parameter']]],
    ['__proto__=1', [['__proto__', 'Unknown parameter']]],
    ['constructor=1', [['constructor', 'Unknown parameter']]],
    ['=1', [['', 'Unknown parameter']]],
    ['word=%00', [['word', control]]],
    ['word=a%0Ab', [['word', control]]],
    ['word=%7F', [['word', control]]],
    ['word=%C2%85', [['word', control]]],
    [
      'no=1&page=x&price=101',
      [
        ['no', 'Unknown parameter'],
        ['page', whole],
        ['price', 'Expected a number less than or equal to 100'],
      ],
    ],
  ]
  test.each(cases)('%s', (search, details) => {
    const error = failure(search)
    expect([error.code, error.message]).toEqual(['bad_request', 'Query parameters are not valid'])
    expect(error.details.map(({ field, message }) => [field, message])).toEqual(details)
  })

  const broken = ['word=%', 'word=%zz', 'word=%ff', 'word=%C0%80', 'word=%ED%A0%80', '%=1']
  test.each(broken)('for the escape in %s', (search) => {
    expect(failure(search)).toMatchObject({
      code: 'bad_request',
      message: 'Query has an invalid percent escape',
    })
  })

  test('a long unknown name is cut', () => {
    const [detail] = failure(`${'n'.repeat(5000)}=1`).details
    expect(detail?.field).toBe('n'.repeat(200))
  })

  test(`for more than ${MAX_PARAMETERS} parameters`, () => {
    const search = (count: number) => Array.from({ length: count }, (_, index) => `x${index}=1`).join('&')
    expect(failure(search(MAX_PARAMETERS)).details.length).toBe(MAX_PARAMETERS)
    expect(failure(search(MAX_PARAMETERS + 1)).message).toBe(
      'Request has too many query parameters, maximum is 100',
    )
  })
})

test('a required parameter that is absent is named', () => {
  const strict = createQueryParser(t.Object({ code: t.String() }))
  expect(() => strict('')).toThrow(AppError)
  expect(strict('code=x')).toEqual({ code: 'x' })
})

test('a required parameter that is ill-typed is named once', () => {
  const strict = createQueryParser(t.Object({ code: t.Integer() }))
  try {
    strict('code=x')
    throw new Error('It was accepted')
  } catch (error) {
    expect((error as AppError).details).toEqual([{ field: 'code', message: 'Expected a whole number' }])
  }
})

test('a parameter of another type is a fault of the route', () => {
  for (const schema of [t.Array(t.String()), t.Nullable(t.String()), t.Object({})]) {
    expect(() => createQueryParser(t.Object({ list: schema }))).toThrow('Query parameter list must be text')
  }
})
