// ECDSA signatures come in pairs: whoever has (r, s) can write (r, n − s), which is as good. Tokens have one spelling, so
// the smaller s is the only one here (as in SEC 1, 4.1.3, note; Bitcoin's BIP 62).

const PART_BYTES = 32
/** The order of P-256 (FIPS 186-4, D.1.2.3). */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** Whether a signature (r and s, as in JWS) has the smaller s. */
export function isLowS(signature: Uint8Array): boolean {
  return partS(signature) <= ORDER / 2n
}

/** The token with the one of its two signatures that has the smaller s. */
export function withLowS(token: string): string {
  const at = token.lastIndexOf('.') + 1
  const signature = Buffer.from(token.slice(at), 'base64url')
  if (isLowS(signature)) return token
  const s = (ORDER - partS(signature)).toString(16).padStart(PART_BYTES * 2, '0')
  signature.write(s, PART_BYTES, 'hex')
  return token.slice(0, at) + signature.toString('base64url')
}

function partS(signature: Uint8Array): bigint {
  return BigInt(`0x0${signature.subarray(PART_BYTES).toHex()}`)
}
