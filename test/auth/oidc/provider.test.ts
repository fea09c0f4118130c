import { afterAll, beforeEach, describe, expect, test } from 'bun:test'
import { createOutbound } from '../../../src/auth/outbound.ts'
import { createProvider, newFlowSecrets, type Provider } from '../../../src/auth/oidc/provider.ts'
import { AppError } from '../../../src/core/errors.ts'
import { createLogger } from '../../../src/core/logger.ts'
import {
  signedBySecret,
  startHostileProvider,
  unsigned,
  SUBJECT,
  type Behaviour,
  type Claims,
  type HostileProvider,
} from '../../support/hostile-provider.ts'
import {
  CLIENT_ID,
  CLIENT_SECRET,
  createCookieJar,
  signInAtProvider,
  startOpenIdProvider,
} from '../../support/openid.ts'

const REDIRECT = 'http://127.0.0.1:1/auth/oidc/test/callback'
const TIMEOUT_MS = 700

interface World {
  provider: Provider
  log: string[]
  advance: (ms: number) => void
}

function connect(issuer: string, more: { secret?: string | null; isProduction?: boolean } = {}): World {
  let elapsed = 0
  const log: string[] = []
  const write = (line: string) => void log.push(line)
  const logger = createLogger({ level: 'debug', format: 'json', write, clock: Date.now })
  const isProduction = more.isProduction === true
  const namedHosts = new Set(['127.0.0.1'])
  const provider = createProvider({
    name: 'test',
    label: 'Test',
    issuer,
    clientId: CLIENT_ID,
    clientSecret: more.secret === null ? undefined : (more.secret ?? CLIENT_SECRET),
    scopes: 'openid email profile',
    redirectUri: REDIRECT,
    outbound: createOutbound({ isProduction: false, namedHosts, timeoutMs: TIMEOUT_MS }),
    isProduction,
    logger,
    clock: Date.now,
    monotonic: () => elapsed,
  })
  return { provider, log, advance: (ms) => void (elapsed += ms) }
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'nothing'
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    if (error.code === 'unavailable') expect(error.headers).toEqual({ 'Retry-After': '1' })
    return error.code
  }
}

describe('the certified provider', () => {
  test.each(['client_secret_basic', 'client_secret_post'] as const)(
    'signs in a client of %s',
    async (authMethod) => {
      await using real = await startOpenIdProvider({ redirectUris: [REDIRECT], authMethod })
      real.accounts['ada'] = { email: 'ada@example.com', name: 'Ada' }
      const { provider } = connect(real.issuer)
      for (let time = 0; time < 2; time++) {
        const secrets = newFlowSecrets()
        const start = await provider.authorizationUrl(secrets)
        const isDone = (url: string) => url.startsWith(REDIRECT)
        const done = await signInAtProvider(createCookieJar(), start, { login: 'ada', isDone })
        const query = done.slice(REDIRECT.length + 1)
        expect(await provider.identityOf(query, secrets)).toEqual({
          issuer: real.issuer,
          subject: 'ada',
          email: 'ada@example.com',
          name: 'Ada',
        })
        // A code is good once, and for its verifier alone.
        expect(await codeOf(provider.identityOf(query, secrets))).toBe('bad_request')
      }
    },
    20_000,
  )

  test.each([
    ['a public client', { authMethod: 'none' as const }, null],
    ['claims in userinfo alone', { configuration: { conformIdTokenClaims: true } }, CLIENT_SECRET],
  ])('signs in with %s', async (_, options, secret) => {
    await using real = await startOpenIdProvider({ redirectUris: [REDIRECT], ...options })
    real.accounts['ada'] = { email: 'ada@example.com', name: 'Ada' }
    const { provider } = connect(real.issuer, { secret })
    const secrets = newFlowSecrets()
    const isDone = (url: string) => url.startsWith(REDIRECT)
    const start = await provider.authorizationUrl(secrets)
    const done = await signInAtProvider(createCookieJar(), start, { login: 'ada', isDone })
    const identity = await provider.identityOf(done.slice(REDIRECT.length + 1), secrets)
    expect(identity).toMatchObject({ subject: 'ada', email: 'ada@example.com', name: 'Ada' })
  })

  test('refuses a code with the verifier of another sign-in', async () => {
    await using real = await startOpenIdProvider({ redirectUris: [REDIRECT] })
    const { provider } = connect(real.issuer)
    const secrets = newFlowSecrets()
    const isDone = (url: string) => url.startsWith(REDIRECT)
    const start = await provider.authorizationUrl(secrets)
    const done = await signInAtProvider(createCookieJar(), start, { login: 'ada', isDone })
    const { verifier } = newFlowSecrets()
    const query = done.slice(REDIRECT.length + 1)
    expect(await codeOf(provider.identityOf(query, { ...secrets, verifier }))).toBe('bad_request')
  })

  test('is not to be had for a client with a wrong secret, which no log names', async () => {
    await using real = await startOpenIdProvider({ redirectUris: [REDIRECT] })
    const { provider, log } = connect(real.issuer, { secret: 'wrong wrong wrong' })
    const secrets = newFlowSecrets()
    const isDone = (url: string) => url.startsWith(REDIRECT)
    const start = await provider.authorizationUrl(secrets)
    const done = await signInAtProvider(createCookieJar(), start, { login: 'ada', isDone })
    expect(await codeOf(provider.identityOf(done.slice(REDIRECT.length + 1), secrets))).toBe('unavailable')
    expect(log.join('')).toContain('CLIENT_SECRET')
    expect(log.join('')).not.toContain('wrong wrong wrong')
  })
})

