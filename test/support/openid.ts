// OpenID providers for tests: the certified one of npm oidc-provider, and a browser of the kind that only keeps cookies.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import Provider, { type Configuration } from 'oidc-provider'

export const CLIENT_ID = 'hipflask'
export const CLIENT_SECRET = 'a secret of the tests'

export interface OpenIdProvider extends AsyncDisposable {
  issuer: string
  /** Claims of the accounts by what is typed as login; beside `sub`, which is the login. */
  accounts: Record<string, Record<string, unknown>>
  stop(): Promise<void>
}

export interface OpenIdOptions {
  redirectUris: readonly string[]
  /** As the client is registered there. */
  authMethod?: 'client_secret_basic' | 'client_secret_post' | 'none'
  configuration?: Configuration
}

/** Starts it on a free port of loopback. Whoever types a login is signed in. */
export async function startOpenIdProvider(options: OpenIdOptions): Promise<OpenIdProvider> {
  const { redirectUris, authMethod = 'client_secret_basic', configuration = {} } = options
  const server: Server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const accounts: OpenIdProvider['accounts'] = {}
  const provider = quietly(
    () =>
      new Provider(issuer, {
        clients: [
          {
            client_id: CLIENT_ID,
            ...(authMethod === 'none' ? {} : { client_secret: CLIENT_SECRET }),
            redirect_uris: [...redirectUris],
            token_endpoint_auth_method: authMethod,
          },
        ],
        claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
        conformIdTokenClaims: false,
        ttl: { Interaction: 600, Session: 600, Grant: 600, AccessToken: 60, IdToken: 60 },
        findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ ...accounts[sub], sub }) }),
        ...configuration,
      }),
  )
  server.on('request', provider.callback())
  const stop = () =>
    new Promise<void>((resolve) => {
      server.closeAllConnections()
      server.close(() => resolve())
    })
  return { issuer, accounts, stop, [Symbol.asyncDispose]: stop }
}

// It warns of its development keys and pages, which are what a test needs.
function quietly<T>(work: () => T): T {
  const { warn, info } = console
  console.warn = console.info = () => undefined
  try {
    return work()
  } finally {
    Object.assign(console, { warn, info })
  }
}

export interface CookieJar {
  /** Fetches without following; keeps and sends cookies by host, port and path. */
  fetch(url: string, init?: RequestInit): Promise<Response>
  /** The cookies that would go to this address. */
  cookiesFor(url: string): string
}

const REDIRECTS_MAX = 20

export function createCookieJar(): CookieJar {
  const cookies = new Map<string, { origin: string; path: string; name: string; value: string }>()
  const cookiesFor = (url: string): string => {
    const { origin, pathname } = new URL(url)
    return [...cookies.values()]
      .filter((cookie) => cookie.origin === origin && pathname.startsWith(cookie.path))
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ')
  }
  return {
    cookiesFor,
    async fetch(url, init = {}) {
      const headers = new Headers(init.headers)
      const cookie = cookiesFor(url)
      if (cookie !== '') headers.set('cookie', cookie)
      const response = await fetch(url, { ...init, headers, redirect: 'manual' })
      for (const text of response.headers.getSetCookie()) {
        const [pair = '', ...attributes] = text.split(/;\s*/)
        const at = pair.indexOf('=')
        const [name, value] = [pair.slice(0, at), pair.slice(at + 1)]
        const path = attributes.find((one) => /^path=/i.test(one))?.slice(5) ?? '/'
        const { origin } = new URL(url)
        const isGone = attributes.some((one) => /^max-age=0$/i.test(one)) || value === ''
        const key = `${origin} ${path} ${name}`
        if (isGone) cookies.delete(key)
        else cookies.set(key, { origin, path, name, value })
      }
      return response
    },
  }
}

/**
 * Does what a person does at the provider: follows it from the first address on, types the login and consents, until it
 * is sent to an address for which `isDone` holds, which is given and not asked for.
 */
export async function signInAtProvider(
  jar: CookieJar,
  start: string,
  { login, isDone }: { login: string; isDone: (url: string) => boolean },
): Promise<string> {
  let url = start
  let response = await jar.fetch(url)
  for (let step = 0; step < REDIRECTS_MAX; step++) {
    const location = response.headers.get('location')
    if (location !== null) {
      url = new URL(location, url).href
      if (isDone(url)) return url
      response = await jar.fetch(url)
      continue
    }
    const page = await response.text()
    const action = /<form[^>]* action="([^"]+)"/.exec(page)?.[1]
    const prompt = /name="prompt" value="([^"]+)"/.exec(page)?.[1]
    if (response.status !== 200 || action === undefined || prompt === undefined)
      throw new Error(`Provider answered ${response.status} at ${url}: ${page.slice(0, 500)}`)
    url = new URL(action, url).href
    const body = new URLSearchParams({ prompt, ...(prompt === 'login' ? { login, password: 'x' } : {}) })
    response = await jar.fetch(url, { method: 'POST', body })
  }
  throw new Error('Provider sends the browser in circles')
}
