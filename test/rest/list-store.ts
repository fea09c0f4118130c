// A store in memory for the resources of a test, with the users that records may belong to.
import { usersTable } from '../../src/auth/users.ts'
import { newUuid } from '../../src/core/ids.ts'
import type { ResourceDefinition } from '../../src/rest/resource.ts'
import { applyMigration } from '../../src/storage/migrate.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import { createSqliteStore } from '../../src/storage/sqlite/store.ts'
import type { Insert, Row, Store, Values } from '../../src/storage/store.ts'

export const NOW = '2026-01-31T12:00:00.000Z'

export function openStore(definitions: readonly ResourceDefinition[]): Store {
  const tables = [usersTable, ...definitions.map(({ table }) => table)]
  const database = openDatabase({ path: ':memory:', durability: 'normal' })
  applyMigration(database, tables)
  return createSqliteStore({ database, tables })
}

/** Stores records as they are, with the times that the server sets. */
export async function insert(
  store: Store,
  { name: table, id }: Pick<ResourceDefinition, 'name' | 'id'>,
  records: readonly Values[],
): Promise<readonly Row[]> {
  return store.commit(
    records.map((values): Insert => {
      const { id: given, ...rest } = { created_at: NOW, updated_at: NOW, ...values } as unknown as Record<
        string,
        never
      >
      const own = id === 'uuid' ? { id: given ?? newUuid() } : {}
      return { kind: 'insert', table, values: rest, ...own }
    }),
  )
}

/** Makes a user and gives its id. */
export async function insertUser(store: Store, name: string): Promise<string> {
  const email = `${name}@example.com`
  const values: Record<string, Values[string]> = {
    name,
    email,
    email_key: email,
    role: 'user',
    disabled: false,
  }
  for (const { name: column, nullable, kind } of usersTable.columns) {
    if (values[column] === undefined) values[column] = nullable ? null : kind === 'integer' ? 0 : NOW
  }
  const [row] = await store.commit([{ kind: 'insert', table: 'users', id: newUuid(), values }])
  return row!.id as string
}
