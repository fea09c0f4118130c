// The parts of auth/ put together: what the composition root needs of them, and nothing of how they hang together.
import type { Authenticator } from '../access/principal.ts'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { MetricFamily } from '../core/metrics.ts'
import type { Route } from '../http/route.ts'
import type { Engine } from '../rest/engine.ts'
import type { ResourceDefinition } from '../rest/resource.ts'
import type { Store } from '../storage/store.ts'
import { createAccessTokens } from './access-tokens.ts'
import { createAccountRoutes } from './account-routes.ts'
import { createAccountEngine, createAccounts } from './accounts.ts'
import { ensureAdministrator } from './administrator.ts'
import { createApiKeyRoutes } from './api-key-routes.ts'
import { createApiKeys } from './api-keys.ts'
import { countEvents, createAudit } from './audit.ts'
import { createAuthenticator } from './authenticator.ts'
import { createBasicVerifier } from './basic.ts'
import type { KeyRing } from './key-ring.ts'
import { createLoginLimits, type LoginLimitsOptions } from './login-limits.ts'
import { createOAuthRoutes } from './oauth-routes.ts'
import { createOidc, type OidcSettings } from './oidc/oidc.ts'
import { createOwnAccount } from './own-account.ts'
import { createPasswords } from './passwords.ts'
import { createRefreshTokens } from './refresh-tokens.ts'
import { createSessionRoutes } from './session-routes.ts'
import { startSessionSweep } from './session-sweep.ts'
import { createSignIn } from './sign-in.ts'
import { createTokenPairs } from './token-pairs.ts'

export interface AuthOptions {
  store: Store
  clock: Clock
  /** What is over by this clock may be deleted. */
  lived: Clock
  logger: Logger
  keys: KeyRing
  /** The public address, else `hipflask`. */
  issuer: string
  accessTokenSeconds: number
  refreshTokenSeconds: number
  refreshGraceSeconds: number
  sessionSeconds: number
  /** Of the database, so that every node knows the refresh tokens of the others. */
  refreshSecret: Uint8Array
  registration: 'open' | 'closed'
  /** All of them, accounts among them. */
  resources: readonly ResourceDefinition[]
  loginRate: LoginLimitsOptions['rate']
  oidc: OidcSettings
  /** Told of the client whose password came. */
  onPassword?: ((address: string) => void) | undefined
}

export interface Auth {
  authenticate: Authenticator
  metrics: readonly MetricFamily[]
  /** All under /auth. */
  routes: readonly Route[]
  /** The records of all resources. */
  engine: Engine
  /** See administrator.ts. */
  ensureAdministrator(account: {
    email: string | undefined
    password: string | undefined
  }): Promise<string | undefined>
  /** Writes what was put off, and ends what goes on in the background. */
  stop(): Promise<void>
}

export function createAuth(options: AuthOptions): Auth {
  const { store, clock, logger, keys, issuer, registration, resources } = options
  const { audit, metrics } = countEvents(createAudit(logger))
  const passwords = createPasswords()
  const limits = createLoginLimits({ rate: options.loginRate, now: () => performance.now() })
  const signIn = createSignIn({ store, passwords, limits, audit, onPassword: options.onPassword })
  const apiKeys = createApiKeys({ store, clock, logger })
  const lifetimeSeconds = options.accessTokenSeconds
  const accessTokens = createAccessTokens({ keys, issuer, lifetimeSeconds, clock })
  const refreshTokens = createRefreshTokens(options.refreshSecret)
  const tokenPairs = createTokenPairs({ ...options, accessTokens, refreshTokens, audit })
  const sweep = startSessionSweep({ store, clock: options.lived })
  const shared = { store, signIn, tokenPairs, audit, clock }
  const verifyBasic = createBasicVerifier({ store, signIn, audit })
  const engine = createAccountEngine({ resources, store, clock, logger, passwords, audit })
  const account = createOwnAccount({ engine, store, resources, signIn, limits, audit, clock })
  const accounts = createAccounts({ engine, store, resources })
  const names = resources.map(({ name }) => name)
  const oidc = createOidc({ ...options.oidc, store, accounts, audit, clock, logger, resources: names })
  const { codes, outsideTokens } = oidc
  const authenticate = createAuthenticator({
    store,
    accessTokens,
    apiKeys,
    outsideTokens,
    verifyBasic,
    audit,
    clock,
  })
  return {
    engine,
    authenticate,
    metrics: [...metrics, ...passwords.metrics],
    routes: [
      ...createAccountRoutes({ account, resources, registration }),
      ...createSessionRoutes(shared),
      ...createOAuthRoutes({ ...shared, accessTokens, refreshTokens, apiKeys, codes, issuer }),
      ...createApiKeyRoutes({ apiKeys, audit, clock, resources: names }),
      ...oidc.routesOf({ authenticate, tokenPairs }),
    ],
    ensureAdministrator: (settings) => ensureAdministrator({ store, accounts, ...settings }),
    stop: () => {
      sweep.stop()
      return apiKeys.settle()
    },
  }
}
