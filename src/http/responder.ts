// From what a handler gave to the answer that goes out: its format, its headers, its length. It decides nothing that
// depends on who asks.
import type { Exchange } from './exchange.ts'
import type { AnswerHeaders } from './headers.ts'
import { Content, JsonText, Reply, type Format, type Route } from './route.ts'

/** What of a request its answer depends on. */
interface Asked {
  exchange: Exchange
  /** Undefined: JSON. */
  format: Format | undefined
  query: unknown
}

/** Makes the function that turns what a handler gave into the answer. */
export function createResponder({ responses, noStore = false }: Route, headers: AnswerHeaders) {
  const success = responses[200] === undefined ? 201 : 200
  return (result: unknown, { exchange, format, query }: Asked): Response => {
    const { requestId } = exchange
    if (result instanceof JsonText) {
      exchange.bytes = result.bytes
      return headers.tagged(result.text, requestId, result.etag)
    }
    if (result instanceof Content) {
      exchange.bytes = byteLengthOf(result.body)
      return contentResponse(result, headers.own(requestId, noStore))
    }
    const { status, body, headers: extra } = result instanceof Reply ? result : new Reply(success, result)
    if (format === undefined && body !== undefined) {
      const text = JSON.stringify(body)
      exchange.bytes = byteLengthOf(text)
      return headers.json(text, { status, requestId, noStore, extra })
    }
    const own = headers.own(requestId, noStore)
    if (body === undefined) own.delete('content-type')
    else if (format !== undefined) {
      own.set('content-type', `${format.mediaType};charset=utf-8`)
      for (const [name, value] of Object.entries(format.headers?.(body) ?? {})) own.set(name, value)
    }
    for (const [name, value] of Object.entries(extra)) own.set(name, value)
    own.set('x-request-id', requestId)
    const text = body === undefined ? null : (format?.encode(body, query) ?? null)
    exchange.bytes = byteLengthOf(text ?? '')
    return new Response(text, { status, headers: own })
  }
}

function byteLengthOf(body: string | Uint8Array): number {
  return typeof body === 'string' ? Buffer.byteLength(body) : body.byteLength
}

function contentResponse(content: Content, headers: Headers): Response {
  headers.set('content-type', content.mediaType)
  for (const [name, value] of Object.entries(content.headers)) headers.set(name, value)
  return new Response(content.body, { headers })
}
