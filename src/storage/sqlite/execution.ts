// Runs the steps of one commit, one after the other, inside a transaction that someone else began and will end.
import type { Compiler, SqlStatement } from '../compile.ts'
import { StaleError, UnmetError } from '../store.ts'
import type { Delete, Insert, Operation, Require, Row, Step, Sweep, Table, Update } from '../store.ts'
import type { Changes } from './changes.ts'
import { translateWriteError } from './errors.ts'
import type { RawRow, Statements } from './statements.ts'
import type { TotalChange } from './totals.ts'

export interface ExecutionOptions {
  tables: readonly Table[]
  compiler: Compiler
  statements: Statements
  decode: (table: string, raw: RawRow) => Row
  /** Told of each row that a step changes or deletes. */
  onChange: Changes['note']
}

/** A step of a commit, or one that no commit of others can have. */
export type WriteStep = Step | ({ kind: 'sweep' } & Sweep)

/** What one commit did. */
export interface Written {
  /** The row of each operation. */
  rows: readonly Row[]
  totals: readonly TotalChange[]
}

/** The function throws the errors that `Store.commit` names, and raw errors of the engine itself. */
export function createExecution(options: ExecutionOptions): (steps: readonly WriteStep[]) => Written {
  const { tables, compiler, statements, decode, onChange } = options
  const softlyDeleting = new Set(tables.filter(({ softDelete }) => softDelete).map(({ name }) => name))

  function write(operation: Operation, step: number): Row {
    let raw: RawRow | undefined
    try {
      raw =
        operation.kind === 'insert'
          ? insert(operation, options)
          : statements.first(compileChange(compiler, operation))
    } catch (error) {
      throw translateWriteError(error, step)
    }
    if (raw === undefined) throw new StaleError(`No row of ${operation.table} meets the conditions`)
    return decode(operation.table, raw)
  }

  /** How many living rows there are more, or less, by the operation. */
  function difference({ kind, table }: Operation, row: Row, wasAlive: boolean): number {
    const isAlive = !softlyDeleting.has(table) || row['deleted_at'] === null
    if (kind === 'insert') return Number(isAlive)
    return kind === 'delete' ? -Number(isAlive) : Number(isAlive) - Number(wasAlive)
  }

  // Only an update of `deleted_at` can give or take life, so only then is the row read before.
  function isAliveBefore(operation: Operation): boolean | undefined {
    const { kind, table } = operation
    if (kind !== 'update' || !softlyDeleting.has(table) || operation.values['deleted_at'] === undefined)
      return undefined
    return statements.first(compiler.get({ table, id: operation.id })) !== undefined
  }

  function sweep(step: Sweep): Written {
    const rows = statements.all(compiler.sweep(step)).map((raw) => decode(step.table, raw))
    const totals = rows.map((row) => {
      const deletion: Delete = { kind: 'delete', table: step.table, id: row.id }
      onChange(deletion)
      return { table: step.table, difference: difference(deletion, row, true) }
    })
    return { rows, totals }
  }

  return (steps) => {
    const rows: Row[] = []
    const totals: TotalChange[] = []
    for (let index = 0; index < steps.length; index++) {
      const step = steps[index] as WriteStep
      const operation = typeof step === 'function' ? step(rows) : step
      if (operation?.kind === 'require') checkRequired(operation, options)
      if (operation === undefined || operation.kind === 'require') continue
      if (operation.kind === 'sweep') return sweep(operation)
      const wasAlive = isAliveBefore(operation)
      const row = write(operation, index)
      rows.push(row)
      if (operation.kind !== 'insert') onChange(operation)
      if (operation.kind === 'update' && wasAlive === undefined) continue
      totals.push({ table: operation.table, difference: difference(operation, row, wasAlive ?? true) })
    }
    return { rows, totals }
  }
}

function insert(operation: Insert, { compiler, statements }: ExecutionOptions): RawRow | undefined {
  const statement = compiler.insert(operation)
  const { row } = statement
  if (row === undefined) return statements.first(statement)
  const rowNumber = statements.insert(statement)
  row['id'] ??= rowNumber
  return row
}

function checkRequired({ table, where }: Require, { compiler, statements }: ExecutionOptions): void {
  const statement = compiler.count({ table, where, limit: 1 })
  if (statement !== undefined && statements.first(statement)?.['total'] === 1) return
  throw new UnmetError(`No row of ${table} is as required`)
}

function compileChange(compiler: Compiler, operation: Update | Delete): SqlStatement {
  switch (operation.kind) {
    case 'update':
      return compiler.update(operation)
    case 'delete':
      return compiler.delete(operation)
    default:
      throw new TypeError('A step must be an operation, or a function that returns one without waiting')
  }
}
