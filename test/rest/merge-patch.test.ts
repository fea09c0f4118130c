import { describe, expect, test } from 'bun:test'
import { mergePatch } from '../../src/rest/merge-patch.ts'

const schema = {
  type: 'object',
  properties: {
    a: { type: 'string' },
    n: { type: ['string', 'null'] },
    o: { type: 'object', properties: { b: { type: 'string' }, n: { type: ['string', 'null'] } } },
    l: { type: 'array' },
    b: { type: 'string' },
    bb: { type: 'object', properties: { ccc: { type: 'string' } } },
  },
}

// The table of RFC 7396, appendix A, as far as targets and patches are objects; then what our schemas add.
const cases: [object, object, object][] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ o: { b: 'c' } }, { o: { b: 'd', c: null } }, { o: { b: 'd', c: null } }],
  [{ a: 'x' }, { unknown: null }, { a: 'x', unknown: null }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [{}, { bb: { ccc: null } }, { bb: {} }],
  [{ n: 'x' }, { n: null }, { n: null }],
  [{ o: { b: 'x', n: 'y' } }, { o: { n: null } }, { o: { b: 'x', n: null } }],
  [{ o: { b: 'x' } }, { o: null }, {}],
  [{ o: 'text' }, { o: { b: 'x' } }, { o: { b: 'x' } }],
]

describe('mergePatch', () => {
  for (const [target, patch, expected] of cases) {
    test(`${JSON.stringify(target)} with ${JSON.stringify(patch)}`, () => {
      const before = structuredClone([target, patch])
      expect(mergePatch(target as never, patch as never, schema)).toEqual(expected as never)
      expect([target, patch]).toEqual(before)
    })
  }

  test('__proto__ is a property like any other and pollutes nothing', () => {
    const merged = mergePatch(
      {},
      JSON.parse('{"__proto__":{"admin":true},"a":{"__proto__":{"admin":true}}}'),
      schema,
    )
    expect(JSON.stringify(merged)).toBe('{"__proto__":{"admin":true},"a":{"__proto__":{"admin":true}}}')
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
    expect((merged as { admin?: boolean }).admin).toBeUndefined()
  })
})
