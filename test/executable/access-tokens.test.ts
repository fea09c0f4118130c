// Access tokens that were not given out by the server, or not like this: of each algorithm every one is refused, and
// none makes the server ask anybody else.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { KeyObject } from 'node:crypto'
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from 'jose'
import { rawRequest } from '../support/executable.ts'
import {
  ALGORITHMS,
  forge,
  newKey,
  part,
  startSigning,
  twinOf,
  type Algorithm,
  type SigningServer,
} from '../support/signers.ts'

const CHALLENGE = 'Bearer realm="hipflask", error="invalid_token"'
const AT_ONCE = 16
const FLIPS_TIMEOUT_MS = 120_000

const servers = new Map<Algorithm, SigningServer>()
const serverOf = (algorithm: Algorithm) => servers.get(algorithm) as SigningServer
let connections = 0
const listener = Bun.listen({
  hostname: '127.0.0.1',
  port: 0,
  socket: { open: () => void (connections += 1), data: () => {} },
})
const elsewhere = `http://127.0.0.1:${listener.port}/keys`

beforeAll(async () => {
  for (const algorithm of ALGORITHMS) servers.set(algorithm, await startSigning(algorithm))
}, 60_000)
afterAll(async () => {
  for (const server of servers.values()) expect(await server.stop()).toBe(0)
  listener.stop(true)
})

interface Outcome {
  status: number
  code: string
  challenge: string | null
}
const INVALID: Outcome = { status: 401, code: 'invalid_token', challenge: CHALLENGE }
const GOOD: Outcome = { status: 200, code: 'good', challenge: null }

/** What GET /auth/me answers; undefined where no request could be made of it. */
async function outcomeOf(server: SigningServer, token: string): Promise<Outcome | undefined> {
  let headers: Headers
  try {
    headers = new Headers({ authorization: `Bearer ${token}` })
  } catch {
    return undefined
  }
  const response = await server.fetch('/auth/me', { headers })
  const text = await response.text()
  if (response.status === 400 && text === '') return undefined
  const body = JSON.parse(text) as { error?: { code: string } }
  const challenge = response.headers.get('www-authenticate')
  return { status: response.status, code: body.error?.code ?? 'good', challenge }
}

