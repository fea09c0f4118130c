// The algorithms that access tokens may be signed with, and what a key of each must be. It reads no key.
import type { KeyObject } from 'node:crypto'

/** HIPFLASK_JWT_ALGORITHM, a name of JWS (RFC 7518, 3.1; RFC 8037, 3.1). */
export type Algorithm = 'EdDSA' | 'ES256' | 'RS256' | 'HS256'
/** Those whose public key can be shown to others. */
export type AsymmetricAlgorithm = Exclude<Algorithm, 'HS256'>

export const RSA_BITS_MIN = 2048

/** What a private key of the algorithm is, as the end of "must be …". */
export const PRIVATE_KEY: Readonly<Record<AsymmetricAlgorithm, string>> = {
  EdDSA: 'an Ed25519 private key',
  ES256: 'an EC private key of the curve P-256',
  RS256: `an RSA private key of ${RSA_BITS_MIN} bits or more`,
}

const FITS: Readonly<Record<AsymmetricAlgorithm, (key: KeyObject) => boolean>> = {
  EdDSA: (key) => key.asymmetricKeyType === 'ed25519',
  ES256: (key) => key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1',
  RS256: (key) =>
    key.asymmetricKeyType === 'rsa' && (key.asymmetricKeyDetails?.modulusLength ?? 0) >= RSA_BITS_MIN,
}

/** Whether tokens of the algorithm can be signed with the private key. */
export function isKeyOf(algorithm: AsymmetricAlgorithm, key: KeyObject): boolean {
  return key.type === 'private' && FITS[algorithm](key)
}

/** The names in a token's header that mean the algorithm: EdDSA has a second one (RFC 9864). */
export function headerNamesOf(algorithm: Algorithm): string[] {
  return algorithm === 'EdDSA' ? ['EdDSA', 'Ed25519'] : [algorithm]
}
