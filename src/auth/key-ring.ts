// Which keys there are now: one signs, all verify. Keys in DATA/keys may come and go while servers run; those of a file
// or a secret are read once. It signs nothing itself.
import type { Clock } from '../core/clock.ts'
import { StartError } from '../core/errors.ts'
import { newUuid } from '../core/ids.ts'
import type { Algorithm } from './algorithms.ts'
import {
  KEYS_MAX,
  addKey,
  keyFolderOf,
  listKids,
  madeAt,
  makeFolder,
  newKey,
  readKey,
  removeKey,
} from './key-folder.ts'
import { readKeyFile } from './key-file.ts'
import { secretKey, type SigningKey } from './signing-keys.ts'

export interface KeyRing {
  /** The key that signs now. */
  signing: () => SigningKey
  /** The key of this name, for as long as it is in the ring. */
  find: (kid: string) => SigningKey | undefined
  /** All of them, newest first. */
  all: () => readonly SigningKey[]
}

/** Where the keys come from: the secret of HS256, else the file, else EdDSA keys in the data folder. */
export interface KeySource {
  algorithm: Algorithm
  /** The data folder, or `:memory:`. */
  data: string
  keyFile?: string | undefined
  secret?: string | undefined
}

export interface KeyRingOptions {
  /** Is told what an operator should mend. */
  warn: (message: string) => void
  clock: Clock
  /** Milliseconds that only go forward. */
  elapsed?: () => number
}

/** The folder is read at most so often, and so late is a change of it noticed. */
export const REREAD_MS = 1000
/** So old a key must be to sign: by then every process on the folder has had to read it before it refuses a token. */
export const SETTLED_MS = 2 * REREAD_MS
/** How much longer than any token lives a key stays that signs no more: clocks differ. */
const RETIRED_MARGIN_MS = 60 * 60 * 1000

const IN_MEMORY = ':memory:'

/**
 * Throws StartError for keys that can't be read, understood or used, as loadKeyRing would. It makes none: it is asked
 * before the database is touched, and the data folder may not be there yet.
 */
export function checkKeys(source: KeySource, { warn }: Pick<KeyRingOptions, 'warn'>): void {
  const folder = folderOf(source)
  if (folder === undefined) fixedKeys(source)
  else readFolder(folder, warn)
}

/**
 * The keys of the source. A data folder without any gets its first one; with data `:memory:` it is of this process
 * alone. Throws StartError for a file or folder that can't be read, written or understood.
 */
export function loadKeyRing(source: KeySource, options: KeyRingOptions): KeyRing {
  const folder = folderOf(source)
  if (folder === undefined) return fixedRing(fixedKeys(source))
  let keys = readFolder(folder, options.warn)
  if (keys === undefined) {
    makeFolder(source.data, folder)
    keys = readFolder(folder, options.warn) ?? []
  }
  return folderRing(folder, keys, options)
}

export interface Rotation {
  /** The new key. */
  kid: string
  removed: readonly string[]
}

/**
 * Adds a key to the data folder, whose first it may be, and removes those that stopped signing so long ago that their tokens are gone.
 * Throws StartError, with nothing added, where the folder can't be read or written or is full.
 */
export function rotateKeys(
  data: string,
  { warn, clock, lifetimeSecondsMax }: Omit<KeyRingOptions, 'elapsed'> & { lifetimeSecondsMax: number },
): Rotation {
  const folder = keyFolderOf(data)
  const found = listKids(folder)
  if (found === undefined) {
    makeFolder(data, folder)
    return { kid: listKids(folder)?.[0] as string, removed: [] }
  }
  const kids = found.map((kid) => readKey(folder, kid, warn).kid)
  const retiredBefore = clock() - lifetimeSecondsMax * 1000 - RETIRED_MARGIN_MS
  // A key stopped signing when the next one was made.
  const removed = kids.filter((_, at) => at > 0 && madeAt(kids[at - 1] as string) < retiredBefore)
  if (kids.length - removed.length >= KEYS_MAX) {
    throw new StartError(
      `Key folder ${folder} holds ${KEYS_MAX} keys whose tokens may still be good, which is the maximum; wait a day`,
    )
  }
  for (const kid of removed) removeKey(folder, kid)
  return { kid: addKey(folder, kids[0], clock), removed }
}

/** The folder whose keys are used; undefined where they come from elsewhere. */
function folderOf({ algorithm, data, keyFile }: KeySource): string | undefined {
  const isFolder = algorithm === 'EdDSA' && keyFile === undefined && data !== IN_MEMORY
  return isFolder ? keyFolderOf(data) : undefined
}

function fixedKeys({ algorithm, keyFile, secret }: KeySource): readonly [SigningKey, ...SigningKey[]] {
  if (algorithm === 'HS256') return [secretKey(secret as string)]
  return keyFile === undefined ? [newKey(newUuid())] : readKeyFile(keyFile, algorithm)
}

function fixedRing(keys: readonly [SigningKey, ...SigningKey[]]): KeyRing {
  const byKid = new Map(keys.map((key) => [key.kid, key]))
  return { signing: () => keys[0], find: (kid) => byKid.get(kid), all: () => keys }
}

/** Undefined where there is no folder. */
function readFolder(folder: string, warn: KeyRingOptions['warn']): SigningKey[] | undefined {
  const kids = listKids(folder)
  if (kids?.length === 0) throw noKey(folder, 'restore it from a backup, or remove it to have a new key made')
  return kids?.map((kid) => readKey(folder, kid, warn))
}

function noKey(folder: string, remedy: string): StartError {
  return new StartError(`Key folder ${folder} holds no key; ${remedy}`)
}

function folderRing(
  folder: string,
  atStart: readonly SigningKey[],
  { warn, clock, elapsed = () => performance.now() }: KeyRingOptions,
): KeyRing {
  let readAt = elapsed()
  let problem: string | undefined
  let keys = new Map(atStart.map((key) => [key.kid, { key, seenAt: readAt }]))

  /** The keys of the folder, the known ones as they are known: a kid is never given to another key. */
  const read = () => {
    const faults: string[] = []
    const found: typeof keys = new Map()
    for (const kid of listKids(folder) ?? []) {
      try {
        found.set(kid, keys.get(kid) ?? { key: readKey(folder, kid, warn), seenAt: readAt })
      } catch (error) {
        faults.push(messageOf(error))
      }
    }
    if (found.size > 0) keys = found
    else if (faults.length === 0) faults.push(noKey(folder, 'run hipflask keys rotate').message)
    return faults.join('; ')
  }
  const refresh = () => {
    const now = elapsed()
    if (now - readAt < REREAD_MS) return
    readAt = now
    let fault: string
    try {
      fault = read()
    } catch (error) {
      fault = messageOf(error)
    }
    if (fault !== '' && fault !== problem) warn(`Keys in use are kept: ${fault}`)
    problem = fault
  }
  // By the wall clock it may be old enough already when it is first seen; where that was set back, by the other one.
  const isSettled = ({ key, seenAt }: { key: SigningKey; seenAt: number }) =>
    clock() - madeAt(key.kid) >= SETTLED_MS || elapsed() - seenAt >= SETTLED_MS
  return {
    signing() {
      refresh()
      const newestFirst = [...keys.values()]
      return (newestFirst.find(isSettled) ?? (newestFirst.at(-1) as (typeof newestFirst)[number])).key
    },
    find(kid) {
      refresh()
      return keys.get(kid)?.key
    },
    all() {
      refresh()
      return [...keys.values()].map(({ key }) => key)
    },
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
