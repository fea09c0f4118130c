// API keys on the built executable: made, listed and ended by their owner, and what each scope lets through.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { KEYS_MAX } from '../../src/auth/api-keys.ts'
import { checkCase, testCases, type Case } from '../support/cases.ts'
import { post, startWorld, type World } from '../support/world.ts'

let world: World
/** The texts of keys by caller, such as `ada items:read`. */
const keys: Record<string, string> = {}
const made: Record<string, Record<string, any>> = {}

async function makeKey(owner: string, scopes: string, more: object = {}): Promise<Record<string, any>> {
  const body = { name: 'robot', scopes: scopes.split(' '), ...more }
  return post(world, '/auth/keys', body, world.credentials[owner])
}

beforeAll(async () => {
  world = await startWorld()
  for (const [owner, scopes] of [
    ['ada', 'items:read'],
    ['ada', 'items:write'],
    ['ada', 'notes:read'],
    ['ada', 'notes:write'],
    ['ada', 'articles:read'],
    ['ada', 'orders:write'],
    ['ada', 'items:read items:write'],
    ['ada', '*'],
    ['admin', 'closed:read'],
    ['admin', 'closed:write'],
    ['admin', 'papers:read'],
    ['admin', 'articles:write'],
    ['admin', 'metrics:read'],
    ['admin', 'users:read'],
    ['admin', '*'],
  ] as const) {
    const caller = `${owner} ${scopes}`
    made[caller] = await makeKey(owner, scopes)
    keys[caller] = made[caller]['key'] as string
    world.credentials[caller] = { 'x-api-key': keys[caller] }
  }
  await post(world, '/api/items', { name: 'Flask', price: 1 }, world.credentials['ada'])
  await post(world, '/api/closed', { text: 'x' }, world.credentials['admin'])
  await post(world, '/api/articles', { title: 'draft' }, world.credentials['ada'])
  made['note'] = await post(world, '/api/notes', { text: 'canary-note' }, world.credentials['ada'])
})
afterAll(() => world.stop())

/** NOTE in a path is the id of ada's note. */
const withNote = () => ({
  ...world,
  fetch: (path: string, init?: RequestInit) => world.fetch(path.replace('NOTE', made['note']!['id']), init),
})
const json = async (path: string, as: string) =>
  (await (await world.fetch(path, { headers: world.credentials[as]! })).json()) as any
const insufficient = (scope: string): Partial<Case> => ({
  status: 403,
  code: 'forbidden',
  header: { 'www-authenticate': `Bearer error="insufficient_scope", scope="${scope}"` },
})

