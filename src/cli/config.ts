// `hipflask config`: every setting with its value and where it comes from. A secret is masked.
import type { LoadedConfig, Origin } from '../config/load.ts'
import { settingNames, settingOf, variableOf, type SettingName } from '../config/settings.ts'
import { configOf, JSON_OPTION, printJson, type Command } from './command.ts'

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
    const loaded = configOf(args, io)
    if (args.options['json'] === true) printJson(forPrograms(loaded), io)
    else io.stdout(forPeople(loaded))
    return 0
  },
}

function forPrograms({ config, origins }: LoadedConfig): object {
  return Object.fromEntries(
    settingNames.map((name) => [
      variableOf(name),
      {
        value: masked(name, config[name]) ?? null,
        origin: origins[name].source,
        name: origins[name].name ?? null,
      },
    ]),
  )
}

function forPeople({ config, origins }: LoadedConfig): string {
  const rows = settingNames.map((name) => {
    const value = masked(name, config[name])
    return [
      variableOf(name),
      value === undefined ? '-' : String(value),
      describeOrigin(origins[name]),
    ] as const
  })
  const nameWidth = Math.max(...rows.map(([name]) => name.length))
  const valueWidth = Math.max(...rows.map(([, value]) => value.length))
  return rows
    .map(([name, value, origin]) => `${name.padEnd(nameWidth)}  ${value.padEnd(valueWidth)}  ${origin}\n`)
    .join('')
}

function masked(name: SettingName, value: unknown): unknown {
  return settingOf(name).isSecret === true && value !== undefined ? MASK : value
}

function describeOrigin({ source, name }: Origin): string {
  return name === undefined ? source : `${source} (${name})`
}
