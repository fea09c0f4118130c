// Runs the steps of one commit, one after the other, inside a transaction that someone else began and will end.
import type { Compiler, SqlStatement } from '../compile.ts'
import { type Operation, type Row, type Step, StaleError } from '../store.ts'
import { translateWriteError } from './errors.ts'
import type { RawRow, Statements } from './statements.ts'

export interface ExecutionOptions {
  compiler: Compiler
  statements: Statements
  decode: (table: string, raw: RawRow) => Row
}

/** What one commit did: its operations, and the row of each. */
export interface Written {
  rows: readonly Row[]
  operations: readonly Operation[]
}

/** The function throws the errors that `Store.commit` names, and raw errors of the engine itself. */
export function createExecution(options: ExecutionOptions): (steps: readonly Step[]) => Written {
  const { compiler, statements, decode } = options

  function write(operation: Operation, step: number): Row {
    const statement = compileOperation(compiler, operation)
    let raw: RawRow | undefined
    try {
      raw = statements.first(statement)
    } catch (error) {
      throw translateWriteError(error, step)
    }
    if (raw === undefined) throw new StaleError(`No row of ${operation.table} meets the conditions`)
    return decode(operation.table, raw)
  }

  return (steps) => {
    const rows: Row[] = []
    const operations: Operation[] = []
    for (const [index, step] of steps.entries()) {
      const operation = typeof step === 'function' ? step(rows) : step
      rows.push(write(operation, index))
      operations.push(operation)
    }
    return { rows, operations }
  }
}

function compileOperation(compiler: Compiler, operation: Operation): SqlStatement {
  switch (operation.kind) {
    case 'insert':
      return compiler.insert(operation)
    case 'update':
      return compiler.update(operation)
    case 'delete':
      return compiler.delete(operation)
    default:
      throw new TypeError('A step must be an operation, or a function that returns one without waiting')
  }
}
