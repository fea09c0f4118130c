// Debian's Chromium without a network of its own, for tests of pages. It notes what a page complains about and asks for.
import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import puppeteer, { type Page } from 'puppeteer-core'

const CANDIDATES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const START_TIMEOUT_MS = 30_000
const STEP_TIMEOUT_MS = 10_000

/** Where a browser is, or undefined. */
export const browserPath: string | undefined = CANDIDATES.find((path) => existsSync(path))

/** Prints why a test of a page is skipped; to be asked once a file. True where there is a browser. */
export function hasBrowser(): boolean {
  if (browserPath === undefined) console.log(`Skipped: no browser at ${CANDIDATES.join(', ')}`)
  return browserPath !== undefined
}

export interface Visit {
  page: Page
  /** Console errors and warnings, uncaught exceptions, failed requests and violations of the page's policy. */
  complaints: string[]
  /** Every address that the page asked for, `data:` ones left out. */
  requests: string[]
  close(): Promise<void>
}

/** An empty page of a fresh browser with an empty profile; close() ends the browser and removes the profile. */
export async function openBrowser(): Promise<Visit> {
  if (browserPath === undefined) throw new TypeError('There is no browser: ask hasBrowser() first')
  const profile = await mkdtemp(join(tmpdir(), 'hipflask-browser-'))
  const browser = await puppeteer.launch({
    executablePath: browserPath,
    headless: true,
    userDataDir: profile,
    timeout: START_TIMEOUT_MS,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
  const page = await browser.newPage()
  page.setDefaultTimeout(STEP_TIMEOUT_MS)
  await page.setViewport({ width: 1280, height: 1600 })
  return {
    page,
    ...(await observe(page)),
    async close() {
      await browser.close()
      await rm(profile, { recursive: true, force: true })
    },
  }
}

async function observe(page: Page): Promise<Pick<Visit, 'complaints' | 'requests'>> {
  const complaints: string[] = []
  const requests: string[] = []
  page.on('console', (message) => {
    if (['error', 'warn'].includes(message.type())) complaints.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => complaints.push(`exception: ${String(error)}`))
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`))
  page.on('request', (request) => {
    if (!request.url().startsWith('data:')) requests.push(request.url())
  })
  // Runs in the page before any of its own scripts; a violation is also on the console, but not in every version.
  await page.evaluateOnNewDocument(`
    document.addEventListener('securitypolicyviolation', (event) => {
      console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI)
    })
  `)
  return { complaints, requests }
}
