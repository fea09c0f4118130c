// Serves the route table: the only caller of Elysia's router, and the one place that fixes the order in which a request
// is handled (credential, access, media type and size, decoding, validation, handler, serialisation, problem).
// Security never hangs on a framework hook: each route has one handler, made here, and Elysia only finds it.
import { Elysia } from 'elysia'
import { ANONYMOUS, type Authenticator, type Principal } from '../access/principal.ts'
import { authorize } from '../access/authorize.ts'
import { withinScope } from '../access/scopes.ts'
import { AppError } from '../core/errors.ts'
import { proceed, proceedWith, settle, type Eventual } from '../core/eventual.ts'
import type { Logger } from '../core/logger.ts'
import { findingAdapter } from './adapter.ts'
import { type BodyReader, checkMediaType, createBodyReader } from './body.ts'
import type { Cors } from './cors.ts'
import { createExchange, identify, type Exchange } from './exchange.ts'
import { createAnswerHeaders, type AnswerHeaders } from './headers.ts'
import { createHostCheck } from './host.ts'
import { decodeForm, FORM_TYPE } from './form.ts'
import { decodeJson } from './json.ts'
import { preferredChoice } from './negotiation.ts'
import { byMethod, createObservers, type Observer, type ObserverOf } from './observer.ts'
import { createProblemResponder } from './problem.ts'
import { createQueryParser } from './query-parameters.ts'
import type { Claim, RequestLimits } from './request-limits.ts'
import { createResponder } from './responder.ts'
import { Reply } from './route.ts'
import type { Context, Format, JsonSchema, Method, Route } from './route.ts'

export interface RouterOptions {
  routes: readonly Route[]
  authenticate: Authenticator
  /** The address of a request's client. */
  addressOf: (request: Request) => string
  logger: Logger
  /** Bytes. */
  bodyLimit: number
  /** Hosts that are served; empty: any well-formed one. */
  allowedHosts: readonly string[]
  /** The public address is https. */
  strictTransport: boolean
  /** No search engine may list what is answered. */
  noIndex?: boolean
  /** Undefined: no page of another origin may call. */
  cors?: Cors | undefined
  /** Undefined: requests are not counted. */
  limits?: RequestLimits | undefined
  /** Sees each answer; without it nothing is told of them. */
  observe?: ObserverOf
}

/** Answers a request; never rejects. */
export type RequestHandler = (request: Request) => Eventual<Response>

/** From 8 KiB on a target is refused (414). */
const TARGET_LIMIT = 8192
const BODY_TIMEOUT_MS = 20_000

