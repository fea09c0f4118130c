// What `import … from 'hipflask'` gives a resource file. All public types are in this one file and none of them
// refers to another module, so that the compiler's declaration output is the whole hipflask.d.ts of an editor.
import { Type } from 'typebox'

// ── Schemas ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** What every property may say. `title`, `description`, `examples` and `deprecated` go to the API document. */
export interface FieldOptions<T> {
  title?: string
  description?: string
  examples?: readonly T[]
  deprecated?: boolean
  /** Taken where a body leaves the property out. */
  default?: T
  /** Replaces the message of every error of this field. */
  message?: string
  /** No two records have the same value (409 `conflict`). */
  unique?: boolean
  /** Makes an index in the database. */
  index?: boolean
  /** No part of the API: in a body an unknown field; never answered, filtered, sorted or documented. Hooks and routes set it. */
  hidden?: boolean
  /** Ignored in a body; hooks and routes set it. */
  readOnly?: boolean
  /** A body may set it, no answer shows it. */
  writeOnly?: boolean
}

export interface StringOptions extends FieldOptions<string> {
  /** In code points. */
  minLength?: number
  /** In code points. */
  maxLength?: number
  /** A regular expression, matched anywhere unless anchored. */
  pattern?: string
  format?: 'email' | 'uri' | 'uuid' | 'date' | 'date-time'
  /** Found by the words of `?q=…` on the list. */
  search?: boolean
  /** The name of the resource whose record's id this is (uuid ids). Makes a foreign key. */
  references?: string
}

export interface NumberOptions extends FieldOptions<number> {
  minimum?: number
  maximum?: number
  exclusiveMinimum?: number
  exclusiveMaximum?: number
  multipleOf?: number
}

export interface IntegerOptions extends NumberOptions {
  /** The name of the resource whose record's id this is (integer ids). Makes a foreign key. */
  references?: string
}

export interface ArrayOptions<T> extends Omit<FieldOptions<T>, 'unique' | 'index'> {
  minItems?: number
  maxItems?: number
  uniqueItems?: boolean
}

export interface ObjectOptions<T> extends Omit<FieldOptions<T>, 'unique' | 'index'> {}

export interface TString {
  '~kind': 'String'
  type: 'string'
}
export interface TNumber {
  '~kind': 'Number'
  type: 'number'
}
export interface TInteger {
  '~kind': 'Integer'
  type: 'integer'
}
export interface TBoolean {
  '~kind': 'Boolean'
  type: 'boolean'
}
export interface TNull {
  '~kind': 'Null'
  type: 'null'
}
export interface TLiteral<V extends string | number = string | number> {
  '~kind': 'Literal'
  const: V
}
export interface TEnum<V extends readonly string[] = readonly string[]> {
  '~kind': 'Enum'
  enum: V
}
export interface TUnion<M extends readonly unknown[] = readonly unknown[]> {
  '~kind': 'Union'
  anyOf: M
}
export interface TArray<I = unknown> {
  '~kind': 'Array'
  type: 'array'
  items: I
}
export interface TObject<P = Properties> {
  '~kind': 'Object'
  type: 'object'
  properties: P
}
export type TOptional<S> = S & { '~optional': true }
export type TNullable<S> = TUnion<[S, TNull]>

/** A schema of one of the supported kinds. */
export type TSchema =
  TString | TNumber | TInteger | TBoolean | TNull | TLiteral | TEnum | TUnion | TArray | TObject<any>
export type Properties = Record<string, TSchema>

type Flat<T> = { [K in keyof T]: T[K] } & {}
type OptionalKeys<P> = { [K in keyof P]: P[K] extends { '~optional': true } ? K : never }[keyof P]

