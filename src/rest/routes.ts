// The routes of a declared resource under /api. They only translate between HTTP and records.ts.
import { ADMINISTRATORS } from '../access/authorize.ts'
import type { Clock } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { UUID_PATTERN } from '../core/ids.ts'
import { Reply, route } from '../http/route.ts'
import type { AnswerContract, BodyContract, JsonSchema, Method, Route } from '../http/route.ts'
import { t, type Action, type Rule } from '../sdk.ts'
import type { Id, Row, Store } from '../storage/store.ts'
import { MAX_RECORDS } from './input.ts'
import { envelope, envelopeSchema, pageOf } from './list.ts'
import { recordReader, type ApiRecord } from './record.ts'
import { createRecords, type Records } from './records.ts'
import type { ResourceDefinition } from './resource.ts'
import { exampleOf } from './example.ts'
import { documentedBody, pascalCase, schemasOf, systemProperties, type ResourceSchemas } from './schemas.ts'

export interface ResourceRoutesOptions {
  definition: ResourceDefinition
  store: Store
  clock: Clock
}

const MERGE_PATCH = 'application/merge-patch+json'

/** List, create, read, replace, patch and delete of one resource. */
export function createResourceRoutes(options: ResourceRoutesOptions): Route[] {
  const { definition } = options
  const records = createRecords(options)
  const serving: Serving = {
    definition,
    records,
    path: `/api/${definition.name}`,
    toRecord: recordReader(definition),
    idOf: idReader(definition),
    schemas: schemasOf(definition),
  }
  return [
    listRoute(serving),
    createRoute(serving),
    readRoute(serving),
    replaceRoute(serving),
    patchRoute(serving),
    deleteRoute(serving),
  ]
}

interface Serving {
  definition: ResourceDefinition
  records: Records
  path: string
  toRecord: (row: Row) => ApiRecord
  idOf: (text: string) => Id
  schemas: ResourceSchemas
}

function createRoute({ definition, records, path, toRecord, schemas }: Serving): Route {
  const { name } = definition
  const one = documentedBody(definition, schemas.create)
  return route({
    method: 'POST',
    action: 'create',
    access: rule(definition, 'create'),
    path,
    operationId: `create${pascalCase(name)}`,
    summary: `Create a record of ${name}, or up to ${MAX_RECORDS} at once`,
    description: 'An array is created whole or not at all, and answers its records under `data`.',
    tag: name,
    body: {
      schema: { oneOf: [one, { type: 'array', maxItems: MAX_RECORDS, items: one }] },
      example: exampleOf(schemas.create),
      parse: asDecoded,
    },
    responses: {
      201: answer('The new record, or the new records', {
        schema: { oneOf: [schemas.record, manySchema(schemas.record)] },
        example: exampleOf(schemas.record),
        headers: { Location: 'Where the record is; not given for an array' },
      }),
    },
    errors: ['conflict'],
    handler: async ({ body, principal, where }) => {
      const { isArray, rows } = await records.create(body, { principal, where })
      if (isArray) return new Reply(201, { data: rows.map(toRecord) })
      const record = toRecord(rows[0] as Row)
      return new Reply(201, record, { location: `${path}/${String(record.id)}` })
    },
  })
}

function readRoute(serving: Serving): Route {
  const { records, toRecord, idOf } = serving
  return route({
    ...recordRoute(serving, 'GET', 'read'),
    summary: `Read a record of ${serving.definition.name}`,
    responses: { 200: recordAnswer(serving, 'The record') },
    handler: async ({ params, where }) => toRecord(await records.read(idOf(params.id), where)),
  })
}

function replaceRoute(serving: Serving): Route {
  const { records, toRecord, idOf, schemas } = serving
  return route({
    ...recordRoute(serving, 'PUT', 'update'),
    operationId: `replace${pascalCase(serving.definition.name)}`,
    summary: `Replace a record of ${serving.definition.name}`,
    description: 'Replaces every writable property; one that is left out takes its default or is absent.',
    body: bodyOf(serving, schemas.replace),
    responses: { 200: recordAnswer(serving, 'The record as it is now') },
    errors: ['conflict'],
    handler: async ({ params, body, principal, where }) =>
      toRecord(await records.replace(idOf(params.id), body, { principal, where })),
  })
}

