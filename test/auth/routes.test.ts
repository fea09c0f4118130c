import { describe, expect, spyOn, test } from 'bun:test'
import { findByEmail } from '../../src/auth/users.ts'
import { PASSWORD, createAccounts, failureOf } from './accounts.ts'

const accounts = createAccounts()
const { post } = accounts

let made = 0
const newEmail = () => `user${++made}@example.com`
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

describe('POST /auth/register', () => {
  test('answers 201 with the account and never its hash', async () => {
    const email = 'Ada.Lovelace@Example.com'
    const response = await post('/auth/register', { name: ' Ada ', email, password: PASSWORD })
    expect(response.status).toBe(201)
    expect(response.headers.get('cache-control')).toBe('no-store')
    expect(await response.json()).toEqual({
      id: expect.stringMatching(UUID),
      name: ' Ada ',
      email,
      role: 'user',
      disabled: false,
      created_at: expect.stringMatching(TIME),
      updated_at: expect.stringMatching(TIME),
    })
    const user = await findByEmail(accounts.store, email)
    expect(user?.password_hash).toStartWith('$argon2id$')
  })

  const composed = 'zo\u00eb@example.com'
  test.each([
    ['the same', 'zoe@example.com', 'zoe@example.com'],
    ['another case', 'case@example.com', 'CASE@Example.COM'],
    ['another Unicode form', composed, composed.normalize('NFD')],
    ['the other Unicode form', 'no\u0308el@example.com', 'n\u00f6el@example.com'],
    ['another case of another form', '\u00c9va@example.com', 'e\u0301va@example.com'],
    [
      'another case of another script',
      '\u0410\u0411@\u043f\u0440\u0438\u043c\u0435\u0440.\u0440\u0444',
      '\u0430\u0431@\u041f\u0420\u0418\u041c\u0415\u0420.\u0440\u0444',
    ],
    ['full width', 'wide@example.com', '\uff37\uff49\uff44\uff45@ex\uff41mple.com'],
    ['the Kelvin sign for a k', 'kelvin@example.com', '\u212aelvin@example.com'],
  ])('answers 409 for a taken e-mail in %s', async (_, first, second) => {
    await accounts.register(first)
    const response = await post('/auth/register', { name: 'Eve', email: second, password: PASSWORD })
    expect(response.status).toBe(409)
    const { error } = (await response.json()) as { error: Record<string, unknown> }
    expect(error).toMatchObject({
      code: 'conflict',
      details: [{ field: '/email', message: 'Is taken by another record' }],
    })
    expect(JSON.stringify(error)).not.toContain(second)
  })

  test('hashes nothing for an e-mail that is taken', async () => {
    const { email } = await accounts.register(newEmail())
    const hash = spyOn(accounts.passwords, 'hash')
    const { status } = await post('/auth/register', { name: 'Ada', email, password: PASSWORD })
    const calls = hash.mock.calls.length
    hash.mockRestore()
    expect({ status, calls }).toEqual({ status: 409, calls: 0 })
  })

  test('answers one of two at once for the same e-mail with 409', async () => {
    const body = { name: 'Ada', email: newEmail(), password: PASSWORD }
    const statuses = (await Promise.all([post('/auth/register', body), post('/auth/register', body)])).map(
      (response) => response.status,
    )
    expect(statuses.sort()).toEqual([201, 409])
  })

  const valid = { name: 'Ada', email: 'fresh@example.com', password: PASSWORD }
  const local = 'x'.repeat(64)
  const label = 'd'.repeat(63)
  const longest = `${local}@${label}.${label}.${'d'.repeat(57)}.com`
  test.each<[string, object, string[]]>([
    ['no field', {}, ['/name', '/email', '/password']],
    ['a name of 0 characters', { ...valid, name: '' }, ['/name']],
    ['a name of 201 characters', { ...valid, name: 'x'.repeat(201) }, ['/name']],
    ['an e-mail of 255 characters', { ...valid, email: longest.replace('.com', '.coms') }, ['/email']],
    ['an e-mail without @', { ...valid, email: 'example.com' }, ['/email']],
    ['an e-mail with a space before', { ...valid, email: ' fresh@example.com' }, ['/email']],
    ['an e-mail with a space behind', { ...valid, email: 'fresh@example.com ' }, ['/email']],
    ['a password of 7 characters', { ...valid, password: '1234567' }, ['/password']],
    ['a password of 7 characters, 14 decomposed', { ...valid, password: 'e\u0301'.repeat(7) }, ['/password']],
    [
      'a password of 7 characters beyond the basic plane',
      { ...valid, password: '\u{1f511}'.repeat(7) },
      ['/password'],
    ],
    ['a password of 257 characters', { ...valid, password: 'x'.repeat(257) }, ['/password']],
    ['a password of 1 MB', { ...valid, password: 'x'.repeat(1_000_000) }, ['/password']],
    [
      'a password of hostile marks',
      { ...valid, password: `a${'\u0301\u0316'.repeat(100_000)}` },
      ['/password'],
    ],
    ['a password with NUL', { ...valid, password: `${PASSWORD}\0` }, ['/password']],
    ['a name with NUL', { ...valid, name: 'A\0' }, ['/name']],
    ['an e-mail with NUL', { ...valid, email: 'fresh@example.com\0' }, ['/email']],
    ['a password that is a number', { ...valid, password: 12345678 }, ['/password']],
    ['a password that is null', { ...valid, password: null }, ['/password']],
    [
      'columns that are no fields',
      { ...valid, password_hash: 'x', email_key: 'x', session_generation: 7 },
      ['/email_key', '/password_hash', '/session_generation'],
    ],
    ['every fault at once', { name: '', email: 'x', password: 'canary' }, ['/email', '/name', '/password']],
  ])('answers 400 for %s', async (_, body, fields) => {
    const response = await post('/auth/register', body)
    expect(response.status).toBe(400)
    const text = await response.text()
    const { error } = JSON.parse(text) as { error: { code: string; details: { field: string }[] } }
    expect(error.code).toBe('validation_failed')
    expect([...new Set(error.details.map(({ field }) => field))].sort()).toEqual(fields.toSorted())
    expect(text).not.toContain('canary')
    expect(await findByEmail(accounts.store, valid.email)).toBeUndefined()
  })

  test('ignores what only the server and administrators set', async () => {
    const set = { id: valid.name, role: 'admin', disabled: true, created_at: '2000', last_login_at: 'x' }
    const response = await post('/auth/register', { ...valid, ...set, email: newEmail() })
    expect(response.status).toBe(201)
    const { last_login_at, ...made } = (await response.json()) as Record<string, unknown>
    expect(last_login_at).toBeUndefined()
    expect(made).toMatchObject({ id: expect.stringMatching(UUID), role: 'user', disabled: false })
    expect(made.created_at).not.toBe('2000')
  })

  test.each([[null], [[]], [[valid]], ['text'], [1], [true]])('answers 400 for the body %j', async (body) => {
    expect((await post('/auth/register', body)).status).toBe(400)
  })

  test.each([
    ['of 8 characters', 'plum tea'],
    ['of 256 characters', 'plum tea, '.repeat(26).slice(0, 256)],
    ['of 256 characters, 512 decomposed', 'e\u0301o\u0302i\u0308u\u0300a\u0301'.repeat(52).slice(0, 512)],
    ['with spaces around it', '  12345678  '],
    ['with a colon and a quote', 'a:b"c\\d:e\'f'],
  ])('takes a password %s, which then signs in', async (_, password) => {
    const email = newEmail()
    expect((await post('/auth/register', { name: 'Ada', email, password })).status).toBe(201)
    expect(await accounts.login(email, password)).toContain('.')
  })

  test('takes an e-mail of 254 characters', async () => {
    expect(longest).toHaveLength(254)
    expect((await accounts.register(longest)).email).toBe(longest)
  })

  test('answers 403 where registration is closed, and makes nothing', async () => {
    const closed = createAccounts({ registration: 'closed' })
    expect(await failureOf(await closed.post('/auth/register', valid))).toMatchObject({
      status: 403,
      code: 'forbidden',
    })
    expect(await findByEmail(closed.store, valid.email)).toBeUndefined()
  })

  test('does not look at a credential', async () => {
    const response = await accounts.send('/auth/register', {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: 'Bearer wrong', 'x-api-key': 'wrong' },
      body: JSON.stringify({ ...valid, email: newEmail() }),
    })
    expect(response.status).toBe(201)
  })
})

