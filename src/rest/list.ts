// The envelope of a list: totals, page numbers, and links in the body and in a Link header (RFC 8288).
import { AppError } from '../core/errors.ts'
import type { JsonSchema } from '../http/route.ts'
import type { ApiRecord } from './record.ts'
import type { ResourceDefinition } from './resource.ts'

export interface Page {
  page: number
  limit: number
}

/** How many records there are; a filtered count stops early and is then not exact. */
export interface Total {
  items: number
  isExact: boolean
}

/** Beyond this many records from the start an offset would cost more than it is worth. */
export const MAX_OFFSET = 100_000
/** Where a filtered count stops. */
export const COUNT_LIMIT = 10_000

/** The page that the query asks for. Throws `bad_request` where it lies too deep. */
export function pageOf(query: Partial<Page>, definition: ResourceDefinition): Page {
  const { page = 1, limit = definition.pageSize } = query
  if (page * limit > MAX_OFFSET) {
    const message = `page × limit is over ${MAX_OFFSET}; ask for a smaller page`
    throw new AppError('bad_request', { message, details: [{ field: 'page', message }] })
  }
  return { page, limit }
}

/** The body and the Link header of one page. */
export function envelope(path: string, data: readonly ApiRecord[], { page, limit }: Page, total: Total) {
  const pages = Math.ceil(total.items / limit)
  const link = (to: number) => `${path}?page=${to}&limit=${limit}`
  const isPastEnd = total.isExact && page > pages
  const hasNext = total.isExact ? page < pages : data.length === limit
  const links = {
    self: link(page),
    first: link(1),
    prev: page > 1 ? link(isPastEnd ? Math.max(pages, 1) : page - 1) : null,
    next: hasNext ? link(page + 1) : null,
    last: total.isExact ? link(Math.max(pages, 1)) : null,
  }
  const body = {
    data,
    total_items: total.items,
    ...(total.isExact ? {} : { total_is_exact: false }),
    total_pages: pages,
    current_page: page,
    items_per_page: limit,
    links,
  }
  return { body, header: linkHeader(links) }
}

/** The schema of the envelope around records of this one. */
export function envelopeSchema(record: JsonSchema, title: string): JsonSchema {
  const count = { type: 'integer', minimum: 0 }
  const link = { type: ['string', 'null'] }
  return {
    title,
    type: 'object',
    properties: {
      data: { type: 'array', items: record },
      total_items: count,
      total_is_exact: {
        type: 'boolean',
        description: 'False where counting stopped early; otherwise absent',
      },
      total_pages: count,
      current_page: { type: 'integer', minimum: 1 },
      items_per_page: { type: 'integer', minimum: 1 },
      links: {
        title: 'PageLinks',
        type: 'object',
        properties: {
          self: { type: 'string' },
          first: { type: 'string' },
          prev: link,
          next: link,
          last: link,
        },
        required: ['self', 'first', 'prev', 'next', 'last'],
        additionalProperties: false,
      },
    },
    required: ['data', 'total_items', 'total_pages', 'current_page', 'items_per_page', 'links'],
    additionalProperties: false,
  }
}

function linkHeader(links: Readonly<Record<string, string | null>>): string {
  return Object.entries(links)
    .filter(([relation, target]) => target !== null && relation !== 'self')
    .map(([relation, target]) => `<${target}>; rel="${relation}"`)
    .join(', ')
}
