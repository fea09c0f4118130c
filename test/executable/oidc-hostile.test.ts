// Signing in at a provider that lies, is slow or down; and access tokens of a trusted issuer. Both are of the tests' own.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { runCommand, type RunningServer } from '../support/executable.ts'
import {
  signedBySecret,
  startHostileProvider,
  unsigned,
  type Behaviour,
  type Claims,
  type HostileProvider,
} from '../support/hostile-provider.ts'
import { CLIENT_ID, CLIENT_SECRET } from '../support/openid.ts'
import { APP, bearer, createVisitor, freePort, outcomeOf, startSignIn } from '../support/sign-in.ts'
import { ADMIN, basic, PASSWORD, post } from '../support/world.ts'

const AUDIENCE = 'https://api.example.com'
const TEST_TIMEOUT_MS = 30_000
const NOTES = `import { defineResource, t, everyone, signedIn, owner } from 'hipflask'
export default defineResource({
  name: 'notes',
  schema: t.Object({ text: t.String() }),
  owned: true,
  access: { list: signedIn(), read: everyone(), create: signedIn(), update: owner(), delete: owner() },
})`
let hostile: HostileProvider
let other: HostileProvider
let server: RunningServer

beforeAll(async () => {
  hostile = await startHostileProvider()
  other = await startHostileProvider()
  server = await startSignIn({
    port: await freePort(),
    providers: { bad: hostile.issuer, other: other.issuer, down: 'http://127.0.0.1:9' },
    resources: { 'notes.ts': NOTES },
    env: {
      HIPFLASK_TRUSTED_ISSUERS: `${hostile.issuer}|${AUDIENCE},${hostile.issuer}|second,http://127.0.0.1:9|x`,
      HIPFLASK_ADMIN_EMAIL: ADMIN.email,
      HIPFLASK_ADMIN_PASSWORD: ADMIN.password,
    },
  })
})
afterAll(async () => {
  await server?.stop()
  await Promise.all([hostile?.[Symbol.asyncDispose](), other?.[Symbol.asyncDispose]()])
})
beforeEach(() => hostile.behave({}))

const admin = basic(ADMIN.email, ADMIN.password)

async function accounts(): Promise<number> {
  const { total_items: total } = (await (await server.fetch('/api/users', { headers: admin })).json()) as {
    total_items: number
  }
  return total
}

async function signIn(query = ''): Promise<Response> {
  const visitor = createVisitor(server, 'bad')
  return visitor.comeBack(hostile.approve(await visitor.begin(query)))
}

