// One OpenID provider to sign in at: its metadata, found when it is first needed, and the two ends of the
// authorization code flow (RFC 6749, 4.1; RFC 7636; RFC 9207; OpenID Connect Core 3.1). The protocol is openid-client's;
// this is the only file that knows it. It makes no account and no session.
import * as client from 'openid-client'
import { AppError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import { invalidToken } from '../challenges.ts'
import { isSecureAddress, type Outbound, type OutboundRequest } from '../outbound.ts'
import { profileOf, subjectOf, type Identity, type Profile } from './claims.ts'
import { createVerifierByKeys, KeysError } from './issuer-keys.ts'
import { remembered } from './remembered.ts'

export interface ProviderOptions {
  /** As in the path: `auth0`. */
  name: string
  /** For a button: `Auth0`. */
  label: string
  issuer: string
  clientId: string
  clientSecret: string | undefined
  /** Separated by spaces; `openid` is among them. */
  scopes: string
  /** Where the provider sends the browser back to. */
  redirectUri: string
  outbound: Outbound
  /** Plain http is for loopback, and not in production. */
  isProduction: boolean
  logger: Logger
  /** Milliseconds since 1970. */
  clock: () => number
  /** Milliseconds of a clock that nobody sets. */
  monotonic: () => number
}

/** What must come back with the browser, and never leaves it but to this server. */
export interface FlowSecrets {
  state: string
  nonce: string
  verifier: string
}

export interface Provider {
  readonly name: string
  readonly label: string
  /** Where to send the browser. Throws AppError `unavailable` where the provider can't be asked. */
  authorizationUrl(secrets: FlowSecrets): Promise<string>
  /**
   * Exchanges what the provider sent back (the query of the callback) for whom it names. Throws AppError
   * `bad_request` where the answer or its code is refused, `invalid_token` for an ID token that is not sound,
   * `unavailable` where the provider does not answer as it should.
   */
  identityOf(query: string, secrets: FlowSecrets): Promise<Identity>
}

/** Metadata is asked for anew after this time. */
const METADATA_KEPT_MS = 3_600_000
/** Of what the log says about a failure. */
const REASONS_MAX = 4
const REASON_LENGTH_MAX = 100

/** What has to be random in a sign-in that begins. */
export function newFlowSecrets(): FlowSecrets {
  return {
    state: client.randomState(),
    nonce: client.randomNonce(),
    verifier: client.randomPKCECodeVerifier(),
  }
}

export function createProvider(options: ProviderOptions): Provider {
  const { name, label, redirectUri, scopes, logger, outbound, monotonic } = options
  const find = () => discover(options)
  const metadata = remembered({ find, keepMs: METADATA_KEPT_MS, monotonic })
  const findServer = async (): Promise<client.ServerMetadata> => {
    try {
      return await metadata.get()
    } catch (cause) {
      logger.warn('An OpenID provider can not be found', { provider: name, reason: reasonOf(cause) })
      throw unavailable()
    }
  }
  const findUrl = async () => String((await findServer()).jwks_uri)
  const verify = createVerifierByKeys({ findUrl, outbound, monotonic })
  const exchange = createExchange(options)

  return {
    name,
    label,
    async authorizationUrl({ state, nonce, verifier }) {
      const config = configurationOf(await findServer(), options)
      return client.buildAuthorizationUrl(config, {
        redirect_uri: redirectUri,
        scope: scopes,
        state,
        nonce,
        code_challenge: await client.calculatePKCECodeChallenge(verifier),
        code_challenge_method: 'S256',
      }).href
    },
    async identityOf(query, secrets) {
      const server = await findServer()
      const { config, tokens, idToken } = await exchange(server, { query, secrets })
      const expected = { issuer: server.issuer, audience: options.clientId, now: options.clock() }
      const claims = await verify(idToken, expected).catch((cause: unknown) => {
        throw failureOf(cause, options)
      })
      const subject = subjectOf(claims)
      if (subject === undefined) throw invalidToken()
      const fromToken = profileOf(claims)
      const more = fromToken.email === undefined ? await askMore(config, tokens.access_token, subject) : {}
      return { issuer: server.issuer, subject, ...more, ...fromToken }
    },
  }

  /** What userinfo adds; its failure fails nothing. */
  async function askMore(config: client.Configuration, token: string, subject: string): Promise<Profile> {
    try {
      return profileOf(await client.fetchUserInfo(config, token, subject))
    } catch (cause) {
      const reason = reasonOf(cause)
      logger.warn('Userinfo of an OpenID provider can not be had', { provider: name, reason })
      return {}
    }
  }
}

// ── Metadata ────────────────────────────────────────────────────────────────────────────────────────────────────

async function discover(options: ProviderOptions): Promise<client.ServerMetadata> {
  const { issuer, clientId, outbound, isProduction } = options
  const found = await client.discovery(new URL(issuer), clientId, undefined, undefined, {
    // outbound.ts decides about http.
    execute: [client.allowInsecureRequests],
    [client.customFetch]: (url, init) => outbound(url, requestOf(init)),
  })
  const server: client.ServerMetadata = { ...found.serverMetadata() }
  // The library looks at where it asks itself, and not at where the browser is sent.
  for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri'] as const) {
    const url = URL.parse(String(server[name]))
    if (url === null || !isSecureAddress(url, isProduction))
      throw new TypeError(`Metadata has no sound ${name}`)
  }
  return server
}

function configurationOf(server: client.ServerMetadata, options: ProviderOptions, auth?: client.ClientAuth) {
  const config = new client.Configuration(server, options.clientId, options.clientSecret, auth)
  client.allowInsecureRequests(config)
  config[client.customFetch] = (url, init) => options.outbound(url, requestOf(init))
  return config
}

