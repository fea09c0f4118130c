// XML 1.0: an element for each property, named as it is. `type` tells number, boolean, null, object and array from text,
// so that nothing of the JSON is lost but the characters that XML has no place for.
import type { Value } from '../../storage/store.ts'
import type { ApiRecord } from '../record.ts'
import type { RecordEncoder } from './encoder.ts'

const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

/** `<records><record>…</record></records>` */
export const xmlEncoder: RecordEncoder = {
  head: `${DECLARATION}<records>\n`,
  record: (record) => `${recordElement(record)}\n`,
  tail: '</records>\n',
}

/** A document of one record. */
export function xmlRecord(record: ApiRecord): string {
  return `${DECLARATION}${recordElement(record)}\n`
}

function recordElement(record: ApiRecord): string {
  return `<record>${properties(record)}</record>`
}

function properties(object: Readonly<Record<string, unknown>>): string {
  return Object.entries(object)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => element(name, value as Value))
    .join('')
}

// Properties of a nested object may have any name; one that is no name in XML is told as an attribute.
const ELEMENT_NAME = /^(?!xml)[a-z_][\w.-]*$/i

function element(name: string, value: Value): string {
  const isElementName = ELEMENT_NAME.test(name)
  const tag = isElementName ? name : 'property'
  const key = isElementName ? '' : ` name="${escape(name)}"`
  const type = typeOf(value)
  const start = `<${tag}${key}${type === 'string' ? '' : ` type="${type}"`}`
  const content = contentOf(value)
  return content === '' ? `${start}/>` : `${start}>${content}</${tag}>`
}

function typeOf(value: Value): string {
  if (value === null) return 'null'
  return Array.isArray(value) ? 'array' : typeof value
}

function contentOf(value: Value): string {
  if (value === null) return ''
  if (Array.isArray(value)) return value.map((item: Value) => element('item', item)).join('')
  if (typeof value === 'object') return properties(value as Record<string, unknown>)
  return escape(String(value))
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  // A parser would make a line feed of a carriage return, and of all three spaces in an attribute.
  '\r': '&#13;',
  '\n': '&#10;',
  '\t': '&#9;',
}

// XML 1.0, production 2: what is no Char. A lone surrogate is matched too, since `u` takes pairs together.
const NO_CHAR = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu

function escape(text: string): string {
  return text.replace(NO_CHAR, '\ufffd').replace(/[&<>"\r\n\t]/g, (character) => ESCAPES[character] as string)
}
