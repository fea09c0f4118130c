// The routes of a declared resource under /api. They only translate between HTTP and records.ts.
import { ADMINISTRATORS } from '../access/authorize.ts'
import { readScope, writeScope } from '../access/scopes.ts'
import { AppError, type ErrorCode } from '../core/errors.ts'
import { proceed } from '../core/eventual.ts'
import { JsonText, Reply, route } from '../http/route.ts'
import type { AnswerContract, BodyContract, Context, HeaderParameter, JsonSchema } from '../http/route.ts'
import type { Method, QueryContract, Route } from '../http/route.ts'
import type { Action, Rule } from '../sdk.ts'
import type { Id, Row, Store } from '../storage/store.ts'
import { createMaxOf } from './input.ts'
import { conditionOf, entityTag, isUnchanged, tagIn, type HeaderReader } from './conditions.ts'
import { createExpander, expansionsOf, type Embedded, type Expander, type Expansions } from './expand.ts'
import { MAX_KEY_LENGTH, type Idempotency, type Write } from './idempotency.ts'
import { viewParameters } from './list-parameters.ts'
import { createViewReader, type View } from './list-query.ts'
import { createListRoute, viewOf, viewSchema, type ListRouteOptions } from './list-route.ts'
import { preferred } from './prefer.ts'
import { recordReader, type ApiRecord } from './record.ts'
import { idReader } from './record-id.ts'
import type { Caller, Records } from './records.ts'
import type { ResourceDefinition } from './resource.ts'
import { problemCodes } from './author-code.ts'
import { createCustomRoutes } from './custom-routes.ts'
import type { Engine } from './engine.ts'
import { exampleOf } from './example.ts'
import { createFormats } from './formats/media-types.ts'
import { documentedBody, pascalCase, schemasOf, systemProperties, type ResourceSchemas } from './schemas.ts'

export interface ResourceRoutesOptions extends ListRouteOptions {
  engine: Engine
  idempotency: Idempotency
}

const JSON_FORMAT = { format: 'json' }
const MERGE_PATCH = 'application/merge-patch+json'
const ETAG = { description: 'The state of the record', required: true } as const
const MINIMAL = 'Done, with Prefer: return=minimal'
const WRITE_HEADERS = { 'Preference-Applied': '`return=minimal`, where the request preferred that' }
const KEYED_HEADERS = {
  ...WRITE_HEADERS,
  'Idempotency-Replayed':
    '`true` where the answer is that of an earlier request with the same Idempotency-Key',
}

const IF_NONE_MATCH: HeaderParameter = {
  name: 'If-None-Match',
  description: 'ETags that the client has: 304 where the record is still as one of them says',
}
const IDEMPOTENCY_KEY: HeaderParameter = {
  name: 'Idempotency-Key',
  description:
    'Sent again within 24 hours with the same body, the request has the same answer and is not done again',
  maxLength: MAX_KEY_LENGTH,
}
const PREFER: HeaderParameter = {
  name: 'Prefer',
  description: '`return=minimal`: an answer without a body',
}

function ifMatch({ requireIfMatch }: ResourceDefinition): HeaderParameter {
  return {
    name: 'If-Match',
    description: 'The ETag of the record as the client has seen it: 412 where it has changed since',
    required: requireIfMatch,
  }
}

function conditionErrors({ requireIfMatch }: ResourceDefinition): ErrorCode[] {
  return requireIfMatch ? ['precondition_failed', 'precondition_required'] : ['precondition_failed']
}

/** List, create, read, replace, patch and delete of one resource, and the routes of its own. */
export function createResourceRoutes(options: ResourceRoutesOptions): Route[] {
  const { definition, engine, idempotency } = options
  const expansions = expansionsOf(definition, options.resources)
  const records = engine.recordsOf(definition.name)
  const serving: Serving = {
    definition,
    store: options.store,
    records,
    path: `/api/${definition.name}`,
    toRecord: recordReader(definition),
    idOf: idReader(definition),
    schemas: schemasOf(definition),
    idempotency,
    expansions,
    expand: createExpander(expansions, options.store),
  }
  return [
    createListRoute(options),
    createRoute(serving),
    readRoute(serving),
    replaceRoute(serving),
    patchRoute(serving),
    deleteRoute(serving),
    ...(definition.softDelete ? [restoreRoute(serving)] : []),
    ...createCustomRoutes(options),
  ]
}