describe('a provider that lies', () => {
  const now = Math.floor(Date.now() / 1000)
  const claims = (changes: Claims): Behaviour => ({ claims: (usual) => ({ ...usual, ...changes }) })
  const redirect = (changes: Record<string, string>): Behaviour => ({
    redirect: (usual) => ({ ...usual, ...changes }),
  })
  const answer = (path: string, response: () => Response | Promise<Response>): Behaviour => ({
    answers: { [path]: response },
  })
  const huge = () => new Response('x'.repeat(300_000), { headers: { 'content-type': 'application/json' } })
  test.each<[string, Behaviour, string]>([
    ['nonce', claims({ nonce: 'other' }), '401 invalid_token'],
    ['issuer', claims({ iss: 'https://id.example.com' }), '401 invalid_token'],
    ['audience', claims({ aud: 'other' }), '401 invalid_token'],
    ['audiences', claims({ aud: [CLIENT_ID, 'other'], azp: 'other' }), '401 invalid_token'],
    ['authorized party', claims({ azp: 'other' }), '401 invalid_token'],
    ['end', claims({ exp: now - 60 }), '401 invalid_token'],
    ['subject', claims({ sub: '' }), '401 invalid_token'],
    ['signature', { idToken: unsigned }, '401 invalid_token'],
    [
      'HS256',
      { idToken: async (all) => signedBySecret(all, await hostile.publicPem()) },
      '401 invalid_token',
    ],
    ['client secret', { idToken: (all) => signedBySecret(all, CLIENT_SECRET) }, '401 invalid_token'],
    ['kid', { idToken: (all) => hostile.sign(all, { kid: undefined }) }, '401 invalid_token'],
    ['key', { idToken: (all) => other.sign(all) }, '401 invalid_token'],
    ['state', redirect({ state: 'other' }), '400 bad_request'],
    ['code', redirect({ code: 'other' }), '400 bad_request'],
    ['mix-up', redirect({ iss: 'https://id.example.com' }), '400 bad_request'],
    ['huge answer', answer('/token', huge), '503 unavailable'],
    ['redirect', answer('/token', () => Response.redirect(`${other.issuer}/token`, 307)), '503 unavailable'],
    ['failure', answer('/token', () => new Response('no', { status: 500 })), '503 unavailable'],
  ])('about %s signs nobody in', async (_, behaviour, expected) => {
    const before = await accounts()
    hostile.behave(behaviour)
    const response = await signIn()
    if (expected.startsWith('503')) expect(response.headers.get('retry-after')).toBe('1')
    if (expected.startsWith('401')) expect(response.headers.get('www-authenticate')).toContain('Bearer')
    expect(await outcomeOf(response)).toBe(expected)
    expect(await accounts()).toBe(before)
    expect(other.asked).toEqual([])
  })

  test('sends the browser to the application with an error, and nowhere else', async () => {
    hostile.behave(claims({ nonce: 'other' }))
    const response = await signIn(`?redirect_to=${encodeURIComponent(APP)}`)
    expect(response.headers.get('location')).toBe(`${APP}&error=invalid_token`)
    const visitor = createVisitor(server, 'bad')
    const begun = await visitor.begin(`?redirect_to=${encodeURIComponent(APP)}`)
    const state = new URL(begun).searchParams.get('state') ?? ''
    const error = '&code=x#//evil.example\r\nSet-Cookie: a=b'
    const back = new URLSearchParams({ state, iss: hostile.issuer, error })
    const sent = await visitor.comeBack(back.toString())
    expect(sent.headers.get('location')).toBe(`${APP}&error=server_error`)
    expect(sent.headers.getSetCookie()).toHaveLength(1)
  })

  test('can not have the answer of another provider taken', async () => {
    const visitor = createVisitor(server, 'bad')
    const query = hostile.approve(await visitor.begin())
    const elsewhere = `${server.url}/auth/oidc/other/callback?${query}`
    expect(await outcomeOf(await visitor.jar.fetch(elsewhere))).toBe('400 bad_request')
  })
})

test('a provider may rotate its keys while the server runs', async () => {
  await using fresh = await startHostileProvider('ES256')
  await using on = await startSignIn({ port: await freePort(), providers: { fresh: fresh.issuer } })
  for (const algorithm of ['ES256', 'EdDSA']) {
    const visitor = createVisitor(on, 'fresh')
    const response = await visitor.comeBack(fresh.approve(await visitor.begin()))
    expect(response.status).toBe(200)
    await fresh.rotate(algorithm)
  }
  const asks = fresh.asked.filter((path) => path === '/jwks')
  expect(asks).toHaveLength(2)
})

test('behind https the cookie is for https alone, and a closed registration lets first sign-ins in', async () => {
  await using fresh = await startHostileProvider()
  await using on = await startSignIn({
    port: await freePort(),
    providers: { fresh: fresh.issuer },
    env: { HIPFLASK_PUBLIC_URL: 'https://api.example.com', HIPFLASK_REGISTRATION: 'closed' },
  })
  const begun = await on.fetch('/auth/oidc/fresh/login')
  const location = begun.headers.get('location') ?? ''
  const redirectUri = new URL(location).searchParams.get('redirect_uri')
  expect(redirectUri).toBe('https://api.example.com/auth/oidc/fresh/callback')
  const [setCookie = ''] = begun.headers.getSetCookie()
  expect(setCookie).toEndWith('; HttpOnly; SameSite=Lax; Secure')
  const [cookie = ''] = setCookie.split(';')
  const path = `/auth/oidc/fresh/callback?${fresh.approve(location)}`
  const response = await on.fetch(path, { headers: { cookie } })
  expect(response.status).toBe(200)
  expect(fresh.exchanges[0]?.form.get('redirect_uri')).toBe(redirectUri)
})

