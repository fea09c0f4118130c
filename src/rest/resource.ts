// A checked declaration, made ready to serve: its fields, its table and its limits.
import type { Action, IdKind, Resource, Rule } from '../sdk.ts'
import type { Table } from '../storage/store.ts'
import { columnOf, fieldsOf, type Field } from './fields.ts'

export interface ResourceDefinition {
  name: string
  description: string | undefined
  id: IdKind
  owned: boolean
  fields: readonly Field[]
  access: Readonly<Partial<Record<Action, Rule>>>
  pageSize: number
  pageSizeMax: number
  table: Table
}

export const DEFAULT_PAGE_SIZE = 10
export const DEFAULT_PAGE_SIZE_MAX = 100

/** Makes the definition of a declaration that declaration.ts found right. */
export function defineFrom({ options }: Resource): ResourceDefinition {
  const { name, description, id = 'integer', owned = false, access = {} } = options
  const fields = fieldsOf(options.schema)
  const pageSizeMax = options.pageSizeMax ?? Math.max(DEFAULT_PAGE_SIZE_MAX, options.pageSize ?? 0)
  const pageSize = options.pageSize ?? Math.min(DEFAULT_PAGE_SIZE, pageSizeMax)
  const table: Table = {
    name,
    id,
    columns: [
      ...fields.map(columnOf),
      ...(owned ? [OWNER_COLUMN] : []),
      { name: 'created_at', kind: 'text', nullable: false },
      { name: 'updated_at', kind: 'text', nullable: false },
    ],
  }
  return { name, description, id, owned, fields, access, pageSize, pageSizeMax, table }
}

const OWNER_COLUMN = {
  name: 'owner_id',
  kind: 'text',
  nullable: true,
  index: true,
  references: 'users',
  onDelete: 'set null',
} as const
