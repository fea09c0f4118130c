// What a credential may still do that is revoked while its request is under way, and how accounts and keys are ended
// where the resource files are broken.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { connect } from 'node:net'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../support/executable.ts'
import { ADMIN, PASSWORD, post, startWorld, type World } from '../support/world.ts'

let world: World
let made = 0
beforeAll(async () => {
  world = await startWorld({ env: { HIPFLASK_LOG_FORMAT: 'json' } })
})
afterAll(() => world.stop())

const newEmail = () => `second${++made}@example.com`

/** An administrator with an access token and an API key. */
async function secondAdministrator() {
  const account = { email: newEmail(), password: PASSWORD }
  const { id } = await post(
    world,
    '/api/users',
    { name: 'Second', ...account, role: 'admin' },
    world.credentials['admin'],
  )
  const { access_token: token } = await post(world, '/auth/login', account)
  const bearer = { authorization: `Bearer ${token as string}` }
  const { key, id: keyId } = await post(world, '/auth/keys', { name: 'k', scopes: ['*'] }, bearer)
  return { id: id as string, ...account, bearer, key: key as string, keyId: keyId as string }
}

const send = async (method: string, path: string, headers: Record<string, string>, body?: unknown) => {
  const json = { 'content-type': 'application/json', ...headers }
  const init = body === undefined ? { headers } : { headers: json, body: JSON.stringify(body) }
  return (await world.fetch(path, { method, ...init })).status
}

/** Creates an account by a request whose body waits until `meanwhile` is done; gives the status. */
async function createSlowly(headers: Record<string, string>, meanwhile: () => Promise<unknown>) {
  const body = JSON.stringify({ name: 'Evil', email: newEmail(), password: PASSWORD, role: 'admin' })
  const { hostname, port } = new URL(world.url)
  const socket = connect(Number(port), hostname)
  const lines = Object.entries({ host: 'a', 'content-type': 'application/json', ...headers })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  socket.write(
    `POST /api/users HTTP/1.1\r\n${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body.slice(0, 5)}`,
  )
  await Bun.sleep(100)
  await meanwhile()
  socket.write(body.slice(5))
  const answer = await new Promise<string>((resolve, reject) => {
    socket.on('data', (data) => resolve(data.toString()))
    socket.on('error', reject)
  })
  socket.destroy()
  return Number(answer.split(' ')[1])
}

type Second = Awaited<ReturnType<typeof secondAdministrator>>

describe('a credential that is revoked while a body arrives does not act', () => {
  const disable = ({ id }: Second) => ({
    method: 'PATCH',
    path: `/api/users/${id}`,
    body: { disabled: true },
  })
  const bearer = (one: Second) => one.bearer
  const keyOf = (one: Second) => ({ 'x-api-key': one.key })
  const basic = ({ email, password }: Second) => ({
    authorization: `Basic ${btoa(`${email}:${password}`)}`,
  })
  test.each<
    [
      string,
      (one: Second) => Record<string, string>,
      (one: Second) => { method: string; path: string; body?: object; own?: boolean } | undefined,
      number,
    ]
  >([
    ['nothing', bearer, () => undefined, 201],
    ['an access token, by disabling', bearer, disable, 401],
    ['an access token, by logout', bearer, () => ({ method: 'POST', path: '/auth/logout', own: true }), 401],
    [
      'an access token, by another role',
      bearer,
      ({ id }) => ({ method: 'PATCH', path: `/api/users/${id}`, body: { role: 'user' } }),
      403,
    ],
    [
      'an access token, by a delete',
      bearer,
      ({ id }) => ({ method: 'DELETE', path: `/api/users/${id}` }),
      401,
    ],
    [
      'an API key, by its delete',
      keyOf,
      ({ keyId }) => ({ method: 'DELETE', path: `/auth/keys/${keyId}`, own: true }),
      401,
    ],
    ['Basic, by disabling', basic, disable, 401],
  ])('%s', async (_, credential, revocationOf, expected) => {
    const second = await secondAdministrator()
    const revocation = revocationOf(second)
    const status = await createSlowly(credential(second), async () => {
      if (revocation === undefined) return
      const { method, path, body, own } = revocation
      const by = own === true ? second.bearer : (world.credentials['admin'] as Record<string, string>)
      expect(await send(method, path, by, body)).toBeLessThan(300)
    })
    expect(status).toBe(expected)
  })

  test('nor while passwords are hashed', async () => {
    const second = await secondAdministrator()
    const before = await total()
    const many = Array.from({ length: 40 }, () => ({
      name: 'x',
      email: newEmail(),
      password: PASSWORD,
      role: 'admin',
    }))
    const creating = send('POST', '/api/users', second.bearer, many)
    await Bun.sleep(200)
    const admin = world.credentials['admin'] as Record<string, string>
    expect(await send('PATCH', `/api/users/${second.id}`, admin, { disabled: true })).toBe(200)
    expect(await creating).toBe(401)
    expect(await total()).toBe(before)
  })
})

