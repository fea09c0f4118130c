// Makes the tables of a database follow the declarations, as far as nothing can be lost: new tables, columns and
// indexes. Everything else is refused, all of it at once, before anything is changed.
import { StartError } from '../core/errors.ts'
import type { Database } from './sqlite/database.ts'
import { readAtStart, writeAtStart } from './sqlite/lock.ts'
import {
  type StoredColumn,
  type StoredTable,
  addColumn,
  createIndex,
  createTable,
  describeReference,
  dropIndex,
  hasDuplicates,
  indexName,
  readTable,
  readTableNames,
} from './sqlite/schema.ts'
import type { Column, Table } from './store.ts'
import { checkValue } from './values.ts'

export interface Plan {
  /** What is to be run, in this order. */
  statements: readonly string[]
  /** What keeps the database from following the declarations: each names table, column and remedy. */
  problems: readonly string[]
  /** Tables that are neither declared nor internal. They are left alone. */
  undeclared: readonly string[]
  /** There is no table of ours yet. */
  isEmpty: boolean
}

/** Compares the database with the declarations; it changes nothing. Throws StartError where it can't be read. */
export function planMigration(database: Database, tables: readonly Table[]): Plan {
  return readAtStart(database, () => compare(database, tables))
}

/**
 * Brings the database to the declarations in one transaction and gives the plan that was followed. The plan is made
 * inside it, so that of two processes that start at once only the first has something to do. Throws StartError with
 * every problem, and then nothing has changed.
 */
export function applyMigration(database: Database, tables: readonly Table[]): Plan {
  return writeAtStart(database, () => {
    const plan = compare(database, tables)
    if (plan.problems.length > 0) throw refusal(database.filename, plan.problems)
    for (const statement of plan.statements) database.run(statement)
    return plan
  })
}

/** Throws StartError with every problem that keeps the database from following the declarations; it changes nothing. */
export function refuseUnfit(database: Database, tables: readonly Table[]): void {
  const { problems } = planMigration(database, tables)
  if (problems.length > 0) throw refusal(database.filename, problems)
}

function refusal(path: string, problems: readonly string[]): StartError {
  const list = problems.map((problem) => `\n- ${problem}`).join('')
  return new StartError(`Database ${path} cannot follow the declarations, nothing was changed:${list}`)
}

function compare(database: Database, tables: readonly Table[]): Plan {
  const existing = readTableNames(database)
  const declared = new Set(tables.map(({ name }) => name))
  const statements: string[] = []
  const problems: string[] = []
  for (const table of tables) {
    if (existing.includes(table.name)) {
      const changes = planTable(database, table)
      statements.push(...changes.statements)
      problems.push(...changes.problems)
    } else {
      statements.push(createTable(table), ...planIndexes(table, []))
    }
  }
  return {
    statements,
    problems,
    undeclared: existing.filter((name) => !declared.has(name) && !isInternal(name)),
    isEmpty: !existing.some((name) => declared.has(name) || isInternal(name)),
  }
}

type Changes = Pick<Plan, 'statements' | 'problems'>

const BY_HAND = 'or change it by hand, in a copy of the database'

function planTable(database: Database, table: Table): Changes {
  const stored = readTable(database, table.name)
  const problem = tableProblem(table, stored)
  if (problem !== undefined) return { statements: [], problems: [problem] }

  const statements: string[] = []
  const problems = undeclaredColumns(table, stored)
  for (const column of table.columns) {
    const at = `${table.name}.${column.name}`
    const storedColumn = stored.columns.get(column.name)
    if (storedColumn === undefined) {
      if (column.default !== undefined) checkValue(table, column, column.default)
      const obstacle = stored.hasRows ? additionProblem(column, at) : undefined
      if (obstacle === undefined) statements.push(addColumn(table, column))
      else problems.push(obstacle)
    } else {
      problems.push(...columnProblems(column, storedColumn, at))
      const isNewlyUnique = column.unique === true && !stored.indexes.includes(`${at}.unique`)
      if (isNewlyUnique && hasDuplicates(database, table.name, column.name)) {
        problems.push(
          `Column ${at} has the same value in several rows: make them differ, or declare it not unique`,
        )
      }
    }
  }
  return { statements: [...statements, ...planIndexes(table, stored.indexes)], problems }
}

function tableProblem({ name, id }: Table, stored: StoredTable): string | undefined {
  if (stored.id === undefined) {
    return `Table ${name} was not made by hipflask: rename it, or give the resource another name`
  }
  if (stored.id === id) return undefined
  return `Table ${name} has ${stored.id} ids, ${id} ids are declared: declare ${stored.id} ids, ${BY_HAND}`
}

function undeclaredColumns({ name, columns }: Table, stored: StoredTable): string[] {
  const declared = new Set(columns.map((column) => column.name))
  return [...stored.columns.keys()]
    .filter((column) => !declared.has(column))
    .map(
      (column) =>
        `Column ${name}.${column} is stored but not declared: declare it again (${column === 'owner_id' ? 'owned: true' : 't.Optional, hidden: true to keep it out of the API'}), or drop it by hand, in a copy of the database`,
    )
}

/** Why a column can't be added to a table that has rows. */
function additionProblem(column: Column, at: string): string | undefined {
  const hasValue = column.default !== undefined && column.default !== null
  if (!column.nullable && !hasValue) {
    return `Column ${at} is new and required, but there are rows without it: give it a default, or make it optional`
  }
  if (column.unique === true && hasValue) {
    return `Column ${at} is new and unique, but all rows would get the same default: make it optional, without default`
  }
  if (column.references !== undefined && hasValue) {
    return `Column ${at} is new and a reference, which can have no default: make it optional, without default`
  }
  return undefined
}

function columnProblems(column: Column, stored: StoredColumn, at: string): string[] {
  const problems: string[] = []
  if (stored.kind !== column.kind) {
    const kind = stored.kind ?? 'of an unknown kind'
    problems.push(
      `Column ${at} is ${kind}, ${column.kind} is declared: use another name for the new kind, ${BY_HAND}`,
    )
  }
  if (stored.nullable !== column.nullable) {
    const [is, declared] = stored.nullable ? ['optional', 'required'] : ['required', 'optional']
    problems.push(`Column ${at} is ${is}, ${declared} is declared: declare it ${is}, ${BY_HAND}`)
  }
  const reference = describeReference(column)
  if (stored.reference !== reference) {
    const is = stored.reference === undefined ? 'no reference' : `a reference to ${stored.reference}`
    const declared = reference === undefined ? 'none' : `one to ${reference}`
    problems.push(`Column ${at} is ${is}, ${declared} is declared: declare it as it is, ${BY_HAND}`)
  }
  return problems
}

/** Stale indexes first: one of a column that became unique makes room for its successor. */
function planIndexes(table: Table, stored: readonly string[]): string[] {
  const wanted = new Map<string, Column>()
  for (const column of table.columns) {
    const name = indexName(table, column)
    if (name !== undefined) wanted.set(name, column)
  }
  return [
    ...stored.filter((name) => !wanted.has(name)).map(dropIndex),
    ...[...wanted]
      .filter(([name]) => !stored.includes(name))
      .map(([name, column]) => createIndex(table, column, name)),
  ]
}

function isInternal(name: string): boolean {
  return name.startsWith('_hipflask_')
}
