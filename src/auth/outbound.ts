// Requests to other servers: OpenID providers and issuers. What they answer, where they point and how slow they are is
// in other hands: each request is bounded in time and size, follows nothing, and reaches no address of this network
// that the operator did not name. It knows nothing of OpenID.
import type { LookupFunction } from 'node:net'
import { BlockList, isIP, isIPv6 } from 'node:net'
import { lookup as resolve } from 'node:dns'
import type { IncomingMessage, RequestOptions } from 'node:http'

/** As `fetch`, as far as it is used here: the body, if any, is text. It rejects with OutboundError alone. */
export type Outbound = (url: string, init: OutboundRequest) => Promise<Response>

type HeaderValues = ConstructorParameters<typeof Headers>[0]

export interface OutboundRequest {
  method?: string
  headers?: HeaderValues
  body?: string | URLSearchParams | null
}

export interface OutboundOptions {
  /** Plain http is for loopback, and not in production. */
  isProduction: boolean
  /** Host names (as `URL.hostname`) that the operator has named: they may be in a private network. */
  namedHosts: ReadonlySet<string>
  timeoutMs?: number
}

/** Milliseconds that an answer may take, to its last byte. */
export const OUTBOUND_TIMEOUT_MS = 5000
/** Bytes of a body. */
export const OUTBOUND_BYTES_MAX = 256 * 1024

/** Why there is no answer, for the log: it may name the address, which no client may learn. */
export class OutboundError extends Error {
  override name = 'OutboundError'
}

export function createOutbound(options: OutboundOptions): Outbound {
  const { isProduction, namedHosts, timeoutMs = OUTBOUND_TIMEOUT_MS } = options
  return async (text, { method = 'GET', headers, body }) => {
    const url = URL.parse(text)
    if (url === null) throw new OutboundError(`Address ${text} is not a URL`)
    checkScheme(url, isProduction)
    const isNamed = namedHosts.has(url.hostname)
    const host = url.hostname.replace(/^\[|\]$/g, '')
    if (!isNamed && isIP(host) !== 0 && isPrivate(host)) throw refusedAddress(url)
    const content = body?.toString()
    const requestOptions: RequestOptions = {
      method,
      headers: headersOf(headers, body, content),
      lookup: isNamed ? undefined : publicLookup(url),
      // A connection of its own: none that a former answer may have left in a strange state.
      agent: false,
    }
    return exchange(url, { requestOptions, content, timeoutMs })
  }
}

function checkScheme(url: URL, isProduction: boolean): void {
  if (url.username !== '' || url.password !== '') throw new OutboundError('Address has a user or a password')
  if (!isSecureAddress(url, isProduction)) throw new OutboundError(`Address ${url.origin} must be https`)
}

/** Whether nobody in between can read along: https, or this machine itself outside production. */
export function isSecureAddress({ protocol, hostname }: URL, isProduction: boolean): boolean {
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname) && !isProduction)
}

/** Whether a host is this machine by its name alone. */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(hostname)
}

function headersOf(
  given: HeaderValues | undefined,
  body: OutboundRequest['body'],
  content: string | undefined,
): Record<string, string> {
  const headers = new Headers(given)
  headers.set('accept-encoding', 'identity')
  headers.set('connection', 'close')
  if (body instanceof URLSearchParams && !headers.has('content-type')) {
    headers.set('content-type', 'application/x-www-form-urlencoded;charset=UTF-8')
  }
  if (content !== undefined) headers.set('content-length', String(Buffer.byteLength(content)))
  return Object.fromEntries(headers)
}

interface Exchange {
  requestOptions: RequestOptions
  content: string | undefined
  timeoutMs: number
}

async function exchange(url: URL, { requestOptions, content, timeoutMs }: Exchange): Promise<Response> {
  // Loaded here: many servers never ask another one, and it takes 2 MB.
  const client = await (url.protocol === 'https:' ? import('node:https') : import('node:http'))
  const { promise, resolve: succeed, reject } = Promise.withResolvers<Response>()
  const request = client.request(url, requestOptions)
  const fail = (reason: string, cause?: unknown) => {
    reject(new OutboundError(`${url.origin} ${reason}`, { cause }))
    request.destroy()
  }
  const deadline = setTimeout(() => fail(`took over ${timeoutMs} ms`), timeoutMs)
  promise.then(
    () => clearTimeout(deadline),
    () => clearTimeout(deadline),
  )
  request.on('error', (error) => fail('could not be reached', error))
  request.on('response', (incoming) => {
    collect(incoming)
      .then((bytes) => succeed(responseOf(incoming, bytes)))
      .catch((error: unknown) => fail('gave no sound answer', error))
  })
  request.end(content)
  return promise
}

async function collect(incoming: IncomingMessage): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > OUTBOUND_BYTES_MAX) throw new OutboundError(`Body is over ${OUTBOUND_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

function responseOf(incoming: IncomingMessage, bytes: Uint8Array<ArrayBuffer>): Response {
  const status = incoming.statusCode ?? 0
  if (status < 200 || status > 599) throw new OutboundError('Status is out of range')
  if (status >= 300 && status < 400) throw new OutboundError('Redirects are not followed')
  const headers = new Headers()
  for (const [name, value] of Object.entries(incoming.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value)
  }
  const hasBody = status !== 204 && status !== 205
  return new Response(hasBody ? bytes : null, { status, headers })
}

// ── Addresses ───────────────────────────────────────────────────────────────────────────────────────────────────

/** Resolves a name to public addresses alone: what was looked at is what is connected to. */
function publicLookup(url: URL): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, '', 4)
      const refused = addresses.some(({ address }) => isPrivate(address))
      const [first] = addresses
      if (refused || first === undefined) return callback(refusedAddress(url), '', 4)
      return options.all === true ? callback(null, addresses) : callback(null, first.address, first.family)
    })
  }
}

function refusedAddress(url: URL): OutboundError {
  return new OutboundError(`${url.origin} is in a private network, and not the host of a configured issuer`)
}

// RFC 6890 and its successors: what is not globally reachable, and multicast.
const PRIVATE = new BlockList()
for (const network of [
  '0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24',
  '192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4',
  '::/128 ::1/128 64:ff9b::/96 64:ff9b:1::/48 100::/64 2001::/23 2001:db8::/32 2002::/16 fc00::/7 fe80::/10 ff00::/8',
].flatMap((line) => line.split(' '))) {
  const [address = '', prefix] = network.split('/')
  PRIVATE.addSubnet(address, Number(prefix), isIPv6(address) ? 'ipv6' : 'ipv4')
}

/** Whether an IP address is not one of the public internet; an IPv4 address inside an IPv6 one counts as itself. */
export function isPrivate(address: string): boolean {
  if (!isIPv6(address)) return PRIVATE.check(address, 'ipv4')
  const mapped = /^::ffff:(.+)$/.exec(
    new URL(`http://[${address.replace(/%.*/, '')}]`).hostname.slice(1, -1),
  )?.[1]
  if (mapped === undefined) return PRIVATE.check(address.replace(/%.*/, ''), 'ipv6')
  const [high = 0, low = 0] = mapped.split(':').map((part) => Number.parseInt(part, 16))
  return PRIVATE.check([high >> 8, high & 255, low >> 8, low & 255].join('.'), 'ipv4')
}
