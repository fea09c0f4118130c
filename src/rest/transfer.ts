// All records of a resource out into a file's text, and a file's rows in: what `hipflask export` and `import` do. Memory
// does not grow with the number of records.
import { timestamp, type Clock } from '../core/clock.ts'
import { AppError, type ErrorDetail } from '../core/errors.ts'
import { newUuid } from '../core/ids.ts'
import { boundName, pointerTo } from '../http/json.ts'
import type { JsonSchema } from '../http/route.ts'
import { applyDefaults, createValidator, MAX_DETAILS } from '../http/validate.ts'
import { BrokenReferenceError, UniqueError } from '../storage/store.ts'
import type { Id, Load, LoadFault, LoadRow, Row, Store, Value, Values } from '../storage/store.ts'
import { createCsvEncoder } from './formats/csv.ts'
import { createCsvReader, type CsvColumn } from './formats/csv-reader.ts'
import type { RecordEncoder } from './formats/encoder.ts'
import { createNdjsonReader, ndjsonEncoder } from './formats/ndjson.ts'
import type { ReadRow, RowReader } from './formats/rows.ts'
import type { Field } from './fields.ts'
import type { ApiRecord } from './record.ts'
import type { ResourceDefinition } from './resource.ts'
import { systemProperties } from './schemas.ts'
import { valuesWriter } from './values-writer.ts'

export const TRANSFER_FORMATS = ['ndjson', 'csv'] as const
export type TransferFormat = (typeof TRANSFER_FORMATS)[number]

/** Records that are read at a time. */
const BATCH_RECORDS = 1000

// ── Export ──────────────────────────────────────────────────────────────────────────────────────────────────────

export interface ExportOptions {
  definition: ResourceDefinition
  store: Store
  format: TransferFormat
}

/** A piece of the text, and how many records are in it. */
export interface ExportedPiece {
  text: string
  records: number
}

/**
 * Every record in the order of the ids, with all that an answer shows but what is computed. Others may write meanwhile:
 * a record that lives through it comes exactly once.
 */
export async function* exportRecords({
  definition,
  store,
  format,
}: ExportOptions): AsyncGenerator<ExportedPiece> {
  const fields = exportedFields(definition)
  const columns = ['id', ...fields.map(({ name }) => name), ...timesOf(definition)]
  const encoder: RecordEncoder =
    format === 'csv' ? createCsvEncoder({ columns, isGuarded: false }) : ndjsonEncoder
  const toRecord = recordWriter(fields, timesOf(definition))
  yield { text: encoder.head, records: 0 }
  let last: Id | undefined
  for (;;) {
    const where = last === undefined ? undefined : { id: { gt: last } }
    const rows = await store.list({ table: definition.name, where, limit: BATCH_RECORDS })
    if (rows.length > 0) {
      yield { text: rows.map((row) => encoder.record(toRecord(row))).join(''), records: rows.length }
    }
    if (rows.length < BATCH_RECORDS) break
    last = rows.at(-1)?.id
  }
  yield { text: encoder.tail, records: 0 }
}

/** The names of the fields that no answer shows and so no export has, though an import may need them. */
export function unexportedFields({ fields }: ResourceDefinition): string[] {
  return fields.filter((field) => field.writeOnly && !field.hidden).map(({ name }) => name)
}

function exportedFields({ fields }: ResourceDefinition): Field[] {
  return fields.filter((field) => !field.hidden && !field.writeOnly)
}

function timesOf({ owned }: ResourceDefinition): string[] {
  return ['created_at', 'updated_at', ...(owned ? ['owner_id'] : [])]
}

function recordWriter(fields: readonly Field[], system: readonly string[]): (row: Row) => ApiRecord {
  return (row) => {
    const record: ApiRecord = { id: row.id }
    for (const { name, nullable } of fields) {
      const value = row[name] as Value
      if (value !== null || nullable) record[name] = value
    }
    for (const name of system) record[name] = row[name] as Value
    return record
  }
}

// ── Import ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** What is wrong with a row: `field` is a JSON pointer into its record, empty for the row as a whole. */
export interface RowFault extends ErrorDetail {
  row: number
}

export interface ImportReport {
  /** Rows that were read. */
  records: number
  /** The first MAX_DETAILS, in the order of the rows. Where there is one, nothing is stored. */
  faults: readonly RowFault[]
  faultsTotal: number
}

