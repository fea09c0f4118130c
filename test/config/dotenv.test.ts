import { describe, expect, test } from 'bun:test'
import { parseDotenv } from '../../src/config/dotenv.ts'

/** The text, and the names and values in it. */
const CASES: [string, [string, string | undefined][]][] = [
  ['', []],
  ['A=1', [['A', '1']]],
  ['A=', [['A', '']]],
  ['  A = 1  ', [['A', '1']]],
  ['export A=1', [['A', '1']]],
  [
    'A=1\r\nB=2\r\n',
    [
      ['A', '1'],
      ['B', '2'],
    ],
  ],
  ['\uFEFFA=1', [['A', '1']]],
  ['# A=1\n\n  # B=2', []],
  ['A=1 # one', [['A', '1']]],
  ['A=# none', [['A', '']]],
  ['A=a#b', [['A', 'a#b']]],
  ['A=a=b', [['A', 'a=b']]],
  ['A=$B ${C}', [['A', '$B ${C}']]],
  ['A="a # b" # c', [['A', 'a # b']]],
  ["A='a # b'", [['A', 'a # b']]],
  ['A=""', [['A', '']]],
  [String.raw`A="a\nb\t\"c\"\\ \x"`, [['A', 'a\nb\t"c"\\ x']]],
  [String.raw`A='a\nb'`, [['A', String.raw`a\nb`]]],
  ['A="it\'s"', [['A', "it's"]]],
  ['A=it"s', [['A', 'it"s']]],
  ['A="open', [['A', undefined]]],
  ["A='open", [['A', undefined]]],
  ['A="closed" then', [['A', undefined]]],
  [
    'A="open\nB=2',
    [
      ['A', undefined],
      ['B', '2'],
    ],
  ],
  [
    'A="first\nB=inside\nlast"\nC=3',
    [
      ['A', undefined],
      ['C', '3'],
    ],
  ],
  [
    'A=1\nA=2',
    [
      ['A', '1'],
      ['A', '2'],
    ],
  ],
  ['no sign\n=1\n1A=1\nA-B=1\nA B=1', []],
]

describe('an .env file', () => {
  test.each(CASES)('%p', (text, entries) => {
    expect(parseDotenv(text).entries.map(({ name, value }) => [name, value])).toEqual(entries)
  })

  test('tells the lines that are nothing of all this, by number', () => {
    const text = '\uFEFFA: 1\n\n# B\n  # C\nexport D\nE="\ninside\n"\nF=1\r\n G-H=1\r\n'
    expect(parseDotenv(text).strays).toEqual([
      { line: 1, text: 'A: 1' },
      { line: 5, text: 'export D' },
      { line: 10, text: ' G-H=1' },
    ])
  })

  test('of 64 KiB of quotes that nobody closes is read in linear time', () => {
    const text = 'A="\n'.repeat(16 * 1024)
    const started = performance.now()
    expect(parseDotenv(text).entries.length).toBeGreaterThan(0)
    expect(performance.now() - started).toBeLessThan(2000)
  })
})
