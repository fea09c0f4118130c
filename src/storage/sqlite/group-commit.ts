// Group commit: all units of work that arrive in one turn of the event loop share one transaction, so that they share
// its sync to disk, by far its greatest cost. It knows the order of things, neither tables nor statements.
import type { Database } from 'bun:sqlite'
import { isEngineFailure, isLocked, unavailable } from './errors.ts'

/** How many units may wait; the next one is refused. */
export const QUEUE_MAX = 10_000
/** How many steps one transaction takes before others get the event loop; a unit is never split. */
export const GROUP_STEPS_MAX = 1000
/** How long a unit waits for another process's lock. */
export const LOCK_WAIT_MS = 5000
/** How many turns of the event loop a group waits for more units. */
export const GATHERING_TURNS_MAX = 8

// Another process's group takes a few milliseconds: try in every turn of the loop first, then spare the processor.
const EAGER_RETRY_MS = 5
const RETRY_MS = 1

export interface GroupCommitOptions<S, T, R> {
  database: Database
  /** Runs before each BEGIN, also one that is tried again. What it throws rejects all that wait. */
  beforeBegin: () => void
  /** Does the steps of one unit, inside the transaction. What it throws undoes this unit and rejects it alone. */
  execute: (steps: readonly S[]) => T
  /** Runs once before COMMIT, with what the units gave that succeeded. What it throws undoes the group. */
  beforeCommit: (results: readonly T[]) => void
  /** Runs when a group has been committed, with the milliseconds that each of its units has waited for that. */
  onCommit: (waitsMs: readonly number[]) => void
  /** Runs with what a whole group failed by, a lock aside. */
  onFailure: (error: unknown) => void
  /** What of a unit's result its caller gets. */
  answerOf: (result: T) => R
  /** Monotonic milliseconds. */
  clock: () => number
}

export interface GroupCommit<S, R> {
  /**
   * Queues a unit. Resolves after its COMMIT, when it is durable. Rejects with what `execute` threw, or with AppError
   * `unavailable` where the queue is full, the lock was not had in time, or the engine failed.
   */
  add(steps: readonly S[]): Promise<R>
  /** Resolves when all that was queued before is settled. */
  drain(): Promise<void>
  /** How many units wait. */
  waiting(): number
}

interface Unit<S, R> {
  steps: readonly S[]
  deadline: number
  resolve: (answer: R) => void
  reject: (error: unknown) => void
}

export function createGroupCommit<S, T, R>(options: GroupCommitOptions<S, T, R>): GroupCommit<S, R> {
  const { clock, answerOf } = options
  const transaction = createTransaction(options)
  const isGathering = createGathering()
  const queue: Unit<S, R>[] = []
  let isScheduled = false
  let lockedSince: number | undefined
  let latest: Promise<unknown> = Promise.resolve()

  function add(steps: readonly S[]): Promise<R> {
    if (queue.length >= QUEUE_MAX) return Promise.reject(unavailable())
    // Not Promise.withResolvers, which takes 0.2 µs more.
    const answer = new Promise<R>((resolve, reject) => {
      queue.push({ steps, deadline: clock() + LOCK_WAIT_MS, resolve, reject })
    })
    latest = answer
    schedule()
    return answer
  }

  // A microtask would never group requests: each request's callback runs the microtasks before the next one.
  function schedule(): void {
    if (isScheduled || queue.length === 0) return
    isScheduled = true
    setImmediate(flush)
  }

  function flush(): void {
    isScheduled = false
    if (isGathering(queue.length)) return schedule()
    try {
      options.beforeBegin()
      transaction.begin()
    } catch (error) {
      if (isLocked(error)) return waitForLock()
      options.onFailure(error)
      rejectAll(queue.splice(0), error)
      return
    }
    lockedSince = undefined
    const group = takeGroup(queue)
    try {
      const outcomes = transaction.commit(group.map(({ steps }) => steps))
      const now = clock()
      options.onCommit(group.map(({ deadline }) => now - (deadline - LOCK_WAIT_MS)))
      group.forEach((unit, index) => settle(unit, outcomes[index] as Outcome<T>, answerOf))
    } catch (error) {
      options.onFailure(error)
      rejectAll(group, error)
    }
    schedule()
  }

  // The queue is kept, but for the units whose time is up: they are at its front.
  function waitForLock(): void {
    const now = clock()
    lockedSince ??= now
    const waiting = queue.findIndex(({ deadline }) => deadline > now)
    rejectAll(queue.splice(0, waiting === -1 ? queue.length : waiting), undefined)
    if (queue.length === 0) return
    isScheduled = true
    if (now - lockedSince < EAGER_RETRY_MS) setImmediate(flush)
    else setTimeout(flush, RETRY_MS)
  }

  // Units are settled in the order they came, so the latest one ends the queue.
  const drain = () => latest.then(ignore, ignore)
  return { add, drain, waiting: () => queue.length }
}

