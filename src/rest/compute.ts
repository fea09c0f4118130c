// Fields that are worked out for each answer. What the author's function does wrong is named in the log, not to the
// client.
import { canonicalSchema } from '../http/json-schema.ts'
import type { JsonSchema } from '../http/route.ts'
import { createValidator } from '../http/validate.ts'
import type { AnyRecord, ResourceOptions, TSchema } from '../sdk.ts'
import type { Value } from '../storage/store.ts'

export interface Computed {
  name: string
  schema: JsonSchema
  /** The answer may lack it. */
  optional: boolean
  from: (record: AnyRecord) => unknown
}

/** The computed fields of a checked declaration. */
export function computedOf({ compute = {} }: ResourceOptions<any>): Computed[] {
  type Declared = { schema: TSchema; from: Computed['from'] }
  return Object.entries(compute as Record<string, Declared>).map(([name, field]) => ({
    name,
    schema: { ...canonicalSchema(field.schema), readOnly: true },
    optional: '~optional' in field.schema,
    from: field.from,
  }))
}

/**
 * Makes the function that adds the computed fields of the author's record to an answer. It throws Error with the
 * field's name where a value can't be had or does not fit its schema. Undefined where nothing is computed.
 */
export function createComputer(
  resource: string,
  computed: readonly Computed[],
): ((record: AnyRecord, answer: Record<string, Value>) => void) | undefined {
  if (computed.length === 0) return undefined
  const fields = computed.map((field) => ({ ...field, validate: createValidator(field.schema) }))
  return (record, answer) => {
    for (const { name, optional, from, validate } of fields) {
      const label = `Computed field ${name} of ${resource}`
      const value = compute(label, () => from(record))
      if (value === undefined && optional) continue
      const [fault] = validate(value)
      if (fault !== undefined) throw new Error(`${label} has a wrong value: ${fault.field} ${fault.message}`)
      answer[name] = value as Value
    }
  }
}

function compute(label: string, from: () => unknown): unknown {
  try {
    return from()
  } catch (error) {
    throw new Error(`${label} failed`, { cause: error })
  }
}
