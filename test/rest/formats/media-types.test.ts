// Which formats an answer comes in, and what their texts are.
import { describe, expect, test } from 'bun:test'
import { route, json, type Route } from '../../../src/http/route.ts'
import { createFormats } from '../../../src/rest/formats/media-types.ts'
import { everyone, t } from '../../../src/sdk.ts'
import { createSender } from '../../support/requests.ts'

const SCHEMA = {
  type: 'object',
  properties: { id: {}, name: {}, note: {}, deleted_at: {} },
}
const RECORD = { id: 1, name: '=x', note: null }
const LIST = { data: [RECORD, { id: 2, name: 'y' }], total_items: 7 }

const get = (path: `/${string}`, body: object, formats: Route['formats']): Route =>
  route({
    method: 'GET',
    path,
    operationId: path,
    summary: '',
    tag: 'T',
    access: everyone(),
    ...(formats === undefined ? {} : { formats }),
    responses: { 200: json('', t.Object({})) },
    handler: ({ reply, format }) =>
      path === '/plain' ? (body as {}) : reply(200, body as {}, { link: '<x>', 'x-format': format }),
  })

const send = createSender([
  get('/list', LIST, createFormats(SCHEMA, 'list')),
  get('/capped', { ...LIST, total_is_exact: false }, createFormats(SCHEMA, 'list')),
  get('/cursor', { data: [] }, createFormats(SCHEMA, 'list')),
  get('/record', RECORD, createFormats(SCHEMA, 'record')),
  get('/data', { id: 1, data: [] }, createFormats(SCHEMA, 'either')),
  get('/many', { data: [RECORD] }, createFormats(SCHEMA, 'either')),
  get('/plain', RECORD, createFormats(SCHEMA, 'record')),
  get('/json', RECORD, undefined),
])

describe('Accept', () => {
  const CHROME =
    'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7'
  const cases: [accept: string | undefined, type: string | undefined][] = [
    [undefined, 'json'],
    ['', 'json'],
    ['*/*', 'json'],
    ['application/*', 'json'],
    ['application/json', 'json'],
    ['application/json, text/plain, */*', 'json'],
    ['text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8', 'json'],
    [CHROME, 'json'],
    ['application/x-ndjson', 'x-ndjson'],
    ['APPLICATION/X-NDJSON', 'x-ndjson'],
    ['text/csv', 'csv'],
    ['text/csv;charset=utf-8', 'csv'],
    ['application/xml', 'xml'],
    ['text/csv, */*', 'csv'],
    ['text/csv, */*;q=0.1', 'csv'],
    ['text/csv, application/json', 'json'],
    ['text/csv;q=0.9, application/json;q=0.8', 'csv'],
    ['text/csv;q=0.8, application/json;q=0.9', 'json'],
    ['text/csv;q=0.5, */*', 'json'],
    ['text/csv;q=0.5', 'csv'],
    ['application/xml;q=0.3, text/csv;q=0.4', 'csv'],
    ['application/xml, text/csv', 'csv'],
    ['application/xml, application/x-ndjson', 'x-ndjson'],
    ['text/html, application/xml;q=0.9', 'xml'],
    ['application/json;q=0, */*', undefined],
    ['application/json;q=0, text/csv', 'csv'],
    ['application/problem+json', 'json'],
    ['application/problem+json, text/csv', 'csv'],
    ['text/*', undefined],
    ['text/xml', undefined],
    ['image/png', undefined],
    ['text/csv;q=0', undefined],
    ['text/csv;q=0, application/*', 'json'],
    ['nonsense', 'json'],
  ]
  for (const [accept, type] of cases) {
    test(`${accept} gets ${type ?? '406'}`, async () => {
      const headers = accept === undefined ? {} : { accept }
      const response = await send('/list', { headers })
      const { status } = response
      expect(status).toBe(type === undefined ? 406 : 200)
      const mediaType = `${type === 'csv' ? 'text' : 'application'}/${type}`
      if (status === 200) expect(response.headers.get('content-type')).toBe(`${mediaType};charset=utf-8`)
      else expect(response.headers.get('content-type')).toContain('json')
      expect(response.headers.get('vary')).toContain('Accept')
      const isOther = type !== undefined && type !== 'json'
      expect(response.headers.get('x-total-count')).toBe(isOther ? '7' : null)
      const head = await send('/list', { method: 'HEAD', headers })
      expect([head.status, head.headers.get('content-type')]).toEqual([
        response.status,
        response.headers.get('content-type'),
      ])
    })
  }
})

