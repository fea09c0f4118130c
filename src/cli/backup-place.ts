// Where backups are kept: a folder, or a bucket of an S3-compatible store. Only files named as hipflask names backups
// by itself are ever deleted.
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Config } from '../config/settings.ts'
import { StartError } from '../core/errors.ts'
import {
  fileSource,
  makeBackup,
  type BackupOptions,
  type BackupProgress,
  type BackupSummary,
} from '../storage/backup.ts'
import { readBackup, type BackupSource } from '../storage/backup-format.ts'
import { openBucket, type Bucket } from '../storage/bucket.ts'
import { draftOf, removeAbandoned } from '../storage/whole-file.ts'
import { automaticName, sortOut, warningsOf } from './backup-names.ts'

const AUTOMATIC_DRAFT = /^(hipflask-\d{8}T\d{6}Z\.db\.unfinished)(?:-journal)?$/
/** As many files that cannot be deleted: then no more are tried. */
const FAILURES_MAX = 3
const BUCKET_ADDRESS = /^s3:\/\/([^/]+)\/?(.*)$/su
const KEY_BYTES_MAX = 1024
const DAMAGED = 3

/** What makes a backup but for the file that it goes to. */
export type BackupOrder = Omit<BackupOptions, 'target'>

export interface Place {
  /** The name of a file in it, for the user. */
  nameOf(file: string): string
  has(file: string): Promise<boolean>
  store(file: string, order: BackupOrder): Promise<BackupSummary>
  /** Deletes the oldest of the backups with a name of hipflask's own, all but so many. It throws nothing. */
  prune(order: { made: string; keep: number }): Promise<Pruned>
}

/** Of names for the user. */
export interface Pruned {
  deleted: string[]
  /** Lines for the user. */
  warnings: string[]
}

/** Where the settings say that backups go. */
export function placeOf(config: Config, cwd: string): Place {
  const { backupTo } = config
  if (backupTo === undefined) return folderPlace(join(config.data, 'backups'))
  const address = BUCKET_ADDRESS.exec(backupTo)
  if (address === null) return folderPlace(resolve(cwd, backupTo))
  const prefix = (address[2] as string).replace(/\/+$/, '')
  return bucketPlace(bucketOf(config, address[1] as string), {
    address: address[1] as string,
    prefix: prefix === '' ? '' : `${prefix}/`,
    staging: join(config.data, 'backups'),
  })
}

/** Where one backup is that the user names: a file, or a key of a bucket. */
export interface NamedBackup {
  source: () => Promise<BackupSource>
  /** A file of this machine; undefined of a bucket. */
  path: string | undefined
  store: (order: BackupOrder) => Promise<BackupSummary>
}

/** Throws StartError (exit code 2) where the name is none. */
export function namedBackup(file: string, config: Config, cwd: string): NamedBackup {
  const address = BUCKET_ADDRESS.exec(file)
  if (address === null) {
    if (/^s3:/i.test(file)) {
      throw new StartError(`${file} is no backup in a bucket, must be s3://bucket/key`, 2)
    }
    if (file === '') throw new StartError('File is missing, must be a path or s3://bucket/key', 2)
    const path = resolve(cwd, file)
    return {
      source: () => Promise.resolve(fileSource(path)),
      path,
      store: async (order) => ({ ...(await makeBackup({ ...order, target: path })), file }),
    }
  }
  const [, name = '', key = ''] = address
  if (key === '' || key.endsWith('/') || Buffer.byteLength(key) > KEY_BYTES_MAX || /\p{C}/u.test(key)) {
    throw new StartError('The key of a backup in a bucket is missing or not valid: s3://bucket/key', 2)
  }
  const bucket = bucketOf(config, name)
  return {
    source: () => sourceIn(bucket, key, `s3://${name}/${key}`),
    path: undefined,
    store: async (order) => {
      if ((await bucket.sizeOf(key)) !== undefined) {
        throw new StartError(`s3://${name}/${key} exists already: choose another key, or delete it`)
      }
      const staged = join(stagingOf(config), automaticName(order.clock()))
      return upload(bucket, { key, address: `s3://${name}/${key}`, staged, order })
    },
  }
}

function stagingOf({ data }: Config): string {
  const folder = join(data, 'backups')
  makeFolder(folder)
  return folder
}

function bucketOf(config: Config, bucket: string): Bucket {
  const { backupS3AccessKeyId: accessKeyId, backupS3SecretAccessKey: secretAccessKey } = config
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new StartError(
      `Bucket ${bucket} needs HIPFLASK_BACKUP_S3_ACCESS_KEY_ID and HIPFLASK_BACKUP_S3_SECRET_ACCESS_KEY`,
    )
  }
  const { backupS3Endpoint: endpoint, backupS3Region: region } = config
  return openBucket({ bucket, endpoint, region, accessKeyId, secretAccessKey })
}

async function sourceIn(bucket: Bucket, key: string, address: string): Promise<BackupSource> {
  const size = await bucket.sizeOf(key)
  if (size === undefined) throw new StartError(`${address} does not exist`)
  return bucket.source(key, size)
}