/** The TypeScript type of the values that a schema describes. */
export type Static<S> = S extends { '~kind': 'String' }
  ? string
  : S extends { '~kind': 'Number' | 'Integer' }
    ? number
    : S extends { '~kind': 'Boolean' }
      ? boolean
      : S extends { '~kind': 'Null' }
        ? null
        : S extends { '~kind': 'Literal'; const: infer V }
          ? V
          : S extends { enum: infer V extends readonly unknown[] }
            ? V[number]
            : S extends { '~kind': 'Union'; anyOf: infer M extends readonly unknown[] }
              ? Static<M[number]>
              : S extends { '~kind': 'Array'; items: infer I }
                ? Static<I>[]
                : S extends { '~kind': 'Object'; properties: infer P }
                  ? Flat<
                      { [K in Exclude<keyof P, OptionalKeys<P>>]: Static<P[K]> } & {
                        [K in OptionalKeys<P>]?: Static<P[K]>
                      }
                    >
                  : never

/** The builders of the supported kinds. At run time this is TypeBox's `Type`. */
export interface SchemaBuilder {
  String(options?: StringOptions): TString
  Number(options?: NumberOptions): TNumber
  Integer(options?: IntegerOptions): TInteger
  Boolean(options?: FieldOptions<boolean>): TBoolean
  Null(): TNull
  Literal<const V extends string | number>(value: V): TLiteral<V>
  /** One of the given texts: `t.Enum(['memo', 'task'])`. */
  Enum<const V extends readonly [string, ...string[]]>(values: V, options?: FieldOptions<V[number]>): TEnum<V>
  /** One of several literals of one kind. */
  Union<const M extends readonly [TLiteral, ...TLiteral[]]>(
    members: M,
    options?: FieldOptions<Static<M[number]>>,
  ): TUnion<M>
  Array<I extends TSchema>(items: I, options?: ArrayOptions<Static<I>[]>): TArray<I>
  Object<P extends Properties>(properties: P, options?: ObjectOptions<Static<TObject<P>>>): TObject<P>
  /** The property may be left out. */
  Optional<S extends TSchema>(schema: S): TOptional<S>
  /** The property may be null. */
  Nullable<S extends TSchema>(schema: S): TNullable<S>
}

export const t: SchemaBuilder = {
  ...Type,
  Nullable: (schema: never) => Type.Union([schema, Type.Null()]),
} as unknown as SchemaBuilder

// ── Access ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** Who makes a request. */
export interface Principal {
  readonly kind: 'anonymous' | 'user' | 'key' | 'issuer'
  /** The user's id; null for an anonymous caller. */
  readonly id: string | null
  readonly role: string | null
  readonly email: string | null
  /** What a key or an outside token may do at most; null means no bound. */
  readonly scopes: readonly string[] | null
  readonly session_id: string | null
}

export type FilterValue = string | number | boolean

/** Conditions on one field; all of them must hold. A value of null never equals anything: ask by `{ null: true }`. */
export interface FilterOperators<V = FilterValue> {
  eq?: V | null
  ne?: V
  gt?: V
  gte?: V
  lt?: V
  lte?: V
  in?: readonly V[]
  nin?: readonly V[]
  /** Ignores the case of ASCII letters. */
  contains?: string
  /** Ignores the case of ASCII letters. */
  starts_with?: string
  null?: boolean
}

/** Which records: every named field must match, and one of `or`, and all of `and`. */
export type Filter<R = Record<string, any>> = {
  [K in keyof R]?: K extends 'or' | 'and' ? never : R[K] | null | FilterOperators<NonNullable<R[K]>>
} & { or?: readonly Filter<R>[]; and?: readonly Filter<R>[] }

/** A rule made by `everyone`, `signedIn`, `role`, `owner`, `anyOf` or `allOf`. */
export type BuiltRule =
  | { readonly rule: 'everyone' | 'signedIn' | 'owner' }
  | { readonly rule: 'role'; readonly role: string }
  | { readonly rule: 'anyOf' | 'allOf'; readonly rules: readonly Rule<any>[] }

/** Who may do an action: a built rule, or a function that answers yes, no, or which records. */
export type Rule<R = Record<string, any>> =
  BuiltRule | ((principal: Principal) => boolean | Filter<R> | LiteralTexts)

