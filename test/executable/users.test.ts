// Accounts as administrators see them, /api/users: all that a resource has, and what a change of an account ends.
import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkCase, testCases, type Case } from '../support/cases.ts'
import { makeFolder, runCommand, startServer, type RunningServer } from '../support/executable.ts'
import { ADMIN, basic, PASSWORD, post, startWorld, type World } from '../support/world.ts'

const RESOURCES = {
  'users.ts': `import { defineUsers, t } from 'hipflask'
export default defineUsers({
  profile: t.Object({
    age: t.Optional(t.Integer({ minimum: 18, index: true })),
    nickname: t.Optional(t.String({ unique: true, search: true })),
    plan: t.Enum(['free', 'paid'], { default: 'free' }),
    karma: t.Optional(t.Integer({ readOnly: true, default: 1 })),
    tag: t.Optional(t.String({ hidden: true })),
    pin: t.Optional(t.String({ writeOnly: true })),
    mentor_id: t.Optional(t.String({ format: 'uuid', references: 'users' })),
  }),
})`,
  'notes.ts': `import { anyOf, defineResource, everyone, owner, role, route, signedIn, t } from 'hipflask'
export default defineResource({
  name: 'notes',
  schema: t.Object({
    text: t.String(),
    reader_id: t.Optional(t.String({ format: 'uuid', references: 'users' })),
  }),
  owned: true,
  access: { list: everyone(), read: everyone(), create: signedIn(), update: anyOf(owner(), role('editor')) },
  hooks: {
    afterCreate: async (note, { store }) => {
      if (note.text.startsWith('praise')) await store.users.update(note.owner_id as string, { karma: 9 })
    },
  },
  routes: [
    route({ method: 'POST', path: '/reset', access: everyone(), responses: { 200: t.Object({ seen: t.String() }) },
      body: t.Object({ id: t.String(), password: t.String() }),
      handler: async ({ body, store }) => {
        const before = await store.users.get(body.id)
        const after = await store.users.update(body.id, { password: body.password })
        return { seen: JSON.stringify([before, after]) }
      } }),
    route({ method: 'POST', path: '/probe', access: everyone(), responses: { 200: t.Object({ seen: t.String() }) },
      body: t.Object({ field: t.String(), sort: t.Boolean() }),
      handler: async ({ body, store }) => ({ seen: String(await (body.sort
        ? store.users.list({ sort: body.field }) : store.users.list({ where: { [body.field]: { null: false } } })).then(
        (found) => found.length, (error) => error.message)) }) }),
    route({ method: 'POST', path: '/demote', access: role('auditor'), responses: { 204: null },
      handler: async ({ store }) => {
        for (const one of await store.users.list({ where: { role: 'admin' } })) await store.users.update(one.id, { role: 'user' })
      } }),
  ],
})`,
}

const SECRETS = ['password_hash', 'email_key', 'session_generation', '$argon2', PASSWORD, ADMIN.password]
const UUID = '01991f6e-8c00-7000-8000-00000000dead'

let world: World
beforeAll(async () => {
  world = await startWorld({ resources: RESOURCES })
})
afterAll(() => world.stop())

type Json = Record<string, any>
let made = 0
const newEmail = () => `new${++made}@example.com`

