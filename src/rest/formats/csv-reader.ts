// Reads CSV (RFC 4180) as a stream: rows of cells, then records by the kinds of the columns. It is strict where a guess
// could change data, and does not validate the values.
import { AppError, StartError, type ErrorDetail } from '../../core/errors.ts'
import { decodeJson } from '../../http/json.ts'
import type { Field } from '../fields.ts'
import { ROW_BYTES_MAX, rowTooLong, type ReadRow, type RowReader } from './rows.ts'

/** What a column's cells are turned into. */
export type CsvColumn = Pick<Field, 'name' | 'kind' | 'nullable'>

export interface CsvReaderOptions {
  columns: readonly CsvColumn[]
  /** What is wrong with the names of the header, those that are no columns included. */
  checkHeader: (names: readonly string[]) => readonly ErrorDetail[]
}

/**
 * Reads rows that end with CRLF, LF or CR; the last one need not. A byte order mark at the start is skipped, and blank
 * lines where there is more than one column. An empty cell is null where the column may be null, else no property; of a
 * text column it is empty text where it is in quotes. With a wrong header no other row is read. Throws StartError where the file has no header or is not UTF-8, and
 * at a row over ROW_BYTES_MAX.
 */
export function createCsvReader({ columns, checkHeader }: CsvReaderOptions): RowReader {
  const kinds = new Map(columns.map((column) => [column.name, column]))
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let header: readonly CsvColumn[] | undefined
  let isRefused = false

  function toRow(cells: readonly Cell[], { row, fault }: RowEnd): ReadRow | undefined {
    if (header === undefined) {
      const names = cells.map((cell) => cell ?? '')
      const faults = fault === undefined ? checkHeader(names) : [{ field: '', message: fault }]
      isRefused = faults.length > 0
      header = names.map((name) => kinds.get(name) as CsvColumn)
      return isRefused ? { row, record: undefined, faults } : undefined
    }
    if (isRefused) return undefined
    if (fault !== undefined) return { row, record: undefined, faults: [{ field: '', message: fault }] }
    if (cells.length === 1 && cells[0] === undefined && header.length > 1) return undefined
    if (cells.length !== header.length) {
      const message = `Expected ${header.length} cells as in the header, got ${cells.length}`
      return { row, record: undefined, faults: [{ field: '', message }] }
    }
    return readRecord(header, cells, row)
  }

  const scan = createScanner(toRow)

  function decode(chunk?: Uint8Array): string {
    try {
      return chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true })
    } catch (error) {
      throw new StartError(`File is not UTF-8, at row ${scan.row()} or after it`, 1, error)
    }
  }

  return {
    push: (chunk) => scan.text(decode(chunk)),
    end() {
      const rows = [...scan.text(decode()), ...scan.end()]
      if (header === undefined) throw new StartError('File is empty, its first row must be a header')
      return rows
    },
  }
}

/** Undefined: nothing between two commas. Empty text was in quotes. */
type Cell = string | undefined

interface RowEnd {
  row: number
  /** What is wrong with the row's quotes. */
  fault: string | undefined
}

type ToRow = (cells: readonly Cell[], end: RowEnd) => ReadRow | undefined

/** A row of many cells takes memory for each. */
const CELL_COST = 32

/** Keeps the row that is being read, under ROW_BYTES_MAX. */
function createRowBuilder(toRow: ToRow) {
  let row = 1
  let cells: Cell[] = []
  let text: Cell
  let fault: string | undefined
  let size = 0

  function grow(cost: number): void {
    size += cost
    if (size > ROW_BYTES_MAX) throw rowTooLong(row)
  }

  function endCell(): void {
    grow(CELL_COST)
    cells.push(text)
    text = undefined
  }

  return {
    row: () => row,
    isEmpty: () => cells.length === 0 && text === undefined,
    add(more: string): void {
      grow(more.length)
      text = (text ?? '') + more
    },
    blame: (message: string) => void (fault ??= message),
    endCell,
    endRow(): ReadRow | undefined {
      endCell()
      const found = toRow(cells, { row, fault })
      row++
      cells = []
      fault = undefined
      size = 0
      return found
    },
  }
}