export interface ImportProgress {
  phase: 'reading' | 'storing'
  /** Of the file, so far. */
  bytes: number
  /** So far, in this phase. */
  records: number
}

export type Prepare = (values: Values) => Values | Promise<Values>

export interface ImportOptions {
  definition: ResourceDefinition
  store: Store
  clock: Clock
  format: TransferFormat
  source: AsyncIterable<Uint8Array>
  /** Finds every fault, stores nothing. */
  isDryRun: boolean
  /** What the author's code makes of the values of a record's fields before they are stored; AppError where it refuses. */
  prepare?: Prepare | undefined
  onProgress?: (progress: ImportProgress) => void
}

/**
 * Stores all records of a file or none. Ids, times and owners that the file has are kept, others are made. Throws
 * StartError where the file can't be read to its end or the database can't be written.
 */
export async function importRecords(options: ImportOptions): Promise<ImportReport> {
  const { definition, store, source, isDryRun, onProgress = () => {} } = options
  const reader = createReader(options)
  const toRow = createRowMaker(options)
  await using load = await store.load(definition.name)
  const own = createFaultList()
  let records = 0
  let bytes = 0

  async function take(rows: readonly ReadRow[]): Promise<void> {
    const batch: LoadRow[] = []
    for (const row of rows) {
      records++
      const made = row.faults === undefined ? toRow(row) : row.faults
      const outcome = made instanceof Promise ? await made : made
      if ('row' in outcome) batch.push(outcome)
      else for (const fault of outcome) own.add({ row: row.row, ...fault })
    }
    if (batch.length > 0) await load.add(batch)
  }

  for await (const chunk of source) {
    bytes += chunk.length
    await take(reader.push(chunk))
    onProgress({ phase: 'reading', bytes, records })
  }
  await take(reader.end())
  const report = async () => ({ records, ...(await mergedFaults(load, own, definition)) })
  const found = await report()
  if (isDryRun || found.faultsTotal > 0) return found
  try {
    await load.commit((stored) => onProgress({ phase: 'storing', bytes, records: stored }))
    return found
  } catch (error) {
    if (!(error instanceof UniqueError || error instanceof BrokenReferenceError)) throw error
    const now = await report()
    if (now.faultsTotal === 0) throw error
    return now
  }
}

function createReader({ definition, format }: ImportOptions): RowReader {
  if (format === 'ndjson') return createNdjsonReader()
  const columns = columnsOf(definition)
  const { required } = importSchema(definition) as { required: readonly string[] }
  return createCsvReader({ columns, checkHeader: (names) => headerFaults(names, columns, required) })
}

function columnsOf(definition: ResourceDefinition): CsvColumn[] {
  const { id, fields, computed } = definition
  return [
    { name: 'id', kind: id === 'uuid' ? 'text' : 'integer', nullable: false },
    ...fields.filter((field) => !field.hidden),
    ...timesOf(definition).map((name): CsvColumn => ({ name, kind: 'text', nullable: name === 'owner_id' })),
    // What is computed has no effect, and may be of any kind.
    ...computed.map(({ name }): CsvColumn => ({ name, kind: 'text', nullable: false })),
  ]
}

function headerFaults(
  names: readonly string[],
  columns: readonly CsvColumn[],
  required: readonly string[],
): ErrorDetail[] {
  const known = new Set(columns.map(({ name }) => name))
  const fault = (message: string) => (name: string) => ({ field: boundName(pointerTo('', name)), message })
  return [
    ...names.filter((name) => !known.has(name)).map(fault('Unknown property')),
    ...names.filter((name, index) => names.indexOf(name) < index).map(fault('Column appears more than once')),
    ...required.filter((name) => !names.includes(name)).map(fault('Required')),
  ].slice(0, MAX_DETAILS)
}

// ── Rows ────────────────────────────────────────────────────────────────────────────────────────────────────────

type MadeRow = LoadRow | readonly ErrorDetail[]