describe('POST /auth/keys', () => {
  test('answers the key once, and no later request or log line has it', async () => {
    const before = Date.now()
    const key = await makeKey('bob', 'items:read items:write', { expires_at: '2999-01-31T13:00:00+01:00' })
    expect(key).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      key: expect.stringMatching(/^hf_[0-9A-Za-z]{22}_[0-9A-Za-z]{49}$/),
      name: 'robot',
      prefix: key['key'].slice(0, 25),
      scopes: ['items:read', 'items:write'],
      expires_at: '2999-01-31T12:00:00.000Z',
      created_at: expect.any(String),
    })
    expect(Math.abs(Date.parse(key['created_at']) - before)).toBeLessThan(60_000)
    const { key: text, ...rest } = key
    expect(await json('/auth/keys', 'bob')).toEqual({ data: [{ ...rest, last_used_at: null }] })
    expect(world.log().join('\n')).not.toContain((text as string).slice(30))
    const line = world.log().find((one) => one.includes('"key.created"') && one.includes(key['id']))
    expect(JSON.parse(line!)).toMatchObject({
      event: 'key.created',
      user_id: world.ids['bob'],
      key_id: key['id'],
    })
  })

  const body = { name: 'robot', scopes: ['items:read'] }
  const tooMany = Array.from({ length: 101 }, () => 'items:read')
  const cases: [what: string, body: unknown, as: string, status: number, has: string[]][] = [
    ['a name of one character', { ...body, name: 'x' }, 'ada', 201, ['"key":"hf_']],
    ['a name of 100', { ...body, name: 'x'.repeat(100) }, 'ada', 201, []],
    ['a name of 101', { ...body, name: 'x'.repeat(101) }, 'ada', 400, ['/name']],
    ['no name', { scopes: ['*'] }, 'ada', 400, ['/name']],
    ['an empty name', { ...body, name: '' }, 'ada', 400, ['/name']],
    ['no scope', { ...body, scopes: [] }, 'ada', 400, ['/scopes']],
    ['scopes that are no list', { ...body, scopes: 'items:read' }, 'ada', 400, ['/scopes']],
    ['a scope twice', { ...body, scopes: ['*', '*'] }, 'ada', 400, ['/scopes']],
    ['too many scopes', { ...body, scopes: tooMany }, 'ada', 400, ['/scopes']],
    ['an unknown scope', { ...body, scopes: ['canary:read'] }, 'ada', 400, ['"/scopes/0"']],
    ['an unknown verb', { ...body, scopes: ['*', 'items:delete'] }, 'ada', 400, ['"/scopes/1"']],
    ['the scope of any credential', { ...body, scopes: ['any'] }, 'ada', 400, ['"/scopes/0"']],
    ['a scope in capitals', { ...body, scopes: ['Items:read'] }, 'ada', 400, ['"/scopes/0"']],
    ['the user of another', { ...body, user_id: 'x' }, 'ada', 400, ['"/user_id"']],
    ['the user of another, by an administrator', { ...body, user_id: 'x' }, 'admin', 400, ['"/user_id"']],
    ['a hash', { ...body, key_hash: 'x' }, 'ada', 400, ['"/key_hash"']],
    ['an id', { ...body, id: 'x' }, 'ada', 400, ['"/id"']],
    ['no end', { ...body, expires_at: null }, 'ada', 201, ['"expires_at":null']],
    ['an end of yesterday', { ...body, expires_at: '2026-01-31T12:00:00Z' }, 'ada', 400, ['"/expires_at"']],
    ['an end without a zone', { ...body, expires_at: '2999-01-31T12:00:00' }, 'ada', 400, ['"/expires_at"']],
    ['an end that is a day', { ...body, expires_at: '2999-01-31' }, 'ada', 400, ['"/expires_at"']],
    ['users:read by a user', { ...body, scopes: ['users:read'] }, 'ada', 403, ['within the rights']],
    ['users:write by a user', { ...body, scopes: ['*', 'users:write'] }, 'ada', 403, []],
    ['metrics:read by a user', { ...body, scopes: ['metrics:read'] }, 'ada', 403, []],
    ['metrics:read by an administrator', { ...body, scopes: ['metrics:read'] }, 'admin', 201, []],
    ['* by a user, whose rights bound it', { ...body, scopes: ['*'] }, 'ada', 201, []],
  ]
  testCases(
    () => world,
    cases.map(([what, given, as, status, has]) => ({
      name: `with ${what} is ${status}`,
      method: 'POST',
      path: '/auth/keys',
      as,
      body: given,
      status,
      has,
      lacks: status === 400 ? ['canary'] : [],
      header: { 'cache-control': 'no-store' },
    })),
  )

  test(`an account has ${KEYS_MAX} keys, the next is 409`, async () => {
    const account = { email: 'max@example.com', password: 'purple staple lemon' }
    await post(world, '/auth/register', { name: 'Max', ...account })
    const { access_token: token } = await post(world, '/auth/login', account)
    world.credentials['max'] = { authorization: `Bearer ${token as string}` }
    await Promise.all(Array.from({ length: KEYS_MAX }, () => makeKey('max', '*')))
    await checkCase(world, {
      name: '',
      method: 'POST',
      path: '/auth/keys',
      as: 'max',
      body,
      status: 409,
      code: 'conflict',
    })
    expect((await json('/auth/keys', 'max')).data).toHaveLength(KEYS_MAX)
  })
})

