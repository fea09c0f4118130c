import { afterAll, describe, expect, test } from 'bun:test'
import { settingOf } from '../../src/config/settings.ts'
import { createLogger } from '../../src/core/logger.ts'
import {
  FORWARDERS_MAX,
  UNKNOWN_ADDRESS,
  createClientAddress,
  networkPrefix,
} from '../../src/http/client-address.ts'
import { json, route } from '../../src/http/route.ts'
import { listen } from '../../src/http/server.ts'
import { everyone, t } from '../../src/sdk.ts'
import { createHandler } from '../support/requests.ts'

const PROXY = '10.0.0.1'
const CLIENT = '203.0.113.9'

interface Hop {
  peer?: string | undefined
  trusted?: readonly string[]
  headers?: Record<string, string>
}

/** The address of a request's client. */
function addressOf({ peer, trusted = ['10.0.0.0/8', 'fd00::/8'], headers = {} }: Hop): string {
  const find = createClientAddress({ trusted, peerOf: () => peer })
  return find(new Request('http://127.0.0.1/', { headers }))
}

const forwarded = (value: string, hop: Hop = {}) =>
  addressOf({ peer: PROXY, headers: { 'x-forwarded-for': value }, ...hop })

describe('every spelling of an address gives one text and one network', () => {
  test.each<[string, string, readonly string[]]>([
    [
      '192.0.2.1',
      '192.0.2.1',
      ['192.0.2.1', '::ffff:192.0.2.1', '::FFFF:c000:201', '0:0:0:0:0:ffff:192.0.2.1'],
    ],
    ['0.0.0.0', '0.0.0.0', ['0.0.0.0', '::ffff:0:0']],
    ['255.255.255.255', '255.255.255.255', ['255.255.255.255', '::ffff:ffff:ffff']],
    [
      '2001:db8::1',
      '2001:db8:0:0::/64',
      [
        '2001:db8::1',
        '2001:DB8::1',
        '2001:0db8::0001',
        '2001:db8:0:0:0:0:0:1',
        '2001:db8::0:1',
        '2001:db8::0.0.0.1',
      ],
    ],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64', ['2001:db8:1:2:3:4:5:6', '2001:0DB8:1:2:3:4:0.5.0.6']],
    ['2001:db8:1:2::', '2001:db8:1:2::/64', ['2001:db8:1:2::', '2001:db8:1:2:0:0:0:0']],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1::/64', ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1']],
    ['::1', '0:0:0:0::/64', ['::1', '0:0:0:0:0:0:0:1', '0::0001']],
    ['::', '0:0:0:0::/64', ['::', '0::', '0:0:0:0:0:0:0:0']],
    ['::102:304', '0:0:0:0::/64', ['::1.2.3.4', '::0102:0304']],
    ['1::', '1:0:0:0::/64', ['1::', '1:0:0:0:0:0:0:0']],
    ['fe80::1', 'fe80:0:0:0::/64', ['fe80::1', 'fe80::1%eth0', 'FE80::1%1', 'fe80:0::1%en-0.1']],
    [
      'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
      'ffff:ffff:ffff:ffff::/64',
      ['ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ],
  ])('%s', (address, prefix, spellings) => {
    for (const peer of spellings) {
      expect({ peer, address: addressOf({ peer, trusted: [] }) }).toEqual({ peer, address })
      expect({ peer, address: forwarded(peer, { trusted: ['10.0.0.1/32'] }) }).toEqual({ peer, address })
    }
    expect(networkPrefix(address)).toBe(prefix)
  })

  test('and addresses of one /64 share it, those of two do not', () => {
    expect(networkPrefix('2001:db8::ffff:ffff:ffff:ffff')).toBe(networkPrefix('2001:db8::'))
    expect(networkPrefix('2001:db8:0:1::')).not.toBe(networkPrefix('2001:db8::'))
    expect(networkPrefix(UNKNOWN_ADDRESS)).toBe(UNKNOWN_ADDRESS)
  })
})

