// Files in a bucket of an S3-compatible store: put there in parts and read back, with a few megabytes of memory whatever
// their size. What the files are it does not know.
import { S3Client } from 'bun'
import { createReadStream, statSync } from 'node:fs'
import { StartError } from '../core/errors.ts'
import type { BackupSource } from './backup-format.ts'
import { askStore, KEY_HINT, type StoreAnswer, type StoreRequest } from './bucket-request.ts'

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
/** What is asked for at once, and so kept in memory. */
const PIECE_BYTES = 8 * 1024 * 1024
/** A page of a list; a thousand of the longest keys take a quarter of it. */
const LIST_BYTES_MAX = 8 * 1024 * 1024
/** Of an answer that has hardly a body. */
const LOOKUP_BYTES_MAX = 64 * 1024
/** How long a store may take for one part or answer. */
const ANSWER_MS_MAX = 300_000

/** Of this bucket. */
type Ask = (
  request: Omit<StoreRequest, 'base'>,
  expected: { what: string; good: readonly number[]; bytesMax: number },
) => Promise<StoreAnswer>

/** Nothing is asked of the store yet. */
export function openBucket({ bucket, endpoint, ...keys }: BucketOptions): Bucket {
  refuseForeignToken()
  const client = new S3Client({ ...keys, bucket, ...(endpoint === undefined ? {} : { endpoint }) })
  const base = `${endpoint ?? `https://s3.${keys.region}.amazonaws.com`}/${bucket}`
  const ask: Ask = (request, { what, ...bounds }) =>
    askStore({ base, ...request }, keys, { what: `${what} in bucket ${bucket}`, ...bounds })

  const sizeOf = (key: string) => askSize(ask, { key, bucket })

  return {
    sizeOf,
    put: async (key, path, onProgress) => {
      try {
        await putInParts(client, { key, path, bucket, onProgress })
      } catch (error) {
        // Without a reason: another question may have one.
        if (error instanceof StartError && error.message.includes('UnknownError')) await sizeOf(key)
        throw error
      }
    },
    source: (key, size) => ({
      name: `s3://${bucket}/${key}`,
      size,
      async *read(from, to) {
        for (let at = from; at < to; at += PIECE_BYTES) {
          const end = Math.min(at + PIECE_BYTES, to)
          const { bytes } = await ask(
            { method: 'GET', key, headers: { range: `bytes=${at}-${end - 1}` } },
            { what: 'A backup cannot be read', good: [206], bytesMax: end - at },
          )
          yield bytes
        }
      },
    }),
    list: (prefix) => listFiles(ask, prefix),
    remove: async (key) => {
      const good = [200, 204, 404]
      const what = 'A backup cannot be deleted'
      await ask({ method: 'DELETE', key }, { what, good, bytesMax: LOOKUP_BYTES_MAX })
    },
  }
}

async function askSize(
  ask: Ask,
  { key, bucket }: { key: string; bucket: string },
): Promise<number | undefined> {
  // Not HEAD, since an error would come without its reason.
  const { status, headers, bytes } = await ask(
    { method: 'GET', key, headers: { range: 'bytes=0-1' } },
    { what: 'Backups cannot be looked up', good: [206, 404, 416], bytesMax: LOOKUP_BYTES_MAX },
  )
  if (status === 404 && !bytes.includes('NoSuchBucket')) return undefined
  if (status === 404) throw new StartError(`There is no bucket ${bucket}: make it, or choose another`)
  const size = /\/(\d{1,15})$/.exec(headers.get('content-range') ?? '')?.[1]
  if (size !== undefined) return Number(size)
  throw new StartError(`Backups cannot be looked up in bucket ${bucket} (its store tells no size)`)
}

async function listFiles(ask: Ask, prefix: string): Promise<BucketList> {
  const files: BucketList['files'] = []
  let token: string | undefined
  do {
    const from = token === undefined ? {} : { 'continuation-token': token }
    const query = { 'list-type': '2', prefix, 'max-keys': String(KEYS_PER_PAGE), ...from }
    const { bytes } = await ask(
      { method: 'GET', query },
      { what: 'Backups cannot be listed', good: [200], bytesMax: LIST_BYTES_MAX },
    )
    const text = bytes.toString('utf8')
    // Such as the page of a gate that wants a login first.
    if (!text.includes('<ListBucketResult')) {
      throw new StartError(
        'Backups cannot be listed: what answers is no store, check HIPFLASK_BACKUP_S3_ENDPOINT',
      )
    }
    const page = readPage(text)
    token = page.next
    // A page without a file is none of a list that could end.
    if (page.files.length === 0) break
    files.push(...page.files.filter(({ key }) => key.startsWith(prefix)))
  } while (token !== undefined && files.length < KEYS_MAX)
  return { files, isCut: token !== undefined }
}

async function putInParts(
  client: S3Client,
  {
    key,
    path,
    bucket,
    onProgress,
  }: { key: string; path: string; bucket: string; onProgress: (bytes: number, of: number) => void },
): Promise<void> {
  const { size } = statSync(path)
  const partSize = Math.max(PART_BYTES_MIN, Math.ceil(size / PARTS_MAX))
  const writer = client.file(key).writer({ partSize, queueSize: 2, retry: RETRIES })
  let bytes = 0
  await answer(async () => {
    for await (const piece of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
      await within(Promise.resolve(writer.write(piece as Uint8Array<ArrayBuffer>)))
      await within(Promise.resolve(writer.flush()))
      onProgress((bytes += (piece as Uint8Array).length), size)
    }
    await within(Promise.resolve(writer.end()))
  }, `A backup cannot be stored in bucket ${bucket}`)
}

/** Of a list. No regular expression looks at all of it, since a hostile one could take it for ever. */
function readPage(text: string): { files: BucketList['files']; next: string | undefined } {
  const files = text
    .split('<Contents>')
    .slice(1)
    .flatMap((part) => {
      const key = inside(part, 'Key')
      // A store may leave the size out.
      return key === undefined ? [] : [{ key, size: Number(inside(part, 'Size') ?? 1) }]
    })
  return { files, next: inside(text, 'NextContinuationToken') }
}

/** The text of the first element of this name. */
function inside(text: string, name: string): string | undefined {
  const from = text.indexOf(`<${name}>`)
  const to = from === -1 ? -1 : text.indexOf(`</${name}>`, from)
  return to === -1 ? undefined : decodeXml(text.slice(from + name.length + 2, to))
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function decodeXml(text: string): string {
  return text.replace(
    /&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));/g,
    (whole, name, ten, hex) => {
      if (name !== undefined) return ENTITIES[name as string] as string
      const code = ten === undefined ? Number.parseInt(String(hex), 16) : Number(ten)
      return code > 0x10ffff ? String(whole) : String.fromCodePoint(code)
    },
  )
}

/** What Bun's client says of an error of which it has the code at most. */
const NOTHING_KNOWN = 'an unexpected error has occurred'
const KEY_REFUSED: ReadonlySet<string> = new Set([
  'AccessDenied',
  'InvalidAccessKeyId',
  'SignatureDoesNotMatch',
])

async function answer<T>(work: () => Promise<T>, what: string): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const { code = 'unknown error', message = '' } = error as { code?: string; message?: string }
    if (error instanceof StartError) throw error
    const said = message === NOTHING_KNOWN ? '' : message
    const hint = KEY_REFUSED.has(code) ? KEY_HINT : said
    throw new StartError(`${what} (${[code, hint].filter((part) => part !== '').join(': ')})`, 1, error)
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
