// The settings of OpenID providers, whose names hold the provider's: HIPFLASK_OIDC_AUTH0_ISSUER; and those of the
// addresses and issuers that belong to them. It reads texts that load.ts has found, and says what is wrong with them.
import { nearest } from '../core/nearest.ts'

/** A provider to sign in at. */
export interface OidcProvider {
  /** As in the path: `auth0` of HIPFLASK_OIDC_AUTH0_ISSUER. */
  name: string
  issuer: string
  clientId: string
  clientSecret: string | undefined
  /** Separated by spaces. */
  scopes: string
  label: string
}

/** What a provider's settings are called behind its name, and one line on each for README.md and .env.example. */
export const oidcDocs = {
  ISSUER: 'Its address, as it names itself; https, or http of this machine outside production',
  CLIENT_ID: 'What it has given to this server',
  CLIENT_SECRET: 'The same; …_FILE reads it from a file. Without one the client is public (PKCE alone)',
  SCOPES: 'What is asked for: openid email profile unless set',
  LABEL: 'What a button says: the name unless set',
} as const

export type OidcPart = keyof typeof oidcDocs
export const OIDC_PARTS = Object.keys(oidcDocs) as readonly OidcPart[]

/** A setting of a provider. */
export interface OidcVariable {
  provider: string
  part: OidcPart
  /** Its text is the name of a file that holds the value. */
  isFile: boolean
}

const VARIABLE =
  /^HIPFLASK_OIDC_([A-Z0-9]{1,30}(?:_[A-Z0-9]{1,30}){0,3})_(ISSUER|CLIENT_ID|CLIENT_SECRET|SCOPES|LABEL)(_FILE)?$/
const PREFIX = 'HIPFLASK_OIDC_'
const SEGMENTS_MAX = 5
const DEFAULT_SCOPES = 'openid email profile'
const TEXT_LENGTH_MAX = 500
/** An OAuth scope (RFC 6749, 3.3). */
const SCOPE = /^[\u0021\u0023-\u005b\u005d-\u007e]+$/

/** Reads the name of a variable; undefined where it is none of a provider. Only the secret may come from a file. */
export function oidcVariableOf(variable: string): OidcVariable | undefined {
  const [, name, part, file] = VARIABLE.exec(variable) ?? []
  if (name === undefined || part === undefined) return undefined
  const isFile = file !== undefined
  if (isFile && part !== 'CLIENT_SECRET') return undefined
  return { provider: name.toLowerCase(), part: part as OidcPart, isFile }
}

/** The names of the providers that variables are of, in the order of the alphabet. */
export function oidcNamesOf(variables: readonly string[]): string[] {
  const names = variables.flatMap((variable) => oidcVariableOf(variable)?.provider ?? [])
  return [...new Set(names)].toSorted()
}

/** The variable that a misspelt one most likely means; undefined if none is near. */
export function nearestOidcVariable(variable: string): string | undefined {
  if (!variable.startsWith(PREFIX)) return undefined
  const segments = variable.slice(PREFIX.length).toLowerCase().split('_').slice(0, SEGMENTS_MAX)
  const names = segments.map((_, at) => segments.slice(0, at + 1).join('_'))
  const candidates = names.flatMap((name) => OIDC_PARTS.map((part) => oidcVariable(name, part)))
  const near = nearest(
    variable.slice(PREFIX.length),
    candidates.filter((one) => oidcVariableOf(one) !== undefined).map((one) => one.slice(PREFIX.length)),
  )
  return near === undefined ? undefined : PREFIX + near
}

/** `HIPFLASK_OIDC_AUTH0_ISSUER` */
export function oidcVariable(provider: string, part: OidcPart): string {
  return `HIPFLASK_OIDC_${provider.toUpperCase()}_${part}`
}

/** The provider of these texts. What is wrong goes to `problems`, which never quote a value. */
export function oidcProviderOf(
  name: string,
  texts: Readonly<Partial<Record<OidcPart, string>>>,
  problems: string[],
): OidcProvider {
  const { ISSUER, CLIENT_ID, CLIENT_SECRET, SCOPES = DEFAULT_SCOPES, LABEL = labelOf(name) } = texts
  const check = (part: OidcPart, isRight: boolean, expected: string) => {
    if (!isRight) problems.push(`${oidcVariable(name, part)} must be ${expected}`)
  }
  check(
    'ISSUER',
    isIssuer(ISSUER),
    'the https address of the provider (http for loopback), as it names itself',
  )
  check('CLIENT_ID', isText(CLIENT_ID), 'the id that the provider has given to this application')
  check('CLIENT_SECRET', CLIENT_SECRET === undefined || isText(CLIENT_SECRET), 'a text of one line')
  const scopes = SCOPES.split(' ').filter((scope) => scope !== '')
  const areScopes = scopes.includes('openid') && scopes.every((scope) => SCOPE.test(scope))
  check(
    'SCOPES',
    areScopes && SCOPES.length <= TEXT_LENGTH_MAX,
    'scopes separated by spaces, openid among them',
  )
  check('LABEL', isText(LABEL), 'a text of one line')
  return {
    name,
    issuer: ISSUER ?? '',
    clientId: CLIENT_ID ?? '',
    clientSecret: CLIENT_SECRET,
    scopes: scopes.join(' '),
    label: LABEL,
  }
}

