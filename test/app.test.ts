// What the composition root puts together and no loopback client can see: passwords from other machines.
import { expect, test } from 'bun:test'
import { createApp, resourcesOf } from '../src/app.ts'
import { loadConfig } from '../src/config/load.ts'
import { createLogger } from '../src/core/logger.ts'

const BASIC = `Basic ${btoa('ada@example.com:purple staple lemon')}`
const LOGIN = JSON.stringify({ email: 'ada@example.com', password: 'purple staple lemon' })

/** The warnings of a server with these settings whose clients are at the address, after a Basic and two logins. */
async function warningsFor(env: Record<string, string>, peer: string): Promise<string[]> {
  const lines: string[] = []
  const logger = createLogger({
    level: 'warn',
    format: 'json',
    write: (line) => lines.push((JSON.parse(line) as { message: string }).message),
    clock: Date.now,
  })
  const { config, origins } = loadConfig({ env: { HIPFLASK_DATA: ':memory:', ...env } })
  const resources = await resourcesOf(config, origins)
  const app = await createApp({ config, resources, logger, peerOf: () => peer })
  try {
    const send = (path: string, init: RequestInit) => {
      const request = new Request(`http://127.0.0.1${path}`, init)
      request.headers.set('host', '127.0.0.1')
      request.headers.set('content-type', 'application/json')
      return app.handle(request)
    }
    await send('/auth/me', { headers: { authorization: BASIC } })
    for (let at = 0; at < 2; at++) await send('/auth/login', { method: 'POST', body: LOGIN })
    return lines.filter((message) => message.includes('plain http'))
  } finally {
    await app.stop()
  }
}

const PRODUCTION = { HIPFLASK_ENV: 'production', HIPFLASK_PUBLIC_URL: 'https://api.example.com' }

test.each([
  ['from elsewhere in production', PRODUCTION, '192.0.2.1', 1],
  ['from this machine', PRODUCTION, '127.0.0.1', 0],
  ['behind a proxy that is named', { ...PRODUCTION, HIPFLASK_TRUST_PROXY: '192.0.2.1' }, '192.0.2.1', 0],
  ['over TLS', { ...PRODUCTION, HIPFLASK_TLS_CERT: 'cert.pem', HIPFLASK_TLS_KEY: 'key.pem' }, '192.0.2.1', 0],
  ['in staging', { HIPFLASK_ENV: 'staging' }, '192.0.2.1', 0],
  ['in development', {}, '192.0.2.1', 0],
] as [string, Record<string, string>, string, number][])(
  'a password %s is warned of so often',
  async (_, env, peer, count) => {
    expect(await warningsFor(env, peer)).toHaveLength(count)
  },
)