interface Serving {
  definition: ResourceDefinition
  store: Store
  records: Records
  path: string
  toRecord: (row: Row) => ApiRecord
  idOf: (text: string) => Id
  schemas: ResourceSchemas
  idempotency: Idempotency
  expansions: Expansions
  expand: Expander
}

function createRoute(serving: Serving): Route {
  const { definition, records, path, toRecord, schemas, idempotency } = serving
  const { name } = definition
  const one = documentedBody(definition, schemas.create)
  const write: Write<WriteContext> = {
    act: (context, also) => records.create(context.body, callerOf(context, { also })),
    answer(rows, { body }) {
      if (Array.isArray(body)) return new Reply(201, { data: rows.map(toRecord) })
      const row = rows[0] as Row
      const location = `${path}/${String(row.id)}`
      return new Reply(201, toRecord(row), { location, etag: entityTag(row, JSON_FORMAT) })
    },
    wish: asWished,
  }
  return route({
    method: 'POST',
    action: 'create',
    access: rule(definition, 'create'),
    scope: writeScope(name),
    path,
    operationId: `create${pascalCase(name)}`,
    summary: `Create a record of ${name}, or up to ${createMaxOf(definition)} at once`,
    description: 'An array is created whole or not at all, and answers its records under `data`.',
    tag: name,
    body: {
      schema: { oneOf: [one, { type: 'array', maxItems: createMaxOf(definition), items: one }] },
      example: exampleOf(schemas.create),
      parse: asDecoded,
    },
    responses: {
      201: answer('The new record, or the new records', {
        schema: { oneOf: [schemas.record, manySchema(schemas.record)] },
        example: exampleOf(schemas.record),
        headers: {
          Location: 'Where the record is; not given for an array',
          ETag: 'The state of the record; not given for an array',
          ...KEYED_HEADERS,
        },
      }),
    },
    formats: createFormats(schemas.record, 'either'),
    errors: ['idempotency_mismatch', ...errorsOf(definition, 'beforeCreate')],
    requestHeaders: [IDEMPOTENCY_KEY, PREFER],
    handler: (context) => idempotency.once(context, write),
  })
}

function readRoute(serving: Serving): Route {
  const { definition, records, toRecord, idOf, expansions, expand } = serving
  const query: QueryContract<View> = {
    parameters: viewParameters(definition, expansions),
    parse: createViewReader({ definition, expansions }),
  }
  const schema = viewSchema(definition, expansions)
  const readPlain = plainReader(serving)
  return route({
    ...recordRoute(serving, 'GET', 'read'),
    summary: `Read a record of ${definition.name}`,
    query,
    requestHeaders: [IF_NONE_MATCH],
    responses: {
      200: answer('The record', {
        schema,
        example: exampleOf(serving.schemas.record),
        headers: { ETag: 'The state of the record; none with expand' },
      }),
      304: answer('The record is as in If-None-Match', { headers: { ETag: ETAG } }),
    },
    handler: ({ params, where, query: { fields, expand: names }, principal, format, header }) => {
      const id = idOf(params.id)
      const isPlain = where === undefined && fields === undefined && names.length === 0 && format === 'json'
      if (isPlain && readPlain !== undefined) return proceed(readPlain(id), (answer) => fresh(answer, header))
      return proceed<Row, Reply>(records.read(id, where), (row) => {
        const view = (embedded?: Embedded) => new Reply(200, viewOf(toRecord(row), fields, embedded), tagged)
        const tagged: Record<string, string> = {}
        // What is embedded changes without the record: there is no tag.
        if (names.length > 0) return expand([row], names, principal).then(([embedded]) => view(embedded))
        tagged.etag = entityTag(row, { format, fields })
        return isUnchanged(header, tagged.etag) ? new Reply(304, undefined, tagged) : view()
      })
    },
  })
}

