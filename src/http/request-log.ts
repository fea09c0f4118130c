// One line of the log for each request that is answered: by route and never by path, without any header, query or body,
// so that no secret gets into it. JSON is put together by hand, since the general logger takes as long as half a read.
import { ANONYMOUS, type Principal } from '../access/principal.ts'
import { timestamp } from '../core/clock.ts'
import { createLogger, jsonText, lets, type LoggerOptions } from '../core/logger.ts'
import type { Endpoint, Exchange } from './exchange.ts'

/** From here on a request is slow, which is a warning. */
export const SLOW_REQUEST_MS = 1000

export interface RequestLogOptions extends LoggerOptions {
  /** The address of a request's client. */
  addressOf: (request: Request) => string
}

export interface RequestLog {
  /** Makes the function that writes the lines of an endpoint. */
  of(endpoint: Endpoint): WriteRequest
  /** Notes what can't be had any more once a client has gone. */
  wait(exchange: Exchange): void
}

export type WriteRequest = (exchange: Exchange, status: number, milliseconds: number) => void

/** A line is of the level info, debug where the endpoint is quiet, or warn where the request failed here or was slow. */
export function createRequestLog(options: RequestLogOptions): RequestLog {
  const { level: least, format, addressOf } = options
  const lineOf = format === 'json' ? jsonLines(options) : prettyLines(options)
  // It takes a system call: not worth it for the few that fail or are slow, of whom even fewer are gone by then.
  const isMostLogged = lets(least, 'info')
  return {
    of: (endpoint) => {
      const write = lineOf(endpoint)
      const usual = endpoint.isQuiet ? 'debug' : 'info'
      const [isUsualLogged, isWarningLogged] = [lets(least, usual), lets(least, 'warn')]
      return (exchange, status, milliseconds) => {
        const isSlow = milliseconds >= SLOW_REQUEST_MS
        const isWarning = isSlow || status >= 500
        if (!(isWarning ? isWarningLogged : isUsualLogged)) return
        write({ exchange, status, milliseconds, level: isWarning ? 'warn' : usual, isSlow })
      }
    },
    wait: ({ request }) => {
      if (isMostLogged) addressOf(request)
    },
  }
}

interface Line {
  exchange: Exchange
  status: number
  milliseconds: number
  level: 'debug' | 'info' | 'warn'
  isSlow: boolean
}

type LinesOf = (endpoint: Endpoint) => (line: Line) => void

/** What is put between quotes unescaped comes from us: ids, addresses in our spelling, hexadecimal digits. */
function jsonLines({ write, clock, addressOf }: RequestLogOptions): LinesOf {
  return ({ method, route }) => {
    const template = route === undefined ? '' : `,"route":${jsonText(route)}`
    const ofStatus = new Map<number, string>()
    const middleOf = (status: number): string => {
      let text = ofStatus.get(status)
      if (text === undefined) {
        text = `,"method":"${method}"${template},"status":${status},"duration_ms":`
        ofStatus.set(status, text)
      }
      return text
    }
    return ({ exchange, status, milliseconds, level, isSlow }) => {
      const { request, requestId, bytes, principal } = exchange
      const traceId = traceIdOf(request)
      const trace = traceId === undefined ? '' : `,"trace_id":"${traceId}"`
      write(
        `{"time":"${timestamp(clock())}","level":"${level}","message":"${isSlow ? SLOW_REQUEST : REQUEST}",` +
          `"request_id":"${requestId}"${trace}${middleOf(status)}${durationText(milliseconds)},"bytes":${bytes}` +
          `${principalText(principal)},"ip":"${addressOf(request)}"}\n`,
      )
    }
  }
}

function principalText(principal: Principal): string {
  if (principal === ANONYMOUS) return ''
  return `,"principal_id":${jsonText(principal.id)},"principal_kind":"${principal.kind}"`
}

function prettyLines(options: RequestLogOptions): LinesOf {
  const logger = createLogger(options)
  return ({ method, route = '(no route)' }) =>
    ({ exchange, status, milliseconds, level, isSlow }) => {
      const { request, requestId, bytes, principal } = exchange
      const isKnown = principal !== ANONYMOUS
      logger[level](`${isSlow ? `${SLOW_REQUEST}: ` : ''}${method} ${route} ${status}`, {
        duration_ms: Number(durationText(milliseconds)),
        bytes,
        principal_id: isKnown ? principal.id : undefined,
        principal_kind: isKnown ? principal.kind : undefined,
        ip: options.addressOf(request),
        request_id: requestId,
        trace_id: traceIdOf(request),
      })
    }
}

const REQUEST = 'Request'
const SLOW_REQUEST = 'Slow request'

const THOUSANDTHS = Array.from({ length: 1000 }, (_, number) => String(number).padStart(3, '0'))

/** To the microsecond. Making text of whole numbers takes a quarter of the time. */
function durationText(milliseconds: number): string {
  const microseconds = Math.round(milliseconds * 1000)
  return `${Math.floor(microseconds / 1000)}.${THOUSANDTHS[microseconds % 1000]}`
}

/** https://www.w3.org/TR/trace-context: a later version than 00 may say more behind another hyphen. */
const TRACE_PARENT =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:$|(?<!^00.{53})-)/

function traceIdOf(request: Request): string | undefined {
  const header = request.headers.get('traceparent')
  return header === null ? undefined : TRACE_PARENT.exec(header)?.[1]
}
