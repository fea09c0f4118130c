// An OpenID provider that does whatever a test tells it to: signs anything, answers anything, at any speed.
import { createHash } from 'node:crypto'
import { SignJWT, exportJWK, exportSPKI, generateKeyPair, type CryptoKey, type JWK } from 'jose'
import { CLIENT_ID } from './openid.ts'

export type Claims = Record<string, unknown>

/** What is not said is as it should be. */
export interface Behaviour {
  metadata?: (usual: Claims) => Claims
  /** Claims of ID tokens. */
  claims?: (usual: Claims) => Claims
  /** Instead of the usual signature. */
  idToken?: (claims: Claims) => Promise<string> | string
  keys?: (usual: JWK[]) => unknown
  /** Parameters that the browser brings back. */
  redirect?: (usual: Record<string, string>) => Record<string, string>
  /** Instead of the usual answer at a path. */
  answers?: Record<string, (request: Request) => Response | Promise<Response>>
}

export interface HostileProvider extends AsyncDisposable {
  issuer: string
  /** The paths that were asked for, in order. */
  asked: string[]
  /** Its token requests: forms, and the header of the client. */
  exchanges: { form: URLSearchParams; authorization: string | null }[]
  behave(behaviour: Behaviour): void
  /** From now on signs by another key, and publishes that alone. */
  rotate(algorithm?: string): Promise<void>
  /** A token of it. */
  sign(claims: Claims, header?: Claims): Promise<string>
  publicPem(): Promise<string>
  /** What it sends the browser back with that comes with this address: the query. */
  approve(authorizationUrl: string): string
  /** The claims of a sound ID token of somebody. */
  soundClaims(nonce?: string): Claims
}

export const SUBJECT = 'auth0|ada'

/** Starts it on a free port of loopback. */
export async function startHostileProvider(algorithm = 'RS256'): Promise<HostileProvider> {
  let behaviour: Behaviour = {}
  let key = await newKey(algorithm)
  const codes = new Map<string, { nonce: string; challenge: string }>()
  const asked: string[] = []
  const exchanges: HostileProvider['exchanges'] = []
  const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: answer, idleTimeout: 60 })
  const issuer = `http://127.0.0.1:${server.port}`

  async function answer(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url)
    asked.push(pathname)
    const own = behaviour.answers?.[pathname]
    if (own !== undefined) return own(request)
    switch (pathname) {
      case '/.well-known/openid-configuration':
        return Response.json((behaviour.metadata ?? same)(metadata()))
      case '/jwks':
        return Response.json((behaviour.keys ?? ((keys: JWK[]) => ({ keys })))([key.jwk]))
      case '/token':
        return exchange(request)
      case '/userinfo':
        return Response.json({ sub: SUBJECT, email: 'userinfo@example.com' })
      default:
        return new Response('nothing here', { status: 404 })
    }
  }

  const metadata = () => ({
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    userinfo_endpoint: `${issuer}/userinfo`,
    jwks_uri: `${issuer}/jwks`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256', 'PS256', 'ES256', 'EdDSA', 'HS256', 'none'],
    authorization_response_iss_parameter_supported: true,
  })

  async function exchange(request: Request): Promise<Response> {
    const form = new URLSearchParams(await request.text())
    exchanges.push({ form, authorization: request.headers.get('authorization') })
    const code = form.get('code') ?? ''
    const flow = codes.get(code)
    codes.delete(code)
    const challenge = createHash('sha256').update(form.get('code_verifier') ?? '')
    if (flow === undefined || challenge.digest('base64url') !== flow.challenge)
      return Response.json({ error: 'invalid_grant', error_description: '<script>' }, { status: 400 })
    const claims = (behaviour.claims ?? same)(soundClaims(flow.nonce))
    return Response.json({
      access_token: 'an access token',
      token_type: 'Bearer',
      expires_in: 60,
      id_token: await (behaviour.idToken ?? sign)(claims),
    })
  }

  const soundClaims = (nonce?: string): Claims => {
    const now = Math.floor(Date.now() / 1000)
    const usual = { iss: issuer, sub: SUBJECT, aud: CLIENT_ID, iat: now, exp: now + 60 }
    return { ...usual, ...(nonce === undefined ? {} : { nonce }), email: 'ada@example.com', name: 'Ada' }
  }
  const sign: HostileProvider['sign'] = (claims, header = {}) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: key.algorithm, kid: key.kid, ...header })
      .sign(key.privateKey)

  return {
    issuer,
    asked,
    exchanges,
    behave: (next) => void (behaviour = next),
    async rotate(next = key.algorithm) {
      key = await newKey(next)
    },
    sign,
    publicPem: () => exportSPKI(key.publicKey),
    approve(authorizationUrl) {
      const asks = new URL(authorizationUrl).searchParams
      const code = Bun.randomUUIDv7()
      codes.set(code, { nonce: asks.get('nonce') ?? '', challenge: asks.get('code_challenge') ?? '' })
      const usual = { code, state: asks.get('state') ?? '', iss: issuer }
      return new URLSearchParams((behaviour.redirect ?? same)(usual)).toString()
    },
    soundClaims,
    [Symbol.asyncDispose]: () => server.stop(true),
  }
}

interface Key {
  algorithm: string
  kid: string
  privateKey: CryptoKey
  publicKey: CryptoKey
  jwk: JWK
}

async function newKey(algorithm: string): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true })
  const kid = Bun.randomUUIDv7()
  const jwk = { ...(await exportJWK(publicKey)), kid, use: 'sig', alg: algorithm }
  return { algorithm, kid, privateKey, publicKey, jwk }
}

function same<T>(value: T): T {
  return value
}

/** A token without a signature (RFC 7519, 6). */
export function unsigned(claims: Claims): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part({ alg: 'none' })}.${part(claims)}.`
}

/** A token signed by HS256 with this text as its secret. */
export function signedBySecret(claims: Claims, secret: string, header: Claims = {}): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256', ...header })
    .sign(new TextEncoder().encode(secret))
}
