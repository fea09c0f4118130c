// Compares a database with the declarations. What can lose nothing becomes statements; everything else becomes a problem
// with its remedy, and SQL that would do it, for whoever decides. It changes nothing.
import { derivedProblems, planDerived, quote } from './sqlite/derived.ts'
import type { Database } from './sqlite/database.ts'
import { placeholder, rebuildTable } from './sqlite/rebuild.ts'
import {
  type StoredColumn,
  type StoredTable,
  addColumn,
  createTable,
  describeReference,
  hasAny,
  hasDuplicates,
  readTable,
  readTableNames,
} from './sqlite/schema.ts'
import { isInternal, withInternalTables } from './internal-tables.ts'
import type { Column, Table } from './store.ts'
import { checkValue } from './values.ts'

export interface Plan {
  /** What is to be run, in this order, with foreign keys off. */
  statements: readonly string[]
  /** What keeps the database from following the declarations: each names table, column and remedy. */
  problems: readonly string[]
  /** SQL that a migration could do about the problems, and comments on it. */
  remedies: readonly string[]
  /** Tables that are neither declared nor internal. They are left alone. */
  undeclared: readonly string[]
  /** There is no table of ours yet. */
  isEmpty: boolean
}

/** The plan for these tables and the internal ones. It must run inside a transaction that changes nothing else. */
export function makePlan(database: Database, tables: readonly Table[]): Plan {
  const existing = readTableNames(database)
  const declared = new Set(tables.map(({ name }) => name))
  const changes = withInternalTables(tables).map((table) =>
    existing.includes(table.name)
      ? planTable({ database, table, existing })
      : { ...NOTHING, problems: derivedProblems(table), statements: makeTable(table) },
  )
  return {
    statements: changes.flatMap(({ statements }) => statements),
    problems: changes.flatMap(({ problems }) => problems),
    remedies: changes.flatMap(({ remedies }) => remedies),
    undeclared: existing.filter((name) => !declared.has(name) && !isInternal(name) && !isOfLitestream(name)),
    isEmpty: !existing.some((name) => declared.has(name) || isInternal(name)),
  }
}

type Changes = Pick<Plan, 'statements' | 'problems' | 'remedies'>

const NOTHING: Changes = { statements: [], problems: [], remedies: [] }

function makeTable(table: Table): string[] {
  return [createTable(table), ...planDerived(table, []).creates]
}

interface Subject {
  database: Database
  table: Table
  /** Names of the tables that there are. */
  existing: readonly string[]
}

function planTable(subject: Subject): Changes {
  const { database, table } = subject
  const stored = readTable(database, table.name)
  const obstacle = tableProblem(table, stored)
  if (obstacle !== undefined) return { ...NOTHING, problems: [obstacle] }
  const found = findings(subject, stored)
  const problems = [...derivedProblems(table), ...found.flatMap(({ problem }) => problem ?? [])]
  if (problems.length > 0) return { statements: [], problems, remedies: remediesOf(table, stored, found) }
  const isRebuilt = found.some(({ change }) => change === 'rebuild')
  const { drops, creates } = isRebuilt
    ? { drops: planDerived(undefined, stored.derived).drops, creates: planDerived(table, []).creates }
    : planDerived(table, stored.derived)
  const changes = isRebuilt ? rebuildTable(table, stored) : found.flatMap(({ change }) => change ?? [])
  return { ...NOTHING, statements: [...drops, ...changes, ...creates] }
}

function tableProblem({ name, id }: Table, stored: StoredTable): string | undefined {
  if (stored.id === undefined) {
    return `Table ${name} was not made by hipflask: rename it, or give the resource another name`
  }
  if (stored.id === id) return undefined
  return `Table ${name} has ${stored.id} ids, ${id} ids are declared: declare ${stored.id} ids, or use another name`
}

/** A difference between a table and its declaration. */
interface Finding {
  /** Why it can't be changed without a decision. */
  problem?: string
  /** What would be done after the decision; `rebuild` where the table must be made anew. */
  remedy?: 'rebuild' | readonly string[]
  /** The statement that changes it, where nothing can be lost, or `rebuild`. */
  change?: string
}

