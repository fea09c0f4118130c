// The errors in the document: which codes a route may answer because of router.ts, and the shared answers they are
// described by. The bodies of the examples come from problem.ts, which makes the real ones.
import { AppError, errorCodes, messageOf, statusOf, type ErrorCode } from '../core/errors.ts'
import { OAUTH_ERROR_CODES, oauthErrorBody } from './oauth-errors.ts'
import { errorBody, problemBody } from './problem.ts'
import type { JsonSchema, Route } from './route.ts'
import { statusText } from './status-text.ts'

type JsonObject = Record<string, unknown>

export interface ErrorComponents {
  /** Those of what has been referred to. */
  schemas(): Readonly<Record<string, JsonSchema>>
  readonly headers: JsonObject
  /** Requests are counted. */
  readonly isLimited: boolean
  /** The headers that every answer of the route has. */
  headersOf(route: Route): JsonObject
  /** Answers by status, as references; the description of each says which of the codes are meant. */
  refer(codes: readonly ErrorCode[], shape?: Route['errorShape']): JsonObject
  /** The answers that have been referred to. */
  used(): JsonObject
}

// A credential that is present and wrong is refused on public routes too, also one of an unknown scheme.
const CREDENTIAL_ERRORS: readonly ErrorCode[] = [
  'ambiguous_credentials',
  'unauthenticated',
  'invalid_credentials',
  'invalid_token',
  'token_expired',
  'token_revoked',
  'rate_limited',
]

/** The codes that router.ts may answer before or after the handler of this route; `isLimited`: requests are counted. */
export function frameErrors(
  route: Route,
  { isOpenToAll, isLimited }: { isOpenToAll: boolean; isLimited: boolean },
): ErrorCode[] {
  const { body, query, path, credentials, negotiates } = route
  const hasBody = body !== undefined
  const hasParams = path.includes('/:')
  const looksAtCredentials = credentials !== 'ignored'
  const when = (condition: boolean, ...codes: ErrorCode[]) => (condition ? codes : [])
  return [
    ...when(hasBody && body.encoding !== 'form', 'malformed_json', 'validation_failed'),
    ...when(hasBody || query !== undefined || hasParams || looksAtCredentials, 'bad_request'),
    ...when(looksAtCredentials, ...CREDENTIAL_ERRORS),
    ...when(looksAtCredentials && !isOpenToAll, 'forbidden'),
    ...when(isLimited && route.unlimited !== true, 'rate_limited'),
    ...when(hasParams, 'not_found'),
    ...when(negotiates !== true, 'not_acceptable'),
    ...when(hasBody, 'request_timeout', 'payload_too_large', 'unsupported_media_type'),
    'internal_error',
    // A credential and a body are what the store is asked about; a route without both says it for itself.
    ...when(looksAtCredentials || hasBody, 'unavailable'),
  ]
}

/** A fresh set of components, which notes what has been referred to. */
export function createErrorComponents({ isLimited }: { isLimited: boolean }): ErrorComponents {
  const limitHeaders = isLimited ? LIMIT_HEADERS : {}
  const statuses = new Set<number>()
  const oauthAnswers: JsonObject = {}
  return {
    schemas: () =>
      Object.keys(oauthAnswers).length === 0 ? SCHEMAS : { ...SCHEMAS, 'hipflask.OAuthError': OAUTH_SCHEMA },
    isLimited,
    headers: isLimited ? { ...HEADERS, ...LIMIT_HEADER_COMPONENTS } : HEADERS,
    headersOf: ({ unlimited }) =>
      unlimited === true ? REQUEST_ID_HEADER : { ...REQUEST_ID_HEADER, ...limitHeaders },
    refer(codes, shape) {
      const references: JsonObject = {}
      for (const [status, ofStatus] of byStatus(codes)) {
        if (shape === 'oauth') {
          const name = `OAuth${responseName(status)}`
          oauthAnswers[name] ??= oauthResponseOf(status, ofStatus[0] as ErrorCode, limitHeaders)
          references[status] = { $ref: `#/components/responses/${name}` }
          continue
        }
        statuses.add(status)
        references[status] = {
          $ref: `#/components/responses/${responseName(status)}`,
          description: describe(status, ofStatus),
        }
      }
      return references
    },
    used() {
      const inOrder = [...byStatus(errorCodes)].filter(([status]) => statuses.has(status))
      const answers = inOrder.map(([status, codes]) => [
        responseName(status),
        responseOf(status, codes, limitHeaders),
      ])
      return { ...Object.fromEntries(answers), ...oauthAnswers }
    },
  }
}

const EXAMPLE_REQUEST_ID = '01987c3e-5f2a-7b61-9d04-6a3f1c8e2b75'
const EXAMPLE_DETAILS: Partial<Record<ErrorCode, AppError['details']>> = {
  validation_failed: [{ field: '/price', message: 'Expected a number greater than or equal to 0' }],
}

const DETAILS_SCHEMA = {
  description: 'Every failing field; empty where no field is at fault',
  type: 'array',
  items: { $ref: '#/components/schemas/hipflask.ErrorDetail' },
}
const CODE_SCHEMA = { description: 'What went wrong, for programs', type: 'string', enum: errorCodes }
const STATUS_SCHEMA = { type: 'integer', minimum: 400, maximum: 599 }
const REQUEST_ID_SCHEMA = { description: 'The same as the X-Request-Id header', type: 'string' }

