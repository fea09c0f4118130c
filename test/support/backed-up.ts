// What the tests of backups share: a resource to fill, an account with every kind of credential, and a look at what a
// server has. It knows the executable only.
import { Database } from 'bun:sqlite'
import { expect } from 'bun:test'
import type { RunningServer } from './executable.ts'

/** Anybody may write and read; the words of the text are searched. */
export const NOTES = {
  'notes.ts': `import { defineResource, everyone, t } from 'hipflask'
export default defineResource({
  name: 'notes',
  schema: t.Object({ client: t.Integer({ index: true }), number: t.Integer(), text: t.String({ search: true }) }),
  access: { list: everyone(), read: everyone(), create: everyone(), delete: everyone() },
})
`,
}

export interface Note {
  id: number
  client: number
  number: number
  text: string
}

/** Stores one note; gives the status of the answer. */
export async function writeNote(server: RunningServer, note: Omit<Note, 'id'>): Promise<number> {
  const response = await server.fetch('/api/notes', json('POST', note))
  await response.arrayBuffer()
  return response.status
}

/** Every note, and how many there are by the total. */
export async function readNotes(server: RunningServer): Promise<{ notes: Note[]; total: number }> {
  const notes: Note[] = []
  let total = 0
  let path: string | null = '/api/notes?limit=100'
  while (path !== null) {
    const page = (await (await server.fetch(path)).json()) as {
      data: Note[]
      total_items: number
      links: { next: string | null }
    }
    notes.push(...page.data)
    total = page.total_items
    path = page.links.next
  }
  return { notes, total }
}

export interface Credentials {
  access: string
  refresh: string
  key: string
}

/** Registers an account, signs in and makes an API key. */
export async function signUp(server: RunningServer): Promise<Credentials> {
  const account = { email: 'ada@example.com', password: 'a long enough passphrase' }
  const registered = await server.fetch('/auth/register', json('POST', { ...account, name: 'Ada' }))
  expect(registered.status).toBe(201)
  const tokens = await bodyOf(await server.fetch('/auth/login', json('POST', account)), 200)
  const headers = { authorization: `Bearer ${tokens['access_token']}` }
  const made = await server.fetch('/auth/keys', {
    ...json('POST', { name: 'backup', scopes: ['notes:read'] }),
    headers: { ...headers, 'content-type': 'application/json' },
  })
  const { key } = await bodyOf(made, 201)
  return {
    access: String(tokens['access_token']),
    refresh: String(tokens['refresh_token']),
    key: String(key),
  }
}

/** The statuses that the credentials get: access token, API key, refresh token (which is spent). */
export async function useCredentials(
  server: RunningServer,
  { access, refresh, key }: Credentials,
): Promise<number[]> {
  const asked = [
    await server.fetch('/auth/me', { headers: { authorization: `Bearer ${access}` } }),
    await server.fetch('/auth/me', { headers: { 'x-api-key': key } }),
    await server.fetch('/auth/refresh', json('POST', { refresh_token: refresh })),
  ]
  return asked.map(({ status }) => status)
}

export function json(method: string, body: unknown): RequestInit {
  return { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
}

async function bodyOf(response: Response, status: number): Promise<Record<string, unknown>> {
  expect(response.status).toBe(status)
  return (await response.json()) as Record<string, unknown>
}

/** Makes the database so large that copying it takes a while. */
export function fillLarge(path: string): void {
  using database = new Database(path, { readwrite: true, create: false })
  database.run('CREATE TABLE other (id INTEGER PRIMARY KEY, data BLOB)')
  database.run(`INSERT INTO other (data)
    WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 100000)
    SELECT randomblob(1000) FROM numbers`)
  database.run('PRAGMA wal_checkpoint(TRUNCATE)')
}
