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
  /** No part of the API: in a body an unknown field; never answered, filtered, sorted or documented. */
  hidden?: boolean
  /** Ignored in a body. */
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

// No value is of this type. It is among the answers of a rule because the compiler looks at `() => ({ kind: 'memo' })`
// before it knows the record's type, and would take 'memo' for any string, which is no value of t.Enum(['memo']).
declare const neverSet: unique symbol
interface LiteralTexts {
  readonly [neverSet]: never
  readonly or?: readonly LiteralTexts[]
  readonly and?: readonly LiteralTexts[]
  readonly [field: string]:
    | ''
    | readonly ''[]
    | { readonly [operator: string]: '' | readonly ''[] }
    | readonly LiteralTexts[]
    | undefined
}

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

// ── Resources ───────────────────────────────────────────────────────────────────────────────────────────────────

export type IdKind = 'integer' | 'uuid'

type SystemFields<I extends IdKind, O extends boolean> = {
  id: I extends 'uuid' ? string : number
  created_at: string
  updated_at: string
} & (O extends true ? { owner_id: string | null } : {})

export interface ResourceOptions<
  P extends Properties,
  I extends IdKind = IdKind,
  O extends boolean = boolean,
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
  access?: Partial<Record<Action, Rule<Flat<Static<TObject<P>> & SystemFields<I, O>>>>>
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

/** The record of a resource: `type Item = RecordOf<typeof items>`. */
export type RecordOf<R> =
  R extends Resource<infer P, infer I, infer O> ? Flat<Static<TObject<P>> & SystemFields<I, O>> : never

/** Declares a resource; a resource file exports the result as its default. */
export function defineResource<
  const P extends Properties,
  const I extends IdKind = 'integer',
  const O extends boolean = false,
>(options: ResourceOptions<P, I, O>): Resource<P, I, O> {
  return { kind: 'resource', options }
}
