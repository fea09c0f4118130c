// Reads of one turn of the event loop share a read transaction: taking and giving back the read lock costs four times
// the rest of a read by id. They see one state of the database, which a turn of milliseconds makes no older than an
// answer on its way.
import type { Database } from 'bun:sqlite'

export interface ReadTurn {
  /** Before a read. */
  enter(): void
  /** Before anything else on the connection: a transaction cannot begin within one. */
  end(): void
  /** From now on every read is by itself. */
  retire(): void
}

export function createReadTurn(database: Database): ReadTurn {
  const begin = database.prepare('BEGIN')
  const commit = database.prepare('COMMIT')
  let isOpen = false
  let isRetired = false

  function end(): void {
    if (!isOpen) return
    isOpen = false
    try {
      // An engine that failed may have ended the transaction itself.
      if (database.inTransaction) commit.run()
    } catch {
      // Nothing is lost with a read; whoever needs the connection next finds out what is wrong with it.
    }
  }
  return {
    enter() {
      if (isOpen || isRetired) return
      begin.run()
      isOpen = true
      setImmediate(end)
    },
    end,
    retire() {
      end()
      isRetired = true
    },
  }
}
