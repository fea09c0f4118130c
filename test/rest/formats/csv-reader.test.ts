// CSV as others write it, well or badly, in pieces of every size.
import { describe, expect, test } from 'bun:test'
import { StartError } from '../../../src/core/errors.ts'
import { createCsvReader, type CsvColumn } from '../../../src/rest/formats/csv-reader.ts'
import { ROW_BYTES_MAX, type ReadRow } from '../../../src/rest/formats/rows.ts'

const COLUMNS: CsvColumn[] = [
  { name: 'a', kind: 'text', nullable: false },
  { name: 'b', kind: 'text', nullable: true },
  { name: 'n', kind: 'real', nullable: false },
  { name: 'i', kind: 'integer', nullable: true },
  { name: 't', kind: 'boolean', nullable: false },
  { name: 'j', kind: 'json', nullable: true },
]

function readBytes(bytes: Uint8Array, pieceSize = bytes.length): ReadRow[] {
  const known = new Set(COLUMNS.map(({ name }) => name))
  const reader = createCsvReader({
    columns: COLUMNS,
    checkHeader: (names) =>
      names.filter((name) => !known.has(name)).map((name) => ({ field: `/${name}`, message: 'Unknown' })),
  })
  const rows: ReadRow[] = []
  for (let at = 0; at < bytes.length; at += pieceSize)
    rows.push(...reader.push(bytes.subarray(at, at + pieceSize)))
  return [...rows, ...reader.end()]
}

const read = (text: string, pieceSize?: number) => readBytes(Buffer.from(text), pieceSize)
const records = (text: string) => read(text).map(({ record }) => record)

describe('rows', () => {
  const cases: [text: string, rows: [row: number, record: object][]][] = [
    ['a,b\r\nx,y\r\n', [[2, { a: 'x', b: 'y' }]]],
    ['a,b\nx,y\n', [[2, { a: 'x', b: 'y' }]]],
    ['a,b\rx,y\r', [[2, { a: 'x', b: 'y' }]]],
    ['a,b\r\nx,y', [[2, { a: 'x', b: 'y' }]]],
    ['\ufeffa,b\r\nx,y', [[2, { a: 'x', b: 'y' }]]],
    ['"a","b"\r\n"x","y"\r\n', [[2, { a: 'x', b: 'y' }]]],
    ['b,a\r\ny,x', [[2, { a: 'x', b: 'y' }]]],
    ['a\r\nx', [[2, { a: 'x' }]]],
    [
      'a,b\r\n"x\r\n2",y\r\nz,w',
      [
        [2, { a: 'x\r\n2', b: 'y' }],
        [3, { a: 'z', b: 'w' }],
      ],
    ],
    ['a,b\r\n"x\n2\r3",y', [[2, { a: 'x\n2\r3', b: 'y' }]]],
    ['a,b\r\n"x,1",y', [[2, { a: 'x,1', b: 'y' }]]],
    ['a,b\r\n"""x""","y"""', [[2, { a: '"x"', b: 'y"' }]]],
    ['a,b\r\n"""",y', [[2, { a: '"', b: 'y' }]]],
    ['a,b\r\n x , y ', [[2, { a: ' x ', b: ' y ' }]]],
    ["a,b\r\n'=1,y", [[2, { a: "'=1", b: 'y' }]]],
    ['a,b\r\né,😀', [[2, { a: 'é', b: '😀' }]]],
    ['a,b\r\n', []],
    ['a,b', []],
    // Blank lines count, as in an editor.
    [
      'a,b\r\n\r\nx,y\r\n\r\n\r\nz,w\r\n\r\n',
      [
        [3, { a: 'x', b: 'y' }],
        [6, { a: 'z', b: 'w' }],
      ],
    ],
    ['a,b\n\n\nx,y', [[4, { a: 'x', b: 'y' }]]],
    [
      'b\n\nx\n',
      [
        [2, { b: null }],
        [3, { b: 'x' }],
      ],
    ],
  ]
  for (const [text, expected] of cases) {
    test(JSON.stringify(text), () => {
      const rows = expected.map(([row, record]) => ({ row, record }))
      expect(read(text)).toEqual(rows as ReadRow[])
      for (const pieceSize of [1, 2, 3]) expect(read(text, pieceSize)).toEqual(rows as ReadRow[])
    })
  }
})

