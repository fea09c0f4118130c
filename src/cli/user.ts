// `hipflask user`: makes and changes accounts beside a running server or without one, with the checks and the
// consequences of the same change through /api/users. Passwords come by standard input alone.
import { createAccountEngine, createAccounts, type Accounts } from '../auth/accounts.ts'
import { createAudit, type Audit } from '../auth/audit.ts'
import { StartError } from '../core/errors.ts'
import { systemClock } from '../core/clock.ts'
import type { ApiRecord } from '../rest/record.ts'
import { JSON_OPTION, actionOf, printJson, type Arguments, type Command, type Io } from './command.ts'
import { withAccounts } from './data.ts'
import { failureOf } from './failure.ts'
import { INTERRUPTED, readSecret } from './prompt.ts'
import { printTable } from './table.ts'

const WRONG_USAGE = 2
/** Accounts that are read at a time. */
const PAGE = 1000
const ACTIONS = { create, list, 'set-role': setRole, disable } as const
const USAGES = {
  create: { positional: 2, options: ['name', 'role'] },
  list: { positional: 1, options: [] },
  'set-role': { positional: 3, options: [] },
  disable: { positional: 2, options: [] },
}
const COLUMNS = ['id', 'email', 'name', 'role', 'disabled', 'last_login_at'] as const
/** What the fields of an account are called here. */
const NAMES = { email: 'E-mail', name: '--name', role: 'Role', password: 'Password' }

export const user: Command = {
  name: 'user',
  summary: 'Make, list and change accounts; a running server takes note at once',
  examples: [
    {
      line: 'hipflask user create ada@example.com --name Ada',
      does: 'ask for the password, which is not shown',
    },
    {
      line: 'hipflask user create bob@example.com --name Bob --role admin < password.txt',
      does: 'take it from standard input, one line',
    },
    { line: 'hipflask user list', does: 'every account' },
    { line: 'hipflask user set-role ada@example.com editor', does: 'from her next request on' },
    { line: 'hipflask user disable bob@example.com', does: 'end his sessions and keys at once' },
  ],
  positional: [
    { name: 'action', summary: `One of: ${Object.keys(ACTIONS).join(', ')}` },
    { name: 'email', summary: 'Of the account; not with list' },
    { name: 'role', summary: 'With set-role: user, admin, or one that a resource names' },
  ],
  options: [
    { flags: '--name <name>', summary: 'With create: what the user is called' },
    { flags: '--role <role>', summary: 'With create: user unless given' },
    JSON_OPTION,
  ],
  async run(args, io) {
    const action = actionOf(args, USAGES)
    return withAccounts(args, io, async ({ store, resources, logger }) => {
      const tell = createAudit(logger)
      const audit: Audit = (event, fields) => tell(event, { ...fields, method: 'command line' })
      const engine = createAccountEngine({ resources, store, clock: systemClock, logger, audit })
      const accounts = createAccounts({ engine, store, resources })
      try {
        return await ACTIONS[action]({ args, io, accounts })
      } catch (error) {
        throw failureOf(error, NAMES)
      } finally {
        await engine.settle()
      }
    })
  },
}

interface Job {
  args: Arguments
  io: Io
  accounts: Accounts
}

async function create(job: Job): Promise<number> {
  const { args, io, accounts } = job
  const email = emailOf(args)
  const { name, role } = args.options
  if (typeof name !== 'string') throw new StartError('Option --name is missing', WRONG_USAGE)
  const password = await readSecret('Password', io)
  if (password === undefined) return INTERRUPTED
  const made = await accounts.create({
    name,
    email,
    password,
    ...(typeof role === 'string' ? { role } : {}),
  })
  return tell(job, made, `Made the account ${String(made['id'])}`)
}

async function list({ args, io, accounts }: Job): Promise<number> {
  const all: ApiRecord[] = []
  let page: ApiRecord[]
  do {
    page = await accounts.list({ after: all.at(-1)?.['id'] as string | undefined, limit: PAGE })
    all.push(...page)
  } while (page.length === PAGE)
  if (args.options['json'] === true) printJson(all, io)
  else printTable(all, COLUMNS, io)
  return 0
}

async function setRole(job: Job): Promise<number> {
  const email = emailOf(job.args)
  const [, , role] = job.args.positional
  if (role === undefined) throw new StartError('Role is missing', WRONG_USAGE)
  return tell(job, await job.accounts.setRole(email, role), `The role is ${role}`)
}

async function disable(job: Job): Promise<number> {
  return tell(job, await job.accounts.setDisabled(emailOf(job.args), true), 'The account is disabled')
}

function emailOf({ positional: [, email] }: Arguments): string {
  if (email === undefined) throw new StartError('E-mail is missing', WRONG_USAGE)
  return email
}

function tell({ args, io }: Job, account: ApiRecord, text: string): number {
  if (args.options['json'] === true) printJson(account, io)
  else io.stdout(`${text}\n`)
  return 0
}
