// The formats that lists and records are answered in beside JSON. JSON itself is the router's.
import type { Format, JsonSchema } from '../../http/route.ts'
import type { ApiRecord } from '../record.ts'
import { createCsvEncoder } from './csv.ts'
import type { RecordEncoder } from './encoder.ts'
import { ndjsonEncoder } from './ndjson.ts'
import { xmlEncoder, xmlRecord } from './xml.ts'

/** What the header of a list that is not JSON tells of it; the links are in `Link`, as with JSON. */
export const TOTAL_HEADER = 'X-Total-Count'

/**
 * The formats of a route's answers, whose records have this schema. `list`: the bodies have their records under `data`;
 * `record`: they are one record; `either`: as the answer to a create, where only a record has an `id`.
 */
export function createFormats(record: JsonSchema, bodies: 'list' | 'record' | 'either'): Format[] {
  // Only deleted records have a `deleted_at`, and hardly any list is of those.
  const declared = Object.keys(record.properties as object).filter((name) => name !== 'deleted_at')
  const recordsOf = (body: unknown): readonly ApiRecord[] | undefined => {
    const isList = bodies === 'list' || (bodies === 'either' && !Object.hasOwn(body as object, 'id'))
    return isList ? (body as { data: readonly ApiRecord[] }).data : undefined
  }
  const encode = (encoder: RecordEncoder, records: readonly ApiRecord[]) =>
    encoder.head + records.map(encoder.record).join('') + encoder.tail
  const all = (body: unknown) => recordsOf(body) ?? [body as ApiRecord]
  const headers = (body: unknown) => totalHeader(body as ListBody)
  const more = bodies === 'list' ? { headers } : {}
  return [
    {
      name: 'ndjson',
      mediaType: 'application/x-ndjson',
      encode: (body) => encode(ndjsonEncoder, all(body)),
      ...more,
    },
    {
      name: 'csv',
      mediaType: 'text/csv',
      encode: (body, query) => {
        const records = all(body)
        const columns = columnsOf(declared, records, selectionOf(query))
        return encode(createCsvEncoder({ columns, isGuarded: true }), records)
      },
      ...more,
    },
    {
      name: 'xml',
      mediaType: 'application/xml',
      encode: (body) => {
        const records = recordsOf(body)
        return records === undefined ? xmlRecord(body as ApiRecord) : encode(xmlEncoder, records)
      },
      ...more,
    },
  ]
}

interface ListBody {
  total_items?: number
  total_is_exact?: boolean
}

/** A total that is not exact is none. */
function totalHeader({
  total_items: total,
  total_is_exact: isExact = true,
}: ListBody): Record<string, string> {
  return total === undefined || !isExact ? {} : { [TOTAL_HEADER]: String(total) }
}

/** The declared properties, or those that the request has selected; then whatever else the records have. */
function columnsOf(
  declared: readonly string[],
  records: readonly ApiRecord[],
  selected: readonly string[] | undefined,
): string[] {
  return [...new Set([...(selected ?? declared), ...records.flatMap((record) => Object.keys(record))])]
}

/** The properties that a list or a record is asked for by `fields`. */
function selectionOf(query: unknown): readonly string[] | undefined {
  return (query as { fields?: readonly string[] } | undefined)?.fields
}
