// The tables of auth/, beside those of the declared resources.
import type { ResourceDefinition } from '../rest/resource.ts'
import type { Table } from '../storage/store.ts'
import { apiKeysTable } from './api-keys.ts'
import { codesTable } from './oidc/codes.ts'
import { usedStatesTable } from './oidc/flow.ts'
import { identitiesTable } from './oidc/identities.ts'
import { sessionsTable } from './sessions.ts'
import { usersTable } from './users.ts'

/** Those that principals are made of. */
export const principalTables: readonly Table[] = [usersTable, sessionsTable, apiKeysTable, identitiesTable]

export const authTables: readonly Table[] = [...principalTables, usedStatesTable, codesTable]

/** All tables of a database with these resources, of which `users` brings the columns of the profile. */
export function tablesOf(resources: readonly ResourceDefinition[]): Table[] {
  const ofResources = resources.map(({ table }) => table)
  const isOwn = ({ name }: Table) => !ofResources.some((table) => table.name === name)
  return [...authTables.filter(isOwn), ...ofResources]
}
