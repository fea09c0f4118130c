// The Host header, checked before routing: what Bun makes of a malformed one changes which path is routed
// (elysia#748: a host of three characters, or one with a slash in it).
import { AppError } from '../core/errors.ts'

const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?$/

/**
 * Makes the check: `bad_request` where the header is absent, double or malformed, `misdirected_request` where hosts are
 * listed and this is none of them. `allowed` are names without a port.
 */
export function createHostCheck(allowed: readonly string[]): (request: Request) => void {
  const names = new Set(allowed.map((name) => name.toLowerCase()))
  // Clients of one server send the same host again and again.
  let latest: string | undefined
  return (request) => {
    const host = request.headers.get('host')
    if (host !== null && host === latest) return
    // HTTP/1.1 joins a repeated header by a comma, which no host name has.
    if (host === null || !HOST.test(host) || portOf(host) > 65_535 || !request.url.startsWith('http')) {
      throw new AppError('bad_request', { message: 'Host header is missing or malformed' })
    }
    if (names.size > 0 && !names.has(nameOf(host))) throw new AppError('misdirected_request')
    latest = host
  }
}

function portOf(host: string): number {
  return Number(/:(\d+)$/.exec(host)?.[1] ?? 0)
}

function nameOf(host: string): string {
  // A name may end with the root's dot.
  return host.toLowerCase().replace(/:\d+$/, '').replace(/\.$/, '')
}
