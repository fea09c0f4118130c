// What an encoder of records is, and the JSON that formats are made of.
import type { ApiRecord } from '../record.ts'

/** Writes records one by one: `head`, then each record, then `tail`. */
export interface RecordEncoder {
  head: string
  record: (record: ApiRecord) => string
  tail: string
}

const MANY_DIGITS = /\d{16}/

/**
 * JSON that `decodeJson` takes back: a number beyond what a whole number may be comes with an exponent, since in digits it
 * would be refused as one that was rounded.
 */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value)
  return MANY_DIGITS.test(text) ? JSON.stringify(value, withExponent) : text
}

function withExponent(_key: string, value: unknown): unknown {
  const isLarge = Number.isInteger(value) && !Number.isSafeInteger(value)
  return isLarge ? rawJson((value as number).toExponential()) : value
}

// Not yet among the types of the language.
const { rawJSON: rawJson } = JSON as typeof JSON & { rawJSON: (text: string) => unknown }
