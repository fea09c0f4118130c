// The contract of a route: one typed value from which the router (router.ts) serves and the API document
// (openapi.ts) is made. It knows neither Elysia nor storage.
import type { ErrorCode } from '../core/errors.ts'
import type { Filter } from '../storage/query.ts'
import type { Principal } from '../access/principal.ts'
import type { Action, Rule, Static, TSchema } from '../sdk.ts'

export type JsonSchema = { readonly [keyword: string]: unknown }
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** What a body must be. `parse` gets decoded JSON and throws AppError `validation_failed` with every fault. */
export interface BodyContract<B> {
  /** `form`: application/x-www-form-urlencoded in the place of JSON; `parse` gets a Form (form.ts). */
  encoding?: 'form'
  /** For the document. */
  schema: JsonSchema
  example?: unknown
  /** Accepted beside `application/json`. */
  mediaTypes?: readonly string[]
  parse: (value: unknown) => B
}

/** A parameter of the document, as OpenAPI writes it. */
export interface JsonParameter {
  name: string
  in: 'query'
  description: string
  schema: JsonSchema
  style?: 'form' | 'deepObject'
  explode?: boolean
  example?: unknown
}

/** A request header that a route reads, for the document. */
export interface HeaderParameter {
  name: string
  description: string
  required?: boolean
  maxLength?: number
}

/** A query that no schema describes. `parse` gets it without its `?` and throws AppError `bad_request`. */
export interface QueryContract<Q> {
  /** For the document. */
  parameters: readonly JsonParameter[]
  parse: (search: string) => Q
}

type QueryOf<Q> = Q extends QueryContract<infer V> ? V : Static<Q>

/** What an answer is. `B` is its static type; without a schema it has no body. */
export interface AnswerContract<B> {
  description: string
  schema?: JsonSchema
  example?: unknown
  /** `application/json` unless said. */
  mediaType?: string
  /** Headers beyond those of every answer, for the document: name → description. */
  headers?: Readonly<Record<string, string | AnswerHeader>>
  readonly '~body'?: B
}

/** A response header that no answer of the status lacks. */
export interface AnswerHeader {
  description: string
  required: true
}

/** A format that answers come in beside JSON, which is what an error always is. */
export interface Format {
  /** As in an entity tag: `csv`. */
  name: string
  /** As in Content-Type, without charset, which is always UTF-8: `text/csv`. */
  mediaType: string
  /** The text of a body that would else be JSON; `query` is the request's. */
  encode: (body: unknown, query?: unknown) => string
  /** Headers for what such a text can't say of the body. */
  headers?: (body: unknown) => Readonly<Record<string, string>>
}

export type Answers = Readonly<Record<number, AnswerContract<any>>>
type BodyOf<C> = C extends AnswerContract<infer B> ? DeepReadonly<B> : never
type DeepReadonly<T> = T extends (infer I)[]
  ? readonly DeepReadonly<I>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T

/** An answer with its status and headers, where the body alone does not say enough. */
export class Reply<S extends number = number, B = unknown> {
  readonly status: S
  readonly body: B
  readonly headers: Readonly<Record<string, string>>

  constructor(status: S, body: B, headers: Readonly<Record<string, string>> = {}) {
    this.status = status
    this.body = body
    this.headers = headers
  }
}

/** A body of the 200 answer that is JSON text already, with its entity tag. */
export class JsonText {
  readonly text: string
  /** Its length in UTF-8. */
  readonly bytes: number
  readonly etag: string

  constructor(text: string, etag: string) {
    this.text = text
    this.bytes = Buffer.byteLength(text)
    this.etag = etag
  }
}

/** A body that is not JSON, such as a page or a script; `body` goes out as it is. */
export class Content {
  readonly mediaType: string
  readonly body: string | Uint8Array<ArrayBuffer>
  readonly headers: Readonly<Record<string, string>>

  constructor(
    mediaType: string,
    body: string | Uint8Array<ArrayBuffer>,
    headers: Readonly<Record<string, string>> = {},
  ) {
    this.mediaType = mediaType
    this.body = body
    this.headers = headers
  }
}

export type Answer<R extends Answers> =
  | BodyOf<R[200 & keyof R]>
  | BodyOf<R[201 & keyof R]>
  | { [S in keyof R & number]: Reply<S, BodyOf<R[S]>> }[keyof R & number]