describe('X-Forwarded-For', () => {
  test.each<[string, Hop]>([
    ['a peer that is no proxy', { peer: CLIENT }],
    ['a peer beside the trusted network', { peer: '11.0.0.1' }],
    ['anybody where no proxy is named', { peer: PROXY, trusted: [] }],
    ['an IPv6 peer beside the trusted network', { peer: 'fe00::1' }],
  ])('of %s is not believed', (_, hop) => {
    expect(forwarded('192.0.2.1', hop)).toBe(hop.peer!)
  })

  test('of a peer that is not known is not believed', () => {
    for (const peer of [undefined, '', 'unix', '/run/socket']) {
      expect(forwarded('192.0.2.1', { peer })).toBe(UNKNOWN_ADDRESS)
    }
  })

  test.each<[string, string, string]>([
    ['one address', CLIENT, CLIENT],
    ['what the client made up further left', `192.0.2.1, 10.0.0.9, ${CLIENT}`, CLIENT],
    ['a made-up proxy behind the client', `192.0.2.1, 10.0.0.9, ${CLIENT}, 10.0.0.2`, CLIENT],
    ['proxies of ours', `${CLIENT}, 10.0.0.3,10.0.0.2`, CLIENT],
    ['a proxy by IPv6', `${CLIENT}, fd00::1`, CLIENT],
    ['a proxy as mapped IPv6', `${CLIENT}, ::ffff:10.0.0.2`, CLIENT],
    ['proxies alone: the farthest', '10.0.0.4, 10.0.0.3', '10.0.0.4'],
    ['other white space', `192.0.2.1,\t ${CLIENT} \t`, CLIENT],
    ['a port', `${CLIENT}:4711`, CLIENT],
    ['brackets', '[2001:DB8::1]', '2001:db8::1'],
    ['brackets and a port', '[2001:db8::1]:65535', '2001:db8::1'],
    ['a zone', 'fe80::1%eth0', 'fe80::1'],
    ['a zone in brackets', '[fe80::1%eth0]:80', 'fe80::1'],
  ])('of a proxy of ours with %s', (_, value, address) => {
    expect(forwarded(value)).toBe(address)
  })

  test.each([
    '',
    ' ',
    ',',
    `${CLIENT},`,
    `${CLIENT}, ,`,
    'unknown',
    '_hidden',
    'localhost',
    'null',
    '-',
    '"203.0.113.9"',
    'for=203.0.113.9',
    '203.0.113',
    '203.0.113.9.1',
    '203.0.113.256',
    '203.0.113.09',
    '0xcb007109',
    '3405803785',
    '203.0.113.9:',
    '203.0.113.9:x',
    '203.0.113.9:123456',
    '203.0.113.9:80:80',
    '203.0.113.9/32',
    ':80',
    '[',
    ']',
    '[]',
    '[]:80',
    '[2001:db8::1',
    '2001:db8::1]',
    '[2001:db8::1]80',
    '[[2001:db8::1]]',
    '1::2::3',
    ':::',
    '2001:db8:1:2:3:4:5:6:7',
    '2001:db8::12345',
    '203.0.113.9 203.0.113.8',
    '203.0.113.9;203.0.113.8',
    '2001:db8::1%',
    '%',
    '203.0.113.9%eth0',
    '１.2.3.4'.normalize('NFKC') + 'x',
    '\u00ff',
    '../../etc',
    "' or 1=1",
    'a'.repeat(8000),
  ])('ends at what is no address: %p', (hop) => {
    expect(forwarded(hop)).toBe(PROXY)
    expect(forwarded(`${CLIENT}, ${hop}`)).toBe(PROXY)
    expect(forwarded(`${CLIENT}, ${hop}, 10.0.0.2`)).toBe('10.0.0.2')
    expect(forwarded(`${hop}, ${CLIENT}`)).toBe(CLIENT)
  })

  test('is followed through so many proxies and no more', () => {
    const proxies = (count: number) => Array.from({ length: count }, (_, at) => `10.1.${at >> 8}.${at & 255}`)
    expect(forwarded([CLIENT, ...proxies(FORWARDERS_MAX - 1)].join(', '))).toBe(CLIENT)
    expect(forwarded([CLIENT, ...proxies(FORWARDERS_MAX)].join(', '))).toBe('10.1.0.0')
    const many = proxies(5000)
    expect(forwarded([CLIENT, ...many].join(','))).toBe(many[5000 - FORWARDERS_MAX]!)
  })

  test('is the only header that is read', () => {
    const headers = {
      forwarded: 'for=192.0.2.1',
      'x-real-ip': '192.0.2.1',
      'x-client-ip': '192.0.2.1',
      'cf-connecting-ip': '192.0.2.1',
      'true-client-ip': '192.0.2.1',
      'x-forwarded-host': '192.0.2.1',
    }
    expect(addressOf({ peer: PROXY, headers })).toBe(PROXY)
  })

  test.each([
    ['127.0.0.1', ['127.0.0.1'], ['127.0.0.2']],
    ['192.0.2.128/25', ['192.0.2.128', '192.0.2.255', '::ffff:c000:280'], ['192.0.2.127', '192.0.3.128']],
    ['192.0.2.77/24', ['192.0.2.0', '192.0.2.255'], ['192.0.1.255', '192.0.3.0']],
    ['128.0.0.0/1', ['128.0.0.0', '255.255.255.255'], ['127.255.255.255', '::1', 'ffff::']],
    ['2001:db8::/33', ['2001:db8:7fff::1'], ['2001:db8:8000::', '32.1.13.184']],
    ['2001:db8::1', ['2001:DB8:0::1'], ['2001:db8::2']],
    [
      'loopback',
      ['127.0.0.1', '127.255.255.255', '::1', '::ffff:127.0.0.1'],
      ['126.255.255.255', '::2', '::'],
    ],
    ['linklocal', ['169.254.1.1', 'fe80::1%eth0', 'febf::1'], ['169.253.0.1', 'fec0::1']],
    [
      'uniquelocal',
      ['10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.0', 'fc00::', 'fdff::1'],
      ['9.255.255.255', '11.0.0.0', '172.15.255.255', '172.32.0.0', '192.169.0.0', 'fbff::1', 'fe00::'],
    ],
  ])('with TRUST_PROXY=%s is believed of %p, and not of %p', (text, proxies, others) => {
    const trusted = settingOf('trustProxy').parse(text) as string[]
    for (const peer of proxies) expect([peer, forwarded(CLIENT, { peer, trusted })]).toEqual([peer, CLIENT])
    for (const peer of others)
      expect([peer, forwarded(CLIENT, { peer, trusted })]).not.toEqual([peer, CLIENT])
  })
})

