// XML 1.0: read back by a small parser that knows no more than the standard, and compared with the JSON.
import { describe, expect, test } from 'bun:test'
import { xmlEncoder, xmlRecord } from '../../../src/rest/formats/xml.ts'
import type { Value } from '../../../src/storage/store.ts'

interface XmlElement {
  name: string
  attributes: Record<string, string>
  children: XmlElement[]
  text: string
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

/** Throws where the text is not well-formed, as far as an encoder of elements, attributes and text can go wrong. */
function parse(xml: string): XmlElement {
  const body = xml.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n/, '')
  expect(body).not.toBe(xml)
  // Production 2 of the standard.
  expect(body).not.toMatch(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/u)
  // Names that the standard keeps for itself.
  expect(body).not.toMatch(/<xml/i)
  const root: XmlElement = { name: '', attributes: {}, children: [], text: '' }
  const open = [root]
  const token = /<(\/?)([A-Za-z_][\w.-]*)((?: [\w]+="[^<"]*")*)(\/?)>|([^<>]+)/y
  while (token.lastIndex < body.length) {
    const at = token.lastIndex
    const match = token.exec(body)
    if (match === null) throw new Error(`Not well-formed at ${at}: ${body.slice(at, at + 40)}`)
    const [, isEnd, name = '', attributes = '', isEmpty, text] = match
    const parent = open.at(-1) as XmlElement
    if (text !== undefined) parent.text += decode(text)
    else if (isEnd) expect((open.pop() as XmlElement).name).toBe(name)
    else {
      const pairs = [...attributes.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, value]) => [
        key,
        decode(value as string),
      ])
      const element = { name, attributes: Object.fromEntries(pairs), children: [], text: '' }
      parent.children.push(element)
      if (!isEmpty) open.push(element)
    }
  }
  expect(open).toHaveLength(1)
  expect(root.children).toHaveLength(1)
  return root.children[0] as XmlElement
}

function decode(text: string): string {
  // What a parser does to line ends before anything else.
  return text.replace(/\r\n?/g, '\n').replace(/&(?:#(\d+)|(\w+));|&/g, (all, code, name) => {
    if (all === '&') throw new Error('A bare ampersand')
    return code === undefined ? (ENTITIES[name] as string) : String.fromCodePoint(Number(code))
  })
}

function valueOf({ attributes, children, text }: XmlElement): unknown {
  switch (attributes.type) {
    case undefined:
      return text
    case 'null':
      return null
    case 'number':
      return Number(text)
    case 'boolean':
      return text === 'true'
    case 'array':
      return children.map(valueOf)
    default:
      return Object.fromEntries(
        children.map((child) => [child.attributes.name ?? child.name, valueOf(child)]),
      )
  }
}

const recordOf = (element: XmlElement) => valueOf({ ...element, attributes: { type: 'object' } })

const RECORDS: Record<string, Value>[] = [
  { id: 1, name: 'x' },
  { id: 'a', none: null, yes: true, no: false, zero: 0, minus: -1.5, big: 1e21 },
  { id: 1, text: '', spaces: ' \t\n\r\r\n ', quotes: `"'<>&]]>`, more: '&amp;<!--' },
  { id: 1, list: [], object: {}, nested: [[1, 'a', null], { b: [{ c: false }] }] },
  { id: 1, object: { 'a b': 1, '': 2, '1': 3, 'x:y': 4, '<&">\n': 5, xmlns: 6, XML: 7, ok: 8, é: 9 } },
  { id: 1, text: 'é😀\u2028\u0085\ufffd' },
]

describe('a record', () => {
  for (const record of RECORDS) {
    test(`${JSON.stringify(record)} comes back`, () => {
      const root = parse(xmlRecord(record))
      expect(root.name).toBe('record')
      expect(recordOf(root)).toEqual(record)
    })
  }

  test('is one element a property, typed where it is not text', () => {
    expect(xmlRecord({ id: 1, name: 'a<b', note: null, tags: ['x'], on: true })).toBe(
      '<?xml version="1.0" encoding="UTF-8"?>\n' +
        '<record><id type="number">1</id><name>a&lt;b</name><note type="null"/>' +
        '<tags type="array"><item>x</item></tags><on type="boolean">true</on></record>\n',
    )
  })

  // Both sides of every bound of production 2.
  const kept = ['\t', '\n', '\r', ' ', '\ud7ff', '\ue000', '\ufffd', '😀', '\u{10ffff}', '\u007f']
  const lost = [
    '\u0000',
    '\u0008',
    '\u000b',
    '\u000c',
    '\u000e',
    '\u001f',
    '\ud800',
    '\udfff',
    '\ufffe',
    '\uffff',
  ]
  test.each(kept)('keeps %j', (character) => {
    expect(recordOf(parse(xmlRecord({ id: `a${character}b` })))).toEqual({ id: `a${character}b` })
  })
  test.each(lost)('has U+FFFD for %j', (character) => {
    expect(recordOf(parse(xmlRecord({ id: `a${character}b` })))).toEqual({ id: 'a\ufffdb' })
  })
})

test('a list is its records', () => {
  const root = parse(xmlEncoder.head + RECORDS.map(xmlEncoder.record).join('') + xmlEncoder.tail)
  expect(root.name).toBe('records')
  expect(root.children.map(recordOf)).toEqual(RECORDS)
  expect(parse(xmlEncoder.head + xmlEncoder.tail).children).toEqual([])
})

test('10,000 random texts come back', () => {
  const alphabet = ['a', '<', '>', '&', '"', "'", '\r', '\n', '\t', ' ', ';', '#', ']', '-', '!', '😀', 'é']
  const random = () => alphabet[Math.floor(Math.random() * alphabet.length)]
  for (let round = 0; round < 10_000; round++) {
    const text = Array.from({ length: 12 }, random).join('')
    expect(recordOf(parse(xmlRecord({ id: text, o: { [text]: text } })))).toEqual({
      id: text,
      o: { [text]: text },
    })
  }
})
