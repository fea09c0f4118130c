import { afterAll, describe, expect, test } from 'bun:test'
import { createServer, type Server } from 'node:net'
import {
  OUTBOUND_BYTES_MAX,
  OutboundError,
  createOutbound,
  isLoopback,
  isPrivate,
} from '../../src/auth/outbound.ts'

const NAMED = new Set(['127.0.0.1'])
const server = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: answer })
const base = `http://127.0.0.1:${server.port}`
const outbound = createOutbound({ isProduction: false, namedHosts: NAMED, timeoutMs: 500 })

async function answer(request: Request): Promise<Response> {
  const { pathname } = new URL(request.url)
  if (pathname === '/echo') {
    const { method, headers } = request
    return Response.json({ method, headers: Object.fromEntries(headers), body: await request.text() })
  }
  if (pathname.startsWith('/bytes/')) return new Response('x'.repeat(Number(pathname.slice(7))))
  if (pathname === '/redirect') return Response.redirect(`${base}/echo`)
  if (pathname === '/never') return new Promise(() => undefined)
  if (pathname === '/drip') return new Response(drip())
  return new Response('no', { status: 404 })
}

function drip(): ReadableStream {
  return new ReadableStream({
    async pull(controller) {
      await Bun.sleep(50)
      controller.enqueue(new TextEncoder().encode('x'))
    },
  })
}

afterAll(() => server.stop(true))

describe('an answer', () => {
  test('comes with status, headers and body', async () => {
    const body = new URLSearchParams({ a: '1 2' })
    const response = await outbound(`${base}/echo`, { method: 'POST', headers: { 'x-a': 'b' }, body })
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      method: 'POST',
      body: 'a=1+2',
      headers: { 'x-a': 'b', 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' },
    })
    expect((await outbound(`${base}/nothing`, {})).status).toBe(404)
  })

  test('is taken up to the limit and not beyond', async () => {
    const response = await outbound(`${base}/bytes/${OUTBOUND_BYTES_MAX}`, {})
    expect((await response.text()).length).toBe(OUTBOUND_BYTES_MAX)
    expect(outbound(`${base}/bytes/${OUTBOUND_BYTES_MAX + 1}`, {})).rejects.toThrow(OutboundError)
  })

  test.each(['/redirect', '/never', '/drip'])('%s is none', async (path) => {
    const before = performance.now()
    await expect(outbound(base + path, {})).rejects.toThrow(OutboundError)
    expect(performance.now() - before).toBeLessThan(5000)
  })

  test('that is no HTTP is none', async () => {
    const raw: Server = createServer((socket) => socket.end('not http at all\r\n\r\n'))
    await new Promise<void>((resolve) => raw.listen(0, '127.0.0.1', resolve))
    const { port } = raw.address() as { port: number }
    await expect(outbound(`http://127.0.0.1:${port}/`, {})).rejects.toThrow(OutboundError)
    raw.close()
    await expect(outbound(`http://127.0.0.1:${port}/`, {})).rejects.toThrow(OutboundError)
  })
})

describe('an address that is refused before anything is sent', () => {
  const strict = createOutbound({ isProduction: true, namedHosts: NAMED })
  const unnamed = createOutbound({ isProduction: false, namedHosts: new Set() })
  test.each<[string, typeof outbound, string]>([
    ['http in production', strict, `${base}/echo`],
    ['http elsewhere than loopback', outbound, 'http://192.0.2.1/'],
    ['ftp', outbound, 'ftp://127.0.0.1/'],
    ['file', outbound, 'file:///etc/hostname'],
    ['a user', outbound, base.replace('//', '//user@')],
    ['no URL', outbound, 'nothing'],
    ['loopback that nobody named', unnamed, `${base}/echo`],
    ['loopback by name that nobody named', unnamed, `http://localhost:${server.port}/echo`],
    ['metadata of a cloud', unnamed, 'https://169.254.169.254/'],
    ['IPv6 loopback', unnamed, 'https://[::1]/'],
    ['mapped', unnamed, 'https://[::ffff:10.0.0.1]/'],
    ['a decimal spelling', unnamed, 'https://2130706433/'],
  ])('%s', async (_, send, url) => {
    await expect(send(url, {})).rejects.toThrow(OutboundError)
  })
})

test.each<[string, boolean]>([
  ['8.8.8.8', false],
  ['9.255.255.255', false],
  ['10.0.0.0', true],
  ['11.0.0.0', false],
  ['100.63.255.255', false],
  ['100.64.0.0', true],
  ['100.128.0.0', false],
  ['172.15.255.255', false],
  ['172.31.255.255', true],
  ['172.32.0.0', false],
  ['169.254.169.254', true],
  ['192.168.1.1', true],
  ['224.0.0.1', true],
  ['255.255.255.255', true],
  ['::1', true],
  ['::', true],
  ['fe80::1', true],
  ['fe80::1%eth0', true],
  ['fd12::1', true],
  ['2606:4700::1111', false],
  ['::ffff:8.8.8.8', false],
  ['::ffff:127.0.0.1', true],
  ['::ffff:7f00:1', true],
  ['64:ff9b::7f00:1', true],
  ['2002:7f00:1::', true],
])('%s is private: %p', (address, expected) => {
  expect(isPrivate(address)).toBe(expected)
})

test.each<[string, boolean]>([
  ['localhost', true],
  ['127.0.0.1', true],
  ['127.9.9.9', true],
  ['[::1]', true],
  ['localhost.example.com', false],
  ['127.0.0.1.example.com', false],
  ['example.com', false],
])('%s is loopback: %p', (hostname, expected) => {
  expect(isLoopback(hostname)).toBe(expected)
})