function requestOf({ method, headers, body }: client.CustomFetchOptions): OutboundRequest {
  // It is text or a form, where this client asks.
  return { method, headers, body: body as URLSearchParams | null }
}

// ── Exchange ────────────────────────────────────────────────────────────────────────────────────────────────────

/** What the browser has brought back, and what it must fit to. */
interface ProviderAnswer {
  query: string
  secrets: FlowSecrets
}

interface Exchanged {
  config: client.Configuration
  tokens: client.TokenEndpointResponse
  idToken: string
}

/** Makes the function that changes a code for tokens. */
function createExchange(options: ProviderOptions) {
  let accepted: AuthMethod | undefined

  /** Undefined where the provider does not know the client by this method. */
  async function attempt(
    server: client.ServerMetadata,
    { query, secrets }: ProviderAnswer,
    method: AuthMethod,
  ): Promise<Exchanged | undefined> {
    const config = configurationOf(server, options, method(options.clientSecret ?? ''))
    const progress: Progress = { stage: 'redirect' }
    config[client.customFetch] = async (url, init) => {
      progress.stage = 'request'
      const response = await options.outbound(url, requestOf(init))
      if (response.status === 200 && isObject(await response.clone().json())) progress.stage = 'tokens'
      return response
    }
    const checks = {
      pkceCodeVerifier: secrets.verifier,
      expectedState: secrets.state,
      expectedNonce: secrets.nonce,
      idTokenExpected: true,
    }
    try {
      const url = new URL(`${options.redirectUri}?${query}`)
      const tokens = await client.authorizationCodeGrant(config, url, checks)
      // The library has checked that there is one; of several audiences it has checked `azp`, of one we do.
      const { azp } = tokens.claims() ?? {}
      if (azp !== undefined && azp !== options.clientId) throw new TypeError('ID token is of another client')
      return { config: configurationOf(server, options), tokens, idToken: tokens.id_token ?? '' }
    } catch (error) {
      if (isUnknownClient(error)) return undefined
      throw failureOf(error, options, progress)
    }
  }

  return async (server: client.ServerMetadata, answer: ProviderAnswer): Promise<Exchanged> => {
    const methods = accepted === undefined ? methodsOf(server, options) : [accepted]
    for (const method of methods) {
      const exchanged = await attempt(server, answer, method)
      if (exchanged !== undefined) {
        accepted = method
        return exchanged
      }
    }
    accepted = undefined
    options.logger.error('An OpenID provider does not know its client: see its CLIENT_ID and CLIENT_SECRET', {
      provider: options.name,
    })
    throw unavailable()
  }
}

type AuthMethod = (secret: string) => client.ClientAuth

/**
 * How the client may prove itself. Basic is what OAuth expects unless something else was agreed on (RFC 8414, 2), but a
 * provider may have agreed on either with this client, and does not say so.
 */
function methodsOf(
  { token_endpoint_auth_methods_supported: supported = ['client_secret_basic'] }: client.ServerMetadata,
  { clientSecret }: ProviderOptions,
): AuthMethod[] {
  if (clientSecret === undefined) return [() => client.None()]
  const basic: AuthMethod = (secret) => client.ClientSecretBasic(secret)
  const post: AuthMethod = (secret) => client.ClientSecretPost(secret)
  return supported.includes('client_secret_basic') ? [basic, post] : [post, basic]
}

/** RFC 6749, 5.2, calls it `invalid_client`; Auth0 says it by the status alone. */
function isUnknownClient(error: unknown): boolean {
  if (error instanceof client.WWWAuthenticateChallengeError) return true
  return (
    error instanceof client.ResponseBodyError && (error.error === 'invalid_client' || error.status === 401)
  )
}

// ── Failures ────────────────────────────────────────────────────────────────────────────────────────────────────

/** How far an exchange came: to what the browser brought, to the request, or to what an answer of tokens says. */
interface Progress {
  stage: 'redirect' | 'request' | 'tokens'
}

function failureOf(
  error: unknown,
  { logger, name }: ProviderOptions,
  { stage }: Progress = { stage: 'tokens' },
): AppError {
  logger.warn('A sign-in at an OpenID provider failed', { provider: name, stage, reason: reasonOf(error) })
  if (error instanceof client.AuthorizationResponseError) return new SignInRefused(error.error)
  const isRefused = error instanceof client.ResponseBodyError && error.error === 'invalid_grant'
  if (stage === 'redirect' || isRefused) return new SignInRefused('access_denied')
  return stage === 'request' || error instanceof KeysError ? unavailable() : invalidToken()
}

/** For the log: messages of the error and what caused it. Causes that are no errors hold tokens and claims. */
function reasonOf(error: unknown): string {
  const reasons: string[] = []
  for (let cause = error; cause instanceof Error && reasons.length < REASONS_MAX; cause = cause.cause) {
    const { error: code } = cause as { error?: unknown }
    const told = typeof code === 'string' ? ` (${code.slice(0, REASON_LENGTH_MAX)})` : ''
    reasons.push(cause.message + told)
  }
  return reasons.join(': ')
}

function unavailable(): AppError {
  return new AppError('unavailable', {
    message: 'OpenID provider does not answer as it should, try again',
  })
}

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The provider, or the user there, has refused: `error` is the code (RFC 6749, 4.1.2.1). */
export class SignInRefused extends AppError {
  readonly error: string

  constructor(error: string) {
    super('bad_request', { message: 'Sign-in was refused or is over, begin it again' })
    // A provider may say anything, and this goes to where the sign-in ends.
    this.error = /^[a-z_]{1,40}$/.test(error) ? error : 'server_error'
  }
}