describe('a provider that is down or slow', () => {
  test('is 503, and bothers no other route', async () => {
    for (let time = 0; time < 3; time++) {
      const response = await server.fetch('/auth/oidc/down/login')
      expect(response.headers.get('retry-after')).toBe('1')
      expect(await outcomeOf(response)).toBe('503 unavailable')
    }
    expect((await server.fetch('/health/ready')).status).toBe(200)
    expect((await server.fetch('/auth/oidc')).status).toBe(200)
    expect((await signIn()).status).toBe(200)
  })

  test(
    'is given up after 5 s',
    async () => {
      hostile.behave({ answers: { '/token': () => new Promise(() => undefined) } })
      const started = performance.now()
      const slow = signIn()
      expect((await server.fetch('/api/notes', { headers: admin })).status).toBe(200)
      expect(await outcomeOf(await slow)).toBe('503 unavailable')
      expect(performance.now() - started).toBeGreaterThan(4900)
    },
    TEST_TIMEOUT_MS,
  )

  test('on plain http stops the start in production', async () => {
    const env = {
      HIPFLASK_ENV: 'production',
      HIPFLASK_PUBLIC_URL: 'https://api.example.com',
      HIPFLASK_OIDC_BAD_ISSUER: hostile.issuer,
      HIPFLASK_OIDC_BAD_CLIENT_ID: 'x',
      HIPFLASK_OIDC_BAD_ISUER: 'x',
      HIPFLASK_DATA: ':memory:',
    }
    const { exitCode, stderr } = await runCommand(['serve'], { env })
    expect(exitCode).toBe(1)
    expect(stderr).toContain('HIPFLASK_OIDC_BAD_ISSUER must be https in production')
    expect(stderr).toContain('did you mean HIPFLASK_OIDC_BAD_ISSUER?')
  })

  test('is shown by hipflask config, its secret masked', async () => {
    const env = {
      HIPFLASK_PUBLIC_URL: 'https://api.example.com',
      HIPFLASK_OIDC_AUTH0_ISSUER: 'https://tenant.eu.auth0.com/',
      HIPFLASK_OIDC_AUTH0_CLIENT_ID: 'an id',
      HIPFLASK_OIDC_AUTH0_CLIENT_SECRET: 'canary',
      HIPFLASK_TRUSTED_ISSUERS: 'https://tenant.eu.auth0.com/|https://api.example.com',
    }
    const people = (await runCommand(['config'], { env })).stdout
    expect(people).toMatch(/HIPFLASK_OIDC_AUTH0_ISSUER +https:\/\/tenant\.eu\.auth0\.com\/ +environment/)
    expect(people).toMatch(/HIPFLASK_OIDC_AUTH0_CLIENT_SECRET +\*{8} +environment/)
    expect(people).toMatch(/HIPFLASK_OIDC_AUTH0_SCOPES +openid email profile +default/)
    expect(people).toMatch(
      /HIPFLASK_TRUSTED_ISSUERS +https:\/\/tenant\.eu\.auth0\.com\/\|https:\/\/api\.example\.com +env/,
    )
    const programs = (await runCommand(['config', '--json'], { env })).stdout
    expect(programs).toContain('"HIPFLASK_OIDC_AUTH0_CLIENT_SECRET"')
    expect(people + programs).not.toContain('canary')
  })
})

