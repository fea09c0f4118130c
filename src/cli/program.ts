// The command line: which commands there are, their help, and how a failure becomes a message and an exit code.
import { Command as Parser, CommanderError, Option } from 'commander'
import { nearest } from '../core/nearest.ts'
import { OIDC_PARTS, oidcVariable } from '../config/oidc.ts'
import {
  describeFallback,
  flagOf,
  settingNames,
  settingOf,
  variableOf,
  type SettingName,
} from '../config/settings.ts'
import { StartError } from '../core/errors.ts'
import { version as VERSION } from '../core/version.ts'
import { access } from './access.ts'
import { backup } from './backup.ts'
import type { Command, Example, Io } from './command.ts'
import { config } from './config.ts'
import { exportCommand } from './export.ts'
import { health } from './health.ts'
import { importCommand } from './import.ts'
import { init } from './init.ts'
import { key } from './key.ts'
import { keys } from './keys.ts'
import { migrate } from './migrate.ts'
import { openapi } from './openapi.ts'
import { restore } from './restore.ts'
import { serve } from './serve.ts'
import { endStartUp } from './start-up.ts'
import { user } from './user.ts'
import { version } from './version.ts'

/** In the order of help. */
const COMMANDS: readonly Command[] = [
  serve,
  init,
  migrate,
  openapi,
  access,
  importCommand,
  exportCommand,
  backup,
  restore,
  user,
  key,
  keys,
  config,
  health,
  version,
]

const WRONG_USAGE = 2
const EXAMPLES: readonly Example[] = [
  { line: 'hipflask serve', does: 'serve the resource files, or the built-in one without any' },
  { line: 'hipflask init', does: 'write a first resource' },
  { line: 'hipflask config', does: 'see every setting' },
  { line: 'hipflask help serve', does: 'learn more of a command' },
]

/**
 * Runs a command line, without the name of the program. Resolves to the exit code: 0, 1 failure, 2 wrong usage, and
 * what a StartError says. Without arguments it prints help, as people expect who try what a program does.
 */
export async function runProgram(
  argv: readonly string[],
  io: Io,
  commands: readonly Command[] = COMMANDS,
): Promise<number> {
  let exitCode = 0
  const parser = createParser(commands, io, (code) => (exitCode = code))
  try {
    await parser.parseAsync(argv.length === 0 ? ['--help'] : argv, { from: 'user' })
    return exitCode
  } catch (error) {
    return report(error, io)
  }
}

function report(error: unknown, io: Io): number {
  // Commander has printed its message.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : WRONG_USAGE
  if (error instanceof StartError) {
    io.stderr(`${error.message}\n`)
    return error.exitCode
  }
  io.stderr(`Unexpected error: ${error instanceof Error ? error.message : String(error)}\n`)
  return 1
}

function createParser(commands: readonly Command[], io: Io, finish: (exitCode: number) => void): Parser {
  const settingOptions = settingNames.filter((name) => !settingOf(name).isSecret).map(settingOption)
  const parser = new Parser('hipflask')
    .description('A REST backend in one executable: describe a resource in TypeScript, run the binary.')
    .exitOverride()
    .configureOutput({
      writeOut: io.stdout,
      writeErr: io.stderr,
      outputError: (text, write) => write(usageMessage(text, parser)),
    })
    .configureHelp({
      showGlobalOptions: true,
      visibleGlobalOptions: (command) => (command.parent === null ? [] : settingOptions),
      styleTitle: (title) => (title === 'Global Options:' ? 'Settings:' : title),
    })
    .showHelpAfterError('Try: hipflask --help')
    .showSuggestionAfterError(false)
    .helpOption('-h, --help', 'Print help')
    .version(`hipflask ${VERSION}`, '-v, --version', 'Print the version')
    .helpCommand(false)
    .addHelpText('after', '\nEvery command takes the settings as options: hipflask help config')
    .addHelpText('after', examplesText(EXAMPLES))
  for (const option of settingOptions) parser.addOption(option)
  refuseSecrets(parser)
  for (const command of commands) addCommand(parser, command, { io, finish })
  addHelpCommand(parser)
  return parser
}

