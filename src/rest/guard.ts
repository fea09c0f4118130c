// What a resource that is part of hipflask does around the changes of its records, by whomever and however they are made:
// through the API, by the author's code, or by a command. It stores nothing itself.
import type { Row, Step, Values } from '../storage/store.ts'
import type { Origin } from './hooks.ts'

/** What is to be stored, and what joins the commit of it. */
export interface Guarded {
  values: Values
  also: readonly Step[]
}

export interface Guard {
  /**
   * The values to store of new records. Throws what a commit of them would throw, where that is known before, or
   * AppError.
   */
  create: (values: readonly Values[]) => Promise<readonly Values[]>
  update: (previous: Row, values: Values) => Promise<Guarded>
  /** What joins the delete of the row. */
  delete: (row: Row) => readonly Step[]
  /** The field that a unique column is made of, if it is no field itself. */
  fieldOf: (column: string) => string | undefined
  /** The AppError that an error of the commit is to the client, where it comes of one of these steps. */
  explain: (error: unknown) => unknown
  /** Told of each change that was made: `row` is undefined after a delete, `previous` after a create. */
  done: (change: { row?: Row | undefined; previous?: Row | undefined }, origin: Origin) => void
}
