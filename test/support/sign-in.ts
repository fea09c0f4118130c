// A running executable that signs in at OpenID providers, and the steps of a sign-in as a browser takes them.
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { startServer, type RunningServer, type ServerOptions } from './executable.ts'
import { CLIENT_ID, CLIENT_SECRET, createCookieJar, type CookieJar } from './openid.ts'

/** Where sign-ins may end: nothing listens there. */
export const APP = 'http://127.0.0.1:9/signed-in?from=test'

/** A port that nobody listens on now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise<void>((resolve) => server.close(() => resolve()))
  return port
}

export interface SignInOptions extends ServerOptions {
  /** Known beforehand, since a provider must know where to send browsers back to. */
  port: number
  /** Issuers by the name of the provider. */
  providers: Readonly<Record<string, string>>
}

/** Starts the executable with these providers, whose client it is by the same id and secret. */
export function startSignIn({ port, providers, ...options }: SignInOptions): Promise<RunningServer> {
  const env: Record<string, string> = {
    PORT: String(port),
    HIPFLASK_PUBLIC_URL: `http://127.0.0.1:${port}`,
    HIPFLASK_OIDC_REDIRECTS: `https://app.example.com/, ${APP}`,
  }
  for (const [name, issuer] of Object.entries(providers)) {
    const prefix = `HIPFLASK_OIDC_${name.toUpperCase()}`
    Object.assign(env, {
      [`${prefix}_ISSUER`]: issuer,
      [`${prefix}_CLIENT_ID`]: CLIENT_ID,
      [`${prefix}_CLIENT_SECRET`]: CLIENT_SECRET,
    })
  }
  return startServer({ ...options, env: { ...env, ...options.env } })
}

export interface Tokens {
  access_token: string
  refresh_token: string
}

/** A browser at the executable: it begins sign-ins and comes back from them. */
export interface Visitor {
  jar: CookieJar
  /** Begins one; the address at the provider. */
  begin(query?: string, headers?: Record<string, string>): Promise<string>
  /** Comes back with this query. */
  comeBack(query: string): Promise<Response>
}

export function createVisitor(server: RunningServer, provider: string): Visitor {
  const jar = createCookieJar()
  const path = `${server.url}/auth/oidc/${provider}`
  return {
    jar,
    async begin(query = '', headers = {}) {
      const response = await jar.fetch(`${path}/login${query}`, { headers })
      const location = response.headers.get('location')
      if (response.status === 302 && location !== null) return location
      if (response.status === 200) return ((await response.json()) as { location: string }).location
      throw new Error(`Login answered ${response.status}: ${await response.text()}`)
    },
    comeBack: (query) => jar.fetch(`${path}/callback?${query}`),
  }
}

/** Status, and the code of an error. */
export async function outcomeOf(response: Response): Promise<string> {
  if (response.status === 204) return '204'
  const { error } = (await response.json()) as { error?: { code: string } | string }
  const code = typeof error === 'object' ? error.code : error
  return code === undefined ? String(response.status) : `${response.status} ${code}`
}

export function bearer(token: string): { authorization: string } {
  return { authorization: `Bearer ${token}` }
}