/** Makes the handler of all requests from the route table. */
export function createRouter(options: RouterOptions): RequestHandler {
  const { cors, limits, observe = createObservers({}) } = options
  const readBody = createBodyReader({ limitBytes: options.bodyLimit, timeoutMs: BODY_TIMEOUT_MS })
  const tell = limits === undefined ? tellNothing : limits.tell
  const headers = createAnswerHeaders({ ...options, variesByOrigin: cors !== undefined })
  const fail = createProblemResponder(headers, options.logger)
  const checkHost = createHostCheck(options.allowedHosts)
  const app = new Elysia({ adapter: findingAdapter, strictPath: true, normalize: false })
  const serve = (
    answer: Answerer,
    { noStore = false, errorShape }: Answered,
    observerOf: (request: Request) => Observer,
  ) => {
    const finish = (response: Response, { observer, exchange }: Passage) =>
      observer.end(exchange, tell(exchange, response))
    const failed = (thrown: unknown, passage: Passage) =>
      finish(fail(thrown, { exchange: passage.exchange, noStore, errorShape }), passage)
    const ends = { fulfilled: finish, rejected: failed }
    return (request: Request, params: Found['params']): Eventual<Response> => {
      const passage = createPassage(request, params, observerOf(request))
      passage.observer.begin()
      try {
        const answered = answer(passage)
        if (!(answered instanceof Promise)) return finish(answered, passage)
        passage.observer.wait(passage.exchange)
        return settle(answered, passage, ends)
      } catch (thrown) {
        return failed(thrown, passage)
      }
    }
  }
  for (const route of options.routes) {
    const answer = createAnswerer(route, { ...options, readBody }, headers)
    for (const method of route.method === 'GET' ? ['GET', 'HEAD'] : [route.method]) {
      const observer = observe({ method, route: route.path, isQuiet: route.isQuiet === true })
      app.route(method, route.path, found(serve(answer, route, () => observer)))
    }
  }
  for (const [path, routes] of Map.groupBy(options.routes, (route) => route.path)) {
    const allow = allowedMethods(routes.map(({ method }) => method))
    const answer = otherMethod(allow, headers, routes[0]?.noStore === true)
    const counted = routes.every(({ unlimited }) => unlimited) ? undefined : limits
    const unroutedAnswer = unrouted(answer, { headers, cors, limits: counted })
    const handle = serve(unroutedAnswer, routes[0] ?? {}, byMethod(observe, path))
    app.all(path, found(handle))
  }
  const observeUnknown = byMethod(observe, undefined)
  const unknown = serve(unrouted(notFound, { headers, cors, limits }), {}, observeUnknown)
  app.all('/*', found(unknown))
  app.compile()
  const refuse = (thrown: unknown, request: Request) => {
    const exchange = createExchange(request)
    const observer = observeUnknown(request)
    observer.begin()
    return observer.end(exchange, fail(thrown, { exchange, noStore: false }))
  }
  const handle: RequestHandler = (request) => {
    const { url } = request
    try {
      checkHost(request)
      checkTarget(url)
    } catch (thrown) {
      return refuse(thrown, request)
    }
    return app.fetch(url.startsWith('https') ? plain(request) : request)
  }
  return cors === undefined ? handle : cors.granting(handle)
}

/** Found by the path of its address, which Elysia looks for behind `http://` whatever the scheme is. */
type Findable = Pick<Request, 'method' | 'url'> & { secure?: Request }

function plain(secure: Request): Request {
  const findable: Findable = { method: secure.method, url: `http${secure.url.slice(5)}`, secure }
  return findable as Request
}

function tellNothing(_: Exchange, response: Response): Response {
  return response
}

function notFound(): never {
  throw new AppError('not_found')
}

type Found = Readonly<{ request: Request & Findable; params: Record<string, string> }>

/**
 * Makes a handler as Elysia takes it. It reads a handler's text to find out what to parse for it and whether to await
 * it, and takes every call for something to await: the text that it gets here says that there is neither. Elysia must
 * not be told so by `parse: 'none'`, for then it awaits, which costs 5 % of a simple read.
 */
function found(handle: (request: Request, params: Found['params']) => Eventual<Response>) {
  const handler = ({ request, params }: Found) => handle(request.secure ?? request, params)
  return Object.assign(handler, { toString: () => '({ request, params }) => response' })
}

/** Who calls, and which records the rule leaves. */
type Permit = Pick<Context<string, unknown, unknown, any>, 'principal' | 'where' | 'recheck'>

/** A request on its way through the steps, and what they find out: one object, since each one more is felt. */
interface Passage extends Permit {
  readonly observer: Observer
  readonly exchange: Exchange
  /** That of the exchange. */
  readonly request: Request
  readonly params: Readonly<Record<string, string>>
  /** Of the answer; undefined: JSON. */
  format: Format | undefined
  query: unknown
}

function createPassage(request: Request, params: Found['params'], observer: Observer): Passage {
  const exchange = createExchange(request)
  return {
    observer,
    exchange,
    request,
    params,
    principal: ANONYMOUS,
    where: undefined,
    recheck: undefined,
    format: undefined,
    query: undefined,
  }
}

