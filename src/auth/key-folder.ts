// The Ed25519 keys in DATA/keys: one file each, `<kid>.pem`, for its owner alone. A file that can't be read is never
// replaced, for that would end every session. Which key signs is not its business.
import { generateKeyPairSync } from 'node:crypto'
import {
  chmodSync,
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
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
import { onlyKeyOf, signingKey, type SigningKey } from './signing-keys.ts'

/** Where the keys of a data folder are. Its first one is made when the database is there. */
export function keyFolderOf(data: string): string {
  return join(data, 'keys')
}

/** Key files in the folder. */
export const KEYS_MAX = 100

/** A UUIDv7, so that names sort by age. */
const KEY_FILE = /^([0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12})\.pem$/
const OF_OTHERS = 0o077
const OWNER_ONLY = 0o600

/** A new private key of the folder's kind. */
export function newKey(kid: string): SigningKey {
  return signingKey('EdDSA', generateKeyPairSync('ed25519').privateKey, kid)
}

/** When a key of the folder was made, in ms since 1970. */
export function madeAt(kid: string): number {
  return Number.parseInt(kid.slice(0, 8) + kid.slice(9, 13), 16)
}

/**
 * The kids in the folder, newest first; undefined where there is no folder. Throws StartError where it can't be read or
 * holds more than KEYS_MAX.
 */
export function listKids(folder: string): string[] | undefined {
  let names: string[]
  try {
    names = readdirSync(folder)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    const message = `Key folder ${folder} can't be read (${codeOf(error)}); let this user read it`
    throw new StartError(message, 1, error)
  }
  const kids = names.flatMap((name) => KEY_FILE.exec(name)?.[1] ?? [])
  if (kids.length > KEYS_MAX) {
    throw new StartError(
      `Key folder ${folder} holds ${kids.length} keys, maximum is ${KEYS_MAX}; remove the oldest, whose tokens are gone`,
    )
  }
  return kids.sort().reverse()
}

/**
 * The key of a file. A file that others may read is made its owner's alone, which `warn` is told: volumes and backups
 * lose modes, and a server that no longer starts for it would help nobody. Throws StartError where the file can't be
 * read, understood or made so.
 */
export function readKey(folder: string, kid: string, warn: (message: string) => void): SigningKey {
  const path = pathOf(folder, kid)
  const { pem, mode } = readWithMode(path)
  const privateKey = onlyKeyOf(pem, 'EdDSA')
  if (privateKey === undefined) {
    throw new StartError(
      `Key file ${path} must be an Ed25519 private key in PEM (PKCS #8); restore it from a backup, ` +
        'or remove the folder to have a new key made, which ends all access tokens',
    )
  }
  if ((mode & OF_OTHERS) !== 0) {
    makePrivate(path)
    warn(
      `Key file ${path} was open to others, now it is not: if one of them read it, run hipflask keys rotate`,
    )
  }
  return signingKey('EdDSA', privateKey, kid)
}

/**
 * Makes the folder with its first key under another name and renames it: it appears whole or not at all, and of
 * processes that start at once one wins, since a folder that has files is not replaced.
 */
export function makeFolder(data: string, folder: string): void {
  let draft: string | undefined
  try {
    draft = mkdtempSync(join(data, 'keys-'))
    const kid = newUuid()
    writeDurably(pathOf(draft, kid), newKey(kid))
    syncFolder(draft)
    renameSync(draft, folder)
    syncFolder(data)
  } catch (error) {
    if (draft !== undefined) discard(draft)
    const code = codeOf(error)
    if (code === 'ENOTEMPTY' || code === 'EEXIST') return
    const message = `Key folder ${folder} can't be made (${code}); ${remedyOf(code, data)}`
    throw new StartError(message, 1, error)
  }
}

/**
 * Adds a key, newer than `newest`, also where the clock has been set back. It is named when it is written, so that its
 * name tells when others could first see it. Throws StartError where the folder can't be written.
 */
export function addKey(folder: string, newest: string | undefined, now: () => number): string {
  const draft = join(folder, `.${newUuid()}.new`)
  try {
    const { privateKey } = newKey('')
    writeDurably(draft, { privateKey })
    const kid = Bun.randomUUIDv7('hex', Math.max(now(), newest === undefined ? 0 : madeAt(newest) + 1))
    renameSync(draft, pathOf(folder, kid))
    syncFolder(folder)
    return kid
  } catch (error) {
    discard(draft)
    throw notWritten(folder, error)
  }
}

/** Removes the file of a key, if it is there. Throws StartError where the folder can't be written. */
export function removeKey(folder: string, kid: string): void {
  try {
    rmSync(pathOf(folder, kid), { force: true })
  } catch (error) {
    throw notWritten(folder, error)
  }
}

/**
 * The texts of the key files by their names, for a backup; none where there is no folder. Throws StartError where one
 * can't be read.
 */
export function readKeyTexts(folder: string): Record<string, string> {
  const kids = listKids(folder) ?? []
  return Object.fromEntries(kids.map((kid) => [`${kid}.pem`, readWithMode(pathOf(folder, kid)).pem]))
}

/** Whether all of them are key files, by their names too: so that they may be written into a folder. */
export function areKeyTexts(texts: Readonly<Record<string, string>>): boolean {
  const files = Object.entries(texts)
  return (
    files.length <= KEYS_MAX &&
    files.every(([name, text]) => KEY_FILE.test(name) && onlyKeyOf(text, 'EdDSA') !== undefined)
  )
}

/**
 * Adds key files to the folder, which is made where there is none. Those that are there stay as they are; a file of the
 * same name with another text is kept as `NAME.replaced`. Gives the names of those that were added. Throws StartError
 * where the folder can't be written.
 */
export function addKeyTexts(folder: string, texts: Readonly<Record<string, string>>): string[] {
  const names = Object.keys(texts).sort()
  if (names.length === 0) return []
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const missing = names.filter((name) => readIfThere(join(folder, name)) !== texts[name])
    for (const name of missing) {
      const draft = join(folder, `.${newUuid()}.new`)
      writeTextDurably(draft, texts[name] as string)
      if (existsSync(join(folder, name))) renameSync(join(folder, name), join(folder, `${name}.replaced`))
      renameSync(draft, join(folder, name))
    }
    syncFolder(folder)
    return missing
  } catch (error) {
    throw notWritten(folder, error)
  }
}

