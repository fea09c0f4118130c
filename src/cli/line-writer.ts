// Writes the lines of a log, under load many at once, since a write costs as much as ten lines do. It never waits for a
// slow reader; what that leaves lying is bounded, and what is dropped then is counted.
import type { Io } from './command.ts'

/** Characters that wait for a reader; a line that would exceed them is dropped. */
export const WAITING_MAX = 1024 * 1024

/** The time between two writes; what is written after a pause goes out at the end of its turn of the event loop. */
const INTERVAL_MS = 10

export interface LineWriter {
  /** Takes one line, newline included, and hands it on soon. */
  write: (line: string) => void
  /** The same at once, so that it is out also where the process should die of what it tells. */
  writeNow: (line: string) => void
  /** Hands on what waits and tells what was dropped, at the end. */
  flush: () => void
}

/**
 * `onDropped` is told how many lines were dropped, to write a line of it: once the reader takes lines again, behind
 * those that waited for it.
 */
export function createLineWriter(
  { stdout, stdoutReady }: Pick<Io, 'stdout' | 'stdoutReady'>,
  onDropped: (lines: number) => void,
): LineWriter {
  let waiting = ''
  let dropped = 0
  let isScheduled = false
  let isReaderBehind = false
  let latest = Number.NEGATIVE_INFINITY

  function handOn(): void {
    if (waiting === '') return
    const text = waiting
    waiting = ''
    latest = performance.now()
    stdout(text)
    const ready = stdoutReady?.()
    if (ready === undefined) return
    isReaderBehind = true
    // It rejects where the reader is gone: then everything is dropped behind it.
    ready.then(goOn, goOn)
  }

  function goOn(): void {
    isReaderBehind = false
    if (dropped === 0) return schedule()
    handOn()
    tellDropped()
  }

  /** To be called when nothing waits, so that the line about it has room. */
  function tellDropped(): void {
    const lines = dropped
    dropped = 0
    if (lines > 0) onDropped(lines)
  }

  function schedule(): void {
    if (isScheduled || isReaderBehind || waiting === '') return
    isScheduled = true
    const leftMs = latest + INTERVAL_MS - performance.now()
    if (leftMs > 0) setTimeout(handOnInTime, leftMs)
    else setImmediate(handOnInTime)
  }

  function handOnInTime(): void {
    isScheduled = false
    if (!isReaderBehind) handOn()
  }

  function add(line: string): void {
    if (waiting.length + line.length > WAITING_MAX) dropped++
    else waiting += line
  }
  return {
    write(line) {
      add(line)
      schedule()
    },
    writeNow(line) {
      add(line)
      if (!isReaderBehind) handOn()
    },
    flush() {
      handOn()
      tellDropped()
      handOn()
    },
  }
}
