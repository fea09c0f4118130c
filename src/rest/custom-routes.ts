// The routes that a resource file adds by `route`: the same frame as every route has, around the author's handler.
// What it answers is built from the declared schema: the rest is left out, and what does not fit is 500.
import { decide, refusal } from '../access/authorize.ts'
import { matches } from '../access/matches.ts'
import type { Principal } from '../access/principal.ts'
import { readScope, writeScope } from '../access/scopes.ts'
import { AppError } from '../core/errors.ts'
import { canonicalSchema } from '../http/json-schema.ts'
import { Reply, type AnswerContract, type Context, type JsonSchema, type Route } from '../http/route.ts'
import { statusText } from '../http/status-text.ts'
import { createValidator, jsonBody } from '../http/validate.ts'
import type { AnyRecord, CustomRoute, TSchema } from '../sdk.ts'
import type { Row } from '../storage/store.ts'
import { problemCodes, runHandler } from './author-code.ts'
import type { Engine } from './engine.ts'
import { exampleOf } from './example.ts'
import type { Origin } from './hooks.ts'
import { recordReader, storedReader } from './record.ts'
import { idReader } from './record-id.ts'
import type { Records } from './records.ts'
import { authorCaller } from './resource-store.ts'
import type { ResourceDefinition } from './resource.ts'
import { pascalCase, schemasOf, systemProperties } from './schemas.ts'

export interface CustomRoutesOptions {
  definition: ResourceDefinition
  engine: Engine
}

type AnyContext = Context<string, any, any, any>

/** The routes of a checked declaration. */
export function createCustomRoutes({ definition, engine }: CustomRoutesOptions): Route[] {
  return definition.routes.map((declared) => customRoute(declared, definition, engine))
}

function customRoute({ options }: CustomRoute, definition: ResourceDefinition, engine: Engine): Route {
  const { method, path, access, summary, description, query, body, handler } = options
  const { name } = definition
  const label = `Route ${method} ${path} of ${name}`
  const answers = answersOf(options.responses ?? { 200: 'record' }, definition, label)
  const scope = method === 'GET' ? readScope(name) : writeScope(name)
  const contextOf = contextMaker(definition, engine, { path, scope })
  return {
    method,
    access,
    scope,
    path: `/api/${name}${path}`,
    operationId: `${method.toLowerCase()}${pascalCase(name)}.${operationName(path)}`,
    summary: summary ?? `${method} ${path} of ${name}`,
    ...(description === undefined ? {} : { description }),
    tag: name,
    ...(path.startsWith('/:id') ? { params: { id: systemProperties(definition).id as JsonSchema } } : {}),
    ...(query === undefined ? {} : { query }),
    ...(body === undefined ? {} : { body: bodyOf(body) }),
    responses: Object.fromEntries([...answers].map(([status, { contract }]) => [status, contract])),
    errors: ['validation_failed', ...problemCodes],
    handler: async (context: AnyContext) => {
      const given = await contextOf(context)
      const result: unknown = await runHandler(label, () => handler(given as never))
      const { status, body: value, headers } = result instanceof Reply ? result : plainReply(result, answers)
      const answer = answers.get(status)
      if (answer === undefined) throw new Error(`${label} answered ${status}, which it does not declare`)
      return new Reply(status, answer.serialise(value), headers)
    },
  }
}

/** `/:id/publish` → `byId.publish`. With a dot, so that no resource's own operation has the name. */
function operationName(path: string): string {
  const segments = path.slice(1).split('/')
  return segments.map((one) => (one.startsWith(':') ? `by${pascalCase(one.slice(1))}` : one)).join('.')
}

function bodyOf(schema: TSchema) {
  const body = jsonBody(schema)
  return { ...body, schema: untitled(body.schema), example: exampleOf(body.schema) }
}

// ── What the handler gets ───────────────────────────────────────────────────────────────────────────────────────

function contextMaker(
  definition: ResourceDefinition,
  engine: Engine,
  { path, scope }: { path: string; scope: string },
) {
  const hasRecord = path.startsWith('/:id')
  const idOf = idReader(definition)
  const toRecord = storedReader(definition)
  const linkTo = (resource: string, id: number | string) => {
    engine.recordsOf(resource)
    return `/api/${resource}/${encodeURIComponent(id)}`
  }
  return async ({ params, query, body, principal, where, requestId, reply }: AnyContext) => {
    const origin: Origin = { principal, requestId, depth: 0, held: [] }
    const store = engine.storesFor(origin)
    const context = { params, query, body, principal, store, url: linkTo, reply }
    if (!hasRecord) {
      if (where === undefined) return context
      throw new TypeError('The access rule answered with a filter, but the route has no record')
    }
    const records = engine.recordsOf(definition.name)
    const row = await readableRow(records, definition, { id: idOf(params['id'] as string), principal, scope })
    if (where !== undefined && !matches(where, row)) throw new AppError('forbidden')
    return { ...context, record: toRecord(row), update: updater(records, row, { origin, toRecord }) }
  }
}