async function send(method: string, path: string, body?: unknown, as = 'admin', more: Json = {}) {
  const response = await world.fetch(path, {
    method,
    headers: {
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...world.credentials[as],
      ...more,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: (text === '' ? null : JSON.parse(text)) as Json,
  }
}

async function add(fields: Json = {}): Promise<Json & { id: string; email: string }> {
  const { status, body, text } = await send('POST', '/api/users', {
    name: 'New',
    email: newEmail(),
    password: PASSWORD,
    ...fields,
  })
  if (status !== 201) throw new Error(text)
  return body as Json & { id: string; email: string }
}

async function login(email: string, password = PASSWORD): Promise<{ authorization: string }> {
  const { access_token } = await post(world, '/auth/login', { email, password })
  return { authorization: `Bearer ${access_token as string}` }
}

const statusOf = async (path: string, headers: Record<string, string>) =>
  (await world.fetch(path, { headers })).status

describe('/api/users is for administrators', () => {
  const requests: [string, string, Json | undefined][] = [
    ['GET', '/api/users', undefined],
    ['GET', '/api/users?role=admin', undefined],
    ['POST', '/api/users', { name: 'x', email: 'x@example.com', password: PASSWORD }],
    ['POST', '/api/users', [{ name: 'x', email: 'x@example.com', password: PASSWORD }]],
    ['GET', '/api/users/ID', undefined],
    ['PUT', '/api/users/ID', { name: 'x', email: 'x@example.com' }],
    ['PATCH', '/api/users/ID', { role: 'admin' }],
    ['DELETE', '/api/users/ID', undefined],
    ['GET', `/api/users/${UUID}`, undefined],
  ]
  test.each(requests)(
    '%s %s is 401 for anybody and 403 for users, also for their own account',
    async (method, path, body) => {
      const before = (await send('GET', `/api/users/${world.ids.ada}`)).body
      for (const id of [world.ids.ada, world.ids.bob]) {
        const target = path.replace('ID', id as string)
        const anybody = await send(method, target, body, 'nobody')
        const ada = await send(method, target, body, 'ada')
        expect([anybody.status, ada.status]).toEqual([401, 403])
        expect(ada.body.error.code).toBe('forbidden')
      }
      expect((await send('GET', `/api/users/${world.ids.ada}`)).body).toEqual(before)
    },
  )
})

describe('/api/users for administrators', () => {
  test('makes an account with a role, which signs in', async () => {
    const answer = await send('POST', '/api/users', {
      name: 'Eve',
      email: 'Eve@example.com',
      password: PASSWORD,
      role: 'editor',
      age: 30,
      pin: 'canary',
    })
    expect(answer.status).toBe(201)
    expect(answer.headers.get('location')).toBe(`/api/users/${answer.body.id as string}`)
    expect(answer.body).toEqual({
      id: expect.any(String),
      name: 'Eve',
      email: 'Eve@example.com',
      age: 30,
      plan: 'free',
      karma: 1,
      role: 'editor',
      disabled: false,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    })
    const token = await login('eve@EXAMPLE.com')
    const { body } = await send('GET', `/api/users/${answer.body.id as string}`)
    expect(body.last_login_at).toEqual(expect.any(String))
    // The role is worth what the rules say of it.
    const note = await post(world, '/api/notes', { text: 'of ada' }, world.credentials.ada)
    const edit = await send('PATCH', `/api/notes/${note.id as number}`, { text: 'edited' }, 'nobody', token)
    expect(edit.status).toBe(200)
  })

  test('makes up to 100 at once, all or none', async () => {
    const many = (count: number) =>
      Array.from({ length: count }, () => ({ name: 'x', email: newEmail(), password: PASSWORD }))
    const two = await send('POST', '/api/users', many(2))
    expect([two.status, two.body.data.length]).toEqual([201, 2])
    const tooMany = await send('POST', '/api/users', many(101))
    expect(tooMany.body.error.details).toEqual([
      { field: '', message: 'Expected at most 100 records, got 101' },
    ])
    const [first, second] = many(2) as unknown as [Json, Json]
    const taken = await send('POST', '/api/users', [first, { ...second, email: 'ADA@example.com' }])
    expect([taken.status, taken.body.error.details[0].field]).toEqual([409, '/1/email'])
    const twice = await send('POST', '/api/users', [first, { ...second, email: first.email.toUpperCase() }])
    expect([twice.status, twice.body.error.details[0].field]).toEqual([409, '/1/email'])
    const found = await send('GET', `/api/users?email=${first.email as string}`)
    expect(found.body.total_items).toBe(0)
  })

  test('has ETag and If-Match, Idempotency-Key and Prefer', async () => {
    const email = newEmail()
    const key = { 'idempotency-key': email }
    const body = { name: 'Keyed', email, password: PASSWORD }
    const first = await send('POST', '/api/users', body, 'admin', key)
    const again = await send('POST', '/api/users', body, 'admin', key)
    expect([first.status, again.status, again.text]).toEqual([201, 201, first.text])
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    for (const other of [{ name: 'Else' }, { password: 'another long one' }]) {
      expect((await send('POST', '/api/users', { ...body, ...other }, 'admin', key)).status).toBe(422)
    }

    const path = `/api/users/${first.body.id as string}`
    const etag = first.headers.get('etag') as string
    expect((await send('PATCH', path, { name: 'A' }, 'admin', { 'if-match': etag })).status).toBe(200)
    expect((await send('PATCH', path, { name: 'B' }, 'admin', { 'if-match': etag })).status).toBe(412)
    const minimal = await send('PATCH', path, { name: 'C' }, 'admin', { prefer: 'return=minimal' })
    expect([minimal.status, minimal.text]).toEqual([204, ''])
  })

  test('replaces what is writable, and keeps the password', async () => {
    const { id, email } = await add({ role: 'editor', age: 40, nickname: 'replaced' })
    const { status, body } = await send('PUT', `/api/users/${id}`, { name: 'Other', email })
    expect(status).toBe(200)
    expect(body).toMatchObject({ name: 'Other', email, role: 'user', plan: 'free' })
    expect(body).not.toHaveProperty('age')
    expect(await login(email)).toBeDefined()
    expect((await send('PUT', `/api/users/${id}`, { name: 'Other' })).body.error.details).toEqual([
      { field: '/email', message: 'Required' },
    ])
  })

  test('can be sent back as it was read', async () => {
    const { id } = await add({ age: 20 })
    const read = (await send('GET', `/api/users/${id}`)).body
    const { updated_at: _, ...kept } = read
    expect((await send('PUT', `/api/users/${id}`, read)).body).toMatchObject(kept)
    expect((await send('PATCH', `/api/users/${id}`, read)).body).toMatchObject(kept)
  })

  test('lists by filter, sort, words, cursor and choice of fields, in every format', async () => {
    const { id, email } = await add({ name: 'Zed', role: 'editor', age: 77, nickname: 'quixotic zebra' })
    for (const query of [
      'age=77',
      'age[gte]=77',
      `email=${email}`,
      'q=zebra',
      `id=${id}`,
      'nickname[starts_with]=quix',
    ]) {
      const { body } = await send('GET', `/api/users?${query}`)
      expect({ query, ids: body.data.map((one: Json) => one.id) }).toEqual({ query, ids: [id] })
    }
    const sorted = await send('GET', '/api/users?sort=-age&limit=1&fields=age,role')
    expect(sorted.body.data).toEqual([{ age: 77, role: 'editor' }])
    const next = await send(
      'GET',
      `/api/users?sort=-age&limit=1&fields=age,role&cursor=${sorted.body.next_cursor as string}`,
    )
    expect(next.body.data).toHaveLength(1)
    for (const accept of ['text/csv', 'application/x-ndjson', 'application/xml']) {
      const response = await world.fetch('/api/users?limit=100', {
        headers: { ...world.credentials.admin, accept },
      })
      const text = await response.text()
      expect(text).toContain(email)
      for (const secret of SECRETS) expect(text).not.toContain(secret)
    }
  })

  test('embeds an account only for whoever may read it', async () => {
    const note = await post(
      world,
      '/api/notes',
      { text: 'x', reader_id: world.ids.bob },
      world.credentials.ada,
    )
    const path = `/api/notes/${note.id as number}?expand=reader,owner`
    expect((await send('GET', path, undefined, 'ada')).body).toMatchObject({
      reader: null,
      owner: { id: world.ids.ada, name: 'ada' },
    })
    const { body, text } = await send('GET', path)
    expect(body.reader).toMatchObject({ id: world.ids.bob, email: 'bob@example.com' })
    for (const secret of SECRETS) expect(text).not.toContain(secret)
  })

  const valid = { name: 'x', email: 'fresh@example.com', password: PASSWORD }
  const bad = (name: string, body: unknown, ...fields: string[]): Case => ({
    name: `POST /api/users answers 400 for ${name}`,
    method: 'POST',
    path: '/api/users',
    as: 'admin',
    body,
    status: 400,
    code: 'validation_failed',
    has: fields.map((field) => `"${field}"`),
    lacks: ['canary'],
  })
  const asked = (query: string): Case => ({
    name: `GET /api/users?${query} is 400`,
    path: `/api/users?${query}`,
    as: 'admin',
    status: 400,
    code: 'bad_request',
  })
  testCases(
    () => world,
    [
      bad('no field', {}, '/name', '/email', '/password'),
      bad('a role that no rule names', { ...valid, role: 'boss' }, '/role'),
      bad(
        'every fault at once',
        { role: 'canary', email: 'canary', password: 'canary' },
        '/name',
        '/email',
        '/password',
        '/role',
      ),
      bad('a password of 7 characters in a list', [valid, { ...valid, password: 'canary7' }], '/1/password'),
      bad('a role in a list', [{ ...valid, role: 'canary' }], '/0/role'),
      bad('a password that is no text', { ...valid, password: null }, '/password'),
      bad('a password hash', { ...valid, password_hash: 'canary' }, '/password_hash'),
      bad('an e-mail key', { ...valid, email_key: 'canary' }, '/email_key'),
      bad('a generation', { ...valid, session_generation: 1 }, '/session_generation'),
      bad('a hidden field', { ...valid, tag: 'canary' }, '/tag'),
      bad('an age below 18', { ...valid, age: 17 }, '/age'),
      bad('a mentor that is nobody', { ...valid, mentor_id: UUID }, '/mentor_id'),
      ...['password', 'password_hash', 'email_key', 'session_generation', 'tag', 'pin'].flatMap((field) => [
        asked(`${field}=x`),
        asked(`${field}[starts_with]=$argon2`),
        asked(`or[0][${field}]=x`),
        asked(`sort=${field}`),
        asked(`fields=${field}`),
      ]),
    ],
  )

  test('PATCH answers 400 for null where an account must have something, and changes nothing', async () => {
    const { id, email } = await add()
    for (const field of ['name', 'email', 'password']) {
      const { status, body } = await send('PATCH', `/api/users/${id}`, { [field]: null })
      expect({ status, details: body.error.details }).toEqual({
        status: 400,
        details: [{ field: `/${field}`, message: 'Required' }],
      })
    }
    expect(await login(email)).toBeDefined()
  })

  test('a conflict names the field, for e-mails in any spelling and for unique fields of the profile', async () => {
    await add({ nickname: 'unique one', email: 'Zo\u00eb@example.com' })
    const { id } = await add()
    for (const [field, value] of [
      ['email', 'zoe\u0308@EXAMPLE.com'],
      ['email', '\uff3a\uff2f\u00cb@example.com'],
      ['nickname', 'unique one'],
    ] as const) {
      for (const answer of [
        await send('POST', '/api/users', {
          name: 'x',
          email: newEmail(),
          password: PASSWORD,
          [field]: value,
        }),
        await send('PATCH', `/api/users/${id}`, { [field]: value }),
      ]) {
        expect(answer.status).toBe(409)
        expect(answer.body.error.details).toEqual([
          { field: `/${field}`, message: 'Is taken by another record' },
        ])
      }
    }
  })
})

describe('what a change of an account ends', () => {
  /** An account with a session, and Basic that is known already. */
  async function signedIn(fields: Json = {}) {
    const { id, email } = await add(fields)
    const token = await login(email)
    const secret = basic(email, PASSWORD)
    expect(await statusOf('/auth/me', secret)).toBe(200)
    const standing = async () => [await statusOf('/auth/me', token), await statusOf('/auth/me', secret)]
    expect(await standing()).toEqual([200, 200])
    return { id, email, token, secret, standing, path: `/api/users/${id}` }
  }

  test('a password: every session and the old password', async () => {
    const { path, email, standing } = await signedIn()
    expect((await send('PATCH', path, { password: 'another long one' })).status).toBe(200)
    expect(await standing()).toEqual([401, 401])
    expect(await login(email, 'another long one')).toBeDefined()
  })

  test('a password by PUT: the same', async () => {
    const { path, email, standing } = await signedIn()
    expect((await send('PUT', path, { name: 'x', email, password: 'another long one' })).status).toBe(200)
    expect(await standing()).toEqual([401, 401])
  })

  test('disabling: everything at once; enabling brings no session back', async () => {
    const { path, email, standing, secret } = await signedIn()
    expect((await send('PATCH', path, { disabled: true })).body.disabled).toBe(true)
    expect(await standing()).toEqual([401, 401])
    expect((await send('POST', '/auth/login', { email, password: PASSWORD }, 'nobody')).status).toBe(401)
    expect((await send('PATCH', path, { disabled: false })).body.disabled).toBe(false)
    expect(await standing()).toEqual([401, 200])
    expect(await statusOf('/auth/me', secret)).toBe(200)
  })

  test('a role: nothing, but it counts on the next request', async () => {
    const { path, standing, token } = await signedIn()
    expect(await statusOf('/api/users', token)).toBe(403)
    await send('PATCH', path, { role: 'admin' })
    expect(await statusOf('/api/users', token)).toBe(200)
    await send('PATCH', path, { role: 'user' })
    expect(await statusOf('/api/users', token)).toBe(403)
    expect(await standing()).toEqual([200, 200])
  })

  test('the present values, and what is no secret: nothing', async () => {
    const { path, email, standing } = await signedIn()
    for (const patch of [
      {},
      { disabled: false, role: 'user', email, name: 'New' },
      { age: 33, name: 'Other', email: newEmail() },
      { email },
    ]) {
      expect((await send('PATCH', path, patch)).status).toBe(200)
    }
    expect(await standing()).toEqual([200, 200])
  })

  test('a refused change: nothing', async () => {
    const { path, standing } = await signedIn()
    expect((await send('PATCH', path, { password: 'another long one', role: 'boss' })).status).toBe(400)
    expect(
      (await send('PATCH', path, { password: 'another long one', email: 'ada@example.com' })).status,
    ).toBe(409)
    expect(await standing()).toEqual([200, 200])
  })

  test('deleting: everything; records stay without owner', async () => {
    const { path, id, email, token, standing } = await signedIn()
    const note = await post(world, '/api/notes', { text: 'stays' }, token)
    expect(note.owner_id).toBe(id)
    const gone = await send('DELETE', path)
    expect([gone.status, gone.body.id]).toEqual([200, id])
    expect(await standing()).toEqual([401, 401])
    expect((await send('GET', `/api/notes/${note.id as number}`)).body).toMatchObject({
      text: 'stays',
      owner_id: null,
    })
    expect((await send('GET', path)).status).toBe(404)
    // The e-mail is free again, and nothing of the old account comes with it.
    await add({ email })
    expect(await standing()).toEqual([401, 200])
  })

  test('deleting is refused while records refer to the account', async () => {
    const { path, id, standing } = await signedIn()
    const note = await post(world, '/api/notes', { text: 'x', reader_id: id }, world.credentials.ada)
    expect((await send('DELETE', path)).body.error).toMatchObject({ code: 'conflict' })
    expect(await standing()).toEqual([200, 200])
    await send('DELETE', `/api/notes/${note.id as number}`)
    expect((await send('DELETE', path)).status).toBe(200)
  })

  test("an author's code changes accounts alike, and sees no secret", async () => {
    const { id, email, standing } = await signedIn()
    const { seen } = await post(world, '/api/notes/reset', { id, password: 'another long one' })
    for (const secret of [...SECRETS, 'another long one']) expect(seen).not.toContain(secret)
    expect(JSON.parse(seen as string)[1]).toMatchObject({ id, email, karma: 1 })
    expect(await standing()).toEqual([401, 401])
    const token = await login(email, 'another long one')
    expect(
      (await send('POST', '/api/notes/reset', { id, password: 'short' }, 'nobody')).body.error.details,
    ).toEqual([{ field: '/password', message: 'Expected text of at least 8 characters' }])
    await post(world, '/api/notes', { text: 'praise' }, token)
    const karma = async () => (await send('GET', `/api/users/${id}`)).body.karma
    for (let tries = 0; tries < 100 && (await karma()) !== 9; tries++) await Bun.sleep(10)
    expect(await karma()).toBe(9)
    expect(await statusOf('/auth/me', token)).toBe(200)
  })

  test.each(['password_hash', 'email_key', 'session_generation', 'password'])(
    "an author's code can't ask by %s",
    async (field) => {
      for (const sort of [true, false]) {
        expect(await post(world, '/api/notes/probe', { field, sort })).toEqual({
          seen: `Resource users has no field ${field}`,
        })
      }
    },
  )
})

describe('the last administrator', () => {
  const refused: [string, string, Json | undefined][] = [
    ['demoted', 'PATCH', { role: 'user' }],
    ['demoted by a replace', 'PUT', { name: 'x', email: ADMIN.email }],
    ['disabled', 'PATCH', { disabled: true }],
    ['deleted', 'DELETE', undefined],
  ]
  const root = async () => (await send('GET', '/api/users?role=admin&disabled=false')).body.data as Json[]

  test.each(refused)('is not %s', async (_, method, body) => {
    const [admin, ...others] = await root()
    expect(others).toEqual([])
    const answer = await send(method, `/api/users/${admin?.id as string}`, body)
    expect({ status: answer.status, code: answer.body.error.code }).toEqual({ status: 409, code: 'conflict' })
    expect(answer.body.error.message).toContain('last administrator')
    expect(await root()).toEqual([expect.objectContaining({ email: ADMIN.email, name: admin?.name })])
  })

  test('may go once there is another one who can sign in', async () => {
    const disabled = await add({ role: 'admin', disabled: true })
    const [admin] = await root()
    expect((await send('PATCH', `/api/users/${admin?.id as string}`, { role: 'user' })).status).toBe(409)
    const second = await add({ role: 'admin' })
    world.credentials.second = await login(second.email)
    for (const path of [`/api/users/${disabled.id}`, `/api/users/${second.id}`]) {
      expect((await send('DELETE', path, undefined, 'second')).status).toBe(200)
    }
  })

  test("is kept against an author's code too", async () => {
    const auditor = await add({ role: 'auditor' })
    world.credentials.auditor = await login(auditor.email)
    expect((await send('POST', '/api/notes/demote', undefined, 'auditor')).status).toBe(409)
    expect(await root()).toHaveLength(1)
  })
})

describe('races for the last administrator', () => {
  const env = { HIPFLASK_ADMIN_EMAIL: ADMIN.email, HIPFLASK_ADMIN_PASSWORD: ADMIN.password }

  async function administrators(server: RunningServer, count: number) {
    const rootHeaders = basic(ADMIN.email, ADMIN.password)
    const accounts = Array.from({ length: count - 1 }, (_, index) => ({
      name: 'x',
      email: `admin${index}@example.com`,
      password: PASSWORD,
      role: 'admin',
    }))
    await post(server, '/api/users', accounts, rootHeaders)
    const list = (await (
      await server.fetch('/api/users?role=admin&limit=100', { headers: rootHeaders })
    ).json()) as Json
    return list.data.map((one: Json) => one.id as string) as string[]
  }
  const remaining = (folder: string) => {
    using database = new Database(join(folder, 'data/hipflask.db'), { readonly: true })
    return (
      database.query("SELECT count(*) AS n FROM users WHERE role = 'admin' AND NOT disabled").get() as {
        n: number
      }
    ).n
  }

  test('two that demote each other, on two processes: one of them stays', async () => {
    const folder = makeFolder()
    await using first = await startServer({ folder, env })
    await using second = await startServer({ folder, env })
    const ids = await administrators(first, 2)
    const tokens = await Promise.all(
      [ADMIN, { email: 'admin0@example.com', password: PASSWORD }].map(({ email, password }) =>
        post(first, '/auth/login', { email, password }),
      ),
    )
    for (let round = 0; round < 10; round++) {
      const statuses = await Promise.all(
        [first, second].map(async (server, index) => {
          const response = await server.fetch(`/api/users/${ids[1 - index] as string}`, {
            method: 'PATCH',
            headers: {
              'content-type': 'application/json',
              authorization: `Bearer ${tokens[index]?.access_token as string}`,
            },
            body: '{"role":"user"}',
          })
          return response.status
        }),
      )
      expect(remaining(folder)).toBe(1)
      expect(statuses.filter((status) => status === 200)).toHaveLength(1)
      const winner = statuses.indexOf(200)
      const again = await first.fetch(`/api/users/${ids[1 - winner] as string}`, {
        method: 'PATCH',
        headers: {
          'content-type': 'application/json',
          authorization: `Bearer ${tokens[winner]?.access_token as string}`,
        },
        body: '{"role":"admin"}',
      })
      expect(again.status).toBe(200)
    }
  }, 60_000)

  test('50 that are all demoted, disabled and deleted at once, on two processes: one stays', async () => {
    const folder = makeFolder()
    await using first = await startServer({ folder, env })
    await using second = await startServer({ folder, env })
    const ids = await administrators(first, 50)
    expect(ids).toHaveLength(50)
    const { access_token } = await post(first, '/auth/login', ADMIN)
    const headers = { 'content-type': 'application/json', authorization: `Bearer ${access_token as string}` }
    const changes = [
      { method: 'PATCH', body: '{"role":"user"}' },
      { method: 'PATCH', body: '{"disabled":true}' },
      { method: 'DELETE' },
    ]
    const statuses = await Promise.all(
      ids.map(async (id, index) => {
        const server = index % 2 === 0 ? first : second
        return (await server.fetch(`/api/users/${id}`, { headers, ...changes[index % 3] })).status
      }),
    )
    expect(remaining(folder)).toBeGreaterThan(0)
    expect(statuses.filter((status) => status === 200).length).toBe(50 - remaining(folder))
    expect(statuses.filter((status) => ![200, 401, 403, 409].includes(status))).toEqual([])
  }, 60_000)
})

describe('commands', () => {
  test('hipflask access and openapi know accounts', async () => {
    const access = await runCommand(['access', '--json'], { resources: RESOURCES })
    const rows = (JSON.parse(access.stdout) as Json[]).filter(({ resource }) => resource === 'users')
    expect(rows).toHaveLength(5)
    for (const row of rows)
      expect(row).toMatchObject({ anonymous: 'no', user: 'no', owner: 'no', admin: 'yes' })
    const { stdout } = await runCommand(['openapi'], { resources: RESOURCES })
    expect(stdout).toContain('"/api/users/{id}"')
    for (const secret of ['password_hash', 'email_key', 'session_generation', '"tag"'])
      expect(stdout).not.toContain(secret)
  })

  test('hipflask export prints accounts without a secret, import refuses them', async () => {
    const { exitCode, stdout, stderr } = await runCommand(['export', 'users'], { folder: world.folder })
    expect(exitCode).toBe(0)
    expect(stdout).toContain('"email":"ada@example.com"')
    for (const secret of [...SECRETS, 'canary']) expect(stdout + stderr).not.toContain(secret)
    await Bun.write(join(world.folder, 'users.ndjson'), stdout)
    const imported = await runCommand(['import', 'users', 'users.ndjson'], { folder: world.folder })
    expect(imported.exitCode).toBe(1)
    expect(imported.stderr).toMatch(/^Accounts can not be imported/)
  })
})

test('the log tells each change, by whom, and no secret', async () => {
  const email = newEmail()
  const { id } = await add({ email })
  for (const patch of [
    { role: 'editor', disabled: true, email: newEmail(), age: 50 },
    { disabled: false, password: 'canary canary' },
  ])
    await checkCase(world, {
      name: '',
      method: 'PATCH',
      path: `/api/users/${id}`,
      as: 'admin',
      body: patch,
      status: 200,
    })
  await send('DELETE', `/api/users/${id}`)
  const root = (await send('GET', '/auth/me')).body.id
  const events = world
    .log()
    .map((line) => JSON.parse(line) as Json)
    .filter((line) => line.user_id === id)
  expect(events.map(({ event }) => event)).toEqual([
    'account.created',
    'email.changed',
    'role.changed',
    'account.disabled',
    'sessions.ended',
    'account.changed',
    'password.changed',
    'account.enabled',
    'sessions.ended',
    'account.deleted',
  ])
  for (const event of events) expect(event.by_user_id).toBe(root)
  const log = world.log().join('\n')
  for (const secret of [...SECRETS, 'canary', 'another long one', email]) expect(log).not.toContain(secret)
})

test('the database holds passwords as hashes alone', async () => {
  await add({ password: 'canary in the mine' })
  for (const file of ['hipflask.db', 'hipflask.db-wal']) {
    const bytes = readFileSync(join(world.folder, 'data', file)).toString('latin1')
    for (const secret of [PASSWORD, 'another long one', 'canary in the mine']) {
      expect({ file, secret, found: bytes.includes(secret) }).toEqual({ file, secret, found: false })
    }
  }
})
