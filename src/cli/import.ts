// `hipflask import`: the records of a file into a resource, all of them or none. It works beside a running server.
import { createReadStream, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { databaseOf, resourcesOf } from '../app.ts'
import { createAccountEngine } from '../auth/accounts.ts'
import { ANONYMOUS, type Principal } from '../access/principal.ts'
import { usersTable } from '../auth/users.ts'
import { systemClock } from '../core/clock.ts'
import { StartError } from '../core/errors.ts'
import { newUuid } from '../core/ids.ts'
import { createLogger } from '../core/logger.ts'
import type { Engine } from '../rest/engine.ts'
import { importRecords, type ImportReport, type Prepare, type RowFault } from '../rest/transfer.ts'
import { configOf, JSON_OPTION, printJson, type Command, type Io } from './command.ts'
import { describeFailure, openData, resourceNamed } from './data.ts'
import { formatNamed, formatOfFile, FORMAT_OPTION } from './transfer-format.ts'
import { createProgress } from './progress.ts'

const STDIN = '-'
const NO_ACCOUNTS =
  'Accounts can not be imported, since no file has their passwords: make them by POST /api/users, or restore a database'
/** Bytes that are read at a time. */
const CHUNK_BYTES = 256 * 1024

export const importCommand: Command = {
  name: 'import',
  summary:
    'Store the records of a file, all of them or none; validate and beforeCreate run, afterCreate does not',
  examples: [
    {
      line: 'hipflask import items items.csv --dry-run',
      does: 'name every fault by row and field, store nothing',
    },
    {
      line: 'hipflask import items items.csv',
      does: 'the columns are the properties; id and times are kept',
    },
    {
      line: 'hipflask export items | hipflask import items - --data copy',
      does: 'from standard input, NDJSON',
    },
  ],
  positional: [
    { name: 'resource', summary: 'Its name' },
    { name: 'file', summary: 'NDJSON or CSV; - is standard input' },
  ],
  options: [FORMAT_OPTION, { flags: '--dry-run', summary: 'Check everything, store nothing' }, JSON_OPTION],
  async run(args, io) {
    const isDryRun = args.options['dryRun'] === true
    const named = formatNamed(args.options['format'])
    const { config, origins } = configOf(args, io)
    const resources = await resourcesOf(config, origins)
    const [name, file] = args.positional
    const definition = resourceNamed(name, resources)
    if (definition.name === usersTable.name) throw new StartError(NO_ACCOUNTS)
    if (file === undefined) throw new StartError('File is missing, must be a path or - for standard input', 2)
    const format = named ?? (file === STDIN ? 'ndjson' : formatOfFile(file))
    const { source, size } = openSource(file, io)
    const store = openData(config, resources)
    const logger = createLogger({
      level: 'error',
      format: config.logFormat,
      write: io.stderr,
      clock: Date.now,
    })
    const engine = createAccountEngine({ resources, store, clock: systemClock, logger })
    const progress = createProgress({
      label: `Importing ${definition.name}`,
      isTerminal: io.isTerminal === true,
      write: io.stderr,
    })
    let report: ImportReport
    try {
      report = await importRecords({
        definition,
        store,
        clock: systemClock,
        format,
        source: readable(source, file),
        isDryRun,
        prepare: prepareOf(engine, definition.name),
        onProgress: ({ bytes, records }) =>
          progress.show(records, size === undefined ? undefined : bytes / size),
      })
    } catch (error) {
      throw describeFailure(error, databaseOf(config, resources).path)
    } finally {
      progress.end()
      await engine.settle()
      await store.stop()
    }
    if (args.options['json'] === true) printReport(report, isDryRun, io)
    else describeReport(report, { resource: definition.name, isDryRun }, io)
    return report.faultsTotal > 0 ? 1 : 0
  },
}

const ADMINISTRATOR: Principal = { ...ANONYMOUS, kind: 'user', role: 'admin' }

/** The author's `validate` and `beforeCreate`. A hook after each of millions of records could not be meant. */
function prepareOf(engine: Engine, resource: string): Prepare | undefined {
  const hooks = engine.hooksOf(resource)
  if (hooks === undefined) return undefined
  const origin = { principal: ADMINISTRATOR, requestId: newUuid(), depth: 0, held: [] }
  return async (values) => {
    const [prepared] = await hooks.beforeCreate({ isArray: false, values: [values], details: [] }, origin)
    return prepared ?? values
  }
}

interface Source {
  source: AsyncIterable<Uint8Array>
  /** Bytes; undefined where only the end will tell. */
  size: number | undefined
}

function openSource(file: string, io: Io): Source {
  if (file === STDIN) {
    if (io.stdin === undefined) throw new StartError('There is no standard input')
    return { source: io.stdin(), size: undefined }
  }
  const path = resolve(io.cwd, file)
  const stat = statSync(path, { throwIfNoEntry: false })
  if (stat === undefined) throw new StartError(`File ${file} does not exist`)
  if (stat.isDirectory()) throw new StartError(`${file} is a folder, must be a file`)
  return {
    source: createReadStream(path, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Uint8Array>,
    size: stat.isFile() ? stat.size : undefined,
  }
}

async function* readable(source: AsyncIterable<Uint8Array>, file: string): AsyncGenerator<Uint8Array> {
  try {
    yield* source
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new StartError(`File ${file} cannot be read (${code})`, 1, error)
  }
}

function printReport({ records, faults, faultsTotal }: ImportReport, isDryRun: boolean, io: Io): void {
  const stored = isDryRun || faultsTotal > 0 ? 0 : records
  printJson({ records, stored, faults, faults_total: faultsTotal }, io)
}

function describeReport(
  { records, faults, faultsTotal }: ImportReport,
  { resource, isDryRun }: { resource: string; isDryRun: boolean },
  io: Io,
): void {
  if (faultsTotal > 0) {
    const more = faultsTotal - faults.length
    const lines = [
      ...faults.map(describeFault),
      ...(more > 0 ? [`and ${more} more`] : []),
      'Nothing was stored',
    ]
    io.stderr(`${lines.join('\n')}\n`)
  } else if (isDryRun) io.stdout(`${records} records can be stored in ${resource}; nothing was stored\n`)
  else io.stdout(`Stored ${records} records in ${resource}\n`)
}

function describeFault({ row, field, message }: RowFault): string {
  // A field may be a name out of the file, which must not steer the terminal.
  const name = field.replaceAll(/\p{C}/gu, '\ufffd')
  return `Row ${row}${name === '' ? '' : `, ${name}`}: ${message}`
}