describe('/auth/keys is for people who signed in', () => {
  for (const as of [undefined, 'ada *', 'admin *', 'ada items:read']) {
    const status = as === undefined ? 401 : 403
    testCases(
      () => world,
      [
        { method: 'GET', path: '/auth/keys' },
        { method: 'POST', path: '/auth/keys', body: { name: 'x', scopes: ['*'] } },
        { method: 'DELETE', path: '/auth/keys/01991f6e-8c00-7000-8000-000000000003' },
      ].map((one) => ({
        ...one,
        name: `${one.method} by ${as ?? 'nobody'} is ${status}`,
        ...(as === undefined ? {} : { as }),
        status,
        header: { 'cache-control': 'no-store' },
      })),
    )
  }

  test("the key of another is neither listed nor ended: 404, like one that isn't there", async () => {
    const mine = made['ada *']!
    expect(JSON.stringify(await json('/auth/keys', 'bob'))).not.toContain(mine['id'])
    for (const id of [mine['id'], '01991f6e-8c00-7000-8000-000000000003']) {
      for (const as of ['bob', 'admin']) {
        await checkCase(world, { name: '', method: 'DELETE', path: `/auth/keys/${id}`, as, status: 404 })
      }
    }
    await checkCase(world, {
      name: '',
      method: 'DELETE',
      path: '/auth/keys/nope',
      as: 'ada',
      status: 400,
      has: ['/id'],
    })
    await checkCase(world, { name: '', path: '/auth/me', as: 'ada *', status: 200 })
  })

  test('DELETE ends a key at once, and the log tells it', async () => {
    const key = await makeKey('ada', 'items:read')
    world.credentials['gone'] = { 'x-api-key': key['key'] }
    await checkCase(world, { name: '', path: '/auth/me', as: 'gone', status: 200 })
    const path = `/auth/keys/${key['id']}`
    await checkCase(world, { name: '', method: 'DELETE', path, as: 'ada', status: 204 })
    for (const where of ['/auth/me', '/api/items', '/']) {
      await checkCase(world, { name: '', path: where, as: 'gone', status: 401, code: 'invalid_token' })
    }
    await checkCase(world, { name: '', method: 'DELETE', path, as: 'ada', status: 404 })
    expect(
      world.log().filter((one) => one.includes('"key.revoked"') && one.includes(key['id'])),
    ).toHaveLength(1)
  })
})

describe('one credential', () => {
  const key = () => keys['ada *']!
  const bearer = () => `Bearer ${key()}`
  const basicKey = () => `Basic ${btoa(`${made['ada *']!['id']}:${key()}`)}`
  const ways: [what: string, headers: () => [string, string][], status: number, code?: string][] = [
    ['X-API-Key', () => [['x-api-key', key()]], 200],
    ['Bearer', () => [['authorization', bearer()]], 200],
    ['bearer', () => [['Authorization', bearer().replace('B', 'b')]], 200],
    [
      'X-API-Key twice',
      () => [
        ['x-api-key', key()],
        ['x-api-key', key()],
      ],
      400,
      'ambiguous_credentials',
    ],
    [
      'X-API-Key and Bearer',
      () => [
        ['x-api-key', key()],
        ['authorization', bearer()],
      ],
      400,
      'ambiguous_credentials',
    ],
    [
      'X-API-Key and a token',
      () => [
        ['x-api-key', key()],
        ['authorization', world.credentials['ada']!['authorization']!],
      ],
      400,
      'ambiguous_credentials',
    ],
    [
      'X-API-Key and Basic',
      () => [
        ['x-api-key', key()],
        ['authorization', world.credentials['admin']!['authorization']!],
      ],
      400,
      'ambiguous_credentials',
    ],
    [
      'Bearer twice',
      () => [
        ['authorization', bearer()],
        ['authorization', bearer()],
      ],
      400,
      'ambiguous_credentials',
    ],
    ['Basic', () => [['authorization', basicKey()]], 401, 'invalid_credentials'],
    ['the scheme ApiKey', () => [['authorization', `ApiKey ${key()}`]], 401, 'unauthenticated'],
    ['a cookie', () => [['cookie', `api_key=${key()}; x-api-key=${key()}`]], 401, 'unauthenticated'],
    [
      'an access token as X-API-Key',
      () => [['x-api-key', world.credentials['ada']!['authorization']!.slice(7)]],
      401,
      'invalid_token',
    ],
    ['an empty X-API-Key', () => [['x-api-key', '']], 401, 'invalid_token'],
    ['X-API-Key with a scheme', () => [['x-api-key', bearer()]], 401, 'invalid_token'],
    [
      'a typo',
      () => [['x-api-key', `${key().slice(0, -1)}${key().endsWith('0') ? '1' : '0'}`]],
      401,
      'invalid_token',
    ],
    ['half a key', () => [['x-api-key', key().slice(0, 40)]], 401, 'invalid_token'],
    ['the prefix alone', () => [['x-api-key', made['ada *']!['prefix']]], 401, 'invalid_token'],
  ]
  for (const [way, headers, status, code] of ways) {
    test(`by ${way}`, async () => {
      const response = await world.fetch('/auth/me', { headers: headers() })
      const body = (await response.json()) as any
      expect([response.status, body.error?.code]).toEqual([status, code])
      if (status === 401) expect(response.headers.get('www-authenticate')).toMatch(/^(Bearer|Basic) realm=/)
      expect(JSON.stringify(body)).not.toContain(key().slice(30))
    })
  }

  test.each(['api_key', 'X-API-Key', 'x_api_key', 'access_token', 'key'])(
    'in the query as %s is never taken',
    async (name) => {
      for (const [path, status] of [
        ['/auth/me', 401],
        ['/api/notes', 401],
        ['/api/items', 400],
      ] as const) {
        const response = await world.fetch(`${path}?${name}=${key()}`)
        expect([path, response.status]).toEqual([path, status])
        expect(await response.text()).not.toContain(key().slice(30))
      }
    },
  )
})

