// The parts of auth/ put together: what the composition root needs of them, and nothing of how they hang together.
import type { Authenticator } from '../access/principal.ts'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { Route } from '../http/route.ts'
import type { Store } from '../storage/store.ts'
import { createAccessTokens } from './access-tokens.ts'
import { createAccountRoutes } from './account-routes.ts'
import { ensureAdministrator } from './administrator.ts'
import { createApiKeys } from './api-keys.ts'
import { createAudit } from './audit.ts'
import { createAuthenticator } from './authenticator.ts'
import { createBasicVerifier } from './basic.ts'
import type { KeyRing } from './key-ring.ts'
import { createLoginLimits, type LoginLimitsOptions } from './login-limits.ts'
import { createPasswords } from './passwords.ts'
import { createSessionRoutes } from './session-routes.ts'
import { createSignIn } from './sign-in.ts'

export interface AuthOptions {
  store: Store
  clock: Clock
  logger: Logger
  keys: KeyRing
  /** The public address, else `hipflask`. */
  issuer: string
  accessTokenSeconds: number
  registration: 'open' | 'closed'
  loginRate: LoginLimitsOptions['rate']
}

export interface Auth {
  authenticate: Authenticator
  /** All under /auth. */
  routes: readonly Route[]
  /** See administrator.ts. */
  ensureAdministrator(account: {
    email: string | undefined
    password: string | undefined
  }): Promise<string | undefined>
}

export function createAuth(options: AuthOptions): Auth {
  const { store, clock, logger, keys, issuer, registration } = options
  const audit = createAudit(logger)
  const passwords = createPasswords()
  const limits = createLoginLimits({ rate: options.loginRate, now: () => performance.now() })
  const signIn = createSignIn({ store, passwords, limits, audit })
  const apiKeys = createApiKeys({ store, clock })
  const lifetimeSeconds = options.accessTokenSeconds
  const accessTokens = createAccessTokens({ keys, issuer, lifetimeSeconds, clock })
  const verifyBasic = createBasicVerifier({ store, signIn })
  return {
    authenticate: createAuthenticator({ store, accessTokens, apiKeys, verifyBasic, clock }),
    routes: [
      ...createAccountRoutes({ store, passwords, audit, clock, registration }),
      ...createSessionRoutes({ store, signIn, accessTokens, audit, clock }),
    ],
    ensureAdministrator: (account) => ensureAdministrator({ store, passwords, clock, ...account }),
  }
}
