// The one table of settings: what each is called, what it may be, what it is unless set. It reads nothing; load.ts
// does. A setting appears here together with the feature that it serves.
import type { LogLevel, LoggerOptions } from '../core/logger.ts'
import { HOSTS_EXPECTED, isHost, parseEmail, parseHosts, parsePublicUrl } from './addresses.ts'
import { backupSettings } from './backup.ts'
import { NETWORKS_EXPECTED, parseNetworks } from './networks.ts'
import {
  parseRedirects,
  parseTrustedIssuers,
  REDIRECTS_EXPECTED,
  TRUSTED_ISSUERS_EXPECTED,
  type OidcProvider,
} from './oidc.ts'
import { ORIGINS_EXPECTED, parseCorsOrigins } from './origins.ts'
import { parseRate, RATE_EXPECTED } from './rate.ts'
import { SECRET_BYTES_MIN, isStrongSecret } from './secrets.ts'

export type Environment = 'development' | 'staging' | 'production'

/** One setting. `T` is the type of its value. */
export interface Setting<T> {
  /** One line for help and .env.example. */
  doc: string
  /** What a value must be, as the end of "HIPFLASK_PORT must be …". */
  expected: string
  /** Names the value in help: `--port <number>`. */
  placeholder: string
  /** The value of a text, or undefined where it is not valid. */
  parse: (text: string) => T | undefined
  /** The value unless set, as text; absent where there is none. */
  fallback?: string | Readonly<Record<Environment, string>>
  /** Never printed, no flag (others could read the command line), and may come from a file. */
  isSecret?: boolean
}

const PATH_LENGTH_MAX = 4096
const PASSWORD_LENGTH_MIN = 8
const PASSWORD_LENGTH_MAX = 256
const BODY_LIMIT_MIN = 1024
const BODY_LIMIT_MAX = 64 * 1024 * 1024
/** No access token lives longer. */
export const ACCESS_TOKEN_SECONDS_MAX = 86_400
const REFRESH_TOKEN_SECONDS_MAX = 31_536_000
const REFRESH_GRACE_SECONDS_MAX = 300
const SESSION_SECONDS_MAX = 315_360_000
const DRAIN_SECONDS_MAX = 60
const BYTES_OF_UNIT = { B: 1, KiB: 1024, MiB: 1024 * 1024 } as const

const ENVIRONMENTS = ['development', 'staging', 'production'] as const satisfies readonly Environment[]
const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const satisfies readonly LogLevel[]
const LOG_FORMATS = ['pretty', 'json'] as const satisfies readonly LoggerOptions['format'][]

