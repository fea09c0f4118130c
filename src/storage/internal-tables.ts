// The tables that hipflask keeps for itself, beside the declared ones. Their names begin with _hipflask_, which no
// resource's name can; no API shows them.
import { idempotencyTable } from './idempotency-table.ts'
import { timeTable } from './kept-time.ts'
import type { Table } from './store.ts'

/** Keys made once and kept, by name. */
export const secretsTable: Table = {
  name: '_hipflask_secrets',
  id: 'uuid',
  columns: [{ name: 'value', kind: 'text', nullable: false }],
}

const INTERNAL_TABLES: readonly Table[] = [idempotencyTable, secretsTable, timeTable]

/** The tables that a database has where these are declared. */
export function withInternalTables(tables: readonly Table[]): readonly Table[] {
  return [...INTERNAL_TABLES, ...tables]
}

/** Whether a table is none of the declared and none of another program. */
export function isInternal(name: string): boolean {
  return name.startsWith('_hipflask_')
}