describe('cells', () => {
  const cases: [header: string, cell: string, record: object][] = [
    ['a,b', ',', { b: null }],
    ['a,b', '"",""', { a: '', b: '' }],
    ['a,b', 'null,null', { a: 'null', b: 'null' }],
    ['n,i', '1.5,-2', { n: 1.5, i: -2 }],
    ['n,i', '"1.5","-2"', { n: 1.5, i: -2 }],
    ['n,i', '"",""', { i: null }],
    ['n,i', '-0,0', { n: 0, i: 0 }],
    ['n,i', '1e3,1E+3', { n: 1000, i: 1000 }],
    ['n,i', '1e999,0x10', { n: '1e999', i: '0x10' }],
    ['n,i', '01,+1', { n: '01', i: '+1' }],
    ['n,i', ' 1,1 ', { n: ' 1', i: '1 ' }],
    ['n,i', '.5,5.', { n: '.5', i: '5.' }],
    ['n,i', 'NaN,Infinity', { n: 'NaN', i: 'Infinity' }],
    ['n,i', '"1,5",١', { n: '1,5', i: '١' }],
    ['a,t', 'true,true', { a: 'true', t: true }],
    ['a,t', 'x,FALSE', { a: 'x', t: false }],
    ['a,t', 'x,TRUE', { a: 'x', t: true }],
    ['a,t', 'x,yes', { a: 'x', t: 'yes' }],
    ['a,t', 'x,1', { a: 'x', t: '1' }],
    ['a,t', 'x,', { a: 'x' }],
    ['a,j', 'x,"{""k"":[1,""y""]}"', { a: 'x', j: { k: [1, 'y'] } }],
    ['a,j', 'x,[]', { a: 'x', j: [] }],
    ['a,j', 'x,', { a: 'x', j: null }],
    ['a,j', 'x,null', { a: 'x', j: null }],
  ]
  for (const [header, cells, record] of cases) {
    test(`${cells} under ${header}`, () => expect(records(`${header}\r\n${cells}\r\n`)).toEqual([record]))
  }

  test('a nested __proto__ is an own property, for the validator to refuse', () => {
    const [record] = records('a,j\r\nx,"{""__proto__"":1}"') as [{ j: object }]
    expect(Object.keys(record.j)).toEqual(['__proto__'])
  })
})

describe('faults', () => {
  const cases: [text: string, faults: [row: number, field: string, message: string][]][] = [
    ['a,b\nx\ny,z\n', [[2, '', 'Expected 2 cells as in the header, got 1']]],
    ['a,b\nx,y,z\n', [[2, '', 'Expected 2 cells as in the header, got 3']]],
    ['a,b\nx,y,\n', [[2, '', 'Expected 2 cells as in the header, got 3']]],
    ['a,b\nx"y,z\nv,w', [[2, '', 'Expected no quote in a cell that does not begin with one']]],
    ['a,b\n"x"y,z\nv,w', [[2, '', 'Expected a comma or the end of the row after a closing quote']]],
    ['a,b\n"x" ,z', [[2, '', 'Expected a comma or the end of the row after a closing quote']]],
    ['a,b\n "x",z', [[2, '', 'Expected no quote in a cell that does not begin with one']]],
    ['a,b\nx,"y\nz', [[2, '', 'Expected a closing quote before the end of the file']]],
    ['a,b\nx,"', [[2, '', 'Expected a closing quote before the end of the file']]],
    ['a,b\n"', [[2, '', 'Expected a closing quote before the end of the file']]],
    ['a,j\nx,{', [[2, '/j', 'Expected JSON']]],
    ['a,j\nx,y', [[2, '/j', 'Expected JSON']]],
    ['a,j\nx,"{""k"":1,""k"":2}"', [[2, '/j/k', 'Property appears more than once']]],
    ['a,zz\nx,y\n', [[1, '/zz', 'Unknown']]],
    ['a,\nx,y\n', [[1, '/', 'Unknown']]],
    ['"a\nx,y\n', [[1, '', 'Expected a closing quote before the end of the file']]],
    ['a"b\nx\n', [[1, '', 'Expected no quote in a cell that does not begin with one']]],
    ['\nx,y\n', [[1, '/', 'Unknown']]],
  ]
  for (const [text, expected] of cases) {
    test(JSON.stringify(text), () => {
      for (const pieceSize of [1000, 1]) {
        const found = read(text, pieceSize).flatMap(({ row, faults = [] }) =>
          faults.map(({ field, message }) => [row, field, message]),
        )
        expect(found).toEqual(expected)
      }
    })
  }

  test('rows after a faulty one are read', () => {
    expect(read('a,b\nx\ny,z\n').at(-1)).toEqual({ row: 3, record: { a: 'y', b: 'z' } })
  })

  test('an empty file has no header', () => {
    expect(() => read('')).toThrow('File is empty, its first row must be a header')
    expect(() => read('\ufeff')).toThrow(StartError)
  })

  test.each([
    ['a byte of Latin-1', Buffer.from('a,b\nx,y\nz,\xe9\n', 'latin1'), 'File is not UTF-8, at row'],
    ['half a character at the end', Buffer.from('a,b\nx,é').subarray(0, -1), 'File is not UTF-8, at row 2'],
  ])('%s is refused', (_, bytes, message) => {
    expect(() => readBytes(bytes)).toThrow(message)
    expect(() => readBytes(bytes, 1)).toThrow(message)
  })
})

describe('a row over the limit', () => {
  // A cell costs 32 beside its characters.
  const row = (length: number) => `a\n"${'x'.repeat(length)}"\n`
  test('is refused with its number, at the limit it is taken', () => {
    const [taken] = read(row(ROW_BYTES_MAX - 32), 65_536)
    expect(taken?.record).toHaveProperty('a.length', ROW_BYTES_MAX - 32)
    expect(() => read(row(ROW_BYTES_MAX - 31), 65_536)).toThrow(
      `Row 2 is too long, maximum is ${ROW_BYTES_MAX} bytes`,
    )
  })

  test('is refused for its many cells too', () => {
    const commas = ROW_BYTES_MAX / 32
    expect(read(`a,b\n${','.repeat(commas - 1)}\n`)[0]?.faults).toHaveLength(1)
    expect(() => read(`a,b\n${','.repeat(commas)}\n`)).toThrow('Row 2 is too long')
  })
})