function patchRoute(serving: Serving): Route {
  const { records, toRecord, idOf, schemas } = serving
  return route({
    ...recordRoute(serving, 'PATCH', 'update'),
    operationId: `patch${pascalCase(serving.definition.name)}`,
    summary: `Change a record of ${serving.definition.name}`,
    description: 'JSON Merge Patch (RFC 7396): null takes the default or removes the property.',
    body: { ...bodyOf(serving, schemas.patch), mediaTypes: [MERGE_PATCH] },
    responses: { 200: recordAnswer(serving, 'The record as it is now') },
    errors: ['conflict'],
    handler: async ({ params, body, principal, where }) =>
      toRecord(await records.patch(idOf(params.id), body, { principal, where })),
  })
}

function deleteRoute(serving: Serving): Route {
  const { records, toRecord, idOf } = serving
  return route({
    ...recordRoute(serving, 'DELETE', 'delete'),
    summary: `Delete a record of ${serving.definition.name}`,
    responses: { 200: recordAnswer(serving, 'The record as it was') },
    errors: ['conflict'],
    handler: async ({ params, principal, where }) =>
      toRecord(await records.delete(idOf(params.id), { principal, where })),
  })
}

/** What the routes of one record have in common. */
function recordRoute<const M extends Method>({ definition, path }: Serving, method: M, action: Action) {
  return {
    method,
    action,
    access: rule(definition, action),
    path: `${path}/:id` as const,
    operationId: `${action}${pascalCase(definition.name)}`,
    tag: definition.name,
    params: { id: systemProperties(definition).id as JsonSchema },
  }
}

/** Validation is records.ts's: a patch can be judged only with the record at hand. */
function bodyOf({ definition }: Serving, schema: JsonSchema): BodyContract<unknown> {
  return { schema: documentedBody(definition, schema), example: exampleOf(schema), parse: asDecoded }
}

function asDecoded(value: unknown): unknown {
  return value
}

function recordAnswer({ schemas }: Serving, description: string): AnswerContract<any> {
  return answer(description, { schema: schemas.record, example: exampleOf(schemas.record) })
}

/** A resource's types are known at run time only. */
function answer(description: string, more: Omit<AnswerContract<any>, 'description'>): AnswerContract<any> {
  return { description, ...more }
}

function listRoute({ definition, records, path, toRecord, schemas: { record } }: Serving): Route {
  const { name, pageSize, pageSizeMax } = definition
  const schema = envelopeSchema(record, `${pascalCase(name)}List`)
  return route({
    method: 'GET',
    action: 'list',
    access: rule(definition, 'list'),
    path,
    operationId: `list${pascalCase(name)}`,
    summary: `List ${name}, page by page`,
    ...(definition.description === undefined ? {} : { description: definition.description }),
    tag: name,
    query: t.Object({
      page: t.Optional(t.Integer({ minimum: 1, default: 1, description: 'From 1' })),
      limit: t.Optional(
        t.Integer({ minimum: 1, maximum: pageSizeMax, default: pageSize, description: 'Records on a page' }),
      ),
    }),
    responses: {
      200: answer('One page, in the order of the ids', {
        schema,
        example: envelope(
          path,
          [exampleOf(record) as ApiRecord],
          { page: 1, limit: pageSize },
          { items: 1, isExact: true },
        ).body,
        headers: { Link: 'The same links as in the body (RFC 8288)' },
      }),
    },
    handler: async ({ query, where }) => {
      const page = pageOf(query, definition)
      const { rows, total } = await records.list(page, where)
      const { body, header } = envelope(path, rows.map(toRecord), page, total)
      return new Reply(200, body, { link: header })
    },
  })
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

function idReader({ id }: ResourceDefinition): (text: string) => Id {
  if (id === 'uuid') {
    return (text) => {
      const lower = text.toLowerCase()
      if (!UUID_PATTERN.test(lower)) throw invalidId('a UUID')
      return lower
    }
  }
  return (text) => {
    if (!/^[1-9]\d*$/.test(text)) throw invalidId('a whole number from 1 up')
    const number = Number(text)
    // No id is that great, and a double would round it to another.
    if (!Number.isSafeInteger(number)) throw new AppError('not_found')
    return number
  }
}

function invalidId(expected: string): AppError {
  return new AppError('validation_failed', {
    message: 'The id in the path is not valid',
    details: [{ field: '/id', message: `Expected ${expected}` }],
  })
}
