// One's own account: register with a profile, see and change it, change the password, delete it.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { testCases, type Case } from '../support/cases.ts'
import { makeFolder, runCommand, startServer } from '../support/executable.ts'
import { ADMIN, basic, PASSWORD, post, startWorld, type World } from '../support/world.ts'

const RESOURCES = {
  'users.ts': `import { defineUsers, t } from 'hipflask'
export default defineUsers({
  profile: t.Object({
    phone: t.String({ minLength: 3, message: 'A phone number, please' }),
    age: t.Optional(t.Integer({ minimum: 18 })),
    address: t.Optional(t.Object({ city: t.String(), zip: t.Optional(t.String()) })),
    plan: t.Enum(['free', 'paid'], { default: 'free' }),
    karma: t.Integer({ readOnly: true, default: 1 }),
    tag: t.Optional(t.String({ hidden: true })),
    pin: t.Optional(t.String({ writeOnly: true })),
    handle: t.Optional(t.String({ unique: true })),
  }),
})`,
  'pets.ts': `import { defineResource, everyone, owner, signedIn, t } from 'hipflask'
export default defineResource({
  name: 'pets', owned: true,
  schema: t.Object({ name: t.String(), vet_id: t.Optional(t.String({ references: 'users' })) }),
  access: { list: everyone(), read: everyone(), create: signedIn(), update: owner(), delete: owner() },
})`,
}
const NEW_PASSWORD = 'green stapler melon'

type Json = Record<string, any>
let world: World
beforeAll(async () => {
  world = { ...(await startServer({ resources: RESOURCES, env: ENV })), credentials: {}, ids: {} }
  world.credentials.admin = basic(ADMIN.email, ADMIN.password)
})
afterAll(() => world.stop())

const ENV = {
  HIPFLASK_ADMIN_EMAIL: ADMIN.email,
  HIPFLASK_ADMIN_PASSWORD: ADMIN.password,
  HIPFLASK_LOGIN_RATE_LIMIT: 'off',
}
let made = 0
const newEmail = () => `own${++made}@example.com`
const account = (more: Json = {}) => ({
  name: 'Ada',
  email: newEmail(),
  password: PASSWORD,
  phone: '0123',
  ...more,
})

