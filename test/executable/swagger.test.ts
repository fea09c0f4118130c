// Swagger UI of the built executable in a real browser: it renders, asks no other origin, signs in and makes a record.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hasBrowser, openBrowser, type Visit } from '../support/browser.ts'
import { rawRequest, startServer, type RunningServer } from '../support/executable.ts'
import { ADMIN } from '../support/world.ts'

const CREATE = '#operations-items-createItems'
const READ_ACCOUNT = '#operations-Accounts-getOwnAccount'
const TEST_TIMEOUT_MS = 30_000
const FLASK = { name: 'Flask from a browser', price: 12.5 }

describe.if(hasBrowser())('Swagger UI', () => {
  let server: RunningServer
  let visit: Visit
  beforeAll(async () => {
    server = await startServer({
      env: { HIPFLASK_ADMIN_EMAIL: ADMIN.email, HIPFLASK_ADMIN_PASSWORD: ADMIN.password },
    })
    visit = await openBrowser()
  }, TEST_TIMEOUT_MS)
  // Each may be missing where the one before it failed to start.
  afterAll(async () => {
    await visit?.close()
    await server?.stop()
  })

  const click = (selector: string) => visit.page.locator(selector).click()
  const fill = (selector: string, text: string) => visit.page.locator(selector).fill(text)

  test(
    'shows every operation of the document',
    async () => {
      await visit.page.goto(`${server.url}/swagger`)
      await visit.page.waitForSelector('.opblock')
      const document = (await (await server.fetch('/swagger/json')).json()) as {
        paths: Record<string, object>
      }
      const operations = Object.values(document.paths).flatMap((path) => Object.keys(path))
      expect(await visit.page.$$eval('.opblock', (blocks) => blocks.length)).toBe(operations.length)
      expect(operations.length).toBeGreaterThan(6)
      expect(await visit.page.title()).toBe('hipflask API')
      expect(await visit.page.$(CREATE)).not.toBeNull()
    },
    TEST_TIMEOUT_MS,
  )

  test(
    'Authorize takes the e-mail and password of an administrator',
    async () => {
      await click('.auth-wrapper .authorize')
      await fill('#auth-basic-username', ADMIN.email)
      await fill('#auth-basic-password', ADMIN.password)
      await click('.auth-container:has(#auth-basic-username) button.authorize')
      await visit.page.waitForSelector('.auth-container:has(h4) ::-p-text(Logout)')
      await click('.close-modal')
      await visit.page.waitForSelector('.auth-wrapper .authorize.locked')
    },
    TEST_TIMEOUT_MS,
  )

  test(
    'Try it out creates a record',
    async () => {
      await click(`${CREATE} .opblock-summary-control`)
      await fill(`${CREATE} textarea.body-param__text`, JSON.stringify(FLASK))
      await click(`${CREATE} .execute`)
      await visit.page.waitForSelector(`${CREATE} .live-responses-table .response-col_status ::-p-text(201)`)
      const { data } = (await (await server.fetch('/api/items')).json()) as { data: object[] }
      expect(data).toEqual([expect.objectContaining(FLASK)])
    },
    TEST_TIMEOUT_MS,
  )

  test(
    'Authorize signs in by e-mail and password for an access token, and Try it out sends that',
    async () => {
      await click('.auth-wrapper .authorize')
      await click('.auth-container ::-p-text(Logout)')
      await fill('#oauth_username', ADMIN.email)
      await fill('#oauth_password', ADMIN.password)
      await click('.auth-container:has(#oauth_username) button.authorize')
      await visit.page.waitForSelector('.auth-container ::-p-text(Logout)')
      await click('.close-modal')
      const asked = visit.page.waitForRequest((request) => request.url() === `${server.url}/auth/me`)
      await click(`${READ_ACCOUNT} .opblock-summary-control`)
      await click(`${READ_ACCOUNT} .execute`)
      expect((await asked).headers()['authorization']).toStartWith('Bearer eyJ')
      await visit.page.waitForSelector(
        `${READ_ACCOUNT} .live-responses-table .response-col_status ::-p-text(200)`,
      )
      expect(visit.requests).toContain(`${server.url}/auth/token`)
    },
    TEST_TIMEOUT_MS,
  )

  test('Authorize offers every way to sign in', async () => {
    await click('.auth-wrapper .authorize')
    const names = await visit.page.$$eval('.auth-container h4', (heads) =>
      heads.map((head) => head.textContent),
    )
    const shown = names.map((name) => /^\w+/.exec(name ?? '')?.[0])
    expect(new Set(shown)).toEqual(new Set(['basicAuth', 'bearerAuth', 'apiKeyAuth', 'oauth2Auth']))
    await click('.close-modal')
  })

  test('has complained of nothing and asked no other origin', async () => {
    const picture = join(mkdtempSync(join(tmpdir(), 'hipflask-swagger-')), 'swagger.png') as `${string}.png`
    await visit.page.screenshot({ path: picture })
    console.log(`What Swagger UI looks like: ${picture}`)
    expect(visit.complaints).toEqual([])
    expect(visit.requests.length).toBeGreaterThan(5)
    expect(visit.requests.filter((address) => !address.startsWith(`${server.url}/`))).toEqual([])
  })

  test('the page at / leads there', async () => {
    await visit.page.goto(`${server.url}/`)
    const links = await visit.page.$$eval('a', (anchors) => anchors.map((anchor) => anchor.href))
    expect(links).toContain(`${server.url}/swagger`)
    expect(links).toContain(`${server.url}/api/items`)
    expect(visit.complaints).toEqual([])
  })
})

