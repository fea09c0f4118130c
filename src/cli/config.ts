// `hipflask config`: every setting with its value and where it comes from. A secret is masked.
import type { LoadedConfig, Origin } from '../config/load.ts'
import { OIDC_PARTS, oidcVariable } from '../config/oidc.ts'
import { settingNames, settingOf, variableOf, type SettingName } from '../config/settings.ts'
import { configOf, JSON_OPTION, printJson, type Command } from './command.ts'
import { administratorProblems } from './first-administrator.ts'

const MASK = '********'

export const config: Command = {
  name: 'config',
  summary: 'Print every setting, its value and its origin',
  examples: [
    { line: 'hipflask config', does: 'what a server started here would use' },
    { line: 'hipflask config --env production --json', does: 'the defaults of production, for programs' },
  ],
  options: [JSON_OPTION],
  async run(args, io) {
    const loaded = configOf(args, io, administratorProblems)
    if (args.options['json'] === true) printJson(forPrograms(loaded), io)
    else io.stdout(forPeople(loaded))
    return 0
  },
}

interface ShownSetting {
  variable: string
  value: unknown
  origin: Origin
}

function forPrograms(loaded: LoadedConfig): object {
  return Object.fromEntries(
    shownOf(loaded).map(({ variable, value, origin }) => [
      variable,
      { value: value ?? null, origin: origin.source, name: origin.name ?? null },
    ]),
  )
}

function forPeople(loaded: LoadedConfig): string {
  const rows = shownOf(loaded).map(
    ({ variable, value, origin }) =>
      [variable, value === undefined ? '-' : String(value), describeOrigin(origin)] as const,
  )
  const nameWidth = Math.max(...rows.map(([name]) => name.length))
  const valueWidth = Math.max(...rows.map(([, value]) => value.length))
  return rows
    .map(([name, value, origin]) => `${name.padEnd(nameWidth)}  ${value.padEnd(valueWidth)}  ${origin}\n`)
    .join('')
}

function shownOf({ config: values, origins, oidcOrigins }: LoadedConfig): ShownSetting[] {
  const ofTable = settingNames.map((name) => ({
    variable: variableOf(name),
    value: masked(name, values[name]),
    origin: origins[name],
  }))
  const ofProviders = values.oidc.flatMap(({ name, issuer, clientId, clientSecret, scopes, label }) => {
    const secret = clientSecret === undefined ? undefined : MASK
    return [issuer, clientId, secret, scopes, label].map((value, at) => {
      const variable = oidcVariable(name, OIDC_PARTS[at]!)
      return { variable, value, origin: oidcOrigins[variable] ?? ({ source: 'default' } as const) }
    })
  })
  return [...ofTable, ...ofProviders]
}

function masked(name: SettingName, value: unknown): unknown {
  return settingOf(name).isSecret === true && value !== undefined ? MASK : value
}

function describeOrigin({ source, name }: Origin): string {
  return name === undefined ? source : `${source} (${name})`
}
