// References to and from soft-deleted records: their rows are still there, so the database's foreign keys do not see
// that they are gone. A delete in the same moment as a new reference may slip through; nothing else depends on it.
import { AppError, type ErrorDetail } from '../core/errors.ts'
import type { Id, Row, Store, Values } from '../storage/store.ts'
import { invalid } from './input.ts'
import type { ResourceDefinition } from './resource.ts'

export interface References {
  /** Throws `validation_failed` where a new value refers to a deleted record. */
  checkTargets(values: readonly Values[], previous: Row | undefined, isArray?: boolean): Promise<void>
  /** Throws `conflict` where living records refer to the record that is to be deleted. */
  checkReferrers(id: Id): Promise<void>
  /** Throws `conflict` where what the record refers to is deleted. */
  checkRestored(row: Row): Promise<void>
}

/** The error of a delete that others' references forbid. */
export function stillReferred(): AppError {
  return new AppError('conflict', { message: 'Other records still refer to this one' })
}

/** Undefined where no resource that is involved has `softDelete`: the database checks all else. */
export function createReferences(
  definition: ResourceDefinition,
  definitions: readonly ResourceDefinition[],
  store: Store,
): References | undefined {
  const softDeleted = new Set(definitions.filter((one) => one.softDelete).map(({ name }) => name))
  const targets = definition.fields.filter(({ references = '' }) => softDeleted.has(references))
  const referrers = definition.softDelete
    ? definitions.flatMap(({ name: table, fields }) =>
        fields
          .filter(({ references }) => references === definition.name)
          .map(({ name: field }) => ({ table, field })),
      )
    : []
  if (targets.length === 0 && !definition.softDelete) return undefined
  const missingOf = async (values: Values, previous?: Row): Promise<ErrorDetail[]> => {
    const details: ErrorDetail[] = []
    for (const { name, references } of definition.fields) {
      if (references === undefined) continue
      const id = values[name] as Id | null | undefined
      if (id === null || id === undefined || id === previous?.[name]) continue
      const isItself = references === definition.name && id === values.id
      if (isItself) continue
      if ((await store.get(references, id)) !== undefined) continue
      details.push({ field: `/${name}`, message: `Expected the id of an existing record of ${references}` })
    }
    return details
  }

  return {
    async checkTargets(values, previous, isArray = false) {
      const details: ErrorDetail[] = []
      for (const [index, one] of values.entries()) {
        for (const { field, message } of await missingOf(one, previous)) {
          details.push({ field: isArray ? `/${index}${field}` : field, message })
        }
      }
      if (details.length > 0) throw invalid(details)
    },
    async checkReferrers(id) {
      for (const { table, field } of referrers) {
        const [found] = await store.list({ table, where: { [field]: id }, limit: 1 })
        if (found !== undefined && !(table === definition.name && found.id === id)) throw stillReferred()
      }
    },
    async checkRestored(row) {
      if ((await missingOf(row as Values)).length === 0) return
      throw new AppError('conflict', { message: 'What this record refers to is deleted, restore that first' })
    },
  }
}
