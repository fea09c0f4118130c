// The parts of signing in elsewhere put together: providers to sign in at, and issuers whose tokens are taken.
import { knownScopes } from '../../access/scopes.ts'
import type { Authenticator } from '../../access/principal.ts'
import type { Clock } from '../../core/clock.ts'
import type { Logger } from '../../core/logger.ts'
import type { Route } from '../../http/route.ts'
import type { Store } from '../../storage/store.ts'
import type { Accounts } from '../accounts.ts'
import type { Audit } from '../audit.ts'
import { createOutbound } from '../outbound.ts'
import type { TokenPairs } from '../token-pairs.ts'
import { createCodes, type Codes } from './codes.ts'
import { createFlows } from './flow.ts'
import { createIdentities } from './identities.ts'
import { createIdentityRoutes } from './identity-routes.ts'
import { createOutsideTokens, type OutsideTokens } from './outside-tokens.ts'
import { createProvider, type ProviderOptions } from './provider.ts'
import { callbackPath, createOidcRoutes } from './routes.ts'
import { createTrustedIssuers, type TrustedIssuer } from './trusted-issuers.ts'

/** What the operator has said. */
export interface OidcSettings {
  providers: readonly Pick<
    ProviderOptions,
    'name' | 'label' | 'issuer' | 'clientId' | 'clientSecret' | 'scopes'
  >[]
  redirects: readonly string[]
  trustedIssuers: readonly TrustedIssuer[]
  /** Never undefined where there are providers. */
  publicUrl: string | undefined
  isProduction: boolean
  /** Signs the cookies of sign-ins under way; of all nodes the same. */
  secret: Uint8Array
}

export interface OidcOptions extends OidcSettings {
  store: Store
  accounts: Accounts
  audit: Audit
  clock: Clock
  logger: Logger
  /** Names of the resources, which scopes are of. */
  resources: readonly string[]
}

export interface Oidc {
  codes: Codes
  /** Undefined where no issuer is trusted. */
  outsideTokens: OutsideTokens | undefined
  routesOf(parts: { authenticate: Authenticator; tokenPairs: TokenPairs }): Route[]
}

export function createOidc(options: OidcOptions): Oidc {
  const { store, accounts, audit, clock, logger, isProduction, trustedIssuers, publicUrl = '' } = options
  const issuers = [...options.providers, ...trustedIssuers].map(({ issuer }) => new URL(issuer).hostname)
  const outbound = createOutbound({ isProduction, namedHosts: new Set(issuers) })
  const shared = { outbound, isProduction, logger, clock, monotonic: () => performance.now() }
  const identities = createIdentities({ store, accounts, audit, clock })
  const codes = createCodes({ store, clock })
  const flows = createFlows({
    store,
    secret: options.secret,
    clock,
    isSecure: publicUrl.startsWith('https:'),
  })
  const providers = options.providers.map((provider) =>
    createProvider({ ...provider, ...shared, redirectUri: publicUrl + callbackPath(provider.name) }),
  )
  return {
    codes,
    outsideTokens:
      trustedIssuers.length === 0
        ? undefined
        : createOutsideTokens({
            trustedIssuers: createTrustedIssuers({ issuers: trustedIssuers, ...shared }),
            identities,
            scopes: knownScopes(options.resources),
            clock,
          }),
    routesOf: (parts) => [
      ...createOidcRoutes({
        clock,
        ...parts,
        providers,
        redirects: options.redirects,
        flows,
        codes,
        identities,
        store,
        audit,
      }),
      ...createIdentityRoutes(identities),
    ],
  }
}
