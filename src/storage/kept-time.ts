// The time that processes on this database have known, kept in it: a restart must not believe a clock that was set back
// before it, nor delete by one that is ahead.
import { createTimes, type Clock, type Times } from '../core/clock.ts'
import { StaleError, UniqueError, type Operation, type Store, type Table } from './store.ts'

/** How old what is kept may be after a crash, where requests were served but nothing was written. */
const SAVE_MS = 5_000
/** How old it may be where something was: it goes along with the commits of others, which costs no sync of its own. */
const SAVE_WITH_OTHERS_MS = 1_000
const ROW = 1

export const timeTable: Table = {
  name: '_hipflask_time',
  id: 'given',
  columns: [
    { name: 'latest', kind: 'integer', nullable: false },
    { name: 'lived', kind: 'integer', nullable: false },
  ],
}

export interface KeptTime extends Times {
  /** Saves it, where it was asked for since, and ends saving. The store must still be open. */
  stop(): Promise<void>
}

export interface KeptTimeOptions {
  wall: Clock
  monotonic: Clock
}

/** Throws AppError `unavailable` where the database can't be read. */
export async function keepTime(store: Store, options: KeptTimeOptions): Promise<KeptTime> {
  const row = await store.get(timeTable.name, ROW)
  const known = row && { latest: Number(row['latest']), lived: Number(row['lived']) }
  const times = createTimes({ ...options, known })
  let isKept = row !== undefined
  let isAsked = true
  let savedAt = -Infinity

  function saving(): Operation {
    isAsked = false
    savedAt = options.monotonic()
    const values = { latest: times.latest(), lived: times.lived() }
    return { kind: isKept ? 'update' : 'insert', table: timeTable.name, id: ROW, values }
  }

  async function save(): Promise<void> {
    // Who is idle writes nothing.
    if (!isAsked) return
    try {
      await store.commit([saving()])
      isKept = true
    } catch (error) {
      // Another process has made the row, or a restored backup lacks it. All else is told where it matters.
      if (error instanceof UniqueError) isKept = true
      if (error instanceof StaleError) isKept = false
    }
  }
  // From the start on: a process may be killed before it is asked.
  await save()
  store.accompany(() => (options.monotonic() - savedAt < SAVE_WITH_OTHERS_MS ? undefined : saving()))
  const timer = setInterval(() => void save(), SAVE_MS)
  timer.unref()
  return {
    latest: () => {
      isAsked = true
      return times.latest()
    },
    lived: times.lived,
    stop: () => {
      clearInterval(timer)
      return save()
    },
  }
}
