// The clients of the OAuth routes (RFC 6749, 2.3): the public one, which says nothing of itself, and API keys. A client
// is no principal: it is asked for on the few routes that do not look at credentials.
import type { Form } from '../http/form.ts'
import { OAuthError } from '../http/oauth-errors.ts'
import { BASIC_CHALLENGE } from '../http/problem.ts'
import type { ApiKeys, KnownKey } from './api-keys.ts'
import { parseBasic } from './basic.ts'
import { unlessRefused } from './challenges.ts'

interface Client {
  id: string
  secret: string
}

/**
 * The key that a client is; undefined for the public client. Throws OAuthError `invalid_client` for any other, and
 * `invalid_request` where a client says twice who it is.
 */
export async function clientOf(
  authorization: string | null,
  form: Form,
  apiKeys: ApiKeys,
): Promise<KnownKey | undefined> {
  // Any other scheme is a credential of its own, which names no client.
  const inHeader = /^basic(?: |$)/i.test(authorization ?? '')
    ? clientOfHeader(authorization as string)
    : undefined
  const inBody = clientOfBody(form)
  if (inHeader !== undefined && inBody !== undefined) throw ambiguousClient()
  const client = inHeader ?? inBody
  if (client === undefined) return undefined
  const key = await findKey(client.secret, apiKeys)
  if (key === undefined || key.keyId !== client.id) throw invalidClient()
  return key
}

/** The error of a client that is unknown, or had to say who it is and did not. */
export function invalidClient(): OAuthError {
  return new OAuthError('invalid_client', 'Client is not an API key, given as its id and the key', {
    'WWW-Authenticate': BASIC_CHALLENGE,
  })
}

/** Undefined where the key is not good. */
export async function findKey(key: string, apiKeys: ApiKeys): Promise<KnownKey | undefined> {
  return unlessRefused(() => apiKeys.find(key))
}

// Two headers come as one, with a comma between, which base64 does not have.
function clientOfHeader(authorization: string): Client | undefined {
  if (authorization.includes(',')) throw ambiguousClient()
  const [, encoded] = /^basic +(\S+)$/i.exec(authorization) ?? []
  const parts = encoded === undefined ? undefined : parseBasic(encoded)
  if (parts === undefined) throw invalidClient()
  return emptyIsNone({ id: decoded(parts.email), secret: decoded(parts.password) })
}

function clientOfBody(form: Form): Client | undefined {
  return emptyIsNone({ id: form.get('client_id') ?? '', secret: form.get('client_secret') ?? '' })
}

function emptyIsNone(client: Client): Client | undefined {
  return client.id === '' && client.secret === '' ? undefined : client
}

/** RFC 6749, 2.3.1: both parts are encoded as in a form first. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part.replaceAll('+', ' '))
  } catch {
    throw invalidClient()
  }
}

function ambiguousClient(): OAuthError {
  return new OAuthError('invalid_request', 'Client says more than once who it is')
}
