// `hipflask access`: who may do what with which resource, as the rules say.
import { decide, type Ownership } from '../access/authorize.ts'
import { ANONYMOUS, type Principal } from '../access/principal.ts'
import { resourcesOf } from '../app.ts'
import type { ResourceDefinition } from '../rest/resource.ts'
import type { Action } from '../sdk.ts'
import { configOf, JSON_OPTION, printJson, type Command } from './command.ts'
import { printTable } from './table.ts'

type Answer = 'yes' | 'no' | 'some' | 'error'
type Row = { resource: string; action: Action } & Record<(typeof CALLERS)[number]['name'], Answer>

const USER: Principal = {
  ...ANONYMOUS,
  kind: 'user',
  id: '00000000-0000-7000-8000-000000000000',
  role: 'user',
  email: 'user@example.com',
}
const CALLERS = [
  { name: 'anonymous', principal: ANONYMOUS, ownership: 'not theirs' },
  { name: 'user', principal: USER, ownership: 'not theirs' },
  { name: 'owner', principal: USER, ownership: 'theirs' },
  { name: 'admin', principal: { ...USER, role: 'admin' }, ownership: 'not theirs' },
] as const satisfies readonly { name: string; principal: Principal; ownership: Ownership }[]
const ACTIONS: readonly Action[] = ['list', 'read', 'create', 'update', 'delete']

export const access: Command = {
  name: 'access',
  summary: 'Print who may do what: resource, action, and each kind of caller',
  examples: [
    { line: 'hipflask access', does: 'print the matrix; "some": the records that a rule answers with' },
    { line: 'hipflask access --json', does: 'the same for a program' },
  ],
  options: [JSON_OPTION],
  run: async (args, io) => {
    const { config, origins } = configOf(args, io)
    const rows = (await resourcesOf(config, origins)).flatMap(rowsOf)
    if (args.options.json === true) printJson(rows, io)
    else printTable(rows, ['resource', 'action', ...CALLERS.map(({ name }) => name)], io)
    return 0
  },
}

function rowsOf({ name, access: rules }: ResourceDefinition): Row[] {
  return ACTIONS.map((action) => {
    const answers = CALLERS.map(({ name: caller, principal, ownership }) => [
      caller,
      answerOf(() => decide({ rule: rules[action], principal, action, ownership })),
    ])
    return { resource: name, action, ...Object.fromEntries(answers) } as Row
  })
}

function answerOf(ask: () => ReturnType<typeof decide>): Answer {
  try {
    const decision = ask()
    return decision === 'allow' ? 'yes' : decision === 'deny' ? 'no' : 'some'
  } catch {
    // A rule of the user's own that throws; serve answers 500 there.
    return 'error'
  }
}
