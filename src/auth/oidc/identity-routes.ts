// The routes of one's own identities at other issuers. They only translate between HTTP and identities.ts.
import { Reply, json, route, type Route } from '../../http/route.ts'
import { t } from '../../sdk.ts'
import { accountOwners, ownAccountOf } from '../own-account.ts'
import { IDENTITIES_MAX, type Identities } from './identities.ts'

const TAG = 'Accounts'

/** GET /auth/me/identities, DELETE /auth/me/identities/:id. */
export function createIdentityRoutes(identities: Identities): Route[] {
  return [listRoute(identities), removeRoute(identities)]
}

const IdentityView = t.Object(
  {
    id: t.String(),
    provider: t.Nullable(t.String({ description: 'Null where it came with a token of a trusted issuer' })),
    issuer: t.String(),
    subject: t.String({ description: 'Who it is there' }),
    email: t.Nullable(t.String({ description: 'As it was told at first' })),
    created_at: t.String({ format: 'date-time' }),
    last_used_at: t.String({ format: 'date-time' }),
  },
  { title: 'Identity' },
)
const IdentityList = t.Object(
  { data: t.Array(IdentityView, { maxItems: IDENTITIES_MAX }) },
  { title: 'Identities' },
)
const EXAMPLE = {
  id: 'HzrjmXZVGXaoV1XdDJZ9mxDfHrTpLqKXeJ4cE9n2uPk',
  provider: 'auth0',
  issuer: 'https://tenant.eu.auth0.com/',
  subject: 'auth0|65b2f0c4a1',
  email: 'ada@example.com',
  created_at: '2026-01-31T12:00:00.000Z',
  last_used_at: '2026-01-31T12:00:00.000Z',
}

function listRoute(identities: Identities): Route {
  return route({
    method: 'GET',
    path: '/auth/me/identities',
    operationId: 'listIdentities',
    summary: 'Who you are at other issuers',
    tag: TAG,
    access: accountOwners,
    responses: { 200: json('All of them, the oldest first', IdentityList, { example: { data: [EXAMPLE] } }) },
    noStore: true,
    async handler({ principal }) {
      const all = await identities.list(ownAccountOf(principal))
      return {
        data: all.map(({ id, provider, issuer, subject, email, created_at, last_used_at }) => ({
          id,
          provider,
          issuer,
          subject,
          email,
          created_at,
          last_used_at,
        })),
      }
    },
  })
}

function removeRoute(identities: Identities): Route {
  return route({
    method: 'DELETE',
    path: '/auth/me/identities/:id',
    operationId: 'removeIdentity',
    summary: 'Sign in by this identity no more',
    description: '409 for the last way to sign in.',
    tag: TAG,
    access: accountOwners,
    responses: { 204: { description: 'Removed' } },
    errors: ['not_found', 'conflict'],
    noStore: true,
    async handler({ params, principal }) {
      await identities.remove(params.id, ownAccountOf(principal))
      return new Reply(204, undefined)
    },
  })
}
