// CSV as it is written: RFC 4180, and what a spreadsheet must not take for a formula.
import { describe, expect, test } from 'bun:test'
import { createCsvEncoder } from '../../../src/rest/formats/csv.ts'
import type { Value } from '../../../src/storage/store.ts'

const cellOf = (value: Value | undefined, isGuarded: boolean) => {
  const encoder = createCsvEncoder({ columns: ['a', 'b'], isGuarded })
  const record = value === undefined ? { b: 0 } : { a: value, b: 0 }
  return encoder.record(record).replace(/,0\r\n$/, '')
}

test('has a header line, CRLF after every line, and the columns in their order', () => {
  const { head, record, tail } = createCsvEncoder({ columns: ['id', 'name', 'price'], isGuarded: false })
  expect(head + record({ price: 1.5, name: 'x', id: 1, extra: 9 }) + tail).toBe(
    'id,name,price\r\n1,x,1.5\r\n',
  )
})

describe('a cell', () => {
  const cases: [value: Value | undefined, exact: string, guarded?: string][] = [
    [undefined, ''],
    [null, ''],
    ['', '""'],
    ['plain', 'plain'],
    ['null', 'null'],
    ['a,b', '"a,b"'],
    ['a"b', '"a""b"'],
    ['"', '""""'],
    ['a\nb', '"a\nb"'],
    ['a\rb', '"a\rb"'],
    [' a', '" a"'],
    ['a ', '"a "'],
    ['é😀', 'é😀'],
    [0, '0'],
    [-5, '-5'],
    [1e21, '1e+21'],
    [1e-7, '1e-7'],
    [true, 'true'],
    [false, 'false'],
    [{ a: 'x' }, '"{""a"":""x""}"'],
    [[], '[]'],
    [[1, 2], '"[1,2]"'],
    ['=1+1', '=1+1', "'=1+1"],
    ['+1', '+1', "'+1"],
    ['-1', '-1', "'-1"],
    ['@SUM', '@SUM', "'@SUM"],
    ['\tx', '"\tx"', "'\tx"],
    ['\rx', '"\rx"', '"\'\rx"'],
    ['\nx', '"\nx"', '"\'\nx"'],
    ['＝1', '＝1', "'＝1"],
    ['=HYPERLINK("x","y")', '"=HYPERLINK(""x"",""y"")"', '"\'=HYPERLINK(""x"",""y"")"'],
    ["'=1", "'=1"],
    ['1=1', '1=1'],
    ['a-b', 'a-b'],
    [' =1', '" =1"'],
  ]
  for (const [value, exact, guarded = exact] of cases) {
    test(`${JSON.stringify(value)} is ${JSON.stringify(exact)}, guarded ${JSON.stringify(guarded)}`, () => {
      expect(cellOf(value, false)).toBe(exact)
      expect(cellOf(value, true)).toBe(guarded)
    })
  }
})
