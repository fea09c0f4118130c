// Passwords of the built executable: which ones may be chosen, in which forms they sign in, by Basic too, and what many
// at once do.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { availableParallelism } from 'node:os'
import { checkCase, testCases, type Case } from '../support/cases.ts'
import { runCommand, startServer, type RunningServer } from '../support/executable.ts'
import { post } from '../support/world.ts'

const CHALLENGE = 'Basic realm="hipflask", charset="UTF-8"'
/** Hashes that wait for their turn behind those at work. */
const WAITING_MAX = 64
const KEY = '\u{1f511}'
/** 8 characters, 16 units. */
const KEYS = '\u{1f511}\u{1f5dd}\u{1f512}\u{1f511}\u{1f513}\u{1f5dd}\u{1f510}\u{1f512}'
const LONGEST = 'plum tea, '.repeat(26).slice(0, 255)

// Composed and decomposed.
const CREME = 'cr\u00e8me br\u00fbl\u00e9e :"'
const [COMPOSED, DECOMPOSED] = [CREME.normalize('NFC'), CREME.normalize('NFD')]

let server: RunningServer
beforeAll(async () => {
  server = await startServer({ env: { HIPFLASK_LOGIN_RATE_LIMIT: 'off' } })
  for (const [name, password] of Object.entries({
    ada: `:${COMPOSED}:`,
    bob: DECOMPOSED,
    eve: `${'purple lemon '.repeat(6)}a`,
    kay: KEYS,
  })) {
    await post(server, '/auth/register', { name, email: `${name}@example.com`, password })
  }
})
afterAll(async () => {
  await server?.stop()
})

describe('POST /auth/register', () => {
  let made = 0
  const register = (password: unknown, more: object = {}): Pick<Case, 'method' | 'path' | 'body'> => ({
    method: 'POST',
    path: '/auth/register',
    body: { name: 'Ada Lovelace', email: `lovelace${++made}@example.com`, password, ...more },
  })
  const takes = (what: string, password: string): Case => ({
    name: `takes a password of ${what}`,
    ...register(password),
    status: 201,
    lacks: ['password', 'argon2'],
  })
  const refuses = (what: string, password: unknown, more: Partial<Case> = {}): Case => ({
    name: `refuses a password ${what}`,
    ...register(password),
    status: 400,
    code: 'validation_failed',
    has: ['"field":"/password"'],
    lacks: ['canary'],
    ...more,
  })
  const common = { has: ['{"field":"/password","message":"Is one of the most common passwords"}'] }
  const own = { has: ['{"field":"/password","message":"Is the name or e-mail of the account"}'] }
  testCases(
    () => server,
    [
      takes('8 characters', 'plum tea'),
      takes('8 characters beyond the basic plane', KEYS),
      takes('256 characters', `${LONGEST}y`),
      takes('256 characters beyond the basic plane', KEYS.repeat(32)),
      takes(
        '256 characters, 768 decomposed',
        '\u1ec7\u1ec5\u1ed9\u1ead\u1ea5'.repeat(52).slice(0, 256).normalize('NFD'),
      ),
      takes('spaces and colons', ' : :: :a '),
      takes('a common one and more', 'trustno1 trustno1'),
      refuses('of nothing', ''),
      refuses('of 7 characters', 'canary7'),
      refuses('of 7 characters, 14 decomposed', 'e\u0301'.repeat(7)),
      refuses('of 7 characters beyond the basic plane, 14 units', KEY.repeat(7)),
      refuses('of 257 characters', `canary${'x'.repeat(251)}`),
      refuses('of 257 characters, 514 decomposed', 'e\u0301'.repeat(257)),
      refuses('of 1 KiB', 'canary7!'.repeat(128)),
      refuses('of 1 KiB and a byte', `${'canary7!'.repeat(128)}x`),
      refuses('of 1 MB', 'canary7!'.repeat(125_000)),
      refuses('of hostile marks', `a${'\u0301\u0316'.repeat(250_000)}`),
      refuses('with NUL', 'canary\0canary'),
      refuses('that is NUL', '\0'.repeat(8)),
      refuses('with a lone surrogate', 'canary canary', {
        body: `{"name":"Ada","email":"sur@example.com","password":"canary \\ud83d canary"}`,
      }),
      refuses('that is a number', 12345678),
      refuses('that is null', null),
      refuses('that is a list', ['canary canary']),
      refuses('that is common', 'password', common),
      refuses('that is common, in another case', 'TrustNo1', common),
      refuses('that is common, in digits', '12345678', common),
      refuses('that is common, one character at any length', 'x'.repeat(256), common),
      refuses('that is common, a run at any length', '12345678901234567890', common),
      refuses('that is the name', 'ADA LOVELACE', own),
      refuses('that is the e-mail', 'Ada@Example.com', {
        ...register('Ada@Example.com', { email: 'ada@example.com' }),
        ...own,
      }),
      refuses('that is the e-mail before its @', 'canary.bird', {
        ...register('canary.bird', { email: 'Canary.Bird@example.com' }),
        ...own,
      }),
    ],
  )
})

