// Reads of one turn of the event loop share a read transaction: taking and giving back the read lock costs four times
// the rest of a read by id. They see one state of the database, which a turn of milliseconds makes no older than an
// answer on its way.
import type { Database } from 'bun:sqlite'

export interface ReadTurn {
  /** Before a read. Gives the number of the read transaction, another one for each; 0 where the read is by itself. */
  enter(): number
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
  let latest = 0

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
      if (isRetired) return 0
      if (isOpen) return latest
      begin.run()
      isOpen = true
      latest += 1
      setImmediate(end)
      return latest
    },
    end,
    retire() {
      end()
      isRetired = true
    },
  }
}
