// The format of a file of records, as export and import are told it.
import { StartError } from '../core/errors.ts'
import { TRANSFER_FORMATS, type TransferFormat } from '../rest/transfer.ts'
import type { CommandOption } from './command.ts'

export const FORMAT_OPTION: CommandOption = {
  flags: '--format <name>',
  summary: TRANSFER_FORMATS.join(' or '),
}

const EXTENSIONS: readonly (readonly [extension: string, format: TransferFormat])[] = [
  ['.ndjson', 'ndjson'],
  ['.jsonl', 'ndjson'],
  ['.csv', 'csv'],
]

/** The format that `--format` gives; undefined where it is not given. Throws StartError, exit code 2. */
export function formatNamed(given: string | boolean | undefined): TransferFormat | undefined {
  if (given === undefined) return undefined
  const found = TRANSFER_FORMATS.find((format) => format === given)
  if (found !== undefined) return found
  throw new StartError(`Format is not known, must be ${TRANSFER_FORMATS.join(' or ')}`, 2)
}

/** The format that the end of a file's name says. Throws StartError (exit code 2) where it says none. */
export function formatOfFile(file: string): TransferFormat {
  const found = EXTENSIONS.find(([extension]) => file.toLowerCase().endsWith(extension))
  if (found !== undefined) return found[1]
  const known = EXTENSIONS.map(([extension]) => extension).join(', ')
  throw new StartError(`Name of ${file} ends in none of ${known}: say which by --format`, 2)
}
