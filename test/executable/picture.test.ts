// The picture of Swagger UI on README.md: it is a PNG of some use and size, and can be taken anew. `bun run picture`
// takes it and writes it; without PICTURE=write the one that is taken here is only looked at.
import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasBrowser, openBrowser } from '../support/browser.ts'
import { startServer } from '../support/executable.ts'
import { ADMIN } from '../support/world.ts'

const ROOT = join(import.meta.dir, '../..')
const FILE = '.github/swagger.png'
const SIZE = { width: 1200, height: 1090 }
const BYTES_MAX = 150_000
const TIMEOUT_MS = 60_000
const READ = '#operations-items-readItems'
const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex')

describe.if(hasBrowser())('a picture', () => {
  test(
    'is taken of the page with the answer to an operation',
    async () => {
      const picture = await takePicture()
      checkPicture(picture)
      if (process.env['PICTURE'] === 'write') await Bun.write(join(ROOT, FILE), picture)
    },
    TIMEOUT_MS,
  )
})

test('README.md shows the picture that there is', () => {
  expect(readFileSync(join(ROOT, 'README.md'), 'utf8')).toMatch(/!\[[^\]]{20,}\]\(\.github\/swagger\.png\)/)
  checkPicture(readFileSync(join(ROOT, FILE)))
})

function checkPicture(picture: Uint8Array): void {
  const bytes = Buffer.from(picture)
  expect(bytes.subarray(0, 8)).toEqual(SIGNATURE)
  expect({ width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) }).toEqual(SIZE)
  expect(bytes.length).toBeGreaterThan(10_000)
  expect(bytes.length).toBeLessThan(BYTES_MAX)
}

/** Of the operations of items, one of which has answered with a record. */
async function takePicture(): Promise<Uint8Array> {
  const server = await startServer({
    env: { HIPFLASK_ADMIN_EMAIL: ADMIN.email, HIPFLASK_ADMIN_PASSWORD: ADMIN.password },
  })
  const visit = await openBrowser()
  const { page } = visit
  try {
    const created = await server.fetch('/api/items', {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        authorization: `Basic ${btoa(`${ADMIN.email}:${ADMIN.password}`)}`,
      },
      body: JSON.stringify({ name: 'Teapot', price: 20 }),
    })
    expect(created.status).toBe(201)
    await page.setViewport(SIZE)
    await page.goto(`${server.url}/swagger`)
    await page.locator(`${READ} .opblock-summary-control`).click()
    await page.locator(`${READ} input[placeholder=id]`).fill('1')
    await page.locator(`${READ} .execute`).click()
    await page.waitForSelector(`${READ} .live-responses-table .response-col_status ::-p-text(200)`)
    await page.$eval('.scheme-container', (element) => element.scrollIntoView())
    return await page.screenshot({ type: 'png' })
  } finally {
    await visit.close()
    await server.stop()
  }
}
