// What a command is. Each has a file of its own; program.ts makes the command line of them.
import {
  loadConfig,
  readDotenv,
  type LoadedConfig,
  type LoadOptions,
  type Variables,
} from '../config/load.ts'
import type { SettingName } from '../config/settings.ts'
import { StartError } from '../core/errors.ts'

/** What a command reads and writes; tests give their own. */
export interface Io {
  /** Takes text as it is, line ends included. */
  stdout: (text: string) => void
  stderr: (text: string) => void
  /** Resolves when stdout takes more; for output that does not fit into memory. */
  stdoutReady?: () => Promise<void>
  /** Standard input, to be read once. */
  stdin?: () => AsyncIterable<Uint8Array>
  /** Where standard input is a terminal. */
  keyboard?: Keyboard | undefined
  /** Somebody watches stderr: it may be redrawn. */
  isTerminal?: boolean
  /** From now on output that nobody takes is dropped: a server goes on when its log's reader is gone. */
  keepGoing?: () => void
  env: Variables
  cwd: string
}

/** Somebody who types. */
export interface Keyboard {
  /** What is typed, as it comes. */
  read: () => AsyncIterable<Uint8Array>
  /** Raw: each key comes at once and is not shown, and Ctrl-C is a key. */
  setRaw: (isRaw: boolean) => void
}

/** A line for help: `hipflask serve --port 4000`, and what it does. */
export interface Example {
  line: string
  does: string
}

/** `flags` as commander has them: `--json`, or `--format <name>` with a value. */
export interface CommandOption {
  flags: `--${string}`
  summary: string
}

/** What the user gave. */
export interface Arguments {
  positional: readonly string[]
  /** The command's own options, by name in camelCase. */
  options: Readonly<Record<string, string | boolean | undefined>>
  /** Settings given as flags, unchecked. */
  flags: Partial<Record<SettingName, string>>
}

export interface Command {
  name: string
  summary: string
  examples: readonly Example[]
  /** Positional arguments, none of them required. */
  positional?: readonly { name: string; summary: string }[]
  options?: readonly CommandOption[]
  /** It tells by itself when its start is over (start-up.ts); that of the others is when they run. */
  endsStartUp?: true
  /** Resolves to the exit code. Throws StartError for a failure that the user can mend. */
  run: (args: Arguments, io: Io) => Promise<number>
}

/** What an action of a command takes: positional arguments, itself among them, and options. */
export interface ActionUsage {
  positional: number
  options: readonly string[]
}

/**
 * The action that the first positional argument names. Throws StartError (exit code 2) for another one, and for what it
 * does not take: nothing that is given is ignored.
 */
export function actionOf<A extends string>(
  { positional, options }: Arguments,
  usages: Readonly<Record<A, ActionUsage>>,
): A {
  const [action = ''] = positional
  const names = Object.keys(usages)
  if (!Object.hasOwn(usages, action)) throw new StartError(`Action must be one of: ${names.join(', ')}`, 2)
  const usage = usages[action as A]
  const strange = Object.keys(options).find((name) => name !== 'json' && !usage.options.includes(name))
  if (strange !== undefined) throw new StartError(`Option --${strange} does not belong to ${action}`, 2)
  if (positional.length > usage.positional) {
    throw new StartError(`There is an argument too many for ${action}`, 2)
  }
  return action as A
}

export const JSON_OPTION: CommandOption = { flags: '--json', summary: 'Print JSON, for programs' }

/**
 * The settings of this run, `.env` of the working folder included. Throws StartError with every fault, those that
 * `inspect` finds among them.
 */
export function configOf(
  { flags }: Arguments,
  { env, cwd }: Io,
  inspect?: NonNullable<LoadOptions['inspect']>,
): LoadedConfig {
  return loadConfig({ flags, env, dotenv: readDotenv(cwd), cwd, ...(inspect && { inspect }) })
}

/** Prints a value as JSON on stdout. */
export function printJson(value: unknown, io: Io): void {
  io.stdout(`${JSON.stringify(value, null, 2)}\n`)
}
