// Reads the settings of a run: flag, environment, .env, default, in this order. Every fault is told at once, and a
// secret's value is never part of a message.
import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { StartError, thisUser } from '../core/errors.ts'
import { backupProblems } from './backup.ts'
import { parseDotenv } from './dotenv.ts'
import { nearest } from '../core/nearest.ts'
import {
  nearestOidcVariable,
  OIDC_PARTS,
  oidcNamesOf,
  oidcProblems,
  oidcProviderOf,
  oidcVariable,
  oidcVariableOf,
} from './oidc.ts'
import {
  fallbackOf,
  flagOf,
  settingNames,
  settingOf,
  variableOf,
  type Config,
  type Environment,
  type SettingName,
} from './settings.ts'

/** Texts by name. An empty text in the environment or .env counts as not set, since many tools can't unset. */
export type Variables = Readonly<Record<string, string | undefined>>

export interface LoadOptions {
  /** By name of the setting, as given on the command line. */
  flags?: Partial<Record<SettingName, string>>
  env: Variables
  /** The text of the .env file, if there is one. */
  dotenv?: string | undefined
  /** Relative names of secret files are below it; the working folder unless given. */
  cwd?: string
  /**
   * More problems of these settings, which only a look at files or lists tells, to be told with the others. A setting
   * that is not valid is undefined here.
   */
  inspect?: (config: Partial<Config>) => readonly string[]
}

/** Where a value came from, and under which name: `--port`, `PORT`; a default has none. */
export interface Origin {
  source: 'flag' | 'environment' | '.env' | 'default'
  name?: string
}

export interface LoadedConfig {
  config: Config
  origins: Readonly<Record<SettingName, Origin>>
  /** By variable: those of `config.oidc` that are set. */
  oidcOrigins: Readonly<Record<string, Origin>>
}

/** A value before it is parsed. Without a text it could not be read, which is told already. */
interface Candidate {
  origin: Origin
  text: string | undefined
}

