// The routes and the authenticator of auth/ on a real database in memory, with a clock that tests set.
import { randomBytes } from 'node:crypto'
import type { Authenticator } from '../../src/access/principal.ts'
import { createAccessTokens, type AccessTokens } from '../../src/auth/access-tokens.ts'
import { createAuthenticator } from '../../src/auth/authenticator.ts'
import { createBasicVerifier } from '../../src/auth/basic.ts'
import { loadKeyRing, type KeyRing } from '../../src/auth/key-ring.ts'
import { createLoginLimits, type LoginLimitsOptions } from '../../src/auth/login-limits.ts'
import { createPasswords, type Passwords } from '../../src/auth/passwords.ts'
import {
  createAccountEngine,
  createAccounts as createOperations,
  type Accounts as Operations,
} from '../../src/auth/accounts.ts'
import { createOwnAccount, type OwnAccount } from '../../src/auth/own-account.ts'
import { withUsers } from '../../src/auth/users-resource.ts'
import type { Declarations } from '../../src/rest/loader.ts'
import type { ResourceDefinition } from '../../src/rest/resource.ts'
import { createAccountRoutes } from '../../src/auth/account-routes.ts'
import { createApiKeyRoutes } from '../../src/auth/api-key-routes.ts'
import { createApiKeys, type ApiKeys } from '../../src/auth/api-keys.ts'
import { createAudit } from '../../src/auth/audit.ts'
import { createCodes } from '../../src/auth/oidc/codes.ts'
import { createOAuthRoutes } from '../../src/auth/oauth-routes.ts'
import { createRefreshTokens, type RefreshTokens } from '../../src/auth/refresh-tokens.ts'
import { createSessionRoutes } from '../../src/auth/session-routes.ts'
import { createSignIn, type SignIn } from '../../src/auth/sign-in.ts'
import { tablesOf } from '../../src/auth/tables.ts'
import { createTokenPairs, type TokenPairs, type TokenPairsOptions } from '../../src/auth/token-pairs.ts'
import { findByEmail, usersTable, type User } from '../../src/auth/users.ts'
import { createLogger } from '../../src/core/logger.ts'
import type { Route } from '../../src/http/route.ts'
import { createRouter } from '../../src/http/router.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import { applyMigration } from '../../src/storage/migrate.ts'
import { createSqliteStore } from '../../src/storage/sqlite/store.ts'
import type { Store, Values } from '../../src/storage/store.ts'

export const PASSWORD = 'purple staple lemon'

/** A key of this process alone. */
export function memoryKeys(): KeyRing {
  return loadKeyRing({ algorithm: 'EdDSA', data: ':memory:' }, { warn: () => {}, clock: Date.now })
}

/** An account that signs in here. */
export type LocalUser = User & { readonly email: string; readonly password_hash: string }

/** A store in memory with the tables of auth/. */
export function createUserStore(resources: readonly ResourceDefinition[] = []): Store {
  const tables = tablesOf(resources)
  const database = openDatabase({ path: ':memory:', durability: 'full' })
  applyMigration(database, tables)
  return createSqliteStore({ database, tables })
}

export interface AccountsOptions {
  registration?: 'open' | 'closed'
  loginRate?: LoginLimitsOptions['rate']
  keys?: KeyRing
  lifetimes?: Partial<
    Pick<TokenPairsOptions, 'refreshTokenSeconds' | 'refreshGraceSeconds' | 'sessionSeconds'>
  >
  /** Makes what is there in the place of the real keys. */
  createKeys?: typeof createApiKeys
  /** What resource files declare. */
  declarations?: Partial<Declarations>
}

export interface Accounts {
  store: Store
  operations: Operations
  /** One's own account, without HTTP. */
  account: OwnAccount
  routes: readonly Route[]
  passwords: Passwords
  accessTokens: AccessTokens
  refreshTokens: RefreshTokens
  tokenPairs: TokenPairs
  signIn: SignIn
  apiKeys: ApiKeys
  authenticate: Authenticator
  clock: () => number
  /** How often a password was really checked. */
  checks: () => number
  /** Lets time pass. */
  advance: (seconds: number) => void
  /** Sets the clock by so much, while no time passes. */
  turn: (seconds: number) => void
  send: (path: string, init?: RequestInit) => Promise<Response>
  post: (path: string, body: unknown) => Promise<Response>
  /** Makes an account with PASSWORD. */
  register: (email: string) => Promise<LocalUser>
  login: (email: string, password?: string) => Promise<string>
  /** GET /auth/me with this Authorization header. */
  me: (authorization: string, more?: Record<string, string>) => Promise<Response>
  change: (id: string, values: Values) => Promise<void>
  log: string[]
}