describe('the assets', () => {
  const ASSETS = [
    ['swagger-ui-bundle.js', 1_000_000, 'text/javascript;charset=utf-8'],
    ['swagger-ui.css', 100_000, 'text/css;charset=utf-8'],
    ['favicon-32x32.png', 500, 'image/png'],
    ['init.js', 100, 'text/javascript;charset=utf-8'],
  ] as const
  let server: RunningServer
  beforeAll(async () => {
    server = await startServer()
  })
  afterAll(async () => {
    await server?.stop()
  })
  const load = (name: string, headers: Record<string, string>) =>
    server.fetch(`/swagger/${name}`, { headers, decompress: false } as RequestInit)

  describe.each(ASSETS)('%s', (name, least, mediaType) => {
    test.each([
      ['gzip', true],
      ['gzip, deflate, br, zstd', true],
      ['br, gzip;q=0.1', true],
      ['*', true],
      ['identity', false],
      ['br', false],
      ['gzip;q=0', false],
      ['gzip;q=0, *', false],
    ])('comes from the executable for Accept-Encoding %p, in gzip: %p', async (accepted, isCompressed) => {
      const response = await load(name, { 'accept-encoding': accepted })
      expect(response.status).toBe(200)
      expect(response.headers.get('content-encoding')).toBe(isCompressed ? 'gzip' : null)
      expect(response.headers.get('content-type')).toBe(mediaType)
      expect(response.headers.get('vary')).toContain('Accept-Encoding')
      expect(response.headers.get('cache-control')).toBe('private, no-cache')
      expect(response.headers.get('etag')).toMatch(isCompressed ? /^"\w+-gzip"$/ : /^"\w+"$/)
      const bytes = new Uint8Array(await response.arrayBuffer())
      expect(response.headers.get('content-length')).toBe(String(bytes.length))
      const plain = isCompressed ? Bun.gunzipSync(bytes) : bytes
      expect(plain.length).toBeGreaterThan(least)
      if (isCompressed && least > 1000) expect(bytes.length).toBeLessThan(plain.length / 3)
      const source = Bun.file(join(import.meta.dir, '../../node_modules/swagger-ui-dist', name))
      if (await source.exists()) expect(Bun.hash(plain)).toBe(Bun.hash(await source.bytes()))
    })

    test('comes plain to a client that says nothing', async () => {
      const answer = await rawRequest(
        server.url,
        `GET /swagger/${name} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`,
      )
      const [head = ''] = answer.split('\r\n\r\n', 1)
      expect(head).toStartWith('HTTP/1.1 200 OK')
      expect(head).not.toMatch(/content-encoding/i)
      expect(head).toMatch(/^vary: .*Accept-Encoding/im)
    })

    test('is not sent again to whoever has it in the same coding', async () => {
      for (const [coding, other] of [
        ['gzip', 'identity'],
        ['identity', 'gzip'],
      ] as const) {
        const etag = (await load(name, { 'accept-encoding': coding })).headers.get('etag') as string
        const again = await load(name, { 'accept-encoding': coding, 'if-none-match': etag })
        expect(again.status).toBe(304)
        expect(again.headers.get('etag')).toBe(etag)
        expect(again.headers.get('vary')).toContain('Accept-Encoding')
        expect((await load(name, { 'accept-encoding': other, 'if-none-match': etag })).status).toBe(200)
      }
    })
  })

  test.each(['/swagger', '/swagger/json', '/swagger/init.js'])(
    'are not there in production: %s',
    async (path) => {
      await using server = await startServer({
        env: { HIPFLASK_ENV: 'production', HIPFLASK_HOST: '127.0.0.1' },
      })
      expect((await server.fetch(path)).status).toBe(404)
      const root = (await (await server.fetch('/')).json()) as { links: object }
      expect(root.links).not.toHaveProperty('docs')
    },
  )
})
