// The private keys of HIPFLASK_JWT_KEY_FILE. No message repeats the setting's value: it may be the key itself, put there
// by mistake.
import { closeSync, openSync, readSync } from 'node:fs'
import type { KeyObject } from 'node:crypto'
import { StartError, thisUser } from '../core/errors.ts'
import { PRIVATE_KEY, isKeyOf, type AsymmetricAlgorithm } from './algorithms.ts'
import { KEYS_MAX } from './key-folder.ts'
import { privateKeysOf, signingKey, type SigningKey } from './signing-keys.ts'

export const KEY_FILE_BYTES_MAX = 64 * 1024

const SETTING = 'HIPFLASK_JWT_KEY_FILE'
const FAULTS = {
  public: 'is a public key or a certificate',
  encrypted: 'is encrypted',
  unreadable: "can't be understood",
} as const

/** The keys of the file in its order, each under its RFC 7638 thumbprint. Throws StartError where one is not as it must be. */
export function readKeyFile(
  path: string,
  algorithm: AsymmetricAlgorithm,
): readonly [SigningKey, ...SigningKey[]] {
  const must = `${algorithm} needs ${PRIVATE_KEY[algorithm]} in PEM (PKCS #8, SEC 1 or PKCS #1) without a password`
  const found = privateKeysOf(readBounded(path))
  const keys = found.map((key, at) => {
    const fault = faultOf(key, algorithm)
    if (fault !== undefined) throw new StartError(`Key ${at + 1} of ${SETTING} ${fault}; ${must}`)
    return signingKey(algorithm, key as KeyObject)
  })
  const [first, ...others] = keys
  if (first === undefined) throw new StartError(`${SETTING} names a file without a key; ${must}`)
  if (keys.length > KEYS_MAX)
    throw new StartError(`${SETTING} names a file of ${keys.length} keys, maximum is ${KEYS_MAX}`)
  if (new Set(keys.map(({ kid }) => kid)).size < keys.length)
    throw new StartError(`${SETTING} names a file that holds a key twice; take one of them away`)
  return [first, ...others]
}

function faultOf(
  key: ReturnType<typeof privateKeysOf>[number],
  algorithm: AsymmetricAlgorithm,
): string | undefined {
  if (typeof key === 'string') return FAULTS[key]
  if (isKeyOf(algorithm, key)) return undefined
  const { namedCurve, modulusLength } = key.asymmetricKeyDetails ?? {}
  const kind = [key.asymmetricKeyType, namedCurve, modulusLength && `${modulusLength} bits`]
  return `is another one (${kind.filter((part) => part !== undefined).join(', ')})`
}

function readBounded(path: string): string {
  const buffer = Buffer.alloc(KEY_FILE_BYTES_MAX + 1)
  let length = 0
  try {
    const file = openSync(path, 'r')
    try {
      for (let count = -1; count !== 0 && length < buffer.length; length += count) {
        count = readSync(file, buffer, length, buffer.length - length, null)
      }
    } finally {
      closeSync(file)
    }
  } catch (error) {
    const { code = 'unknown error' } = error as NodeJS.ErrnoException
    throw new StartError(`${SETTING} names a file that can't be read (${code}); let ${thisUser()} read it`)
  }
  if (length > KEY_FILE_BYTES_MAX)
    throw new StartError(
      `${SETTING} names a file of over ${KEY_FILE_BYTES_MAX / 1024} KiB, which is the maximum`,
    )
  return buffer.toString('utf8', 0, length)
}