test('the address is worked out when first asked for, once a request', () => {
  let asked = 0
  const find = createClientAddress({ trusted: [], peerOf: () => `192.0.2.${++asked}` })
  const [first, second] = [new Request('http://127.0.0.1/'), new Request('http://127.0.0.1/')]
  expect(asked).toBe(0)
  expect([find(first), find(second), find(first), find(second)]).toEqual([
    '192.0.2.1',
    '192.0.2.2',
    '192.0.2.1',
    '192.0.2.2',
  ])
})

describe('over a socket', () => {
  const AddressAnswer = t.Object({ address: t.String() })
  const gone = Promise.withResolvers<string>()
  const paths = {
    '/address': ({ address }: { address: () => string }) => ({ address: address() }),
    '/late': async ({ address }: { address: () => string }) => {
      await Bun.sleep(20)
      return { address: address() }
    },
    '/gone': async ({ address }: { address: () => string }) => {
      await Bun.sleep(300)
      gone.resolve(address())
      return { address: '' }
    },
  }
  const routes = Object.entries(paths).map(([path, handler]) =>
    route({
      method: 'GET',
      path,
      operationId: path.slice(1),
      summary: path,
      tag: 'Test',
      access: everyone(),
      responses: { 200: json('The address', AddressAnswer) },
      handler,
    }),
  )
  const servers = (['127.0.0.1', '::1'] as const).map((host) => {
    const logger = createLogger({ level: 'error', format: 'json', write: () => {}, clock: Date.now })
    const server = listen({ host, port: 0, logger, headers: { strictTransport: false } })
    server.use(
      createHandler(routes, [], createClientAddress({ trusted: ['::1/128'], peerOf: server.peerOf })),
    )
    return server
  })
  const [v4, v6] = servers.map(({ url }) => url)
  afterAll(() => Promise.all(servers.map((server) => server.stop(0))))

  const ask = async (url: string, init?: RequestInit) =>
    ((await (await fetch(url, init)).json()) as { address: string }).address
  const headers = { 'x-forwarded-for': `192.0.2.1, ${CLIENT}` }

  test('it is that of the other end, also after a wait', async () => {
    expect(await ask(`${v4}/address`, { headers })).toBe('127.0.0.1')
    expect(await ask(`${v4}/late`, { headers })).toBe('127.0.0.1')
    expect(await ask(`${v6}/address`)).toBe('::1')
  })

  test('it is what a proxy of ours tells', async () => {
    expect(await ask(`${v6}/address`, { headers })).toBe(CLIENT)
    expect(await ask(`${v6}/late`, { headers })).toBe(CLIENT)
  })

  test('lines of the header are one list', async () => {
    const lines = [
      'X-Forwarded-For: 192.0.2.1',
      `x-forwarded-for: 192.0.2.2,${CLIENT}`,
      'X-FORWARDED-FOR: ::1',
    ]
    const url = new URL(`${v6}/address`)
    const answer = Promise.withResolvers<string>()
    await Bun.connect({
      hostname: '::1',
      port: Number(url.port),
      socket: {
        open: (socket) =>
          void socket.write(
            ['GET /address HTTP/1.1', `Host: ${url.host}`, ...lines, 'Connection: close', '', ''].join(
              '\r\n',
            ),
          ),
        data: (_, bytes) => answer.resolve(bytes.toString()),
      },
    })
    expect(await answer.promise).toEndWith(`{"address":"${CLIENT}"}`)
  })

  test('of a client that went away before it was asked for, it is not known', async () => {
    await fetch(`${v4}/gone`, { signal: AbortSignal.timeout(50) }).catch(() => undefined)
    expect(await gone.promise).toBe(UNKNOWN_ADDRESS)
  })
})
