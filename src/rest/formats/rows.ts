// What a reader of files gives: rows with their numbers, so that a fault can say where it is.
import { StartError, type ErrorDetail } from '../../core/errors.ts'

/** The most that one row may take in a file: a record is held in memory whole. */
export const ROW_BYTES_MAX = 16 * 1024 * 1024

/** A row of a file, as decoded as its format can say; the record is not validated. */
export interface ReadRow {
  /** As an editor or a spreadsheet counts: from 1, the header included. */
  row: number
  record: unknown
  /** What keeps it from being read; then the record means nothing. */
  faults?: readonly ErrorDetail[]
}

/** Takes a file's bytes piece by piece, of any sizes, and gives the rows that are complete. */
export interface RowReader {
  push: (chunk: Uint8Array) => ReadRow[]
  /** After the last piece: the rows that only the end of the file completes. */
  end: () => ReadRow[]
}

/** A row over ROW_BYTES_MAX; what follows it cannot be told apart any more. */
export function rowTooLong(row: number): StartError {
  return new StartError(`Row ${row} is too long, maximum is ${ROW_BYTES_MAX} bytes`)
}