// No value is of this type. It is among the answers of functions because the compiler looks at `() => ({ kind: 'memo' })`
// before it knows the record's type, and would take 'memo' for any string, which is no value of t.Enum(['memo']).
declare const neverSet: unique symbol
interface LiteralTexts {
  readonly [neverSet]: never
  readonly [field: string]: Literals
}
type Literals = '' | 0 | undefined | readonly Literals[] | { readonly [field: string]: Literals }

export type Action = 'list' | 'read' | 'create' | 'update' | 'delete'

/** Anybody, also without signing in. */
export const everyone = (): BuiltRule => ({ rule: 'everyone' })
/** Whoever has signed in. */
export const signedIn = (): BuiltRule => ({ rule: 'signedIn' })
/** Users with this role. */
export const role = (name: string): BuiltRule => ({ rule: 'role', role: name })
/** The record's creator; on create, whoever has signed in. Needs `owned: true`. */
export const owner = (): BuiltRule => ({ rule: 'owner' })
/** Any of the rules is enough. */
export const anyOf = <R = Record<string, any>>(...rules: readonly Rule<R>[]): BuiltRule => ({
  rule: 'anyOf',
  rules,
})
/** All of the rules must pass. */
export const allOf = <R = Record<string, any>>(...rules: readonly Rule<R>[]): BuiltRule => ({
  rule: 'allOf',
  rules,
})

// ── Code of a resource ──────────────────────────────────────────────────────────────────────────────────────────

type Awaitable<T> = T | Promise<T>

/** A record of any resource: the declared fields and what the server sets. */
export type AnyRecord = Record<string, any>

/** What a `problem` may be; each has its stable code. */
export type ProblemStatus = 400 | 401 | 402 | 403 | 404 | 409 | 410 | 422 | 429 | 503
/** A failing field, as a name or as a JSON pointer such as `/place/city`. */
export type FieldProblem<F extends string = string> = { field: F | `/${string}`; message: string }

/** What `problem` makes. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly status: ProblemStatus
  readonly details: readonly FieldProblem[]

  constructor(status: ProblemStatus, message: string, details: readonly FieldProblem[]) {
    super(message)
    this.status = status
    this.details = details
  }
}

/** An error for the client: `throw problem(409, 'Is sold already')`. Any other error in your code answers 500. */
export const problem = (
  status: ProblemStatus,
  message: string,
  details: readonly FieldProblem[] = [],
): Problem => new Problem(status, message, details)

/**
 * The records of a resource for hooks and routes: as an administrator, hidden fields included, each change its own
 * commit, checked and with the resource's hooks. Errors have `status`, `code` and `details`.
 */
export interface RecordStore {
  get(id: number | string): Promise<AnyRecord | undefined>
  /** In the order of `sort` (`'-price,name'`), 100 records unless `limit` says otherwise; at most 1,000. */
  list(query?: { where?: Filter; sort?: string; limit?: number }): Promise<AnyRecord[]>
  create(record: AnyRecord): Promise<AnyRecord>
  /** Changes what the patch names, as PATCH does. */
  update(id: number | string, patch: AnyRecord): Promise<AnyRecord>
  delete(id: number | string): Promise<AnyRecord>
}
/** The stores of all resources: `store.items`. */
export type Stores = { readonly [resource: string]: RecordStore }

/** What a hook gets beside the record. */
export interface HookContext<Previous> {
  readonly principal: Principal
  /** The stored record before the change; undefined on create. */
  readonly previous: Previous
  readonly store: Stores
}

/**
 * Code around changes, each at most 5 s. A before hook may change the record or give another, which is checked again;
 * what it does to fields that the server sets has no effect. It runs again where another process changed the record
 * in between. After hooks run after the commit, and after the answer: their errors are only logged.
 */
export interface Hooks<Fields, Draft, R> {
  beforeCreate?: (record: Draft, context: HookContext<undefined>) => Awaitable<Fields | LiteralTexts | void>
  afterCreate?: (record: R, context: HookContext<undefined>) => unknown
  beforeUpdate?: (record: R, context: HookContext<R>) => Awaitable<Fields | LiteralTexts | void>
  afterUpdate?: (record: R, context: HookContext<R>) => unknown
  beforeDelete?: (record: R, context: HookContext<R>) => unknown
  afterDelete?: (record: R, context: HookContext<R>) => unknown
}

