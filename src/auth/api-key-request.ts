// What may be asked of a new API key, by a request or on the command line.
import { isForAdministrators, knownScopes, readScope } from '../access/scopes.ts'
import { AppError } from '../core/errors.ts'
import type { BodyContract } from '../http/route.ts'
import { jsonBody } from '../http/validate.ts'
import { t } from '../sdk.ts'
import type { KeyToMake } from './api-keys.ts'
import { ADMIN_ROLE } from './users.ts'

export interface KeyRequest {
  name: string
  scopes: readonly string[]
  expires_at?: string | null
}

export const KEY_NAME_LENGTH_MAX = 100
/** Scopes of one key. */
export const SCOPES_MAX = 100

export const keyRequestExample = (resources: readonly string[]): KeyRequest => ({
  name: 'Nightly report',
  scopes: [readScope(resources[0] ?? 'users')],
})

/** The body of a new key where these resources are declared. */
export function keyRequestBody(resources: readonly string[]): BodyContract<KeyRequest> {
  const scopes = t.Array(t.Enum(knownScopes(resources)), {
    minItems: 1,
    maxItems: SCOPES_MAX,
    uniqueItems: true,
  })
  const schema = t.Object(
    {
      name: t.String({ minLength: 1, maxLength: KEY_NAME_LENGTH_MAX }),
      scopes,
      expires_at: t.Optional(
        t.Nullable(t.String({ format: 'date-time', description: 'In the future; null or absent: never' })),
      ),
    },
    { title: 'ApiKeyRequest' },
  )
  return jsonBody(schema, { example: keyRequestExample(resources) })
}

/**
 * The key that was asked for, for its owner. Throws AppError `validation_failed` where it would be over already,
 * `forbidden` where a scope is about what the owner has no right to. `*` is all that the owner may do at the time of
 * use, so anybody may ask for it.
 */
export function keyToMake(
  { name, scopes, expires_at: text }: KeyRequest,
  owner: { id: string; role: string | null },
  now: number,
): KeyToMake {
  const expiresAt = text === null || text === undefined ? null : Date.parse(text)
  // A leap second is not a number.
  if (expiresAt !== null && !(expiresAt > now)) {
    const details = [{ field: '/expires_at', message: 'Expected a time in the future' }]
    throw new AppError('validation_failed', { details })
  }
  if (owner.role !== ADMIN_ROLE && scopes.some(isForAdministrators)) {
    throw new AppError('forbidden', {
      message: 'Scopes of an API key must be within the rights of its owner',
    })
  }
  return { userId: owner.id, name, scopes, expiresAt }
}
