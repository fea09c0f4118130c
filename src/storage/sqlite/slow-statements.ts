// Tells of statements that took long, and how SQLite went about them. Only their text is told, with marks where values
// are. The plan is asked for on the connection of a reader: on the writing one, EXPLAIN can keep the log from being
// copied into the database at the end.
import type { RawRow } from './statements.ts'

/** From here on a statement is slow. */
export const SLOW_STATEMENT_MS = 100
/** Plans that are asked for at once; statements beyond them are told without one. */
const PLANS_MAX = 8

export interface SlowStatement {
  sql: string
  milliseconds: number
  /** What SQLite does, step by step; undefined where it could not be asked. */
  plan: readonly string[] | undefined
}

export interface SlowStatements {
  /** Takes a statement of any duration. */
  note: (sql: string, milliseconds: number) => void
  /** How many were slow. */
  count: () => number
}

/** `explain` asks for the plan of a statement; it gives undefined where there is no other connection to ask on. */
export function createSlowStatements(
  explain: (sql: string) => Promise<RawRow[]> | undefined,
  report: (statement: SlowStatement) => void,
): SlowStatements {
  let count = 0
  let asked = 0

  async function tell(sql: string, milliseconds: number): Promise<void> {
    let plan: string[] | undefined
    asked++
    try {
      const rows = asked > PLANS_MAX ? undefined : await explain(sql)
      plan = rows?.map(({ detail }) => String(detail))
    } catch {
      // The readers are busy or have ended; that it was slow is told all the same.
    } finally {
      asked--
    }
    report({ sql, milliseconds, plan })
  }
  return {
    note(sql, milliseconds) {
      if (milliseconds < SLOW_STATEMENT_MS) return
      count++
      tell(sql, milliseconds).catch(ignore)
    },
    count: () => count,
  }
}

/** `report` writes to the log, which does not throw. */
function ignore(): void {}