/** Makes the read of a record whole and as JSON. Undefined where its answer depends on more than the row. */
function plainReader({ definition, store, toRecord }: Serving) {
  // What is computed may be something else each time.
  if (definition.computed.length > 0) return undefined
  const answerOf = (row: Row) => new JsonText(JSON.stringify(toRecord(row)), entityTag(row, JSON_FORMAT))
  return store.remember(definition.name, answerOf)
}

/** The answer, or that the client has it already; 404 where there is none. */
function fresh(answer: JsonText | undefined, header: HeaderReader): JsonText | Reply {
  if (answer === undefined) throw new AppError('not_found')
  const { etag } = answer
  return isUnchanged(header, etag) ? new Reply(304, undefined, { etag }) : answer
}

function replaceRoute(serving: Serving): Route {
  const { definition, records, idOf, schemas } = serving
  return route({
    ...recordRoute(serving, 'PUT', 'update'),
    operationId: `replace${pascalCase(definition.name)}`,
    summary: `Replace a record of ${definition.name}`,
    description: 'Replaces every writable property; one that is left out takes its default or is absent.',
    body: bodyOf(serving, schemas.replace),
    requestHeaders: [ifMatch(definition), PREFER],
    responses: changeAnswers(serving, WRITE_HEADERS),
    errors: [...conditionErrors(definition), ...errorsOf(definition, 'beforeUpdate')],
    handler: async (context) => {
      const caller = callerOf(context, { expect: conditionOf(context.header, definition.requireIfMatch) })
      const row = await records.replace(idOf(context.params.id), context.body, caller)
      return preferred(changed(serving, row, context.format), context.header)
    },
  })
}

function patchRoute(serving: Serving): Route {
  const { definition, records, idOf, schemas, idempotency } = serving
  return route({
    ...recordRoute(serving, 'PATCH', 'update'),
    operationId: `patch${pascalCase(definition.name)}`,
    summary: `Change a record of ${definition.name}`,
    description: 'JSON Merge Patch (RFC 7396): null takes the default or removes the property.',
    body: { ...bodyOf(serving, schemas.patch), mediaTypes: [MERGE_PATCH] },
    requestHeaders: [ifMatch(definition), IDEMPOTENCY_KEY, PREFER],
    responses: changeAnswers(serving, KEYED_HEADERS),
    errors: [...conditionErrors(definition), 'idempotency_mismatch', ...errorsOf(definition, 'beforeUpdate')],
    handler: async (context) => {
      const { body, header } = context
      const expect = conditionOf(header, definition.requireIfMatch)
      const id = idOf(context.params.id)
      return idempotency.once(context, {
        act: async (_, also) => [await records.patch(id, body, callerOf(context, { expect, also }))],
        answer: (rows) => changed(serving, rows[0] as Row, 'json'),
        wish: asWished,
      })
    },
  })
}

function deleteRoute(serving: Serving): Route {
  const { definition, records, toRecord, idOf } = serving
  return route({
    ...recordRoute(serving, 'DELETE', 'delete'),
    summary: `Delete a record of ${definition.name}`,
    requestHeaders: [ifMatch(definition), PREFER],
    responses: {
      200: recordAnswer(serving, 'The record as it was'),
      204: answer(MINIMAL, { headers: WRITE_HEADERS }),
    },
    errors: [...conditionErrors(definition), ...errorsOf(definition, 'beforeDelete')],
    handler: async (context) => {
      const caller = callerOf(context, { expect: conditionOf(context.header, definition.requireIfMatch) })
      const row = await records.delete(idOf(context.params.id), caller)
      return preferred(new Reply(200, toRecord(row)), context.header)
    },
  })
}

/** The answer of a record that was changed. */
function changed({ toRecord }: Serving, row: Row, format: string): Reply {
  return new Reply(200, toRecord(row), { etag: entityTag(row, { format }) })
}

