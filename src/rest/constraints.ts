// What a broken constraint of the database means to the client: which field, of which record of an array.
import { AppError, type ErrorDetail } from '../core/errors.ts'
import { BrokenReferenceError, UniqueError, type Id, type Store, type Values } from '../storage/store.ts'
import type { Guard } from './guard.ts'
import type { ResourceDefinition } from './resource.ts'

export interface WrittenRecords {
  /** The values of each step of the commit. */
  values: readonly Values[]
  /** The records came as an array: pointers begin with their index. */
  isArray: boolean
}

/** Gives the AppError that a commit's error is to the client; any other error is given back as it is. */
export type ConstraintExplainer = (error: unknown, written: WrittenRecords) => Promise<unknown>

export function createConstraintExplainer(
  definition: ResourceDefinition,
  store: Store,
  guard?: Guard,
): ConstraintExplainer {
  return async (error, { values, isArray }) => {
    if (error instanceof UniqueError) {
      const name = guard?.fieldOf(error.column) ?? error.column
      const field = `${isArray ? `/${error.step}` : ''}/${name}`
      return new AppError('conflict', {
        message: 'A record with this value exists already',
        details: [{ field, message: 'Is taken by another record' }],
      })
    }
    if (error instanceof BrokenReferenceError) {
      const pointer = isArray ? `/${error.step}` : ''
      const details = await missingReferences(values[error.step] ?? {}, pointer)
      // None is missing any more where the target was made in between.
      if (details.length > 0) return new AppError('validation_failed', { details })
      return new AppError('conflict', { message: 'A referenced record is being changed, try again' })
    }
    return guard?.explain(error) ?? error
  }

  // The engine says that a reference is broken, not which.
  async function missingReferences(values: Values, pointer: string): Promise<ErrorDetail[]> {
    const details: ErrorDetail[] = []
    for (const { name, references } of definition.fields) {
      const id = values[name] as Id | null | undefined
      if (references === undefined || id === null || id === undefined) continue
      if ((await store.get(references, id)) === undefined) {
        const message = `Expected the id of an existing record of ${references}`
        details.push({ field: `${pointer}/${name}`, message })
      }
    }
    return details
  }
}