const hostile: HostileProvider = await startHostileProvider()
const other: HostileProvider = await startHostileProvider()

describe('a hostile provider', () => {
  afterAll(() => Promise.all([hostile[Symbol.asyncDispose](), other[Symbol.asyncDispose]()]))
  let world = connect(hostile.issuer)
  beforeEach(() => {
    hostile.behave({})
    hostile.asked.length = 0
    world = connect(hostile.issuer)
  })

  /** One sign-in from begin to end; the code of the error, or whom it names. */
  async function signIn({ provider } = world): Promise<unknown> {
    const secrets = newFlowSecrets()
    const query = hostile.approve(await provider.authorizationUrl(secrets))
    let identity: unknown
    const code = await codeOf(provider.identityOf(query, secrets).then((found) => (identity = found)))
    return identity ?? code
  }

  test('that behaves signs in, and is asked for its metadata and keys once', async () => {
    const identity = { issuer: hostile.issuer, subject: SUBJECT, email: 'ada@example.com', name: 'Ada' }
    expect(await signIn()).toEqual(identity)
    expect(await signIn()).toEqual(identity)
    expect(hostile.asked).toEqual(['/.well-known/openid-configuration', '/token', '/jwks', '/token'])
  })

  test('gets PKCE by S256, state, nonce, scopes and the redirect address', async () => {
    const secrets = newFlowSecrets()
    const url = new URL(await world.provider.authorizationUrl(secrets))
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: CLIENT_ID,
      response_type: 'code',
      redirect_uri: REDIRECT,
      scope: 'openid email profile',
      state: secrets.state,
      nonce: secrets.nonce,
      code_challenge: new Bun.CryptoHasher('sha256').update(secrets.verifier).digest('base64url'),
      code_challenge_method: 'S256',
    })
    expect(new Set([secrets.state, secrets.nonce, secrets.verifier]).size).toBe(3)
  })

  const now = Math.floor(Date.now() / 1000)
  const withClaims = (changes: Claims): Behaviour => ({ claims: (usual) => ({ ...usual, ...changes }) })
  const without = (...names: string[]): Behaviour => ({
    claims: (usual) => Object.fromEntries(Object.entries(usual).filter(([name]) => !names.includes(name))),
  })
  test.each<[string, Behaviour, string]>([
    ['another nonce', withClaims({ nonce: 'other' }), 'invalid_token'],
    ['no nonce', without('nonce'), 'invalid_token'],
    ['another issuer', withClaims({ iss: 'https://example.com' }), 'invalid_token'],
    ['no issuer', without('iss'), 'invalid_token'],
    ['another audience', withClaims({ aud: 'other' }), 'invalid_token'],
    ['no audience', without('aud'), 'invalid_token'],
    ['more audiences without azp', withClaims({ aud: [CLIENT_ID, 'other'] }), 'invalid_token'],
    ['more audiences of another', withClaims({ aud: [CLIENT_ID, 'other'], azp: 'other' }), 'invalid_token'],
    ['another authorized party', withClaims({ azp: 'other' }), 'invalid_token'],
    ['the end over', withClaims({ exp: now - 60 }), 'invalid_token'],
    ['the end 31 s ago', withClaims({ exp: now - 31 }), 'invalid_token'],
    ['no end', without('exp'), 'invalid_token'],
    ['a beginning to come', withClaims({ nbf: now + 60 }), 'invalid_token'],
    ['no subject', without('sub'), 'invalid_token'],
    ['an empty subject', withClaims({ sub: '' }), 'invalid_token'],
    ['a number as subject', withClaims({ sub: 7 }), 'invalid_token'],
    ['a long subject', withClaims({ sub: 'x'.repeat(256) }), 'invalid_token'],
    ['a control character in the subject', withClaims({ sub: 'ada\n' }), 'invalid_token'],
    ['no signature', { idToken: unsigned }, 'invalid_token'],
    [
      'HS256 by the public key',
      { idToken: async (claims) => signedBySecret(claims, await hostile.publicPem()) },
      'invalid_token',
    ],
    [
      'HS256 by the client secret',
      { idToken: (claims) => signedBySecret(claims, CLIENT_SECRET) },
      'invalid_token',
    ],
    ['no kid', { idToken: (claims) => hostile.sign(claims, { kid: undefined }) }, 'invalid_token'],
    ['an unknown kid', { idToken: (claims) => hostile.sign(claims, { kid: 'other' }) }, 'invalid_token'],
    ['the key of another', { idToken: (claims) => other.sign(claims) }, 'invalid_token'],
    [
      'a key that the token itself brings',
      {
        idToken: async (claims) =>
          other.sign(claims, { jku: `${other.issuer}/jwks`, x5u: `${other.issuer}/jwks` }),
      },
      'invalid_token',
    ],
    ['crit', { idToken: (claims) => hostile.sign(claims, { crit: ['b64'], b64: true }) }, 'invalid_token'],
    ['no ID token', answering('/token', { access_token: 'a', token_type: 'bearer' }), 'invalid_token'],
    [
      'no text as ID token',
      answering('/token', { access_token: 'a', token_type: 'bearer', id_token: 7 }),
      'invalid_token',
    ],
    ['a word as ID token', { idToken: () => 'nothing' }, 'invalid_token'],
    ['state of another', redirecting({ state: 'other' }), 'bad_request'],
    ['no state', redirecting({ state: undefined }), 'bad_request'],
    ['no code', redirecting({ code: undefined }), 'bad_request'],
    ['another code', redirecting({ code: 'other' }), 'bad_request'],
    ['iss of another', redirecting({ iss: 'https://example.com' }), 'bad_request'],
    ['no iss where it was promised', redirecting({ iss: undefined }), 'bad_request'],
    ['an error', redirecting({ code: undefined, error: 'access_denied' }), 'bad_request'],
    ['a token in the address', redirecting({ id_token: 'x' }), 'bad_request'],
    ['a JARM response', redirecting({ response: 'x' }), 'bad_request'],
  ])('with %s: %#', async (_, behaviour, expected) => {
    hostile.behave(behaviour)
    expect(await signIn()).toBe(expected)
    expect(other.asked).toEqual([])
    expect(world.log.join('')).not.toContain('eyJ')
  })

  function answering(path: string, body: object): Behaviour {
    return { answers: { [path]: () => Response.json(body) } }
  }
  function redirecting(changes: Record<string, string | undefined>): Behaviour {
    return {
      redirect: (usual) =>
        Object.fromEntries(
          Object.entries({ ...usual, ...changes }).filter(
            (entry): entry is [string, string] => entry[1] !== undefined,
          ),
        ),
    }
  }

  test('may forget iss where it promised none', async () => {
    hostile.behave({
      ...redirecting({ iss: undefined }),
      metadata: ({ authorization_response_iss_parameter_supported: _, ...usual }) => usual,
    })
    expect(await signIn()).toMatchObject({ subject: SUBJECT })
  })

  test('repeats no parameter of the redirect', async () => {
    const secrets = newFlowSecrets()
    const query = hostile.approve(await world.provider.authorizationUrl(secrets))
    for (const more of ['&state=x', '&code=x', '&iss=x'])
      expect(await codeOf(world.provider.identityOf(query + more, secrets))).toBe('bad_request')
  })

  test('whose ID token ended 25 s ago by its clock signs in', async () => {
    hostile.behave(withClaims({ exp: Math.floor(Date.now() / 1000) - 25 }))
    expect(await signIn()).toMatchObject({ subject: SUBJECT })
  })

  const huge = () => new Response('x'.repeat(300_000), { headers: { 'content-type': 'application/json' } })
  const never = () => new Promise<Response>(() => undefined)
  const elsewhere = () => Response.redirect(`${other.issuer}/anything`)
  const html = () => new Response('<p>Sorry', { headers: { 'content-type': 'text/html' } })
  const broken = () => new Response('{', { headers: { 'content-type': 'application/json' } })
  const failing = () => Response.json({ error: 'server_error' }, { status: 500 })
  const list = () => Response.json([])
  const odd: [string, () => Response | Promise<Response>][] = [
    ['huge', huge],
    ['late', never],
    ['a redirect', elsewhere],
    ['HTML', html],
    ['no JSON', broken],
    ['a failure', failing],
    ['a list', list],
  ]
  const paths = ['/.well-known/openid-configuration', '/token', '/jwks']
  test.each(paths.flatMap((path) => odd.map(([name, answer]) => [path, name, answer] as const)))(
    'whose answer at %s is %s can not be had, and is there again later',
    async (path, _, answer) => {
      hostile.behave({ answers: { [path]: answer } })
      const secrets = newFlowSecrets()
      const once = async () => {
        const url = await world.provider.authorizationUrl(secrets)
        return world.provider.identityOf(hostile.approve(url), secrets)
      }
      expect(await codeOf(once())).toBe('unavailable')
      hostile.behave({})
      world.advance(1001)
      expect(await signIn()).toMatchObject({ subject: SUBJECT })
      expect(other.asked).toEqual([])
    },
  )

  test.each([
    ['invalid_client', 400],
    ['access_denied', 401],
  ])('that says %s by %d gets the secret in the body, from then on at once', async (error, status) => {
    const answer = async (request: Request) => {
      if (request.headers.has('authorization')) return Response.json({ error }, { status })
      const form = new URLSearchParams(await request.text())
      expect(form.get('client_secret')).toBe(CLIENT_SECRET)
      const claims = hostile.soundClaims(nonce)
      return Response.json({ access_token: 'a', token_type: 'bearer', id_token: await hostile.sign(claims) })
    }
    let nonce = ''
    hostile.behave({ answers: { '/token': answer } })
    for (const asks of [2, 1]) {
      const secrets = newFlowSecrets()
      nonce = secrets.nonce
      const query = hostile.approve(await world.provider.authorizationUrl(secrets))
      const before = hostile.asked.filter((path) => path === '/token').length
      expect(await world.provider.identityOf(query, secrets)).toMatchObject({ subject: SUBJECT })
      expect(hostile.asked.filter((path) => path === '/token').length - before).toBe(asks)
    }
  })

  test('that is down is looked for at most once a second', async () => {
    hostile.behave({ answers: { '/.well-known/openid-configuration': failing } })
    for (let time = 0; time < 5; time++) expect(await signIn().catch(() => 'failed')).toBe('failed')
    expect(hostile.asked.length).toBe(1)
    hostile.behave({})
    world.advance(999)
    expect(await signIn().catch(() => 'failed')).toBe('failed')
    world.advance(1)
    expect(await signIn()).toMatchObject({ subject: SUBJECT })
  })

  test.each<[string, Claims]>([
    ['another issuer', { issuer: 'https://example.com' }],
    ['a script to sign in at', { authorization_endpoint: 'javascript:alert(1)' }],
    ['no address to sign in at', { authorization_endpoint: undefined }],
    ['plain http elsewhere', { authorization_endpoint: 'http://example.com/authorize' }],
    ['no token endpoint', { token_endpoint: undefined }],
    ['keys in a file', { jwks_uri: 'file:///etc/hostname' }],
    ['no keys', { jwks_uri: undefined }],
  ])('that names %s in its metadata can not be had', async (_, changes) => {
    hostile.behave({ metadata: (usual) => ({ ...usual, ...changes }) })
    expect(await codeOf(world.provider.authorizationUrl(newFlowSecrets()))).toBe('unavailable')
  })

  test.each<[string, Claims]>([
    ['token endpoint', { token_endpoint: 'https://169.254.169.254/token' }],
    ['keys', { jwks_uri: 'https://10.0.0.1/keys' }],
    ['token endpoint by another name', { token_endpoint: 'http://localhost:1/token' }],
  ])('may not send us to a private network: %s', async (_, changes) => {
    hostile.behave({ metadata: (usual) => ({ ...usual, ...changes }) })
    expect(await signIn()).toBe('unavailable')
    expect(world.log.join('')).toContain('private network')
  })

  test('on plain http can not be had in production', async () => {
    const { provider } = connect(hostile.issuer, { isProduction: true })
    expect(await codeOf(provider.authorizationUrl(newFlowSecrets()))).toBe('unavailable')
  })

  test('may rotate its keys at any time; for unknown ones it is asked at most each 30 s', async () => {
    const asks = () => hostile.asked.filter((path) => path === '/jwks').length
    expect(await signIn()).toMatchObject({ subject: SUBJECT })
    await hostile.rotate()
    expect(await signIn()).toMatchObject({ subject: SUBJECT })
    expect(asks()).toBe(2)
    await hostile.rotate()
    expect(await signIn()).toBe('invalid_token')
    world.advance(29_999)
    expect(await signIn()).toBe('invalid_token')
    expect(asks()).toBe(2)
    world.advance(1)
    expect(await signIn()).toMatchObject({ subject: SUBJECT })
    expect(asks()).toBe(3)
  })

  test('is asked for userinfo only where the e-mail is missing', async () => {
    hostile.behave(without('email'))
    expect(await signIn()).toMatchObject({ email: 'userinfo@example.com', name: 'Ada' })
    expect(hostile.asked).toContain('/userinfo')
  })

  test.each<[string, () => Response | Promise<Response>]>([
    ...odd,
    ['of somebody else', () => Response.json({ sub: 'other', email: 'other@example.com' })],
    ['of nobody', () => Response.json({ email: 'other@example.com' })],
  ])('whose userinfo is %s signs in without an e-mail', async (_, answer) => {
    hostile.behave({ ...without('email'), answers: { '/userinfo': answer } })
    expect(await signIn()).toEqual({ issuer: hostile.issuer, subject: SUBJECT, name: 'Ada' })
  })

  test.each<[Claims, Claims]>([
    [{ email: 'x'.repeat(250) + '@example.com' }, { email: 'userinfo@example.com' }],
    [{ email: 7, name: {} }, { email: 'userinfo@example.com' }],
    [{ email: 'nobody' }, { email: 'userinfo@example.com' }],
    [{ name: ' A\nda ' }, { name: 'A da' }],
    [{ name: 'x'.repeat(201), preferred_username: 'ada' }, { name: 'ada' }],
  ])('with the claims %p', async (claims, expected) => {
    hostile.behave(withClaims(claims))
    expect(await signIn()).toMatchObject(expected)
  })
})