// With a dot, so that no resource's title can be the same.
const SCHEMAS: Readonly<Record<string, JsonSchema>> = {
  'hipflask.Error': {
    title: 'Error',
    type: 'object',
    required: ['error'],
    properties: {
      error: {
        type: 'object',
        required: ['status_code', 'code', 'message', 'details', 'request_id'],
        properties: {
          status_code: STATUS_SCHEMA,
          code: CODE_SCHEMA,
          message: { description: 'What went wrong, for people', type: 'string' },
          details: DETAILS_SCHEMA,
          request_id: REQUEST_ID_SCHEMA,
        },
      },
    },
  },
  'hipflask.ErrorDetail': {
    title: 'ErrorDetail',
    type: 'object',
    required: ['field', 'message'],
    properties: {
      field: { description: 'A JSON pointer into the body, or the name of a parameter', type: 'string' },
      message: { type: 'string' },
    },
  },
  'hipflask.Problem': {
    title: 'Problem',
    description: 'The same error as RFC 9457',
    type: 'object',
    required: ['type', 'title', 'status', 'detail', 'code', 'errors', 'request_id'],
    properties: {
      type: { type: 'string', format: 'uri-reference' },
      title: { description: 'The same for every error of the code', type: 'string' },
      status: STATUS_SCHEMA,
      detail: { description: 'What went wrong, for people', type: 'string' },
      code: CODE_SCHEMA,
      errors: DETAILS_SCHEMA,
      request_id: REQUEST_ID_SCHEMA,
    },
  },
}

const OAUTH_SCHEMA: JsonSchema = {
  title: 'OAuthError',
  description: 'As OAuth 2.0 has it',
  type: 'object',
  required: ['error', 'error_description'],
  properties: {
    error: { description: 'What went wrong, for programs', type: 'string', enum: OAUTH_ERROR_CODES },
    error_description: { description: 'What went wrong, for people', type: 'string' },
  },
}

const REQUEST_ID_HEADER: JsonObject = { 'X-Request-Id': { $ref: '#/components/headers/RequestId' } }
const STATUS_HEADERS: Readonly<Record<number, JsonObject>> = {
  401: { 'WWW-Authenticate': { $ref: '#/components/headers/Authenticate' } },
  403: {
    'WWW-Authenticate': {
      description: 'The scope that a key lacks, where that is why (RFC 6750, 3.1)',
      schema: { type: 'string' },
    },
  },
  429: { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } },
  503: { 'Retry-After': { $ref: '#/components/headers/RetryAfter' } },
}
const HEADERS: JsonObject = {
  RequestId: {
    description: 'Names this request in the log of the server',
    required: true,
    schema: { type: 'string' },
  },
  Authenticate: {
    description: 'How to sign in (RFC 9110, 11.6.1)',
    required: true,
    schema: { type: 'string' },
  },
  RetryAfter: { description: 'Seconds to wait before another try', schema: { type: 'integer', minimum: 0 } },
}

const LIMIT_HEADERS: JsonObject = {
  RateLimit: { $ref: '#/components/headers/RateLimit' },
  'RateLimit-Policy': { $ref: '#/components/headers/RateLimitPolicy' },
}
const LIMIT_HEADER_COMPONENTS: JsonObject = {
  RateLimit: {
    description:
      'What is left: `r` requests, and in `t` seconds all again (draft-ietf-httpapi-ratelimit-headers-11)',
    schema: { type: 'string' },
    example: '"default";r=42;t=6',
  },
  RateLimitPolicy: {
    description:
      'How many requests there may be: `q` in `w` seconds, of an account, or of a network without one',
    schema: { type: 'string' },
    example: '"default";q=100;w=10',
  },
}

function responseOf(status: number, codes: readonly ErrorCode[], more: JsonObject): JsonObject {
  const examples = (body: (error: AppError, requestId: string) => unknown) =>
    Object.fromEntries(codes.map((code) => [code, { value: body(exampleError(code), EXAMPLE_REQUEST_ID) }]))
  return {
    description: describe(status, codes),
    headers: { ...REQUEST_ID_HEADER, ...more, ...STATUS_HEADERS[status] },
    content: {
      'application/json': {
        schema: { $ref: '#/components/schemas/hipflask.Error' },
        examples: examples(errorBody),
      },
      'application/problem+json': {
        schema: { $ref: '#/components/schemas/hipflask.Problem' },
        examples: examples(problemBody),
      },
    },
  }
}

/** What an OAuth client gets, whatever the reason: RFC 6749, 5.2. */
function oauthResponseOf(status: number, code: ErrorCode, more: JsonObject): JsonObject {
  return {
    description: statusText(status),
    headers: { ...REQUEST_ID_HEADER, ...more, ...STATUS_HEADERS[status] },
    content: {
      'application/json': {
        schema: { $ref: '#/components/schemas/hipflask.OAuthError' },
        example: oauthErrorBody(exampleError(code)),
      },
    },
  }
}

function exampleError(code: ErrorCode): AppError {
  return new AppError(code, { details: EXAMPLE_DETAILS[code] ?? [] })
}

/** In the order of the catalogue, each code once. */
function byStatus(codes: readonly ErrorCode[]): Map<number, ErrorCode[]> {
  return Map.groupBy(
    errorCodes.filter((code) => codes.includes(code)),
    statusOf,
  )
}

function describe(status: number, codes: readonly ErrorCode[]): string {
  const lines = codes.map((code) => `\`${code}\`: ${messageOf(code)}`)
  return lines.length === 1 ? `${lines[0]}` : `${statusText(status)}\n\n- ${lines.join('\n- ')}`
}

function responseName(status: number): string {
  return `${statusText(status)}`.replaceAll(' ', '')
}
