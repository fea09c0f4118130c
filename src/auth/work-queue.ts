// Bounds costly work: so many tasks at once, so many waiting, and a quick refusal beyond. It does not know the work.
import { AppError } from '../core/errors.ts'

export interface WorkQueueOptions {
  /** Tasks that run at once, at least 1. */
  atOnce: number
  /** Tasks that wait behind those, in the order they came. */
  waitingMax: number
}

export interface WorkQueue {
  /** Runs a task in its turn. Throws AppError `unavailable` at once where too many wait already. */
  <T>(task: () => Promise<T>): Promise<T>
  /** How much there is to do now, and how many tasks were refused so far. */
  load: () => WorkLoad
}

export interface WorkLoad {
  running: number
  waiting: number
  refused: number
}

export function createWorkQueue({ atOnce, waitingMax }: WorkQueueOptions): WorkQueue {
  const waiting: (() => void)[] = []
  let running = 0
  let refused = 0
  const enter = async (): Promise<void> => {
    if (running < atOnce) {
      running += 1
      return
    }
    if (waiting.length >= waitingMax) {
      refused += 1
      throw new AppError('unavailable')
    }
    // Whoever leaves hands its place over, so that a newcomer can't slip in between.
    await new Promise<void>((resolve) => waiting.push(resolve))
  }
  const leave = (): void => {
    const next = waiting.shift()
    if (next === undefined) running -= 1
    else next()
  }
  const run = async <T>(task: () => Promise<T>): Promise<T> => {
    await enter()
    try {
      return await task()
    } finally {
      leave()
    }
  }
  return Object.assign(run, { load: () => ({ running, waiting: waiting.length, refused }) })
}