describe('a scope lets through what its owner may do, and takes away nothing that anyone may', () => {
  const item = { name: 'Cup', price: 2 }
  const note = { text: 'x' }
  testCases(
    () => withNote(),
    (
      [
        // Public to read, signed in to create, the owner to change.
        ['GET', '/api/items', 'ada items:read', 200],
        ['GET', '/api/items', 'ada items:write', 200],
        ['GET', '/api/items/1', 'ada notes:read', 200],
        ['POST', '/api/items', 'ada items:read', 'items:write', item],
        ['POST', '/api/items', 'ada items:write', 201, item],
        ['POST', '/api/items', 'ada *', 201, item],
        ['POST', '/api/items', 'admin *', 201, item],
        ['PATCH', '/api/items/1', 'ada items:read', 'items:write', { price: 3 }],
        ['PATCH', '/api/items/1', 'ada notes:write', 'items:write', { price: 3 }],
        ['PATCH', '/api/items/1', 'ada items:write', 200, { price: 3 }],
        ['PUT', '/api/items/1', 'admin closed:write', 'items:write', item],
        ['PUT', '/api/items/1', 'admin *', 200, item],
        ['DELETE', '/api/items/1', 'ada items:read', 'items:write'],
        // For their owner alone.
        ['GET', '/api/notes', 'ada notes:read', 200],
        ['GET', '/api/notes', 'ada *', 200],
        ['GET', '/api/notes', 'ada notes:write', 'notes:read'],
        ['GET', '/api/notes', 'admin closed:read', 'notes:read'],
        ['GET', '/api/notes/NOTE', 'ada items:read', 'notes:read'],
        ['GET', '/api/notes/NOTE', 'ada notes:write', 'notes:read'],
        ['GET', '/api/notes/NOTE', 'admin *', 200],
        ['GET', '/api/notes/nope', 'ada items:read', 'notes:read'],
        ['PATCH', '/api/notes/NOTE', 'ada notes:read', 'notes:write', note],
        ['PATCH', '/api/notes/NOTE', 'ada notes:write', 200, note],
        ['POST', '/api/notes', 'ada items:read', 'notes:write', 'not even JSON'],
        // For administrators.
        ['GET', '/api/closed', 'admin closed:read', 200],
        ['GET', '/api/closed', 'ada *', 403],
        ['GET', '/api/closed', 'admin papers:read', 'closed:read'],
        ['POST', '/api/closed', 'admin closed:read', 'closed:write', { text: 'x' }],
        ['POST', '/api/closed', 'admin closed:write', 201, { text: 'x' }],
        ['GET', '/api/papers?deleted=true', 'admin papers:read', 200],
        ['GET', '/api/papers?deleted=true', 'admin closed:read', 'papers:read'],
        ['GET', '/api/papers?deleted=true', 'ada *', 403],
        [
          'POST',
          '/api/papers/01991f6e-8c00-7000-8000-000000000003/restore',
          'admin papers:read',
          'papers:write',
        ],
        ['POST', '/api/papers/01991f6e-8c00-7000-8000-000000000003/restore', 'admin *', 404],
        ['POST', '/api/papers/01991f6e-8c00-7000-8000-000000000003/restore', 'ada *', 403],
        // The author's own routes: the read scope for GET, else the write scope.
        ['GET', '/api/articles/search?title=x', 'ada items:read', 200],
        ['GET', '/api/articles/1/views/day', 'ada items:read', 404],
        ['GET', '/api/articles/1/views/day', 'ada articles:read', 200],
        ['POST', '/api/articles/1/publish', 'ada articles:read', 'articles:write'],
        ['POST', '/api/articles/1/publish', 'ada *', 200],
        // What is no resource.
        ['GET', '/auth/me', 'ada items:read', 200],
        ['GET', '/', 'ada items:read', 200],
        ['GET', '/health/ready', 'ada items:read', 200],
        ['GET', '/swagger', 'ada items:read', 200],
      ] as [string, string, string, number | string, unknown?][]
    ).map(([method, path, as, expected, body]): Case => {
      const refusal = typeof expected === 'string' ? insufficient(expected) : { status: expected }
      return {
        name: `${method} ${path} by ${as} is ${expected}`,
        method,
        path,
        as,
        ...(body === undefined ? {} : { body }),
        status: 403,
        ...refusal,
      }
    }),
  )
})

