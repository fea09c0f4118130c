// `hipflask key`: makes, lists and ends API keys of any account, beside a running server or without one. Whoever runs it
// can change the database anyway, so it asks nobody's leave; but a key keeps to the rights of its owner.
import { EVERY_SCOPE, knownScopes } from '../access/scopes.ts'
import { keyRequestBody, keyToMake } from '../auth/api-key-request.ts'
import { idOfPrefix } from '../auth/api-key-text.ts'
import { PAGE_MAX, createApiKeys, viewOfKey, type ApiKey, type ApiKeys } from '../auth/api-keys.ts'
import { createAudit, type Audit } from '../auth/audit.ts'
import { findByEmail, findById, type User } from '../auth/users.ts'
import { systemClock } from '../core/clock.ts'
import { StartError } from '../core/errors.ts'
import { UUID_PATTERN } from '../core/ids.ts'
import { nearest } from '../core/nearest.ts'
import type { Store } from '../storage/store.ts'
import { JSON_OPTION, actionOf, printJson, type Arguments, type Command, type Io } from './command.ts'
import { withAccounts } from './data.ts'
import { failureOf } from './failure.ts'
import { printTable } from './table.ts'

const WRONG_USAGE = 2
const ACTIONS = { create, list, revoke } as const
const USAGES = {
  create: { positional: 1, options: ['user', 'name', 'scopes', 'expires'] },
  list: { positional: 1, options: ['user'] },
  revoke: { positional: 2, options: [] },
}
const HOUR_MS = 3_600_000
/** What gives the fields of a key here. */
const FLAGS = { name: '--name', scopes: '--scopes', expires_at: '--expires' }

export const key: Command = {
  name: 'key',
  summary: 'Make, list and end API keys; a running server takes note at once',
  examples: [
    {
      line: 'hipflask key create --user ada@example.com --name report --scopes items:read',
      does: 'print a new key, this once',
    },
    {
      line: 'hipflask key create --user ada@example.com --name ci --scopes items:read,items:write --expires 90d',
      does: 'one that is over after 90 days',
    },
    { line: 'hipflask key list --user ada@example.com', does: 'the keys of an account; without --user all' },
    { line: 'hipflask key revoke hf_030y7GlE4nTUwVmKoL1atP', does: 'end a key, by its prefix or its id' },
  ],
  positional: [
    { name: 'action', summary: `One of: ${Object.keys(ACTIONS).join(', ')}` },
    { name: 'key', summary: 'With revoke: the prefix or the id of the key' },
  ],
  options: [
    { flags: '--user <email>', summary: 'E-mail of the account whose key it is' },
    { flags: '--name <name>', summary: 'With create: what the key is for' },
    { flags: '--scopes <scopes>', summary: 'With create: such as items:read,items:write, or * for all' },
    {
      flags: '--expires <when>',
      summary: 'With create: days or hours such as 90d or 12h, or a time such as 2027-01-31T12:00:00Z',
    },
    JSON_OPTION,
  ],
  async run(args, io) {
    const action = actionOf(args, USAGES)
    return withAccounts(args, io, async ({ store, resources, logger }) => {
      const apiKeys = createApiKeys({ store, clock: systemClock, logger })
      const names = resources.map(({ name }) => name)
      const job: Job = { args, io, store, apiKeys, audit: createAudit(logger), resources: names }
      try {
        await ACTIONS[action](job)
      } catch (error) {
        throw failureOf(error, FLAGS)
      }
      return 0
    })
  },
}

interface Job {
  args: Arguments
  io: Io
  store: Store
  apiKeys: ApiKeys
  audit: Audit
  /** Names of the declared resources. */
  resources: readonly string[]
}

async function create({ args: { options }, io, store, apiKeys, audit, resources }: Job): Promise<void> {
  const name = required(options['name'], '--name')
  const scopes = scopesOf(required(options['scopes'], '--scopes'), resources)
  const expires = options['expires']
  const body = keyRequestBody(resources).parse({
    name,
    scopes,
    expires_at: expires === undefined ? null : timeOf(String(expires)),
  })
  const user = await accountOf(store, required(options['user'], '--user'))
  const { row, text } = await apiKeys.create(keyToMake(body, user, systemClock()))
  audit('key.created', { user_id: user.id, key_id: row.id, method: 'command line' })
  if (options['json'] === true) printJson({ ...viewOfKey(row), key: text }, io)
  else io.stdout(`${text}\n`)
}

async function list({ args: { options }, io, store, apiKeys }: Job): Promise<void> {
  const owners = new Map<string, string>()
  const rows: object[] = []
  const show = async (keys: readonly ApiKey[]) => {
    for (const one of keys) {
      const { user_id: id, last_used_at } = one
      if (!owners.has(id)) owners.set(id, (await findById(store, id))?.email ?? '')
      rows.push({ ...viewOfKey(one), last_used_at, user_id: id, email: owners.get(id) })
    }
  }
  if (options['user'] !== undefined) {
    const user = await accountOf(store, required(options['user'], '--user'))
    await show(await apiKeys.list(user.id))
  } else {
    for (let keys = await apiKeys.page(undefined); keys.length > 0;) {
      await show(keys)
      keys = keys.length < PAGE_MAX ? [] : await apiKeys.page(keys.at(-1)?.id)
    }
  }
  if (options['json'] === true) printJson(rows, io)
  else printTable(rows as Record<string, unknown>[], COLUMNS, io)
}

const COLUMNS = ['prefix', 'email', 'name', 'scopes', 'expires_at', 'last_used_at'] as const

async function revoke({ args: { positional, options }, io, apiKeys, audit }: Job): Promise<void> {
  const [, given] = positional
  const lower = given?.toLowerCase() ?? ''
  const id = UUID_PATTERN.test(lower) ? lower : idOfPrefix(given ?? '')
  if (id === undefined) {
    throw new StartError(
      'Key must be given by its id or its prefix, as hipflask key list shows them',
      WRONG_USAGE,
    )
  }
  if (!(await apiKeys.revoke(id))) throw new StartError('There is no such key')
  audit('key.revoked', { key_id: id, method: 'command line' })
  if (options['json'] === true) printJson({ id, revoked: true }, io)
  else io.stdout('The key is revoked\n')
}

function required(value: string | boolean | undefined, flag: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw new StartError(`Option ${flag} is missing`, WRONG_USAGE)
}

async function accountOf(store: Store, email: string): Promise<User> {
  const user = await findByEmail(store, email)
  if (user === undefined) throw new StartError('No account has this e-mail')
  return user
}

function scopesOf(text: string, resources: readonly string[]): string[] {
  const known = knownScopes(resources)
  const scopes = text.split(',').map((one) => one.trim())
  for (const scope of scopes) {
    if (known.includes(scope)) continue
    const near = nearest(scope, known)
    const remedy =
      near === undefined ? `such as items:read, or ${EVERY_SCOPE} for all` : `did you mean ${near}?`
    throw new StartError(`Scope '${scope}' is not known, ${remedy}`, WRONG_USAGE)
  }
  return scopes
}

/** As RFC 3339 writes it; what is neither that nor a duration is left for the check of the request. */
function timeOf(text: string): string {
  const [, count, unit] = /^(\d{1,5})([hd])$/.exec(text) ?? []
  if (count === undefined) return text
  return new Date(systemClock() + Number(count) * (unit === 'd' ? 24 : 1) * HOUR_MS).toISOString()
}
