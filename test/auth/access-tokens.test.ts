import { describe, expect, test } from 'bun:test'
import { createHmac, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { CACHED_TOKENS_MAX, TOKEN_LENGTH_MAX, createAccessTokens } from '../../src/auth/access-tokens.ts'
import { loadKeyRing } from '../../src/auth/key-ring.ts'

const [current] = loadKeyRing(':memory:')
const [old] = loadKeyRing(':memory:')
const [foreign] = loadKeyRing(':memory:')
const SUBJECT = {
  userId: '01991f6e-8c00-7000-8000-000000000001',
  sessionId: '01991f6e-8c00-7000-8000-000000000002',
  role: 'user',
}

let now = Date.now()
const options = {
  keys: [current, old] as const,
  issuer: 'https://api.example.com',
  lifetimeSeconds: 900,
  clock: () => now,
}
const tokens = createAccessTokens(options)
const seconds = () => Math.floor(now / 1000)

const HEADER = { alg: 'EdDSA', typ: 'at+jwt', kid: current.kid }
const claims = (changes: object = {}) => ({
  iss: 'https://api.example.com',
  aud: 'hipflask',
  sub: SUBJECT.userId,
  sid: SUBJECT.sessionId,
  role: 'user',
  jti: '01991f6e-8c00-7000-8000-000000000003',
  iat: seconds(),
  exp: seconds() + 900,
  ...changes,
})

const part = (value: unknown) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** A token of these contents with a true signature, by our own hands: no library would make most of these. */
function forge(header: unknown, payload: unknown, key: KeyObject = current.privateKey): string {
  const text = `${part(header)}.${part(payload)}`
  return `${text}.${sign(null, Buffer.from(text), key).toString('base64url')}`
}

function forgeHs256(secret: string | Buffer): string {
  const text = `${part({ ...HEADER, alg: 'HS256' })}.${part(claims())}`
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
}

function forgeRs256(): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const text = `${part({ ...HEADER, alg: 'RS256' })}.${part(claims())}`
  return `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`
}

async function outcomeOf(token: string): Promise<unknown> {
  try {
    await tokens.verify(token)
    return 'good'
  } catch (error) {
    return (error as { code?: string }).code
  }
}

describe('issue', () => {
  test('makes a token that names user and session, dated, of the type and issuer', async () => {
    const token = await tokens.issue(SUBJECT)
    const [header, payload] = token
      .split('.')
      .slice(0, 2)
      .map((text) => JSON.parse(Buffer.from(text, 'base64url').toString()))
    expect(header).toEqual(HEADER)
    expect(payload).toEqual({
      ...claims(),
      jti: expect.any(String),
      iat: expect.any(Number),
      exp: seconds() + 900,
    })
    expect(Math.abs(payload.iat - seconds())).toBeLessThan(60)
    expect(await tokens.verify(token)).toMatchObject({ userId: SUBJECT.userId, sessionId: SUBJECT.sessionId })
  })

  test('never makes the same token twice', async () => {
    expect(await tokens.issue(SUBJECT)).not.toBe(await tokens.issue(SUBJECT))
  })
})