describe('POST /auth/login', () => {
  test('answers an access token that signs in, and notes the time', async () => {
    const { id, email, updated_at } = await accounts.register(newEmail())
    const response = await post('/auth/login', { email, password: PASSWORD })
    expect(response.status).toBe(200)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const body = (await response.json()) as Record<string, unknown>
    expect(body).toEqual({
      access_token: expect.any(String),
      refresh_token: expect.stringMatching(/^hfr_[0-9A-Za-z]{92}$/),
      token_type: 'Bearer',
      expires_in: 900,
      refresh_expires_in: 2_592_000,
    })
    const me = await accounts.me(`Bearer ${body['access_token'] as string}`)
    expect(me.status).toBe(200)
    expect(me.headers.get('cache-control')).toBe('no-store')
    expect(await me.json()).toMatchObject({
      id,
      email,
      updated_at,
      last_login_at: expect.stringMatching(TIME),
    })
  })

  test('takes the e-mail in any case and Unicode form, and the password in either form', async () => {
    const email = 'Ren\u00e9e@example.com'
    const password = 'cr\u00e8me br\u00fbl\u00e9e'
    await post('/auth/register', { name: 'Ada', email, password })
    for (const [name, secret] of [
      [email.toUpperCase(), password],
      [email.normalize('NFD').toLowerCase(), password.normalize('NFD')],
    ] as const) {
      expect(await accounts.login(name, secret)).toContain('.')
    }
    expect((await post('/auth/login', { email, password: password.toUpperCase() })).status).toBe(401)
  })

  test('has the same 401 for a wrong password, an unknown, a disabled and an impossible account', async () => {
    const { id, email } = await accounts.register(newEmail())
    const disabled = await accounts.register(newEmail())
    await accounts.change(disabled.id, { disabled: true })
    const failures = [
      { email, password: 'canary password' },
      { email, password: 'canary' },
      { email, password: '' },
      { email: 'nobody@example.com', password: PASSWORD },
      { email: disabled.email, password: PASSWORD },
      { email: 'no e-mail', password: PASSWORD },
      { email: '', password: PASSWORD },
    ]
    const texts = new Set<string>()
    for (const failure of failures) {
      const response = await post('/auth/login', failure)
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe('Bearer realm="hipflask"')
      texts.add((await response.text()).replace(/"request_id":"[^"]*"/, ''))
    }
    expect([...texts]).toHaveLength(1)
    expect([...texts][0]).toContain('invalid_credentials')
    expect((await findByEmail(accounts.store, email))?.last_login_at).toBeNull()
    expect((await findByEmail(accounts.store, disabled.email))?.id).not.toBe(id)
  })

  test.each([
    ['an e-mail of 255 characters', { email: 'x'.repeat(255), password: PASSWORD }, '/email'],
    ['a password of 257 characters', { email: 'a@example.com', password: 'x'.repeat(257) }, '/password'],
    ['an unknown field', { email: 'a@example.com', password: PASSWORD, otp: 1 }, '/otp'],
    ['no password', { email: 'a@example.com' }, '/password'],
  ])('answers 400 for %s without a check', async (_, body, field) => {
    const before = accounts.checks()
    const response = await post('/auth/login', body)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      error: { code: 'validation_failed', details: [{ field }] },
    })
    expect(accounts.checks()).toBe(before)
  })

  test.each([
    ['disabled', { disabled: true }],
    ['given another password', { password_hash: 'another' }],
  ])('answers 401 for an account that is %s while the password is checked', async (_, change) => {
    const { id, email } = await accounts.register(newEmail())
    const [response] = await Promise.all([
      post('/auth/login', { email, password: PASSWORD }),
      // The check takes tens of milliseconds off this thread, this write takes one turn of the loop.
      new Promise(setImmediate).then(() => accounts.change(id, change)),
    ])
    expect(response.status).toBe(401)
  })

  test('answers 503 with Retry-After where too many wait, without a look at who', async () => {
    const busy = createAccounts()
    const { email } = await busy.register(newEmail())
    const bodies = Array.from({ length: 70 }, (_, index) => ({
      email: index % 2 ? email : 'nobody@example.com',
      password: 'x',
    }))
    // Hashes of a form that costs nothing, so that the queue is full and soon empty again.
    await busy.change((await findByEmail(busy.store, email))?.id as string, { password_hash: 'none' })
    const statuses = await Promise.all(
      bodies.map(async (body) => {
        const response = await busy.post('/auth/login', body)
        return `${response.status} ${response.headers.get('retry-after')}`
      }),
    )
    expect(new Set(statuses)).toEqual(new Set(['401 null', '503 1']))
  }, 20_000)
})

describe('GET /auth/me', () => {
  test('answers 401 without a credential', async () => {
    expect(await failureOf(await accounts.send('/auth/me'))).toMatchObject({
      status: 401,
      code: 'unauthenticated',
    })
  })
})

test('no password and no token gets into the log', () => {
  const text = accounts.log.join('')
  for (const secret of [PASSWORD, 'canary', 'eyJ', '$argon2id']) expect(text).not.toContain(secret)
})