describe('HIPFLASK_ADMIN_PASSWORD', () => {
  test.each([
    ['TrustNo1', 'HIPFLASK_ADMIN_PASSWORD: Is one of the most common passwords'],
    ['Canary@Example.com', 'HIPFLASK_ADMIN_PASSWORD: Is the name or e-mail of the account'],
    ['canary7', 'HIPFLASK_ADMIN_PASSWORD must be 8 to 256 characters'],
  ])('of %j stops the start', async (password, message) => {
    const result = await runCommand(['serve', '--port', '0'], {
      env: { HIPFLASK_ADMIN_EMAIL: 'canary@example.com', HIPFLASK_ADMIN_PASSWORD: password },
    })
    expect(result).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(message) })
    expect(result.stdout + result.stderr).not.toMatch(/canary|trustno1/i)
  })
})

describe('POST /auth/login', () => {
  const login = (name: string, password: string, isRight: boolean): Case => ({
    name: `${isRight ? 'takes' : 'refuses'} ${JSON.stringify(password)} for ${name}`,
    method: 'POST',
    path: '/auth/login',
    body: { email: `${name}@example.com`, password },
    ...(isRight
      ? { status: 200, has: ['access_token'] }
      : { status: 401, code: 'invalid_credentials', header: { 'www-authenticate': /^Bearer/ } }),
  })
  testCases(
    () => server,
    [
      login('ada', `:${COMPOSED}:`, true),
      login('ada', `:${DECOMPOSED}:`, true),
      login('bob', COMPOSED, true),
      login('bob', DECOMPOSED, true),
      login('bob', COMPOSED.toUpperCase(), false),
      login('bob', `${COMPOSED} `, false),
      login('eve', `${'purple lemon '.repeat(6)}a`, true),
      // They differ beyond the 72 bytes that bcrypt knows.
      login('eve', `${'purple lemon '.repeat(6)}b`, false),
      login('eve', 'purple lemon '.repeat(6), false),
      login('kay', KEYS, true),
      login('kay', '\u{1f512}'.repeat(8), false),
      login('kay', KEY.repeat(7), false),
      login('nobody', `:${COMPOSED}:`, false),
      login('ada', '', false),
      login('ada', `${LONGEST}y`, false),
    ],
  )
  test.each([`${LONGEST}yz`, '\0\0\0\0\0\0\0\0', 'x'.repeat(1_000_000)])(
    'answers 400 for a password that none can be: %#',
    (password) =>
      checkCase(server, {
        name: '',
        method: 'POST',
        path: '/auth/login',
        body: { email: 'ada@example.com', password },
        status: 400,
        code: 'validation_failed',
        has: ['"field":"/password"'],
      }),
  )
})

