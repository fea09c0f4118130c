// The Store on SQLite. Most statements run at once on the main thread, where they take less time than handing them to
// another thread would; reads that no index serves go to reader-pool.ts, writes go through group-commit.ts.
import type { Database, Statement } from 'bun:sqlite'
import type { Eventual } from '../../core/eventual.ts'
import { randomBytes } from 'node:crypto'
import { type ListPlan, type SqlStatement, createCompiler } from '../compile.ts'
import { isInternal, secretsTable, withInternalTables } from '../internal-tables.ts'
import {
  type Id,
  type Load,
  type Operation,
  type Row,
  type Store,
  type Table,
  UniqueError,
} from '../store.ts'
import { checkId } from '../values.ts'
import { emptyLog } from './database.ts'
import { createRowDecoder, sqliteDialect } from './dialect.ts'
import { isEngineFailure, isFull, isLocked, translateReadError, unavailable } from './errors.ts'
import { type WriteStep, type Written, createExecution } from './execution.ts'
import { createCondition, type Condition } from './condition.ts'
import { createGroupCommit } from './group-commit.ts'
import { createLoad } from './load.ts'
import { type Changes, createChanges } from './changes.ts'
import { createKept } from './kept.ts'
import { createMeasures } from './measures.ts'
import { createPresence } from './presence.ts'
import { createReadTurn, type ReadTurn } from './read-turn.ts'
import { createReaderPool } from './reader-pool.ts'
import { type RawRow, createStatements } from './statements.ts'
import { createSlowStatements, type SlowStatement } from './slow-statements.ts'
import { createTotals } from './totals.ts'

/** The largest table that the main thread reads without an index: such a read takes 1 to 2 ms. */
export const SCANNED_ROWS_MAX = 20_000
const SECRET_BYTES = 32
/** How long a stop waits for others that read or write to let it empty the log. */
const EMPTYING_MS_MAX = 500
const EMPTYING_PAUSE_MS = 20
const LOG_LEFT =
  'The log of the database was not emptied, a read or another process works on it or its disk is full: nothing is lost, but it belongs to the database, and the next start reads the whole database'

export interface SqliteStoreOptions {
  /** As `openDatabase` gives it, migrated to `tables`. The store closes it. */
  database: Database
  tables: readonly Table[]
  /** Told of what is wrong with the file or its disk, each thing once. */
  report?: (message: string, cause: unknown) => void
  /** Told of what the next start has to make up for. */
  warn?: (message: string) => void
  /** Told of statements that took long. */
  onSlow?: (statement: SlowStatement) => void
  /** Monotonic milliseconds; the machine's where left out. */
  clock?: () => number
}

const MEMORY = ':memory:'
const PROBE: SqlStatement = { sql: 'SELECT 1 FROM sqlite_schema LIMIT 1', parameters: [] }

/** Throws StartError where the database can't be written. */
export function createSqliteStore(options: SqliteStoreOptions): Store {
  const { database, report = () => {}, warn, onSlow = () => {}, clock = () => performance.now() } = options
  const tables = withInternalTables(options.tables)
  const compiler = createCompiler(sqliteDialect, tables)
  const slow = createSlowStatements((sql) => pool?.read({ explain: sql }), onSlow)
  const statements = createStatements({ database, onDone: slow.note, clock })
  const decode = createDecoder(tables)
  const totals = createTotals(database, options.tables)
  const pool = database.filename === MEMORY ? undefined : createReaderPool(database.filename, slow.note)
  const turn = createReadTurn(database)
  const condition = watchCondition(database, turn, { report, clock })
  const changes = createChanges(database, turn, tables)
  const execute = createExecution({ tables, compiler, statements, decode, onChange: changes.note })
  const companions = createCompanions(execute)
  const groups = createGroupCommit<WriteStep, Written, readonly Row[]>({
    database,
    beforeBegin: () => {
      turn.end()
      condition.refuseDamaged()
    },
    execute,
    beforeCommit: companions.joined((written) => totals.add(written.flatMap((one) => one.totals))),
    answerOf: ({ rows }) => rows,
    onCommit: (waitsMs) => {
      condition.noteCommit()
      measures.noteCommit(waitsMs)
    },
    onFailure: (error) => condition.note(error),
    clock,
  })
  const measures = createMeasures(database.filename, { waiting: () => groups.waiting(), slow: slow.count })
  let stopping: Promise<void> | undefined
  const refuseWhenStopped = () => {
    if (stopping !== undefined) throw unavailable()
  }
  const reading = createReading({ pool, turn, condition, refuseWhenStopped })
  const base = { database, tables, compiler, statements, decode, totals, turn, changes, condition }
  const reads = createReads({ ...base, ...reading })

  // Not async: every create waits for this.
  const add = (steps: readonly WriteStep[]) =>
    stopping === undefined ? groups.add(steps) : Promise.reject(unavailable())
  const commit: Store['commit'] = (steps) => (steps.length === 0 ? Promise.resolve([]) : add(steps))
  return {
    ...reads,
    metrics: measures.metrics,
    commit,
    accompany: companions.add,
    deleteOlderThan: async (sweep) => (await add([{ kind: 'sweep', ...sweep }])).length,
    watch(tables) {
      const count = changes.watch(tables)
      return () => reading.read(count)
    },
    secret: createSecrets({ get: reads.get, commit }),
    load: async (name) => {
      refuseWhenStopped()
      return beginLoad(name, { database, tables, totals, clock, turn })
    },
    stop: () => {
      stopping ??= Promise.all([groups.drain(), pool?.stop()]).then(() => {
        turn.retire()
        return close(database, { condition, warn })
      })
      return stopping
    },
  }
}

