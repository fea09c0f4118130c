// Notices that rows may have changed, for whoever keeps what it has read: this process's changes as they are made,
// those of other processes by the number that SQLite keeps for that. It does not know what changed, only where.
import type { Database } from 'bun:sqlite'
import type { Store } from '../store.ts'
import type { ReadTurn } from './read-turn.ts'

export interface Changes {
  /** A row of the table is changed or deleted, in a transaction that ends in this turn of the event loop. */
  note: (table: string) => void
  watch: Store['watch']
}

export function createChanges(database: Database, turn: ReadTurn): Changes {
  // It is another number after a commit on another connection, of this process or another one.
  const select = database.prepare<{ data_version: number }, []>('PRAGMA data_version')
  const counters: { readonly tables: ReadonlySet<string>; count: number }[] = []
  let foreign = 0
  let latest: number | undefined
  let isAsked = false

  // Asking costs as much as a read, so it is done once a turn of the event loop.
  function countForeign(): number {
    if (isAsked) return foreign
    turn.enter()
    const version = select.get()?.data_version
    if (version !== latest) foreign += 1
    latest = version
    isAsked = true
    setImmediate(() => {
      isAsked = false
    })
    return foreign
  }
  return {
    note(table) {
      for (const counter of counters) if (counter.tables.has(table)) counter.count += 1
    },
    watch(tables) {
      const counter = { tables: new Set(tables), count: 0 }
      counters.push(counter)
      return () => counter.count + countForeign()
    },
  }
}
