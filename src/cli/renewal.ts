// `hipflask serve` on SIGHUP: the two files of TLS are read anew, as other servers do it. Where they are no good the old
// certificate stays; without TLS nothing changes.
import type { Config } from '../config/settings.ts'
import { readTls, type Tls } from '../config/tls.ts'
import type { Logger } from '../core/logger.ts'
import type { Server } from '../http/server.ts'

export interface RenewalOptions {
  config: Config
  logger: Logger
  server: Server
}

/** Rejects, with a StartError, where the port was lost to another program in the middle of a renewal. */
export function renewOnHangup({ config, logger, server }: RenewalOptions): Promise<never> {
  const lost = Promise.withResolvers<never>()
  let renewing = Promise.resolve()
  const renew = async (): Promise<void> => {
    const tls = readRenewed(config, logger)
    if (tls === undefined) return
    try {
      await server.renew(tls)
    } catch (error) {
      return lost.reject(error)
    }
    logger.info('TLS certificate was read anew', { valid_to: tls.validTo.toISOString() })
    checkValidity(tls, logger)
  }
  process.on('SIGHUP', () => {
    if (config.tlsCert === undefined) logger.info('SIGHUP: there is no TLS certificate to read anew')
    else renewing = renewing.then(renew)
  })
  return lost.promise
}

function readRenewed(config: Config, logger: Logger): Tls | undefined {
  const { tls, problems } = readTls(config)
  if (problems.length > 0) logger.error(`TLS certificate was not read anew: ${problems.join('; ')}`)
  return tls
}

/** No reason not to serve it: the clock of this machine may be wrong, and a renewal may be under way. */
export function checkValidity({ validFrom, validTo }: Tls, logger: Logger): void {
  const now = Date.now()
  if (now > validTo.getTime()) logger.warn(`TLS certificate ended at ${validTo.toISOString()}: renew it`)
  if (now < validFrom.getTime()) logger.warn(`TLS certificate begins at ${validFrom.toISOString()} only`)
}
