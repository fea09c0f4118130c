// Slow reads, on threads of their own: two run at a time, a few wait, more are refused. SQLite's own interrupt is out of
// reach here, so a statement that runs can't be stopped: that it is read-only, and how few may run and wait, is all that
// protects the others from it.
import { ReaderError, unavailable } from './errors.ts'
import type { ReaderAnswer, ReaderRequest, ReaderTask } from './reader.ts'
import type { RawRow } from './statements.ts'

/** Statements that run at once, each on a thread. */
export const READERS_MAX = 2
/** Statements that may wait; the next one is refused. */
export const READS_WAITING_MAX = 64
/** How long `stop` waits for statements that run. */
const STOP_WAIT_MS = 1000

export interface ReaderPool {
  /** Rejects with AppError `unavailable` where too many wait, or with the engine's error. */
  read(task: ReaderTask): Promise<RawRow[]>
  /** Refuses what waits, and ends the threads. */
  stop(): Promise<void>
}

interface Read {
  task: ReaderTask
  resolve: (rows: RawRow[]) => void
  reject: (error: unknown) => void
}

interface Reader {
  worker: Worker
  /** What it works on. */
  read: Read | undefined
  isReady: boolean
}

type OnDone = (sql: string, milliseconds: number) => void

/**
 * Threads are started when they are first needed. The path is that of a file. `onDone` is told how long each statement
 * took.
 */
export function createReaderPool(path: string, onDone: OnDone = () => {}): ReaderPool {
  const waiting: Read[] = []
  const readers = new Set<Reader>()
  let isStopped = false
  let onIdle: (() => void) | undefined

  function take(reader: Reader, answer: ReaderAnswer): void {
    const { read, worker } = reader
    const error = 'error' in answer ? new ReaderError(answer.error) : undefined
    // Its first answer is about the database.
    if (!reader.isReady && error !== undefined) return end(reader, error)
    reader.isReady = true
    reader.read = undefined
    // A reader that has nothing to do does not keep the process.
    worker.unref()
    if ('rows' in answer) {
      read?.resolve(answer.rows)
      for (const { sql, milliseconds } of answer.times) onDone(sql, milliseconds)
    } else read?.reject(error)
    next()
  }

  function end(reader: Reader, error: Error): void {
    if (!readers.delete(reader)) return
    reader.worker.terminate()
    reader.read?.reject(unavailable(error))
    // Where no thread starts, nothing that waits would ever run.
    if (readers.size === 0) for (const read of waiting.splice(0)) read.reject(unavailable(error))
    next()
  }

  function next(): void {
    for (const reader of readers) {
      if (!reader.isReady || reader.read !== undefined) continue
      const read = waiting.shift()
      if (read === undefined) break
      reader.read = read
      reader.worker.ref()
      reader.worker.postMessage(read.task satisfies ReaderRequest)
    }
    const idle = [...readers].filter(({ read }) => read === undefined)
    if (waiting.length > idle.length && readers.size < READERS_MAX)
      readers.add(startReader(path, { take, end }))
    // One that is still opening the database reads it too.
    if (idle.every(({ isReady }) => isReady) && idle.length === readers.size) onIdle?.()
  }

  return {
    read(task) {
      if (isStopped || waiting.length >= READS_WAITING_MAX) return Promise.reject(unavailable())
      const { promise, resolve, reject } = Promise.withResolvers<RawRow[]>()
      waiting.push({ task, resolve, reject })
      next()
      return promise
    },
    async stop() {
      isStopped = true
      for (const { reject } of waiting.splice(0)) reject(unavailable())
      const idle = Promise.withResolvers<void>()
      onIdle = idle.resolve
      next()
      // `terminate` would wait for a statement as long as it takes, so it is not waited for.
      const closed = idle.promise.then(() => Promise.all([...readers].map(close)))
      await Promise.race([closed, Bun.sleep(STOP_WAIT_MS)])
      for (const reader of readers) end(reader, new Error('Stopped'))
    },
  }
}

/**
 * Lets it close the database, and resolves when it has: where a thread ends with it open, that takes a lock for a
 * moment, which whoever empties the log then meets.
 */
function close(reader: Reader): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>()
  reader.read = { task: 'close', resolve, reject: resolve }
  reader.worker.ref()
  reader.worker.postMessage('close' satisfies ReaderRequest)
  return promise
}

interface ReaderEvents {
  take: (reader: Reader, answer: ReaderAnswer) => void
  /** A thread that dies takes its read with it; the next read starts another. */
  end: (reader: Reader, error: Error) => void
}

function startReader(path: string, { take, end }: ReaderEvents): Reader {
  const worker = new Worker(READER)
  const reader: Reader = { worker, read: undefined, isReady: false }
  worker.onmessage = ({ data }: MessageEvent<ReaderAnswer>) => take(reader, data)
  worker.onerror = (event) => {
    event.preventDefault()
    end(reader, new Error(event.message))
  }
  worker.addEventListener('close', () => end(reader, new Error('Reader has ended')))
  worker.postMessage({ path } satisfies ReaderRequest)
  return reader
}

// In the executable a worker is found by its path below src/ alone, from source by its address alone (bun#29124).
const READER: string | URL = Bun.isStandaloneExecutable
  ? './storage/sqlite/reader.ts'
  : new URL('./reader.ts', import.meta.url)
