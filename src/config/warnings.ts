// What is allowed in production and hardly meant, told when the server starts. What must not be at all stops the start
// in load.ts; what shows in requests alone is told by http/deployment-notices.ts.
import { variableOf, type Config, type SettingName } from './settings.ts'

/** One line for each setting, in production; none elsewhere. */
export function productionWarnings(config: Config): string[] {
  const { env, publicUrl, data, durability, loginRateLimit, rateLimit, corsOrigins, swagger } = config
  if (env !== 'production') return []
  const warnings: [boolean, SettingName, string][] = [
    [
      publicUrl === undefined,
      'publicUrl',
      'is not set: tokens do not say who issued them, and browsers are not told to use https alone',
    ],
    [
      publicUrl?.startsWith('http:') === true,
      'publicUrl',
      'is not https: passwords and tokens can be read on their way',
    ],
    [data === ':memory:', 'data', 'is :memory:, all data is lost when the server stops'],
    [durability === 'normal', 'durability', 'is normal: the latest writes can be lost in a power cut'],
    [loginRateLimit === 'off', 'loginRateLimit', 'is off: passwords can be guessed without end'],
    [rateLimit === 'off', 'rateLimit', 'is off: one client can keep this server busy for all'],
    [
      corsOrigins === '*',
      'corsOrigins',
      'is *: pages of any site may call with what their visitors gave them',
    ],
    [swagger === 'on', 'swagger', 'is on: anybody sees every route; admin shows them to administrators'],
  ]
  return warnings.filter(([holds]) => holds).map(([, name, text]) => `${variableOf(name)} ${text}`)
}