/** Takes the units of the next transaction from the front of the queue. */
function takeGroup<S, R>(queue: Unit<S, R>[]): Unit<S, R>[] {
  let units = 0
  for (let steps = 0; units < queue.length && steps < GROUP_STEPS_MAX; units++) {
    steps += queue[units]?.steps.length ?? 0
  }
  return queue.splice(0, units)
}

/**
 * Makes the function that says whether a group should wait for one more turn: while units keep coming, for as many as
 * the last group had. Those share one sync instead of two; whoever is alone never waits.
 */
function createGathering(): (units: number) => boolean {
  let latest = 0
  let before = 0
  let turns = 0
  return (units) => {
    const isGathering = units > before && units < latest && turns < GATHERING_TURNS_MAX
    if (!isGathering) latest = units
    before = isGathering ? units : 0
    turns = isGathering ? turns + 1 : 0
    return isGathering
  }
}

function settle<T, R>(
  { resolve, reject }: Unit<unknown, R>,
  outcome: Outcome<T>,
  answerOf: (result: T) => R,
): void {
  if ('result' in outcome) resolve(answerOf(outcome.result))
  else reject(outcome.error)
}

function rejectAll<S, R>(units: readonly Unit<S, R>[], cause: unknown): void {
  for (const unit of units) unit.reject(unavailable(cause))
}

function ignore(): void {}

type Outcome<T> = { result: T } | { error: unknown }

/** The transaction of one group. */
function createTransaction<S, T, R>({ database, execute, beforeCommit }: GroupCommitOptions<S, T, R>) {
  const run = transactionStatements(database)

  /** What became of each unit. Throws where the whole group is lost; then nothing of it is stored. */
  function commit(group: readonly (readonly S[])[]): Outcome<T>[] {
    try {
      const outcomes: Outcome<T>[] = []
      const results: T[] = []
      for (const steps of group) {
        const outcome = attempt(steps)
        outcomes.push(outcome)
        if ('result' in outcome) results.push(outcome.result)
      }
      beforeCommit(results)
      run.commit()
      return outcomes
    } catch (error) {
      if (database.inTransaction) run.rollback()
      throw error
    }
  }

  // One step that fails undoes itself; several need a savepoint to be undone without the other units.
  function attempt(steps: readonly S[]): Outcome<T> {
    const hasSavepoint = steps.length > 1
    if (hasSavepoint) run.savepoint()
    try {
      const result = execute(steps)
      if (hasSavepoint) run.release()
      return { result }
    } catch (error) {
      // SQLite answers some errors by rolling everything back: then the group is lost, not this unit alone.
      if (!database.inTransaction || isEngineFailure(error)) throw error
      if (hasSavepoint) {
        run.rollbackToSavepoint()
        run.release()
      }
      return { error }
    }
  }

  return { begin: run.begin, commit }
}

/** Prepared once: the texts are always the same, and preparing costs more than running. */
function transactionStatements(database: Database) {
  const prepare = (sql: string) => {
    const statement = database.prepare(sql)
    return () => statement.run()
  }
  return {
    // IMMEDIATE takes the write lock at once: a read that turns into a write could fail half-way.
    begin: prepare('BEGIN IMMEDIATE'),
    commit: prepare('COMMIT'),
    rollback: prepare('ROLLBACK'),
    savepoint: prepare('SAVEPOINT unit'),
    release: prepare('RELEASE unit'),
    rollbackToSavepoint: prepare('ROLLBACK TO unit'),
  }
}
