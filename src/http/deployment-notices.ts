// What only the requests tell of how a server is deployed, each told once in the log: whoever reads it can mend it, and
// a client can't fill the log. It changes no answer.
import type { Logger } from '../core/logger.ts'

export interface DeploymentNoticesOptions {
  logger: Logger
  /** The connection from clients, or from a proxy that is named, is private. */
  isProtected: boolean
  /** Proxies are named. */
  hasProxies: boolean
}

export interface DeploymentNotices {
  /** Told of the other end of a connection that is believed in nothing, and hands on X-Forwarded-For. */
  onForwarded: (peer: string) => void
  /** Told of the client whose password came. */
  onPassword: (address: string) => void
}

export function createDeploymentNotices(options: DeploymentNoticesOptions): DeploymentNotices {
  const { logger, isProtected, hasProxies } = options
  let isForwardedTold = hasProxies
  let isPasswordTold = isProtected
  return {
    onForwarded(peer) {
      if (isForwardedTold) return
      isForwardedTold = true
      logger.warn(
        'Requests come with X-Forwarded-For, which is not believed: if the peer is a proxy of yours, set ' +
          'HIPFLASK_TRUST_PROXY to it, else all its clients share one limit',
        { peer },
      )
    },
    onPassword(address) {
      if (isPasswordTold || isLoopback(address)) return
      isPasswordTold = true
      logger.warn(
        'A password came over plain http, where it can be read on its way: serve https by HIPFLASK_TLS_CERT and ' +
          'HIPFLASK_TLS_KEY, or by a proxy that HIPFLASK_TRUST_PROXY names',
        { ip: address },
      )
    },
  }
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}
