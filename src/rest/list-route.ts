// The route of a resource's list: the query, the access rule and the store brought together. What a query may say is
// list-query.ts's business, what an answer looks like is list.ts's.
import { ADMINISTRATORS, isAdministrator, refusal } from '../access/authorize.ts'
import { readScope } from '../access/scopes.ts'
import { Reply, route } from '../http/route.ts'
import type { JsonSchema, QueryContract, Route } from '../http/route.ts'
import { SEARCH_RANKED_MAX } from '../storage/query.ts'
import type { Filter, FilterValue, Keyset, ListQuery } from '../storage/query.ts'
import type { Row, Store } from '../storage/store.ts'
import type { Cursors, Place } from './cursor.ts'
import { exampleOf } from './example.ts'
import { createExpander, expansionsOf, type Embedded, type Expansions } from './expand.ts'
import { createFormats, TOTAL_HEADER } from './formats/media-types.ts'
import { COUNT_LIMIT, envelope, envelopeSchema, type Total } from './list.ts'
import { listParameters } from './list-parameters.ts'
import { createListQueryReader, invalidCursor, isRanked, type ListRequest } from './list-query.ts'
import { recordReader, type ApiRecord } from './record.ts'
import type { ResourceDefinition } from './resource.ts'
import { pascalCase, schemasOf } from './schemas.ts'

export interface ListRouteOptions {
  definition: ResourceDefinition
  /** All of them, for what records refer to. */
  resources: readonly ResourceDefinition[]
  store: Store
  cursors: Cursors
}

/** The route that lists a resource. */
export function createListRoute(options: ListRouteOptions): Route {
  const { definition, resources, store, cursors } = options
  const { name } = definition
  const path = `/api/${name}`
  const scope = readScope(name)
  const expansions = expansionsOf(definition, resources)
  const parse = createListQueryReader({ definition, cursors, expansions })
  const query: QueryContract<ListRequest> = { parameters: listParameters(definition, expansions), parse }
  const toRecord = recordReader(definition)
  const expand = createExpander(expansions, store)
  return route({
    method: 'GET',
    action: 'list',
    access: definition.access.list ?? ADMINISTRATORS,
    scope,
    path,
    operationId: `list${pascalCase(name)}`,
    summary: `List ${name}, filtered, sorted, page by page`,
    ...(definition.description === undefined ? {} : { description: definition.description }),
    tag: name,
    query,
    // The deleted records are for administrators, whoever may see the others.
    errors: definition.softDelete ? ['forbidden'] : [],
    formats: createFormats(schemasOf(definition).record, 'list'),
    responses: { 200: listAnswer(definition, expansions, parse('')) },
    handler: async ({ query: request, where, principal }) => {
      if (request.deleted && !isAdministrator({ principal, scope })) throw refusal({ principal, scope })
      const { rows, hasNext } = await findRows(options, request, where)
      const total = await countRows(options, request, where)
      const embedded = request.expand.length === 0 ? [] : await expand(rows, request.expand, principal)
      const data = rows.map((row, index) => viewOf(toRecord(row), request.fields, embedded[index]))
      const last = rows.at(-1)
      const nextCursor = hasNext && !isRanked(request) && last ? cursors.encode(last, request.scope) : null
      const { body, header } = envelope({ path, request, data, hasNext, total, nextCursor })
      return new Reply(200, body, header === undefined ? {} : { link: header })
    },
  })
}

/** What is shown of a record: the chosen properties in the order of the choice, and what is embedded. */
export function viewOf(
  record: ApiRecord,
  fields: readonly string[] | undefined,
  embedded: Embedded | undefined,
): ApiRecord {
  if (fields === undefined) return embedded === undefined ? record : { ...record, ...embedded }
  const chosen = fields.filter((field) => field in record).map((field) => [field, record[field]])
  return { ...(Object.fromEntries(chosen) as ApiRecord), ...embedded }
}

/** The schema of what `viewOf` shows: any property may be missing, and what is embedded may be there. */
export function viewSchema(definition: ResourceDefinition, expansions: Expansions): JsonSchema {
  const { record } = schemasOf(definition)
  const embedded = [...expansions].map(([name, { schema }]) => [
    name,
    { anyOf: [schema, { type: 'null' }], description: `With expand=${name}` },
  ])
  return {
    title: `${pascalCase(definition.name)}View`,
    type: 'object',
    properties: { ...(record.properties as object), ...Object.fromEntries(embedded) },
    additionalProperties: false,
  }
}

function listAnswer(definition: ResourceDefinition, expansions: Expansions, request: ListRequest) {
  const { record } = schemasOf(definition)
  const data = [exampleOf(record) as ApiRecord]
  const total = { items: 1, isExact: true }
  const path = `/api/${definition.name}`
  return {
    description: 'One page',
    schema: envelopeSchema(viewSchema(definition, expansions), `${pascalCase(definition.name)}List`),
    example: envelope({ path, request, data, hasNext: false, total, nextCursor: null }).body,
    headers: {
      Link: 'The same links as in the body (RFC 8288), where they are not too long for a header',
      [TOTAL_HEADER]: 'With a body that is not JSON: how many records there are, where that is known exactly',
    },
  }
}

type Listing = Pick<ListRouteOptions, 'definition' | 'store'>

/** The rows of the page. One more is asked for, so that no count is needed to know that there are more. */
async function findRows(
  listing: Listing,
  request: ListRequest,
  rule: Filter | undefined,
): Promise<{ rows: Row[]; hasNext: boolean }> {
  const { page, limit, sort, search, deleted } = request
  const where = both(rule, request.where)
  const query: ListQuery = { table: listing.definition.name, where, sort, search, deleted, limit: limit + 1 }
  if (request.after === undefined) query.offset = (page - 1) * limit
  else query.after = await keysetOf(listing, request, request.after)
  const rows = await listing.store.list(query)
  return { rows: rows.slice(0, limit), hasNext: rows.length > limit }
}

/** The values after which the page begins. A place that is a row is there while the row is as it was. */
async function keysetOf({ definition, store }: Listing, request: ListRequest, after: Place): Promise<Keyset> {
  if ('values' in after) return after
  const { deleted, scope } = request
  const row = await store.get(definition.name, after.id, undefined, { deleted })
  if (row?._version !== after.version) throw invalidCursor()
  return { values: scope.order.map(({ name }) => (row[name] ?? null) as FilterValue | null), id: row.id }
}

/** How many records the list has, in all; undefined where nobody wants to know. */
async function countRows(
  { definition: { name }, store }: Listing,
  request: ListRequest,
  rule: Filter | undefined,
): Promise<Total | undefined> {
  const { count, search, deleted } = request
  if (count === 'none' || request.cursor !== undefined) return undefined
  const where = both(rule, request.where)
  const isFree = where === undefined && search === undefined && !deleted
  if (isFree || count === 'exact') {
    return { items: await store.count(name, where, { search, deleted }), isExact: true }
  }
  const limit = isRanked(request) ? SEARCH_RANKED_MAX : COUNT_LIMIT
  const counted = await store.count(name, where, { search, deleted, limit: limit + 1 })
  return { items: Math.min(counted, limit), isExact: counted <= limit }
}

function both(rule: Filter | undefined, where: Filter | undefined): Filter | undefined {
  if (rule === undefined || where === undefined) return rule ?? where
  return { and: [rule, where] }
}