describe.each([...ALGORITHMS])('%s', (algorithm) => {
  const seconds = () => Math.floor(Date.now() / 1000)
  const own = () => serverOf(algorithm)
  const head = (changes: object = {}) => ({ ...own().header, ...changes })
  const claims = (changes: object = {}) => ({ ...own().payload, ...changes })
  const signed = (header: unknown, payload: unknown) => forge(header, payload, own())
  const foreign = (header: unknown, payload: unknown) => {
    const key = algorithm === 'HS256' ? `${own().key as string}x` : newKey(algorithm)
    return forge(header, payload, { algorithm, key })
  }

  test('gives a token of its own name and key, which it takes', async () => {
    const { header, payload, token } = own()
    expect(header).toEqual({ alg: algorithm, typ: 'at+jwt', kid: expect.any(String) })
    expect(Object.keys(payload).toSorted()).toEqual('aud exp iat iss jti role sid sub'.split(' '))
    expect(payload).toMatchObject({ iss: 'hipflask', aud: 'hipflask' })
    expect(await outcomeOf(own(), token)).toEqual(GOOD)
  })

  test(
    'refuses a token with any single bit flipped',
    async () => {
      const bytes = Buffer.from(own().token)
      const found = new Map<string, number>()
      const count = (name: string) => found.set(name, (found.get(name) ?? 0) + 1)
      let next = 0
      const worker = async () => {
        while (next < bytes.length * 8) {
          const bit = next++
          const flipped = Buffer.from(bytes)
          flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
          const text = flipped.toString('latin1')
          const outcome = await outcomeOf(own(), text)
          if (outcome === undefined) count('refused by HTTP')
          // HTTP joins two header lines by a comma, so that this is two credentials.
          else if (text.includes(',')) count(`with a comma: ${outcome.status} ${outcome.code}`)
          else count(`${outcome.status} ${outcome.code} ${outcome.challenge}`)
        }
      }
      await Promise.all(Array.from({ length: AT_ONCE }, worker))
      const total = [...found.values()].reduce((sum, one) => sum + one, 0)
      expect(total).toBe(bytes.length * 8)
      const invalid = found.get(`401 invalid_token ${CHALLENGE}`) ?? 0
      expect(invalid).toBeGreaterThan(total * 0.7)
      const others = [...found.keys()].filter((name) => !name.startsWith('401 invalid_token '))
      for (const name of others)
        expect(['refused by HTTP', 'with a comma: 400 ambiguous_credentials']).toContain(name)
      expect(await outcomeOf(own(), own().token)).toEqual(GOOD)
    },
    FLIPS_TIMEOUT_MS,
  )

  test('refuses every other spelling of a token, known or not', async () => {
    const { token } = own()
    const [header, payload, signature] = token.split('.') as [string, string, string]
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const spare = alphabet[alphabet.indexOf(signature.at(-1) as string) + 1] as string
    // With - and _ in it, so that plain base64 differs.
    let special = token
    while (!/[-_][^.]*$/.test(special)) special = signed(head(), claims({ jti: Bun.randomUUIDv7() }))
    expect(await outcomeOf(own(), special)).toEqual(GOOD)
    const plain = special
      .split('.')
      .map((one, at) => (at < 2 ? one : one.replaceAll('-', '+').replaceAll('_', '/')))
    const texts = [
      `${token}=`,
      `${token}==`,
      `${header}=.${payload}.${signature}`,
      `${header}.${payload}=.${signature}`,
      `${token.slice(0, -1)}${spare}`,
      `${token}A`,
      `${token}.`,
      `.${token}`,
      `${token}.${signature}`,
      `${header}.${payload}`,
      `${header}.${payload}.`,
      `${header}..${signature}`,
      `${header}.${payload} .${signature}`,
      `${header.slice(0, 5)} ${header.slice(5)}.${payload}.${signature}`,
      `${header}\t.${payload}.${signature}`,
      `${header}.${payload}.${signature}%3D`,
      `"${token}"`,
      encodeURIComponent(`${token} `),
      plain.join('.'),
      token.toLowerCase(),
      Buffer.from(token).toString('base64url'),
    ]
    for (const text of texts) {
      expect(text).not.toBe(token)
      expect([text, await outcomeOf(own(), text)]).toEqual([text, INVALID])
    }
    const folded = `GET /auth/me HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${header}.\r\n ${payload}.${signature}\r\n\r\n`
    expect(await rawRequest(own().url, folded)).toMatch(/^HTTP\/1\.1 40[01] /)
    expect(await outcomeOf(own(), token)).toEqual(GOOD)
  })

  const other = (name: Algorithm) => serverOf(name)
  const withoutSignature = (header: unknown) => `${part(header)}.${part(claims())}.`
  /** The token of the header `text`, which need not be JSON of ours. */
  const respelt = (change: (text: string) => string) => signed(change(JSON.stringify(head())), claims())
  const cases: readonly (readonly [
    name: string,
    outcome: 'good' | 'invalid' | 'expired' | 'revoked',
    () => string,
  ])[] = [
    ['our own signature', 'good', () => signed(head(), claims())],
    ['a foreign key', 'invalid', () => foreign(head(), claims())],
    [
      'a foreign key that is sent along',
      'invalid',
      () => foreign(head({ jwk: { kty: 'oct', k: 'AAAA' } }), claims()),
    ],
    ['jku', 'invalid', () => foreign(head({ jku: elsewhere }), claims())],
    ['jku, our own signature', 'invalid', () => signed(head({ jku: elsewhere }), claims())],
    ['x5u', 'invalid', () => foreign(head({ x5u: elsewhere }), claims())],
    ['x5u, our own signature', 'invalid', () => signed(head({ x5u: elsewhere }), claims())],
    ['x5c', 'invalid', () => signed(head({ x5c: ['AAAA'] }), claims())],
    ['jwk, our own signature', 'invalid', () => signed(head({ jwk: {} }), claims())],
    ['an issuer elsewhere', 'invalid', () => signed(head(), claims({ iss: elsewhere }))],
    ['crit of a known extension', 'invalid', () => signed(head({ crit: ['b64'], b64: true }), claims())],
    ['crit of an unknown extension', 'invalid', () => signed(head({ crit: ['x'], x: 1 }), claims())],
    ['crit empty', 'invalid', () => signed(head({ crit: [] }), claims())],
    ['b64 false', 'invalid', () => signed(head({ b64: false }), claims())],
    ['zip', 'invalid', () => signed(head({ zip: 'DEF' }), claims())],
    ['cty', 'invalid', () => signed(head({ cty: 'JWT' }), claims())],
    ['alg none, unsigned', 'invalid', () => withoutSignature(head({ alg: 'none' }))],
    ['alg None, unsigned', 'invalid', () => withoutSignature(head({ alg: 'None' }))],
    ['alg none, signed', 'invalid', () => signed(head({ alg: 'none' }), claims())],
    ['alg empty', 'invalid', () => signed(head({ alg: '' }), claims())],
    ['alg absent', 'invalid', () => signed(head({ alg: undefined }), claims())],
    ['alg in lower case', 'invalid', () => signed(head({ alg: algorithm.toLowerCase() }), claims())],
    ['alg a list', 'invalid', () => signed(head({ alg: [algorithm] }), claims())],
    ['our own name, unsigned', 'invalid', () => withoutSignature(head())],
    ...['HS384', 'HS512', 'RS384', 'RS512', 'PS256', 'ES384', 'ES512', 'ES256K', 'ML-DSA-44'].map(
      (alg) => [`alg ${alg}`, 'invalid', () => signed(head({ alg }), claims())] as const,
    ),
    ...ALGORITHMS.filter((name) => name !== algorithm).flatMap((name) => [
      [`alg ${name}, our own signature`, 'invalid', () => signed(head({ alg: name }), claims())] as const,
      [
        `the key and alg of ${name} under our kid`,
        'invalid',
        () => forge(head({ alg: name }), claims(), other(name)),
      ] as const,
      [`the key of ${name} under our alg`, 'invalid', () => forge(head(), claims(), other(name))] as const,
      [`a whole token of a server of ${name}`, 'invalid', () => other(name).token] as const,
    ]),
    ...[
      undefined,
      null,
      '',
      0,
      1,
      true,
      [],
      {},
      '../../../../dev/null',
      '/proc/self/environ',
      "' OR 1=1 --",
      "x' UNION SELECT 'k",
      '__proto__',
      'constructor',
      'x'.repeat(4000),
      elsewhere,
      '*',
      'a\0b',
      '\ud800',
    ].map(
      (kid) =>
        [
          `kid ${JSON.stringify(kid)?.slice(0, 40)}`,
          'invalid',
          () => signed(head({ kid }), claims()),
        ] as const,
    ),
    ['kid in a list', 'invalid', () => signed(head({ kid: [own().header['kid']] }), claims())],
    [
      'kid with a path before it',
      'invalid',
      () => signed(head({ kid: `./${own().header['kid'] as string}` }), claims()),
    ],
    [
      'kid with its file’s end',
      'invalid',
      () => signed(head({ kid: `${own().header['kid'] as string}.pem` }), claims()),
    ],
    [
      'kid in upper case',
      'invalid',
      () => signed(head({ kid: `${own().header['kid'] as string}`.toUpperCase() }), claims()),
    ],
    [
      'kid of another server',
      'invalid',
      () => signed(head({ kid: other(algorithm === 'ES256' ? 'RS256' : 'ES256').header['kid'] }), claims()),
    ],
    ['typ JWT', 'invalid', () => signed(head({ typ: 'JWT' }), claims())],
    ['typ of an ID token', 'invalid', () => signed(head({ typ: 'id+jwt' }), claims())],
    ['typ absent', 'invalid', () => signed(head({ typ: undefined }), claims())],
    ['alg twice in the header', 'invalid', () => respelt((text) => text.replace('{', '{"alg":"none",'))],
    ['alg twice, the other order', 'invalid', () => respelt((text) => text.replace('}', ',"alg":"none"}'))],
    ['kid twice in the header', 'invalid', () => respelt((text) => text.replace('{', '{"kid":"x",'))],
    ['a header with a space', 'invalid', () => respelt((text) => text.replace('{', '{ '))],
    ['a header with a byte order mark', 'invalid', () => respelt((text) => `\ufeff${text}`)],
    ['a header that is a list', 'invalid', () => respelt((text) => `[${text}]`)],
    ['a header that is null', 'invalid', () => signed('null', claims())],
    ['a header that is no JSON', 'invalid', () => signed('x', claims())],
    ['a payload that is a list', 'invalid', () => signed(head(), '[]')],
    ['a payload that is null', 'invalid', () => signed(head(), 'null')],
    ['a payload that is no JSON', 'invalid', () => signed(head(), 'x')],
    ['a payload that is no UTF-8', 'invalid', () => signed(head(), '\ud800')],
    ['another issuer', 'invalid', () => signed(head(), claims({ iss: 'hipflask.example' }))],
    ['another audience', 'invalid', () => signed(head(), claims({ aud: 'hipflask2' }))],
    ['an empty list of audiences', 'invalid', () => signed(head(), claims({ aud: [] }))],
    ...['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'].map(
      (name) => [`no ${name}`, 'invalid', () => signed(head(), claims({ [name]: undefined }))] as const,
    ),
    ...['sub', 'sid', 'jti'].flatMap((name) =>
      [null, 1, [], {}, ''].map(
        (value) =>
          [
            `${name} ${JSON.stringify(value)}`,
            'invalid',
            () => signed(head(), claims({ [name]: value })),
          ] as const,
      ),
    ),
    ['sub with NUL', 'invalid', () => signed(head(), claims({ sub: 'a\0b' }))],
    ...(algorithm === 'ES256'
      ? [['the other signature', 'invalid', () => twinOf(signed(head(), claims()))] as const]
      : []),
    ['sub of nobody', 'revoked', () => signed(head(), claims({ sub: Bun.randomUUIDv7() }))],
    ...['exp', 'iat'].flatMap((name) =>
      ['"9999999999"', 'null', 'true', '[9999999999]', '1e308', '9007199254740992', '1.5', '1e400'].map(
        (value) => [`${name} ${value}`, 'invalid', () => withNumber(name, value)] as const,
      ),
    ),
    ['exp negative', 'invalid', () => withNumber('exp', '-1')],
    ['exp 0', 'invalid', () => withNumber('exp', '0')],
    ['exp 1', 'expired', () => withNumber('exp', '1')],
    ['exp just over', 'expired', () => signed(head(), claims({ exp: seconds() }))],
    ['exp in a minute', 'good', () => signed(head(), claims({ exp: seconds() + 60 }))],
    ['expired, foreign key', 'invalid', () => foreign(head(), claims({ exp: 1 }))],
    ['expired, another audience', 'invalid', () => signed(head(), claims({ exp: 1, aud: 'x' }))],
    ['made 50 s ahead', 'good', () => signed(head(), claims({ iat: seconds() + 50 }))],
    ['made 70 s ahead', 'invalid', () => signed(head(), claims({ iat: seconds() + 70 }))],
    ['nbf ahead', 'invalid', () => signed(head(), claims({ nbf: seconds() + 600 }))],
    ['nbf as text', 'invalid', () => signed(head(), claims({ nbf: '1' }))],
    [
      'an encrypted token',
      'invalid',
      () => `${part({ alg: 'dir', enc: 'A256GCM', zip: 'DEF' })}..AAAA.AAAA.AAAA`,
    ],
    ['dots', 'invalid', () => '..'],
    ['8 KiB and more', 'invalid', () => signed(head(), claims({ pad: 'x'.repeat(8192) }))],
  ]
  /** With a number that JSON.stringify would not write. */
  function withNumber(name: string, text: string): string {
    return signed(head(), JSON.stringify(claims({ [name]: '?' })).replace('"?"', text))
  }

  test.each(cases)('%s: %s', async (_, outcome, make) => {
    const expected = {
      good: GOOD,
      invalid: INVALID,
      expired: {
        status: 401,
        code: 'token_expired',
        challenge: `${CHALLENGE}, error_description="The access token expired"`,
      },
      revoked: {
        status: 401,
        code: 'token_revoked',
        challenge: `${CHALLENGE}, error_description="The access token was revoked"`,
      },
    }[outcome]
    const token = make()
    // Twice: what is kept of the first must not change the second.
    expect(await outcomeOf(own(), token)).toEqual(expected)
    expect(await outcomeOf(own(), token)).toEqual(expected)
  })

  test.skipIf(algorithm === 'HS256')('refuses HS256 with anything public as its secret', async () => {
    const { publicPem = '', header } = own()
    const { keys } = await keySetOf(own())
    const jwk = keys[0] as Record<string, string>
    const der = Buffer.from(publicPem.replace(/-----[^-]+-----|\s/g, ''), 'base64')
    const raw = (jwk['x'] ?? jwk['n']) as string
    const secrets = [
      publicPem,
      publicPem.trimEnd(),
      publicPem.replaceAll('\n', '\r\n'),
      der,
      der.toString('base64'),
      raw,
      Buffer.from(raw, 'base64url'),
      Buffer.concat(
        [4, ...['x', 'y'].map((name) => Buffer.from(jwk[name] ?? '', 'base64url'))].map((one) =>
          typeof one === 'number' ? Buffer.of(one) : one,
        ),
      ),
      JSON.stringify(jwk),
      header['kid'] as string,
      '',
      '\0',
    ]
    for (const key of secrets) {
      for (const alg of ['HS256', algorithm]) {
        const token = forge({ ...header, alg }, claims(), { algorithm: 'HS256', key })
        expect(await outcomeOf(own(), token)).toEqual(INVALID)
      }
    }
  })

  test('shows others its public key, never a private one', async () => {
    const response = await own().fetch('/.well-known/jwks.json')
    expect(response.status).toBe(200)
    expect(response.headers.get('cache-control')).toBe('public, max-age=60')
    const text = await response.text()
    const set = JSON.parse(text) as JSONWebKeySet
    if (algorithm === 'HS256') {
      expect(set).toEqual({ keys: [] })
      expect(text).not.toContain(own().key as string)
      return
    }
    const members = { EdDSA: 'crv kty x', ES256: 'crv kty x y', RS256: 'e kty n' }[algorithm]
    expect(set.keys).toHaveLength(1)
    expect(Object.keys(set.keys[0]!).toSorted()).toEqual(
      [...members.split(' '), 'alg', 'kid', 'use'].toSorted(),
    )
    expect(set.keys[0]).toMatchObject({ alg: algorithm, use: 'sig', kid: own().header['kid'] })
    const { payload } = await jwtVerify(own().token, createLocalJWKSet(set), {
      issuer: 'hipflask',
      audience: 'hipflask',
      typ: 'at+jwt',
    })
    expect(payload).toEqual(own().payload)
  })

  test('logs no fault, and no token', () => {
    const log = own().log().join('\n')
    expect(log).not.toMatch(/"level":"error"|Request failed/)
    expect(log).not.toContain(own().token.split('.')[2] as string)
  })
})

