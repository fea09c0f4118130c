// `hipflask migrate`: what the declarations and the written migrations would change in the database, and doing it. Only
// `up` changes the database, and only `new` writes a file.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { databaseOf, resourcesOf, type DatabaseLocation } from '../app.ts'
import { StartError } from '../core/errors.ts'
import { fileNumber, nextNumber, readApplied, readMigrationFiles } from '../storage/migration-files.ts'
import { applyMigration, planMigration, scriptOf, type MigrationPlan } from '../storage/migrate.ts'
import { isNew, openDatabase } from '../storage/sqlite/database.ts'
import type { Table } from '../storage/store.ts'
import { configOf, JSON_OPTION, printJson, type Arguments, type Command, type Io } from './command.ts'

const WRONG_USAGE = 2
const FILE_NAME = /^[a-z0-9][a-z0-9_-]{0,59}$/

/** Where everything is that an action works on. */
interface Subject extends DatabaseLocation {
  durability: 'full' | 'normal'
  tables: readonly Table[]
}

const ACTIONS = { status, plan, up, new: writeNew } as const

export const migrate: Command = {
  name: 'migrate',
  summary: 'Show or make the changes of the database that the declarations ask for',
  examples: [
    { line: 'hipflask migrate status', does: 'which migrations were applied, and what is to be done' },
    { line: 'hipflask migrate plan', does: 'print the SQL of what is to be done' },
    { line: 'hipflask migrate up', does: 'do it; a copy is made before the first written migration' },
    { line: 'hipflask migrate new drop_colour', does: 'begin migrations/NNNN_drop_colour.sql' },
  ],
  positional: [
    { name: 'action', summary: `One of: ${Object.keys(ACTIONS).join(', ')}` },
    { name: 'name', summary: 'With new: what the migration does, in a few words' },
  ],
  options: [JSON_OPTION],
  run: async (args, io) => {
    const [action = ''] = args.positional
    if (!Object.hasOwn(ACTIONS, action)) {
      throw new StartError(`Action must be one of: ${Object.keys(ACTIONS).join(', ')}`, WRONG_USAGE)
    }
    const { config, origins } = configOf(args, io)
    const location = databaseOf(config, await resourcesOf(config, origins))
    if (location.folder === undefined) throw new StartError('A database in memory has nothing to migrate')
    ACTIONS[action as keyof typeof ACTIONS]({ ...location, durability: config.durability }, args, io)
    return 0
  },
}

function status(subject: Subject, { options }: Arguments, io: Io): void {
  const { applied, files, statements, problems, isEmpty } = examine(subject)
  const pending = files.map(({ name }) => name)
  if (options['json'] === true) {
    const done = applied.map(({ name, applied_at }) => ({ name, applied_at }))
    return printJson(
      { database: subject.path, is_empty: isEmpty, applied: done, pending, statements, problems },
      io,
    )
  }
  const lines = [
    `Database ${subject.path}${isEmpty ? ' is empty, it is set up in full by the first start' : ''}`,
    ...applied.map(({ name, applied_at }) => `applied  ${name}  ${applied_at}`),
    ...pending.map((name) => `pending  ${name}`),
    ...(isEmpty
      ? []
      : [`The declarations ask for ${counted(statements.length, 'statement')}: hipflask migrate plan`]),
    ...(problems.length === 0
      ? []
      : ['A migration must be written first:', ...problems.map((one) => `- ${one}`)]),
  ]
  io.stdout(`${lines.join('\n')}\n`)
}

function plan(subject: Subject, _args: Arguments, io: Io): void {
  const { files, statements, problems, remedies } = examine(subject)
  const parts = [
    ...files.map(({ name, sql }) => `-- migrations/${name}\n${sql.trimEnd()}`),
    ...(statements.length === 0 ? [] : [`-- By the declarations\n${scriptOf(statements)}`]),
    ...(problems.length === 0 ? [] : [refused(problems, remedies)]),
  ]
  io.stdout(parts.length === 0 ? '-- Nothing is to be done\n' : `${parts.join('\n\n')}\n`)
}

function up(subject: Subject, _args: Arguments, io: Io): void {
  const database = openDatabase(subject)
  try {
    const { applied, copy, statements } = applyMigration(database, subject.tables, subject.folder)
    if (copy !== undefined) io.stdout(`The database as it was is kept in ${copy}\n`)
    for (const name of applied) io.stdout(`Applied ${name}\n`)
    io.stdout(`Done: ${counted(applied.length, 'migration')}, ${counted(statements.length, 'statement')}\n`)
  } finally {
    database.close(true)
  }
}

function writeNew(subject: Subject, { positional }: Arguments, io: Io): void {
  const [, name = ''] = positional
  const folder = subject.folder as string
  if (!FILE_NAME.test(name)) {
    throw new StartError(
      'Name of the migration must be of a–z, 0–9, _ and -, such as drop_colour',
      WRONG_USAGE,
    )
  }
  const { problems, remedies } = examine(subject)
  const number = fileNumber(nextNumber(readMigrationFiles(folder)))
  const path = join(folder, `${number}_${name}.sql`)
  const reasons = problems.map((problem) => `-- ${problem}`)
  const text = [
    '-- Runs once, in one transaction, with foreign keys checked at its end. Indexes follow the declarations by themselves.',
    ...reasons,
    ...(remedies.length === 0 ? [] : ['', scriptOf(remedies)]),
  ]
  mkdirSync(folder, { recursive: true })
  writeFileSync(path, `${text.join('\n')}\n`, { flag: 'wx' })
  io.stdout(`${path}\n`)
}

/** What there is to do. Of a database that does not exist yet: everything. */
function examine({
  path,
  folder,
  traces,
  durability,
  tables,
}: Subject): MigrationPlan & { applied: ReturnType<typeof readApplied> } {
  const database = openDatabase({ path: isNew({ path, traces }) ? ':memory:' : path, traces, durability })
  try {
    return { ...planMigration(database, tables, folder), applied: readApplied(database) }
  } finally {
    database.close(true)
  }
}

function refused(problems: readonly string[], remedies: readonly string[]): string {
  const comment = (line: string) => (line.startsWith('--') ? line : `-- ${line}`)
  return [
    '-- Not done without a migration (hipflask migrate new NAME begins one):',
    ...problems.map(comment),
    ...scriptOf(remedies).split('\n').map(comment),
  ].join('\n')
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}
