// The routes of signing in at OpenID providers: which there are, and the two ends of a sign-in. They only translate
// between HTTP and the parts beside this file.
import type { Authenticator } from '../../access/principal.ts'
import type { Clock } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import { json, route, type QueryContract, type Route } from '../../http/route.ts'
import { everyone, t } from '../../sdk.ts'
import type { Store } from '../../storage/store.ts'
import type { Audit } from '../audit.ts'
import { tokenRevoked } from '../challenges.ts'
import { TOKEN_EXAMPLE, TokenAnswer } from '../session-routes.ts'
import { findSession, isLiving } from '../sessions.ts'
import type { TokenPairs } from '../token-pairs.ts'
import { findById, type User } from '../users.ts'
import type { Codes } from './codes.ts'
import type { Flow, Flows } from './flow.ts'
import type { Identities } from './identities.ts'
import { SignInRefused, newFlowSecrets, type Provider } from './provider.ts'

export interface OidcRoutesOptions {
  clock: Clock
  providers: readonly Provider[]
  /** The addresses that a sign-in may end at, each as it must be asked for. */
  redirects: readonly string[]
  flows: Flows
  codes: Codes
  identities: Identities
  tokenPairs: TokenPairs
  /** Who links. */
  authenticate: Authenticator
  store: Store
  audit: Audit
}

const TAG = 'Accounts'
const METHOD = 'oidc'

/** GET /auth/oidc, /auth/oidc/:provider/login and /auth/oidc/:provider/callback. */
export function createOidcRoutes(options: OidcRoutesOptions): Route[] {
  return [listRoute(options), loginRoute(options), callbackRoute(options)]
}

/** Where a provider sends browsers back to, below the public address. */
export function callbackPath(provider: string): string {
  return `/auth/oidc/${provider}/callback`
}

const ProviderView = t.Object(
  {
    name: t.String(),
    label: t.String({ description: 'For a button' }),
    login_url: t.String({ description: 'Where to send the browser' }),
  },
  { title: 'OidcProvider' },
)
const ProviderList = t.Object({ data: t.Array(ProviderView) }, { title: 'OidcProviders' })
const Start = t.Object(
  { location: t.String({ description: 'Where to send the browser' }) },
  { title: 'OidcStart' },
)

function listRoute({ providers }: OidcRoutesOptions): Route {
  const data = providers.map(({ name, label }) => ({ name, label, login_url: `/auth/oidc/${name}/login` }))
  return route({
    method: 'GET',
    path: '/auth/oidc',
    operationId: 'listProviders',
    summary: 'The providers to sign in at',
    tag: TAG,
    access: everyone(),
    credentials: 'ignored',
    responses: {
      200: json('All of them', ProviderList, {
        example: { data: [{ name: 'auth0', label: 'Auth0', login_url: '/auth/oidc/auth0/login' }] },
      }),
    },
    noStore: true,
    handler: () => ({ data }),
  })
}

function loginRoute(options: OidcRoutesOptions): Route {
  const { redirects, flows } = options
  const find = createFinder(options)
  const linkerOf = createLinkerReader(options)
  return route({
    method: 'GET',
    path: '/auth/oidc/:provider/login',
    operationId: 'beginSignIn',
    summary: 'Sign in at a provider',
    description:
      'Sends the browser to the provider, or answers where to send it to whoever accepts `application/json` by ' +
      'name. Either way a cookie binds the sign-in to this browser, for ten minutes.',
    tag: TAG,
    access: everyone(),
    credentials: 'ignored',
    query: t.Object({
      redirect_to: t.Optional(
        t.String({
          description: 'Where the sign-in ends: an entry of HIPFLASK_OIDC_REDIRECTS, letter by letter',
        }),
      ),
      link: t.Optional(t.Boolean({ description: 'Link the identity to the account that asks' })),
    }),
    responses: {
      200: json('Where to send the browser', Start, {
        example: { location: 'https://id.example.com/authorize' },
      }),
      302: { description: 'To the provider', headers: { Location: 'The address there' } },
    },
    errors: ['bad_request', 'unauthenticated', 'forbidden', 'not_found', 'unavailable'],
    negotiates: true,
    noStore: true,
    async handler({ params, query, header, address, reply }) {
      const provider = find(params.provider)
      const { redirect_to: redirectTo } = query
      if (redirectTo !== undefined && !redirects.includes(redirectTo)) throw foreignRedirect()
      const link = query.link === true ? await linkerOf({ header, address }) : undefined
      const flow: Flow = { ...newFlowSecrets(), provider: provider.name, redirectTo, link }
      const location = await provider.authorizationUrl(flow)
      const cookie = { 'set-cookie': flows.cookieOf(flow) }
      if (namesJson(header('accept'))) return reply(200, { location }, cookie)
      return reply(302, undefined, { location, ...cookie })
    },
  })
}

/** As it came: openid-client reads it, and a provider may add to it what it likes. */
const callbackQuery: QueryContract<string> = {
  parameters: ['code', 'state', 'iss', 'error'].map((name) => ({
    name,
    in: 'query',
    description: 'As the provider says',
    schema: { type: 'string' },
  })),
  parse: (search) => search,
}

