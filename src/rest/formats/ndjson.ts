// NDJSON: one record a line, as JSON, without an envelope. What is read here is decoded, not validated.
import { AppError } from '../../core/errors.ts'
import { decodeJson } from '../../http/json.ts'
import { jsonText, type RecordEncoder } from './encoder.ts'
import { ROW_BYTES_MAX, rowTooLong, type ReadRow, type RowReader } from './rows.ts'

export const ndjsonEncoder: RecordEncoder = {
  head: '',
  record: (record) => `${jsonText(record)}\n`,
  tail: '',
}

const LF = 0x0a
const CR = 0x0d
const SPACES: ReadonlySet<number | undefined> = new Set([0x20, 0x09, CR])
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf] as const

/**
 * Reads lines that end with LF or CRLF; the last one need not. A row's number is that of its line, from 1. Blank lines
 * and a byte order mark at the start are skipped. Throws StartError at a line over ROW_BYTES_MAX.
 */
export function createNdjsonReader(): RowReader {
  let line = 0
  /** The beginning of a line whose end has not come yet. */
  let pieces: Uint8Array[] = []
  let size = 0

  function keep(piece: Uint8Array): void {
    size += piece.length
    if (size > ROW_BYTES_MAX) throw rowTooLong(line + 1)
    pieces.push(piece)
  }

  function finishLine(rest: Uint8Array): ReadRow | undefined {
    keep(rest)
    const bytes = pieces.length === 1 ? rest : Buffer.concat(pieces, size)
    pieces = []
    size = 0
    return readLine(bytes, ++line)
  }

  return {
    push(chunk) {
      const rows: ReadRow[] = []
      let start = 0
      for (let end = chunk.indexOf(LF); end !== -1; end = chunk.indexOf(LF, start)) {
        const row = finishLine(chunk.subarray(start, end))
        if (row !== undefined) rows.push(row)
        start = end + 1
      }
      // A copy: the chunk's memory may be used again for the next one.
      if (start < chunk.length) keep(chunk.slice(start))
      return rows
    },
    end() {
      const row = finishLine(new Uint8Array())
      return row === undefined ? [] : [row]
    },
  }
}

/** Undefined where the line is blank. */
function readLine(given: Uint8Array, line: number): ReadRow | undefined {
  const hasMark = line === 1 && BYTE_ORDER_MARK.every((byte, index) => given[index] === byte)
  const bytes = hasMark ? given.subarray(BYTE_ORDER_MARK.length) : given
  if (bytes.every((byte) => SPACES.has(byte))) return undefined
  try {
    return { row: line, record: decodeJson(bytes) }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const faults =
      error.details.length > 0
        ? error.details
        : [{ field: '', message: error.message.replace('Request body', 'Line') }]
    return { row: line, record: undefined, faults }
  }
}
