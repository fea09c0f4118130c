// CSV (RFC 4180): a header line, CRLF, quotes where they are needed. A cell without anything in it is no value (null, or
// an absent property); empty text is "". Lists and objects are JSON text in a cell.
import type { Value } from '../../storage/store.ts'
import type { ApiRecord } from '../record.ts'
import { jsonText, type RecordEncoder } from './encoder.ts'

export interface CsvOptions {
  /** Names of the properties, in the order of the header. */
  columns: readonly string[]
  /**
   * Text that a spreadsheet would take for a formula gets a leading apostrophe. What it says is then no longer exact,
   * so files that are to be imported are written without.
   */
  isGuarded: boolean
}

export function createCsvEncoder({ columns, isGuarded }: CsvOptions): RecordEncoder {
  const cellOf = isGuarded ? (value: Value | undefined) => cell(guarded(value)) : cell
  return {
    head: csvLine(columns.map(cell)),
    record: (record: ApiRecord) => csvLine(columns.map((name) => cellOf(record[name]))),
    tail: '',
  }
}

function csvLine(cells: readonly string[]): string {
  return `${cells.join(',')}\r\n`
}

// Spaces at the ends are part of the text, which not every reader knows unless they are in quotes.
const NEEDS_QUOTES = /^$|[",\r\n]|^\s|\s$/

function cell(value: Value | undefined): string {
  if (value === null || value === undefined) return ''
  const text = typeof value === 'object' ? jsonText(value) : String(value)
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

// The starts that OWASP's "CSV injection" names; the wide ones count where East Asian scripts are written.
const FORMULA = /^[=+\-@\t\r\n＝＋－＠]/

// Only text: a negative number is what it says, and is still one in the spreadsheet.
function guarded(value: Value | undefined): Value | undefined {
  return typeof value === 'string' && FORMULA.test(value) ? `'${value}` : value
}