/** What of a route its errors depend on; those of one path have it in common. */
type Answered = Pick<Route, 'noStore'> & { errorShape?: Route['errorShape'] | undefined }

/** It throws, or its promise rejects, where the request fails. */
type Answerer = (passage: Passage) => Eventual<Response>

interface AnswererOptions extends RouterOptions {
  /** Of all routes. */
  readBody: BodyReader
}

// The steps go on at once where nothing has to be waited for: see eventual.ts.
function createAnswerer(route: Route, options: AnswererOptions, headers: AnswerHeaders): Answerer {
  const { readBody } = options
  const handle = createHandling(route, headers, options.addressOf)
  const isForm = route.body?.encoding === 'form'
  const mediaTypes = [isForm ? FORM_TYPE : 'application/json', ...(route.body?.mediaTypes ?? [])]
  const decode = isForm ? decodeForm : decodeJson
  const { admit, readmit } = createAdmission(route, options)
  const formats = route.formats ?? []
  const take = (_: unknown, passage: Passage): Eventual<Response> => {
    const { request } = passage
    if (!route.negotiates) passage.format = acceptedFormat(request, formats)
    if (route.body === undefined) return handle(undefined, passage)
    checkMediaType(request, mediaTypes)
    return proceedWith(readBody(request), passage, takeBody)
  }
  const takeBody = (bytes: Uint8Array, passage: Passage): Eventual<Response> => {
    const decoded = decode(bytes)
    return passage.recheck === undefined ? handle(decoded, passage) : handleAgain(decoded, passage)
  }
  // A body may take its time, and a credential that is revoked meanwhile must not act.
  const handleAgain = (decoded: unknown, passage: Passage) =>
    proceed(readmit(passage), () => handle(decoded, passage))
  return (passage) => proceedWith(admit(passage), passage, take)
}

/** Both find out who calls, note it, and throw where the rule refuses that; the first counts the request. */
type Admission = Readonly<Record<'admit' | 'readmit', (passage: Passage) => Eventual<void>>>

function createAdmission(route: Route, options: RouterOptions): Admission {
  const { access: rule, action = 'call', scope } = route
  const find = createIdentification(route, options)
  const permit = (caller: Principal, passage: Passage): void => {
    identify(passage.exchange, caller, scope)
    // Nothing behind this may take a caller out of its scope for more than the rule does.
    const principal = withinScope(caller, scope)
    passage.where = authorize({ rule, principal, action, scope })
    passage.principal = principal
    passage.recheck = caller === ANONYMOUS ? undefined : recheckOf(passage)
  }
  const readmit = (passage: Passage) => proceedWith(find(passage.exchange), passage, permit)
  const recheckOf = (passage: Passage) => () => readmit(passage)
  const { limits } = options
  if (limits === undefined || route.unlimited === true) return { admit: readmit, readmit }
  const admit = (passage: Passage) => proceedWith(limits.countCaller(passage.exchange, find), passage, permit)
  return { admit, readmit }
}

/** What is done once the caller is known, may call, and the body is decoded. */
function createHandling(route: Route, headers: AnswerHeaders, addressOf: RouterOptions['addressOf']) {
  const parseQuery = queryParserOf(route)
  const respond = createResponder(route, headers)
  const readersOf = (request: Request) => {
    const { headers: given } = request
    return { header: (name: string) => given.get(name), address: () => addressOf(request) }
  }
  return (decoded: unknown, passage: Passage): Eventual<Response> => {
    const { exchange, request, params, principal, where, recheck, format } = passage
    const { url } = request
    const start = startOfTarget(url)
    const queryAt = url.indexOf('?', start)
    passage.query = parseQuery(queryAt === -1 ? '' : url.slice(queryAt + 1))
    const { header, address } = readersOf(request)
    const context: Context<string, unknown, unknown, any> = {
      params,
      query: passage.query,
      body: route.body === undefined ? undefined : route.body.parse(decoded),
      principal,
      where,
      recheck,
      requestId: exchange.requestId,
      target: url.slice(start),
      format: format?.name ?? 'json',
      header,
      address,
      reply,
    }
    return proceedWith(route.handler(context), passage, respond)
  }
}

