// A checked declaration, made ready to serve: its fields, its table, its limits and its code.
import type { ErrorDetail } from '../core/errors.ts'
import { applyDefaults } from '../http/validate.ts'
import type { Action, CustomRoute, Hooks, IdKind, Resource, ResourceOptions, Rule } from '../sdk.ts'
import type { Column, Row, Table, Value } from '../storage/store.ts'
import { computedOf, type Computed } from './compute.ts'
import { columnOf, fieldsOf, type Field } from './fields.ts'
import { valuesWriter } from './values-writer.ts'

export interface ResourceDefinition {
  name: string
  description: string | undefined
  id: IdKind
  owned: boolean
  fields: readonly Field[]
  /** Fields that `q` looks in; empty where there is no search. */
  search: readonly string[]
  access: Readonly<Partial<Record<Action, Rule>>>
  pageSize: number
  pageSizeMax: number
  softDelete: boolean
  requireIfMatch: boolean
  hooks: Hooks<any, any, any>
  validate: ResourceOptions<any>['validate']
  computed: readonly Computed[]
  routes: readonly CustomRoute[]
  table: Table
  /** The most records that one create may make; MAX_RECORDS unless given. */
  createMax?: number
  /** Of a resource that is part of hipflask: what no schema says of its bodies. */
  checks?: BodyChecks
}

type Body = Readonly<Record<string, unknown>>

export interface BodyChecks {
  /** The form in which a body is checked and stored; the body may be anything. */
  normalize: (body: Body) => Body
  /** What is wrong with a body, or with what a merge patch makes of a row, beyond its schema. */
  faultsOf: (body: Body, previous: Row | undefined) => readonly ErrorDetail[]
}

export const DEFAULT_PAGE_SIZE = 10
export const DEFAULT_PAGE_SIZE_MAX = 100

/** Makes the definition of a declaration that declaration.ts found right. */
export function defineFrom({ options }: Resource): ResourceDefinition {
  const { name, description, id = 'integer', owned = false, access = {}, softDelete = false } = options
  const fields = fieldsOf(options.schema)
  const search = fields.filter((field) => field.search).map((field) => field.name)
  const pageSizeMax = options.pageSizeMax ?? Math.max(DEFAULT_PAGE_SIZE_MAX, options.pageSize ?? 0)
  const pageSize = options.pageSize ?? Math.min(DEFAULT_PAGE_SIZE, pageSizeMax)
  const table: Table = {
    name,
    id,
    columns: [
      ...fields.map((field) => columnOf(field, canonicalDefault(field))),
      ...(owned ? [OWNER_COLUMN] : []),
      { name: 'created_at', kind: 'text', nullable: false },
      { name: 'updated_at', kind: 'text', nullable: false },
      ...(softDelete ? [DELETED_COLUMN] : []),
    ],
    ...(search.length === 0 ? {} : { search }),
    ...(softDelete ? { softDelete } : {}),
  }
  return {
    name,
    description,
    id,
    owned,
    fields,
    search,
    access,
    pageSize,
    pageSizeMax,
    softDelete,
    requireIfMatch: options.requireIfMatch === true,
    hooks: options.hooks ?? {},
    validate: options.validate,
    computed: computedOf(options),
    routes: options.routes ?? [],
    table,
  }
}

/** What a body without the field would store: existing rows get it when the column is added. */
export function canonicalDefault(field: Field): Value | undefined {
  if (field.default === undefined) return undefined
  return valuesWriter([field])({ [field.name]: applyDefaults(field.schema, field.default) })[field.name]
}

const OWNER_COLUMN = {
  name: 'owner_id',
  kind: 'text',
  nullable: true,
  index: true,
  references: 'users',
  onDelete: 'set null',
} as const

const DELETED_COLUMN: Column = { name: 'deleted_at', kind: 'text', nullable: true }
