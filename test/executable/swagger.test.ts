// Swagger UI of the built executable in a real browser: it renders, asks no other origin, signs in and makes a record.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hasBrowser, openBrowser, type Visit } from '../support/browser.ts'
import { startServer, type RunningServer } from '../support/executable.ts'
import { ADMIN } from '../support/world.ts'

const CREATE = '#operations-items-createItems'
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
  test('come from the executable alone, in gzip where it is accepted', async () => {
    await using server = await startServer()
    for (const [name, least] of [
      ['swagger-ui-bundle.js', 1_000_000],
      ['swagger-ui.css', 100_000],
    ] as const) {
      const plain = await server.fetch(`/swagger/${name}`, { headers: { 'accept-encoding': 'identity' } })
      expect(plain.headers.get('content-encoding')).toBeNull()
      const bytes = await plain.arrayBuffer()
      expect(bytes.byteLength).toBeGreaterThan(least)
      const packed = await server.fetch(`/swagger/${name}`, {
        headers: { 'accept-encoding': 'gzip' },
        decompress: false,
      } as RequestInit)
      expect(packed.headers.get('content-encoding')).toBe('gzip')
      expect(Bun.hash(Bun.gunzipSync(await packed.arrayBuffer()))).toBe(Bun.hash(bytes))
    }
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
