// Signing in at the certified provider of npm oidc-provider, by a cookie jar and by a browser.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createConformance } from '../support/conformance.ts'
import { hasBrowser, openBrowser } from '../support/browser.ts'
import type { RunningServer } from '../support/executable.ts'
import { signInAtProvider, startOpenIdProvider, type OpenIdProvider } from '../support/openid.ts'
import {
  APP,
  bearer,
  createVisitor,
  freePort,
  outcomeOf,
  startSignIn,
  type Tokens,
} from '../support/sign-in.ts'
import { basic, post, PASSWORD } from '../support/world.ts'

const TEST_TIMEOUT_MS = 30_000
let provider: OpenIdProvider
let server: RunningServer
let callback: string

beforeAll(async () => {
  const port = await freePort()
  callback = `http://127.0.0.1:${port}/auth/oidc/test/callback`
  provider = await startOpenIdProvider({ redirectUris: [callback] })
  server = await startSignIn({ port, providers: { test: provider.issuer } })
})
afterAll(async () => {
  await server?.stop()
  await provider?.stop()
})

/** Signs in at the provider; the visitor, and what the provider sends back. */
async function goThere(login: string, query = '', headers: Record<string, string> = {}) {
  const visitor = createVisitor(server, 'test')
  const start = await visitor.begin(query, headers)
  const isDone = (url: string) => url.startsWith(callback)
  const back = await signInAtProvider(visitor.jar, start, { login, isDone })
  return { visitor, query: back.slice(callback.length + 1) }
}