/** Every setting, by its name in `Config`: `bodyLimit` is HIPFLASK_BODY_LIMIT and --body-limit. */
export const settings = {
  env: choice(ENVIRONMENTS, {
    doc: 'What this server is for, which chooses defaults',
    placeholder: 'name',
    fallback: 'development',
  }),
  host: {
    doc: 'Address to listen on',
    expected: 'an IP address (IPv6 without brackets) or a host name',
    placeholder: 'host',
    parse: (text) => (isHost(text) ? text : undefined),
    fallback: { development: '127.0.0.1', staging: '0.0.0.0', production: '0.0.0.0' },
  },
  port: {
    doc: 'Port to listen on; 0 takes a free one',
    expected: 'a whole number from 0 to 65535',
    placeholder: 'number',
    parse: (text) => wholeNumber(text, 0, 65_535),
    fallback: '3000',
  },
  data: {
    doc: 'Folder of the database; :memory: for throw-away servers',
    expected: 'the name of a folder, or :memory:',
    placeholder: 'folder',
    parse: path,
    fallback: './data',
  },
  resources: {
    doc: 'Folder of the resource files',
    expected: 'the name of a folder',
    placeholder: 'folder',
    parse: path,
    fallback: './resources',
  },
  publicUrl: {
    doc: 'Address that clients use, such as https://api.example.com',
    expected: 'an http or https address without user, path, query or fragment',
    placeholder: 'url',
    parse: parsePublicUrl,
  },
  allowedHosts: {
    doc: 'Host names to answer for, separated by commas; all unless set',
    expected: HOSTS_EXPECTED,
    placeholder: 'hosts',
    parse: parseHosts,
  },
  tlsCert: {
    doc: 'PEM file of the certificate for https, its own first, then those that lead to its root',
    expected: 'the name of a PEM file',
    placeholder: 'file',
    parse: keyFile,
  },
  tlsKey: {
    doc: 'PEM file of the private key that belongs to the certificate',
    expected: 'the name of a PEM file',
    placeholder: 'file',
    parse: keyFile,
  },
  logLevel: choice(LOG_LEVELS, {
    doc: 'Least level of the lines to log',
    placeholder: 'level',
    fallback: 'info',
  }),
  logFormat: choice(LOG_FORMATS, {
    doc: 'Form of log lines',
    placeholder: 'form',
    fallback: { development: 'pretty', staging: 'json', production: 'json' },
  }),
  bodyLimit: {
    doc: 'Largest request body, 1KiB to 64MiB',
    expected: 'a size from 1KiB to 64MiB, such as 512KiB or 1MiB',
    placeholder: 'size',
    parse: size,
    fallback: '1MiB',
  },
  rateLimit: {
    doc: 'Requests of an account, or of a network without one: 100/10s, 5/1m or off',
    expected: RATE_EXPECTED,
    placeholder: 'rate',
    parse: parseRate,
    fallback: { development: 'off', staging: 'off', production: '100/10s' },
  },
  corsOrigins: {
    doc: 'Origins whose pages may call, separated by commas; loopback for those of this machine, * for all, or off',
    expected: ORIGINS_EXPECTED,
    placeholder: 'origins',
    parse: parseCorsOrigins,
    fallback: { development: 'loopback', staging: 'off', production: 'off' },
  },
  swagger: choice(['on', 'off', 'admin'] as const, {
    doc: 'Who sees Swagger UI and the API document',
    placeholder: 'mode',
    fallback: { development: 'on', staging: 'on', production: 'off' },
  }),
  accessTokenSeconds: seconds(1, ACCESS_TOKEN_SECONDS_MAX, {
    doc: 'Seconds that an access token is good for',
    fallback: '900',
  }),
  refreshTokenSeconds: seconds(1, REFRESH_TOKEN_SECONDS_MAX, {
    doc: 'Seconds that a refresh token is good for, and so an idle session',
    fallback: '2592000',
  }),
  refreshGraceSeconds: seconds(0, REFRESH_GRACE_SECONDS_MAX, {
    doc: 'Seconds in which a repeated refresh gets the same tokens; 0 for none',
    fallback: '10',
  }),
  sessionSeconds: seconds(1, SESSION_SECONDS_MAX, {
    doc: 'Seconds that a session lives at most, however often it is refreshed',
    fallback: '7776000',
  }),
  jwtAlgorithm: choice(['EdDSA', 'ES256', 'RS256', 'HS256'] as const, {
    doc: 'How access tokens are signed',
    placeholder: 'name',
    fallback: 'EdDSA',
  }),
  jwtSecret: {
    doc: 'Secret that signs access tokens with HS256',
    expected: `at least ${SECRET_BYTES_MIN} bytes that nobody can guess, such as what openssl rand -base64 48 prints`,
    placeholder: 'secret',
    parse: (text) => (isStrongSecret(text) ? text : undefined),
    isSecret: true,
  },
  jwtKeyFile: {
    doc: 'PEM file of private keys, the first of which signs access tokens, instead of those in the data folder',
    expected: 'the name of a PEM file',
    placeholder: 'file',
    parse: keyFile,
  },
  registration: choice(['open', 'closed'] as const, {
    doc: 'Whether anybody may register',
    placeholder: 'mode',
    fallback: { development: 'open', staging: 'open', production: 'closed' },
  }),
  loginRateLimit: {
    doc: 'Failed logins of an account, five times as many of a network: 10/15m, 5/1h or off',
    expected: RATE_EXPECTED,
    placeholder: 'rate',
    parse: parseRate,
    fallback: '10/15m',
  },
  trustProxy: {
    doc: 'Proxies whose X-Forwarded-For is believed: addresses, networks or loopback',
    expected: NETWORKS_EXPECTED,
    placeholder: 'networks',
    parse: parseNetworks,
  },
  adminEmail: {
    doc: 'E-mail of the first administrator, who is made while there is none',
    expected: 'an e-mail address',
    placeholder: 'email',
    parse: parseEmail,
  },
  adminPassword: {
    doc: 'Password of the first administrator',
    expected: `${PASSWORD_LENGTH_MIN} to ${PASSWORD_LENGTH_MAX} characters`,
    placeholder: 'password',
    parse: password,
    isSecret: true,
  },
  oidcRedirects: {
    doc: 'Addresses that a sign-in at a provider may end at, separated by commas',
    expected: REDIRECTS_EXPECTED,
    placeholder: 'urls',
    parse: parseRedirects,
  },
  trustedIssuers: {
    doc: 'Issuers whose access tokens are taken, each with its audience, separated by commas',
    expected: TRUSTED_ISSUERS_EXPECTED,
    placeholder: 'pairs',
    parse: parseTrustedIssuers,
  },
  durability: choice(['full', 'normal'] as const, {
    doc: 'Whether writes outlive a power cut, or are faster',
    placeholder: 'mode',
    fallback: 'full',
  }),
  drainSeconds: seconds(0, DRAIN_SECONDS_MAX, {
    doc: 'Seconds that a stopping server still takes requests, so that balancers notice',
    fallback: { development: '0', staging: '1', production: '1' },
  }),
  ...backupSettings,
} satisfies Record<string, Setting<unknown>>

