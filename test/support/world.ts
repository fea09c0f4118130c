// A running executable with the fixture resources and a few accounts, for black-box tests.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startServer, type RunningServer, type ServerOptions } from './executable.ts'

const FIXTURES = join(import.meta.dir, '../fixtures/resources')

export const ADMIN = { email: 'root@example.com', password: 'correct horse battery' }
export const PASSWORD = 'purple staple lemon'

/** The texts of the fixture resource files by name. */
export function fixtureResources(): Record<string, string> {
  return Object.fromEntries(
    readdirSync(FIXTURES).map((file) => [file, readFileSync(join(FIXTURES, file), 'utf8')]),
  )
}

export interface World extends RunningServer {
  /** The credential headers of ada, bob (users) and admin, admin by Basic, the others by access token. */
  credentials: Record<string, Record<string, string>>
  /** User ids by the same names. */
  ids: Record<string, string>
}

/** Starts the executable and makes the accounts ada and bob beside the administrator. */
export async function startWorld(options: ServerOptions = {}): Promise<World> {
  const server = await startServer({
    resources: fixtureResources(),
    ...options,
    env: { HIPFLASK_ADMIN_EMAIL: ADMIN.email, HIPFLASK_ADMIN_PASSWORD: ADMIN.password, ...options.env },
  })
  const credentials: World['credentials'] = { admin: basic(ADMIN.email, ADMIN.password) }
  const ids: World['ids'] = {}
  for (const name of ['ada', 'bob']) {
    const account = { email: `${name}@example.com`, password: PASSWORD }
    const registered = await post(server, '/auth/register', { name, ...account })
    ids[name] = registered.id as string
    const { access_token } = await post(server, '/auth/login', account)
    credentials[name] = { authorization: `Bearer ${access_token as string}` }
  }
  return { ...server, credentials, ids }
}

/** The Authorization header of RFC 7617. */
export function basic(email: string, password: string): { authorization: string } {
  return { authorization: `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}` }
}

/** Posts JSON and gives the JSON that came back; throws where the status is not 2xx. */
export async function post(
  server: Pick<RunningServer, 'fetch'>,
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Record<string, unknown>> {
  const response = await server.fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  if (!response.ok) throw new Error(`POST ${path} answered ${response.status}: ${text}`)
  return JSON.parse(text) as Record<string, unknown>
}
