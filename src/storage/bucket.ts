// Files in a bucket of an S3-compatible store: put there in parts and read back, with a few megabytes of memory whatever
// their size. What the files are it does not know.
import { S3Client } from 'bun'
import { createReadStream, statSync } from 'node:fs'
import { StartError } from '../core/errors.ts'
import type { BackupSource } from './backup-format.ts'

export interface BucketOptions {
  bucket: string
  endpoint: string | undefined
  region: string
  accessKeyId: string
  secretAccessKey: string
}

export interface Bucket {
  /** The size of a file; undefined where there is none. */
  sizeOf(key: string): Promise<number | undefined>
  /** Puts a local file there: whole, or not at all. */
  put(key: string, path: string, onProgress: (bytes: number, of: number) => void): Promise<void>
  /** Where the bytes of a file come from, of which `sizeOf` has told the size. */
  source(key: string, size: number): BackupSource
  /** The files that begin so, in any order, at most KEYS_MAX. */
  list(prefix: string): Promise<BucketList>
  remove(key: string): Promise<void>
}

export interface BucketList {
  files: { key: string; size: number }[]
  /** There are more. */
  isCut: boolean
}

/** Keys of a list. */
export const KEYS_MAX = 100_000
const KEYS_PER_PAGE = 1000
/** S3 takes up to 10,000 parts of a file. */
const PARTS_MAX = 9000
const PART_BYTES_MIN = 8 * 1024 * 1024
const CHUNK_BYTES = 1024 * 1024
const RETRIES = 3
/** How long a store may take for one part or answer. */
const ANSWER_MS_MAX = 300_000

/** Nothing is asked of the store yet. */
export function openBucket({ bucket, endpoint, ...keys }: BucketOptions): Bucket {
  refuseForeignToken()
  const client = new S3Client({ ...keys, bucket, ...(endpoint === undefined ? {} : { endpoint }) })
  const named = (key: string) => `s3://${bucket}/${key}`
  const ask = <T>(what: string, work: () => Promise<T>) => answer(work, `${what} in bucket ${bucket}`)

  return {
    sizeOf: (key) =>
      ask('Backups cannot be looked up', async () =>
        (await client.exists(key)) ? (await client.stat(key)).size : undefined,
      ),
    put: async (key, path, onProgress) => {
      const { size } = statSync(path)
      const partSize = Math.max(PART_BYTES_MIN, Math.ceil(size / PARTS_MAX))
      const writer = client.file(key).writer({ partSize, queueSize: 2, retry: RETRIES })
      let bytes = 0
      await ask('A backup cannot be stored', async () => {
        for await (const piece of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
          await within(Promise.resolve(writer.write(piece as Uint8Array<ArrayBuffer>)))
          await within(Promise.resolve(writer.flush()))
          onProgress((bytes += (piece as Uint8Array).length), size)
        }
        await within(Promise.resolve(writer.end()))
      })
    },
    source: (key, size) => ({
      name: named(key),
      size,
      read: (from, to) => readPieces(client, { key, bucket, from, to }),
    }),
    list: async (prefix) => {
      const files: BucketList['files'] = []
      let token: string | undefined
      do {
        const from = token === undefined ? {} : { continuationToken: token }
        const page = await ask('Backups cannot be listed', () =>
          client.list({ prefix, maxKeys: KEYS_PER_PAGE, ...from }),
        )
        // A page without a file is none of a list that could end.
        if (page.contents === undefined || page.contents.length === 0) break
        files.push(...page.contents.map(({ key, size = 1 }) => ({ key, size })))
        token = page.nextContinuationToken
      } while (token !== undefined && files.length < KEYS_MAX)
      return { files, isCut: token !== undefined }
    },
    remove: (key) => ask('An old backup cannot be deleted', () => client.delete(key)),
  }
}

async function* readPieces(
  client: S3Client,
  { key, bucket, from, to }: { key: string; bucket: string; from: number; to: number },
): AsyncGenerator<Uint8Array> {
  if (to <= from) return
  const reader = client.file(key).slice(from, to).stream().getReader()
  try {
    for (;;) {
      const { done, value } = await answer(() => reader.read(), `A backup cannot be read in bucket ${bucket}`)
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel()
  }
}

async function answer<T>(work: () => Promise<T>, what: string): Promise<T> {
  try {
    return await within(work())
  } catch (error) {
    const { code = 'unknown error', message = '' } = error as { code?: string; message?: string }
    if (error instanceof StartError) throw error
    throw new StartError(`${what} (${[code, message].filter((part) => part !== '').join(': ')})`, 1, error)
  }
}

async function within<T>(work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const limit = setTimeout(
    () => late.reject(new Error(`no answer in ${ANSWER_MS_MAX / 1000} seconds`)),
    ANSWER_MS_MAX,
  )
  try {
    return await Promise.race([work, late.promise])
  } finally {
    clearTimeout(limit)
  }
}

// Bun sends what it finds there along with keys that it does not belong to (1.4.5), and can't be kept from it.
function refuseForeignToken(): void {
  const name = FOREIGN_TOKENS.find((one) => (process.env[one] ?? '') !== '')
  if (name === undefined) return
  throw new StartError(`${name} is set, and would be sent with keys that it does not belong to: unset it`)
}

export const FOREIGN_TOKENS = ['AWS_SESSION_TOKEN', 'S3_SESSION_TOKEN'] as const