/** What goes along with the commits of others. */
function createCompanions(execute: ReturnType<typeof createExecution>) {
  const makers: (() => Operation | undefined)[] = []

  function write(): void {
    for (const make of makers) {
      const operation = make()
      if (operation === undefined) continue
      try {
        execute([operation])
      } catch (error) {
        // One operation that fails undoes itself; where the engine failed, nothing of the transaction counts.
        if (isEngineFailure(error)) throw error
      }
    }
  }
  return {
    add: (make: () => Operation | undefined) => void makers.push(make),
    /** The work, and then theirs. */
    joined: <T>(work: (input: T) => void) => {
      return (input: T) => {
        work(input)
        write()
      }
    },
  }
}

type LoadsOptions = Omit<Parameters<typeof createLoad>[0], 'table'> & { turn: ReadTurn }

function beginLoad(name: string, { turn, ...options }: LoadsOptions): Load {
  const table = options.tables.find((one) => one.name === name)
  if (table === undefined) throw new TypeError(`Table ${name} is not declared`)
  // A load has transactions of its own on this connection, from now until it is disposed of.
  turn.retire()
  return createLoad({ ...options, table })
}

interface ReadingOptions {
  pool: ReturnType<typeof createReaderPool> | undefined
  turn: ReadTurn
  condition: Condition
  refuseWhenStopped: () => void
}

interface Reading {
  /** Runs a read on the main thread. */
  read: <T>(work: () => T) => T
  /** Runs what is done with the rows of a read. */
  tell: <T>(work: () => T) => T
  /** Reads on another thread; undefined where there is none. */
  readAside: (plan: ListPlan) => Promise<RawRow[]> | undefined
}

function createReading({ pool, turn, condition, refuseWhenStopped }: ReadingOptions): Reading {
  const told = (error: unknown): unknown => {
    condition.note(error)
    return translateReadError(error)
  }
  return {
    read(work) {
      refuseWhenStopped()
      try {
        turn.enter()
        return work()
      } catch (error) {
        throw told(error)
      }
    },
    tell(work) {
      try {
        return work()
      } catch (error) {
        throw told(error)
      }
    },
    readAside: (plan) => {
      // A reader opens the file by its name.
      if (pool !== undefined) condition.refuseMoved()
      return pool?.read(plan).catch((error: unknown) => {
        throw told(error)
      })
    },
  }
}

function watchCondition(
  database: Database,
  turn: ReadTurn,
  { report, clock }: Required<Pick<SqliteStoreOptions, 'report' | 'clock'>>,
): Condition {
  const path = database.filename
  if (path === MEMORY) return createCondition({ path, report, clock })
  // What is in the log goes to where the database is now: it would be taken for the log of whatever has its name next.
  const onAbsence = () => {
    try {
      turn.end()
      emptyLog(database)
    } catch {
      // It is tried again at the stop.
    }
  }
  return createCondition({ path, report, clock, findAbsence: createPresence(path), onAbsence })
}

interface ReadsOptions extends Reading, SqliteStoreOptions {
  compiler: ReturnType<typeof createCompiler>
  statements: ReturnType<typeof createStatements>
  decode: (table: string, raw: RawRow) => Row
  totals: ReturnType<typeof createTotals>
  turn: ReadTurn
  changes: Changes
  condition: Condition
}

