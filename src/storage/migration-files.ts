// Migrations that people write: files of SQL, numbered from 0001, each of which is applied once and then stays as it is.
// What the declarations ask for by themselves is in migration-plan.ts.
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { StartError } from '../core/errors.ts'
import type { Database } from './sqlite/database.ts'

export interface MigrationFile {
  number: number
  /** `0001_name.sql`. */
  name: string
  sql: string
  /** SHA-256, the same for either kind of line ends. */
  checksum: string
}

/** What the database knows of a file that was applied to it. */
export interface AppliedFile extends Pick<MigrationFile, 'number' | 'name' | 'checksum'> {
  /** RFC 3339, UTC. */
  applied_at: string
}

const FILE_NAME = /^(\d{4})_[a-z0-9_-]+\.sql$/
const MAX_FILES = 9999

/** The name of a file, from its number. */
export function fileNumber(number: number): string {
  return String(number).padStart(4, '0')
}

/** The files of the folder in order; none where there is no folder. Throws StartError with every bad name. */
export function readMigrationFiles(folder: string): MigrationFile[] {
  if (!existsSync(folder)) return []
  const names = readdirSync(folder)
    .filter((name) => name.endsWith('.sql'))
    .sort()
  const problems = names
    .filter((name) => !FILE_NAME.test(name))
    .map((name) => `${name}: its name must be like 0001_add_prices.sql, of a–z, 0–9, _ and -`)
  const files = names.filter((name) => FILE_NAME.test(name)).map((name) => readFile(folder, name))
  problems.push(...numberProblems(files))
  if (problems.length === 0) return files
  const list = problems.map((problem) => `\n- ${problem}`).join('')
  throw new StartError(`The migrations in ${folder} cannot be used:${list}`)
}

function readFile(folder: string, name: string): MigrationFile {
  const sql = readFileSync(join(folder, name), 'utf8').replaceAll('\r\n', '\n')
  return {
    number: Number(name.slice(0, 4)),
    name,
    sql,
    checksum: createHash('sha256').update(sql).digest('hex'),
  }
}

function numberProblems(files: readonly MigrationFile[]): string[] {
  const problems: string[] = []
  let expected = 1
  for (const { number, name } of files) {
    if (number === expected - 1) problems.push(`${name}: another file has its number`)
    else if (number !== expected) problems.push(`${name}: the next number is ${fileNumber(expected)}`)
    expected = number + 1
  }
  return problems
}

/** The number of the next file. Throws StartError where there is none left. */
export function nextNumber(files: readonly MigrationFile[]): number {
  const next = (files.at(-1)?.number ?? 0) + 1
  if (next > MAX_FILES) throw new StartError(`There are ${MAX_FILES} migrations, which is the most`)
  return next
}

/** What was applied to the database, in order. */
export function readApplied(database: Database): AppliedFile[] {
  const exists = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_hipflask_migrations'"
  if (database.query(exists).get() === null) return []
  const sql = 'SELECT number, name, checksum, applied_at FROM _hipflask_migrations ORDER BY number'
  return database.query<AppliedFile, []>(sql).all()
}

/** The files that are still to be applied. Throws StartError where one that was applied is not as it was. */
export function pendingFiles(database: Database, files: readonly MigrationFile[]): MigrationFile[] {
  const applied = readApplied(database)
  const problems = applied.flatMap(({ name, number, checksum }) => {
    const file = files.find((one) => one.number === number)
    if (file === undefined) return [`${name} was applied but is gone: bring it back`]
    if (file.name !== name)
      return [`${name} was applied but is called ${file.name} now: give it back its name`]
    if (file.checksum !== checksum)
      return [`${name} was changed after it had been applied: restore it, and write another file`]
    return []
  })
  if (problems.length > 0) {
    const list = problems.map((problem) => `\n- ${problem}`).join('')
    throw new StartError(`Database ${database.filename} has had other migrations than there are:${list}`)
  }
  return files.slice(applied.length)
}

/** Runs the file in the transaction that there is. Throws StartError where it fails; then that must be rolled back. */
export function applyFile(database: Database, file: MigrationFile): void {
  const forbidden = FORBIDDEN.exec(withoutTexts(file.sql))?.[1]
  if (forbidden !== undefined) {
    throw new StartError(
      `Migration ${file.name} has ${forbidden.toUpperCase()}, which has no place in it: each file is one transaction`,
    )
  }
  try {
    if (withoutTexts(file.sql).trim() !== '') database.run(file.sql)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new StartError(`Migration ${file.name} failed, nothing of it was kept: ${reason}`, 1, error)
  }
  if (!database.inTransaction) {
    throw new StartError(
      `Migration ${file.name} ended its transaction: restore the copy that was made before it`,
    )
  }
  recordFile(database, file)
}

/** Remembers that the file was applied. */
export function recordFile(database: Database, { number, name, checksum }: MigrationFile): void {
  database.run(
    'CREATE TABLE IF NOT EXISTS _hipflask_migrations' +
      ' (number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT',
  )
  const values = [number, name, checksum, new Date().toISOString()]
  database.run('INSERT INTO _hipflask_migrations VALUES (?, ?, ?, ?)', values)
}

// A file that commits half-way could be killed half-way. (BEGIN begins a statement only where it begins a transaction;
// END would be that of a trigger too, so it is found out afterwards.)
const FORBIDDEN = /(?:^|;)\s*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|VACUUM|ATTACH|DETACH)\b/i

/** The text without comments, quoted names and strings. */
function withoutTexts(sql: string): string {
  return sql.replace(/--[^\n]*|\/\*[^]*?(?:\*\/|$)|'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]/g, ' ')
}