test.each([
  ['text/csv', 406],
  ['text/csv, */*;q=0.1', 200],
  ['application/xml, application/json;q=0.1', 200],
])('a route without formats answers Accept: %s with %i', async (accept, status) => {
  expect((await send('/json', { headers: { accept } })).status).toBe(status)
})

describe('the text', () => {
  const cases: [path: string, accept: string, text: string][] = [
    ['/list', 'application/x-ndjson', '{"id":1,"name":"=x","note":null}\n{"id":2,"name":"y"}\n'],
    ['/list', 'text/csv', "id,name,note\r\n1,'=x,\r\n2,y,\r\n"],
    ['/cursor', 'text/csv', 'id,name,note\r\n'],
    ['/cursor', 'application/x-ndjson', ''],
    ['/record', 'application/x-ndjson', '{"id":1,"name":"=x","note":null}\n'],
    ['/record', 'text/csv', "id,name,note\r\n1,'=x,\r\n"],
    ['/plain', 'text/csv', "id,name,note\r\n1,'=x,\r\n"],
    ['/many', 'text/csv', "id,name,note\r\n1,'=x,\r\n"],
    ['/data', 'text/csv', 'id,name,note,data\r\n1,,,[]\r\n'],
  ]
  for (const [path, accept, text] of cases) {
    test(`${path} as ${accept}`, async () => {
      const response = await send(path, { headers: { accept } })
      expect(await response.text()).toBe(text)
      if (path === '/plain') return
      expect(response.headers.get('link')).toBe('<x>')
      expect(response.headers.get('x-format')).toBe(accept.replace(/.*\/(?:x-)?/, ''))
    })
  }

  test('as XML has records for a list and a record for one', async () => {
    const xml = async (path: string) => (await send(path, { headers: { accept: 'application/xml' } })).text()
    expect(await xml('/list')).toContain('<records>\n<record><id type="number">1</id>')
    expect(await xml('/cursor')).toEndWith('<records>\n</records>\n')
    expect(await xml('/record')).toContain('?>\n<record><id type="number">1</id>')
    expect(await xml('/data')).toContain('<data type="array"/></record>')
  })

  test('has the selected columns in the order of the selection, and what is embedded', () => {
    const [, csv] = createFormats(SCHEMA, 'list')
    const encode = (data: object[], fields?: string[]) => csv?.encode({ data }, { fields }).split('\r\n')[0]
    expect(encode([{ name: 'x', id: 1 }], ['name', 'id'])).toBe('name,id')
    expect(encode([{ name: 'x' }], ['name', 'note'])).toBe('name,note')
    expect(encode([], ['note'])).toBe('note')
    expect(encode([{ id: 1, author: { id: 2 } }])).toBe('id,name,note,author')
    expect(encode([{ id: 1, deleted_at: 'x' }])).toBe('id,name,note,deleted_at')
  })
})

test.each(['/capped', '/cursor'])('%s has no total to tell', async (path) => {
  const { headers } = await send(path, { headers: { accept: 'text/csv' } })
  expect(headers.get('x-total-count')).toBeNull()
})

test('errors are JSON whatever is accepted', async () => {
  const response = await send('/list?x=1', { headers: { accept: 'text/csv' } })
  expect(response.status).toBe(400)
  expect(response.headers.get('content-type')).toBe('application/json;charset=utf-8')
  expect(await response.json()).toHaveProperty('error.code', 'bad_request')
})
