// The Store on SQLite: every statement runs at once on the main thread, where it takes less time than handing it to
// another thread would. Writes go through group-commit.ts.
import type { Database } from 'bun:sqlite'
import { type SqlStatement, createCompiler } from '../compile.ts'
import type { Row, Step, Store, Table } from '../store.ts'
import { createRowDecoder, sqliteDialect } from './dialect.ts'
import { isLocked, translateReadError, unavailable } from './errors.ts'
import { type Written, createExecution } from './execution.ts'
import { createGroupCommit } from './group-commit.ts'
import { type RawRow, createStatements } from './statements.ts'
import { createTotals } from './totals.ts'

export interface SqliteStoreOptions {
  /** As `openDatabase` gives it, migrated to `tables`. The store closes it. */
  database: Database
  tables: readonly Table[]
  /** Monotonic milliseconds; the machine's where left out. */
  clock?: () => number
}

const PROBE: SqlStatement = { sql: 'SELECT 1 FROM sqlite_schema LIMIT 1', parameters: [] }

/** Throws StartError where the database can't be written. */
export function createSqliteStore(options: SqliteStoreOptions): Store {
  const { database, tables, clock = () => performance.now() } = options
  const compiler = createCompiler(sqliteDialect, tables)
  const statements = createStatements(database)
  const decode = createDecoder(tables)
  const totals = createTotals(database, tables)
  const groups = createGroupCommit<Step, Written>({
    database,
    execute: createExecution({ compiler, statements, decode }),
    beforeCommit: (written) => totals.add(written.flatMap(({ operations }) => operations)),
    clock,
  })
  let stopping: Promise<void> | undefined

  function read<T>(work: () => T): T {
    if (stopping !== undefined) throw unavailable()
    try {
      return work()
    } catch (error) {
      throw translateReadError(error)
    }
  }

  return {
    async get(table, id, where) {
      return read(() => {
        const raw = statements.first(compiler.get(table, id, where))
        return raw && decode(table, raw)
      })
    },
    async list(query) {
      return read(() => statements.all(compiler.list(query)).map((raw) => decode(query.table, raw)))
    },
    async count(table, where, limit) {
      return read(() => {
        if (where === undefined) return totals.read(table)
        return Number(statements.first(compiler.count(table, where, limit))?.['total'])
      })
    },
    async commit(steps) {
      if (stopping !== undefined) throw unavailable()
      if (steps.length === 0) return []
      return (await groups.add(steps)).rows
    },
    async check() {
      read(() => statements.first(PROBE))
    },
    stop() {
      stopping ??= groups.drain().then(() => close(database))
      return stopping
    },
  }
}

function createDecoder(tables: readonly Table[]): (table: string, raw: RawRow) => Row {
  const decoders = new Map(tables.map((table) => [table.name, createRowDecoder(table)]))
  // The compiler made the statement, so the table is declared.
  return (table, raw) => decoders.get(table)?.(raw) as Row
}

function close(database: Database): void {
  try {
    // Lets SQLite renew the statistics that it chooses indexes by, where they are out of date.
    database.run('PRAGMA optimize')
    // Nothing stays in the log: the database is one file, and the next start sees that this stop was clean.
    database.run('PRAGMA wal_checkpoint(TRUNCATE)')
  } catch (error) {
    // Another process works on the file: it will do this when it stops.
    if (!isLocked(error)) throw error
  } finally {
    database.close(true)
  }
}
