// Brings a database to the declarations: written migrations one by one, then what the declarations ask for by
// themselves. Each step is one transaction under the write lock, so that it may be killed at any moment, and of two
// processes that start at once only the first has something to do.
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs'
import { StartError } from '../core/errors.ts'
import {
  type MigrationFile,
  applyFile,
  fileNumber,
  nextNumber,
  pendingFiles,
  readMigrationFiles,
  recordFile,
} from './migration-files.ts'
import { type Plan, makePlan } from './migration-plan.ts'
import { copyDatabase } from './sqlite/database.ts'
import type { Database } from './sqlite/database.ts'
import { readAtStart, writeAtStart } from './sqlite/lock.ts'
import type { Table } from './store.ts'

export type { Plan }

/** What there is to do, and with what plan once the files are applied. */
export interface MigrationPlan extends Plan {
  /** Files that are still to be applied; none of an empty database, which is set up as declared. */
  files: readonly MigrationFile[]
}

/** What was done. */
export interface Migration extends Plan {
  /** Names of the files that were applied. */
  applied: readonly string[]
  /** Where the database as it was before is kept, if a file was applied. */
  copy: string | undefined
}

/**
 * Compares the database with the declarations and the files of the folder, where one is given; it changes nothing. To
 * see what the files leave to do it runs them and takes it all back. Throws StartError where that or a file can't be
 * done.
 */
export function planMigration(database: Database, tables: readonly Table[], folder?: string): MigrationPlan {
  const files = readPending(database, folder)
  if (files.length === 0) return { ...readAtStart(database, () => makePlan(database, tables)), files }
  const plan = readAtStart(database, () => makePlan(database, tables))
  if (plan.isEmpty) return { ...plan, files: [] }
  const undo = new Error('Undone')
  let preview = plan
  try {
    writeWithoutKeys(database, () => {
      for (const file of files) applyFile(database, file)
      preview = makePlan(database, tables)
      throw undo
    })
  } catch (error) {
    if (error !== undo) throw error
  }
  return { ...preview, files }
}

/** Whether anything would be changed in a database that is not empty. It runs no file. */
export function isBehind(database: Database, tables: readonly Table[], folder?: string): boolean {
  const { isEmpty, statements } = readAtStart(database, () => makePlan(database, tables))
  return !isEmpty && (statements.length > 0 || readPending(database, folder).length > 0)
}

/**
 * Applies the files of the folder, where one is given, and brings the database to the declarations. Throws StartError
 * with every problem; files that were applied before it stay applied.
 */
export function applyMigration(database: Database, tables: readonly Table[], folder?: string): Migration {
  const files = folder === undefined ? [] : readMigrationFiles(folder)
  const applied: string[] = []
  let copy: string | undefined
  for (;;) {
    const plan = writeWithoutKeys(database, () => {
      const plan = makePlan(database, tables)
      const [file] = plan.isEmpty ? [] : pendingFiles(database, files)
      if (file === undefined) return follow(database, plan, files)
      copy ??= copyBefore(database, file)
      applyFile(database, file)
      checkKeys(database, `Migration ${file.name}`)
      applied.push(file.name)
      return undefined
    })
    if (plan !== undefined) return { ...plan, applied, copy }
  }
}

function follow(database: Database, plan: Plan, files: readonly MigrationFile[]): Plan {
  if (plan.problems.length > 0) throw refusal(database.filename, plan, files)
  for (const statement of plan.statements) database.run(statement)
  // A database that is set up as declared needs no file that led others there.
  if (plan.isEmpty) for (const file of files) recordFile(database, file)
  if (plan.statements.some((statement) => statement.startsWith('ALTER TABLE "_hipflask_new_'))) {
    checkKeys(database, 'The change of the tables')
  }
  return plan
}

function readPending(database: Database, folder: string | undefined): MigrationFile[] {
  if (folder === undefined) return []
  return readAtStart(database, () => pendingFiles(database, readMigrationFiles(folder)))
}

/**
 * Throws StartError with every problem that keeps the database from following the declarations, unless there are
 * files to apply, which may solve them. It changes nothing.
 */
export function refuseUnfit(database: Database, tables: readonly Table[], folder?: string): void {
  const plan = readAtStart(database, () => makePlan(database, tables))
  if (plan.problems.length === 0 || readPending(database, folder).length > 0) return
  throw refusal(database.filename, plan, folder === undefined ? [] : readMigrationFiles(folder))
}

function refusal(path: string, { problems, remedies }: Plan, files: readonly MigrationFile[]): StartError {
  const list = problems.map((problem) => `\n- ${problem}`).join('')
  const message = `Database ${path} cannot follow the declarations, nothing was changed:${list}`
  if (remedies.length === 0) return new StartError(message)
  const name = `migrations/${fileNumber(nextNumber(files))}_NAME.sql`
  return new StartError(
    `${message}\nA migration could be, in ${name} (hipflask migrate new NAME writes it):\n${scriptOf(remedies)}`,
  )
}

/** Statements and comments as the text of a file. */
export function scriptOf(statements: readonly string[]): string {
  return statements.map((statement) => (statement.startsWith('--') ? statement : `${statement};`)).join('\n')
}

// ── Transactions ────────────────────────────────────────────────────────────────────────────────────────────────

/** Others may rebuild a large table meanwhile. */
const LOCK_WAIT_MS = 60_000

// SQLite knows no way to turn foreign keys off within a transaction, and none to remake a table while they are on.
function writeWithoutKeys<T>(database: Database, work: () => T): T {
  database.run('PRAGMA foreign_keys = OFF')
  try {
    return writeAtStart(database, work, LOCK_WAIT_MS)
  } finally {
    database.run('PRAGMA legacy_alter_table = OFF')
    database.run('PRAGMA foreign_keys = ON')
  }
}

function checkKeys(database: Database, what: string): void {
  const broken = database.query<{ table: string; parent: string }, []>('PRAGMA foreign_key_check').get()
  if (broken === null) return
  throw new StartError(
    `${what} would leave rows of ${broken.table} that refer to no row of ${broken.parent}: nothing was changed`,
  )
}

/**
 * Keeps the database as it is in a file beside it, only for its owner. The write lock is held, so that nothing that is
 * written before the migration is missing from it. A copy that was cut short never has the name of one that is whole.
 */
function copyBefore(database: Database, { number }: MigrationFile): string | undefined {
  if (database.filename === ':memory:') return undefined
  const path = `${database.filename}.before-${fileNumber(number)}`
  const unfinished = `${path}.unfinished`
  rmSync(unfinished, { force: true })
  closeSync(openSync(unfinished, 'wx', 0o600))
  copyDatabase(database, unfinished)
  const file = openSync(unfinished, 'r+')
  fsyncSync(file)
  closeSync(file)
  renameSync(unfinished, path)
  return path
}
