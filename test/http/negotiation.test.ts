// RFC 9110, section 12.5.1.
import { expect, test } from 'bun:test'
import { preferredType } from '../../src/http/negotiation.ts'

const OFFERED = ['application/json', 'text/csv', 'application/xml']

const cases: [accept: string | null, type: string | undefined][] = [
  [null, 'application/json'],
  ['', 'application/json'],
  [' , ', 'application/json'],
  ['*/*', 'application/json'],
  ['text/csv', 'text/csv'],
  ['TEXT/CSV', 'text/csv'],
  ['text/*', 'text/csv'],
  ['text/csv, */*', 'application/json'],
  ['text/csv, */*;q=0.9', 'text/csv'],
  ['*/*;q=0.9,text/csv', 'text/csv'],
  ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'application/xml'],
  ['application/json;q=0.5, text/csv;q=0.6', 'text/csv'],
  ['application/json;q=0.5, text/csv;q=0.5', 'application/json'],
  ['text/csv;q=0.5, application/json;q=0.500', 'application/json'],
  ['application/json;q=0', undefined],
  ['application/json;q=0, */*', 'text/csv'],
  ['*/*, application/json;q=0.1', 'text/csv'],
  ['application/*;q=0.1, */*;q=0.2', 'text/csv'],
  ['*/*;q=0', undefined],
  ['image/png', undefined],
  ['image/png, text/html', undefined],
  ['application/json;charset=utf-8', 'application/json'],
  ['application/json; charset="UTF-8" ; q=0.2, text/csv;q=0.1', 'application/json'],
  ['application/json;version=1', undefined],
  ['application/json;q=0.001', 'application/json'],
  ['application/json ; q=1.000', 'application/json'],
  ['application/json;;q=0.1, text/csv;q=0.2', 'text/csv'],
  ['image/png;x="a,b\\"", text/csv', 'text/csv'],
  // Malformed: no wish at all.
  ['image', 'application/json'],
  ['image/', 'application/json'],
  ['*/csv', 'application/json'],
  ['image/png;q=2', 'application/json'],
  ['image/png;q=-1', 'application/json'],
  ['image/png;q=0.1234', 'application/json'],
  ['image/png;q=', 'application/json'],
  ['image/png text/csv', 'application/json'],
  ['image/png;x="open', 'application/json'],
]
test.each(cases)('Accept: %s chooses %s', (accept, type) =>
  expect(preferredType(accept, OFFERED)).toBe(type as string),
)

test('a parameter of the offer is matched, and is more specific than none', () => {
  const offered = ['text/html;level=1', 'text/html']
  expect(preferredType('text/html;level=1;q=0.3, text/html;q=0.7', offered)).toBe('text/html')
  expect(preferredType('text/html;level=1;q=0.7, text/html;q=0.3', offered)).toBe('text/html;level=1')
})

test('50 ranges are read, one more accepts everything', () => {
  const ranges = (count: number) => Array(count).fill('a/b').join()
  expect(preferredType(ranges(50), OFFERED)).toBeUndefined()
  expect(preferredType(ranges(51), OFFERED)).toBe('application/json')
})

test('1,024 characters are read, one more accepts everything', () => {
  const padded = (length: number) => 'image/png'.padEnd(length)
  expect(preferredType(padded(1024), OFFERED)).toBeUndefined()
  expect(preferredType(padded(1025), OFFERED)).toBe('application/json')
})

test('a hostile header takes no exponential time', () => {
  const start = performance.now()
  for (const part of ['; ', ';a=b ', ';a="\\', ' ', ';', '/', '"', ';\t ;', ';q']) {
    preferredType(`a/b${part.repeat(1000 / part.length)}!`, OFFERED)
  }
  expect(performance.now() - start).toBeLessThan(2000)
})
