// Makes the OpenAPI 3.1 document from the route table that serves. It only describes: what a route does is decided by
// the table and by router.ts, and nothing is said here that they do not do.
import { ANY_SCOPE } from '../access/scopes.ts'
import type { BuiltRule, Rule } from '../sdk.ts'
import { FORM_TYPE } from './form.ts'
import { createErrorComponents, frameErrors, type ErrorComponents } from './openapi-errors.ts'
import { createSchemaComponents, plainSchema, type SchemaComponents } from './openapi-schemas.ts'
import type { AnswerContract, Format, HeaderParameter, JsonSchema, Route } from './route.ts'

export interface DocumentOptions {
  routes: readonly Route[]
  version: string
  /** The address that clients use; empty or absent: the origin that the document came from. */
  publicUrl?: string | null | undefined
  /** What each tag is for, in the order of the document. */
  tags: Readonly<Record<string, string>>
  description?: string
  /** Requests are counted, and refused beyond a limit. */
  isLimited?: boolean
}

export type JsonObject = Record<string, unknown>

const OPENAPI_VERSION = '3.1.1'

// Without a host, so that it is the server's own, whatever name it is reached by.
const TOKEN_URL = '/auth/token'

const DESCRIPTION = `Records are created, read, replaced, changed and deleted under \`/api\`.

Every error has one shape, also those that may meet any request: 404 where there is no such path, 405 with \`Allow\`,
414 for a target of 8 KiB or more, 421 for a host that is not served. With \`Accept: application/problem+json\` it comes
as RFC 9457. Only the routes for OAuth clients answer errors as RFC 6749 does. Every answer carries an \`X-Request-Id\`; the server's log names failures by it.`

const API_KEY_SCHEME = {
  type: 'apiKey',
  in: 'header',
  name: 'X-API-Key',
  description:
    'An API key, as `POST /auth/keys` or `hipflask key create` gives it. An operation names the scope that a key must ' +
    'have, or `*`; without it a key does no more there than an anonymous caller.',
}

/**
 * The document of the routes that are not `undocumented`. Throws TypeError where the table cannot be described: two
 * routes of one method and path or of one operationId, a tag without a description, two schemas of one title.
 */
export function buildDocument({
  routes,
  version,
  publicUrl,
  tags,
  description = DESCRIPTION,
  isLimited = false,
}: DocumentOptions): JsonObject {
  const documented = routes.filter((route) => route.undocumented !== true)
  refuseDuplicates(documented)
  const schemas = createSchemaComponents(documented.flatMap(schemasOf))
  const errors = createErrorComponents({ isLimited })
  const paths: Record<string, JsonObject> = {}
  for (const route of documented) {
    const path = (paths[templateOf(route.path)] ??= {})
    path[route.method.toLowerCase()] = operationOf(route, schemas, errors)
  }
  return {
    openapi: OPENAPI_VERSION,
    info: {
      title: 'hipflask API',
      version,
      description,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: publicUrl || '/' }],
    tags: tagsOf(documented, tags),
    paths,
    components: {
      schemas: { ...schemas.all, ...errors.schemas() },
      responses: errors.used(),
      headers: errors.headers,
      securitySchemes: {
        basicAuth: { type: 'http', scheme: 'basic', description: 'E-mail and password' },
        bearerAuth: {
          type: 'http',
          scheme: 'bearer',
          bearerFormat: 'JWT',
          description: 'An access token, as signing in gives it, or an API key',
        },
        ...(documented.some(({ scope }) => scope !== undefined) ? { apiKeyAuth: API_KEY_SCHEME } : {}),
        oauth2Auth: {
          type: 'oauth2',
          description: 'E-mail and password, or the id of an API key and the key, for an access token',
          flows: {
            password: { tokenUrl: TOKEN_URL, refreshUrl: TOKEN_URL, scopes: {} },
            clientCredentials: { tokenUrl: TOKEN_URL, scopes: {} },
          },
        },
      },
    },
  }
}

function operationOf(route: Route, schemas: SchemaComponents, errors: ErrorComponents): JsonObject {
  const parameters = parametersOf(route, schemas)
  return {
    operationId: route.operationId,
    summary: route.summary,
    ...(route.description === undefined ? {} : { description: route.description }),
    tags: [route.tag],
    security: securityOf(route),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...requestBodyOf(route, schemas),
    responses: responsesOf(route, schemas, errors),
  }
}

function parametersOf(route: Route, schemas: SchemaComponents): JsonObject[] {
  const inPath = paramNames(route.path).map((name) =>
    parameter({ name, in: 'path', required: true }, plainSchema(route.params?.[name] ?? { type: 'string' })),
  )
  const inHeader = (route.requestHeaders ?? []).map(headerParameter)
  if (route.query === undefined) return [...inPath, ...inHeader]
  if ('parse' in route.query) return [...inPath, ...route.query.parameters, ...inHeader]
  const query = plainSchema(route.query) as { properties?: Record<string, JsonSchema>; required?: string[] }
  const inQuery = Object.entries(query.properties ?? {}).map(([name, schema]) =>
    parameter(
      { name, in: 'query', required: query.required?.includes(name) === true },
      schemas.refer(schema),
    ),
  )
  return [...inPath, ...inQuery, ...inHeader]
}