export type SettingName = keyof typeof settings

type ValueOf<S> = S extends { fallback: string | object; parse: (text: string) => infer T }
  ? Exclude<T, undefined>
  : S extends { parse: (text: string) => infer T }
    ? T
    : never

/** The settings of a run. Those without a default are undefined unless set. `bodyLimit` is in bytes. */
export type Config = { readonly [N in SettingName]: ValueOf<(typeof settings)[N]> } & {
  /** Of variables that hold the name of a provider, and are in no table. */
  readonly oidc: readonly OidcProvider[]
}

/** Every name, in the order of the table. */
export const settingNames = Object.keys(settings) as SettingName[]

/** The setting of this name with the type of its value forgotten. */
export function settingOf(name: SettingName): Setting<unknown> {
  return settings[name]
}

/** `bodyLimit` → `HIPFLASK_BODY_LIMIT` */
export function variableOf(name: SettingName): string {
  return `HIPFLASK_${name.replace(/[A-Z]/g, '_$&').toUpperCase()}`
}

/** `bodyLimit` → `--body-limit` */
export function flagOf(name: SettingName): string {
  return `--${name.replace(/[A-Z]/g, '-$&').toLowerCase()}`
}

/** The text that stands for a setting which is not set, if it has one. */
export function fallbackOf(name: SettingName, environment: Environment): string | undefined {
  const { fallback } = settingOf(name)
  return typeof fallback === 'object' ? fallback[environment] : fallback
}

/** The default for people: `3000`, or `127.0.0.1 (0.0.0.0 in staging, production)`. */
export function describeFallback(name: SettingName): string | undefined {
  const usual = fallbackOf(name, 'development')
  const others = Map.groupBy(
    ENVIRONMENTS.filter((environment) => fallbackOf(name, environment) !== usual),
    (environment) => fallbackOf(name, environment),
  )
  const rest = [...others].map(([value, environments]) => `${value} in ${environments.join(', ')}`)
  return rest.length === 0 ? usual : `${usual} (${rest.join('; ')})`
}

function choice<const V extends string>(
  values: readonly V[],
  {
    doc,
    placeholder,
    fallback,
  }: Pick<Setting<V>, 'doc' | 'placeholder'> & Required<Pick<Setting<V>, 'fallback'>>,
) {
  const expected = `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`
  return {
    doc: `${doc}: ${expected}`,
    expected,
    placeholder,
    parse: (text: string) => values.find((value) => value === text),
    fallback,
  }
}

function seconds(
  minimum: number,
  maximum: number,
  { doc, fallback }: Required<Pick<Setting<number>, 'doc' | 'fallback'>>,
) {
  return {
    doc,
    expected: `a whole number from ${minimum} to ${maximum}`,
    placeholder: 'number',
    parse: (text: string) => wholeNumber(text, minimum, maximum),
    fallback,
  }
}

function wholeNumber(text: string, minimum: number, maximum: number): number | undefined {
  if (!/^(0|[1-9][0-9]{0,14})$/.test(text)) return undefined
  const value = Number(text)
  return value >= minimum && value <= maximum ? value : undefined
}

function size(text: string): number | undefined {
  const match = /^([1-9][0-9]{0,8})(B|KiB|MiB)?$/.exec(text)
  if (match === null) return undefined
  const bytes = Number(match[1]) * BYTES_OF_UNIT[(match[2] ?? 'B') as keyof typeof BYTES_OF_UNIT]
  return bytes >= BODY_LIMIT_MIN && bytes <= BODY_LIMIT_MAX ? bytes : undefined
}

function path(text: string): string | undefined {
  // An address of a database (`postgres://…`) would become a folder, its password included.
  return text !== '' && text.length <= PATH_LENGTH_MAX && !/\0|:\/\//.test(text) ? text : undefined
}

// Who mistakes it for the key itself must not find that printed by `hipflask config`.
function keyFile(text: string): string | undefined {
  return /[\r\n]|-----BEGIN/.test(text) ? undefined : path(text)
}

function password(text: string): string | undefined {
  const { length } = [...text.normalize('NFC')]
  return length >= PASSWORD_LENGTH_MIN && length <= PASSWORD_LENGTH_MAX ? text : undefined
}
