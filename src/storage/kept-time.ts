// The time that processes on this database have known, kept in it: a restart must not believe a clock that was set back
// before it, nor delete by one that is ahead.
import { createTimes, type Clock, type Times } from '../core/clock.ts'
import { StaleError, UniqueError, type Store, type Table } from './store.ts'

/** How old what is kept may be after a crash, where requests were served. */
const SAVE_MS = 60_000
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
  let isAsked = false

  async function save(): Promise<void> {
    // Who is idle writes nothing.
    if (!isAsked) return
    isAsked = false
    const values = { latest: times.latest(), lived: times.lived() }
    try {
      const kind = isKept ? 'update' : 'insert'
      await store.commit([{ kind, table: timeTable.name, id: ROW, values }])
      isKept = true
    } catch (error) {
      // Another process has made the row, or a restored backup lacks it. All else is told where it matters.
      if (error instanceof UniqueError) isKept = true
      if (error instanceof StaleError) isKept = false
    }
  }
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
