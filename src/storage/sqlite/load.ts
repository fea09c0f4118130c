// Loads of any size into one table, all or nothing, with memory that does not grow: rows are staged in a database of
// their own, which no one waits for, checked there as sets, and then copied within one transaction.
import type { Database, SQLQueryBindings } from 'bun:sqlite'
import { closeSync, openSync, unlinkSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { newUuid } from '../../core/ids.ts'
import { UniqueError, type Column, type Load, type LoadFault, type LoadRow, type Table } from '../store.ts'
import { checkId, checkValue } from '../values.ts'
import { COLUMN_TYPES, sqliteDialect } from './dialect.ts'
import { isLocked, translateStartError, translateWriteError } from './errors.ts'
import type { Totals } from './totals.ts'

/** How long to wait for the lock: another load may hold it for seconds, a server does so for milliseconds. */
export const LOAD_LOCK_WAIT_MS = 30_000
/** Rows that are copied at a time, between two reports of progress. */
const COPY_ROWS = 10_000
const RETRY_MS = 1

export interface LoadOptions {
  database: Database
  table: Table
  /** All of them, for what rows refer to. */
  tables: readonly Table[]
  totals: Totals
  /** Monotonic milliseconds. */
  clock: () => number
}

/** Begins a load on the store's own connection, which must have no other. */
export function createLoad({ database, table, tables, totals, clock }: LoadOptions): Load {
  const failing = <T>(work: () => T): T => {
    try {
      return work()
    } catch (error) {
      if (database.inTransaction) database.run('ROLLBACK')
      throw translateStartError(translateWriteError(error, 0), database.filename)
    }
  }
  failing(() => attachStaging(database, table))
  const stage = createStaging(database, table)
  const checks = checksOf(table, tables)
  const repeated = createFaultList()
  let latest = 0
  let count = 0

  function add(rows: readonly LoadRow[]): void {
    database.run('BEGIN')
    for (const row of rows) {
      if (row.row <= latest) throw new TypeError('Rows of a load must come in the order of their numbers')
      latest = row.row
      const column = stage(row)
      if (column === undefined) count++
      else repeated.add({ row: row.row, column, problem: 'repeated' })
    }
    database.run('COMMIT')
  }

  function copy(onProgress: (rows: number) => void): void {
    // A row may refer to a later one of the same load. The pragma ends with the transaction.
    database.run('PRAGMA defer_foreign_keys = ON')
    let copied = 0
    // First the rows that have an id, so that none of them meets one that was just made for another row.
    for (const has of ['NOT NULL', 'NULL']) {
      const statement = database.prepare(copyStatement(table, has))
      for (let from = 1; from <= latest; from += COPY_ROWS) {
        copied += statement.run(from, from + COPY_ROWS - 1).changes
        onProgress(Math.min(copied, count))
      }
      statement.finalize()
    }
    totals.add([{ table: table.name, difference: count }])
    database.run('COMMIT')
  }

  return {
    async add(rows) {
      failing(() => add(rows))
    },
    async faults(limit) {
      const lists = [repeated, ...failing(() => findFaults(database, checks, limit))]
      const first = lists.flatMap((list) => list.first).sort((one, other) => one.row - other.row)
      return { first: first.slice(0, limit), total: lists.reduce((sum, { total }) => sum + total(), 0) }
    },
    async commit(onProgress = () => {}) {
      if (repeated.total() > 0) throw new TypeError('A load with faults cannot be stored')
      await begin(database, clock)
      failing(() => copy(onProgress))
    },
    async [Symbol.asyncDispose]() {
      database.run('DETACH staging')
    },
  }
}

async function begin(database: Database, clock: () => number): Promise<void> {
  const deadline = clock() + LOAD_LOCK_WAIT_MS
  for (;;) {
    try {
      database.run('BEGIN IMMEDIATE')
      return
    } catch (error) {
      if (!isLocked(error) || clock() >= deadline) throw translateStartError(error, database.filename)
    }
    await sleep(RETRY_MS)
  }
}

// ── Staging ─────────────────────────────────────────────────────────────────────────────────────────────────────

const MEMORY = ':memory:'

/** The file is gone from its folder at once and from the disk with the connection, whatever ends the process. */
function attachStaging(database: Database, table: Table): void {
  const isMemory = database.filename === MEMORY
  const path = isMemory ? MEMORY : `${database.filename}-load-${newUuid()}`
  if (!isMemory) closeSync(openSync(path, 'wx', 0o600))
  try {
    database.run('ATTACH ? AS staging', [path])
  } finally {
    if (!isMemory) unlinkSync(path)
  }
  // Nothing of it must survive a crash.
  database.run('PRAGMA staging.synchronous = OFF')
  database.run('PRAGMA staging.journal_mode = MEMORY')
  database.run('PRAGMA staging.locking_mode = EXCLUSIVE')
  const columns = table.columns.map(
    ({ name, kind, unique }) => `"${name}" ${COLUMN_TYPES[kind]}${unique === true ? ' UNIQUE' : ''}`,
  )
  const id = table.id === 'uuid' ? 'TEXT' : 'INTEGER'
  const definitions = ['_row INTEGER PRIMARY KEY', `id ${id} UNIQUE`, ...columns]
  database.run(`CREATE TABLE staging.rows (${definitions.join(', ')}) STRICT`)
}

/** Makes the function that stages a row; it gives the column whose value an earlier row has, and then stages nothing. */
function createStaging(database: Database, table: Table): (row: LoadRow) => string | undefined {
  const places = Array.from({ length: table.columns.length + 2 }, () => '?')
  const insert = database.prepare(`INSERT INTO staging.rows VALUES (${places.join(', ')})`)
  return (row) => {
    const parameters = parametersOf(table, row)
    try {
      insert.run(...parameters)
      return undefined
    } catch (error) {
      const translated = translateWriteError(error, 0)
      if (translated instanceof UniqueError) return translated.column
      throw error
    }
  }
}

function parametersOf(table: Table, { row, id, values }: LoadRow): SQLQueryBindings[] {
  if (id !== undefined) checkId(table, id)
  else if (table.id !== 'integer') throw new TypeError(`Table ${table.name} needs an id with every row`)
  const encoded = table.columns.map((column) => {
    const value = values[column.name] ?? null
    checkValue(table, column, value)
    return value === null ? null : (sqliteDialect.encode(column.kind, value) as SQLQueryBindings)
  })
  return [row, id ?? null, ...encoded]
}

function copyStatement(table: Table, has: string): string {
  const columns = table.columns.map(({ name }) => `"${name}"`)
  return `
    INSERT INTO main."${table.name}" (${['id', '_version', ...columns].join(', ')})
    SELECT ${['id', '1', ...columns].join(', ')}
    FROM staging.rows
    WHERE _row BETWEEN ? AND ? AND id IS ${has}
    ORDER BY _row`
}

// ── Faults ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Values that earlier rows have are noticed before anyone says how many faults to name; beyond these, they are counted. */
const FAULTS_KEPT = 1000

type FaultList = ReturnType<typeof createFaultList>

function createFaultList(limit: number = FAULTS_KEPT) {
  const first: LoadFault[] = []
  let total = 0
  return {
    first,
    total: () => total,
    add: (fault: LoadFault) => {
      total++
      if (first.length < limit) first.push(fault)
    },
  }
}

/** Compares the staged rows with the stored ones: one statement for each column that can be at fault. */
function findFaults(database: Database, checks: readonly Check[], limit: number): FaultList[] {
  return checks.map(({ column, problem, condition }) => {
    const list = createFaultList(limit)
    const sql = `SELECT _row AS row FROM staging.rows AS staged WHERE ${condition} ORDER BY _row`
    const statement = database.prepare<{ row: number }, []>(sql)
    for (const { row } of statement.iterate()) list.add({ row, column, problem })
    statement.finalize()
    return list
  })
}

type Check = Pick<LoadFault, 'column' | 'problem'> & { condition: string }

function checksOf(table: Table, tables: readonly Table[]): Check[] {
  const exists = (column: string, alive: string) =>
    `EXISTS (SELECT 1 FROM main."${table.name}" AS stored WHERE stored."${column}" = staged."${column}"${alive})`
  const alive = isAlive(table, 'stored')
  const unique = table.columns.filter((column) => column.unique === true)
  const references = table.columns.filter((column) => column.references !== undefined)
  return [
    { column: 'id', problem: 'taken', condition: exists('id', '') },
    ...unique.map(({ name }): Check => ({ column: name, problem: 'taken', condition: exists(name, alive) })),
    ...references.map((column): Check => {
      const target = tables.find(({ name }) => name === column.references)
      return { column: column.name, problem: 'missing', condition: dangles(table, column, target) }
    }),
  ]
}

function dangles(table: Table, { name, references }: Column, target: Table | undefined): string {
  const absent = (from: string, alive: string) =>
    `NOT EXISTS (SELECT 1 FROM ${from} AS target WHERE target.id = staged."${name}"${alive})`
  const stored = absent(`main."${references}"`, isAlive(target, 'target'))
  const condition = `staged."${name}" IS NOT NULL AND ${stored}`
  return references === table.name ? `${condition} AND ${absent('staging.rows', '')}` : condition
}

/** A soft-deleted row is no target, and its values are free. */
function isAlive(table: Table | undefined, alias: string): string {
  return table?.softDelete === true ? ` AND ${alias}.deleted_at IS NULL` : ''
}