async function keySetOf(server: SigningServer): Promise<{ keys: Record<string, unknown>[] }> {
  return (await (await server.fetch('/.well-known/jwks.json')).json()) as { keys: Record<string, unknown>[] }
}

describe('GET /.well-known/jwks.json', () => {
  test.each([
    [{}, 200],
    [{ accept: 'application/jwk-set+json' }, 200],
    [{ accept: 'text/html' }, 200],
    [{ authorization: 'Bearer x' }, 401],
    [{ 'x-api-key': 'x' }, 401],
  ])('with %p answers %d', async (headers, status) => {
    const response = await serverOf('EdDSA').fetch('/.well-known/jwks.json', {
      headers: headers as Record<string, string>,
    })
    expect(response.status).toBe(status)
    if (status !== 200) expect(response.headers.get('cache-control')).not.toContain('public')
  })
})

test('EdDSA tokens may name themselves Ed25519 too (RFC 9864)', async () => {
  const server = serverOf('EdDSA')
  const token = forge({ ...server.header, alg: 'Ed25519' }, server.payload, server)
  expect(await outcomeOf(server, token)).toEqual(GOOD)
  const foreign = { algorithm: 'EdDSA', key: newKey('EdDSA') as KeyObject } as const
  expect(
    await outcomeOf(server, forge({ ...server.header, alg: 'Ed25519' }, server.payload, foreign)),
  ).toEqual(INVALID)
})

// The last one: it looks back at all of them.
test('no token made the server connect to anywhere', async () => {
  expect(connections).toBe(0)
  // The counter counts.
  const socket = await Bun.connect({ hostname: '127.0.0.1', port: listener.port, socket: { data: () => {} } })
  for (let waited = 0; connections === 0 && waited < 100; waited++) await Bun.sleep(10)
  socket.terminate()
  expect(connections).toBe(1)
})