async function readableRow(
  records: Records,
  { access }: ResourceDefinition,
  { id, principal, scope }: { id: Row['id']; principal: Principal; scope: string },
): Promise<Row> {
  const readable = decide({ rule: access.read, principal, action: 'read', scope })
  if (readable === 'deny') throw refusal({ principal, scope })
  return records.read(id, readable === 'allow' ? undefined : readable)
}

/** Saves patches of the record, each on top of the one before; 409 where somebody else was there in between. */
function updater(
  records: Records,
  row: Row,
  { origin, toRecord }: { origin: Origin; toRecord: (row: Row) => AnyRecord },
) {
  let version = row._version
  const expect = (current: Row) => {
    if (current._version === version) return
    throw new AppError('conflict', { message: 'Record was changed by others in between, try again' })
  }
  return async (patch: AnyRecord): Promise<AnyRecord> => {
    const updated = await records.patch(row.id, patch, { ...authorCaller(origin), expect })
    version = updated._version
    return toRecord(updated)
  }
}

// ── What it answers ─────────────────────────────────────────────────────────────────────────────────────────────

interface DeclaredAnswer {
  contract: AnswerContract<any>
  /** Throws Error where the value does not fit. */
  serialise: (value: unknown) => unknown
}

function answersOf(
  responses: Readonly<Record<string, TSchema | 'record' | null>>,
  definition: ResourceDefinition,
  label: string,
): Map<number, DeclaredAnswer> {
  const entries = Object.entries(responses).map(([status, declared]) => {
    const text = statusText(Number(status)) ?? 'Success'
    return [Number(status), answerOf(declared, definition, { label, text })] as const
  })
  return new Map(entries)
}

function answerOf(
  declared: TSchema | 'record' | null,
  definition: ResourceDefinition,
  { label, text }: { label: string; text: string },
): DeclaredAnswer {
  if (declared === null) {
    return { contract: { description: text }, serialise: () => undefined }
  }
  const isRecord = declared === 'record'
  const schema = isRecord ? schemasOf(definition).record : untitled(canonicalSchema(declared))
  const validate = createValidator(schema)
  const toAnswer = isRecord ? recordAnswer(definition) : (value: unknown) => pick(schema, value)
  return {
    contract: { description: (schema.description as string) ?? text, schema, example: exampleOf(schema) },
    serialise: (value) => {
      const answer = toAnswer(value)
      const [fault] = validate(answer)
      if (fault !== undefined)
        throw new Error(`${label} answered what it does not declare: ${fault.field} ${fault.message}`)
      return answer
    },
  }
}

function recordAnswer(definition: ResourceDefinition): (value: unknown) => unknown {
  const toRecord = recordReader(definition)
  const absent = Object.fromEntries(definition.fields.map(({ name }) => [name, null]))
  // A record of the author's leaves out what a row has as null.
  return (value) => (isObject(value) ? toRecord({ ...absent, ...value } as unknown as Row) : value)
}

/** The declared properties of a value, in depth. */
function pick(schema: JsonSchema, value: unknown): unknown {
  if (Array.isArray(value) && schema.items !== undefined) {
    return value.map((item) => pick(schema.items as JsonSchema, item))
  }
  if (!isObject(value) || schema.properties === undefined) return value
  const present = Object.entries(schema.properties as Record<string, JsonSchema>).filter(
    ([name]) => Object.hasOwn(value, name) && value[name] !== undefined,
  )
  return Object.fromEntries(present.map(([name, property]) => [name, pick(property, value[name])]))
}

/** The body alone stands for the first of the declared statuses that people mean by it. */
function plainReply(body: unknown, answers: ReadonlyMap<number, DeclaredAnswer>): Reply {
  const status = [200, 201].find((one) => answers.has(one)) ?? [...answers.keys()][0]
  return new Reply(status as number, body)
}

// A title is the name of a component in the document, where two routes must not mean two things by one name.
function untitled({ title: _, ...schema }: JsonSchema): JsonSchema {
  return schema.items === undefined ? schema : { ...schema, items: untitled(schema.items as JsonSchema) }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