function folderPlace(folder: string): Place {
  return {
    nameOf: (file) => join(folder, file),
    has: (file) =>
      Promise.resolve([join(folder, file), draftOf(join(folder, file))].some((path) => existsSync(path))),
    store(file, order) {
      makeFolder(folder)
      return makeBackup({ ...order, target: join(folder, file) })
    },
    prune({ made, keep }) {
      return pruned(async (result) => {
        dropAbandoned(folder)
        const files = readdirSync(folder).map((name) => ({ name, size: sizeOf(join(folder, name)) }))
        const { old, ...rest } = sortOut(files, { made, keep, now: Date.now() })
        result.warnings.push(...warningsOf(rest, (name) => join(folder, name)))
        await removeAll(old, result, (name) => {
          rmSync(join(folder, name), { force: true })
          return join(folder, name)
        })
      })
    },
  }
}

function bucketPlace(
  bucket: Bucket,
  { address, prefix, staging }: { address: string; prefix: string; staging: string },
): Place {
  const nameOf = (file: string) => `s3://${address}/${prefix}${file}`
  return {
    nameOf,
    has: async (file) =>
      existsSync(draftOf(join(staging, file))) || (await bucket.sizeOf(prefix + file)) !== undefined,
    store(file, order) {
      makeFolder(staging)
      return upload(bucket, { key: prefix + file, address: nameOf(file), staged: join(staging, file), order })
    },
    prune({ made, keep }) {
      return pruned(async (result) => {
        dropAbandoned(staging)
        const { files, isCut } = await bucket.list(`${prefix}hipflask-`)
        if (isCut) {
          // In any order: what is not in it may be older or newer.
          result.warnings.push(
            `More than ${files.length} files begin with ${nameOf('hipflask-')}, no old backup was deleted: give backups a prefix of their own`,
          )
          return
        }
        const named = files.map(({ key, size }) => ({ name: key.slice(prefix.length), size }))
        const { old, ...rest } = sortOut(named, { made, keep, now: Date.now() })
        result.warnings.push(...warningsOf(rest, nameOf))
        await removeAll(old, result, async (name) => {
          await bucket.remove(prefix + name)
          return nameOf(name)
        })
      })
    },
  }
}

/** The backup is made: what fails now is told, and takes nothing of that away. */
async function pruned(work: (result: Pruned) => Promise<void>): Promise<Pruned> {
  const result: Pruned = { deleted: [], warnings: [] }
  try {
    await work(result)
  } catch (error) {
    result.warnings.push(`Old backups were not deleted: ${reasonOf(error)}`)
  }
  return result
}

/** `remove` gives the name for the user. */
async function removeAll(
  names: readonly string[],
  { deleted, warnings }: Pruned,
  remove: (name: string) => string | Promise<string>,
): Promise<void> {
  let failures = 0
  for (const name of names) {
    try {
      deleted.push(await remove(name))
    } catch (error) {
      warnings.push(`Old backup ${name} was not deleted: ${reasonOf(error)}`)
      if (++failures === FAILURES_MAX) return
    }
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof StartError) return error.message
  return (error as NodeJS.ErrnoException).code ?? 'unknown error'
}

/** What killed processes have left behind. */
function dropAbandoned(folder: string): void {
  for (const name of readdirSync(folder)) {
    const [, draft] = AUTOMATIC_DRAFT.exec(name) ?? []
    // A journal goes with its draft, which alone is touched while it is written.
    const isDraft = draft === name || (draft !== undefined && !existsSync(join(folder, draft)))
    if (isDraft && isFile(join(folder, name))) removeAbandoned(join(folder, name))
  }
}

/** 0 of what is no file. */
function sizeOf(path: string): number {
  return isFile(path) ? statSync(path).size : 0
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true
}

interface Upload {
  key: string
  address: string
  /** A file of this machine that the backup is in until it is there. */
  staged: string
  order: BackupOrder
}

/** Stores a backup in the bucket and reads it back whole: what a store says of a file is not what it gives back. */
async function upload(bucket: Bucket, { key, address, staged, order }: Upload): Promise<BackupSummary> {
  const drop = () => rmSync(staged, { force: true })
  order.signal?.addEventListener('abort', drop, { once: true })
  try {
    const summary = await makeBackup({ ...order, target: staged })
    const onProgress: BackupProgress = order.onProgress ?? (() => {})
    await bucket.put(key, staged, (bytes, of) => onProgress('Uploading', bytes, of))
    await compare(bucket, { key, address, summary, onProgress })
    return { ...summary, file: address }
  } finally {
    order.signal?.removeEventListener('abort', drop)
    drop()
  }
}

async function compare(
  bucket: Bucket,
  {
    key,
    address,
    summary,
    onProgress,
  }: { key: string; address: string; summary: BackupSummary; onProgress: BackupProgress },
): Promise<void> {
  let bytes = 0
  const found = await readBackup(bucket.source(key, summary.bytes), (piece) =>
    onProgress('Reading', (bytes += piece.length), summary.bytes),
  ).catch((error: unknown) => {
    if (error instanceof StartError && error.exitCode === DAMAGED) return undefined
    throw error
  })
  if (found?.sha256 === summary.sha256) return
  // Nobody is to rely on it, nor is it to count among those that stay.
  await bucket.remove(key)
  throw new StartError(
    `${address} came back otherwise than it was stored, and was removed: look at its store`,
  )
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new StartError(`Folder ${folder} cannot be made (${code}): choose another by --backup-to`, 1, error)
  }
}