/** As the client prefers it, in the format of the request: the stored answer has the tag of JSON. */
function asWished(reply: Reply, { format, header }: WriteContext): Reply {
  return preferred(inFormat(reply, format), header)
}

function inFormat(reply: Reply, format: string): Reply {
  const { status, body, headers } = reply
  if (format === 'json' || headers.etag === undefined) return reply
  return new Reply(status, body, { ...headers, etag: tagIn(headers.etag, format) })
}

type WriteContext = Context<any, any, unknown, any>

function restoreRoute(serving: Serving): Route {
  const { definition, records, path, idOf, schemas } = serving
  return route({
    method: 'POST',
    access: ADMINISTRATORS,
    scope: writeScope(definition.name),
    path: `${path}/:id/restore`,
    operationId: `restore${pascalCase(definition.name)}`,
    summary: `Bring a deleted record of ${definition.name} back`,
    tag: definition.name,
    params: { id: systemProperties(definition).id as JsonSchema },
    formats: createFormats(schemas.record, 'record'),
    responses: { 200: recordAnswer(serving, 'The record as it is now', { ETag: ETAG }) },
    errors: ['validation_failed', 'conflict'],
    handler: async ({ params, format }) => changed(serving, await records.restore(idOf(params.id)), format),
  })
}

function callerOf(
  { principal, where, recheck, requestId }: Pick<Caller, 'principal' | 'where' | 'recheck' | 'requestId'>,
  { expect, also }: Pick<Caller, 'expect' | 'also'>,
): Caller {
  return { principal, where, recheck, requestId, depth: 0, held: [], isAuthor: false, expect, also }
}

/** A before hook may answer any `problem`. */
function errorsOf({ hooks, validate }: ResourceDefinition, hook: BeforeHook): ErrorCode[] {
  const isAsked = hooks[hook] !== undefined || (validate !== undefined && hook !== 'beforeDelete')
  return ['conflict', ...(isAsked ? problemCodes : [])]
}

type BeforeHook = 'beforeCreate' | 'beforeUpdate' | 'beforeDelete'

/** What the routes of one record have in common. */
function recordRoute<const M extends Method>(
  { definition, path, schemas }: Serving,
  method: M,
  action: Action,
) {
  return {
    method,
    action,
    access: rule(definition, action),
    scope: action === 'read' ? readScope(definition.name) : writeScope(definition.name),
    path: `${path}/:id` as const,
    operationId: `${action}${pascalCase(definition.name)}`,
    tag: definition.name,
    params: { id: systemProperties(definition).id as JsonSchema },
    formats: createFormats(schemas.record, 'record'),
  }
}

/** Validation is records.ts's: a patch can be judged only with the record at hand. */
function bodyOf({ definition }: Serving, schema: JsonSchema): BodyContract<unknown> {
  return { schema: documentedBody(definition, schema), example: exampleOf(schema), parse: asDecoded }
}

function asDecoded(value: unknown): unknown {
  return value
}

type AnswerHeaders = NonNullable<AnswerContract<any>['headers']>

/** The answers to a change of a record. */
function changeAnswers(serving: Serving, headers: AnswerHeaders) {
  const all = { ETag: ETAG, ...headers }
  return {
    200: recordAnswer(serving, 'The record as it is now', all),
    204: answer(MINIMAL, { headers: all }),
  }
}

function recordAnswer(
  { schemas }: Serving,
  description: string,
  headers: AnswerHeaders = {},
): AnswerContract<any> {
  return answer(description, { schema: schemas.record, example: exampleOf(schemas.record), headers })
}

/** A resource's types are known at run time only. */
function answer(description: string, more: Omit<AnswerContract<any>, 'description'>): AnswerContract<any> {
  return { description, ...more }
}

function manySchema(record: JsonSchema): JsonSchema {
  return {
    type: 'object',
    properties: { data: { type: 'array', items: record } },
    required: ['data'],
    additionalProperties: false,
  }
}

function rule(definition: ResourceDefinition, action: Action): Rule {
  return definition.access[action] ?? ADMINISTRATORS
}
