// One change of a record at a time within this process: concurrent patches of one record then all succeed at their
// first attempt instead of overtaking each other. Another process's changes are noticed by the record's version.
import { AppError } from '../core/errors.ts'
import type { Id } from '../storage/store.ts'

/** The most changes of one record that wait; beyond it they are refused with 503. */
export const MAX_WAITING = 256

/** Makes a function that runs a task after the earlier tasks of the same id have ended. */
export function createQueue() {
  const queues = new Map<Id, { last: Promise<unknown>; waiting: number }>()
  return async <T>(id: Id, task: () => Promise<T>): Promise<T> => {
    const queue = queues.get(id) ?? { last: Promise.resolve(), waiting: 0 }
    if (queue.waiting >= MAX_WAITING) {
      throw new AppError('unavailable', {
        message: 'Too many changes of this record are waiting, try again',
      })
    }
    queue.waiting++
    queues.set(id, queue)
    const result = queue.last.then(task)
    // The next task runs whether or not this one fails; its failure is its own caller's.
    queue.last = result.then(ignore, ignore)
    try {
      return await result
    } finally {
      if (--queue.waiting === 0) queues.delete(id)
    }
  }
}

function ignore(): void {}