async function total(): Promise<number> {
  const response = await world.fetch('/api/users?limit=1', { headers: world.credentials['admin'] ?? {} })
  return ((await response.json()) as { total_items: number }).total_items
}

test('right passwords at once are not taken for guesses', async () => {
  const { email, password } = await secondAdministrator()
  const body = { email, password }
  const statuses = await Promise.all(Array.from({ length: 20 }, () => send('POST', '/auth/login', {}, body)))
  expect(new Set(statuses)).toEqual(new Set([200]))
})

test('what is refused is in the log, without the credential', async () => {
  const { key, keyId, bearer } = await secondAdministrator()
  expect(await send('DELETE', `/auth/keys/${keyId}`, bearer)).toBe(204)
  expect(await send('GET', '/auth/me', { 'x-api-key': key })).toBe(401)
  expect(await send('GET', '/auth/me', { authorization: 'Bearer eyJ.canary.x' })).toBe(401)
  expect(await send('GET', '/auth/me', { authorization: 'Basic canary' })).toBe(401)
  const client = { authorization: `Basic ${btoa('x:canary')}` }
  const form = {
    method: 'POST',
    headers: client,
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  }
  expect((await world.fetch('/auth/token', form)).status).toBe(401)
  const log = world.log().join('\n')
  const events = world
    .log()
    .filter((line) => line.includes('"event"'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  for (const expected of [
    { event: 'credential.refused', method: 'API key', reason: 'invalid_token', ip: '127.0.0.1' },
    { event: 'credential.refused', method: 'access token', reason: 'invalid_token' },
    { event: 'login.failed', method: 'basic', reason: 'malformed credential' },
    { event: 'login.failed', method: 'client_credentials', reason: 'no such key' },
  ]) {
    expect(events).toContainEqual(expect.objectContaining(expected))
  }
  for (const secret of ['canary', key]) expect(log).not.toContain(secret)
})

describe('where a resource file is broken or new', () => {
  test.each([
    ['broken', 'export default 1 +'],
    [
      'new',
      "import { defineResource, t } from 'hipflask'\nexport default defineResource({ name: 'later', schema: t.Object({ a: t.String() }) })",
    ],
  ])('%s: keys and accounts are ended all the same', async (_, text) => {
    const { key, email, bearer } = await secondAdministrator()
    const file = join(world.folder, 'resources', 'later.ts')
    writeFileSync(file, text)
    const run = (...args: string[]) => runCommand(args, { folder: world.folder })
    try {
      expect((await run('key', 'revoke', key.replace(/_[^_]*$/, ''))).exitCode).toBe(0)
      expect(await send('GET', '/auth/me', { 'x-api-key': key })).toBe(401)
      expect((await run('user', 'disable', email)).exitCode).toBe(0)
      expect(await send('GET', '/auth/me', bearer)).toBe(401)
      expect((await run('user', 'list')).stdout).toContain(ADMIN.email)
    } finally {
      await Bun.file(file).delete()
    }
  })
})

test.each([
  [['user', 'list', 'ada@example.com']],
  [['user', 'list', '--role', 'admin']],
  [['user', 'disable', 'ada@example.com', '--role', 'admin']],
  [['key', 'list', 'x']],
  [['key', 'revoke', 'hf_030y7GlE4nTUwVmKoL1atP', '--user', 'ada@example.com']],
])('%p is refused: it does not do all of that', async (args) => {
  const { exitCode, stdout, stderr } = await runCommand(args, { folder: world.folder })
  expect([exitCode, stdout]).toEqual([2, ''])
  expect(stderr).toMatch(/^(Option --\w+ does not belong|There is an argument too many) .*\n$/)
})

test('OPTIONS of /auth is not to be stored either', async () => {
  const response = await world.fetch('/auth/login', { method: 'OPTIONS' })
  expect([response.status, response.headers.get('cache-control')]).toEqual([204, 'no-store'])
})
