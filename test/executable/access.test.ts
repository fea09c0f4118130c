// Who may do what, on the built executable: every kind of rule against every kind of caller.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { checkCase, testCases, type Case } from '../support/cases.ts'
import { basic, PASSWORD, post, startWorld, type World } from '../support/world.ts'

let world: World
let note: Record<string, unknown>
let item: Record<string, unknown>
beforeAll(async () => {
  world = await startWorld()
  note = await post(world, '/api/notes', { text: 'canary-private' }, world.credentials.ada)
  item = await post(world, '/api/items', { name: 'Flask', price: 1 }, world.credentials.ada)
  await post(world, '/api/closed', { text: 'readable' }, world.credentials.admin)
  await post(world, '/api/offers', [
    { title: 'cheap', price: 4 },
    { title: 'dear', price: 50 },
    { title: 'published', price: 60, published: true },
  ])
})
afterAll(() => world.stop())

const get = async (path: string, as?: string) => {
  const response = await world.fetch(path, as === undefined ? {} : { headers: world.credentials[as]! })
  return { status: response.status, body: (await response.json()) as any }
}

describe('items: public to read, signed in to create, the owner to change', () => {
  const body = { name: 'Cup', price: 2 }
  const matrix: [string, string, string | undefined, number][] = [
    ['GET', '/api/items', undefined, 200],
    ['GET', '/api/items/1', undefined, 200],
    ['POST', '/api/items', undefined, 401],
    ['POST', '/api/items', 'bob', 201],
    ['PUT', '/api/items/1', undefined, 401],
    ['PUT', '/api/items/1', 'bob', 403],
    ['PUT', '/api/items/1', 'ada', 200],
    ['PUT', '/api/items/1', 'admin', 200],
    ['PATCH', '/api/items/1', undefined, 401],
    ['PATCH', '/api/items/1', 'bob', 403],
    ['PATCH', '/api/items/1', 'ada', 200],
    ['DELETE', '/api/items/1', undefined, 401],
    ['DELETE', '/api/items/1', 'bob', 403],
    ['DELETE', '/api/items/99', 'bob', 404],
  ]
  for (const [method, path, as, status] of matrix) {
    test(`${method} ${path} as ${as ?? 'anonymous'} answers ${status}`, async () => {
      const target = path.replace('/1', `/${item.id}`)
      await checkCase(world, {
        name: '',
        method,
        path: target,
        status,
        ...(as === undefined ? {} : { as }),
        ...(['POST', 'PUT', 'PATCH'].includes(method) ? { body } : {}),
        ...(status === 401 ? { code: 'unauthenticated', header: { 'www-authenticate': /^Bearer/ } } : {}),
        ...(status === 403 ? { code: 'forbidden' } : {}),
      })
    })
  }

  test('what is refused changes nothing', async () => {
    const { body } = await get(`/api/items/${item.id}`)
    expect(body).toMatchObject({ name: 'Cup', price: 2, owner_id: world.ids.ada })
  })
})

describe('notes: hidden from all but their owner', () => {
  test("another's record is 404, byte for byte like an absent one", async () => {
    const absent = '01991f6e-8c00-7000-8000-0000000000aa'
    for (const [method, body] of [
      ['GET'],
      ['PUT', { text: 'x' }],
      ['PATCH', { text: 'x' }],
      ['DELETE'],
    ] as const) {
      const answers = []
      for (const id of [note.id, absent]) {
        const response = await world.fetch(`/api/notes/${id}`, {
          method,
          headers: { ...world.credentials.bob, 'content-type': 'application/json' },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        })
        const text = (await response.text()).replace(response.headers.get('x-request-id')!, '')
        answers.push([response.status, text])
      }
      expect(answers[0]).toEqual(answers[1] as never)
      expect(answers[0]![0]).toBe(404)
    }
    expect((await get(`/api/notes/${note.id}`, 'ada')).body).toEqual(note)
  })

  test('lists and totals count only what is theirs', async () => {
    expect((await get('/api/notes', 'ada')).body).toMatchObject({ total_items: 1, data: [note] })
    expect((await get('/api/notes', 'bob')).body).toMatchObject({ total_items: 0, total_pages: 0, data: [] })
    expect((await get('/api/notes', 'admin')).body.total_items).toBe(1)
  })

  test('anonymous callers are 401 before anything is looked up', async () => {
    for (const path of ['/api/notes', `/api/notes/${note.id}`, '/api/notes/not-a-uuid']) {
      expect((await get(path)).status).toBe(401)
    }
  })

  test('owner_id, id and times in a body are ignored', async () => {
    const forged = { text: 'mine', owner_id: world.ids.ada, id: note.id, created_at: 'x', updated_at: 'y' }
    const made = await post(world, '/api/notes', forged, world.credentials.bob)
    expect(made.owner_id).toBe(world.ids.bob as string)
    expect(made.id).not.toBe(note.id)
  })
})

