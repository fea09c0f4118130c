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
  /** Gives all of them back, before the connection is closed. */
  finalize(): void
}

export interface StatementsOptions {
  database: Database
  /** Told of each statement how long it took. */
  onDone: (sql: string, milliseconds: number) => void
  /** Monotonic milliseconds. */
  clock: () => number
}

export function createStatements({ database, onDone, clock }: StatementsOptions): Statements {
  // A Map keeps the order of insertion: what is used goes to the end, so the oldest is at the front.
  const prepared = new Map<string, Prepared>()
  // The one at the end: many of a kind come one after the other, and to put it there takes 0.2 µs each time.
  let latest: { sql: string; statement: Prepared } | undefined

  function prepare(sql: string): Prepared {
    if (latest?.sql === sql) return latest.statement
    let statement = prepared.get(sql)
    if (statement === undefined) {
      statement = database.prepare<RawRow, any[]>(sql)
      if (prepared.size >= STATEMENTS_MAX) evictOldest()
    } else {
      prepared.delete(sql)
    }
    prepared.set(sql, statement)
    latest = { sql, statement }
    return statement
  }

  function evictOldest(): void {
    for (const [sql, statement] of prepared) {
      statement.finalize()
      prepared.delete(sql)
      return
    }
  }

  function run<R>({ sql, parameters }: SqlStatement, by: (statement: Prepared, values: Values) => R): R {
    const startedAt = clock()
    const result = by(prepare(sql), parameters)
    onDone(sql, clock() - startedAt)
    return result
  }
  const all = (statement: SqlStatement) => run(statement, runAll)

  return {
    first: (statement) => run(statement, runFirst) ?? undefined,
    all,
    insert: (statement) => run(statement, runInsert),
    finalize() {
      for (const statement of prepared.values()) statement.finalize()
      prepared.clear()
      latest = undefined
    },
    inTurn({ parts, limit }) {
      const [first] = parts
      if (first === undefined) return []
      const rows = all(first)
      for (const { sql, parameters } of parts.slice(1)) {
        if (rows.length >= limit) break
        rows.push(...all({ sql, parameters: [...parameters.slice(0, -1), limit - rows.length] }))
      }
      return rows
    },
  }
}

type Prepared = Statement<RawRow, any[]>
type Values = SqlStatement['parameters']

const runFirst = (statement: Prepared, values: Values) => statement.get(...values)
const runAll = (statement: Prepared, values: Values) => statement.all(...values)
const runInsert = (statement: Prepared, values: Values) => Number(statement.run(...values).lastInsertRowid)
