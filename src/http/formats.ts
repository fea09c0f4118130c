// The formats of text that a schema may name, as typebox checks them. Every check is linear in the length of its
// input, which may be hostile. Importing this module sets them.
import Format from 'typebox/format'

const MAX_EMAIL_LENGTH = 254
const MAX_LOCAL_LENGTH = 64
const MAX_LABEL_LENGTH = 63

// RFC 5322 dot-atom, with the letters of other scripts (RFC 6531) but no controls, spaces or invisible characters.
const LOCAL_PART = /^[\w!#$%&'*+\-/=?^`{|}~\P{ASCII}]+$/u
const LABEL = /^[a-z0-9\P{ASCII}](?:[a-z0-9\-\P{ASCII}]*[a-z0-9\P{ASCII}])?$/iu
const UNPRINTABLE = /[\p{C}\p{Z}]/u

/**
 * One @; before it at most 64 characters of dot-atom, after it a domain of at least two labels. Other scripts are
 * allowed; quoted local parts, comments and address literals are not.
 */
export function isEmail(text: string): boolean {
  if (text.length > MAX_EMAIL_LENGTH || UNPRINTABLE.test(text)) return false
  const at = text.indexOf('@')
  const local = text.slice(0, Math.max(at, 0))
  const labels = text.slice(at + 1).split('.')
  return (
    local.length <= MAX_LOCAL_LENGTH &&
    local.split('.').every((atom) => LOCAL_PART.test(atom)) &&
    labels.length >= 2 &&
    labels.every((label) => label.length <= MAX_LABEL_LENGTH && LABEL.test(label)) &&
    // An IP address is no domain name (RFC 3696, section 2).
    !/^\d+$/.test(labels.at(-1) as string)
  )
}

const SCHEME = /^[a-z][a-z0-9+.-]*:./i
// Each is one step a character: a pattern for the whole would need a stack as deep as a hostile text is long.
const NOT_IN_URI = /[^\w\-.~:/?#[\]@!$&'()*+,;=%]|%(?![0-9a-f]{2})|#[^#]*#/i

/** Absolute, with a scheme, in the characters of RFC 3986. Any scheme. */
export function isUri(text: string): boolean {
  return SCHEME.test(text) && !NOT_IN_URI.test(text) && URL.canParse(text)
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** RFC 9562, any version, either case. */
export function isUuid(text: string): boolean {
  return UUID.test(text)
}

const DATE = /^(\d{4})-(\d{2})-(\d{2})$/
const DAYS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/** A day of the Gregorian calendar from 0001-01-01 to 9999-12-31. */
export function isDate(text: string): boolean {
  const match = DATE.exec(text)
  if (match === null) return false
  const [year, month, day] = match.slice(1).map(Number) as [number, number, number]
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const days = month === 2 && isLeap ? 29 : (DAYS[month - 1] ?? 0)
  return year >= 1 && day >= 1 && day <= days
}

const TIME = /^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(z|[+-]([01]\d|2[0-3]):[0-5]\d)$/i
const FIRST_MS = Date.parse('0001-01-01T00:00:00.000Z')
const LAST_MS = Date.parse('9999-12-31T23:59:59.999Z')

/**
 * RFC 3339 with a zone offset; no leap second, as no clock of ours can hold one. In UTC too its year has four digits,
 * since that is how it is stored.
 */
export function isDateTime(text: string): boolean {
  if (!isDate(text.slice(0, 10)) || (text[10] !== 'T' && text[10] !== 't') || !TIME.test(text.slice(11)))
    return false
  const ms = Date.parse(text)
  return ms >= FIRST_MS && ms <= LAST_MS
}

Format.Set('email', isEmail)
Format.Set('uri', isUri)
Format.Set('uuid', isUuid)
Format.Set('date', isDate)
Format.Set('date-time', isDateTime)