const LIST_MAX = 100
const URL_LENGTH_MAX = 2048

/** What HIPFLASK_OIDC_REDIRECTS must be, as the end of "… must be …". */
export const REDIRECTS_EXPECTED = `1 to ${LIST_MAX} addresses without fragment, separated by commas: https, http of this machine, or a scheme of your own app such as com.example.app:/signed-in`

/** Addresses, each as it must be asked for; undefined where one is none to send a browser to. */
export function parseRedirects(text: string): readonly string[] | undefined {
  const addresses = text.split(',').map((one) => one.trim())
  return addresses.length <= LIST_MAX && addresses.every(isRedirect) ? addresses : undefined
}

function isRedirect(text: string): boolean {
  if (text.length > URL_LENGTH_MAX || !/^[\u0021-\u007e]+$/.test(text) || /[\\#"<>`{}^|]/.test(text))
    return false
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '') return false
  // RFC 8252, 7.1: a scheme of one's own is a domain turned round, so that no well-known one is meant.
  if (/^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:\//i.test(text)) return true
  return /^https?:\/\/[^/]/i.test(text) && isSecure(url)
}

/** A pair of HIPFLASK_TRUSTED_ISSUERS. It prints as it was given. */
export class TrustedIssuer {
  readonly issuer: string
  readonly audience: string

  constructor(issuer: string, audience: string) {
    this.issuer = issuer
    this.audience = audience
  }

  toString(): string {
    return `${this.issuer}|${this.audience}`
  }

  toJSON(): string {
    return this.toString()
  }
}

/** What HIPFLASK_TRUSTED_ISSUERS must be, as the end of "… must be …". */
export const TRUSTED_ISSUERS_EXPECTED = `1 to ${LIST_MAX} pairs issuer|audience, separated by commas, each issuer an https address (http for loopback)`

/** The pairs of a text; undefined where one is malformed. */
export function parseTrustedIssuers(text: string): readonly TrustedIssuer[] | undefined {
  const pairs = text.split(',').map((one) => one.trim().split('|'))
  if (pairs.length > LIST_MAX) return undefined
  const isPair = (pair: string[]) => pair.length === 2 && isIssuer(pair[0]) && isText(pair[1])
  return pairs.every(isPair)
    ? pairs.map(([issuer = '', audience = '']) => new TrustedIssuer(issuer, audience))
    : undefined
}

/** What the settings of sign-in elsewhere are together. */
export interface OidcSettings {
  env: string
  publicUrl: string | undefined
  oidc: readonly OidcProvider[]
  trustedIssuers: readonly TrustedIssuer[] | undefined
}

/** What is wrong with settings that are right each for itself. */
export function oidcProblems({ env, publicUrl, oidc, trustedIssuers = [] }: OidcSettings): string[] {
  const problems: string[] = []
  const refusePlain = (variable: string, issuer: string) => {
    if (env === 'production' && URL.parse(issuer)?.protocol === 'http:')
      problems.push(`${variable} must be https in production`)
  }
  for (const { name, issuer } of oidc) refusePlain(oidcVariable(name, 'ISSUER'), issuer)
  for (const { issuer } of trustedIssuers) refusePlain('HIPFLASK_TRUSTED_ISSUERS', issuer)
  if (oidc.length > 0 && publicUrl === undefined) {
    const variable = oidcVariable((oidc[0] as OidcProvider).name, 'ISSUER')
    problems.push(`${variable} needs HIPFLASK_PUBLIC_URL, where the provider sends browsers back to`)
  }
  // Its own tokens would be looked for at its own routes.
  if (
    publicUrl !== undefined &&
    trustedIssuers.some(({ issuer }) => URL.parse(issuer)?.origin === publicUrl)
  ) {
    problems.push('HIPFLASK_TRUSTED_ISSUERS must not name HIPFLASK_PUBLIC_URL, this server itself')
  }
  return [...new Set(problems)]
}

/** An issuer identifier: a URL without query and fragment (OpenID Connect Discovery, 3), http for loopback alone. */
export function isIssuer(text: string | undefined): text is string {
  if (text === undefined || text.length > TEXT_LENGTH_MAX || !/^https?:\/\/[^?#@\\\s|,]+$/i.test(text))
    return false
  // The address of the metadata, pasted.
  if (text.includes('/.well-known/')) return false
  const url = URL.parse(text)
  if (url === null) return false
  return isSecure(url)
}

function isSecure({ protocol, hostname }: URL): boolean {
  return (
    protocol === 'https:' ||
    (protocol === 'http:' && /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname))
  )
}

function isText(text: string | undefined): boolean {
  return text !== undefined && text !== '' && text.length <= TEXT_LENGTH_MAX && !/\p{Cc}/u.test(text)
}

function labelOf(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1).replaceAll('_', ' ')
}
