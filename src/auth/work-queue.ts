// Bounds costly work: so many tasks at once, so many waiting, and a quick refusal beyond. It does not know the work.
import { AppError } from '../core/errors.ts'

export interface WorkQueueOptions {
  /** Tasks that run at once, at least 1. */
  atOnce: number
  /** Tasks that wait behind those, in the order they came. */
  waitingMax: number
}

/** Runs a task in its turn. Throws AppError `unavailable` at once where too many wait already. */
export type WorkQueue = <T>(task: () => Promise<T>) => Promise<T>

export function createWorkQueue({ atOnce, waitingMax }: WorkQueueOptions): WorkQueue {
  const waiting: (() => void)[] = []
  let running = 0
  const enter = async (): Promise<void> => {
    if (running < atOnce) {
      running += 1
      return
    }
    if (waiting.length >= waitingMax) throw new AppError('unavailable')
    // Whoever leaves hands its place over, so that a newcomer can't slip in between.
    await new Promise<void>((resolve) => waiting.push(resolve))
  }
  const leave = (): void => {
    const next = waiting.shift()
    if (next === undefined) running -= 1
    else next()
  }
  return async (task) => {
    await enter()
    try {
      return await task()
    } finally {
      leave()
    }
  }
}
