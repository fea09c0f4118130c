// Notices that rows may have changed, for whoever keeps what it has read: this process's changes as they are made,
// those of other processes by the number that SQLite keeps for that, which does not tell what changed.
import type { Database } from 'bun:sqlite'
import type { Delete, Id, Store, Table, Update } from '../store.ts'
import type { ReadTurn } from './read-turn.ts'

/** Hears of a row that is changed or deleted; without an id it may be any row of the table. */
export type ChangeListener = (table: string, id: Id | undefined) => void

export interface Changes {
  /** A row is changed or deleted, in a transaction that ends in this turn of the event loop. */
  note: (operation: Pick<Update | Delete, 'kind' | 'table' | 'id'>) => void
  /** Tells of all changes by this process, before anybody can read them. */
  listen: (listener: ChangeListener) => void
  /** Another number where another process has changed anything, as the reads of this moment see it. */
  countForeign: () => number
  watch: Store['watch']
}

export function createChanges(database: Database, turn: ReadTurn, tables: readonly Table[]): Changes {
  // It is another number after a commit on another connection, of this process or another one.
  const select = database.prepare<{ data_version: number }, []>('PRAGMA data_version')
  const reachedFrom = new Map(tables.map(({ name }) => [name, reachedByDeletes(name, tables)]))
  const listeners: ChangeListener[] = []
  let foreign = 0
  let latest: number | undefined
  let askedIn = 0

  // Asking costs as much as a read, so it is done once for all reads that share a transaction, whose state it is.
  function countForeign(): number {
    const transaction = turn.enter()
    if (transaction !== 0 && transaction === askedIn) return foreign
    const version = select.get()?.data_version
    if (version !== latest) foreign += 1
    latest = version
    askedIn = transaction
    return foreign
  }
  return {
    note({ kind, table, id }) {
      for (const tell of listeners) tell(table, id)
      if (kind !== 'delete') return
      for (const other of reachedFrom.get(table) ?? []) for (const tell of listeners) tell(other, undefined)
    },
    listen(listener) {
      listeners.push(listener)
    },
    countForeign,
    watch(names) {
      const watched = new Set(names)
      let count = 0
      listeners.push((table) => {
        if (watched.has(table)) count += 1
      })
      return () => count + countForeign()
    },
  }
}

/** The tables whose rows the engine itself changes or deletes with a row of this one. */
function reachedByDeletes(name: string, tables: readonly Table[]): ReadonlySet<string> {
  const deleted = new Set([name])
  const reached = new Set<string>()
  // It goes on with what is added meanwhile.
  for (const target of deleted) {
    for (const table of tables) {
      const actions = table.columns.filter(({ references }) => references === target)
      const isDeleted = actions.some(({ onDelete }) => onDelete === 'cascade')
      if (isDeleted) deleted.add(table.name)
      if (isDeleted || actions.some(({ onDelete }) => onDelete === 'set null')) reached.add(table.name)
    }
  }
  return reached
}
