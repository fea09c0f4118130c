// Networks as settings write them: addresses, address/prefix length (CIDR, RFC 4632), and words for well-known ones.
import { isIP } from 'node:net'

/** The words of Express and its kin, so that a setting can be carried over. */
const NETWORKS_OF_WORD: Readonly<Record<string, readonly string[]>> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
}
const NETWORKS_MAX = 100

/** What the text must be, as the end of "… must be …". */
export const NETWORKS_EXPECTED = `1 to ${NETWORKS_MAX} IP addresses, networks such as 10.0.0.0/8, or ${Object.keys(NETWORKS_OF_WORD).join(', ')}, separated by commas`

/**
 * The networks of a comma-separated text, each `address/prefix length`; undefined where one is malformed, IPv4 in the
 * clothes of IPv6, or everybody (a prefix length of 0).
 */
export function parseNetworks(text: string): readonly string[] | undefined {
  const parts = text.split(',').map((part) => part.trim().toLowerCase())
  if (parts.length > NETWORKS_MAX) return undefined
  const networks = parts.map((part) =>
    Object.hasOwn(NETWORKS_OF_WORD, part) ? NETWORKS_OF_WORD[part] : parseNetwork(part),
  )
  return networks.includes(undefined) ? undefined : (networks as string[][]).flat()
}

function parseNetwork(text: string): readonly string[] | undefined {
  const [, address = '', length] = /^([0-9a-f.:]+)(?:\/([1-9][0-9]{0,2}))?$/.exec(text) ?? []
  const version = isIP(address)
  if (version === 0) return undefined
  const bits = version === 4 ? 32 : 128
  if (length !== undefined && Number(length) > bits) return undefined
  const canonical = version === 4 ? address : new URL(`http://[${address}]`).hostname.slice(1, -1)
  if (canonical.startsWith('::ffff:')) return undefined
  return [`${canonical}/${length ?? bits}`]
}
