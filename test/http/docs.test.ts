import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createDocsRoutes } from '../../src/http/docs.ts'
import { buildDocument } from '../../src/http/openapi.ts'
import { CONTENT_SECURITY_POLICY } from '../../src/http/page.ts'
import { everyone, role } from '../../src/sdk.ts'
import { hasBrowser, openBrowser, type Visit } from '../support/browser.ts'
import { createExampleRoutes, EXAMPLE_TAGS } from '../support/example-routes.ts'
import { createSender, createHandler } from '../support/requests.ts'

const ASSETS = [
  ['init.js', 'text/javascript;charset=utf-8'],
  ['swagger-ui-bundle.js', 'text/javascript;charset=utf-8'],
  ['swagger-ui.css', 'text/css;charset=utf-8'],
  ['favicon-32x32.png', 'image/png'],
  ['json', 'application/json;charset=utf-8'],
] as const

const send = createSender(createDocsRoutes({ document: () => ({ openapi: '3.1.1' }), access: everyone() }))
const load = (name: string, headers: Record<string, string> = {}) => send(`/swagger/${name}`, { headers })

describe('GET /swagger', () => {
  test('is a page under the strict policy', async () => {
    const response = await send('/swagger', { headers: { accept: 'text/html' } })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/html;charset=utf-8')
    expect(response.headers.get('content-security-policy')).toBe(CONTENT_SECURITY_POLICY)
    expect(response.headers.get('referrer-policy')).toBe('no-referrer')
    expect(response.headers.get('x-frame-options')).toBe('DENY')
    expect(response.headers.get('cross-origin-opener-policy')).toBe('same-origin')
  })

  test('loads only what this server gives, by relative addresses', async () => {
    const page = await (await send('/swagger')).text()
    const addresses = [...page.matchAll(/(?:src|href)="([^"]*)"/g)].map(([, address]) => `${address}`)
    expect(addresses).toHaveLength(4)
    for (const address of addresses) {
      expect(address).toStartWith('swagger/')
      expect((await send(`/${address}`)).status).toBe(200)
    }
  })
})

// Swagger UI itself leaves the validator out on loopback addresses, so that the browser tests cannot tell.
test('GET /swagger/init.js switches the validator of another origin off', async () => {
  expect(await (await load('init.js')).text()).toContain('validatorUrl: null')
})

test('the policy allows nothing inline and no other origin', () => {
  expect(CONTENT_SECURITY_POLICY).toBe(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  )
})

describe.each(ASSETS)('GET /swagger/%s', (name, mediaType) => {
  test(`is ${mediaType}, to be asked for again`, async () => {
    const { status, headers } = await load(name)
    expect(status).toBe(200)
    expect(headers.get('content-type')).toBe(mediaType)
    expect(headers.get('content-encoding')).toBeNull()
    expect(headers.get('vary')).toContain('Accept-Encoding')
    expect(headers.get('cache-control')).toBe('private, no-cache')
  })

  test('is the same in gzip', async () => {
    const response = await load(name, { 'accept-encoding': 'gzip' })
    expect(response.headers.get('content-encoding')).toBe('gzip')
    const unpacked = Bun.gunzipSync(await response.arrayBuffer())
    expect(Bun.hash(unpacked)).toBe(Bun.hash(await (await load(name)).bytes()))
  })

  test.each(['identity', 'gzip'])('answers 304 to the ETag of its own %s form only', async (coding) => {
    const [own, other] = coding === 'gzip' ? ['gzip', 'identity'] : ['identity', 'gzip']
    const etag = (await load(name, { 'accept-encoding': own })).headers.get('etag') as string
    const again = (encoding: string, tag: string) =>
      load(name, { 'accept-encoding': encoding, 'if-none-match': tag })
    expect((await again(own, etag)).status).toBe(304)
    expect((await again(own, `"x", W/${etag}`)).status).toBe(304)
    expect((await again(own, '"x"')).status).toBe(200)
    expect((await again(other, etag)).status).toBe(200)
  })
})

test.each([
  ['gzip, deflate, br, zstd', true],
  ['GZIP;q=0.5', true],
  ['*', true],
  ['br;q=1.0, gzip; q=0.001', true],
  ['', false],
  ['br', false],
  ['gzip;q=0', false],
  ['gzip;q=0.000, *', false],
  ['*;q=0', false],
  ['gzip;q=high', false],
  ['x-gzipped', false],
])('Accept-Encoding %p takes gzip: %p', async (accepted, taken) => {
  const { headers } = await load('init.js', { 'accept-encoding': accepted })
  expect(headers.get('content-encoding')).toBe(taken ? 'gzip' : null)
})

test('the document is made once, at the first request', async () => {
  let made = 0
  const document = () => ({ made: ++made })
  const sendOnce = createSender(createDocsRoutes({ document, access: everyone() }))
  expect(made).toBe(0)
  for (let request = 0; request < 3; request++) {
    expect(await (await sendOnce('/swagger/json')).json()).toEqual({ made: 1 })
  }
})

describe('documentation for administrators', () => {
  const guarded = createSender(createDocsRoutes({ document: () => ({}), access: role('admin') }))

  test.each(['', ...ASSETS.map(([name]) => `/${name}`)])('GET /swagger%s needs one', async (path) => {
    const as = (name: string) =>
      guarded(`/swagger${path}`, { headers: { authorization: `Bearer ${name}`, 'accept-encoding': 'gzip' } })
    expect((await guarded(`/swagger${path}`)).status).toBe(401)
    expect((await as('user')).status).toBe(403)
    expect((await as('admin')).status).toBe(200)
  })
})

test('no route of the documentation is in the document', () => {
  const routes = createDocsRoutes({ document: () => ({}), access: everyone() })
  expect(routes.every((route) => route.undocumented === true)).toBe(true)
})

describe.if(hasBrowser())('in a browser', () => {
  const document = () =>
    buildDocument({ routes: createExampleRoutes(), version: '1.2.3', tags: EXAMPLE_TAGS })
  const routes = [...createExampleRoutes(), ...createDocsRoutes({ document, access: everyone() })]
  let server: Bun.Server<undefined>
  let root: string
  let visit: Visit
  beforeAll(async () => {
    server = Bun.serve({ hostname: '127.0.0.1', port: 0, fetch: createHandler(routes) })
    root = server.url.href
    visit = await openBrowser()
  })
  afterAll(async () => {
    await visit.close()
    await server.stop(true)
  })

  test('Swagger UI shows every operation, complains of nothing and asks no other origin', async () => {
    await visit.page.goto(`${root}swagger`)
    await visit.page.waitForSelector('.opblock')
    expect(await visit.page.title()).toBe('hipflask API')
    expect(await visit.page.$$eval('.opblock', (blocks) => blocks.length)).toBe(12)
    expect(visit.complaints).toEqual([])
    expect(visit.requests.filter((address) => !address.startsWith(root))).toEqual([])
  })

  test('an opened operation can be tried at once', async () => {
    await visit.page.click('#operations-Items-createItem .opblock-summary-control')
    await visit.page.waitForSelector('#operations-Items-createItem .execute')
    expect(visit.complaints).toEqual([])
  })

  test('the page at / shows its links and complains of nothing', async () => {
    await visit.page.goto(root)
    const links = await visit.page.$$eval('a', (anchors) => anchors.map((anchor) => anchor.href))
    expect(links).toContain(`${root}api/items`)
    expect(visit.complaints).toEqual([])
  })
})
