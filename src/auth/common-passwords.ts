// Knows the passwords that people choose most, from lists of stolen ones (@zxcvbn-ts/language-common): what guessers
// try first. It knows no rule of length, and nothing of the account.
import { readFileSync } from 'node:fs'
import { brotliDecompressSync } from 'node:zlib'
import listPath from '../../dist/common-passwords.txt.br' with { type: 'file' }
import { normalizePassword } from './passwords.ts'

/** One to a line, sorted, with a line end before the first and behind the last. ASCII in lower case. */
let list: string | undefined

/**
 * Whether this is one of the 17,950 most common passwords of 8 or more characters, in any case and Unicode form. Else
 * they are compared as they are: what is behind or in place of a letter makes another password.
 */
export function isCommonPassword(password: string): boolean {
  const folded = foldPassword(password)
  if (folded.includes('\n')) return false
  // At the first check, for it takes 2 ms and 170 KB. A search of the text takes 60 µs, where a set would take a megabyte.
  list ??= brotliDecompressSync(readFileSync(listPath)).toString('latin1')
  return list.includes(`\n${folded}\n`)
}

/** The form in which a password is compared with words that it must not be. */
export function foldPassword(password: string): string {
  return normalizePassword(password).toLowerCase()
}