const PREFIX = 'HIPFLASK_'
const KNOWN_NAMES = settingNames.flatMap((name) =>
  settingOf(name).isSecret === true ? [variableOf(name), `${variableOf(name)}_FILE`] : [variableOf(name)],
)
const PAIRS = [
  ['adminEmail', 'adminPassword'],
  ['tlsCert', 'tlsKey'],
] as const satisfies readonly (readonly [SettingName, SettingName])[]
/** A line that was meant to set something: `HIPFLASK_ENV: production`. */
const STRAY_SETTING = /^\s*(?:export\s+)?["']?HIPFLASK/
const DOTENV_BYTES_MAX = 64 * 1024
const SECRET_FILE_BYTES_MAX = 4096

/**
 * The settings of a run, each with its origin. Throws StartError that lists every fault: exit code 2 where a flag is
 * among them, else 1.
 */
export function loadConfig({
  flags = {},
  env,
  dotenv = '',
  cwd = '.',
  inspect = () => [],
}: LoadOptions): LoadedConfig {
  const problems: string[] = []
  const { entries, strays } = parseDotenv(dotenv)
  // Without the line itself, which may hold a secret.
  for (const { line } of strays.filter(({ text }) => STRAY_SETTING.test(text))) {
    problems.push(`Line ${line} of .env begins as a setting, but is not of the form ${PREFIX}NAME=value`)
  }
  const fileEntries = entries.filter(({ name }) => name.startsWith(PREFIX) || name === 'PORT')
  for (const { name, value } of fileEntries) {
    if (value === undefined) problems.push(`${name} in .env has a quote that is not closed on its line`)
  }
  const file = Object.fromEntries(fileEntries.map(({ name, value }) => [name, value ?? '']))
  problems.push(...unknownNames(env, ''), ...unknownNames(file, ' in .env'))

  const sources = [
    { source: 'environment', variables: env, where: '' },
    { source: '.env', variables: file, where: ' in .env' },
  ] as const
  const findIn = (wanted: Wanted): Candidate | undefined => {
    for (const { source, variables, where } of sources) {
      const found = findVariable(wanted, variables, { where, cwd, problems })
      if (found !== undefined) return { origin: { source, name: found.name }, text: found.text }
    }
    return undefined
  }
  const find = (name: SettingName): Candidate | undefined => {
    const flag = flags[name]
    if (flag !== undefined) return { origin: { source: 'flag', name: flagOf(name) }, text: flag }
    return findIn({ variable: variableOf(name), isSecret: settingOf(name).isSecret === true })
  }

  const given = new Map(settingNames.map((name) => [name, find(name)]))
  const environment = (settingOf('env').parse(given.get('env')?.text ?? '') ?? 'development') as Environment
  const config: Record<string, unknown> = {}
  const origins: Record<string, Origin> = {}
  for (const [name, candidate] of given) {
    origins[name] = candidate?.origin ?? { source: 'default' }
    config[name] = valueOf(name, { candidate, environment, problems })
  }
  const isGiven = (name: SettingName) => given.get(name) !== undefined
  problems.push(...keyProblems(config as Partial<Config>, isGiven))
  for (const [one, other] of PAIRS) {
    if (isGiven(one) === isGiven(other)) continue
    problems.push(`${variableOf(one)} and ${variableOf(other)} must be set together`)
  }
  const { oidc, oidcOrigins } = findProviders([...Object.keys(env), ...Object.keys(file)], findIn, problems)
  config['oidc'] = oidc
  problems.push(...oidcProblems(config as Config), ...backupProblems(config as Config))
  problems.push(...inspect(config as Partial<Config>))
  if (problems.length > 0) throw faults(problems)
  return { config: config as Config, origins: origins as LoadedConfig['origins'], oidcOrigins }
}

function findProviders(
  variables: readonly string[],
  find: (wanted: Wanted) => Candidate | undefined,
  problems: string[],
): Pick<LoadedConfig, 'oidcOrigins'> & Pick<Config, 'oidc'> {
  const oidcOrigins: Record<string, Origin> = {}
  const oidc = oidcNamesOf(variables).flatMap((name) => {
    const found = OIDC_PARTS.map((part) => {
      const variable = oidcVariable(name, part)
      return [part, variable, find({ variable, isSecret: part === 'CLIENT_SECRET' })] as const
    }).filter(([, , candidate]) => candidate !== undefined)
    for (const [, variable, candidate] of found) oidcOrigins[variable] = candidate!.origin
    const texts = Object.fromEntries(found.map(([part, , candidate]) => [part, candidate!.text]))
    // Where all of them are empty there is no such provider.
    return found.length === 0 ? [] : [oidcProviderOf(name, texts, problems)]
  })
  return { oidc, oidcOrigins }
}

/**
 * The text of the folder's .env file; undefined where there is none, or a folder of that name. Throws StartError where
 * it can't be read.
 */
export function readDotenv(folder: string): string | undefined {
  const file = resolve(folder, '.env')
  try {
    if (statSync(file, { throwIfNoEntry: false })?.isFile() !== true) return undefined
    return readBounded(file, DOTENV_BYTES_MAX)
  } catch (error) {
    throw new StartError('.env in the working folder must be a readable file of at most 64 KiB', 1, error)
  }
}

interface Wanted {
  variable: string
  /** It may come from a file. */
  isSecret: boolean
}

function findVariable(
  { variable, isSecret }: Wanted,
  variables: Variables,
  { where, cwd, problems }: { where: string; cwd: string; problems: string[] },
): { name: string; text: string | undefined } | undefined {
  const plain = variables[variable]
  const fromFile = isSecret ? variables[`${variable}_FILE`] : undefined
  if (plain && fromFile) {
    problems.push(`${variable} and ${variable}_FILE${where} are both set, only one of them may be`)
  }
  if (plain) return { name: variable, text: plain }
  if (fromFile) return { name: `${variable}_FILE`, text: readSecret() }
  // Platforms tell an application its port so.
  const isPort = variable === variableOf('port')
  return isPort && variables['PORT'] ? { name: 'PORT', text: variables['PORT'] } : undefined

  function readSecret(): string | undefined {
    try {
      return readBounded(resolve(cwd, fromFile!), SECRET_FILE_BYTES_MAX).replace(/\r?\n$/, '')
    } catch (error) {
      // Without the name of the file: who mistakes the variable puts the secret itself there.
      problems.push(
        `${variable}_FILE${where} must name a readable file of at most ${SECRET_FILE_BYTES_MAX} bytes: ${reasonOf(error)}`,
      )
      return undefined
    }
  }
}

function valueOf(
  name: SettingName,
  {
    candidate,
    environment,
    problems,
  }: { candidate: Candidate | undefined; environment: Environment; problems: string[] },
): unknown {
  const { parse, expected } = settingOf(name)
  const text = candidate === undefined ? fallbackOf(name, environment) : candidate.text
  if (text === undefined) return undefined
  const value = parse(text)
  if (value === undefined && candidate !== undefined) {
    const where = candidate.origin.source === '.env' ? ' in .env' : ''
    problems.push(`${candidate.origin.name}${where} must be ${expected}`)
  }
  return value
}

/** What signs tokens must fit their algorithm; what would not be used is not ignored. */
function keyProblems({ jwtAlgorithm }: Partial<Config>, isGiven: (name: SettingName) => boolean): string[] {
  if (jwtAlgorithm === undefined) return []
  const [algorithm, secret, file] = (['jwtAlgorithm', 'jwtSecret', 'jwtKeyFile'] as const).map(variableOf)
  const chosen = `${algorithm} ${jwtAlgorithm}`
  if (jwtAlgorithm === 'HS256') {
    return [
      ...(isGiven('jwtSecret') ? [] : [`${chosen} needs ${secret} or ${secret}_FILE`]),
      ...(isGiven('jwtKeyFile') ? [`${file} is not used by ${chosen}, take it away`] : []),
    ]
  }
  return [
    ...(jwtAlgorithm === 'EdDSA' || isGiven('jwtKeyFile') ? [] : [`${chosen} needs ${file}`]),
    ...(isGiven('jwtSecret') ? [`${secret} is not used by ${chosen}, take it away or choose HS256`] : []),
  ]
}

function unknownNames(variables: Variables, where: string): string[] {
  return Object.keys(variables)
    .filter(
      (name) => name.startsWith(PREFIX) && !KNOWN_NAMES.includes(name) && oidcVariableOf(name) === undefined,
    )
    .map((name) => `${name}${where} is not a setting, ${remedyFor(name)}`)
}

function remedyFor(name: string): string {
  const plain = name.replace(/_FILE$/, '')
  const isKnown = KNOWN_NAMES.includes(plain) || oidcVariableOf(plain) !== undefined
  if (plain !== name && isKnown) return 'only secrets may come from a file'
  const word = name.slice(PREFIX.length)
  const oidc = nearestOidcVariable(name)?.slice(PREFIX.length)
  const near = nearest(word, [
    ...KNOWN_NAMES.map((known) => known.slice(PREFIX.length)),
    ...(oidc === undefined ? [] : [oidc]),
  ])
  return near === undefined ? 'hipflask help config lists those there are' : `did you mean ${PREFIX}${near}?`
}

function faults(problems: readonly string[]): StartError {
  const lines = problems.map((problem) => `\n  ${problem}`).join('')
  const isUsage = problems.some((problem) => problem.startsWith('--'))
  return new StartError(`Settings are not valid:${lines}`, isUsage ? 2 : 1)
}

/** Why `readBounded` gave nothing, in words that do not tell the file. */
function reasonOf(error: unknown): string {
  if (error instanceof RangeError) return 'it is longer'
  const { code = 'unknown error' } = error as NodeJS.ErrnoException
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file'
  if (code === 'EACCES' || code === 'EPERM') return `${thisUser()} may not read it`
  return code === 'EISDIR' ? 'it is a folder' : `it can't be read (${code})`
}

/** Reads pipes too: a shell gives a secret by <(command). Throws a RangeError where there is more. */
export function readBounded(file: string, bytesMax: number): string {
  const buffer = Buffer.alloc(bytesMax + 1)
  const descriptor = openSync(file, 'r')
  try {
    let length = 0
    for (let count = -1; count !== 0 && length < buffer.length; length += count) {
      count = readSync(descriptor, buffer, length, buffer.length - length, null)
    }
    if (length > bytesMax) throw new RangeError(`File is longer than ${bytesMax} bytes`)
    return buffer.toString('utf8', 0, length)
  } finally {
    closeSync(descriptor)
  }
}
