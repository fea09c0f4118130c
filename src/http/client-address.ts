// Whose request it is, as a network address in one spelling. A header is believed only where a proxy that the operator
// named wrote it: X-Forwarded-For, which all of them can write. Not Forwarded (RFC 7239) too: a proxy that writes one
// of the two hands on the other as the client made it up.
import { BlockList, isIP } from 'node:net'

export interface ClientAddressOptions {
  /** Proxies that are believed, each `address/prefix length`. */
  trusted: readonly string[]
  /** The other end of the request's connection; undefined where it is not known, or there no longer. */
  peerOf: ((request: Request) => string | undefined) | undefined
  /** Told of a peer that is believed in nothing, and hands on X-Forwarded-For. */
  onForwarded?: ((peer: string) => void) | undefined
}

/** What stands for an address that is not known: all such clients share it. */
export const UNKNOWN_ADDRESS = 'unknown'

/** Peers that are known at once; beyond them all are forgotten. */
const PEERS_MAX = 10_000

interface Peer {
  /** Undefined where it is none. */
  address: string | undefined
  isTrusted: boolean
}

/** Proxies behind each other that are followed. */
export const FORWARDERS_MAX = 32

/**
 * Makes the function that gives the address of a request's client: IPv4 as `192.0.2.1`, IPv6 as RFC 5952 writes it, or
 * UNKNOWN_ADDRESS. It is worked out when first asked for, since that takes some µs, and stays the same then.
 */
export function createClientAddress(options: ClientAddressOptions): (request: Request) => string {
  const { trusted, peerOf, onForwarded } = options
  const isTrusted = createTrust(trusted)
  // A client sends many requests. What is known of peers goes by the text that they come as.
  const peers = new Map<string, Peer>()
  const describe = (text: string): Peer => {
    const address = canonicalAddress(text)
    const peer = { address, isTrusted: address !== undefined && isTrusted(address) }
    if (peers.size >= PEERS_MAX) peers.clear()
    peers.set(text, peer)
    return peer
  }
  const find = (request: Request): string => {
    const text = peerOf?.(request) ?? ''
    const peer = peers.get(text) ?? describe(text)
    if (peer.address === undefined) return UNKNOWN_ADDRESS
    if (!peer.isTrusted) {
      if (onForwarded !== undefined && request.headers.has('x-forwarded-for')) onForwarded(peer.address)
      return peer.address
    }
    return lastBelieved(peer.address, request.headers.get('x-forwarded-for') ?? '', isTrusted)
  }
  return (request: Known) => (request[ADDRESS] ??= find(request))
}

/** Kept on the request itself: a WeakMap of all requests costs as much as finding the address. */
const ADDRESS = Symbol('address')
type Known = Request & { [ADDRESS]?: string }

/** The network that is answerable for an address: itself (IPv4), its /64 (IPv6), of which one client has all. */
export function networkPrefix(address: string): string {
  if (!address.includes(':')) return address
  const [head = [], tail = []] = address.split('::').map((part) => (part === '' ? [] : part.split(':')))
  const zeros = Array.from({ length: 8 - head.length - tail.length }, () => '0')
  return `${[...head, ...zeros, ...tail].slice(0, 4).join(':')}::/64`
}

function createTrust(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', length] = network.split('/')
    list.addSubnet(address, Number(length), familyOf(address))
  }
  return (address) => list.check(address, familyOf(address))
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4'
}

/**
 * From right to left, since each proxy appends whom it got the request from: the first that is no proxy of ours, or the
 * last before what is no address. What stands further left the client may have made up.
 */
function lastBelieved(peer: string, header: string, isTrusted: (address: string) => boolean): string {
  let address = peer
  for (const hop of header.split(',').slice(-FORWARDERS_MAX).reverse()) {
    const next = canonicalAddress(withoutPort(hop.trim()))
    if (next === undefined) break
    address = next
    if (!isTrusted(address)) break
  }
  return address
}

/** Some proxies append the port, and then, or always, put IPv6 in brackets. */
function withoutPort(text: string): string {
  const match = /^(?:\[([^[\]]*)\]|([0-9.]+))(?::[0-9]{1,5})?$/.exec(text)
  return match?.[1] ?? match?.[2] ?? text
}

/** One text for all spellings of an address, without its zone; IPv4 in the clothes of IPv6 is IPv4. */
function canonicalAddress(text: string): string | undefined {
  const version = isIP(text)
  if (version !== 6) return version === 4 ? text : undefined
  const canonical = new URL(`http://[${text.replace(/%.*/, '')}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(canonical)
  if (mapped === null) return canonical
  const bits = Number.parseInt(mapped[1]!, 16) * 0x1_0000 + Number.parseInt(mapped[2]!, 16)
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join('.')
}