async function signIn(login: string): Promise<Tokens> {
  const { visitor, query } = await goThere(login)
  const response = await visitor.comeBack(query)
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`)
  return (await response.json()) as Tokens
}

async function me(token: string): Promise<Record<string, unknown>> {
  const response = await server.fetch('/auth/me', { headers: bearer(token) })
  expect(response.status).toBe(200)
  return (await response.json()) as Record<string, unknown>
}

async function register(name: string): Promise<{ id: string; authorization: string }> {
  const account = { email: `${name}@example.com`, password: PASSWORD }
  const { id } = await post(server, '/auth/register', { name, ...account })
  return { id: id as string, ...basic(account.email, PASSWORD) }
}

const token = (form: Record<string, string>) =>
  server.fetch('/auth/token', { method: 'POST', body: new URLSearchParams(form) })

describe('a sign-in', () => {
  test(
    'gives tokens of a new account, and of the same account again',
    async () => {
      provider.accounts['ada'] = { email: 'ada@example.org', name: 'Ada', email_verified: false }
      const first = await me((await signIn('ada')).access_token)
      expect(first).toMatchObject({ name: 'Ada', email: 'ada@example.org', role: 'user' })
      provider.accounts['ada'] = { email: 'new@example.org', name: 'New' }
      const tokens = await signIn('ada')
      expect(await me(tokens.access_token)).toMatchObject({
        id: first['id'] as string,
        email: 'ada@example.org',
      })
      // A session like others.
      const { refresh_token } = tokens
      const next = await post(server, '/auth/refresh', { refresh_token })
      const headers = bearer(next['access_token'] as string)
      const sessions = (await (await server.fetch('/auth/sessions', { headers })).json()) as {
        data: object[]
      }
      expect(sessions.data).toHaveLength(2)
      expect((await server.fetch('/auth/logout', { method: 'POST', headers })).status).toBe(204)
      expect((await server.fetch('/auth/me', { headers })).status).toBe(401)
    },
    TEST_TIMEOUT_MS,
  )

  test('needs no e-mail', async () => {
    const account = await me((await signIn('nobody')).access_token)
    expect(account).toMatchObject({ name: 'User' })
    expect(account['email'] ?? null).toBeNull()
  })

  test('is told of by the list of providers', async () => {
    expect(await (await server.fetch('/auth/oidc')).json()).toEqual({
      data: [{ name: 'test', label: 'Test', login_url: '/auth/oidc/test/login' }],
    })
  })

  test('binds the browser by a cookie that is good for nothing else', async () => {
    const response = await server.fetch('/auth/oidc/test/login')
    expect(response.status).toBe(302)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const [cookie = '', ...others] = response.headers.getSetCookie()
    expect(others).toEqual([])
    expect(cookie).toMatch(
      /^hipflask_oidc_[\w-]+=[\w.-]+; Max-Age=600; Path=\/auth\/oidc; HttpOnly; SameSite=Lax$/,
    )
    const [pair = ''] = cookie.split(';')
    expect((await server.fetch('/auth/me', { headers: { cookie: pair } })).status).toBe(401)
    const value = pair.slice(pair.indexOf('=') + 1)
    for (const authorization of [`Bearer ${value}`, `Bearer ${value.split('.')[0]}`])
      expect((await server.fetch('/auth/me', { headers: { authorization } })).status).toBe(401)
  })

  test('answers where to go to scripts that ask for JSON, and credentials are not looked at', async () => {
    const headers = { accept: 'application/json', authorization: 'Bearer nonsense' }
    const response = await server.fetch('/auth/oidc/test/login', { headers })
    expect(response.status).toBe(200)
    const { location } = (await response.json()) as { location: string }
    expect(location).toStartWith(`${provider.issuer}/auth?`)
    expect(new URL(location).searchParams.get('redirect_uri')).toBe(callback)
    expect((await server.fetch('/auth/oidc/test/login', { headers: { accept: 'text/html' } })).status).toBe(
      302,
    )
  })

  test('is at a provider that there is', async () => {
    for (const name of ['other', 'TEST', 'constructor', '__proto__', 'a%2fb'])
      for (const end of ['login', 'callback?code=a&state=b'])
        expect((await server.fetch(`/auth/oidc/${name}/${end}`)).status).toBe(404)
    expect((await server.fetch('/auth/oidc/test/login?who=me')).status).toBe(400)
  })
})

describe('coming back is refused, and begins no session', () => {
  const LOGIN = 'eve'
  const sessions = async () => {
    const headers = bearer((await signIn(LOGIN)).access_token)
    const { data } = (await (await server.fetch('/auth/sessions', { headers })).json()) as { data: object[] }
    return data.length
  }

  test(
    'a second time, and from another browser',
    async () => {
      const before = await sessions()
      const { visitor, query } = await goThere(LOGIN)
      const cookie = visitor.jar.cookiesFor(callback)
      const stranger = createVisitor(server, 'test')
      expect(await outcomeOf(await stranger.comeBack(query))).toBe('400 bad_request')
      await stranger.begin()
      expect(await outcomeOf(await stranger.comeBack(query))).toBe('400 bad_request')
      expect((await visitor.comeBack(query)).status).toBe(200)
      // The browser has let go of the cookie; one who kept it gets no further.
      expect(visitor.jar.cookiesFor(callback)).not.toContain('hipflask_oidc')
      expect(await outcomeOf(await visitor.comeBack(query))).toBe('400 bad_request')
      const path = `/auth/oidc/test/callback?${query}`
      expect(await outcomeOf(await server.fetch(path, { headers: { cookie } }))).toBe('400 bad_request')
      expect(await sessions()).toBe(before + 2)
    },
    TEST_TIMEOUT_MS,
  )

  test(
    'with a code of another sign-in, which uses the state up',
    async () => {
      const [one, two] = [await goThere(LOGIN), await goThere(LOGIN)]
      const [first, second] = [one, two].map(({ query }) => new URLSearchParams(query))
      const mixed = new URLSearchParams(first)
      mixed.set('code', second?.get('code') ?? '')
      expect(await outcomeOf(await one.visitor.comeBack(mixed.toString()))).toBe('400 bad_request')
      expect(await outcomeOf(await one.visitor.comeBack(one.query))).toBe('400 bad_request')
    },
    TEST_TIMEOUT_MS,
  )

  test.each<[string, (query: URLSearchParams) => void]>([
    ['another state', (query) => query.set('state', 'x'.repeat(43))],
    ['no state', (query) => query.delete('state')],
    ['two states', (query) => query.append('state', query.get('state') ?? '')],
    ['no code', (query) => query.delete('code')],
    ['an empty code', (query) => query.set('code', '')],
    ['iss of another', (query) => query.set('iss', 'https://id.example.com')],
    ['no iss', (query) => query.delete('iss')],
  ])('with %s', async (_, change) => {
    const { visitor, query } = await goThere(LOGIN)
    const changed = new URLSearchParams(query)
    change(changed)
    expect(await outcomeOf(await visitor.comeBack(changed.toString()))).toBe('400 bad_request')
  })

  test('with nothing at all', async () => {
    expect(await outcomeOf(await server.fetch('/auth/oidc/test/callback'))).toBe('400 bad_request')
    expect(await outcomeOf(await createVisitor(server, 'test').comeBack('error=access_denied'))).toBe(
      '400 bad_request',
    )
  })
})

describe('a sign-in that ends at an application', () => {
  const query = `?redirect_to=${encodeURIComponent(APP)}`

  /** The code that comes to the application. */
  async function codeOf(): Promise<string> {
    const there = await goThere('app', query)
    const response = await there.visitor.comeBack(there.query)
    expect(response.status).toBe(302)
    const location = response.headers.get('location') ?? ''
    expect(location).toStartWith(`${APP}&code=`)
    return new URL(location).searchParams.get('code') ?? ''
  }
  const exchange = (code: string, uri = APP) =>
    token({ grant_type: 'authorization_code', code, redirect_uri: uri })

  test('brings a code that is good for tokens once', async () => {
    const code = await codeOf()
    const response = await exchange(code)
    expect(response.status).toBe(200)
    const tokens = (await response.json()) as Tokens
    expect(await me(tokens.access_token)).toMatchObject({ name: 'User' })
    expect(await outcomeOf(await exchange(code))).toBe('400 invalid_grant')
    // The log of whoever found the code does not help.
    expect(server.log().join('')).not.toContain(code)
  })

  test('brings a code that is good for one of ten at once', async () => {
    const code = await codeOf()
    const outcomes = await Promise.all(Array.from({ length: 10 }, async () => (await exchange(code)).status))
    expect(outcomes.toSorted()).toEqual([200, ...Array(9).fill(400)])
  })

  test.each([`${APP}&`, 'https://app.example.com/', APP.toUpperCase()])(
    'brings a code that is good for %s not, and then for nothing',
    async (uri) => {
      const code = await codeOf()
      expect(await outcomeOf(await exchange(code, uri))).toBe('400 invalid_grant')
      expect(await outcomeOf(await exchange(code))).toBe('400 invalid_grant')
    },
  )

  test('says what is missing of an exchange', async () => {
    expect(await outcomeOf(await token({ grant_type: 'authorization_code', code: 'x' }))).toBe(
      '400 invalid_request',
    )
    expect(await outcomeOf(await token({ grant_type: 'authorization_code', redirect_uri: APP }))).toBe(
      '400 invalid_request',
    )
    expect(await outcomeOf(await exchange('x'))).toBe('400 invalid_grant')
  })

  test('brings an error where it is refused', async () => {
    const visitor = createVisitor(server, 'test')
    const state = new URL(await visitor.begin(query)).searchParams.get('state') ?? ''
    const back = new URLSearchParams({ state, iss: provider.issuer, error: 'access_denied' })
    const response = await visitor.comeBack(back.toString())
    expect(response.status).toBe(302)
    expect(response.headers.get('location')).toBe(`${APP}&error=access_denied`)
  })
})

describe('an e-mail that a local account has', () => {
  test(
    'links nothing, verified or not, until its user does',
    async () => {
      const { id, authorization } = await register('lin')
      for (const email_verified of [true, false, undefined]) {
        provider.accounts['lin'] = { email: 'LIN@example.com', name: 'Lin', email_verified }
        const { visitor, query } = await goThere('lin')
        expect(await outcomeOf(await visitor.comeBack(query))).toBe('409 link_required')
      }
      const toApp = await goThere('lin', `?redirect_to=${encodeURIComponent(APP)}`)
      const sentBack = await toApp.visitor.comeBack(toApp.query)
      expect(sentBack.headers.get('location')).toBe(`${APP}&error=link_required`)

      const there = await goThere('lin', '?link=true', { authorization, accept: 'application/json' })
      const response = await there.visitor.comeBack(there.query)
      expect(response.status).toBe(200)
      expect((await me(((await response.json()) as Tokens).access_token))['id']).toBe(id)
      expect((await me((await signIn('lin')).access_token))['id']).toBe(id)

      const { data } = (await (
        await server.fetch('/auth/me/identities', { headers: { authorization } })
      ).json()) as {
        data: { id: string }[]
      }
      expect(data).toEqual([
        expect.objectContaining({
          provider: 'test',
          issuer: provider.issuer,
          subject: 'lin',
          email: 'LIN@example.com',
        }),
      ])
      const path = `/auth/me/identities/${data[0]?.id}`
      const other = await register('other')
      const remove = (headers: Record<string, string>) => server.fetch(path, { method: 'DELETE', headers })
      expect(await outcomeOf(await remove({ authorization: other.authorization }))).toBe('404 not_found')
      expect(await outcomeOf(await remove({ authorization }))).toBe('204')
      const again = await goThere('lin')
      expect(await outcomeOf(await again.visitor.comeBack(again.query))).toBe('409 link_required')
    },
    TEST_TIMEOUT_MS,
  )

  test('is linked by nobody who has not signed in, or by a key', async () => {
    const login = (headers: Record<string, string>) =>
      server.fetch('/auth/oidc/test/login?link=true', { headers })
    expect(await outcomeOf(await login({}))).toBe('401 unauthenticated')
    expect(await outcomeOf(await login(bearer('nonsense')))).toBe('401 invalid_token')
    const { authorization } = await register('keyed')
    const { key } = await post(server, '/auth/keys', { name: 'k', scopes: ['items:read'] }, { authorization })
    expect(await outcomeOf(await login({ 'x-api-key': key as string }))).toBe('403 forbidden')
  })

  test('is not linked where its session was ended meanwhile', async () => {
    await register('gone')
    const account = { email: 'gone@example.com', password: PASSWORD }
    const { authorization } = bearer((await post(server, '/auth/login', account))['access_token'] as string)
    const there = await goThere('gone', '?link=true', { authorization })
    const headers = { authorization }
    expect((await server.fetch('/auth/logout', { method: 'POST', headers })).status).toBe(204)
    expect(await outcomeOf(await there.visitor.comeBack(there.query))).toBe('401 token_revoked')
  })

  test('is not linked where all sessions were ended meanwhile', async () => {
    const { authorization } = await register('ended')
    const there = await goThere('ended', '?link=true', { authorization })
    await server.fetch('/auth/sessions', { method: 'DELETE', headers: { authorization } })
    expect(await outcomeOf(await there.visitor.comeBack(there.query))).toBe('401 token_revoked')
  })

  test('an identity of one account is not linked to another', async () => {
    await signIn('owned')
    const { authorization } = await register('thief')
    const there = await goThere('owned', '?link=true', { authorization })
    expect(await outcomeOf(await there.visitor.comeBack(there.query))).toBe('409 conflict')
  })

  test('the last way to sign in stays', async () => {
    const headers = bearer((await signIn('lonely')).access_token)
    const { data } = (await (await server.fetch('/auth/me/identities', { headers })).json()) as {
      data: { id: string }[]
    }
    const path = `/auth/me/identities/${data[0]?.id}`
    expect(await outcomeOf(await server.fetch(path, { method: 'DELETE', headers }))).toBe('409 conflict')
  })
})

test('the answers are as the document says', async () => {
  const document = (await (await server.fetch('/swagger/json')).json()) as object
  const { faultsOf } = createConformance(document)
  const judge = async (path: string, init: RequestInit, expected: number) => {
    const response = await server.fetch(path, init)
    const { status, headers } = response
    const exchange = { method: init.method ?? 'GET', path, status, headers, body: await response.text() }
    expect([path, status, faultsOf(exchange)]).toEqual([path, expected, []])
    return exchange.body
  }
  await judge('/auth/oidc', {}, 200)
  await judge('/auth/oidc/test/login', {}, 302)
  await judge('/auth/oidc/test/login?link=true', {}, 401)
  await judge('/auth/oidc/test/login?redirect_to=x', {}, 400)
  await judge('/auth/oidc/test/login', { headers: { accept: 'application/json' } }, 200)
  await judge('/auth/oidc/test/callback', {}, 400)
  const { visitor, query } = await goThere('document')
  const cookie = visitor.jar.cookiesFor(callback)
  const tokens = await judge(`/auth/oidc/test/callback?${query}`, { headers: { cookie } }, 200)
  const headers = bearer((JSON.parse(tokens) as Tokens).access_token)
  const list = await judge('/auth/me/identities', { headers }, 200)
  const [identity] = (JSON.parse(list) as { data: { id: string }[] }).data
  await judge(`/auth/me/identities/${identity?.id}`, { method: 'DELETE', headers }, 409)
  await judge('/auth/me/identities/nothing', { method: 'DELETE', headers }, 404)
  const toApp = await goThere('document', `?redirect_to=${encodeURIComponent(APP)}`)
  const sent = { headers: { cookie: toApp.visitor.jar.cookiesFor(callback) } }
  await judge(`/auth/oidc/test/callback?${toApp.query}`, sent, 302)
})

test('the log tells of sign-ins, and of no e-mail, code or token', async () => {
  const log = server.log().join('\n')
  for (const event of ['login.succeeded', 'login.failed', 'identity.linked', 'identity.removed'])
    expect(log).toContain(`"event":"${event}"`)
  expect(log).not.toMatch(/ada@example|eyJ|lin@example/i)
})

test.if(hasBrowser())(
  'a browser signs in',
  async () => {
    provider.accounts['web'] = { email: 'web@example.org', name: 'Web' }
    const visit = await openBrowser()
    try {
      await visit.page.goto(`${server.url}/auth/oidc/test/login`)
      await visit.page.locator('input[name=login]').fill('web')
      await visit.page.locator('input[name=password]').fill('x')
      await visit.page.locator('button.login-submit').click()
      await visit.page.waitForSelector('input[name=prompt][value=consent]')
      await Promise.all([visit.page.waitForNavigation(), visit.page.locator('button[type=submit]').click()])
      expect(visit.page.url()).toStartWith(callback)
      const tokens = JSON.parse((await visit.page.evaluate('document.body.innerText')) as string) as Tokens
      expect(await me(tokens.access_token)).toMatchObject({ email: 'web@example.org' })
      expect(await visit.page.evaluate('document.cookie')).toBe('')
    } finally {
      await visit.close()
    }
  },
  TEST_TIMEOUT_MS,
)
