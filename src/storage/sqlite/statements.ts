// Prepared statements by their text, the least recently used given back to SQLite when there are too many.
import type { Database, Statement } from 'bun:sqlite'
import type { ListPlan, SqlStatement } from '../compile.ts'

/** A prepared statement takes a few KiB. All unfiltered shapes of a hundred tables fit. */
export const STATEMENTS_MAX = 500

export type RawRow = Record<string, unknown>

export interface Statements {
  first(statement: SqlStatement): RawRow | undefined
  all(statement: SqlStatement): RawRow[]
  /** Runs an insert that gives no row; gives the number of the row. */
  insert(statement: SqlStatement): number
  /** Runs the parts until there are enough rows. */
  inTurn(plan: ListPlan): RawRow[]
}

export function createStatements(database: Database): Statements {
  // A Map keeps the order of insertion: what is used goes to the end, so the oldest is at the front.
  const prepared = new Map<string, Statement<RawRow, any[]>>()

  function prepare(sql: string): Statement<RawRow, any[]> {
    let statement = prepared.get(sql)
    if (statement === undefined) {
      statement = database.prepare<RawRow, any[]>(sql)
      if (prepared.size >= STATEMENTS_MAX) evictOldest()
    } else {
      prepared.delete(sql)
    }
    prepared.set(sql, statement)
    return statement
  }

  function evictOldest(): void {
    for (const [sql, statement] of prepared) {
      statement.finalize()
      prepared.delete(sql)
      return
    }
  }

  const all = ({ sql, parameters }: SqlStatement) => prepare(sql).all(...parameters)

  return {
    first: ({ sql, parameters }) => prepare(sql).get(...parameters) ?? undefined,
    all,
    insert: ({ sql, parameters }) => Number(prepare(sql).run(...parameters).lastInsertRowid),
    inTurn({ parts, limit }) {
      const [first] = parts
      if (first === undefined) return []
      const rows = all(first)
      for (const { sql, parameters } of parts.slice(1)) {
        if (rows.length >= limit) break
        rows.push(...prepare(sql).all(...parameters.slice(0, -1), limit - rows.length))
      }
      return rows
    },
  }
}