describe('verify', () => {
  const publicJwk = foreign.publicKey.export({ format: 'jwk' })
  const spki = createPublicKey(current.privateKey).export({ type: 'spki', format: 'pem' }) as string
  const raw = Buffer.from(current.publicKey.export({ format: 'jwk' }).x as string, 'base64url')
  const without = (name: string) => claims({ [name]: undefined })
  const header = (changes: object) => ({ ...HEADER, ...changes })
  const cases: readonly (readonly [name: string, outcome: string, token: () => string])[] = [
    ['a good one', 'good', () => forge(HEADER, claims())],
    ['algorithm Ed25519', 'good', () => forge(header({ alg: 'Ed25519' }), claims())],
    ['an older key by its kid', 'good', () => forge(header({ kid: old.kid }), claims(), old.privateKey)],
    [
      'several audiences, ours among them',
      'good',
      () => forge(HEADER, claims({ aud: ['other', 'hipflask'] })),
    ],
    ['type application/at+jwt', 'good', () => forge(header({ typ: 'application/at+jwt' }), claims())],
    ['made 60 s ahead', 'good', () => forge(HEADER, claims({ iat: seconds() + 60 }))],
    ['made 61 s ahead', 'invalid_token', () => forge(HEADER, claims({ iat: seconds() + 61 }))],
    ['one second left', 'good', () => forge(HEADER, claims({ exp: seconds() + 1 }))],
    ['no second left', 'token_expired', () => forge(HEADER, claims({ exp: seconds() }))],
    ['expired', 'token_expired', () => forge(HEADER, claims({ exp: seconds() - 1 }))],
    ['expired, foreign key', 'invalid_token', () => forge(HEADER, claims({ exp: 1 }), foreign.privateKey)],
    ['expired, foreign issuer', 'invalid_token', () => forge(HEADER, claims({ exp: 1, iss: 'evil' }))],
    ['foreign key under our kid', 'invalid_token', () => forge(HEADER, claims(), foreign.privateKey)],
    ['our key under the kid of another', 'invalid_token', () => forge(header({ kid: old.kid }), claims())],
    ['unknown kid', 'invalid_token', () => forge(header({ kid: foreign.kid }), claims(), foreign.privateKey)],
    ['no kid', 'invalid_token', () => forge(header({ kid: undefined }), claims())],
    ['kid of a path', 'invalid_token', () => forge(header({ kid: '../../../../dev/null' }), claims())],
    ['kid __proto__', 'invalid_token', () => forge(header({ kid: '__proto__' }), claims())],
    ['kid no text', 'invalid_token', () => forge(header({ kid: [current.kid] }), claims())],
    ['algorithm none, signed', 'invalid_token', () => forge(header({ alg: 'none' }), claims())],
    [
      'algorithm none, unsigned',
      'invalid_token',
      () => `${part(header({ alg: 'none' }))}.${part(claims())}.`,
    ],
    ['no algorithm', 'invalid_token', () => forge(header({ alg: undefined }), claims())],
    ['HS256 with the public key as PEM', 'invalid_token', () => forgeHs256(spki)],
    ['HS256 with the public key raw', 'invalid_token', () => forgeHs256(raw)],
    ['HS256 with an empty secret', 'invalid_token', () => forgeHs256('')],
    ['RS256', 'invalid_token', () => forgeRs256()],
    [
      'own key as jwk',
      'invalid_token',
      () => forge(header({ jwk: publicJwk }), claims(), foreign.privateKey),
    ],
    [
      'own key as jwk, no kid',
      'invalid_token',
      () => forge({ alg: 'EdDSA', typ: 'at+jwt', jwk: publicJwk }, claims(), foreign.privateKey),
    ],
    [
      'keys by jku',
      'invalid_token',
      () => forge(header({ jku: 'http://127.0.0.1:1/jwks' }), claims(), foreign.privateKey),
    ],
    [
      'keys by x5u',
      'invalid_token',
      () => forge(header({ x5u: 'http://127.0.0.1:1/x5u' }), claims(), foreign.privateKey),
    ],
    ['keys by x5c', 'invalid_token', () => forge(header({ x5c: ['AAAA'] }), claims(), foreign.privateKey)],
    ['critical extension', 'invalid_token', () => forge(header({ crit: ['exp'] }), claims())],
    ['unencoded payload', 'invalid_token', () => forge(header({ b64: false, crit: ['b64'] }), claims())],
    ['type JWT', 'invalid_token', () => forge(header({ typ: 'JWT' }), claims())],
    ['type of a refresh token', 'invalid_token', () => forge(header({ typ: 'rt+jwt' }), claims())],
    ['no type', 'invalid_token', () => forge(header({ typ: undefined }), claims())],
    ['foreign issuer', 'invalid_token', () => forge(HEADER, claims({ iss: 'https://evil.example.com' }))],
    ['foreign audience', 'invalid_token', () => forge(HEADER, claims({ aud: 'other' }))],
    ...['iss', 'aud', 'sub', 'sid', 'jti', 'iat', 'exp'].map(
      (name) => [`no ${name}`, 'invalid_token', () => forge(HEADER, without(name))] as const,
    ),
    ['exp as text', 'invalid_token', () => forge(HEADER, claims({ exp: String(seconds() + 900) }))],
    ['exp with a fraction', 'invalid_token', () => forge(HEADER, claims({ exp: seconds() + 0.5 }))],
    ['exp 1e308', 'invalid_token', () => forge(HEADER, claims({ exp: 1e308 }))],
    ['exp null', 'invalid_token', () => forge(HEADER, claims({ exp: null }))],
    ['exp negative', 'invalid_token', () => forge(HEADER, claims({ exp: -1 }))],
    ['iat as text', 'invalid_token', () => forge(HEADER, claims({ iat: '1' }))],
    ['not valid before then', 'invalid_token', () => forge(HEADER, claims({ nbf: seconds() + 900 }))],
    ['sub no text', 'invalid_token', () => forge(HEADER, claims({ sub: { toString: 1 } }))],
    ['sid no text', 'invalid_token', () => forge(HEADER, claims({ sid: 1 }))],
    ['a payload that is no object', 'invalid_token', () => forge(HEADER, '[]')],
    ['a payload that is no JSON', 'invalid_token', () => forge(HEADER, 'x')],
    ['a header that is no JSON', 'invalid_token', () => forge('x', claims())],
    ['a header that is null', 'invalid_token', () => forge('null', claims())],
    [
      'an encrypted token',
      'invalid_token',
      () => `${part({ alg: 'dir', enc: 'A256GCM', zip: 'DEF' })}..AAAA.AAAA.AAAA`,
    ],
    ['compressed', 'invalid_token', () => forge(header({ zip: 'DEF', crit: ['zip'] }), claims())],
    ['nothing', 'invalid_token', () => ''],
    ['dots', 'invalid_token', () => '..'],
    ['an API key', 'invalid_token', () => 'hf_0123456789abcdef_secret'],
    ['8 KiB', 'good', () => padded(TOKEN_LENGTH_MAX)],
    ['over 8 KiB', 'invalid_token', () => padded(TOKEN_LENGTH_MAX + 4)],
  ]
  test.each(cases)('%s: %s', async (_, outcome, token) => {
    // Twice: the cache must not change the answer.
    const text = token()
    expect([await outcomeOf(text), await outcomeOf(text)]).toEqual([outcome, outcome])
  })

  /** A good token of exactly this length: claims grow by 3 characters for each 4 of the token. */
  function padded(length: number): string {
    for (let size = 0; ; size++) {
      const token = forge(HEADER, claims({ pad: 'x'.repeat(size) }))
      if (token.length === length) return token
      if (token.length < length - 8) size += Math.floor(((length - token.length) * 3) / 4) - 4
      else if (token.length > length) throw new Error('No such length')
    }
  }

  // 86 characters hold 516 bits, a signature has 512: the last character has four spare ones.
  const respelt = (token: string): Record<string, string> => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = alphabet[alphabet.indexOf(token.at(-1) as string) + 1] as string
    const [head, body, signature] = token.split('.') as [string, string, string]
    return {
      'spare bits': token.slice(0, -1) + last,
      padding: `${token}==`,
      'padded header': `${head}=.${body}.${signature}`,
      newline: `${token}\n`,
      'leading space': ` ${token}`,
      'space in a part': `${head.slice(0, 5)} ${head.slice(5)}.${body}.${signature}`,
      'tab in a part': `${head}.${body.slice(0, 5)}\t${body.slice(5)}.${signature}`,
      'plain base64': `${head}.${body}.${signature.replaceAll('-', '+').replaceAll('_', '/')}`,
      'fourth part': `${token}.`,
    }
  }
  test('refuses every other spelling of a good token, also once that is known', async () => {
    let token = ''
    while (!/[-_][^.]*[^-_.]$/.test(token)) token = await tokens.issue(SUBJECT)
    expect(await outcomeOf(token)).toBe('good')
    for (const [name, text] of Object.entries(respelt(token))) {
      expect(text).not.toBe(token)
      expect([name, await outcomeOf(text)]).toEqual([name, 'invalid_token'])
    }
  })

  test('refuses a token with any single bit flipped', async () => {
    const bytes = Buffer.from(await tokens.issue(SUBJECT))
    const outcomes = new Set<unknown>()
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
      outcomes.add(await outcomeOf(flipped.toString('latin1')))
    }
    expect([...outcomes]).toEqual(['invalid_token'])
  })

  test('says of one token good, then expired, then good again when the clock is set back', async () => {
    const token = await tokens.issue(SUBJECT)
    const start = now
    const after = async (passed: number) => {
      now = start + passed * 1000
      return outcomeOf(token)
    }
    // Set back by an hour the token comes from the future, known or not.
    const outcomes = [await after(0), await after(899), await after(900), await after(0), await after(-3600)]
    now = start
    expect(outcomes).toEqual(['good', 'good', 'token_expired', 'good', 'invalid_token'])
  })

  test('does not take the token of another issuer, or of a key that is gone', async () => {
    const others = [
      createAccessTokens({ ...options, issuer: 'hipflask' }),
      createAccessTokens({ ...options, keys: [old] }),
    ]
    const token = await tokens.issue(SUBJECT)
    for (const other of others)
      await expect(other.verify(token)).rejects.toMatchObject({ code: 'invalid_token' })
  })

  test('has a challenge on each refusal', async () => {
    const challenge = (token: string) =>
      tokens.verify(token).catch((error) => error.headers['WWW-Authenticate'])
    expect(await challenge('x')).toBe('Bearer realm="hipflask", error="invalid_token"')
    expect(await challenge(forge(HEADER, claims({ exp: 1 })))).toBe(
      'Bearer realm="hipflask", error="invalid_token", error_description="The access token expired"',
    )
  })

  test('goes on with more tokens than it keeps', async () => {
    const first = forge(HEADER, claims({ jti: 'first' }))
    expect(await outcomeOf(first)).toBe('good')
    const others = Array.from({ length: CACHED_TOKENS_MAX + 1 }, (_, index) =>
      forge(HEADER, claims({ jti: String(index) })),
    )
    const outcomes = await Promise.all(others.map(outcomeOf))
    expect(new Set(outcomes)).toEqual(new Set(['good']))
    expect(await outcomeOf(first)).toBe('good')
  }, 30_000)
})
