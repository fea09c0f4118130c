// Reads the body of a request under a limit of size and time, and all of them under one of memory; and checks that it is
// of a media type that is taken here. It does not decode (json.ts).
import { AppError } from '../core/errors.ts'

export interface BodyLimits {
  limitBytes: number
  /** From the call to the last byte. */
  timeoutMs: number
  /** Of a body, that it may have whatever the others have; `BODY_OWN_BYTES` where left out. */
  ownBytes?: number
  /** What the bodies that are being read may have beyond those, all together; `BODIES_SHARED_BYTES` where left out. */
  sharedBytes?: number
}

export const BODY_OWN_BYTES = 64 * 1024
export const BODIES_SHARED_BYTES = 256 * 1024 * 1024

// What is left of a refused body must not be taken for the next request.
const CLOSE = { Connection: 'close' }

/** The bytes of a body; none where there is no body. */
export type BodyReader = (request: Request) => Promise<Uint8Array>

/**
 * Makes the function that reads bodies; those that one function reads share what they may have. It rejects with AppError
 * `payload_too_large` (by Content-Length before a byte is read), `unavailable` where the others have taken what there is,
 * `request_timeout`, or `bad_request` where the client went away.
 */
export function createBodyReader(limits: BodyLimits): BodyReader {
  const { limitBytes, timeoutMs, ownBytes = BODY_OWN_BYTES, sharedBytes = BODIES_SHARED_BYTES } = limits
  const createShare = createShares(ownBytes, sharedBytes)
  const fail = (reading: Reading, error: unknown) => {
    reading.cancel?.()
    reading.reject(error)
  }
  const deadlines = createDeadlines<Reading>(timeoutMs, (reading) =>
    fail(reading, new AppError('request_timeout', { headers: CLOSE })),
  )
  const follow = (bytes: Promise<Uint8Array>, reading: Reading) => {
    bytes.then(
      (read) => {
        deadlines.delete(reading)
        if (read.byteLength > limitBytes) reading.reject(tooLarge(limitBytes))
        else reading.resolve(read)
      },
      (error: unknown) => {
        deadlines.delete(reading)
        fail(reading, reading.request.signal.aborted ? incomplete(error) : error)
      },
    )
  }
  return (request) => {
    const length = request.headers.get('content-length')
    if (length !== null && Number(length) > limitBytes) return Promise.reject(tooLarge(limitBytes))
    // Asking for `body` makes a stream, which costs more than reading a small body whole.
    const isSmall = length !== null && Number(length) <= ownBytes
    if (!isSmall && request.body === null) return Promise.resolve(new Uint8Array())
    const { bytes, cancel } = isSmall ? readWhole(request) : readStream(request, limitBytes, createShare())
    return new Promise((resolve, reject) => {
      const reading: Reading = { endsAt: performance.now() + timeoutMs, request, cancel, resolve, reject }
      deadlines.add(reading)
      follow(bytes, reading)
    })
  }
}

/** A body on its way. */
interface Reading {
  /** Monotonic milliseconds. */
  readonly endsAt: number
  readonly request: Request
  readonly cancel: (() => void) | undefined
  readonly resolve: (bytes: Uint8Array) => void
  readonly reject: (error: unknown) => void
}

/** Ends what takes longer. All share one timer: one of its own costs a small body more than its bytes do. */
function createDeadlines<T extends { readonly endsAt: number }>(
  timeoutMs: number,
  expire: (late: T) => void,
) {
  // In the order of their time, which is the same for all.
  const waiting = new Set<T>()
  let isTimed = false

  function sweep(): void {
    isTimed = false
    for (const first of waiting) {
      const leftMs = first.endsAt - performance.now()
      if (leftMs > 0) return wake(leftMs)
      waiting.delete(first)
      expire(first)
    }
  }

  function wake(ms: number): void {
    isTimed = true
    setTimeout(sweep, Math.ceil(ms)).unref()
  }
  return {
    add(one: T): void {
      waiting.add(one)
      if (!isTimed) wake(timeoutMs)
    },
    delete: (one: T) => waiting.delete(one),
  }
}

interface Bytes {
  bytes: Promise<Uint8Array>
  cancel?: () => void
}

/** Faster than the stream by far; the server counts the bytes against Content-Length. */
function readWhole(request: Request): Bytes {
  return { bytes: request.bytes() }
}

function readStream({ body, signal }: Request, limitBytes: number, share: Share): Bytes {
  const reader = body!.getReader()
  const collect = async (): Promise<Uint8Array> => {
    const chunks: Uint8Array[] = []
    let size = 0
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      size += next.value.byteLength
      if (size > limitBytes) throw tooLarge(limitBytes)
      share.resize(size)
      chunks.push(next.value)
    }
    // Behind the last chunk may stand what the parser refuses, such as a trailer: it says 400 and closes the connection,
    // which shows a turn later. Nothing must come of such a request.
    await new Promise((resolve) => setImmediate(resolve))
    if (signal.aborted) throw incomplete(undefined)
    return Buffer.concat(chunks, size)
  }
  const cancel = () => {
    share.giveBack()
    // A stream that has failed already cannot be cancelled; there is nothing more to do about it.
    reader.cancel().catch(() => {})
  }
  return { bytes: collect().finally(share.giveBack), cancel }
}

interface Share {
  /** To what the body has come to. Throws AppError `unavailable` where that is more than all may have. */
  resize: (bytes: number) => void
  giveBack: () => void
}

/** What bodies have beyond their own bytes, counted as it comes: a length that is only claimed keeps nobody out. */
function createShares(ownBytes: number, sharedBytes: number): () => Share {
  let taken = 0
  return () => {
    let held = 0
    const hold = (bytes: number) => {
      taken += bytes - held
      held = bytes
    }
    return {
      resize(bytes) {
        const needed = Math.max(bytes - ownBytes, 0)
        if (taken - held + needed > sharedBytes) throw tooMany()
        hold(needed)
      },
      giveBack: () => hold(0),
    }
  }
}

function tooMany(): AppError {
  return new AppError('unavailable', {
    message: 'Too many large bodies are on their way, try again',
    headers: CLOSE,
  })
}

function incomplete(cause: unknown): AppError {
  return new AppError('bad_request', { message: 'Request body ended before it was complete', cause })
}

function tooLarge(limitBytes: number): AppError {
  return new AppError('payload_too_large', {
    message: `Request body is too large, maximum is ${limitBytes} bytes`,
    headers: CLOSE,
  })
}

const PARAMETER = /^charset=(?:utf-8|"utf-8")$/

/**
 * Throws AppError `unsupported_media_type` unless Content-Type is one of `allowed` (lower case), with no parameter but
 * charset=utf-8, and the body is not encoded.
 */
export function checkMediaType(request: Pick<Request, 'headers'>, allowed: readonly string[]): void {
  const encoding = request.headers.get('content-encoding')
  if (encoding !== null && encoding.trim().toLowerCase() !== 'identity') {
    throw new AppError('unsupported_media_type', {
      message: 'Request body must not be encoded',
      headers: { 'Accept-Encoding': 'identity' },
    })
  }
  const header = request.headers.get('content-type')
  if (header !== null && allowed.includes(header)) return
  const [type = '', ...parameters] = (header ?? '')
    .toLowerCase()
    .split(';')
    .map((part) => part.trim())
  if (allowed.includes(type) && parameters.every((parameter) => PARAMETER.test(parameter))) return
  throw new AppError('unsupported_media_type', {
    message: `Request body must be ${allowed.join(' or ')}`,
    headers: { Accept: allowed.join(', ') },
  })
}