describe('offers: rules that answer with records', () => {
  test('the list and its total have only the records of the rule', async () => {
    const { body } = await get('/api/offers')
    expect(body.data.map((one: any) => one.title)).toEqual(['cheap', 'published'])
    expect(body.total_items).toBe(2)
  })
  testCases(
    () => world,
    [
      { name: 'a record outside the read filter is 404', path: '/api/offers/2', status: 404 },
      { name: 'a record inside is 200', path: '/api/offers/3', status: 200 },
      {
        name: 'create at the limit is 201',
        method: 'POST',
        path: '/api/offers',
        body: { title: 'x', price: 100 },
        status: 201,
      },
      {
        name: 'create over the limit is 403',
        method: 'POST',
        path: '/api/offers',
        body: { title: 'x', price: 101 },
        as: 'ada',
        status: 403,
      },
      {
        name: 'create over the limit is 403 for anonymous callers too: it depends on the record',
        method: 'POST',
        path: '/api/offers',
        body: { title: 'x', price: 101 },
        status: 403,
        code: 'forbidden',
      },
      {
        name: 'an array with one over the limit is refused whole',
        method: 'POST',
        path: '/api/offers',
        body: [
          { title: 'canary-partial', price: 1 },
          { title: 'x', price: 101 },
        ],
        as: 'ada',
        status: 403,
      },
      { name: 'none of it is there', path: '/api/offers?limit=100', status: 200, lacks: ['canary-partial'] },
      {
        name: 'update to a state outside the filter is 403',
        method: 'PATCH',
        path: '/api/offers/3',
        body: { price: 101 },
        as: 'ada',
        status: 403,
      },
      {
        name: 'update inside is 200',
        method: 'PATCH',
        path: '/api/offers/3',
        body: { price: 99 },
        as: 'ada',
        status: 200,
      },
      {
        name: 'update of a hidden record is 404',
        method: 'PATCH',
        path: '/api/offers/2',
        body: { price: 1 },
        as: 'ada',
        status: 404,
      },
      {
        name: 'a rule that says no is 401 for anonymous callers',
        method: 'PATCH',
        path: '/api/offers/3',
        body: {},
        status: 401,
      },
      { name: 'administrators see all', path: '/api/offers/2', as: 'admin', status: 200 },
    ],
  )
})

describe('an action without a rule is for administrators', () => {
  const cases: Omit<Case, 'name'>[] = [
    { path: '/api/closed/1', status: 200 },
    { path: '/api/closed', status: 401 },
    { path: '/api/closed', as: 'ada', status: 403 },
    { path: '/api/closed', as: 'admin', status: 200 },
    { method: 'POST', path: '/api/closed', body: { text: 'x' }, as: 'ada', status: 403 },
    { method: 'POST', path: '/api/closed', body: 'not even JSON', as: 'ada', status: 403 },
    { method: 'PATCH', path: '/api/closed/1', body: { text: 'x' }, as: 'ada', status: 403 },
    { method: 'DELETE', path: '/api/closed/1', as: 'ada', status: 403 },
    { method: 'DELETE', path: '/api/closed/1', status: 401 },
  ]
  testCases(
    () => world,
    cases.map((one) => ({
      ...one,
      name: `${one.method ?? 'GET'} ${one.path} as ${one.as ?? 'anonymous'} is ${one.status}`,
    })),
  )
})