function callbackRoute(options: OidcRoutesOptions): Route {
  const { flows, audit } = options
  const find = createFinder(options)
  const finish = createFinish(options)
  return route({
    method: 'GET',
    path: '/auth/oidc/:provider/callback',
    operationId: 'endSignIn',
    summary: 'Where a provider sends the browser back to',
    description:
      'Answers the tokens of a new session, or sends the browser to where it asked to end, with a `code` for ' +
      '`POST /auth/token`, or an `error`.',
    tag: TAG,
    access: everyone(),
    credentials: 'ignored',
    query: callbackQuery,
    responses: {
      200: json('The tokens of a new session', TokenAnswer, { example: TOKEN_EXAMPLE }),
      302: { description: 'To where the sign-in ends', headers: { Location: 'The address there' } },
    },
    errors: [
      'bad_request',
      'invalid_token',
      'forbidden',
      'not_found',
      'link_required',
      'conflict',
      'unavailable',
    ],
    negotiates: true,
    noStore: true,
    async handler({ params, query: search, header, address, reply }) {
      const provider = find(params.provider)
      // A second one is refused by the library.
      const state = new URLSearchParams(search).get('state')
      const flow = await flows.take({ provider: provider.name, state, cookies: header('cookie') })
      const gone = { 'set-cookie': flows.removalOf(flow) }
      const sendBack = (name: string, value: string) =>
        reply(302, undefined, { location: withParameter(flow.redirectTo ?? '', name, value), ...gone })
      try {
        const done = await finish(provider, {
          flow,
          search,
          ip: address(),
          userAgent: header('user-agent'),
        })
        return typeof done === 'string' ? sendBack('code', done) : reply(200, done, gone)
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        audit('login.failed', { method: METHOD, ip: address(), reason: error.code })
        if (flow.redirectTo === undefined) throw error
        return sendBack('error', error instanceof SignInRefused ? error.error : error.code)
      }
    },
  })
}

function createFinder({ providers }: OidcRoutesOptions): (name: string) => Provider {
  const byName = new Map(providers.map((provider) => [provider.name, provider]))
  return (name) => {
    const provider = byName.get(name)
    if (provider === undefined) throw new AppError('not_found')
    return provider
  }
}

interface Caller {
  header: (name: string) => string | null
  address: () => string
}

/** Makes the function that gives the user who asks: here alone in this file a credential is looked at. */
function createLinkerReader({ authenticate, store }: OidcRoutesOptions) {
  return async ({ header, address }: Caller): Promise<NonNullable<Flow['link']>> => {
    const [authorization, apiKey] = [header('authorization'), header('x-api-key')]
    const { kind, id, session_id: sessionId } = await authenticate({ authorization, apiKey, address })
    if (kind === 'anonymous') throw new AppError('unauthenticated')
    if (kind !== 'user' || id === null) throw new AppError('forbidden')
    const user = await findById(store, id)
    if (user === undefined) throw tokenRevoked()
    return { userId: id, sessionId, generation: user.session_generation }
  }
}

interface Answered {
  flow: Flow
  search: string
  ip: string
  userAgent: string | null
}

/** Makes the function that gives the tokens, or the code for whoever is sent on. */
function createFinish({ identities, codes, tokenPairs, store, clock }: OidcRoutesOptions) {
  const userOf = async (provider: Provider, { flow, search, ip }: Answered): Promise<User> => {
    const identity = await provider.identityOf(search, flow)
    const source = { provider: provider.name, ip }
    if (flow.link === undefined) return identities.accountOf(identity, source)
    const { userId, sessionId, generation } = flow.link
    const user = await findById(store, userId)
    // Whoever has ended the session meanwhile, or all of them, has ended this too.
    if (user === undefined || user.disabled || user.session_generation !== generation) throw tokenRevoked()
    const session = sessionId === null ? undefined : await findSession(store, sessionId)
    if (sessionId !== null && (session === undefined || !isLiving(session, user, clock())))
      throw tokenRevoked()
    await identities.link(identity, { ...source, userId })
    return user
  }
  return async (provider: Provider, answered: Answered) => {
    const { flow, ip, userAgent } = answered
    const user = await userOf(provider, answered)
    if (user.disabled) throw new AppError('forbidden', { message: 'This account is disabled' })
    if (flow.redirectTo !== undefined) return codes.issue(user, flow.redirectTo)
    const pair = await tokenPairs.begin({ user, ip, userAgent, method: METHOD })
    // Disabled or changed in this moment.
    if (pair === undefined) throw new SignInRefused('access_denied')
    return pair
  }
}

/** The address itself stays as it was asked for, letter by letter. */
function withParameter(address: string, name: string, value: string): string {
  return `${address}${address.includes('?') ? '&' : '?'}${name}=${encodeURIComponent(value)}`
}

/** Scripts that can't follow a redirect to another origin ask for JSON; browsers take anything. */
function namesJson(accept: string | null): boolean {
  return accept !== null && /(?:^|,)\s*application\/json\s*(?:[;,]|$)/i.test(accept)
}

function foreignRedirect(): AppError {
  const message = 'Expected an entry of HIPFLASK_OIDC_REDIRECTS, letter by letter'
  return new AppError('bad_request', { details: [{ field: 'redirect_to', message }] })
}
