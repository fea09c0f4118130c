// A worker thread that reads: the statements that may take long, off the thread that serves. It is started by
// reader-pool.ts and only by it; build.ts names it as an entry point of its own.
import type { Database } from './database.ts'
import { openReader } from './database.ts'
import { createStatements, type RawRow, type Statements } from './statements.ts'
import type { ListPlan } from '../compile.ts'

/** What the pool sends: first the database, then one statement at a time. */
export type ReaderRequest = { path: string } | ListPlan

/** What it gets back for each statement. Errors of the engine are told by their codes, since no class crosses over. */
export type ReaderAnswer =
  { rows: RawRow[] } | { error: { name: string; message: string; code?: string; errno?: number } }

declare const self: Worker

let database: Database | undefined
let statements: Statements | undefined

self.onmessage = ({ data }: MessageEvent<ReaderRequest>) => {
  self.postMessage(answer(data))
}

function answer(request: ReaderRequest): ReaderAnswer {
  try {
    if ('path' in request) {
      database = openReader(request.path)
      statements = createStatements(database)
      return { rows: [] }
    }
    return { rows: statements?.inTurn(request) ?? [] }
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
