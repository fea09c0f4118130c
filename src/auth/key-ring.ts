// The Ed25519 keys that access tokens are signed with, in the data folder. It signs nothing itself, and a key file that
// it can't read stops the start: it is never replaced, for that would end every session.
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { StartError } from '../core/errors.ts'
import { newUuid } from '../core/ids.ts'

export interface RingKey {
  /** Its file is `<kid>.pem`. A UUIDv7, so that names sort by age. */
  readonly kid: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** At least one key; the newest is first and signs, all verify. */
export type KeyRing = readonly [RingKey, ...RingKey[]]

const IN_MEMORY = ':memory:'
const KEY_FILE = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.pem$/

/**
 * The keys of `<data>/keys`; undefined where there is no such folder. It changes nothing. Throws StartError for a file
 * or folder that can't be read or understood.
 */
export function readKeyRing(data: string): KeyRing | undefined {
  if (data === IN_MEMORY) return undefined
  const folder = join(data, 'keys')
  const names = listKeys(folder)
  return names === undefined ? undefined : keysOf(folder, names)
}

/**
 * The keys of `<data>/keys`, whose first one is made where there is no such folder; with data `:memory:` a key of this
 * process alone. Throws StartError for a file or folder that can't be read, written or understood.
 */
export function loadKeyRing(data: string): KeyRing {
  if (data === IN_MEMORY) return [ringKey(newUuid(), newPrivateKey())]
  const folder = join(data, 'keys')
  return readKeyRing(data) ?? keysOf(folder, makeFolder(data, folder))
}

function keysOf(folder: string, names: readonly string[]): KeyRing {
  const [newest, ...older] = names.map((name) => readKey(folder, name))
  if (newest === undefined) {
    throw new StartError(
      `Key folder ${folder} holds no key; restore it from a backup, or remove it to have a new key made`,
    )
  }
  return [newest, ...older]
}

/** File names, newest first; undefined where there is no folder. */
function listKeys(folder: string): string[] | undefined {
  try {
    return readdirSync(folder)
      .filter((name) => KEY_FILE.test(name))
      .sort()
      .reverse()
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw new StartError(
      `Key folder ${folder} can't be read (${codeOf(error)}); let this user read it`,
      1,
      error,
    )
  }
}

/**
 * Makes the folder with its first key under another name and renames it: it appears whole or not at all, and of
 * processes that start at once one wins, since a folder that has files is not replaced.
 */
function makeFolder(data: string, folder: string): string[] {
  let draft: string | undefined
  try {
    draft = mkdtempSync(join(data, 'keys-'))
    const pem = newPrivateKey().export({ type: 'pkcs8', format: 'pem' }) as string
    writeDurably(join(draft, `${newUuid()}.pem`), pem)
    renameSync(draft, folder)
  } catch (error) {
    if (draft !== undefined) rmSync(draft, { recursive: true, force: true })
    const code = codeOf(error)
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') {
      throw new StartError(
        `Key folder ${folder} can't be made (${code}); let this user write to ${data}`,
        1,
        error,
      )
    }
  }
  return listKeys(folder) ?? []
}

// After a power cut half a key file would stop every later start.
function writeDurably(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function readKey(folder: string, name: string): RingKey {
  const path = join(folder, name)
  let pem: string
  try {
    pem = readFileSync(path, 'utf8')
  } catch (error) {
    throw new StartError(`Key file ${path} can't be read (${codeOf(error)}); let this user read it`, 1, error)
  }
  const privateKey = parseKey(pem)
  if (privateKey?.asymmetricKeyType !== 'ed25519') {
    throw new StartError(
      `Key file ${path} must be an Ed25519 private key in PEM (PKCS #8); restore it from a backup, ` +
        'or remove the folder to have a new key made, which ends all access tokens',
    )
  }
  return ringKey(name.replace(KEY_FILE, '$1'), privateKey)
}

// The library's message may quote the file, so it is not kept as a cause.
function parseKey(pem: string): KeyObject | undefined {
  try {
    return createPrivateKey(pem)
  } catch {
    return undefined
  }
}

function newPrivateKey(): KeyObject {
  return generateKeyPairSync('ed25519').privateKey
}

function ringKey(kid: string, privateKey: KeyObject): RingKey {
  return { kid, privateKey, publicKey: createPublicKey(privateKey) }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error'
}