function headerParameter({ name, description, required = false, maxLength }: HeaderParameter): JsonObject {
  const schema = { type: 'string', ...(maxLength === undefined ? {} : { minLength: 1, maxLength }) }
  return { name, in: 'header', description, required, schema }
}

/** What a schema says of the parameter rather than of its value moves up to where readers look for it. */
function parameter(head: JsonObject, { description, deprecated, ...schema }: JsonSchema): JsonObject {
  return {
    ...head,
    ...(description === undefined ? {} : { description }),
    ...(deprecated === undefined ? {} : { deprecated }),
    schema,
  }
}

function requestBodyOf({ body }: Route, schemas: SchemaComponents): JsonObject {
  if (body === undefined) return {}
  const media = { schema: schemas.refer(body.schema), ...exampleOf(body) }
  const types = [body.encoding === 'form' ? FORM_TYPE : 'application/json', ...(body.mediaTypes ?? [])]
  return {
    requestBody: { required: true, content: Object.fromEntries(types.map((type) => [type, media])) },
  }
}

function responsesOf(route: Route, schemas: SchemaComponents, errors: ErrorComponents): JsonObject {
  const successes = Object.entries(route.responses).map(([status, answer]) => [
    status,
    responseOf(answer, schemas, { headers: errors.headersOf(route), formats: route.formats ?? [] }),
  ])
  const frame = { isOpenToAll: isOpenToAll(route.access), isLimited: errors.isLimited }
  const codes = [...frameErrors(route, frame), ...(route.errors ?? [])]
  const failures = errors.refer(codes, route.errorShape)
  return { ...failures, ...Object.fromEntries(successes) }
}

function responseOf(
  answer: AnswerContract<unknown>,
  schemas: SchemaComponents,
  { headers, formats }: { headers: JsonObject; formats: readonly Format[] },
): JsonObject {
  const { description, schema, mediaType = 'application/json' } = answer
  const described = Object.entries(answer.headers ?? {}).map(([name, header]) => [
    name,
    { ...(typeof header === 'string' ? { description: header } : header), schema: { type: 'string' } },
  ])
  const content =
    schema === undefined
      ? {}
      : {
          content: {
            [mediaType]: { schema: schemas.refer(schema), ...exampleOf(answer) },
            ...formatsOf(answer, formats),
          },
        }
  return { description, headers: { ...headers, ...Object.fromEntries(described) }, ...content }
}

/** The other formats of a body are text, and their example is that of JSON as they write it. */
function formatsOf({ example }: AnswerContract<unknown>, formats: readonly Format[]): JsonObject {
  const media = formats.map(({ mediaType, encode }) => [
    mediaType,
    { schema: { type: 'string' }, ...(example === undefined ? {} : { example: encode(example) }) },
  ])
  return Object.fromEntries(media)
}

function exampleOf({ example }: { example?: unknown }): JsonObject {
  return example === undefined ? {} : { example }
}

/**
 * Without `{}` a credential is needed; an empty list says that none is looked at. The roles that OpenAPI 3.1 lets a
 * scheme name are the scopes of a key; where a key reaches nothing, it is not offered.
 */
function securityOf(route: Route): JsonObject[] {
  if (route.credentials === 'ignored') return []
  const { scope } = route
  const key = scope === undefined ? [] : [{ apiKeyAuth: scope === ANY_SCOPE ? [] : [scope] }]
  const schemes = [{ basicAuth: [] }, { bearerAuth: [] }, ...key, { oauth2Auth: [] }]
  return mayBeAnonymous(route.access) ? [{}, ...schemes] : schemes
}

function isOpenToAll(rule: Rule): boolean {
  return holds(rule, { function: false })
}

// What a function of the principal will answer is not known before it is asked, so the document does not promise
// that a credential is needed.
function mayBeAnonymous(rule: Rule): boolean {
  return holds(rule, { function: true })
}

function holds(rule: Rule, known: { function: boolean }): boolean {
  if (typeof rule === 'function') return known.function
  const built: BuiltRule = rule
  switch (built.rule) {
    case 'everyone':
      return true
    case 'anyOf':
      return built.rules.some((one) => holds(one, known))
    case 'allOf':
      return built.rules.every((one) => holds(one, known))
    default:
      return false
  }
}

function schemasOf(route: Route): JsonSchema[] {
  const answers = Object.values(route.responses).map((answer) => answer.schema)
  return [route.body?.schema, ...answers].filter((schema) => schema !== undefined)
}

function paramNames(path: string): string[] {
  return [...path.matchAll(/:([^/]+)/g)].map(([, name]) => name as string)
}

function templateOf(path: string): string {
  return path.replace(/:([^/]+)/g, '{$1}')
}

function tagsOf(routes: readonly Route[], tags: Readonly<Record<string, string>>): JsonObject[] {
  const used = new Set(routes.map((route) => route.tag))
  for (const tag of used) {
    if (tags[tag] === undefined) throw new TypeError(`Tag ${tag} has no description`)
  }
  return Object.entries(tags)
    .filter(([name]) => used.has(name))
    .map(([name, description]) => ({ name, description }))
}

function refuseDuplicates(routes: readonly Route[]): void {
  const seen = new Set<string>()
  for (const { method, path, operationId } of routes) {
    for (const name of [`${method} ${templateOf(path)}`, `operationId ${operationId}`]) {
      if (seen.has(name)) throw new TypeError(`${name} is in the route table twice`)
      seen.add(name)
    }
  }
}