describe('a key out of scope is nobody', () => {
  test('to a rule that is a function: it gets the records of an anonymous caller', async () => {
    const draft = await post(world, '/api/articles', { title: 'canary-draft' }, world.credentials['ada'])
    const path = `/api/articles/${draft['id'] as number}`
    await checkCase(world, { name: '', path, as: 'ada articles:read', status: 200, has: ['canary-draft'] })
    for (const as of ['ada items:read', 'ada orders:write', 'admin papers:read']) {
      await checkCase(world, { name: '', path, as, status: 404, lacks: ['canary-draft'] })
    }
  })

  test('but the write scope is enough to see what is changed', async () => {
    const draft = await post(world, '/api/articles', { title: 'draft' }, world.credentials['ada'])
    const path = `/api/articles/${draft['id'] as number}`
    const change = { name: '', method: 'PATCH', path, body: { title: 'changed' } }
    await checkCase(world, { ...change, as: 'admin articles:write', status: 200, has: ['changed'] })
    await checkCase(world, { name: '', path, as: 'admin articles:write', status: 404 })
  })

  test('to what a record embeds', async () => {
    const author = await post(world, '/api/authors', { name: 'Jane' })
    await post(world, '/api/books', { title: 'Emma', author_id: author['id'] })
    const [book] = (await json('/api/books?expand=author', 'ada items:read')).data
    expect(book.author).toMatchObject({ name: 'Jane' })
  })

  test('to a hook and to what it makes: owner_id is null', async () => {
    const order = { title: 'Tea', amount: 1 }
    const [own, foreign] = [world.credentials['ada orders:write']!, world.credentials['ada items:write']!]
    expect(await post(world, '/api/orders', order, own)).toMatchObject({
      owner_id: world.ids['ada'],
      code: 'tea-key',
    })
    expect(await post(world, '/api/orders', order, foreign)).toMatchObject({
      code: 'tea-anonymous',
      owner_id: null,
    })
  })
})

test('what a key makes belongs to its owner', async () => {
  const headers = world.credentials['ada items:read items:write']!
  const item = await post(world, '/api/items', { name: 'Bowl', price: 1 }, headers)
  expect(item['owner_id']).toBe(world.ids['ada']!)
})

test('notes of a key are those of its owner, of an administrator’s all', async () => {
  const mine = (await json('/api/notes', 'ada')).total_items
  expect((await json('/api/notes', 'ada notes:read')).total_items).toBe(mine)
  await post(world, '/api/notes', { text: 'of bob' }, world.credentials['bob'])
  expect((await json('/api/notes', 'ada notes:read')).total_items).toBe(mine)
  expect((await json('/api/notes', 'admin *')).total_items).toBe(
    (await json('/api/notes', 'admin')).total_items,
  )
})

test('a user and their key have Idempotency-Keys of their own', async () => {
  const answers = await Promise.all(
    ['ada', 'ada items:write', 'ada items:write'].map(async (as, index) => {
      await Bun.sleep(index * 50)
      return post(
        world,
        '/api/items',
        { name: 'Once', price: 1 },
        { ...world.credentials[as], 'idempotency-key': 'k' },
      )
    }),
  )
  expect(answers[1]!['id']).not.toBe(answers[0]!['id'])
  expect(answers[2]!['id']).toBe(answers[1]!['id'])
})

