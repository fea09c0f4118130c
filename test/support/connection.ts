// One HTTP/1.1 connection at a time, seen from the client: what was sent on it, what came, and how it ended. `fetch`
// hides just that, since it repeats what failed.
import { connect, type Socket } from 'node:net'
import { connect as connectSecurely } from 'node:tls'

const ANSWER_MS = 20_000

export interface Answer {
  status: number
  /** By lower-case name. */
  headers: Readonly<Record<string, string>>
  body: string
}

export interface Connection {
  /** Nobody has closed it, and the latest answer did not say that it would be. */
  isOpen: () => boolean
  /** Answers that came on it. */
  answers: () => number
  /** Sends a whole request and waits for its answer. Throws a `LostError` where none or a part came. */
  request: (request: RequestText) => Promise<Answer>
  /** Sends bytes as they are. */
  write: (bytes: string | Uint8Array) => void
  /** The next answer, to a request that was written. */
  next: () => Promise<Answer>
  /** Resolves when the other end has closed it. */
  closed: Promise<void>
  close: () => void
}

export interface RequestText {
  method?: string
  path: string
  /** Sent as JSON. */
  body?: unknown
}

/** The connection ended before an answer was complete. */
export class LostError extends Error {
  /** What came of the answer. */
  readonly received: string

  constructor(received: string, cause?: Error) {
    super(`Connection ended after ${received.length} characters of an answer`, { cause })
    this.received = received
  }
}

/** Connects to a port of this machine, by TLS if wished, whatever the certificate. Rejects where it is refused. */
export async function openConnection(port: number, { tls = false } = {}): Promise<Connection> {
  const socket = await connected(port, tls)
  let text = ''
  let answers = 0
  let isOpen = true
  let failure: Error | undefined
  let tell = () => {}
  const closed = new Promise<void>((resolve) => {
    socket.on('close', () => {
      isOpen = false
      tell()
      resolve()
    })
  })
  socket.on('error', (error) => (failure = error))
  socket.on('end', () => {
    isOpen = false
    socket.end()
  })
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    tell()
  })

  const next = async (): Promise<Answer> => {
    const end = Date.now() + ANSWER_MS
    for (;;) {
      const found = parseAnswer(text)
      if (found !== undefined) {
        text = text.slice(found.length)
        answers++
        if (found.answer.headers['connection']?.toLowerCase() === 'close') isOpen = false
        return found.answer
      }
      if (socket.closed || Date.now() > end) throw new LostError(text, failure)
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, ANSWER_MS)
        tell = () => {
          clearTimeout(late)
          resolve()
        }
      })
    }
  }
  const write = (bytes: string | Uint8Array) => void socket.write(bytes)
  return {
    isOpen: () => isOpen,
    answers: () => answers,
    write,
    next,
    request: (request) => {
      write(textOf(request))
      return next()
    },
    closed,
    close: () => void socket.destroy(),
  }
}

/** The bytes of a request. */
export function textOf({ method = 'GET', path, body }: RequestText): string {
  const head = `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n`
  if (body === undefined) return `${head}\r\n`
  const json = JSON.stringify(body)
  return `${head}Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(json)}\r\n\r\n${json}`
}

function connected(port: number, tls: boolean): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const place = { port, host: '127.0.0.1', noDelay: true }
    const socket = tls ? connectSecurely({ ...place, rejectUnauthorized: false }) : connect(place)
    socket.once('close', () => reject(new Error('Closed before it was connected')))
    socket.once(tls ? 'secureConnect' : 'connect', () => {
      socket.removeAllListeners('error')
      resolve(socket)
    })
    socket.once('error', reject)
  })
}

/** The first answer of the text, once it is there as far as its Content-Length says. */
function parseAnswer(text: string): { answer: Answer; length: number } | undefined {
  const headEnd = text.indexOf('\r\n\r\n')
  if (headEnd === -1) return undefined
  const [start = '', ...lines] = text.slice(0, headEnd).split('\r\n')
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const
    }),
  )
  const status = Number(start.split(' ')[1])
  const bodyAt = headEnd + 4
  const length = bodyAt + (status === 100 ? 0 : Number(headers['content-length'] ?? 0))
  if (text.length < length) return undefined
  return { answer: { status, headers, body: text.slice(bodyAt, length) }, length }
}
