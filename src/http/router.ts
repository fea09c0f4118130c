// Serves the route table: the only caller of Elysia's router, and the one place that fixes the order in which a request
// is handled (credential, access, media type and size, decoding, validation, handler, serialisation, problem).
// Security never hangs on a framework hook: each route has one handler, made here, and Elysia only finds it.
import { Elysia } from 'elysia'
import { ANONYMOUS, type Authenticator, type Principal } from '../access/principal.ts'
import { authorize } from '../access/authorize.ts'
import { AppError } from '../core/errors.ts'
import { newUuid } from '../core/ids.ts'
import type { Logger } from '../core/logger.ts'
import { checkMediaType, readBody } from './body.ts'
import { createAnswerHeaders, type AnswerHeaders } from './headers.ts'
import { createHostCheck } from './host.ts'
import { decodeJson } from './json.ts'
import { preferredType } from './negotiation.ts'
import { createProblemResponder } from './problem.ts'
import { createQueryParser } from './query-parameters.ts'
import { Content, Reply, type Context, type JsonSchema, type Method, type Route } from './route.ts'

export interface RouterOptions {
  routes: readonly Route[]
  authenticate: Authenticator
  logger: Logger
  /** Bytes. */
  bodyLimit: number
  /** Hosts that are served; empty: any well-formed one. */
  allowedHosts: readonly string[]
  /** The public address is https. */
  strictTransport: boolean
}

/** Answers a request; never rejects. */
export type RequestHandler = (request: Request) => Response | Promise<Response>

/** From 8 KiB on a target is refused (414). */
const TARGET_LIMIT = 8192
const BODY_TIMEOUT_MS = 20_000

/** Makes the handler of all requests from the route table. */
export function createRouter(options: RouterOptions): RequestHandler {
  const headers = createAnswerHeaders(options)
  const fail = createProblemResponder(headers, options.logger)
  const checkHost = createHostCheck(options.allowedHosts)
  const app = new Elysia({ strictPath: true, normalize: false, handler: { standardHostname: false } })
  const serve = (answer: Answerer, noStore: boolean) => {
    return async (request: Request, params: Readonly<Record<string, string>>): Promise<Response> => {
      const requestId = newUuid()
      try {
        return await answer(request, params, requestId)
      } catch (thrown) {
        return fail(thrown, { requestId, request, noStore })
      }
    }
  }
  for (const route of options.routes) {
    const handle = serve(createAnswerer(route, options, headers), route.noStore === true)
    // Elysia reads the text of this function to decide what to parse: the fields must be named in its parameters.
    const handler = ({ request, params }: { request: Request; params: Record<string, string> }) =>
      handle(request, params)
    app.route(route.method, route.path, handler, { parse: 'none' })
    if (route.method === 'GET') app.route('HEAD', route.path, handler, { parse: 'none' })
  }
  for (const [path, methods] of methodsByPath(options.routes)) {
    const allow = allowedMethods(methods)
    const handle = serve(otherMethod(allow, headers), false)
    app.all(path, ({ request }: { request: Request }) => handle(request, {}), { parse: 'none' })
  }
  const unknown = serve(() => Promise.reject(new AppError('not_found')), false)
  app.all('/*', ({ request }: { request: Request }) => unknown(request, {}), { parse: 'none' })
  app.compile()
  const refuse = (thrown: unknown, request: Request) =>
    fail(thrown, { requestId: newUuid(), request, noStore: false })
  return (request) => {
    try {
      checkHost(request)
      checkTarget(request)
    } catch (thrown) {
      return refuse(thrown, request)
    }
    return app.fetch(request)
  }
}

type Answerer = (
  request: Request,
  params: Readonly<Record<string, string>>,
  requestId: string,
) => Promise<Response>