const reply: Context<string, unknown, unknown, any>['reply'] = (status, value, extra) =>
  new Reply(status, value, extra)

// Frozen, since an author's handler gets it too.
const NO_QUERY = Object.freeze({})

function queryParserOf({ query }: Route): (search: string) => unknown {
  if (query !== undefined) return 'parse' in query ? query.parse : createQueryParser(query as JsonSchema)
  const refuse = createQueryParser({ type: 'object', properties: {} })
  return (search) => (search === '' ? NO_QUERY : refuse(search))
}

type Find = (exchange: Exchange, claimOf?: (exchange: Exchange) => Claim) => Eventual<Principal>

function createIdentification(route: Route, { authenticate, addressOf }: RouterOptions): Find {
  if (route.credentials === 'ignored') return () => ANONYMOUS
  return (exchange, claimOf) => {
    const { request } = exchange
    const { headers } = request
    const authorization = headers.get('authorization')
    const apiKey = headers.get('x-api-key')
    if (authorization === null && apiKey === null) return ANONYMOUS
    if (route.credentials === 'client' && apiKey === null && /^basic(?: |$)/i.test(authorization ?? ''))
      return ANONYMOUS
    const address = () => addressOf(request)
    return authenticate({ authorization, apiKey, address, claim: claimOf?.(exchange) })
  }
}

/** The format that the client wishes for; undefined is JSON. Throws AppError `not_acceptable`. */
function acceptedFormat(request: Request, formats: readonly Format[]): Format | undefined {
  const accept = request.headers.get('accept')
  if (accept === null || accept === '*/*') return undefined
  const mediaTypes = formats.map(({ mediaType }) => mediaType)
  const choice = preferredChoice(accept, mediaTypes)
  if (choice.accepted === 'nothing') throw new AppError('not_acceptable')
  return choice.accepted === 'json' ? undefined : formats[choice.index]
}

interface Unrouted {
  headers: AnswerHeaders
  cors: Cors | undefined
  limits: RequestLimits | undefined
}

/** What no route answers: a browser is told what a page may send, uncounted, so that only the request itself counts. */
function unrouted(answer: Answerer, { headers, cors, limits }: Unrouted): Answerer {
  if (cors === undefined && limits === undefined) return answer
  return (incoming) => {
    if (cors?.isPreflight(incoming.request) !== true) {
      limits?.countNetwork(incoming.exchange)
      return answer(incoming)
    }
    const own = headers.own(incoming.exchange.requestId, false)
    own.delete('content-type')
    for (const [name, value] of Object.entries(cors.preflightHeaders)) own.set(name, value)
    return new Response(null, { status: 204, headers: own })
  }
}

function otherMethod(allow: string, headers: AnswerHeaders, noStore: boolean): Answerer {
  return ({ request, exchange: { requestId } }) => {
    if (request.method !== 'OPTIONS') throw new AppError('method_not_allowed', { headers: { allow } })
    const own = headers.own(requestId, noStore)
    own.delete('content-type')
    own.set('allow', allow)
    return new Response(null, { status: 204, headers: own })
  }
}

function allowedMethods(methods: readonly Method[]): string {
  const head = methods.includes('GET') ? ['HEAD'] : []
  return [...methods, ...head, 'OPTIONS'].sort().join(', ')
}

/** Where path and query begin, as they came: at the first slash after the authority. */
function startOfTarget(url: string): number {
  return url.indexOf('/', url.indexOf('//') + 2)
}

function checkTarget(url: string): void {
  if (url.length < TARGET_LIMIT && !url.includes('%')) return
  const target = url.slice(startOfTarget(url))
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
