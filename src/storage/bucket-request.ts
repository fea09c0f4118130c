// Asks an S3-compatible store by itself where Bun's client tells too little or keeps all that comes in memory: what an
// answer may weigh is bounded here, and a failure says what the store said. It puts nothing there.
import { AwsV4Signer } from 'aws4fetch'
import { StartError } from '../core/errors.ts'

export interface StoreKeys {
  accessKeyId: string
  secretAccessKey: string
  region: string
}

export interface StoreRequest {
  method: 'GET' | 'DELETE'
  /** Of the store and the bucket, without a slash at its end. */
  base: string
  /** Undefined of the bucket itself. */
  key?: string
  query?: Readonly<Record<string, string>>
  headers?: Readonly<Record<string, string>>
}

export interface StoreAnswer {
  status: number
  headers: Headers
  bytes: Buffer
}

/** What to do where a store refuses a key. */
export const KEY_HINT =
  'check HIPFLASK_BACKUP_S3_ACCESS_KEY_ID and HIPFLASK_BACKUP_S3_SECRET_ACCESS_KEY, and what that key may do'

/** Of an answer that is an error: it is a few lines of XML. */
const ERROR_BYTES_MAX = 64 * 1024
const RETRIES = 3
const RETRY_MS = 200
/** How long a store may take for one answer. */
const ANSWER_MS_MAX = 300_000
const NOTHING_SHA256 = new Bun.CryptoHasher('sha256').update('').digest('hex')

/**
 * The answer, with at most so many bytes of its body. One of a status that is not in `good` is a StartError (exit code
 * 1) that begins with `what`, and so is one that is longer or cut short. What the store can not do just now is asked
 * again a few times.
 */
export async function askStore(
  request: StoreRequest,
  keys: StoreKeys,
  { what, good, bytesMax }: { what: string; good: readonly number[]; bytesMax: number },
): Promise<StoreAnswer> {
  for (let failures = 0; ; failures++) {
    let failure: StartError
    try {
      const answer = await send(request, keys, { good, bytesMax })
      if (good.includes(answer.status)) return answer
      failure = refusal(what, answer)
      if (answer.status < 500 && answer.status !== 429) throw failure
    } catch (error) {
      if (error instanceof StartError) throw error
      failure = connectionFailure(what, error)
      if (!isCut(error)) throw failure
    }
    if (failures === RETRIES) throw failure
    await Bun.sleep(RETRY_MS * 2 ** failures)
  }
}

async function send(
  { method, base, key, query = {}, headers = {} }: StoreRequest,
  keys: StoreKeys,
  { good, bytesMax }: { good: readonly number[]; bytesMax: number },
): Promise<StoreAnswer> {
  const path = key === undefined ? '' : `/${key.split('/').map(encode).join('/')}`
  const url = new URL(base + path)
  // A part of it that is `..` would be taken for another place.
  if (!url.href.endsWith(path))
    throw new StartError('The key of a backup in a bucket must not have . or .. as a part')
  url.search = queryOf(query)
  const stop = new AbortController()
  const limit = setTimeout(
    () => stop.abort(new Error(`no answer in ${ANSWER_MS_MAX / 1000} seconds`)),
    ANSWER_MS_MAX,
  )
  try {
    const toSend = await signed({ method, url, headers, keys, now: new Date() })
    toSend.set('accept-encoding', 'identity')
    const response = await fetch(url, {
      method,
      headers: toSend,
      redirect: 'manual',
      decompress: false,
      signal: stop.signal,
    })
    const isGood = good.includes(response.status)
    const bytes = await readAtMost(response, isGood ? bytesMax : ERROR_BYTES_MAX, isGood)
    return { status: response.status, headers: response.headers, bytes }
  } finally {
    clearTimeout(limit)
    // Whatever is still on its way.
    stop.abort()
  }
}

/** `isStrict`: more is a fault. Else the rest is left. */
async function readAtMost(response: Response, bytesMax: number, isStrict: boolean): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  const length = response.headers.get('content-length')
  const tooLong = () => new TooLongError(`its answer is longer than ${bytesMax} bytes`)
  if (isStrict && length !== null && Number(length) > bytesMax) throw tooLong()
  let bytes = 0
  const reader = response.body?.getReader()
  while (reader !== undefined) {
    const { done, value } = await reader.read()
    if (done) break
    bytes += value.length
    if (bytes > bytesMax) {
      if (isStrict) throw tooLong()
      break
    }
    pieces.push(value)
  }
  if (isStrict && length !== null && bytes < Number(length)) throw new CutError()
  return Buffer.concat(pieces)
}

class TooLongError extends Error {}

class CutError extends Error {
  constructor() {
    super('its answer was cut short')
  }
}

/** The connection ended in the middle of an answer. */
function isCut(error: unknown): boolean {
  return error instanceof CutError || (error as NodeJS.ErrnoException).code === 'ECONNRESET'
}

function connectionFailure(what: string, error: unknown): StartError {
  const { code, message } = error as NodeJS.ErrnoException
  const cause = isCut(error) ? 'its answer was cut short' : [code, message].filter(Boolean).join(': ')
  return new StartError(`${what} (${cause})`, 1, error)
}

function refusal(what: string, { status, bytes }: StoreAnswer): StartError {
  const code = /<Code>([A-Za-z0-9.]{1,64})<\/Code>/.exec(bytes.toString('latin1'))?.[1]
  const said = code === undefined ? `status ${status}` : `status ${status}, ${code}`
  return new StartError(`${what} (${said}${hintOf(status)})`)
}

function hintOf(status: number): string {
  if (status === 401 || status === 403) {
    return `: ${KEY_HINT}`
  }
  if (status === 200) return ', no part of a file: check HIPFLASK_BACKUP_S3_ENDPOINT'
  if (status >= 300 && status < 400)
    return ': check HIPFLASK_BACKUP_S3_ENDPOINT and HIPFLASK_BACKUP_S3_REGION'
  return status >= 500 || status === 429 ? ': the store cannot answer now, try again later' : ''
}

// ── The signature (AWS Signature Version 4) ─────────────────────────────────────────────────────────────────────

/** The headers to send, all of them signed. */
export async function signed({
  method,
  url,
  headers,
  keys,
  now,
}: {
  method: string
  url: URL
  headers: Readonly<Record<string, string>>
  keys: StoreKeys
  now: Date
}): Promise<Headers> {
  const signer = new AwsV4Signer({
    ...keys,
    method,
    url: url.href,
    headers: { ...headers, 'x-amz-content-sha256': NOTHING_SHA256 },
    service: 's3',
    datetime: now.toISOString().replace(/[-:]|\.\d+/g, ''),
    allHeaders: true,
  })
  return (await signer.sign()).headers
}

export function queryOf(query: Readonly<Record<string, string>>): string {
  return Object.entries(query)
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&')
}

/** All but the letters that a signature leaves as they are. */
function encode(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}
