// What goes on after the answer: after hooks. Their errors are logged with the id of the request that they belong to;
// they delay nothing but the end of the process.
import type { Logger } from '../core/logger.ts'

export interface Background {
  /** Starts the task in the next turn of the event loop: the answer does not wait for it. */
  run(requestId: string, task: () => Promise<unknown>): void
  /** Waits for all tasks, also for those that they start. */
  settle(): Promise<void>
}

export function createBackground(logger: Logger): Background {
  const running = new Set<Promise<unknown>>()
  const start = async (requestId: string, task: () => Promise<unknown>): Promise<void> => {
    await new Promise(setImmediate)
    try {
      await task()
    } catch (cause) {
      logger.error('After hook failed', { request_id: requestId, cause })
    }
  }
  return {
    run(requestId, task) {
      const work = start(requestId, task).finally(() => running.delete(work))
      running.add(work)
    },
    async settle() {
      while (running.size > 0) await Promise.all(running)
    },
  }
}