type ParamNames<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParamNames<Rest>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never

/** What a handler gets. */
export interface Context<P extends string, Q, B, R extends Answers> {
  /** Path parameters, percent-decoded. */
  params: { readonly [K in P]: string }
  query: Q
  body: B
  principal: Principal
  /** Which records the access rule leaves; undefined where it leaves all. */
  where: Filter | undefined
  /**
   * Looks at the credential and the access rule once more, and throws where they refuse by now: for what takes long
   * before it is stored. Undefined for a caller without a credential.
   */
  recheck: (() => unknown) | undefined
  requestId: string
  /** The path with its query, as it came. */
  target: string
  /** What the answer's body comes as: the name of one of the route's formats, or `json`. */
  format: string
  /** A request header, or null. */
  header: (name: string) => string | null
  /** The client's network address, as client-address.ts spells it. */
  address: () => string
  reply: <const S extends keyof R & number, const V extends BodyOf<R[S]>>(
    status: S,
    body: V,
    headers?: Readonly<Record<string, string>>,
  ) => Reply<S, V>
}

export interface RouteOptions<
  Path extends string,
  Q extends TSchema | QueryContract<any>,
  B,
  R extends Answers,
  A,
> {
  method: Method
  /** `/api/items/:id` */
  path: Path
  operationId: string
  summary: string
  description?: string
  tag: string
  /** Who may call it. There is no default. */
  access: Rule
  /** The resource's action that `access` is the rule of; without it a filter has nothing to filter. */
  action?: Action
  /**
   * What a key or an outside token needs here, such as `items:read`; ANY_SCOPE of access/scopes.ts: nothing. Without it
   * they are anonymous callers.
   */
  scope?: string
  /**
   * `ignored`: a credential is not looked at (sign-in and health routes). `client`: Basic is an OAuth client's, for the
   * handler to look at; all others are as everywhere.
   */
  credentials?: 'ignored' | 'client'
  /** It is not counted, and never refused, by the limit of requests. */
  unlimited?: boolean
  /** JSON Schemas of path parameters for the document; text where absent. */
  params?: Readonly<Record<ParamNames<Path>, JsonSchema>>
  /** Query parameters by name, parsed canonically and validated, or a parser of their own. Any other is 400. */
  query?: Q
  requestHeaders?: readonly HeaderParameter[]
  body?: BodyContract<B>
  responses: R
  /** Codes that the handler itself may answer, for the document; those of the frame are added. */
  errors?: readonly ErrorCode[]
  /** What the bodies of the answers can come as beside JSON, which is what whoever names none of them gets. */
  formats?: readonly Format[]
  /** Answers other than JSON may be asked for: no 406, the handler negotiates. */
  negotiates?: boolean
  /** Left out of the document. */
  undocumented?: boolean
  /** `oauth`: errors, those of the frame too, are answered as RFC 6749, 5.2, says, and not as all others. */
  errorShape?: 'oauth'
  /** `Cache-Control: no-store` instead of `private, no-cache`. */
  noStore?: boolean
  /** Asked all the time, and by machines: its requests are logged as debug where all goes well. */
  isQuiet?: boolean
  handler: (context: Context<ParamNames<Path>, QueryOf<Q>, B, R>) => A | Promise<A>
}

/** A route with its types forgotten, for the router and the document. */
export type Route = Omit<RouteOptions<string, any, any, Answers, unknown>, 'params' | 'handler'> & {
  params?: Readonly<Record<string, JsonSchema>>
  handler: (context: Context<string, any, any, any>) => unknown
}

/**
 * Declares a route. The handler returns the body of the 200 or 201 answer, `reply(status, body, headers?)`, or
 * Content. The router's order is fixed: credential, access, media type, size, decoding, validation, handler,
 * serialisation; any throw ends in problem.ts.
 */
export function route<
  const Path extends string,
  const R extends Answers,
  const A extends Answer<R> | Content,
  Q extends TSchema | QueryContract<any> = never,
  B = undefined,
>(options: RouteOptions<Path, Q, B, R, A>): Route {
  return options as unknown as Route
}

/** An answer whose body has this schema. */
export function json<const S extends TSchema>(
  description: string,
  schema: S,
  more: Omit<AnswerContract<Static<S>>, 'description' | 'schema'> = {},
): AnswerContract<Static<S>> {
  return { description, schema: schema as unknown as JsonSchema, ...more }
}