describe('a token of a trusted issuer', () => {
  const now = Math.floor(Date.now() / 1000)
  const sign = (changes: Claims = {}, header: Claims = {}) =>
    hostile.sign({ iss: hostile.issuer, aud: AUDIENCE, sub: 'api|eve', exp: now + 300, ...changes }, header)
  const me = async (token: string) => server.fetch('/auth/me', { headers: bearer(token) })
  const note = (token: string) =>
    server.fetch('/api/notes', {
      method: 'POST',
      headers: { ...bearer(token), 'content-type': 'application/json' },
      body: '{"text":"hello"}',
    })

  test('makes an account at first sight, and is it from then on', async () => {
    const before = await accounts()
    const first = await Promise.all(
      Array.from({ length: 5 }, async (_, jti) =>
        (await me(await sign({ jti: `${jti}`, name: 'Eve' }))).json(),
      ),
    )
    const ids = first.map((account) => (account as { id: string }).id)
    expect(new Set(ids).size).toBe(1)
    expect(first[0]).toMatchObject({ name: 'Eve', role: 'user' })
    expect(await accounts()).toBe(before + 1)
    const created = await note(await sign())
    expect(created.status).toBe(201)
    expect(await created.json()).toMatchObject({ owner_id: ids[0]! })
  })

  test('is the account that the identity was linked to', async () => {
    const account = { email: 'tok@example.com', password: PASSWORD }
    const { id } = await post(server, '/auth/register', { name: 'Tok', ...account })
    hostile.behave({ claims: (usual) => ({ ...usual, sub: 'api|tok' }) })
    const visitor = createVisitor(server, 'bad')
    const query = hostile.approve(await visitor.begin('?link=true', basic(account.email, PASSWORD)))
    expect((await visitor.comeBack(query)).status).toBe(200)
    expect(await (await me(await sign({ sub: 'api|tok' }))).json()).toMatchObject({ id: id as string })
  })

  test('links no account by its e-mail', async () => {
    const token = await sign({ sub: 'api|root', email: ADMIN.email })
    const account = (await (await me(token)).json()) as Record<string, unknown>
    expect(account['role']).toBe('user')
    expect(account['email'] ?? null).toBeNull()
    expect((await server.fetch('/api/users', { headers: bearer(token) })).status).toBe(403)
  })

  test.each<[string, Claims, number]>([
    ['names nothing of ours', { scope: 'openid profile' }, 201],
    ['may only read', { scope: 'openid notes:read' }, 403],
    ['may write', { scope: 'notes:write' }, 201],
    ['may do all', { scope: '*' }, 201],
    ['is permitted to write', { permissions: ['notes:write'] }, 201],
    ['is permitted to read', { permissions: ['notes:read'], scope: 'openid' }, 403],
    ['is permitted nothing', { permissions: [] }, 403],
    ['is permitted something else', { permissions: ['read:messages'] }, 403],
  ])('that %s may create: %p', async (_, claims, expected) => {
    const token = await sign(claims)
    expect((await note(token)).status).toBe(expected)
    expect((await me(token)).status).toBe(200)
    expect((await server.fetch('/api/notes/1', { headers: bearer(token) })).status).toBe(200)
  })

  test('reaches of /auth its own account alone, also with all scopes', async () => {
    for (const claims of [{}, { scope: '*' }]) {
      const headers = { ...bearer(await sign(claims)), 'content-type': 'application/json' }
      const body = JSON.stringify({ name: 'k', scopes: ['*'] })
      for (const [method, path] of [
        ['GET', '/auth/sessions'],
        ['DELETE', '/auth/sessions'],
        ['GET', '/auth/keys'],
        ['POST', '/auth/keys'],
        ['PATCH', '/auth/me'],
        ['DELETE', '/auth/me'],
        ['GET', '/auth/me/identities'],
        ['DELETE', '/auth/me/identities/x'],
        ['POST', '/auth/logout'],
        ['GET', '/auth/oidc/bad/login?link=true'],
      ] as const) {
        const hasBody = method === 'POST' || method === 'PATCH'
        const response = await server.fetch(path, { method, headers, ...(hasBody ? { body } : {}) })
        expect([method, path, response.status]).toEqual([method, path, 403])
      }
    }
  })

  test.each<[string, () => Promise<string> | string, string]>([
    ['of another audience', () => sign({ aud: 'other' }), '401 invalid_token'],
    ['of no audience', () => sign({ aud: undefined }), '401 invalid_token'],
    ['of its second audience', () => sign({ aud: ['x', 'second'] }), '200'],
    ['that is over', () => sign({ exp: now - 31 }), '401 token_expired'],
    ['without an end', () => sign({ exp: undefined }), '401 invalid_token'],
    ['of an issuer that is not trusted', () => other.sign(other.soundClaims()), '401 invalid_token'],
    [
      'by the key of another',
      () => other.sign({ iss: hostile.issuer, aud: AUDIENCE, sub: 'x', exp: now + 60 }),
      '401 invalid_token',
    ],
    [
      'without a signature',
      () => unsigned({ iss: hostile.issuer, aud: AUDIENCE, sub: 'x', exp: now + 60 }),
      '401 invalid_token',
    ],
    [
      'by HS256 with the public key',
      async () =>
        signedBySecret(
          { iss: hostile.issuer, aud: AUDIENCE, sub: 'x', exp: now + 60 },
          await hostile.publicPem(),
        ),
      '401 invalid_token',
    ],
    ['without kid', () => sign({}, { kid: undefined }), '401 invalid_token'],
    [
      'of an issuer that is down',
      () => hostile.sign({ iss: 'http://127.0.0.1:9', aud: 'x', sub: 'x', exp: now + 60 }),
      '503 unavailable',
    ],
  ])('%s', async (_, make, expected) => {
    const response = await me(await make())
    if (expected.startsWith('401')) expect(response.headers.get('www-authenticate')).toContain('Bearer')
    if (expected.startsWith('503')) expect(response.headers.get('retry-after')).toBe('1')
    expect(await outcomeOf(response)).toBe(expected)
  })

  test.each(['PS256', 'ES256', 'EdDSA', 'RS256'])(
    'by %s is taken',
    async (algorithm) => {
      await using fresh = await startHostileProvider(algorithm)
      await using on = await startSignIn({
        port: await freePort(),
        providers: {},
        env: { HIPFLASK_TRUSTED_ISSUERS: `${fresh.issuer}|${AUDIENCE}` },
      })
      const claims = { ...fresh.soundClaims(), aud: AUDIENCE }
      const ask = async () => on.fetch('/auth/me', { headers: bearer(await fresh.sign(claims)) })
      expect((await ask()).status).toBe(200)
      // Its keys rotate while the server runs; the second time it is known, and asked for nothing.
      await fresh.rotate()
      expect((await ask()).status).toBe(200)
      expect((await ask()).status).toBe(200)
      expect(fresh.asked).toEqual(['/.well-known/openid-configuration', '/jwks', '/jwks'])
    },
    TEST_TIMEOUT_MS,
  )

  test('is refused at once when its account is disabled', async () => {
    const token = await sign({ sub: 'api|disabled' })
    const { id } = (await (await me(token)).json()) as { id: string }
    const disabled = await server.fetch(`/api/users/${id}`, {
      method: 'PATCH',
      headers: { ...admin, 'content-type': 'application/json' },
      body: '{"disabled":true}',
    })
    expect(disabled.status).toBe(200)
    expect(await outcomeOf(await me(token))).toBe('401 token_revoked')
    hostile.behave({ claims: (usual) => ({ ...usual, sub: 'api|disabled' }) })
    expect(await outcomeOf(await signIn())).toBe('403 forbidden')
  })

  test('its role is that of the account now', async () => {
    const token = await sign({ sub: 'api|promoted' })
    const { id } = (await (await me(token)).json()) as { id: string }
    expect((await server.fetch('/api/users', { headers: bearer(token) })).status).toBe(403)
    await server.fetch(`/api/users/${id}`, {
      method: 'PATCH',
      headers: { ...admin, 'content-type': 'application/json' },
      body: '{"role":"admin"}',
    })
    expect((await server.fetch('/api/users', { headers: bearer(token) })).status).toBe(200)
  })
})