function createReads(options: ReadsOptions): Pick<Store, 'get' | 'remember' | 'list' | 'count' | 'check'> {
  const { compiler, statements, decode, totals, turn, changes, condition, read, tell, readAside } = options
  const getById = createReadById(options)
  const remember = createKept({ turn, changes, get: getById })

  /** The rows, read where they should be. Not async, so that a cheap read costs no promise. */
  function rowsOf(plan: ListPlan, isSlow: () => boolean): Eventual<RawRow[]> {
    if (plan.parts.length === 0 || !isSlow()) return statements.inTurn(plan)
    return readAside(plan) ?? statements.inTurn(plan)
  }

  const isLarge = (table: string) => !isInternal(table) && totals.read(table) > SCANNED_ROWS_MAX
  return {
    get: (table, id, where, { deleted = false } = {}) =>
      read(() => {
        if (where === undefined && !deleted) return getById(table, id)
        const raw = statements.first(compiler.get({ table, id, where, deleted }))
        return raw && decode(table, raw)
      }),
    remember: (table, make) => {
      const recall = remember(table, make)
      return (id) => read(() => recall(id))
    },
    list: async (query) => {
      const { table, search } = query
      const isSlow = () => search !== undefined || (!compiler.isCheapList(query) && isLarge(table))
      const rows = await read(() => rowsOf(compiler.list(query), isSlow))
      return tell(() => rows.map((raw) => decode(table, raw)))
    },
    count: async (table, where, countOptions = {}) => {
      const { search, deleted = false } = countOptions
      if (where === undefined && search === undefined && !deleted) return read(() => totals.read(table))
      const query = { ...countOptions, table, where }
      const isSlow = () => search !== undefined || (!compiler.isCheapCount(query) && isLarge(table))
      const statement = compiler.count(query)
      const plan = { parts: statement === undefined ? [] : [statement], limit: 1 }
      const [row] = await read(() => rowsOf(plan, isSlow))
      return Number(row?.['total'] ?? 0)
    },
    check: async () => {
      condition.refuseDoubtful()
      read(() => statements.first(PROBE))
    },
  }
}

/** Makes the read of a row by its id alone, which is the most frequent one: each table keeps the statement of its own. */
function createReadById({
  database,
  compiler,
  tables,
  decode,
}: ReadsOptions): (table: string, id: Id) => Row | undefined {
  const kept = new Map<string, { table: Table; statement: Statement<RawRow, [Id]> }>()
  const prepare = (name: string, id: Id) => {
    const { sql } = compiler.get({ table: name, id })
    const table = tables.find((one) => one.name === name) as Table
    const entry = { table, statement: database.prepare<RawRow, [Id]>(sql) }
    kept.set(name, entry)
    return entry
  }
  return (name, id) => {
    const { table, statement } = kept.get(name) ?? prepare(name, id)
    checkId(table, id)
    const raw = statement.get(id)
    return raw === null ? undefined : decode(name, raw)
  }
}

function createSecrets({ get, commit }: Pick<Store, 'get' | 'commit'>): Store['secret'] {
  return async (name) => {
    if ((await get(secretsTable.name, name)) === undefined) {
      const value = randomBytes(SECRET_BYTES).toString('base64')
      try {
        await commit([{ kind: 'insert', table: secretsTable.name, id: name, values: { value } }])
      } catch (error) {
        // Another process was first, and its secret counts.
        if (!(error instanceof UniqueError)) throw error
      }
    }
    return Uint8Array.fromBase64((await get(secretsTable.name, name))?.['value'] as string)
  }
}

function createDecoder(tables: readonly Table[]): (table: string, raw: RawRow) => Row {
  const decoders = new Map(tables.map((table) => [table.name, createRowDecoder(table)]))
  // The compiler made the statement, so the table is declared.
  return (table, raw) => decoders.get(table)?.(raw) as Row
}

interface Closing {
  condition: Condition
  warn?: ((message: string) => void) | undefined
}

async function close(database: Database, { condition, warn }: Closing): Promise<void> {
  try {
    if (condition.isDamaged()) return
    // Lets SQLite renew the statistics that it chooses indexes by, where they are out of date.
    optimize(database)
    // Nothing stays in the log: the database is one file, and the next start sees that this stop was clean.
    const deadline = performance.now() + EMPTYING_MS_MAX
    while (!emptyLog(database)) {
      if (performance.now() >= deadline) return warn?.(LOG_LEFT)
      await Bun.sleep(EMPTYING_PAUSE_MS)
    }
  } catch (error) {
    // The disk is full: this is done at the next stop, and the log keeps it all.
    if (isFull(error)) return warn?.(LOG_LEFT)
    condition.note(error)
    throw error
  } finally {
    database.close(true)
  }
}

function optimize(database: Database): void {
  try {
    database.run('PRAGMA optimize')
  } catch (error) {
    // Another process writes: the statistics can wait for another stop.
    if (!isLocked(error)) throw error
  }
}