const CELL_END = /[",\r\n]/g

/** Splits text into rows of cells, wherever the pieces of it begin and end. */
function createScanner(toRow: ToRow) {
  const builder = createRowBuilder(toRow)
  /** Where the scan is: before a cell, in one without quotes, in quotes, or right behind a quote in quotes. */
  let state: 'before' | 'plain' | 'quoted' | 'quote' = 'before'
  /** The line feed behind it belongs to the same end of a row. */
  let wasCarriageReturn = false

  /** Takes what is between quotes from `at` on; gives where it ends. */
  function readQuoted(text: string, at: number): number {
    const quote = text.indexOf('"', at)
    builder.add(text.slice(at, quote === -1 ? undefined : quote))
    if (quote === -1) return text.length
    state = 'quote'
    return quote + 1
  }

  /** Takes what is outside quotes up to the next character that means something; gives where that is. */
  function readPlain(text: string, at: number): number {
    CELL_END.lastIndex = at
    const end = CELL_END.test(text) ? CELL_END.lastIndex - 1 : text.length
    if (end === at) return end
    if (state === 'quote') builder.blame('Expected a comma or the end of the row after a closing quote')
    state = 'plain'
    builder.add(text.slice(at, end))
    return end
  }

  function readQuote(): void {
    if (state !== 'before') builder.add('"')
    if (state === 'plain') builder.blame('Expected no quote in a cell that does not begin with one')
    else state = 'quoted'
  }

  return {
    row: builder.row,
    text(text: string): ReadRow[] {
      const rows: (ReadRow | undefined)[] = []
      for (let at = 0; at < text.length;) {
        if (state === 'quoted') {
          at = readQuoted(text, at)
          continue
        }
        const end = readPlain(text, at)
        const character = text[end]
        const isSecondHalf = character === '\n' && wasCarriageReturn && end === at
        wasCarriageReturn = character === '\r'
        at = end + 1
        if (character === '"') {
          readQuote()
          continue
        }
        if (character === undefined || isSecondHalf) continue
        state = 'before'
        if (character === ',') builder.endCell()
        else rows.push(builder.endRow())
      }
      return rows.filter((row) => row !== undefined)
    },
    end(): ReadRow[] {
      if (state === 'quoted') builder.blame('Expected a closing quote before the end of the file')
      const row = builder.isEmpty() && state !== 'quoted' ? undefined : builder.endRow()
      return row === undefined ? [] : [row]
    },
  }
}

function readRecord(header: readonly CsvColumn[], cells: readonly Cell[], row: number): ReadRow {
  const record: Record<string, unknown> = {}
  const faults: ErrorDetail[] = []
  for (const [index, { name, kind, nullable }] of header.entries()) {
    const cell = cells[index]
    // Programs that quote everything have no other way to write no value.
    if (cell === undefined || (cell === '' && kind !== 'text')) {
      if (nullable) record[name] = null
      continue
    }
    if (kind !== 'json') record[name] = fromCell(kind, cell)
    else {
      try {
        record[name] = decodeJson(Buffer.from(cell))
      } catch (error) {
        faults.push(...jsonFaults(error, `/${name}`))
      }
    }
  }
  return faults.length > 0 ? { row, record, faults } : { row, record }
}

function jsonFaults(error: unknown, pointer: string): ErrorDetail[] {
  if (!(error instanceof AppError)) throw error
  if (error.details.length === 0) return [{ field: pointer, message: 'Expected JSON' }]
  return error.details.map(({ field, message }) => ({ field: pointer + field, message }))
}

// As JSON writes numbers.
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?$/i
// Spreadsheets write them in capitals.
const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['true', true],
  ['TRUE', true],
  ['false', false],
  ['FALSE', false],
])

/** A cell that is none of its kind stays text, for the validator to refuse. */
function fromCell(kind: CsvColumn['kind'], cell: string): unknown {
  if (kind === 'boolean') return BOOLEANS.get(cell) ?? cell
  if (kind === 'text' || !NUMBER.test(cell)) return cell
  const number = Number(cell)
  if (!Number.isFinite(number)) return cell
  return number === 0 ? 0 : number
}
