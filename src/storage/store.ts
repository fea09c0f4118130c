// The port that the rest of the program reads and writes through. Every engine passes the one suite of
// test/storage/store-suite.ts. A transaction is a list of operations, never a callback that could await.
import type { Filter, ListQuery } from './query.ts'

export type Id = number | string

/** A stored value: text, real, integer, boolean, JSON (objects and arrays), or null. */
export type Value =
  string | number | boolean | null | readonly unknown[] | { readonly [key: string]: unknown }

export type ColumnKind = 'text' | 'real' | 'integer' | 'boolean' | 'json'

export interface Column {
  name: string
  kind: ColumnKind
  nullable: boolean
  unique?: boolean
  index?: boolean
  /** The table whose id this is: a foreign key. An indexed column, always. */
  references?: string
  /** What a delete of the target does: `restrict` (the default) refuses it, `set null` clears this column. */
  onDelete?: 'restrict' | 'set null'
  /** What existing rows get when the column is added to a table that has rows. */
  default?: Value
}

/**
 * A table as it should be. Every table also has `id` and `_version` (1 at insert, one more at every update), which
 * are not listed in `columns`. Integer ids are never reused.
 */
export interface Table {
  name: string
  id: 'integer' | 'uuid'
  columns: readonly Column[]
}

/** A stored row: `id`, `_version` and the columns. Booleans and JSON are JavaScript values, as they were given. */
export type Row = { readonly id: Id; readonly _version: number } & {
  readonly [column: string]: Value | undefined
}

/** Values by column; a column left out is null on insert and kept on update. */
export type Values = Readonly<Record<string, Value>>

export interface Insert {
  kind: 'insert'
  table: string
  /** Given for uuid ids; for integer ids the engine makes one. */
  id?: string
  values: Values
}

/** Changes the row with this id if it still has `version` (where given) and passes `where` (where given). */
export interface Update {
  kind: 'update'
  table: string
  id: Id
  values: Values
  version?: number
  where?: Filter
}

/** Deletes the row with this id, under the same conditions as an update. */
export interface Delete {
  kind: 'delete'
  table: string
  id: Id
  version?: number
  where?: Filter
}

export type Operation = Insert | Update | Delete

/** An operation, or a function of the earlier rows of the same commit; it runs inside the transaction, so it must not wait. */
export type Step = Operation | ((rows: readonly Row[]) => Operation)

export interface Store {
  /** The row with this id, if it is there and passes `where`. */
  get(table: string, id: Id, where?: Filter): Promise<Row | undefined>
  list(query: ListQuery): Promise<Row[]>
  /**
   * How many rows. Without `where` it is exact and costs the same at any size; with `where` it stops counting
   * at `limit`.
   */
  count(table: string, where?: Filter, limit?: number): Promise<number>
  /**
   * All steps or none, durable when it resolves. Gives the row after each step (for a delete, the row as it was).
   * Throws StaleError where an update or delete found no row that meets its conditions; UniqueError or
   * BrokenReferenceError where a constraint broke; AppError `unavailable` where the engine can't write now.
   */
  commit(steps: readonly Step[]): Promise<readonly Row[]>
  /** Throws AppError `unavailable` where the database does not answer. */
  check(): Promise<void>
  /** Finishes what is queued and closes. */
  stop(): Promise<void>
}

/** An update or delete whose row is gone, has another version or does not pass its filter. */
export class StaleError extends Error {
  override name = 'StaleError'
}

/** A value that another row of the table has already. `column` is where. */
export class UniqueError extends Error {
  override name = 'UniqueError'
  readonly column: string
  /** Which step of the commit broke it. */
  readonly step: number

  constructor(column: string, step: number, cause?: unknown) {
    super(`Value of ${column} is taken`, { cause })
    this.column = column
    this.step = step
  }
}

/** A reference to a row that does not exist, or a delete of a row that others refer to. */
export class BrokenReferenceError extends Error {
  override name = 'BrokenReferenceError'
  /** Which step of the commit broke it. */
  readonly step: number

  constructor(step: number, cause?: unknown) {
    super('A reference is broken', { cause })
    this.step = step
  }
}
