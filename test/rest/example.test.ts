// An example must fit its schema, or there is none.
import { describe, expect, test } from 'bun:test'
import { createValidator } from '../../src/http/validate.ts'
import { exampleOf } from '../../src/rest/example.ts'

const made: object[] = [
  { type: 'string' },
  { type: 'string', minLength: 10 },
  { type: 'string', maxLength: 2 },
  { type: 'string', format: 'email' },
  { type: 'string', format: 'uri' },
  { type: 'string', format: 'uuid' },
  { type: 'string', format: 'date' },
  { type: 'string', format: 'date-time' },
  { type: ['string', 'null'], format: 'date-time' },
  { type: 'string', enum: ['b', 'c'] },
  { type: 'integer' },
  { type: 'integer', minimum: 7 },
  { type: 'integer', maximum: -7 },
  { type: 'number', exclusiveMinimum: 3 },
  { type: 'number', exclusiveMaximum: 0 },
  { type: 'number', minimum: 1, multipleOf: 0.5 },
  { type: 'number', minimum: 0, maximum: 0 },
  { type: 'number', exclusiveMinimum: -1e300, exclusiveMaximum: 1e300 },
  { type: 'number', minimum: -5, maximum: 5 },
  { type: 'boolean' },
  { type: 'array', items: { type: 'integer' }, minItems: 2 },
  { type: 'array', items: { type: 'string', pattern: 'x' } },
  { type: 'array', items: { type: 'integer' }, maxItems: 0 },
  {
    type: 'object',
    properties: { a: { type: 'string' }, b: { type: 'string', pattern: 'x' } },
    required: ['a'],
  },
  { type: 'integer', default: 4 },
  { type: 'string', examples: ['mine'] },
]
const unmade: object[] = [
  { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 },
  { type: 'number', exclusiveMinimum: 1e300 },
  { type: 'string', pattern: '^a$' },
  { type: 'object', properties: { a: { type: 'string', pattern: 'x' } }, required: ['a'] },
  { type: 'array', items: { type: 'integer' }, minItems: 2, uniqueItems: true },
]

describe('exampleOf', () => {
  for (const schema of made) {
    test(JSON.stringify(schema), () => {
      const example = exampleOf(schema as never)
      expect(example).not.toBeUndefined()
      expect(createValidator(schema as never)(example)).toEqual([])
    })
  }
  for (const schema of unmade) {
    test(`none for ${JSON.stringify(schema)}`, () => {
      expect(exampleOf(schema as never)).toBeUndefined()
    })
  }
})