/** What can't be removed either is no reason of its own: the one why it was not finished is told. */
function discard(draft: string): void {
  try {
    rmSync(draft, { recursive: true, force: true })
  } catch {}
}

function notWritten(folder: string, error: unknown): StartError {
  const code = codeOf(error)
  return new StartError(
    `Key folder ${folder} can't be written (${code}); ${remedyOf(code, folder)}`,
    1,
    error,
  )
}

function remedyOf(code: string, folder: string): string {
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'free space on its disk'
    case 'EROFS':
      return 'its file system may only be read, let it be written to'
    case 'EIO':
      return 'check its disk'
    default:
      return `let this user write to ${folder}`
  }
}

function readIfThere(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined
}

function pathOf(folder: string, kid: string): string {
  return join(folder, `${kid}.pem`)
}

function readWithMode(path: string): { pem: string; mode: number } {
  try {
    const file = openSync(path, 'r')
    try {
      return { pem: readFileSync(file, 'utf8'), mode: fstatSync(file).mode }
    } finally {
      closeSync(file)
    }
  } catch (error) {
    throw new StartError(`Key file ${path} can't be read (${codeOf(error)}); let this user read it`, 1, error)
  }
}

function makePrivate(path: string): void {
  try {
    chmodSync(path, OWNER_ONLY)
  } catch (error) {
    const message = `Key file ${path} may be read by others, and this user can't change that (${codeOf(error)}); give it to this user, or run chmod 600 as its owner`
    throw new StartError(message, 1, error)
  }
}

// After a power cut half a key file would stop every later start.
function writeDurably(path: string, { privateKey }: Pick<SigningKey, 'privateKey'>): void {
  writeTextDurably(path, privateKey.export({ type: 'pkcs8', format: 'pem' }) as string)
}

function writeTextDurably(path: string, text: string): void {
  const file = openSync(path, 'wx', OWNER_ONLY)
  try {
    writeSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error'
}