function addCommand(
  parser: Parser,
  { name, summary, examples, positional = [], options = [], endsStartUp, run }: Command,
  { io, finish }: { io: Io; finish: (exitCode: number) => void },
): void {
  const child = parser.command(name).description(summary)
  child.addHelpText('after', `${variablesText()}\n${examplesText(examples)}`)
  for (const one of positional) child.argument(`[${one.name}]`, one.summary)
  for (const one of options) child.option(one.flags, one.summary)
  child.action(async () => {
    if (endsStartUp !== true) endStartUp()
    const flags: Partial<Record<SettingName, string>> = parser.opts()
    finish(await run({ positional: child.args, options: child.opts(), flags }, io))
  })
}

/** Commander's own prints the main help for a name that does not exist. */
function addHelpCommand(parser: Parser): void {
  const child = parser
    .command('help')
    .description('Print help on a command')
    .argument('[command]', 'Its name')
  child.addHelpText(
    'after',
    `${variablesText()}\n${examplesText([{ line: 'hipflask help config', does: 'as hipflask config --help' }])}`,
  )
  child.action((name?: string) => {
    if (name === undefined) return parser.help()
    const found = parser.commands.find((one) => one.name() === name)
    if (found !== undefined) return found.help()
    return parser.error(`unknown command '${name}'`)
  })
}

function settingOption(name: SettingName): Option {
  const { doc, placeholder } = settingOf(name)
  const fallback = describeFallback(name)
  const more = [variableOf(name), ...(fallback === undefined ? [] : [`default ${fallback}`])].join(', ')
  return new Option(`${flagOf(name)} <${placeholder}>`, `${doc} [${more}]`).hideHelp()
}

// A command line can be read by every user of the machine, and stays in the history of the shell.
function refuseSecrets(parser: Parser): void {
  for (const name of settingNames.filter((one) => settingOf(one).isSecret)) {
    const flag = flagOf(name)
    parser.addOption(new Option(`${flag} [value]`).hideHelp())
    parser.on(`option:${flag.slice(2)}`, () => {
      const variable = variableOf(name)
      parser.error(
        `${flag} is no option, a secret must come by ${variable} or the file that ${variable}_FILE names`,
      )
    })
  }
}

/** Commander's message in our words, with a suggestion. What follows `=` is cut: it may be a secret. */
function usageMessage(text: string, parser: Parser): string {
  const message = text.replace(/^error: /, '')
  const [, kind, given] = /^unknown (option|command) '([^]*)'\s*$/.exec(message) ?? []
  if (kind === undefined || given === undefined) return message.charAt(0).toUpperCase() + message.slice(1)
  const name = given.replace(/=[^]*/, '')
  const near = nearest(name, kind === 'command' ? parser.commands.map((one) => one.name()) : flagsOf(parser))
  if (near === name) return `Option '${name}' is one of another command\n`
  return `Unknown ${kind} '${name}'${near === undefined ? '' : `, did you mean ${near}?`}\n`
}

/** The settings that are no options, for a command line shows them to all and can't name a provider. */
function variablesText(): string {
  const secrets = settingNames.filter((name) => settingOf(name).isSecret === true)
  const described = secrets.map((name) => [variableOf(name), settingOf(name).doc] as const)
  const providers = OIDC_PARTS.map((part) => oidcVariable('<NAME>', part))
  const width = Math.max(...described.map(([variable]) => variable.length))
  const lines = [
    ...described.map(([variable, doc]) => `  ${variable.padEnd(width)}  ${doc}`),
    ...providers.map((variable) => `  ${variable}`),
  ]
  return `\nBy variable alone (a secret also by a file, which its name with _FILE behind it names):\n${lines.join('\n')}`
}

function flagsOf(parser: Parser): string[] {
  const settingFlags = settingNames.filter((name) => !settingOf(name).isSecret).map(flagOf)
  const commandFlags = parser.commands.flatMap((command) => command.options.map(({ long }) => long ?? ''))
  return ['--help', '--version', ...settingFlags, ...commandFlags]
}

function examplesText(examples: readonly Example[]): string {
  const width = Math.max(...examples.map(({ line }) => line.length))
  const lines = examples.map(({ line, does }) => `  ${line.padEnd(width)}  ${does}`)
  return `\nExamples:\n${lines.join('\n')}`
}