test('last_used_at is listed', async () => {
  const { id, key } = await makeKey('bob', 'items:read')
  await world.fetch('/api/items', { headers: { 'x-api-key': key } })
  const lastUse = async () =>
    (await json('/auth/keys', 'bob')).data.find((one: any) => one.id === id).last_used_at
  for (let wait = 0; (await lastUse()) === null && wait < 100; wait++) await Bun.sleep(50)
  expect(Math.abs(Date.now() - Date.parse(await lastUse()))).toBeLessThan(60_000)
})

test('a key that expires is 401 from then on', async () => {
  const { key } = await makeKey('bob', '*', { expires_at: new Date(Date.now() + 1500).toISOString() })
  world.credentials['brief'] = { 'x-api-key': key }
  await checkCase(world, { name: '', path: '/auth/me', as: 'brief', status: 200 })
  await Bun.sleep(1600)
  const header = { 'www-authenticate': /error="invalid_token"/ }
  await checkCase(world, {
    name: '',
    path: '/auth/me',
    as: 'brief',
    status: 401,
    code: 'token_expired',
    header,
  })
  await checkCase(world, { name: '', path: '/', as: 'brief', status: 401 })
})

describe('every route of the document that is not public', () => {
  const routes = async () => {
    const document = (await json('/swagger/json', 'admin')) as { paths: Record<string, Record<string, any>> }
    return Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods)
        .filter(([, { security }]) => security.length > 0)
        .map(([method, { security }]) => ({
          method: method.toUpperCase(),
          path: path.replace(/\{(\w+)\}/g, (_, name: string) => (name === 'id' ? '1' : 'x')),
          isPublic: security.some((one: object) => Object.keys(one).length === 0),
          scopes: security.find((one: object) => 'apiKeyAuth' in one)?.apiKeyAuth as string[] | undefined,
        })),
    )
  }

  test('refuses a key that has only another scope, and says which it needs', async () => {
    const headers = { 'x-api-key': keys['admin metrics:read']! }
    const answers: string[] = []
    const expected: string[] = []
    for (const { method, path, isPublic, scopes } of await routes()) {
      if (isPublic || path === '/auth/me') continue
      const response = await world.fetch(path, { method, headers })
      answers.push(`${method} ${path} ${response.status} ${response.headers.get('www-authenticate')}`)
      const challenge =
        scopes === undefined ? null : `Bearer error="insufficient_scope", scope="${scopes[0]}"`
      const isReached = scopes?.includes('metrics:read') === true
      expected.push(`${method} ${path} ${isReached ? '200 null' : `403 ${challenge}`}`)
    }
    expect(answers.length).toBeGreaterThan(20)
    expect(answers).toEqual(expected)
  })

  test('names a scope wherever records are', async () => {
    const ofRecords = (await routes()).filter(({ path }) => path.startsWith('/api/'))
    expect(ofRecords.length).toBeGreaterThan(50)
    expect(ofRecords.filter(({ scopes }) => scopes === undefined)).toEqual([])
  })

  test('is reached by the key that has the scope, or *', async () => {
    for (const { method, path, scopes } of await routes()) {
      if (scopes === undefined || path.startsWith('/auth')) continue
      const response = await world.fetch(path, { method, headers: { 'x-api-key': keys['admin *']! } })
      expect([method, path, response.status === 401 || response.status === 403]).toEqual([
        method,
        path,
        false,
      ])
    }
  })
})

test('SWAGGER=admin serves the page to an administrator’s key with * alone', async () => {
  const own = await startWorld({ env: { HIPFLASK_SWAGGER: 'admin' } })
  try {
    const make = async (owner: string, scope: string) => {
      const body = { name: 'x', scopes: [scope] }
      const { key } = await post(own, '/auth/keys', body, own.credentials[owner])
      return { 'x-api-key': key as string }
    }
    const answers = [
      await own.fetch('/swagger/json', { headers: await make('admin', '*') }),
      await own.fetch('/swagger/json', { headers: await make('admin', 'metrics:read') }),
      await own.fetch('/swagger', { headers: await make('ada', '*') }),
      await own.fetch('/swagger/json'),
    ]
    expect(answers.map(({ status }) => status)).toEqual([200, 403, 403, 401])
  } finally {
    await own.stop()
  }
})
