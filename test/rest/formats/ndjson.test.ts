// NDJSON, one record a line, in pieces of every size.
import { describe, expect, test } from 'bun:test'
import { createNdjsonReader, ndjsonEncoder } from '../../../src/rest/formats/ndjson.ts'
import { ROW_BYTES_MAX, type ReadRow } from '../../../src/rest/formats/rows.ts'

function read(given: string | Uint8Array, pieceSize?: number): ReadRow[] {
  const bytes = typeof given === 'string' ? Buffer.from(given) : given
  const size = pieceSize ?? Math.max(bytes.length, 1)
  const reader = createNdjsonReader()
  const rows: ReadRow[] = []
  for (let at = 0; at < bytes.length; at += size) {
    // The reader must not keep what the next piece may overwrite.
    const piece = Uint8Array.from(bytes.subarray(at, at + size))
    rows.push(...reader.push(piece))
    piece.fill(0x78)
  }
  return [...rows, ...reader.end()]
}

test('a record is one line, whatever is in it', () => {
  const record = { id: 1, text: 'a\nb\u2028"', none: null, list: [1, { a: true }] }
  const line = ndjsonEncoder.record(record)
  expect(line.indexOf('\n')).toBe(line.length - 1)
  expect(read(ndjsonEncoder.head + line + ndjsonEncoder.tail)).toEqual([{ row: 1, record }])
})

test.each([2 ** 53 - 1, 2 ** 53, -(2 ** 53), 1e20, 123456789012345680000, 1e21, 0.1234567890123456])(
  '%p comes back from where a number may be anything',
  (number) => {
    const record = { id: 1, number, list: [{ number }], text: '12345678901234567890' }
    expect(read(ndjsonEncoder.record(record))).toEqual([{ row: 1, record }])
  },
)

describe('lines', () => {
  const cases: [text: string, rows: [row: number, record: unknown][]][] = [
    [
      '{"a":1}\n{"a":2}\n',
      [
        [1, { a: 1 }],
        [2, { a: 2 }],
      ],
    ],
    [
      '{"a":1}\n{"a":2}',
      [
        [1, { a: 1 }],
        [2, { a: 2 }],
      ],
    ],
    [
      '{"a":1}\r\n{"a":2}\r\n',
      [
        [1, { a: 1 }],
        [2, { a: 2 }],
      ],
    ],
    ['\ufeff{"a":1}\n', [[1, { a: 1 }]]],
    ['\n \n{"a":1}\n\t\r\n\n', [[3, { a: 1 }]]],
    [' {"a": "\\n"} \n', [[1, { a: '\n' }]]],
    ['{"a":"é😀"}', [[1, { a: 'é😀' }]]],
    [
      '[]\n1\nnull\n"x"',
      [
        [1, []],
        [2, 1],
        [3, null],
        [4, 'x'],
      ],
    ],
    ['', []],
    ['\n', []],
  ]
  for (const [text, expected] of cases) {
    test(JSON.stringify(text), () => {
      const rows = expected.map(([row, record]) => ({ row, record }))
      for (const size of [undefined, 1, 2, 5]) expect(read(text, size)).toEqual(rows as ReadRow[])
    })
  }
})

describe('faults', () => {
  const cases: [text: string | Uint8Array, row: number, field: string, message: string][] = [
    ['{"a":1}\n{"a":', 2, '', 'Line is not valid JSON'],
    ['{"a":1}{"a":2}', 1, '', 'Line is not valid JSON'],
    ['{"a":1},\n', 1, '', 'Line is not valid JSON'],
    ['{a:1}', 1, '', 'Line is not valid JSON'],
    ['{"a":1}\n\ufeff{"a":1}', 2, '', 'Line is not valid JSON'],
    ['{"a":1,"a":2}', 1, '/a', 'Property appears more than once'],
    ['{"a":"\\u0000"}', 1, '/a', 'Text must not contain the NUL character'],
    ['{"a":"\\ud800"}', 1, '/a', 'Text must not contain a lone surrogate'],
    [
      '{"a":9007199254740993}',
      1,
      '/a',
      'Expected a whole number between -9007199254740991 and 9007199254740991',
    ],
    [Buffer.from('{"a":"\xe9"}', 'latin1'), 1, '', 'Line is not UTF-8'],
    ['['.repeat(65), 1, '', 'Line is nested too deep, maximum is 64 levels'],
  ]
  for (const [text, row, field, message] of cases) {
    test(`${JSON.stringify(String(text).slice(0, 40))}: ${message}`, () => {
      for (const size of [undefined, 1]) {
        const bad = read(text, size).filter(({ faults }) => faults !== undefined)
        expect(bad).toEqual([{ row, record: undefined, faults: [{ field, message }] }])
      }
    })
  }

  test('rows after a faulty one are read', () => {
    expect(read('{\n{"a":1}').at(-1)).toEqual({ row: 2, record: { a: 1 } })
  })
})

test('a line over the limit is refused with its number, at the limit it is taken', () => {
  const line = (bytes: number) => `1\n"${'x'.repeat(bytes - 2)}"`
  for (const ending of ['', '\n']) {
    expect(read(line(ROW_BYTES_MAX) + ending, 65_536)[1]?.record).toHaveProperty('length', ROW_BYTES_MAX - 2)
    expect(() => read(line(ROW_BYTES_MAX + 1) + ending, 65_536)).toThrow(
      `Row 2 is too long, maximum is ${ROW_BYTES_MAX} bytes`,
    )
  }
})
