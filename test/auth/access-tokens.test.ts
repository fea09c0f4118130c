import { describe, expect, test } from 'bun:test'
import {
  constants,
  createHmac,
  createPublicKey,
  generateKeyPairSync,
  sign,
  type KeyObject,
} from 'node:crypto'
import type { Algorithm } from '../../src/auth/algorithms.ts'
import { CACHED_TOKENS_MAX, TOKEN_LENGTH_MAX, createAccessTokens } from '../../src/auth/access-tokens.ts'
import { withLowS } from '../../src/auth/low-s.ts'
import type { KeyRing } from '../../src/auth/key-ring.ts'
import { secretKey, signingKey, type SigningKey } from '../../src/auth/signing-keys.ts'

const newKey = () => signingKey('EdDSA', generateKeyPairSync('ed25519').privateKey)
const [current, old, foreign] = [newKey(), newKey(), newKey()]

/** A ring that tests change. */
function ringOf(...keys: SigningKey[]): KeyRing & { keys: SigningKey[] } {
  const ring = {
    keys,
    signing: () => ring.keys[0] as SigningKey,
    find: (kid: string) => ring.keys.find((key) => key.kid === kid),
    all: () => ring.keys,
  }
  return ring
}

const SUBJECT = {
  userId: '01991f6e-8c00-7000-8000-000000000001',
  sessionId: '01991f6e-8c00-7000-8000-000000000002',
  role: 'user',
}

const KEY_ID = '01991f6e-8c00-7000-8000-000000000009'

let now = Date.now()
const options = {
  keys: ringOf(current, old),
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

const headerOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString())
const payloadOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString())

async function outcomeOf(token: string, by = tokens): Promise<unknown> {
  try {
    await by.verify(token)
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
    expect(await tokens.verify(token)).toEqual({
      userId: SUBJECT.userId,
      sessionId: SUBJECT.sessionId,
      tokenId: payload.jti,
      clientId: undefined,
      issuedAt: payload.iat,
      expiresAt: payload.exp,
      kid: HEADER.kid,
    })
  })

  test('names the client where there is one, and no role where there is none', async () => {
    const token = await tokens.issue({ ...SUBJECT, role: null, clientId: KEY_ID })
    expect(payloadOf(token)).toMatchObject({ client_id: KEY_ID })
    expect(payloadOf(token)).not.toHaveProperty('role')
    expect(payloadOf(token)).not.toHaveProperty('nbf')
    expect(await tokens.verify(token)).toMatchObject({ clientId: KEY_ID })
  })

  test.each([
    [undefined, 900],
    [60, 60],
    [60.9, 60],
    [900, 900],
    [901, 900],
  ])('with a lifetime of %p s makes a token of %d s', async (own, lifetime) => {
    const more = own === undefined ? {} : { lifetimeSeconds: own }
    expect(payloadOf(await tokens.issue({ ...SUBJECT, ...more })).exp).toBe(seconds() + lifetime)
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
  const respell = (inserted: string) => JSON.stringify(HEADER).replace('{', `{${inserted}`)
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
    ['keys by jku, our own signature', 'invalid_token', () => forge(header({ jku: 'http://a/' }), claims())],
    ['any other parameter, our own signature', 'invalid_token', () => forge(header({ x: 1 }), claims())],
    ['a header with a key twice', 'invalid_token', () => forge(respell('"alg":"EdDSA",'), claims())],
    ['a header with spaces', 'invalid_token', () => forge(respell(' '), claims())],
    [
      'a header with an escape',
      'invalid_token',
      () => forge(respell('').replace('alg', '\\u0061lg'), claims()),
    ],
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
    ['iat with a fraction', 'invalid_token', () => forge(HEADER, claims({ iat: seconds() - 0.5 }))],
    ['iat as text', 'invalid_token', () => forge(HEADER, claims({ iat: '1' }))],
    ['not valid before then', 'invalid_token', () => forge(HEADER, claims({ nbf: seconds() + 900 }))],
    ['sub no text', 'invalid_token', () => forge(HEADER, claims({ sub: { toString: 1 } }))],
    ['jti no text', 'invalid_token', () => forge(HEADER, claims({ jti: 1 }))],
    ['client_id no text', 'invalid_token', () => forge(HEADER, claims({ client_id: 1 }))],
    ...['sub', 'sid', 'jti', 'client_id'].map(
      (name) =>
        [`${name} no UUID`, 'invalid_token', () => forge(HEADER, claims({ [name]: 'a\0b' }))] as const,
    ),
    ['client_id', 'good', () => forge(HEADER, claims({ client_id: KEY_ID }))],
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
      createAccessTokens({ ...options, keys: ringOf(old) }),
    ]
    const token = await tokens.issue(SUBJECT)
    for (const other of others) expect(await outcomeOf(token, other)).toBe('invalid_token')
  })

  test('gives a known token its claims at once, until its key has left the ring', async () => {
    const keys = ringOf(current, old)
    const own = createAccessTokens({ ...options, keys })
    const token = await own.issue(SUBJECT)
    const first = own.verify(token)
    expect(first).toBeInstanceOf(Promise)
    const claimsOf = await first
    expect(own.verify(token)).toBe(claimsOf)
    keys.keys = [old]
    expect(await outcomeOf(token, own)).toBe('invalid_token')
    keys.keys = [{ ...foreign, kid: current.kid }, old]
    expect(await outcomeOf(token, own)).toBe('invalid_token')
    keys.keys = [old, current]
    expect(await outcomeOf(token, own)).toBe('good')
    expect(await own.issue(SUBJECT).then(headerOf)).toMatchObject({ kid: old.kid })
  })

  test('has a challenge on each refusal', async () => {
    const challenge = (token: string) =>
      Promise.try(() => tokens.verify(token)).catch((error) => error.headers['WWW-Authenticate'])
    expect(await challenge('x')).toBe('Bearer realm="hipflask", error="invalid_token"')
    expect(await challenge(forge(HEADER, claims({ exp: 1 })))).toBe(
      'Bearer realm="hipflask", error="invalid_token", error_description="The access token expired"',
    )
  })

  test('goes on with more tokens than it keeps', async () => {
    const first = forge(HEADER, claims({ jti: Bun.randomUUIDv7() }))
    expect(await outcomeOf(first)).toBe('good')
    const others = Array.from({ length: CACHED_TOKENS_MAX + 1 }, (_, index) =>
      forge(HEADER, claims({ jti: `01991f6e-8c00-7000-8000-${String(index).padStart(12, '0')}` })),
    )
    const outcomes = await Promise.all(others.map((other) => outcomeOf(other)))
    expect(new Set(outcomes)).toEqual(new Set(['good']))
    expect(await outcomeOf(first)).toBe('good')
  }, 30_000)
})

