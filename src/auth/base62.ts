// Bytes as letters and digits, of a fixed length and with one spelling: for credentials that people copy.

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const BASE = 62n
const BITS_OF_DIGIT = Math.log2(62)

/** The length of the text of so many bytes. */
export function base62Length(byteCount: number): number {
  return Math.ceil((byteCount * 8) / BITS_OF_DIGIT)
}

/** The bytes as one number, the most significant digit first, with leading zeros. */
export function encodeBase62(bytes: Uint8Array): string {
  let rest = BigInt(`0x0${bytes.toHex()}`)
  let text = ''
  for (let left = base62Length(bytes.length); left > 0; left--) {
    text = `${DIGITS[Number(rest % BASE)]}${text}`
    rest /= BASE
  }
  return text
}

/** So many bytes of their text; undefined for any other text. */
export function decodeBase62(text: string, byteCount: number): Uint8Array<ArrayBuffer> | undefined {
  if (text.length !== base62Length(byteCount)) return undefined
  let value = 0n
  for (const character of text) {
    const digit = DIGITS.indexOf(character)
    if (digit === -1) return undefined
    value = value * BASE + BigInt(digit)
  }
  const hex = value.toString(16).padStart(byteCount * 2, '0')
  return hex.length === byteCount * 2 ? Uint8Array.fromHex(hex) : undefined
}