function findings(subject: Subject, stored: StoredTable): Finding[] {
  const { table } = subject
  return [
    ...undeclaredColumns(subject, stored),
    ...table.columns.flatMap((column) => {
      const storedColumn = stored.columns.get(column.name)
      if (storedColumn === undefined) return addition(table, column, stored)
      const pair = { column, stored: storedColumn }
      return [
        ...kindFindings(table, pair),
        ...nullFindings(subject, pair),
        ...referenceFindings(subject, pair),
        ...uniqueFindings(subject, stored, column),
      ]
    }),
  ]
}

interface ColumnPair {
  column: Column
  stored: StoredColumn
}

const OR_MIGRATE = 'or write a migration'

function undeclaredColumns({ database, table }: Subject, stored: StoredTable): Finding[] {
  const declared = new Set(table.columns.map((column) => column.name))
  const added = table.columns.filter(({ name }) => !stored.columns.has(name))
  return [...stored.columns].flatMap(([name, column]): Finding[] => {
    if (declared.has(name)) return []
    const drop = `ALTER TABLE ${quote(table.name)} DROP COLUMN ${quote(name)}`
    // No resource declares a field of this name: it is here because of `softDelete` alone.
    if (name === 'deleted_at') return [deletionFinding(database, table, drop)]
    const successor = added.find(({ kind }) => kind === column.kind)
    const rename = `ALTER TABLE ${quote(table.name)} RENAME COLUMN ${quote(name)} TO ${quote(successor?.name ?? '')}`
    const problem = `Column ${table.name}.${name} is stored but not declared: declare it again (hidden, if need be), ${OR_MIGRATE}`
    if (column.reference !== undefined) return [{ problem, remedy: 'rebuild' }]
    const comment = successor === undefined ? [] : [`-- Or, if it only has another name now: ${rename}`]
    return [{ problem, remedy: [...comment, ...dropsFor(table, stored, name), drop] }]
  })
}

function deletionFinding(database: Database, table: Table, drop: string): Finding {
  if (!hasAny(database, table.name, '"deleted_at" IS NOT NULL')) return { change: drop }
  return {
    problem: `Table ${table.name} has deleted rows, no softDelete is declared: restore them, declare softDelete, ${OR_MIGRATE}`,
    remedy: [`DELETE FROM ${quote(table.name)} WHERE "deleted_at" IS NOT NULL`],
  }
}

/** What must go before a column can; what else it served is made anew at the next start. */
function dropsFor({ name: table }: Table, { derived }: StoredTable, column: string): string[] {
  const isConcerned = ({ name, sql }: { name: string; sql: string }) =>
    name.startsWith(`${table}.${column}.`) ||
    (name.startsWith('_hipflask_fts_') && sql.includes(quote(column)))
  const isOfSearch = derived.some((object) => isConcerned(object) && object.name.startsWith('_hipflask_fts_'))
  const gone = derived.filter(
    (object) => isConcerned(object) || (isOfSearch && object.name.startsWith('_hipflask_fts_')),
  )
  return [...planDerived(undefined, gone).drops]
}

function addition(table: Table, column: Column, { hasRows }: StoredTable): Finding[] {
  if (column.default !== undefined) checkValue(table, column, column.default)
  const change = addColumn(table, column)
  if (!hasRows) return [{ change }]
  const at = `Column ${table.name}.${column.name} is new and`
  const hasValue = column.default !== undefined && column.default !== null
  if (!column.nullable && !hasValue) {
    const remedy =
      column.unique === true || column.references !== undefined
        ? []
        : ['-- Choose the value of the rows that there are', `${change} DEFAULT ${placeholder(column)}`]
    const problem = `${at} required, but there are rows without it: give it a default, or make it optional`
    return [{ problem, remedy }]
  }
  if (column.unique === true && hasValue) {
    return [
      { problem: `${at} unique, but all rows would get the same default: make it optional, without default` },
    ]
  }
  if (column.references !== undefined && hasValue) {
    return [{ problem: `${at} a reference, which can have no default: make it optional, without default` }]
  }
  return [{ change }]
}

