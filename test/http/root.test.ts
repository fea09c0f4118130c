import { describe, expect, test } from 'bun:test'
import { CONTENT_SECURITY_POLICY } from '../../src/http/page.ts'
import { createRootRoutes } from '../../src/http/root.ts'
import { createSender } from '../support/requests.ts'

const OPTIONS = { version: '1.2.3', env: 'staging', resources: ['items', 'books'], docs: true }
const send = createSender(createRootRoutes(OPTIONS))
const accepting = (accept: string) => ({ headers: { accept } })
const BROWSER = accepting('text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8')

describe('GET / as JSON', () => {
  test('says what this is and where its parts are', async () => {
    const response = await send('/')
    expect(response.headers.get('content-type')).toStartWith('application/json')
    expect(await response.json()).toEqual({
      name: 'hipflask',
      version: '1.2.3',
      environment: 'staging',
      links: {
        docs: '/swagger',
        openapi: '/swagger/json',
        health: '/health/ready',
        resources: { items: '/api/items', books: '/api/books' },
      },
    })
  })

  test('has no link to documentation that is not served', async () => {
    const response = await createSender(createRootRoutes({ ...OPTIONS, docs: false, resources: [] }))('/')
    expect(await response.json()).toEqual({
      name: 'hipflask',
      version: '1.2.3',
      environment: 'staging',
      links: { health: '/health/ready', resources: {} },
    })
  })

  test.each([
    ['*/*', 'application/json'],
    ['application/json', 'application/json'],
    ['text/html;q=0.5, application/json', 'application/json'],
    ['text/html', 'text/html'],
    ['application/json;q=0.5, text/html', 'text/html'],
  ])('or HTML: with Accept %s it is %s', async (accept, type) => {
    const response = await send('/', accepting(accept))
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toStartWith(type)
  })

  test('answers 406 where neither is accepted', async () => {
    expect((await send('/', accepting('image/png'))).status).toBe(406)
  })
})

describe('GET / for a browser', () => {
  test('has the headers of a page', async () => {
    const { headers } = await send('/', BROWSER)
    expect(headers.get('content-type')).toBe('text/html;charset=utf-8')
    expect(headers.get('content-security-policy')).toBe(CONTENT_SECURITY_POLICY)
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    expect(headers.get('x-frame-options')).toBe('DENY')
    expect(headers.get('cross-origin-opener-policy')).toBe('same-origin')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
    expect(headers.get('vary')).toContain('Accept')
  })

  test('links to everything, by relative addresses', async () => {
    const page = await (await send('/', BROWSER)).text()
    const links = [...page.matchAll(/<a href="([^"]*)"/g)].map(([, address]) => address)
    expect(links).toEqual(['api/items', 'api/books', 'swagger', 'swagger/json', 'health/ready'])
  })

  test('leaves out an empty list and documentation that is not served', async () => {
    const bare = createSender(createRootRoutes({ ...OPTIONS, docs: false, resources: [] }))
    const page = await (await bare('/', BROWSER)).text()
    expect(page).not.toContain('Resources')
    expect(page).not.toContain('swagger')
  })

  test('has nothing inline, and escapes what it is given', async () => {
    const hostile = createSender(createRootRoutes({ ...OPTIONS, env: '<b>"', resources: ['"><script>'] }))
    const page = await (await hostile('/', BROWSER)).text()
    expect(page).not.toMatch(/<script|<style|style=|<b>|\son\w+=/)
  })

  test('loads a stylesheet that is there', async () => {
    const page = await (await send('/', BROWSER)).text()
    expect(page).toContain('<link rel="stylesheet" href="hipflask.css">')
    const response = await send('/hipflask.css', accepting('text/css,*/*;q=0.1'))
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/css;charset=utf-8')
  })
})
