// Knows the passwords that people choose most, from lists of stolen ones (@zxcvbn-ts/language-common): what guessers
// try first. It knows no rule of length, and nothing of the account.
import { readFileSync } from 'node:fs'
import listPath from '../../dist/common-passwords.txt.zst' with { type: 'file' }
import { PASSWORD_LENGTH_MAX, PASSWORD_LENGTH_MIN, normalizePassword } from './passwords.ts'

/** One to a line, sorted, with a line end before the first and behind the last. ASCII in lower case. */
let list: string | undefined

/**
 * Whether this is one of the 17,950 most common passwords of 8 or more characters, in any case and Unicode form. Else
 * they are compared as they are: what is behind or in place of a letter makes another password.
 */
export function isCommonPassword(password: string): boolean {
  const folded = foldPassword(password)
  if (isTrivial(folded)) return true
  if (folded.includes('\n')) return false
  // At the first check, for it takes 2 ms and 170 KB. A search of the text takes 60 µs, where a set would take a megabyte.
  list ??= Bun.zstdDecompressSync(readFileSync(listPath)).toString('latin1')
  return list.includes(`\n${folded}\n`)
}

/** Two characters at most, a short piece again and again, or one run such as `abcdefgh`: no list has them all. */
function isTrivial(password: string): boolean {
  const characters = Array.from(password)
  if (characters.length < PASSWORD_LENGTH_MIN || characters.length > PASSWORD_LENGTH_MAX) return false
  if (new Set(characters).size <= 2) return true
  const repeats = (period: number) => characters.every((one, at) => one === characters[at % period])
  if ([3, 4].some((period) => characters.length >= 2 * period && repeats(period))) return true
  const codes = characters.map((one) => one.codePointAt(0) as number)
  const steps = new Set(codes.slice(1).map((code, at) => stepOf(code - (codes[at] as number))))
  return steps.size === 1 && [1, -1].includes([...steps][0] as number)
}

/** A run of digits goes on behind its 9 or 0, one of letters behind its z or a. */
function stepOf(difference: number): number {
  if (difference === -9 || difference === -25) return 1
  return difference === 9 || difference === 25 ? -1 : difference
}

/** The form in which a password is compared with words that it must not be. */
export function foldPassword(password: string): string {
  return normalizePassword(password).toLowerCase()
}