async function send(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await world.fetch(path, {
    method,
    headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const text = await response.text()
  const details = text === '' ? undefined : (JSON.parse(text) as Json).error?.details
  return {
    status: response.status,
    headers: response.headers,
    text,
    details,
    body: (text === '' ? null : JSON.parse(text)) as Json,
  }
}
const register = async (more?: Json) => (await post(world, '/auth/register', account(more))) as Json
const login = async (email: string, password = PASSWORD) => {
  const { access_token } = await post(world, '/auth/login', { email, password })
  return { authorization: `Bearer ${access_token as string}` }
}
const me = async (headers: Record<string, string>) => send('GET', '/auth/me', undefined, headers)

/** A registered account with a session. */
async function signedIn(more?: Json) {
  const { id, email } = await register(more)
  return { id: id as string, email: email as string, token: await login(email) }
}

describe('POST /auth/register with a profile', () => {
  test('answers the account with its profile, without what is hidden and secret', async () => {
    const body = account({ age: 20, address: { city: 'Graz' }, pin: '1234', handle: 'ada' })
    const answer = await send('POST', '/auth/register', body)
    expect(answer.status).toBe(201)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.body).toEqual({
      id: expect.any(String),
      name: 'Ada',
      email: body.email,
      phone: '0123',
      age: 20,
      address: { city: 'Graz' },
      plan: 'free',
      karma: 1,
      handle: 'ada',
      role: 'user',
      disabled: false,
      created_at: expect.any(String),
      updated_at: expect.any(String),
    })
  })

  test('ignores what only the server, hooks and administrators set', async () => {
    const answer = await register({
      id: 'x',
      role: 'admin',
      disabled: true,
      karma: 99,
      last_login_at: 'x',
      created_at: 'x',
    })
    expect(answer).toMatchObject({ role: 'user', disabled: false, karma: 1 })
    expect(answer).not.toHaveProperty('last_login_at')
  })

  const bad = (name: string, more: Json, ...fields: string[]): Case => ({
    name: `answers 400 for ${name}`,
    method: 'POST',
    path: '/auth/register',
    body: { ...account(), ...more },
    status: 400,
    code: 'validation_failed',
    has: fields.map((field) => `"${field}"`),
    lacks: ['canary'],
  })
  testCases(
    () => world,
    [
      bad(
        'every fault at once',
        { name: '', email: 'canary', password: 'canary', phone: '', age: 17 },
        '/name',
        '/email',
        '/password',
        '/phone',
        '/age',
        'A phone number, please',
      ),
      bad('a missing required field', { phone: undefined }, '/phone'),
      bad('a hidden field', { tag: 'canary' }, '/tag'),
      bad('an unknown field', { canary_field: 1 }, '/canary_field'),
      bad(
        'columns that are no fields',
        { password_hash: 'canary', email_key: 'x', session_generation: 1 },
        '/password_hash',
        '/email_key',
        '/session_generation',
      ),
      bad('a fault deep in the profile', { address: { zip: 5 } }, '/address/city', '/address/zip'),
    ].map((one) => ({ ...one, lacks: ['"canary"'] })),
  )

  test.each([
    ['the same', (email: string) => email],
    ['another case', (email: string) => email.toUpperCase()],
    ['full width', (email: string) => email.replace('own', '\uff4f\uff57\uff4e')],
  ])('answers 409 for a taken e-mail in %s', async (_, respell) => {
    const { email } = await register()
    const { status, details } = await send(
      'POST',
      '/auth/register',
      account({ email: respell(email as string) }),
    )
    expect({ status, details }).toEqual({
      status: 409,
      details: [{ field: '/email', message: 'Is taken by another record' }],
    })
  })

  test.each([[' own@example.com'], ['own@example.com '], ['own@example.com\0'], ['own@example.com\n']])(
    'answers 400 for the e-mail %j',
    async (email) => {
      expect((await send('POST', '/auth/register', account({ email }))).status).toBe(400)
    },
  )

  test('answers 409 for a unique field of the profile that is taken', async () => {
    await register({ handle: 'taken' })
    const { status, details } = await send('POST', '/auth/register', account({ handle: 'taken' }))
    expect({ status, fields: details.map(({ field }: Json) => field) }).toEqual({
      status: 409,
      fields: ['/handle'],
    })
  })

  test('answers 403 where registration is closed, whatever the body says', async () => {
    await using closed = await startServer({ env: { HIPFLASK_REGISTRATION: 'closed' } })
    for (const body of [{}, account(), { password: 'x' }]) {
      const response = await closed.fetch('/auth/register', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
      expect([response.status, ((await response.json()) as Json).error.code]).toEqual([403, 'forbidden'])
    }
  })
})

describe('PATCH /auth/me', () => {
  test('changes name and profile by merge patch, in depth', async () => {
    const { token, id } = await signedIn({ age: 20, address: { city: 'Graz', zip: '8010' } })
    const patch = { name: 'Eva', age: null, address: { zip: null }, plan: 'paid', pin: '9' }
    const type = { 'content-type': 'application/merge-patch+json' }
    const answer = await send('PATCH', '/auth/me', patch, { ...token, ...type })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(answer.body).toMatchObject({ id, name: 'Eva', address: { city: 'Graz' }, plan: 'paid' })
    expect(answer.body.address).not.toHaveProperty('zip')
    expect(answer.body).not.toHaveProperty('age')
    expect((await me(token)).body).toEqual(answer.body)
  })

  test('ignores what only the server, hooks and administrators set, so that what was read can be sent back', async () => {
    const { token } = await signedIn()
    const before = (await me(token)).body
    const set = {
      id: 'x',
      role: 'admin',
      disabled: true,
      karma: 99,
      last_login_at: null,
      created_at: 'x',
      updated_at: 'x',
    }
    const { updated_at: _, ...kept } = before
    for (const patch of [set, before]) {
      const { status, body } = await send('PATCH', '/auth/me', patch, token)
      expect(status).toBe(200)
      expect(body).toMatchObject(kept)
    }
    expect((await send('GET', '/api/users', undefined, token)).status).toBe(403)
  })

  test.each<[string, unknown, string[]]>([
    ['a password', { password: NEW_PASSWORD }, ['/password']],
    ['null for what is required', { name: null, email: null, phone: null }, ['/name', '/email', '/phone']],
    [
      'columns that are no fields',
      { password_hash: 'x', session_generation: 0 },
      ['/password_hash', '/session_generation'],
    ],
    ['a hidden field', { tag: 'x' }, ['/tag']],
    [
      'all faults at once',
      { age: 1, password: 'x', current_password: 5, nope: 1 },
      ['/age', '/password', '/current_password', '/nope'],
    ],
    ['a new e-mail without the password', { email: 'other@example.com' }, ['/current_password']],
    ['a bad e-mail with a wrong password', { email: 'other', current_password: 'wrong' }, ['/email']],
    [
      'a current password of 257 characters',
      { email: 'other@example.com', current_password: 'x'.repeat(257) },
      ['/current_password'],
    ],
    ['a list', [], ['']],
    ['null', null, ['']],
    ['text', 'x', ['']],
  ])('answers 400 for %s', async (_, body, fields) => {
    const { token } = await signedIn()
    const before = (await me(token)).body
    const { status, details } = await send('PATCH', '/auth/me', body, token)
    expect({ status, fields: details?.map(({ field }: Json) => field).sort() }).toEqual({
      status: 400,
      fields: fields.toSorted(),
    })
    expect((await me(token)).body).toEqual(before)
  })

  test('says where a password is changed', async () => {
    const { token } = await signedIn()
    const { details } = await send('PATCH', '/auth/me', { password: NEW_PASSWORD }, token)
    expect(details).toEqual([{ field: '/password', message: 'Is changed by POST /auth/password' }])
  })

  test('takes a new e-mail with the current password; it signs in then, and the sessions go on', async () => {
    const { token, email } = await signedIn()
    const other = newEmail()
    const wrong = await send('PATCH', '/auth/me', { email: other, current_password: 'wrong' }, token)
    expect([wrong.status, wrong.body.error.code]).toEqual([401, 'invalid_credentials'])
    expect(wrong.headers.get('www-authenticate')).toContain('Bearer')
    const right = await send('PATCH', '/auth/me', { email: other, current_password: PASSWORD }, token)
    expect([right.status, right.body.email]).toEqual([200, other])
    expect((await me(token)).body.email).toBe(other)
    expect((await send('POST', '/auth/login', { email, password: PASSWORD })).status).toBe(401)
    expect(await login(other)).toBeDefined()
  })

  test('takes another case of the own e-mail, and asks for the password too', async () => {
    const { token, email } = await signedIn()
    const upper = email.toUpperCase()
    expect((await send('PATCH', '/auth/me', { email: upper }, token)).status).toBe(400)
    const { body } = await send('PATCH', '/auth/me', { email: upper, current_password: PASSWORD }, token)
    expect(body.email).toBe(upper)
    expect((await send('PATCH', '/auth/me', { email: upper }, token)).status).toBe(200)
  })

  test('answers 409 for an e-mail that another account has, and changes nothing', async () => {
    const other = await register()
    const { token, email } = await signedIn()
    const patch = { name: 'Else', email: (other.email as string).toUpperCase(), current_password: PASSWORD }
    expect((await send('PATCH', '/auth/me', patch, token)).status).toBe(409)
    expect((await me(token)).body).toMatchObject({ name: 'Ada', email })
  })
})

describe('POST /auth/password', () => {
  const change = (headers: Record<string, string>, more: Json = {}) =>
    send(
      'POST',
      '/auth/password',
      { current_password: PASSWORD, new_password: NEW_PASSWORD, ...more },
      headers,
    )

  test('ends all other sessions and the old password; the session that asks goes on', async () => {
    const { token, email } = await signedIn()
    const others = [await login(email), await login(email), basic(email, PASSWORD)]
    for (const one of others) expect((await me(one)).status).toBe(200)
    const answer = await change(token)
    expect([answer.status, answer.text, answer.headers.get('cache-control')]).toEqual([204, '', 'no-store'])
    for (const one of others) expect((await me(one)).status).toBe(401)
    expect((await me(token)).status).toBe(200)
    expect((await send('POST', '/auth/login', { email, password: PASSWORD })).status).toBe(401)
    expect((await me(await login(email, NEW_PASSWORD))).status).toBe(200)
    // And once more: a session that was kept is like any other.
    const last = await login(email, NEW_PASSWORD)
    expect((await change(last, { current_password: NEW_PASSWORD, new_password: PASSWORD })).status).toBe(204)
    expect([(await me(token)).status, (await me(last)).status]).toEqual([401, 200])
  })

  test('by e-mail and password ends every session', async () => {
    const { token, email } = await signedIn()
    expect((await change(basic(email, PASSWORD))).status).toBe(204)
    expect((await me(token)).status).toBe(401)
    expect((await me(basic(email, NEW_PASSWORD))).status).toBe(200)
  })

  test('takes either Unicode form of both', async () => {
    const [first, second] = ['cr\u00e8me br\u00fbl\u00e9e', 'brie\u0300s et fourmes']
    const { email } = await register({ password: first })
    const token = await login(email as string, first)
    const change = { current_password: first.normalize('NFD'), new_password: second }
    expect((await send('POST', '/auth/password', change, token)).status).toBe(204)
    expect(await login(email as string, second.normalize('NFC'))).toBeDefined()
    const same = { current_password: second, new_password: second.normalize('NFC') }
    expect((await send('POST', '/auth/password', same, token)).status).toBe(400)
  })

  test.each<[string, Json, number, string, string[]]>([
    ['a wrong current password', { current_password: 'wrong' }, 401, 'invalid_credentials', []],
    ['an empty current password', { current_password: '' }, 401, 'invalid_credentials', []],
    ['no current password', { current_password: undefined }, 400, 'validation_failed', ['/current_password']],
    [
      'a new password of 7 characters',
      { new_password: 'canary7' },
      400,
      'validation_failed',
      ['/new_password'],
    ],
    [
      'a new password of 257 characters',
      { new_password: 'x'.repeat(257) },
      400,
      'validation_failed',
      ['/new_password'],
    ],
    ['the same password', { new_password: PASSWORD }, 400, 'validation_failed', ['/new_password']],
    [
      'a short one and a wrong one',
      { current_password: 'wrong', new_password: 'canary' },
      400,
      'validation_failed',
      ['/new_password'],
    ],
    ['an unknown field', { password: 'x' }, 400, 'validation_failed', ['/password']],
  ])('refuses %s and ends nothing', async (_, more, status, code, fields) => {
    const { token, email } = await signedIn()
    const other = await login(email)
    const answer = await change(token, more)
    expect([answer.status, answer.body.error.code]).toEqual([status, code])
    expect(answer.details.map(({ field }: Json) => field)).toEqual(fields)
    expect(answer.text).not.toContain('canary')
    expect([(await me(token)).status, (await me(other)).status]).toEqual([200, 200])
    expect(await login(email)).toBeDefined()
  })

  test('leaves no session of a login with the old password that came at once', async () => {
    const { token, email } = await signedIn()
    for (const [from, to] of [
      [PASSWORD, NEW_PASSWORD],
      [NEW_PASSWORD, PASSWORD],
    ] as const) {
      const logins = Array.from({ length: 6 }, () => send('POST', '/auth/login', { email, password: from }))
      const [changed, ...answers] = await Promise.all([
        change(token, { current_password: from, new_password: to }),
        ...logins,
        ...Array.from({ length: 6 }, () => send('POST', '/auth/login', { email, password: from })),
      ])
      expect(changed?.status).toBe(204)
      for (const { status, body } of answers) {
        expect([200, 401]).toContain(status)
        if (status === 200) {
          expect((await me({ authorization: `Bearer ${body.access_token as string}` })).status).toBe(401)
        }
      }
      expect((await me(token)).status).toBe(200)
    }
  }, 30_000)
})

describe('DELETE /auth/me', () => {
  test('deletes the account with its sessions; its records stay without owner', async () => {
    const { token, email } = await signedIn()
    const pet = await post(world, '/api/pets', { name: 'Rex' }, token)
    const answer = await send('DELETE', '/auth/me', undefined, token)
    expect([answer.status, answer.text]).toEqual([204, ''])
    expect((await me(token)).status).toBe(401)
    expect((await me(basic(email, PASSWORD))).status).toBe(401)
    expect((await send('GET', `/api/pets/${pet.id as number}`)).body).toMatchObject({
      name: 'Rex',
      owner_id: null,
    })
    expect((await send('POST', '/auth/register', account({ email }))).status).toBe(201)
  })

  test('answers 409 while records refer to the account, and for the last administrator', async () => {
    const { token, id } = await signedIn()
    await post(world, '/api/pets', { name: 'Rex', vet_id: id }, token)
    for (const headers of [token, basic(ADMIN.email, ADMIN.password)]) {
      const { status, body } = await send('DELETE', '/auth/me', undefined, headers)
      expect([status, body.error.code]).toEqual([409, 'conflict'])
      expect((await me(headers)).status).toBe(200)
    }
  })
})

test('without a credential all of /auth/me and /auth/password are 401', async () => {
  for (const [method, path, body] of [
    ['GET', '/auth/me'],
    ['PATCH', '/auth/me', { name: 'x' }],
    ['DELETE', '/auth/me'],
    ['POST', '/auth/password', { current_password: PASSWORD, new_password: NEW_PASSWORD }],
  ] as const) {
    const { status, body: answer, headers } = await send(method, path, body)
    expect([status, answer.error.code]).toEqual([401, 'unauthenticated'])
    expect(headers.get('www-authenticate')).toContain('Bearer')
  }
})

test('the log tells what happened to an account, by nobody else, and no secret', async () => {
  const { token, id, email } = await signedIn()
  const other = newEmail()
  await send('PATCH', '/auth/me', { email: other, current_password: PASSWORD, age: 40 }, token)
  await send('POST', '/auth/password', { current_password: 'canary', new_password: NEW_PASSWORD }, token)
  await send('POST', '/auth/password', { current_password: PASSWORD, new_password: NEW_PASSWORD }, token)
  await send('DELETE', '/auth/me', undefined, token)
  const lines = world.log().map((line) => JSON.parse(line) as Json)
  const events = lines.filter(({ user_id }) => user_id === id)
  expect(events.map(({ event }) => event)).toEqual([
    'account.registered',
    'login.succeeded',
    'email.changed',
    'account.changed',
    'login.failed',
    'password.changed',
    'sessions.ended',
    'account.deleted',
  ])
  for (const event of events) expect(event).not.toHaveProperty('by_user_id')
  const log = world.log().join('\n')
  for (const secret of [PASSWORD, NEW_PASSWORD, 'canary', '$argon2', email, other])
    expect(log).not.toContain(secret)
})

describe('defineUsers', () => {
  const users = (profile: string, file = 'users.ts') => ({
    [file]: `import { defineUsers, t } from 'hipflask'\nexport default defineUsers(${profile})`,
  })
  const profile = (fields: string) => users(`{ profile: t.Object({ ${fields} }) }`)

  test.each<[string, Record<string, string>, RegExp]>([
    [
      'a field that accounts have',
      profile('email: t.String()'),
      /users\.ts: field 'email': accounts have it already; choose another name/,
    ],
    [
      'a column that accounts have',
      profile('password_hash: t.Optional(t.String())'),
      /field 'password_hash': accounts have it already/,
    ],
    ['a reserved name', profile('owner: t.String()'), /field 'owner': the name is reserved; choose another/],
    [
      'an unknown option',
      users('{ profile: t.Object({}), roles: [] }'),
      /option 'roles' is not known; the only option is profile/,
    ],
    ['no profile', users('{}'), /option 'profile' must be t\.Object/],
    ['no object', users('null'), /defineUsers needs an object/],
    [
      'an unsettable field',
      profile('x: t.String({ hidden: true })'),
      /field 'x': no body can set a 'hidden' field/,
    ],
    [
      'a missing reference',
      profile("x_id: t.Integer({ references: 'nothing' })"),
      /field 'x_id': it references 'nothing', which no file declares/,
    ],
    [
      'two of them',
      { ...profile(''), ...users('{ profile: t.Object({}) }', 'more.ts') },
      /users\.ts: defineUsers is in more\.ts already; put all fields of accounts in one/,
    ],
  ])('with %s stops the start and says where', async (_, resources, message) => {
    const { exitCode, stderr } = await runCommand(['openapi'], { resources })
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(/\bat .*:\d+:\d+/)
  })

  test('in a file of any name, with references to and from resources', async () => {
    const resources = {
      ...users(
        "{ profile: t.Object({ team_id: t.Optional(t.Integer({ references: 'teams' })) }) }",
        'people.ts',
      ),
      'teams.ts': `import { defineResource, t } from 'hipflask'
export default defineResource({ name: 'teams', owned: true, schema: t.Object({ lead_id: t.Optional(t.String({ references: 'users' })) }) })`,
    }
    await using server = await startServer({ resources, env: ENV })
    const admin = basic(ADMIN.email, ADMIN.password)
    const team = await post(server, '/api/teams', {}, admin)
    const body = { name: 'x', email: 'x@example.com', password: PASSWORD, team_id: team.id }
    expect(await post(server, '/auth/register', body)).toMatchObject({ team_id: 1 })
    const response = await server.fetch('/api/users?expand=team&team_id=1', { headers: admin })
    expect(((await response.json()) as Json).data[0].team).toMatchObject({ id: 1 })
    expect((await server.fetch('/api/teams/1', { method: 'DELETE', headers: admin })).status).toBe(409)
  })

  test('adds columns to a database that has accounts, also required ones; what is dropped is refused', async () => {
    const folder = makeFolder()
    const serve = async (resources: Record<string, string>) => startServer({ folder, resources, env: ENV })
    const first = await serve(profile(''))
    await post(first, '/auth/register', { name: 'Old', email: 'old@example.com', password: PASSWORD })
    await first.stop()
    const second = await serve(
      profile("age: t.Optional(t.Integer()), plan: t.String({ default: 'free' }), phone: t.String()"),
    )
    const old = basic('old@example.com', PASSWORD)
    const meOf = async () => (await (await second.fetch('/auth/me', { headers: old })).json()) as Json
    expect(await meOf()).toMatchObject({ plan: 'free' })
    expect(await meOf()).not.toHaveProperty('phone')
    // What an account lacks is asked of new ones, and does not stand in the way of other changes.
    const patched = await second.fetch('/auth/me', {
      method: 'PATCH',
      headers: { ...old, 'content-type': 'application/json' },
      body: '{"age":30}',
    })
    expect(patched.status).toBe(200)
    expect(await meOf()).toMatchObject({ age: 30 })
    await second.stop()
    await expect(serve(profile("plan: t.String({ default: 'free' }), phone: t.String()"))).rejects.toThrow(
      /Column users\.age is stored but not declared/,
    )
  }, 30_000)
})

describe('guesses', () => {
  const limited = () => startServer({ env: { ...ENV, HIPFLASK_LOGIN_RATE_LIMIT: '2/15m' } })
  const send = async (
    server: Pick<World, 'fetch'>,
    [method, path]: readonly [string, string],
    [body, headers = {}]: readonly [unknown, Record<string, string>?],
  ) => {
    const response = await server.fetch(path, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
    await response.arrayBuffer()
    return `${response.status} ${response.headers.get('retry-after') === null ? '' : 'later'}`.trim()
  }
  const account = { name: 'Ada', email: 'ada@example.com', password: PASSWORD }

  test.each([
    ['at a new password', 'POST', '/auth/password', { new_password: NEW_PASSWORD }],
    ['at a new e-mail', 'PATCH', '/auth/me', { email: 'other@example.com' }],
  ] as const)('of the current password are limited like logins %s', async (_, method, path, more) => {
    await using server = await limited()
    await post(server, '/auth/register', account)
    const { access_token } = await post(server, '/auth/login', { email: account.email, password: PASSWORD })
    const token = { authorization: `Bearer ${access_token as string}` }
    const attempt = (current_password: string) =>
      send(server, [method, path], [{ ...more, current_password }, token])
    expect([await attempt('wrong'), await attempt('wrong')]).toEqual(['401', '401'])
    expect([await attempt('wrong'), await attempt(PASSWORD)]).toEqual(['429 later', '429 later'])
    expect((await server.fetch('/auth/me', { headers: token })).status).toBe(200)
  })

  test('of e-mails that are taken are limited by network; what is registered or invalid is not counted', async () => {
    await using server = await limited()
    const register = (body: object) => send(server, ['POST', '/auth/register'], [body])
    for (let index = 0; index < 3; index++) {
      expect(await register({ ...account, email: `free${index}@example.com` })).toBe('201')
    }
    for (let index = 0; index < 12; index++) expect(await register({ ...account, name: '' })).toBe('400')
    const taken = { ...account, email: 'free0@example.com' }
    for (let index = 0; index < 10; index++) expect(await register(taken)).toBe('409')
    expect([await register(taken), await register(account)]).toEqual(['429 later', '429 later'])
  })
})

test('the starter has an age for accounts', async () => {
  await using server = await startWorld({ resources: {} })
  const body = { name: 'x', email: 'x@example.com', password: PASSWORD }
  const send = (age: number) =>
    server.fetch('/auth/register', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ ...body, age }),
    })
  expect([(await send(17)).status, (await send(18)).status]).toEqual([400, 201])
})
