// A worker thread that reads: the statements that may take long, off the thread that serves. It is started by
// reader-pool.ts and only by it; build.ts names it as an entry point of its own.
import type { Database } from './database.ts'
import { copyDatabase, openReader } from './database.ts'
import { createStatements, type RawRow, type Statements } from './statements.ts'
import type { ListPlan } from '../compile.ts'

/** What the pool sends: first the database, then one statement at a time. */
export type ReaderRequest = { path: string } | ReaderTask

/** Rows, what SQLite would do to get them, a copy into an empty file, or the end. */
export type ReaderTask = ListPlan | { explain: string } | { copyTo: string } | 'close'

/** What it gets back for each statement. Errors of the engine are told by their codes, since no class crosses over. */
export type ReaderAnswer =
  | { rows: RawRow[]; times: readonly StatementTime[] }
  | { error: { name: string; message: string; code?: string; errno?: number } }

/** How long a statement took. */
export interface StatementTime {
  sql: string
  milliseconds: number
}

declare const self: Worker

let database: Database | undefined
let statements: Statements | undefined
let times: StatementTime[] = []

self.onmessage = ({ data }: MessageEvent<ReaderRequest>) => {
  self.postMessage(answer(data))
}

function answer(request: ReaderRequest): ReaderAnswer {
  try {
    if (request === 'close') {
      statements?.finalize()
      database?.close(true)
      return { rows: [], times: [] }
    }
    if ('path' in request) {
      database = openReader(request.path)
      statements = createStatements({
        database,
        onDone: (sql, milliseconds) => times.push({ sql, milliseconds }),
        clock: () => performance.now(),
      })
      return { rows: [], times: [] }
    }
    if ('explain' in request) return { rows: explain(request.explain), times: [] }
    if ('copyTo' in request) {
      if (database !== undefined) copyDatabase(database, request.copyTo)
      return { rows: [], times: [] }
    }
    times = []
    return { rows: statements?.inTurn(request) ?? [], times }
  } catch (error) {
    const { name, message, code, errno } = error as Error & { code?: string; errno?: number }
    return {
      error: {
        name,
        message,
        ...(code === undefined ? {} : { code }),
        ...(errno === undefined ? {} : { errno }),
      },
    }
  }
}

// Kept for another time it would go on reading, and keep the log from being copied into the database.
function explain(sql: string): RawRow[] {
  const statement = database?.prepare<RawRow, []>(`EXPLAIN QUERY PLAN ${sql}`)
  const rows = statement?.all() ?? []
  statement?.finalize()
  return rows
}
