// What the tests use of oidc-provider, which brings no types of its own.
declare module 'oidc-provider' {
  import type { RequestListener } from 'node:http'

  export interface Configuration {
    clients?: object[]
    claims?: Record<string, readonly string[]>
    conformIdTokenClaims?: boolean
    ttl?: Record<string, number>
    findAccount?: (
      context: unknown,
      sub: string,
    ) => { accountId: string; claims: () => Record<string, unknown> }
  }

  export default class Provider {
    constructor(issuer: string, configuration: Configuration)
    callback(): RequestListener
  }
}
