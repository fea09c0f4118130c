// GET /.well-known/jwks.json: what others need to verify our access tokens themselves. Never a secret.
import { json, route, type Route } from '../http/route.ts'
import { everyone, t } from '../sdk.ts'
import type { KeyRing } from './key-ring.ts'
import { publicJwkOf } from './signing-keys.ts'

/** Whoever holds the set that long learns of a new key that late, since caches answer before us. */
const MAX_AGE_SECONDS = 60

const Key = t.Object(
  {
    kty: t.String({ description: '`OKP`, `EC` or `RSA`' }),
    crv: t.Optional(t.String()),
    x: t.Optional(t.String()),
    y: t.Optional(t.String()),
    n: t.Optional(t.String()),
    e: t.Optional(t.String()),
    kid: t.String({ description: 'As in the header of a token' }),
    use: t.Literal('sig'),
    alg: t.Enum(['EdDSA', 'ES256', 'RS256']),
  },
  { title: 'PublicKey' },
)
const KeySet = t.Object({ keys: t.Array(Key) }, { title: 'KeySet' })
const EXAMPLE = {
  keys: [
    {
      crv: 'Ed25519',
      kty: 'OKP',
      x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo',
      kid: '01991f6e-8c00-7000-8000-000000000003',
      use: 'sig',
      alg: 'EdDSA',
    },
  ],
} as const

export function createJwksRoutes(ring: KeyRing): Route[] {
  return [
    route({
      method: 'GET',
      path: '/.well-known/jwks.json',
      operationId: 'getKeySet',
      summary: 'The public keys of access tokens (RFC 7517)',
      description:
        'Every key that verifies, the newest first. Without any where tokens are signed by a secret.',
      tag: 'Accounts',
      access: everyone(),
      responses: { 200: json('The keys', KeySet, { example: EXAMPLE }) },
      // Clients may ask for application/jwk-set+json alone; they read this too.
      negotiates: true,
      handler: ({ reply }) =>
        reply(
          200,
          { keys: ring.all().flatMap((key) => publicJwkOf(key) ?? []) },
          { 'Cache-Control': `public, max-age=${MAX_AGE_SECONDS}` },
        ),
    }),
  ]
}