function kindFindings({ name }: Table, { column, stored }: ColumnPair): Finding[] {
  if (stored.kind === column.kind) return []
  const kind = stored.kind ?? 'of an unknown kind'
  const use = `use another name for the new kind, ${OR_MIGRATE}`
  return [
    {
      problem: `Column ${name}.${column.name} is ${kind}, ${column.kind} is declared: ${use}`,
      remedy: 'rebuild',
    },
  ]
}

function nullFindings({ database, table }: Subject, { column, stored }: ColumnPair): Finding[] {
  if (stored.nullable === column.nullable) return []
  const name = quote(column.name)
  if (column.nullable || !hasAny(database, table.name, `${name} IS NULL`)) return [{ change: 'rebuild' }]
  const fill = `UPDATE ${quote(table.name)} SET ${name} = ${placeholder(column)} WHERE ${name} IS NULL`
  return [
    {
      problem: `Column ${table.name}.${column.name} is optional, required is declared, and there are rows without it: declare it optional, ${OR_MIGRATE}`,
      remedy: ['-- Choose the value of the rows that have none', fill],
    },
  ]
}

function referenceFindings(
  { database, table, existing }: Subject,
  { column, stored }: ColumnPair,
): Finding[] {
  const reference = describeReference(column)
  if (stored.reference === reference) return []
  const { references: target, nullable } = column
  if (target === undefined || stored.kind !== column.kind) return [{ change: 'rebuild' }]
  const name = quote(column.name)
  const isBroken = existing.includes(target)
    ? `${name} IS NOT NULL AND ${name} NOT IN (SELECT id FROM ${quote(target)})`
    : `${name} IS NOT NULL`
  if (!hasAny(database, table.name, isBroken)) return [{ change: 'rebuild' }]
  const mend = nullable
    ? `UPDATE ${quote(table.name)} SET ${name} = NULL WHERE ${isBroken}`
    : `DELETE FROM ${quote(table.name)} WHERE ${isBroken}`
  const problem = `Column ${table.name}.${column.name} has values that refer to no record of ${target}: mend them, declare no reference, ${OR_MIGRATE}`
  return [{ problem, remedy: [mend] }]
}

function uniqueFindings({ database, table }: Subject, stored: StoredTable, column: Column): Finding[] {
  if (column.unique !== true) return []
  const isUnique = stored.derived.some(({ name }) => name === `${table.name}.${column.name}.unique`)
  const living = table.softDelete === true && stored.columns.has('deleted_at')
  if (isUnique || !hasDuplicates(database, table.name, { column: column.name, living })) return []
  const problem = `Column ${table.name}.${column.name} has the same value in several rows: make them differ, or declare it not unique`
  const [name, from] = [quote(column.name), quote(table.name)]
  const comment = `-- The values: SELECT ${name}, count(*) FROM ${from} GROUP BY ${name} HAVING count(*) > 1`
  return [{ problem, remedy: [comment] }]
}

/** Values first: a table is made anew with values that fit. */
function remediesOf(table: Table, stored: StoredTable, found: readonly Finding[]): string[] {
  const isRebuilt = found.some(({ remedy }) => remedy === 'rebuild')
  const statements = found.flatMap(({ remedy = [] }) => (remedy === 'rebuild' ? [] : remedy))
  if (!isRebuilt) return statements
  const isOfColumn = (statement: string) => / (?:DROP|ADD) COLUMN |^DROP /.test(statement)
  const searchDrops = planDerived(
    undefined,
    stored.derived.filter(({ name }) => name.startsWith('_hipflask_fts_')),
  )
  return [
    ...statements.filter((statement) => !isOfColumn(statement)),
    ...searchDrops.drops,
    '-- A cast makes 0 of text that is no number: look at the values first',
    ...rebuildTable(table, stored),
  ]
}

/** Its own bookkeeping, which nobody has to be told of. */
function isOfLitestream(name: string): boolean {
  return name.startsWith('_litestream_')
}