export function createAccounts({
  registration = 'open',
  loginRate = 'off',
  keys = memoryKeys(),
  lifetimes = {},
  createKeys = createApiKeys,
  declarations,
}: AccountsOptions = {}): Accounts {
  const resources = withUsers({ resources: [], profile: [], roles: [], ...declarations })
  const store = createUserStore(resources)
  let now = Date.now()
  let elapsed = 0
  let checked = 0
  const clock = () => now
  const real = createPasswords({ atOnce: 2 })
  const passwords: Passwords = {
    ...real,
    verify: (password, hash) => {
      checked += 1
      return real.verify(password, hash)
    },
  }
  const accessTokens = createAccessTokens({ keys, issuer: 'hipflask', lifetimeSeconds: 900, clock })
  const log: string[] = []
  const logger = createLogger({ level: 'debug', format: 'json', write: (line) => log.push(line), clock })
  const audit = createAudit(logger)
  const limits = createLoginLimits({ rate: loginRate, now: () => elapsed })
  const signIn = createSignIn({ store, passwords, limits, audit })
  const verifyBasic = createBasicVerifier({ store, signIn, audit, monotonic: () => elapsed })
  const apiKeys = createKeys({ store, clock, logger })
  const refreshTokens = createRefreshTokens(randomBytes(32))
  const tokenPairs = createTokenPairs({
    store,
    accessTokens,
    refreshTokens,
    audit,
    clock,
    refreshTokenSeconds: 2_592_000,
    refreshGraceSeconds: 10,
    sessionSeconds: 7_776_000,
    ...lifetimes,
  })
  const authenticate = createAuthenticator({
    store,
    accessTokens,
    apiKeys,
    outsideTokens: undefined,
    verifyBasic,
    audit,
    clock,
  })
  const engine = createAccountEngine({ resources, store, clock, logger, passwords, audit })
  const account = createOwnAccount({ engine, store, resources, signIn, limits, audit, clock })
  const routes = [
    ...createAccountRoutes({ account, resources, registration }),
    ...createSessionRoutes({ store, signIn, tokenPairs, audit, clock }),
    ...createOAuthRoutes({
      store,
      signIn,
      accessTokens,
      refreshTokens,
      tokenPairs,
      apiKeys,
      codes: createCodes({ store, clock }),
      audit,
      clock,
      issuer: 'hipflask',
    }),
    ...createApiKeyRoutes({ apiKeys, audit, clock, resources: ['items'] }),
  ]
  const handle = createRouter({
    routes,
    authenticate,
    addressOf: () => '192.0.2.1',
    logger,
    bodyLimit: 1 << 20,
    allowedHosts: [],
    strictTransport: false,
  })
  const send: Accounts['send'] = async (path, init) => {
    const request = new Request(`http://127.0.0.1${path}`, init)
    request.headers.set('host', '127.0.0.1')
    return handle(request)
  }
  const post: Accounts['post'] = (path, body) =>
    send(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  return {
    store,
    operations: createOperations({ engine, store, resources }),
    account,
    routes,
    passwords,
    accessTokens,
    refreshTokens,
    tokenPairs,
    signIn,
    apiKeys,
    authenticate,
    clock,
    checks: () => checked,
    advance(seconds) {
      now += seconds * 1000
      elapsed += seconds * 1000
    },
    turn: (seconds) => void (now += seconds * 1000),
    send,
    post,
    async register(email) {
      const response = await post('/auth/register', { name: 'Ada', email, password: PASSWORD })
      if (response.status !== 201)
        throw new Error(`Register answered ${response.status}: ${await response.text()}`)
      return (await findByEmail(store, email)) as LocalUser
    },
    async login(email, password = PASSWORD) {
      const response = await post('/auth/login', { email, password })
      if (response.status !== 200)
        throw new Error(`Login answered ${response.status}: ${await response.text()}`)
      return ((await response.json()) as { access_token: string }).access_token
    },
    me: (authorization, more = {}) => send('/auth/me', { headers: { authorization, ...more } }),
    async change(id, values) {
      await store.commit([{ kind: 'update', table: usersTable.name, id, values }])
    },
    log,
  }
}

/** The Authorization header of RFC 7617. */
export function basic(email: string, password: string): string {
  return `Basic ${Buffer.from(`${email}:${password}`).toString('base64')}`
}

/** Status, code of the error and challenge of an answer. */
export async function failureOf(
  response: Response,
): Promise<{ status: number; code: unknown; challenge: string | null }> {
  const body = (await response.json()) as { error?: { code: string } }
  return {
    status: response.status,
    code: body.error?.code,
    challenge: response.headers.get('www-authenticate'),
  }
}
