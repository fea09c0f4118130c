// Host names, addresses of servers and e-mails as settings write them. Networks are in networks.ts, lists of origins in
// origins.ts.
import { isIP } from 'node:net'

const HOSTS_MAX = 100
const HOST_LENGTH_MAX = 253
const EMAIL_LENGTH_MAX = 254
const URL_LENGTH_MAX = 2048

/** What HIPFLASK_ALLOWED_HOSTS must be, as the end of "… must be …". */
export const HOSTS_EXPECTED = `1 to ${HOSTS_MAX} host names or IP addresses without port, separated by commas`

/**
 * An IP address, IPv6 without brackets, or a host name. One whose last label is a number would be taken as an IPv4
 * address by some clients (WHATWG URL, 3.5).
 */
export function isHost(text: string): boolean {
  if (isIP(text) !== 0) return !text.includes('%')
  const label = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i
  const labels = text.split('.')
  return (
    text.length <= HOST_LENGTH_MAX &&
    labels.every((one) => label.test(one)) &&
    !/^(\d+|0x[0-9a-f]*)$/i.test(labels.at(-1)!)
  )
}

/** The hosts of a comma-separated text, as a Host header has them: lower case, IPv6 in brackets. */
export function parseHosts(text: string): readonly string[] | undefined {
  const list = text.split(',').map((one) => one.trim().toLowerCase())
  if (list.length > HOSTS_MAX) return undefined
  const bare = list.map((one) => (/^\[.*\]$/.test(one) ? one.slice(1, -1) : one))
  if (!bare.every(isHost) || list.some((one, at) => one !== bare[at] && isIP(bare[at]!) !== 6))
    return undefined
  return bare.map((one) => (isIP(one) === 6 ? new URL(`http://[${one}]`).hostname : one))
}

/** An origin. Links are paths and tokens name the origin, so that a path here could not be kept. */
export function parsePublicUrl(text: string): string | undefined {
  if (text.length > URL_LENGTH_MAX || !/^https?:\/\/[^/?#@\\\s]+\/?$/i.test(text)) return undefined
  return URL.parse(text)?.origin
}

/** One with a domain of at least two labels, as it was written. */
export function parseEmail(text: string): string | undefined {
  return text.length <= EMAIL_LENGTH_MAX && /^[^\s@]+@[^\s@.]+(\.[^\s@.]+)+$/.test(text) ? text : undefined
}