describe('a mistake in a rule', () => {
  for (const [method, path] of [
    ['GET', '/api/broken_rules'],
    ['GET', '/api/broken_rules/1'],
    ['DELETE', '/api/broken_rules/1'],
  ] as const) {
    test(`${method} ${path} answers 500, and its cause is in the log with the request id`, async () => {
      const response = await world.fetch(path, { method, headers: world.credentials.ada! })
      const text = await response.text()
      expect([response.status, JSON.parse(text).error.code]).toEqual([500, 'internal_error'])
      expect(text).not.toMatch(/canary|no_such_field|promise/)
      const id = response.headers.get('x-request-id')!
      const lineOf = () => world.log().find((one) => one.includes(id))
      // The answer may be faster than the log.
      for (let wait = 0; lineOf() === undefined && wait < 100; wait++) await Bun.sleep(10)
      const line = lineOf()
      expect(line).toMatch(/canary-rule-secret|no_such_field|promise/)
    })
  }
})

describe('credentials', () => {
  const ada = () => basic('ada@example.com', PASSWORD)
  test('Basic works like a token', async () => {
    const response = await world.fetch('/api/notes', { headers: ada() })
    expect(((await response.json()) as any).total_items).toBe(1)
  })

  const wrong: [string, () => Record<string, string>, number, string][] = [
    ['a wrong password', () => basic('ada@example.com', 'wrong password'), 401, 'invalid_credentials'],
    ['an unknown account', () => basic('nobody@example.com', 'wrong password'), 401, 'invalid_credentials'],
    ['bad base64', () => ({ authorization: 'Basic !!!' }), 401, 'invalid_credentials'],
    ['no colon', () => ({ authorization: `Basic ${btoa('abc')}` }), 401, 'invalid_credentials'],
    ['a token of nonsense', () => ({ authorization: 'Bearer nonsense' }), 401, 'invalid_token'],
    ['an API key', () => ({ 'x-api-key': 'hf_abc_def' }), 401, 'invalid_token'],
    [
      'a padded token',
      () => ({ authorization: `${world.credentials.ada!.authorization}=` }),
      401,
      'invalid_token',
    ],
    [
      'a token and a key',
      () => ({ ...world.credentials.ada, 'x-api-key': 'hf_abc' }),
      400,
      'ambiguous_credentials',
    ],
    [
      'two tokens in one header',
      () => ({ authorization: `${world.credentials.ada!.authorization}, Basic YTpi` }),
      400,
      'ambiguous_credentials',
    ],
  ]
  for (const [what, headers, status, code] of wrong) {
    test(`${what} is ${status} ${code}, also on public routes`, async () => {
      for (const path of ['/api/items', '/', '/api/notes']) {
        const response = await world.fetch(path, { headers: headers() })
        const body = (await response.json()) as any
        expect([path, response.status, body.error.code]).toEqual([path, status, code])
        if (status === 401)
          expect(response.headers.get('www-authenticate')).toMatch(/^(Bearer|Basic) realm="hipflask"/)
      }
    })
  }

  test('a credential in the query is an unknown parameter', async () => {
    await checkCase(world, {
      name: '',
      path: '/api/items?access_token=x',
      status: 400,
      has: ['access_token'],
    })
  })

  test('health and sign-in routes do not look at credentials', async () => {
    const headers = { authorization: 'Bearer nonsense' }
    expect((await world.fetch('/health/live', { headers })).status).toBe(200)
    expect((await world.fetch('/health/ready', { headers })).status).toBe(200)
    const body = JSON.stringify({ email: 'ada@example.com', password: PASSWORD })
    const login = await world.fetch('/auth/login', {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body,
    })
    expect(login.status).toBe(200)
  })
})

test('every route of the document that is not public answers 401 without a credential', async () => {
  const document = (await get('/swagger/json')).body as { paths: Record<string, Record<string, any>> }
  const answers: string[] = []
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if (
        operation.security.length === 0 ||
        operation.security.some((one: object) => Object.keys(one).length === 0)
      )
        continue
      const response = await world.fetch(path.replace('{id}', '1'), { method: method.toUpperCase() })
      answers.push(`${method} ${path} ${response.status}`)
    }
  }
  expect(answers.length).toBeGreaterThan(15)
  expect(answers.filter((answer) => !answer.endsWith(' 401'))).toEqual([])
})