describe('each algorithm', () => {
  const keysOf: Record<Algorithm, SigningKey> = {
    EdDSA: current,
    ES256: signingKey('ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
    RS256: signingKey('RS256', generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
    HS256: secretKey('kJ8vQ2xN5mW7pR4tY6uB3cZ9dF1gH0sL'),
  }
  const algorithms = Object.keys(keysOf) as Algorithm[]
  const by = (algorithm: Algorithm) => createAccessTokens({ ...options, keys: ringOf(keysOf[algorithm]) })

  /** Signed as `alg` says with this key, whatever that was made for. */
  function signAs(alg: Algorithm, kid: string, key: KeyObject | string | Buffer): string {
    const text = `${part({ alg, typ: 'at+jwt', kid })}.${part(claims())}`
    const signature =
      alg === 'HS256'
        ? createHmac('sha256', key as Buffer)
            .update(text)
            .digest()
        : sign(alg === 'EdDSA' ? null : 'sha256', Buffer.from(text), {
            key: key as KeyObject,
            dsaEncoding: 'ieee-p1363',
          })
    const token = `${text}.${signature.toString('base64url')}`
    return alg === 'ES256' ? withLowS(token) : token
  }

  test.each(algorithms)('%s signs and verifies, and names itself', async (algorithm) => {
    const token = await by(algorithm).issue(SUBJECT)
    expect(headerOf(token)).toEqual({ alg: algorithm, typ: 'at+jwt', kid: keysOf[algorithm].kid })
    expect(await outcomeOf(token, by(algorithm))).toBe('good')
  })

  const mixes = algorithms.flatMap((own) => algorithms.map((other) => [own, other] as const))
  test.each(mixes)('%s takes the signature of %s only if it is its own', async (own, other) => {
    const { kid } = keysOf[own]
    const token = signAs(other, kid, keysOf[other].privateKey)
    expect(await outcomeOf(token, by(own))).toBe(own === other ? 'good' : 'invalid_token')
    // The same under the name of the ring's own algorithm.
    const [, ...rest] = token.split('.')
    const renamed = [part({ alg: own, typ: 'at+jwt', kid }), ...rest].join('.')
    expect(await outcomeOf(renamed, by(own))).toBe(own === other ? 'good' : 'invalid_token')
  })

  test.each([
    ['RS256', 'RS512', 'sha512', undefined],
    ['RS256', 'PS256', 'sha256', constants.RSA_PKCS1_PSS_PADDING],
    ['HS256', 'HS512', 'sha512', undefined],
  ] as const)('%s does not take %s of the same key', async (own, alg, hash, padding) => {
    const { kid, privateKey } = keysOf[own]
    const text = `${part({ alg, typ: 'at+jwt', kid })}.${part(claims())}`
    const signature =
      own === 'HS256'
        ? createHmac(hash, privateKey).update(text).digest()
        : sign(hash, Buffer.from(text), { key: privateKey, ...(padding && { padding, saltLength: 32 }) })
    expect(await outcomeOf(`${text}.${signature.toString('base64url')}`, by(own))).toBe('invalid_token')
  })

  test.each(['EdDSA', 'ES256', 'RS256'] as const)(
    '%s is not verified by its public key as a secret',
    async (own) => {
      const { kid, publicKey } = keysOf[own]
      const jwk = publicKey.export({ format: 'jwk' }) as { x?: string; n?: string }
      const der = publicKey.export({ type: 'spki', format: 'der' })
      const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string
      const secrets = [der, pem, pem.trim(), JSON.stringify(jwk), jwk.x, jwk.n].flatMap((one) => one ?? [])
      for (const secret of [...secrets, Buffer.from((jwk.x ?? jwk.n) as string, 'base64url')]) {
        expect(await outcomeOf(signAs('HS256', kid, secret), by(own))).toBe('invalid_token')
      }
    },
  )
})
