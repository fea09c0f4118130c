// The envelope of a list: totals, page numbers, and links in the body and in a Link header (RFC 8288). It counts nothing
// and reads nothing.
import type { JsonSchema } from '../http/route.ts'
import { SEARCH_RANKED_MAX } from '../storage/query.ts'
import { isRanked, MAX_OFFSET, type ListRequest } from './list-query.ts'
import type { ApiRecord } from './record.ts'

/** How many records there are; a count that stopped early is not exact. */
export interface Total {
  items: number
  isExact: boolean
}

/** One page, as it was found. */
export interface FoundPage {
  path: string
  request: ListRequest
  data: readonly ApiRecord[]
  /** There are records after these. */
  hasNext: boolean
  /** Undefined where nobody counted. */
  total: Total | undefined
  /** The place of the last record, where there are more and the order has places. */
  nextCursor: string | null
}

/** Where a count stops that is not free. */
export const COUNT_LIMIT = 10_000
/** A Link header that is longer is left out: many clients refuse an answer with over 16 KiB of headers. */
const MAX_LINK_HEADER_LENGTH = 4096

/** The body of one page, and the Link header where there is one. */
export function envelope(found: FoundPage): {
  body: Readonly<Record<string, unknown>>
  header: string | undefined
} {
  const { request, data, nextCursor } = found
  const { cursor } = request
  const links = cursor === undefined ? pageLinks(found) : cursorLinks(found, cursor)
  const header = linkHeader(links)
  const body = {
    data,
    ...(cursor === undefined ? totalsOf(found) : {}),
    items_per_page: request.limit,
    links,
    next_cursor: nextCursor,
  }
  return { body, header: header !== '' && header.length <= MAX_LINK_HEADER_LENGTH ? header : undefined }
}

function totalsOf({ request, total }: FoundPage) {
  const current = { current_page: request.page }
  if (total === undefined) return current
  return {
    total_items: total.items,
    ...(total.isExact ? {} : { total_is_exact: false }),
    total_pages: pagesOf(request, total),
    ...current,
  }
}

type Links = Readonly<Record<string, string | null>>

function pageLinks({ path, request, data, hasNext, total, nextCursor }: FoundPage): Links {
  const { page, limit, repeated } = request
  const link = (to: number) => `${path}?page=${to}&limit=${limit}${repeated}`
  const pages = total?.isExact === true ? Math.max(pagesOf(request, total), 1) : undefined
  const isReachable = (to: number) => to * limit <= MAX_OFFSET
  const isPastEnd = pages !== undefined && data.length === 0 && page > pages
  const byCursor = nextCursor === null ? null : cursorLink(path, request, nextCursor)
  return {
    self: link(page),
    first: link(1),
    prev: page > 1 ? link(isPastEnd ? pages : page - 1) : null,
    next: !hasNext ? null : isReachable(page + 1) ? link(page + 1) : byCursor,
    last: pages !== undefined && isReachable(pages) ? link(pages) : null,
  }
}

function cursorLinks({ path, request, nextCursor }: FoundPage, cursor: string): Links {
  return {
    self: cursorLink(path, request, cursor),
    next: nextCursor === null ? null : cursorLink(path, request, nextCursor),
  }
}

function cursorLink(path: string, { limit, repeated }: ListRequest, cursor: string): string {
  return `${path}?cursor=${cursor}&limit=${limit}${repeated}`
}

function pagesOf(request: ListRequest, { items }: Total): number {
  return Math.ceil((isRanked(request) ? Math.min(items, SEARCH_RANKED_MAX) : items) / request.limit)
}

function linkHeader(links: Links): string {
  return Object.entries(links)
    .filter(([relation, target]) => target !== null && relation !== 'self')
    .map(([relation, target]) => `<${target}>; rel="${relation}"`)
    .join(', ')
}

/** The schema of the envelope around records of this one. */
export function envelopeSchema(record: JsonSchema, title: string): JsonSchema {
  const count = { type: 'integer', minimum: 0 }
  const link = { type: ['string', 'null'] }
  const ofPages = 'Absent where the list was asked for by cursor'
  const ofTotals = `${ofPages} or with count=none`
  return {
    title,
    type: 'object',
    properties: {
      data: { type: 'array', items: record },
      total_items: { ...count, description: ofTotals },
      total_is_exact: {
        type: 'boolean',
        description: 'False where counting stopped early; otherwise absent',
      },
      total_pages: { ...count, description: ofTotals },
      current_page: { type: 'integer', minimum: 1, description: ofPages },
      items_per_page: { type: 'integer', minimum: 1 },
      links: {
        title: 'PageLinks',
        type: 'object',
        description: 'first, prev and last are absent where the list was asked for by cursor',
        properties: {
          self: { type: 'string' },
          first: { type: 'string' },
          prev: link,
          next: link,
          last: link,
        },
        required: ['self', 'next'],
        additionalProperties: false,
      },
      next_cursor: {
        ...link,
        description: 'For `cursor`, with the same filter, q, sort and deleted; null on the last page',
      },
    },
    required: ['data', 'items_per_page', 'links', 'next_cursor'],
    additionalProperties: false,
  }
}