// ── Routes ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** By status from 200 to 399: the schema of the body, `'record'` for a record of the resource, null for no body. */
export type RouteResponses = { readonly [status: number]: TSchema | 'record' | null }

type DeepReadonly<T> = T extends readonly (infer I)[]
  ? readonly DeepReadonly<I>[]
  : T extends object
    ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
    : T
type Bodies<R> = {
  [S in keyof R & number]: R[S] extends 'record'
    ? AnyRecord
    : R[S] extends null
      ? undefined
      : DeepReadonly<Static<R[S]>>
}
type RouteAnswer<B> =
  | B[(200 | 201) & keyof B]
  | (undefined extends B[204 & keyof B] ? void : never)
  | { [S in keyof B & number]: RouteReply<S, B[S]> }[keyof B & number]

/** An answer with its status and headers, as `reply` makes it. */
export interface RouteReply<S extends number = number, B = unknown> {
  readonly status: S
  readonly body: B
  readonly headers: Readonly<Record<string, string>>
}

type ParamsOf<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParamsOf<Rest>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never

/** What the handler of a route gets; `record` and `update` where the path has `:id`. */
export type RouteContext<Params extends string, Query, Body, B> = {
  readonly params: { readonly [K in Params]: string }
  readonly query: Query
  readonly body: Body
  readonly principal: Principal
  readonly store: Stores
  /** The path of a record: `/api/items/1`. */
  url(resource: string, id: number | string): string
  reply<const S extends keyof B & number, const V extends B[S]>(
    status: S,
    body: V,
    headers?: Readonly<Record<string, string>>,
  ): RouteReply<S, V>
} & ('id' extends Params
  ? {
      /** Loaded under the read rule, hidden fields included. */
      readonly record: AnyRecord
      /** Saves what the patch names, hidden and readOnly fields too; 409 where the record has changed since. */
      update(patch: AnyRecord): Promise<AnyRecord>
    }
  : {})

export interface RouteOptions<Path extends string, Q, S, R extends RouteResponses, A> {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Below the resource: `'/:id/publish'` or `'/latest'`. */
  path: Path
  /** Who may call it. */
  access: Rule
  /** One line for the API document. */
  summary?: string
  description?: string
  /** Texts, numbers, integers and booleans; any other parameter is 400. */
  query?: Q
  body?: S
  /** `{ 200: 'record' }` unless given. */
  responses?: R
  /** Gives the body of the 200 or 201 answer, or `reply(status, body, headers?)`. Undeclared properties are left out. */
  handler: (
    context: RouteContext<ParamsOf<Path>, Static<Q>, [S] extends [never] ? undefined : Static<S>, Bodies<R>>,
  ) => A | Promise<A>
}

/** A declared route, as `route` returns it. */
export interface CustomRoute {
  readonly kind: 'route'
  readonly options: RouteOptions<any, any, any, any, any>
}

/** Declares a route of a resource beside those that every resource has. */
export function route<
  const Path extends `/${string}`,
  const A extends RouteAnswer<Bodies<R>>,
  Q extends TObject<any> = TObject<{}>,
  S extends TSchema = never,
  const R extends RouteResponses = { readonly 200: 'record' },
>(options: RouteOptions<Path, Q, S, R, A>): CustomRoute {
  return { kind: 'route', options }
}

// ── Resources ───────────────────────────────────────────────────────────────────────────────────────────────────

export type IdKind = 'integer' | 'uuid'

type SystemFields<I extends IdKind, O extends boolean> = {
  readonly id: I extends 'uuid' ? string : number
  readonly created_at: string
  readonly updated_at: string
} & OwnerField<O>
type OwnerField<O extends boolean> = O extends true ? { readonly owner_id: string | null } : {}
type Draft<P, O extends boolean> = Flat<Static<TObject<P>> & OwnerField<O>>
type Stored<P, I extends IdKind, O extends boolean> = Flat<Static<TObject<P>> & SystemFields<I, O>>

