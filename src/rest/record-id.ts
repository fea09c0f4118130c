// The id in a path: one spelling of each, or 400.
import { AppError } from '../core/errors.ts'
import { UUID_PATTERN } from '../core/ids.ts'
import type { Id } from '../storage/store.ts'
import type { ResourceDefinition } from './resource.ts'

/** Makes the function that reads the text of an id. It throws AppError `validation_failed` on field `/id`, or `not_found`. */
export function idReader({ id }: Pick<ResourceDefinition, 'id'>): (text: string) => Id {
  if (id === 'uuid') {
    return (text) => {
      const lower = text.toLowerCase()
      if (!UUID_PATTERN.test(lower)) throw invalidId('a UUID')
      return lower
    }
  }
  return (text) => {
    if (!/^[1-9]\d*$/.test(text)) throw invalidId('a whole number from 1 up')
    const number = Number(text)
    // No id is that great, and a double would round it to another.
    if (!Number.isSafeInteger(number)) throw new AppError('not_found')
    return number
  }
}

function invalidId(expected: string): AppError {
  return new AppError('validation_failed', {
    message: 'The id in the path is not valid',
    details: [{ field: '/id', message: `Expected ${expected}` }],
  })
}
