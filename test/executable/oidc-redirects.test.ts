// Where a sign-in may end: no spelling of another address is taken.
import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { RunningServer } from '../support/executable.ts'
import { createCookieJar } from '../support/openid.ts'
import { APP, freePort, startSignIn } from '../support/sign-in.ts'
import { startHostileProvider, type HostileProvider } from '../support/hostile-provider.ts'

let provider: HostileProvider
let server: RunningServer

beforeAll(async () => {
  provider = await startHostileProvider()
  server = await startSignIn({ port: await freePort(), providers: { test: provider.issuer } })
})
afterAll(async () => {
  await server?.stop()
  await provider?.[Symbol.asyncDispose]()
})

test('an entry of the list is taken', async () => {
  for (const address of [APP, 'https://app.example.com/']) {
    const response = await server.fetch(`/auth/oidc/test/login?redirect_to=${encodeURIComponent(address)}`)
    expect(response.headers.get('location')).toStartWith(provider.issuer)
  }
})

test('no spelling of another address is one to end at', async () => {
  const refused = spellings()
  expect(refused.length).toBeGreaterThan(500)
  const jar = createCookieJar()
  for (const spelling of refused) {
    const url = `${server.url}/auth/oidc/test/login?redirect_to=${encodeURIComponent(spelling)}`
    const response = await jar.fetch(url)
    expect([spelling, response.status, response.headers.get('location')]).toEqual([spelling, 400, null])
    expect(response.headers.getSetCookie()).toEqual([])
  }
  // What is not well encoded either.
  for (const raw of [
    '%',
    '%00',
    '%0d%0aLocation:%20https://evil.example',
    '%ff',
    '//evil.example',
    'https:%5c%5cevil.example',
  ]) {
    const response = await server.fetch(`/auth/oidc/test/login?redirect_to=${raw}`)
    expect([raw, response.status, response.headers.get('location')]).toEqual([raw, 400, null])
  }
  const twice = `redirect_to=${encodeURIComponent(APP)}&redirect_to=https://evil.example`
  expect((await server.fetch(`/auth/oidc/test/login?${twice}`)).status).toBe(400)
}, 60_000)

/** Addresses that some parser takes for one of another site, or for one of the list. */
function spellings(): string[] {
  const good = 'https://app.example.com/'
  const evil = 'evil.example'
  const around = [
    '',
    ' ',
    '\t',
    '\n',
    '\r\n',
    '\0',
    '\u00a0',
    '\u200b',
    '\ufeff',
    '\u2028',
    '%20',
    '%09',
    '%0d%0a',
    '%00',
  ]
  const schemes = [
    'https:',
    'HTTPS:',
    'http:',
    '',
    'javascript:',
    'data:',
    'ftp:',
    'file:',
    'h\tttps:',
    'https\n:',
    'vbscript:',
    'blob:https:',
  ]
  const slashes = [
    '//',
    '\\\\',
    '/\\',
    '\\/',
    '///',
    '////',
    '/',
    '',
    '//\t/',
    '/%2f',
    '%2f%2f',
    '\u2044\u2044',
    '//@',
    '/./',
    '/..//',
  ]
  const hosts = [
    evil,
    `app.example.com@${evil}`,
    `app.example.com:x@${evil}`,
    `${evil}#app.example.com`,
    `app.example.com.${evil}`,
  ]
  const cross = schemes.flatMap((scheme) =>
    slashes.flatMap((slash) => hosts.map((host) => scheme + slash + host)),
  )
  const near = [
    'https://app.example.com',
    'https://app.example.com//',
    'https://app.example.com/.',
    'https://app.example.com/..',
    'https://app.example.com/?',
    'https://app.example.com/#',
    'https://app.example.com/x',
    'https://app.example.com/%2e',
    'https://app.example.com:443/',
    'https://app.example.com:80/',
    'https://app.example.com./',
    'https://APP.example.com/',
    'HTTPS://app.example.com/',
    'http://app.example.com/',
    'https://app.example.com\\',
    'https://app.example.com\\@evil.example/',
    'https://app.example.com%2eevil.example/',
    'https://app.example.com%00.evil.example/',
    'https://app.example.com\uff0eevil.example/',
    'https://\uff41pp.example.com/',
    'https://app\u3002example.com/',
    'https://xapp.example.com/',
    'https://app-example.com/',
    'https://app.example.comx/',
    'https://user@app.example.com/',
    '//app.example.com/',
    'app.example.com/',
    '/',
    '',
    'null',
    '*',
    `${good},${APP}`,
  ]
  const padded = around.slice(1).flatMap((one) => [one + good, good + one, one + APP, APP + one])
  return [...new Set([...cross, ...near, ...padded])].filter((one) => one !== good && one !== APP)
}
