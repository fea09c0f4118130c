// Chooses the media type of an answer from an Accept header (RFC 9110, section 12.5.1). What a client wrote wrongly
// counts as no wish at all: an answer it may not like is more use than none.

const MAX_HEADER_LENGTH = 1024
const MAX_RANGES = 50

interface Range {
  type: string
  subtype: string
  parameters: readonly string[]
  quality: number
}

/**
 * The offered type with the highest quality, the first offered among equals; undefined where none is accepted.
 * A header that is absent, malformed or too long accepts everything.
 */
export function preferredType(accept: string | null, offered: readonly string[]): string | undefined {
  if (accept === null || accept === '*/*') return offered[0]
  const ranges = parseAccept(accept)
  if (ranges === undefined) return offered[0]
  let best: string | undefined
  let bestQuality = 0
  for (const type of offered) {
    const quality = qualityOf(type, ranges)
    if (quality > bestQuality) {
      best = type
      bestQuality = quality
    }
  }
  return best
}

/** What an answer that is JSON unless asked otherwise comes as. */
export type Choice = { accepted: 'json' } | { accepted: 'other'; index: number } | { accepted: 'nothing' }

const JSON_TYPE = 'application/json'
/** Who names it alone means the errors and has no wish for the rest. */
const PROBLEM_TYPE = 'application/problem+json'

/**
 * Chooses between JSON and other types. One of those is given where the client named it (a wildcard is no name) and
 * wished for nothing more: not to a browser, whose header has XML behind its pages. JSON is next, then a type that was
 * named as a lesser wish. Of equals JSON comes first if it was named too, then the order of `others`.
 */
export function preferredChoice(accept: string | null, others: readonly string[]): Choice {
  if (accept === null || accept === '*/*') return { accepted: 'json' }
  const ranges = parseAccept(accept)
  if (ranges === undefined) return { accepted: 'json' }
  const named = ranges.filter(({ type, subtype }) => type !== '*' && subtype !== '*')
  const highest = Math.max(...ranges.map(({ quality }) => quality))
  const qualities = others.map((type) => qualityOf(type, named))
  const best = Math.max(0, ...qualities)
  const other: Choice = { accepted: 'other', index: qualities.indexOf(best) }
  if (best > 0 && best === highest && qualityOf(JSON_TYPE, named) < highest) return other
  if (qualityOf(JSON_TYPE, ranges) > 0) return { accepted: 'json' }
  if (best > 0) return other
  return { accepted: qualityOf(PROBLEM_TYPE, named) > 0 ? 'json' : 'nothing' }
}

function qualityOf(offered: string, ranges: readonly Range[]): number {
  const [name = '', ...parameters] = offered
    .toLowerCase()
    .split(';')
    .map((part) => part.trim())
  const [type, subtype] = name.split('/')
  let quality = 0
  let precedence = -1
  for (const range of ranges) {
    const matches =
      (range.type === '*' || range.type === type) &&
      (range.subtype === '*' || range.subtype === subtype) &&
      range.parameters.every((parameter) => parameters.includes(parameter))
    if (!matches) continue
    const own = range.type === '*' ? 0 : range.subtype === '*' ? 1 : 2 + range.parameters.length
    // Of two ranges that say the same, the kinder one counts.
    if (own > precedence || (own === precedence && range.quality > quality)) {
      precedence = own
      quality = range.quality
    }
  }
  return quality
}

const SPACE = String.raw`[ \t]*`
const TOKEN = String.raw`[!#$%&'*+\-.^\`|~\w]+`
const QUOTED = String.raw`"(?:[^"\\]|\\.)*"`
// Each space can be matched in one way only, or the time would be exponential in their number.
const PARAMETERS = `(?:${SPACE};(?:${SPACE}${TOKEN}=(?:${TOKEN}|${QUOTED}))?)*`
const RANGE = new RegExp(`(${TOKEN})/(${TOKEN})(${PARAMETERS})${SPACE}(?:,|$)`, 'y')
const PARAMETER = new RegExp(`(${TOKEN})=(${TOKEN}|${QUOTED})`, 'g')
const QUALITY = /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/

/** Undefined where the header is malformed, empty or beyond the limits. */
function parseAccept(accept: string): Range[] | undefined {
  if (accept.length > MAX_HEADER_LENGTH) return undefined
  const text = accept.toLowerCase()
  const ranges: Range[] = []
  let at = 0
  while (at < text.length) {
    // A list may have empty elements (RFC 9110, section 5.6.1).
    if (', \t'.includes(text[at] as string)) {
      at++
      continue
    }
    RANGE.lastIndex = at
    const match = RANGE.exec(text)
    if (match === null || ranges.length === MAX_RANGES) return undefined
    const range = rangeOf(match[1] as string, match[2] as string, match[3] as string)
    if (range === undefined) return undefined
    ranges.push(range)
    at = RANGE.lastIndex
  }
  return ranges.length > 0 ? ranges : undefined
}

function rangeOf(type: string, subtype: string, parameterText: string): Range | undefined {
  if (type === '*' && subtype !== '*') return undefined
  const parameters: string[] = []
  let quality = 1
  for (const [, name, value = ''] of parameterText.matchAll(PARAMETER)) {
    const plain = value.startsWith('"') ? value.slice(1, -1) : value
    if (name === 'q') {
      if (!QUALITY.test(plain)) return undefined
      quality = Number(plain)
      // Our text is UTF-8 whether or not the type says so.
    } else if (name !== 'charset' || plain !== 'utf-8') parameters.push(`${name}=${plain}`)
  }
  return { type, subtype, parameters, quality }
}
