// Entity tags and the conditions of a request (RFC 9110, sections 8.8.3 and 13), and the 428 of RFC 6585.
import { AppError } from '../core/errors.ts'
import type { Row, Value } from '../storage/store.ts'

/** What an answer shows of a row beside its state: another format or selection is another representation. */
export interface Representation {
  /** `json`, or the name of another format. */
  format: string
  fields?: readonly string[] | undefined
}

/** How a header is read. */
export type HeaderReader = (name: string) => string | null

// One element of a list, which may be empty (RFC 9110, 5.6.1); a comma within quotes is a part of the tag. Each space
// can be matched in one way only, or the time would be quadratic in their number.
const ELEMENT = /[ \t]*(?:((?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")[ \t]*)?(?:,|$)/gy
/** Tags in one header; a client has seen a few states of one record, not hundreds. */
const MAX_TAGS = 50

/**
 * The entity tag of a row: its version, which every write raises, and its time, since a restored backup may give a
 * version again.
 */
export function entityTag(row: Row, { format, fields }: Representation): string {
  const selection = fields === undefined ? '' : `.${Bun.hash.wyhash(fields.join()).toString(36)}`
  return `"${stateOf(row)}${format === 'json' ? '' : `.${format}`}${selection}"`
}

/** The tag of the same state in another format, of one for JSON. */
export function tagIn(tag: string, format: string): string {
  return format === 'json' ? tag : tag.replace(/"$/, `.${format}"`)
}

/** Whether the client has this representation already (If-None-Match of a read, compared weakly). */
export function isUnchanged(header: HeaderReader, tag: string): boolean {
  const tags = tagsOf(header, 'if-none-match')
  return tags === '*' || (tags?.some((one) => strong(one) === tag) ?? false)
}

/**
 * The check of a row before it is changed, from If-Match and If-None-Match; undefined where the request has no
 * condition. It throws AppError `precondition_failed`; a tag of any representation of the state counts. Throws
 * `precondition_required` itself where the resource asks for If-Match and there is none.
 */
export function conditionOf(header: HeaderReader, isRequired: boolean): ((row: Row) => void) | undefined {
  const match = tagsOf(header, 'if-match')
  const noneMatch = tagsOf(header, 'if-none-match')
  if (isRequired && match === undefined) throw new AppError('precondition_required')
  if (match === undefined && noneMatch === undefined) return undefined
  return (row) => {
    const state = stateOf(row)
    const has = (tag: string) => stateIn(tag) === state
    // If-Match compares strongly: a weak tag is equal to none.
    const isMatch = match === undefined || match === '*' || match.some(has)
    const isNone = noneMatch === undefined || (noneMatch !== '*' && !noneMatch.map(strong).some(has))
    if (!isMatch || !isNone) throw new AppError('precondition_failed')
  }
}

function stateOf({ _version, updated_at }: Row): string {
  if (updated_at !== latest.time) latest = { time: updated_at, text: textOfTime(updated_at as string) }
  return `${_version.toString(36)}-${latest.text}`
}

function textOfTime(time: string): string {
  return Date.parse(time).toString(36)
}

// Rows that are written together have their time in common.
let latest: { time: Value | undefined; text: string } = { time: undefined, text: '' }

function stateIn(tag: string): string | undefined {
  return tag.startsWith('"') ? tag.slice(1, -1).split('.')[0] : undefined
}

function strong(tag: string): string {
  return tag.replace(/^W\//, '')
}

function tagsOf(header: HeaderReader, name: string): '*' | readonly string[] | undefined {
  const value = header(name)?.trim()
  if (value === undefined) return undefined
  if (value === '*') return '*'
  const elements = [...value.matchAll(ELEMENT)]
  const isWhole = elements.reduce((length, [text]) => length + text.length, 0) === value.length
  const tags = elements.map(([, tag]) => tag).filter((tag) => tag !== undefined)
  if (isWhole && tags.length > 0 && tags.length <= MAX_TAGS) return tags
  const message = `Expected * or up to ${MAX_TAGS} entity tags such as "1-abc", with commas between`
  throw new AppError('bad_request', {
    details: [{ field: name === 'if-match' ? 'If-Match' : 'If-None-Match', message }],
  })
}