describe('Basic', () => {
  const encode = (text: string | Uint8Array) => Buffer.from(text as string).toString('base64')
  const good = `ada@example.com::${COMPOSED}:`
  const basic = (name: string, encoded: string, more: Partial<Case> = {}): Case => ({
    name: `of ${name}`,
    path: '/auth/me',
    headers: { authorization: `Basic ${encoded}`.trim() },
    status: 401,
    code: 'invalid_credentials',
    header: { 'www-authenticate': CHALLENGE },
    ...more,
  })
  const signsIn = (name: string, text: string): Case => ({
    name: `of ${name} signs in`,
    path: '/auth/me',
    headers: { authorization: `Basic ${encode(text)}` },
    status: 200,
    has: ['@example.com'],
    header: { 'www-authenticate': null },
  })
  testCases(
    () => server,
    [
      signsIn('a password with colons at both ends, in UTF-8', good),
      signsIn('the same again', good),
      signsIn('a password in the other Unicode form', good.normalize('NFD')),
      signsIn('a decomposed password', `bob@example.com:${DECOMPOSED}`),
      signsIn('the same composed', `bob@example.com:${COMPOSED}`),
      signsIn('an e-mail in another case', good.replace('ada@example.com', 'ADA@Example.COM')),
      basic('nothing', ''),
      basic('text that is no base64', '!!!!'),
      basic('a credential that is not encoded', 'ada@example.com:x'),
      basic('base64 and a comma', `${encode(good)},`, {
        status: 400,
        code: 'ambiguous_credentials',
        header: {},
      }),
      basic('base64 with a space in it', `${encode(good).slice(0, 8)} ${encode(good).slice(8)}`),
      basic('one digit of base64', 'Y'),
      basic('too much padding', `${encode(good)}====`),
      basic('spare bits', 'YTpiZR=='),
      basic('no colon', encode('ada@example.com')),
      basic('one colon', encode(':')),
      basic('no e-mail', encode(`:${COMPOSED}`)),
      basic('no password', encode('ada@example.com:')),
      basic('a password without its first colon', encode(`ada@example.com:${COMPOSED}:`)),
      basic('a password without its last colon', encode(good.slice(0, -1))),
      basic('Latin-1', encode(Buffer.from(good, 'latin1'))),
      basic('bytes that are no UTF-8', encode(Buffer.from([0x61, 0x3a, 0xff, 0xfe]))),
      basic('NUL at the end', encode(`${good}\0`)),
      basic('NUL behind the e-mail', encode(good.replace(':', '\0:'))),
      basic('a line end', encode(`${good}\n`)),
      basic('a byte order mark', encode(`\ufeff${good}`)),
      basic('a space before the e-mail', encode(` ${good}`)),
      basic('another password', encode(`ada@example.com:${COMPOSED.toUpperCase()}`)),
      basic('an unknown account', encode(good.replace('ada', 'nobody'))),
      basic('a password of 257 characters', encode(`ada@example.com:${LONGEST}yz`)),
      basic('a password of 4 KB', encode(`ada@example.com:${'x'.repeat(4000)}`)),
      basic('an e-mail of 4 KB', encode(`${'x'.repeat(4000)}@example.com:x`)),
    ],
  )
})

describe('more sign-ins at once than may wait', () => {
  test('are refused with Retry-After, and the others answered', async () => {
    const atOnce = Math.max(1, availableParallelism() - 1)
    // Some are done before the last have come.
    const attempts = Array.from({ length: atOnce * 2 + WAITING_MAX + 60 }, async (_, index) => {
      const response = await server.fetch('/auth/login', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ email: `guess${index % 7}@example.com`, password: 'purple staple lemon' }),
      })
      const { error } = (await response.json()) as { error: { code: string } }
      return `${response.status} ${error.code} ${response.headers.get('retry-after')}`
    })
    const health = await server.fetch('/health/live')
    expect(health.status).toBe(200)
    const counts = Map.groupBy(await Promise.all(attempts), (answer) => answer)
    expect([...counts.keys()].sort()).toEqual(['401 invalid_credentials null', '503 unavailable 1'])
    expect(counts.get('401 invalid_credentials null')!.length).toBeGreaterThanOrEqual(atOnce + WAITING_MAX)
    await checkCase(server, {
      name: '',
      method: 'POST',
      path: '/auth/login',
      body: { email: 'kay@example.com', password: KEYS },
      status: 200,
    })
  })
})
