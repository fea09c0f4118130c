// The port that the rest of the program reads and writes through. Every engine passes the one suite of
// test/storage/store-suite.ts. A transaction is a list of operations, never a callback that could await.
import type { Eventual } from '../core/eventual.ts'
import type { MetricFamily } from '../core/metrics.ts'
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
  /**
   * What a delete of the target does: `restrict` (the default) refuses it, `set null` clears this column, `cascade`
   * deletes this row too, which no total may count (internal tables have none).
   */
  onDelete?: 'restrict' | 'set null' | 'cascade'
  /** What existing rows get when the column is added to a table that has rows. */
  default?: Value
}

/**
 * A table as it should be. Every table also has `id` and `_version` (1 at insert, one more at every update), which
 * are not listed in `columns`. Integer ids are never reused.
 */
export interface Table {
  name: string
  /** `given`: an integer that every insert brings with it. */
  id: 'integer' | 'uuid' | 'given'
  columns: readonly Column[]
  /** Text columns that `ListQuery.search` looks in. */
  search?: readonly string[]
  /** A row with `deleted_at` (a nullable text column) is gone for get, list, count and unique, unless asked for. */
  softDelete?: boolean
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
  /** Needed unless the engine makes the ids of the table. */
  id?: Id
  values: Values
}

/**
 * Changes the row with this id if it still has `version` (where given) and passes `where` (where given), be it living
 * or soft-deleted: so a row is deleted softly, and restored.
 */
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

/**
 * Lets the commit go on only where a living row of the table passes the filter, as the steps before have left it. No
 * other commit can take the row away in between. It gives no row.
 */
export interface Require {
  kind: 'require'
  table: string
  where: Filter
}

/**
 * An operation, or a function of the earlier rows of the same commit. It runs inside the transaction, so it must not
 * wait; what it throws undoes the commit, and undefined is no operation.
 */
export type Step = Operation | Require | ((rows: readonly Row[]) => Operation | undefined)

/** A row on its way into a table. Without an id the engine makes one, where it makes ids. */
export interface LoadRow {
  /** Its number where it comes from, by which faults name it: each greater than the one before. */
  row: number
  id: Id | undefined
  values: Values
}

/** Why a row can't be stored: an earlier row of the load has the value, a stored row has it, or no row has the id. */
export interface LoadFault {
  row: number
  column: string
  problem: 'repeated' | 'taken' | 'missing'
}

/**
 * Rows on their way into a table, as many as there may be: they wait beside it on the disk, where they bother nobody,
 * and go into it all at once. All but `commit` leaves the table alone. Methods throw StartError where the engine fails
 * or others keep the lock.
 */
export interface Load extends AsyncDisposable {
  add(rows: readonly LoadRow[]): Promise<void>
  /** The first faults, at most `limit`, in the order of the rows; and how many there are in all. */
  faults(limit: number): Promise<{ first: readonly LoadFault[]; total: number }>
  /**
   * Stores every row or none. Throws UniqueError or BrokenReferenceError where another process came in between: then
   * `faults` says what is wrong now. `onProgress` gets how many rows are in; it must not wait.
   */
  commit(onProgress?: (rows: number) => void): Promise<void>
}

/** Which rows of a table with `softDelete` a read sees. */
export interface ReadOptions {
  /** The soft-deleted ones instead of the living. */
  deleted?: boolean | undefined
}

export interface CountOptions extends ReadOptions {
  /** Where counting stops; without it all are counted. */
  limit?: number | undefined
  /** As in `ListQuery`. */
  search?: string | undefined
}

/** Rows to delete because of their age. */
export interface Sweep {
  table: string
  /** A text column of times, RFC 3339, UTC, milliseconds. It should be indexed. */
  column: string
  /** Rows of before this time are deleted, the oldest first. */
  before: string
  /** The most rows of this call. */
  limit: number
}

/** What is made of a row; the length of its text is what it takes of the room for what is kept. */
export interface Made {
  readonly text: string
}

export interface Store {
  /** The row with this id, if it is there and passes `where`; at once where the engine is in this process. */
  get(table: string, id: Id, where?: Filter, options?: ReadOptions): Eventual<Row | undefined>
  /**
   * Makes a function that gives what `make` makes of the living row with this id, if it is there: as fresh as by `get`,
   * but what was made of a row is kept, within bounds, as long as the row has not changed. So `make` must depend on the
   * row alone, and nobody may change what it gave.
   */
  remember<T extends Made>(table: string, make: (row: Row) => T): (id: Id) => Eventual<T | undefined>
  /** Throws AppError `unavailable` where too many reads wait that no index serves, as does `count`. */
  list(query: ListQuery): Promise<Row[]>
  /**
   * How many rows. Without filter, search and deletion it is exact and costs the same at any size.
   */
  count(table: string, where?: Filter, options?: CountOptions): Promise<number>
  /**
   * All steps or none, durable when it resolves. Gives the row after each operation (for a delete, the row as it was).
   * Throws StaleError where an update or delete found no row that meets its conditions; UnmetError where no row is as
   * a step requires; UniqueError or BrokenReferenceError where a constraint broke; AppError `unavailable` where the engine can't write now.
   */
  commit(steps: readonly Step[]): Promise<readonly Row[]>
  /**
   * Takes what `make` gives along with commits of others, in the same transaction; what fails of it is left out alone.
   * It is asked before each.
   */
  accompany(make: () => Operation | undefined): void
  /** Deletes old rows in one commit of its own; gives how many. Call it again while it gives `limit`. */
  deleteOlderThan(sweep: Sweep): Promise<number>
  /**
   * Makes a function that gives another number as soon as a row of these tables may have been changed or deleted: by
   * this process with the commit, by another one from the next turn of the event loop on. What was kept under an older
   * number must be read again. New rows change nothing.
   */
  watch(tables: readonly string[]): () => number
  /** 32 random bytes that are made once for this name and kept in the database: all nodes get the same. */
  secret(name: string): Promise<Uint8Array>
  /** Begins a load; a store does one at a time. Dispose of it in the end. */
  load(table: string): Promise<Load>
  /** Throws AppError `unavailable` where the database does not answer. */
  check(): Promise<void>
  /** What it measures of itself. */
  readonly metrics: readonly MetricFamily[]
  /** Finishes what is queued and closes. */
  stop(): Promise<void>
}

/** An update or delete whose row is gone, has another version or does not pass its filter. */
export class StaleError extends Error {
  override name = 'StaleError'
}

/** A `require` that no row meets. */
export class UnmetError extends Error {
  override name = 'UnmetError'
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
