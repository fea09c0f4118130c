// The certificate and the private key that HIPFLASK_TLS_CERT and HIPFLASK_TLS_KEY name, checked before anything
// listens. No message repeats what is in a file.
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { thisUser } from '../core/errors.ts'
import { readBounded } from './load.ts'
import { variableOf, type Config } from './settings.ts'

export interface Tls {
  /** PEM: the server's own certificate, then those that lead to its root. */
  cert: string
  /** PEM. */
  key: string
  validFrom: Date
  validTo: Date
}

export const TLS_FILE_BYTES_MAX = 64 * 1024

const CERT = variableOf('tlsCert')
const KEY = variableOf('tlsKey')
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

/**
 * What the two files hold, with every fault of them; neither where none is set. They are read once, since they may be
 * pipes.
 */
export function readTls({ tlsCert, tlsKey }: Partial<Config>): { tls?: Tls; problems: readonly string[] } {
  if (tlsCert === undefined || tlsKey === undefined) return { problems: [] }
  const problems: string[] = []
  const attempt = <T>(read: () => T): T | undefined => {
    try {
      return read()
    } catch (error) {
      problems.push((error as Error).message)
      return undefined
    }
  }
  const cert = attempt(() => readFile(tlsCert, CERT))
  const key = attempt(() => readFile(tlsKey, KEY))
  const certificate = cert === undefined ? undefined : attempt(() => certificateOf(cert))
  const privateKey = key === undefined ? undefined : attempt(() => privateKeyOf(key))
  if (certificate !== undefined && privateKey !== undefined && !certificate.checkPrivateKey(privateKey)) {
    problems.push(
      `${KEY} does not belong to the first certificate of ${CERT}: give the pair, the server's own certificate first`,
    )
  }
  if (problems.length > 0) return { problems }
  const { validFromDate, validToDate } = certificate!
  return { tls: { cert: cert!, key: key!, validFrom: validFromDate, validTo: validToDate }, problems }
}

function readFile(path: string, variable: string): string {
  try {
    return readBounded(path, TLS_FILE_BYTES_MAX)
  } catch (error) {
    if (error instanceof RangeError)
      throw new Error(
        `${variable} names a file of over ${TLS_FILE_BYTES_MAX / 1024} KiB, which is the maximum`,
      )
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    throw new Error(`${variable} names a file that can't be read (${code}); let ${thisUser()} read it`)
  }
}

/** The first certificate; the others must be certificates too. */
function certificateOf(pem: string): X509Certificate {
  try {
    const [own, ...others] = pem.match(CERTIFICATE) ?? []
    for (const other of others) new X509Certificate(other)
    return new X509Certificate(own ?? '')
  } catch {
    throw new Error(`${CERT} must name a file of certificates in PEM, the server's own first`)
  }
}

function privateKeyOf(pem: string): KeyObject {
  try {
    return createPrivateKey(pem)
  } catch (error) {
    const isEncrypted = (error as { code?: string }).code === 'ERR_MISSING_PASSPHRASE'
    const must = 'must name a file of a private key in PEM, without a passphrase'
    throw new Error(`${KEY} ${must}${isEncrypted ? '; this key has one: openssl pkey takes it away' : ''}`)
  }
}