/** A field that is worked out for each answer, and not stored. */
export interface ComputedField<S, R> {
  schema: S
  /** Must not wait. What it throws, or a value that does not fit, answers 500. */
  from: (
    record: R,
  ) => Static<S> | (S extends { '~optional': true } ? undefined : never) | LiteralTexts | ('' & LiteralTexts)
}

export interface ResourceOptions<
  P extends Properties,
  I extends IdKind = IdKind,
  O extends boolean = boolean,
  C = any,
> {
  /** The path under /api and the name of the table: `^[a-z][a-z0-9_]{0,59}$`. */
  name: string
  /** One line for the API document. */
  description?: string
  schema: TObject<P>
  /** `integer` (the default; never reused) or `uuid` (UUIDv7). */
  id?: I
  /** Records keep the id of the user who made them in `owner_id`. */
  owned?: O
  /** Who may do what. An action without a rule is refused to all but administrators. */
  access?: Partial<Record<Action, Rule<Stored<P, I, O>>>>
  /** What a schema can't say: the failing fields of a record that fits the schema. They join the 400. */
  validate?: (
    record: Draft<P, O>,
  ) => Awaitable<readonly FieldProblem<keyof Static<TObject<P>> & string>[] | void>
  hooks?: Hooks<Static<TObject<P>>, Draft<P, O>, Stored<P, I, O>>
  /** Fields of the answers that are worked out from the record. */
  compute?: { [K in keyof C]: ComputedField<C[K], Stored<P, I, O>> }
  /** More routes below the resource, made by `route`. */
  routes?: readonly CustomRoute[]
  /** DELETE hides a record; administrators see it by `?deleted=true` and `POST /:id/restore` brings it back. */
  softDelete?: boolean
  /** PUT, PATCH and DELETE without If-Match are refused (428). */
  requireIfMatch?: boolean
  /** Records on a page where the request does not say; 10. */
  pageSize?: number
  /** The most that a request may ask for; 100. */
  pageSizeMax?: number
}

/** A declared resource, as `defineResource` returns it. */
export interface Resource<
  P extends Properties = any,
  I extends IdKind = IdKind,
  O extends boolean = boolean,
> {
  readonly kind: 'resource'
  readonly options: ResourceOptions<P, I, O>
}

/** What every account is. It has no e-mail where it signs in elsewhere. */
interface AccountFields {
  readonly id: string
  name: string
  email?: string
  /** `user`, `admin`, or one that a `role('x')` names. */
  role: string
  /** It can't sign in. */
  disabled: boolean
  readonly last_login_at?: string
  readonly created_at: string
  readonly updated_at: string
}

export interface UsersOptions<P extends Properties> {
  /**
   * What accounts have beside name, e-mail, password and role: told at registering, and changed by `PATCH /auth/me`.
   * What is required here is so of whoever registers; accounts that are made otherwise may lack it.
   */
  profile: TObject<P>
}

/** The fields of accounts, as `defineUsers` returns them. */
export interface Users<P extends Properties = any> {
  readonly kind: 'users'
  readonly options: UsersOptions<P>
}

/** The record of a resource: `type Item = RecordOf<typeof items>`. */
export type RecordOf<R> =
  R extends Resource<infer P, infer I, infer O>
    ? Stored<P, I, O>
    : R extends Users<infer P>
      ? Flat<Static<TObject<P>> & AccountFields>
      : never

/** Declares more fields of accounts; one resource file exports the result as its default. */
export function defineUsers<const P extends Properties>(options: UsersOptions<P>): Users<P> {
  return { kind: 'users', options }
}

/** Declares a resource; a resource file exports the result as its default. */
export function defineResource<
  const P extends Properties,
  const I extends IdKind = 'integer',
  const O extends boolean = false,
  C extends Properties = {},
>(options: ResourceOptions<P, I, O, C>): Resource<P, I, O> {
  return { kind: 'resource', options }
}
