// Lists and records in other formats than JSON, on the built executable.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { testCases, type Case } from '../support/cases.ts'
import { runCommand } from '../support/executable.ts'
import { fixtureResources, post, startWorld, type World } from '../support/world.ts'

let world: World
let kind: Record<string, unknown>
beforeAll(async () => {
  world = await startWorld()
  kind = await post(world, '/api/kinds', { maybe: null, text: '=1+1', tags: ['a', '"'], whole: -5 })
  await post(world, '/api/kinds', [{ maybe: 1, text: '<&"\n,' }, { maybe: 2 }, { maybe: 3 }])
})
afterAll(() => world.stop())

const accept = (value: string) => ({ accept: value })
const NDJSON = 'application/x-ndjson'
const CSV = 'text/csv'
const XML = 'application/xml'

describe('answers', () => {
  const type = (value: string) => ({ 'content-type': `${value};charset=utf-8`, vary: /Accept/ })
  const header =
    'id,text,email,uri,uuid,day,moment,code,real,cents,whole,small,flag,kind,size,nothing,maybe,tags,place,created_at,updated_at\r\n'
  const cases: Omit<Case, 'name'>[] = [
    ...[NDJSON, CSV, XML].map((value) => ({
      path: '/api/kinds?limit=2&page=2',
      headers: accept(value),
      status: 200,
      header: { ...type(value), 'x-total-count': '4', link: /rel="prev"/ },
      lacks: ['total_items'],
    })),
    ...[NDJSON, CSV, XML].map((value) => ({
      path: '/api/kinds/1',
      headers: accept(value),
      status: 200,
      header: { ...type(value), 'x-total-count': null },
    })),
    {
      path: '/api/kinds?limit=1',
      headers: accept(NDJSON),
      status: 200,
      has: ['{"id":1,"text":"=1+1",', '}\n'],
    },
    {
      path: '/api/kinds?limit=1',
      headers: accept(CSV),
      status: 200,
      has: [header, "1,'=1+1,,", ',-5,', '"[""a"",""\\""""]"'],
    },
    { path: '/api/kinds/2', headers: accept(CSV), status: 200, has: [header, '2,"<&""\n,",'] },
    {
      path: '/api/kinds/2',
      headers: accept(XML),
      status: 200,
      has: ['<text>&lt;&amp;&quot;&#10;,</text>', '<maybe type="number">1</maybe>'],
    },
    { path: '/api/authors', headers: accept(NDJSON), status: 200, header: { 'x-total-count': '0' } },
    { path: '/api/kinds', status: 200, header: { ...type('application/json'), 'x-total-count': null } },
    {
      path: '/api/kinds',
      headers: accept('text/html,application/xml;q=0.9,*/*;q=0.8'),
      status: 200,
      header: type('application/json'),
    },
    { path: '/api/kinds', headers: accept('text/xml'), status: 406, code: 'not_acceptable' },
    { path: '/api/kinds/99', headers: accept(CSV), status: 404, code: 'not_found' },
    { path: '/api/kinds?page=0', headers: accept(XML), status: 400, code: 'bad_request' },
    { path: '/api/notes', headers: accept(CSV), status: 401, code: 'unauthenticated' },
    {
      method: 'POST',
      path: '/api/kinds',
      headers: accept(CSV),
      body: { maybe: 9 },
      status: 201,
      header: { ...type(CSV), location: /^\/api\/kinds\/\d+$/ },
    },
    {
      method: 'POST',
      path: '/api/kinds',
      headers: accept(NDJSON),
      body: [{ maybe: 9 }, { maybe: 8 }],
      status: 201,
      header: type(NDJSON),
    },
    { method: 'POST', path: '/api/kinds', headers: accept('image/png'), body: { maybe: 9 }, status: 406 },
    {
      method: 'POST',
      path: '/api/kinds',
      headers: accept(CSV),
      body: {},
      status: 400,
      code: 'validation_failed',
    },
    // System routes answer JSON.
    ...['/', '/health/ready'].map((path) => ({ path, headers: accept(CSV), status: 406 })),
  ]
  testCases(
    () => world,
    cases.map((one) => ({
      ...one,
      name: `${one.method ?? 'GET'} ${one.path} ${JSON.stringify(one.headers)} is ${one.status}`,
    })),
  )

  test('HEAD has the headers of GET', async () => {
    for (const path of ['/api/kinds', '/api/kinds/1']) {
      for (const value of [NDJSON, CSV, XML]) {
        const [head, get] = await Promise.all(
          ['HEAD', 'GET'].map((method) => world.fetch(path, { method, headers: accept(value) })),
        )
        expect(await head?.text()).toBe('')
        for (const name of ['content-type', 'link', 'x-total-count']) {
          expect(head?.headers.get(name)).toBe(get?.headers.get(name) as string)
        }
      }
    }
  })

  test('NDJSON has the records that JSON has', async () => {
    const [json, ndjson] = await Promise.all(
      ['application/json', NDJSON].map((value) => world.fetch('/api/kinds', { headers: accept(value) })),
    )
    const lines = (await ndjson!.text()).trimEnd().split('\n')
    const { data } = (await json!.json()) as { data: unknown[] }
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(data)
    expect(data[0]).toEqual(kind)
  })

  test('no format has a hidden or writeOnly field', async () => {
    await post(world, '/api/vaults', { label: 'x', pin: 'hunter2' })
    for (const path of ['/api/vaults', '/api/vaults/1']) {
      for (const value of [NDJSON, CSV, XML]) {
        const text = await (await world.fetch(path, { headers: accept(value) })).text()
        for (const secret of ['hunter2', 'pin', 'trace', 'rank']) expect(text).not.toContain(secret)
        expect(text).toContain('label')
      }
    }
  })
})

test('the document lists every format with an example', async () => {
  const { stdout } = await runCommand(['openapi'], { resources: fixtureResources() })
  const { paths } = JSON.parse(stdout) as { paths: Record<string, Record<string, any>> }
  const types = ['application/json', NDJSON, CSV, XML]
  for (const [path, method, status] of [
    ['/api/kinds', 'get', 200],
    ['/api/kinds', 'post', 201],
    ['/api/kinds/{id}', 'get', 200],
    ['/api/kinds/{id}', 'put', 200],
    ['/api/kinds/{id}', 'patch', 200],
    ['/api/kinds/{id}', 'delete', 200],
  ] as const) {
    const { content } = paths[path]![method].responses[status] as {
      content: Record<string, { example?: unknown }>
    }
    expect(Object.keys(content)).toEqual(types)
    for (const value of Object.values(content)) expect(value.example).toBeDefined()
  }
  expect(Object.keys(paths['/health/ready']?.get.responses[200].content)).toEqual(['application/json'])
})