/** Makes the function that validates a record and gives its row, or what is wrong with it. */
function createRowMaker({ definition, clock, prepare }: ImportOptions) {
  const schema = importSchema(definition)
  const validate = createValidator(schema)
  const computed = definition.computed.map(({ name }) => name)
  const writeShown = valuesWriter(definition.fields.filter((field) => !field.hidden))
  const hidden = definition.fields.filter((field) => field.hidden)
  const hiddenValues = valuesWriter(hidden)(
    Object.fromEntries(hidden.map((field) => [field.name, field.default])),
  )
  const now = timestamp(clock())

  function systemValues({ created_at: created, updated_at: updated, owner_id: owner }: Body): Values {
    const createdAt = created === undefined ? now : canonicalTime(created as string)
    const updatedAt = updated === undefined ? createdAt : canonicalTime(updated as string)
    const times = { created_at: createdAt, updated_at: updatedAt }
    if (!definition.owned) return times
    return { ...times, owner_id: typeof owner === 'string' ? owner.toLowerCase() : null }
  }

  return ({ row, record: given }: ReadRow): MadeRow | Promise<MadeRow> => {
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      return [{ field: '', message: 'Expected an object' }]
    }
    const record = applyDefaults(schema, without(given, computed)) as Body
    const faults = validate(record)
    if (faults.length > 0) return faults
    const id = idOf(definition, record.id as Id | undefined)
    const values = { ...writeShown(record), ...hiddenValues }
    const finish = (own: Values): LoadRow => ({ row, id, values: { ...own, ...systemValues(record) } })
    if (prepare === undefined) return finish(values)
    return prepared(() => prepare(values)).then((made) =>
      'faults' in made ? made.faults : finish(made.values),
    )
  }
}

type Body = Readonly<Record<string, unknown>>

async function prepared(
  prepare: () => Values | Promise<Values>,
): Promise<{ values: Values } | { faults: readonly ErrorDetail[] }> {
  try {
    return { values: await prepare() }
  } catch (error) {
    const details = error instanceof AppError ? error.details : []
    return { faults: details.length > 0 ? details : [{ field: '', message: (error as Error).message }] }
  }
}

/** As the body of a create, with what the server and the author's code set besides: an export has it. */
function importSchema(definition: ResourceDefinition): JsonSchema {
  const shown = definition.fields.filter((field) => !field.hidden)
  const required = shown.filter((field) => !field.optional && field.default === undefined)
  return {
    type: 'object',
    properties: {
      ...systemProperties(definition),
      ...Object.fromEntries(shown.map(({ name, schema }) => [name, schema])),
    },
    required: required.map(({ name }) => name),
    additionalProperties: false,
  }
}

function idOf({ id: kind }: ResourceDefinition, id: Id | undefined): Id | undefined {
  if (kind === 'uuid') return id === undefined ? newUuid() : String(id).toLowerCase()
  return id
}

function canonicalTime(text: string): string {
  return new Date(text).toISOString()
}

function without(record: object, names: readonly string[]): object {
  if (!names.some((name) => Object.hasOwn(record, name))) return record
  return Object.fromEntries(Object.entries(record).filter(([name]) => !names.includes(name)))
}

// ── Faults ──────────────────────────────────────────────────────────────────────────────────────────────────────

function createFaultList() {
  const first: RowFault[] = []
  let total = 0
  return {
    first,
    total: () => total,
    add: (fault: RowFault) => {
      total++
      if (first.length < MAX_DETAILS) first.push(fault)
    },
  }
}

/** The faults of the rows themselves and those that the stored rows make, in the order of the rows. */
async function mergedFaults(
  load: Load,
  own: ReturnType<typeof createFaultList>,
  definition: ResourceDefinition,
): Promise<Pick<ImportReport, 'faults' | 'faultsTotal'>> {
  const found = await load.faults(MAX_DETAILS)
  const faults = [...own.first, ...found.first.map((fault) => describeFault(fault, definition))]
  faults.sort((one, other) => one.row - other.row)
  return { faults: faults.slice(0, MAX_DETAILS), faultsTotal: own.total() + found.total }
}

function describeFault({ row, column, problem }: LoadFault, { table }: ResourceDefinition): RowFault {
  const target = table.columns.find(({ name }) => name === column)?.references ?? ''
  const messages = {
    repeated: 'Is in an earlier row too',
    taken: 'Is taken by another record',
    missing: `Expected the id of an existing record of ${target}`,
  }
  return { row, field: pointerTo('', column), message: messages[problem] }
}