function createAnswerer(route: Route, options: RouterOptions, headers: AnswerHeaders): Answerer {
  const parseQuery = createQueryParser((route.query ?? { type: 'object', properties: {} }) as JsonSchema)
  const mediaTypes = ['application/json', ...(route.body?.mediaTypes ?? [])]
  const noStore = route.noStore === true
  return async (request, params, requestId) => {
    const principal = await principalOf(request, route, options.authenticate)
    const where = authorize({ rule: route.access, principal, action: route.action ?? 'call' })
    if (!route.negotiates) requireJsonAccepted(request)
    let body: unknown
    if (route.body !== undefined) {
      checkMediaType(request, mediaTypes)
      const bytes = await readBody(request, { limitBytes: options.bodyLimit, timeoutMs: BODY_TIMEOUT_MS })
      body = decodeJson(bytes)
    }
    const target = targetOf(request)
    const queryAt = target.indexOf('?')
    const query = parseQuery(queryAt === -1 ? '' : target.slice(queryAt + 1))
    if (route.body !== undefined) body = route.body.parse(body)
    const context: Context<string, unknown, unknown, any> = {
      params,
      query,
      body,
      principal,
      where,
      requestId,
      target,
      header: (name) => request.headers.get(name),
      reply: (status, value, extra) => new Reply(status, value, extra),
    }
    return respond(await route.handler(context), { route, requestId, noStore, headers })
  }
}

function principalOf(
  request: Request,
  route: Route,
  authenticate: Authenticator,
): Principal | Promise<Principal> {
  if (route.credentials === 'ignored') return ANONYMOUS
  const authorization = request.headers.get('authorization')
  const apiKey = request.headers.get('x-api-key')
  if (authorization === null && apiKey === null) return ANONYMOUS
  return authenticate({ authorization, apiKey })
}

function requireJsonAccepted(request: Request): void {
  const accept = request.headers.get('accept')
  if (accept === null || accept === '*/*') return
  if (preferredType(accept, ['application/json', 'application/problem+json']) === undefined) {
    throw new AppError('not_acceptable')
  }
}

interface Answering {
  route: Route
  requestId: string
  noStore: boolean
  headers: AnswerHeaders
}

function respond(result: unknown, { route, requestId, noStore, headers }: Answering): Response {
  if (result instanceof Content) return contentResponse(result, headers.own(requestId, noStore))
  if (result instanceof Reply) {
    const own = headers.own(requestId, noStore)
    for (const [name, value] of Object.entries(result.headers)) own.set(name, value)
    if (result.body === undefined) own.delete('content-type')
    const text = result.body === undefined ? null : JSON.stringify(result.body)
    return new Response(text, { status: result.status, headers: own })
  }
  const status = route.responses[200] === undefined ? 201 : 200
  const text = JSON.stringify(result)
  return new Response(text, { status, headers: headers.shared(requestId, noStore) })
}

function contentResponse(content: Content, headers: Headers): Response {
  headers.set('content-type', content.mediaType)
  for (const [name, value] of Object.entries(content.headers)) headers.set(name, value)
  return new Response(content.body, { headers })
}

function otherMethod(allow: string, headers: AnswerHeaders): Answerer {
  return async (request, _params, requestId) => {
    if (request.method !== 'OPTIONS') throw new AppError('method_not_allowed', { headers: { allow } })
    const own = headers.own(requestId, false)
    own.delete('content-type')
    own.set('allow', allow)
    return new Response(null, { status: 204, headers: own })
  }
}

function methodsByPath(routes: readonly Route[]): Map<string, Method[]> {
  const paths = new Map<string, Method[]>()
  for (const { path, method } of routes) paths.set(path, [...(paths.get(path) ?? []), method])
  return paths
}

function allowedMethods(methods: readonly Method[]): string {
  const head = methods.includes('GET') ? ['HEAD'] : []
  return [...methods, ...head, 'OPTIONS'].sort().join(', ')
}

/** Path and query as they came, from the first slash after the authority. */
function targetOf(request: Request): string {
  const { url } = request
  return url.slice(url.indexOf('/', url.indexOf('//') + 2))
}

function checkTarget(request: Request): void {
  const target = targetOf(request)
  if (target.length >= TARGET_LIMIT) throw new AppError('uri_too_long')
  const query = target.indexOf('?')
  const path = query === -1 ? target : target.slice(0, query)
  if (!path.includes('%')) return
  try {
    decodeURIComponent(path)
  } catch {
    throw new AppError('bad_request', { message: 'Request path has an invalid percent escape' })
  }
}
