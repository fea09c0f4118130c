// The tables of auth/, beside those of the declared resources.
import type { Table } from '../storage/store.ts'
import { apiKeysTable } from './api-keys.ts'
import { sessionsTable } from './sessions.ts'
import { usersTable } from './users.ts'

export const authTables: readonly Table[] = [usersTable, sessionsTable, apiKeysTable]
