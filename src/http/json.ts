// Decodes a JSON body strictly: RFC 8259 in UTF-8, and nothing that two readers could understand differently. It does
// not validate against a schema, and it never puts a value of the input into an error.
import { AppError, type ErrorDetail } from '../core/errors.ts'

/** Arrays and objects within each other; more is `malformed_json`. */
export const MAX_DEPTH = 64
/** Properties of one object. No table has that many columns; native parsing of a wider one holds up the event loop. */
export const MAX_PROPERTIES = 2000
/** Characters of a JSON pointer in an answer; a pointer holds keys of the input, so it is cut. */
export const MAX_POINTER_LENGTH = 200
const MAX_FAULTS = 100

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The value of a JSON text; every key is an own property, `__proto__` too, and -0 becomes 0. Throws AppError
 * `malformed_json` (not RFC 8259, not UTF-8, a byte order mark, deeper than MAX_DEPTH) or `validation_failed` with the
 * pointer of each duplicate key, NUL or lone surrogate, number out of range, integer that a double does not hold.
 */
export function decodeJson(bytes: Uint8Array): unknown {
  if (bytes.length === 0)
    throw new AppError('malformed_json', { message: 'Request body is empty, it must be JSON' })
  const text = decodeText(bytes)
  const shape = measure(text)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The parser's own message quotes the input, so it is not kept as a cause.
    throw new AppError('malformed_json')
  }
  const found: Findings = { properties: 0, isSuspect: false, hasEscapes: shape.hasEscapes }
  inspect(value, found)
  // JSON.parse keeps the last of two equal keys: fewer properties than colons means that one was lost.
  if (found.isSuspect || found.properties !== shape.colons) {
    const details = findFaults(text)
    if (details.length > 0) throw new AppError('validation_failed', { details })
  }
  return Object.is(value, -0) ? 0 : value
}

/** The JSON pointer (RFC 6901) of a property or item below `parent`, uncut. */
export function pointerTo(parent: string, name: string | number): string {
  return `${parent}/${String(name).replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/** A pointer or name of the input as an answer may hold it: at most MAX_POINTER_LENGTH characters, well-formed, no NUL. */
export function boundName(name: string): string {
  // The cut may not leave half an escape or half a character.
  const cut = name.length > MAX_POINTER_LENGTH ? name.slice(0, MAX_POINTER_LENGTH).replace(/~$/, '') : name
  return cut.toWellFormed().replaceAll('\0', '\ufffd')
}

function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch {
    throw new AppError('malformed_json', { message: 'Request body is not UTF-8' })
  }
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const propertiesAtDepth = new Uint32Array(MAX_DEPTH + 1)

/**
 * One pass over what is outside strings, before the parser sees it: it bounds depth and width, and counts colons. The
 * text need not be JSON.
 */
function measure(text: string): { colons: number; hasEscapes: boolean } {
  const hasEscapes = text.includes('\\')
  let colons = 0
  let depth = 0
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    if (code === QUOTE) index = endOfString(text, index, hasEscapes)
    else if (code === 0x3a /* : */) {
      colons++
      const count = (propertiesAtDepth[depth] as number) + 1
      if (count > MAX_PROPERTIES && depth > 0) throw tooWide()
      propertiesAtDepth[depth] = count
    } else if (code === 0x7b /* { */ || code === 0x5b /* [ */) {
      if (++depth > MAX_DEPTH) throw tooDeep()
      propertiesAtDepth[depth] = 0
    } else if ((code === 0x7d /* } */ || code === 0x5d) /* ] */ && depth > 0) depth--
  }
  return { colons, hasEscapes }
}

/** Where the string that begins here has its closing quote. Without escapes a native search finds it at once. */
function endOfString(text: string, start: number, hasEscapes: boolean): number {
  let end = text.indexOf('"', start + 1)
  while (hasEscapes && end !== -1 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end === -1 ? text.length : end
}

function isEscaped(text: string, index: number): boolean {
  let before = index
  while (text.charCodeAt(before - 1) === BACKSLASH) before--
  return (index - before) % 2 === 1
}

function tooDeep(): AppError {
  return new AppError('malformed_json', {
    message: `Request body is nested too deep, maximum is ${MAX_DEPTH} levels`,
  })
}

function tooWide(): AppError {
  return new AppError('validation_failed', {
    details: [{ field: '', message: `Expected objects of at most ${MAX_PROPERTIES} properties` }],
  })
}

interface Findings {
  properties: number
  /** There may be a fault: findFaults decides. */
  isSuspect: boolean
  /** Without an escape no string can hold NUL or a lone surrogate: JSON has no raw ones, nor has UTF-8. */
  readonly hasEscapes: boolean
}

/** Counts properties, notes what may be a fault, and makes -0 zero. Depth is bounded already. */
function inspect(value: unknown, found: Findings): void {
  if (typeof value === 'string') {
    if (found.hasEscapes && !isStorableText(value)) found.isSuspect = true
  } else if (typeof value === 'number') {
    if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
      found.isSuspect = true
  } else if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      if (Object.is(value[index], -0)) value[index] = 0
      else inspect(value[index], found)
    }
  } else if (typeof value === 'object' && value !== null) {
    const object = value as Record<string, unknown>
    for (const key of Object.keys(object)) {
      found.properties++
      if (found.hasEscapes && !isStorableText(key)) found.isSuspect = true
      if (Object.is(object[key], -0)) object[key] = 0
      else inspect(object[key], found)
    }
  }
}

// PostgreSQL stores no NUL, and a lone surrogate has no UTF-8.
function isStorableText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0')
}

interface Scan {
  readonly text: string
  at: number
  readonly path: (string | number)[]
  readonly faults: ErrorDetail[]
}

/** Names the faults of a text that JSON.parse has accepted, so it looks for no others. */
function findFaults(text: string): ErrorDetail[] {
  const scan: Scan = { text, at: 0, path: [], faults: [] }
  scanValue(scan)
  const byField = new Map(scan.faults.map((fault) => [`${fault.field}\n${fault.message}`, fault]))
  return [...byField.values()]
}

function addFault(scan: Scan, message: string): void {
  if (scan.faults.length >= MAX_FAULTS) return
  let pointer = ''
  for (const name of scan.path) {
    if (pointer.length > MAX_POINTER_LENGTH) break
    // A key may be as long as the body: what is beyond the cut is not even escaped.
    pointer = pointerTo(pointer, typeof name === 'string' ? name.slice(0, MAX_POINTER_LENGTH) : name)
  }
  scan.faults.push({ field: boundName(pointer), message })
}

function scanValue(scan: Scan): void {
  skipSpace(scan)
  switch (scan.text[scan.at]) {
    case '{':
      return scanObject(scan)
    case '[':
      return scanArray(scan)
    case '"':
      return checkText(scan, scanString(scan), 'Text')
    default:
      return scanLiteral(scan)
  }
}

function scanObject(scan: Scan): void {
  const keys = new Set<string>()
  scan.at++
  for (skipSpace(scan); scan.text[scan.at] !== '}'; skipSpace(scan)) {
    if (scan.text[scan.at] === ',') {
      scan.at++
      continue
    }
    const key = scanString(scan)
    skipSpace(scan)
    scan.at++ // the colon
    scan.path.push(key)
    if (keys.has(key)) addFault(scan, 'Property appears more than once')
    keys.add(key)
    checkText(scan, key, 'Property name')
    scanValue(scan)
    scan.path.pop()
  }
  scan.at++
}

function scanArray(scan: Scan): void {
  let index = 0
  scan.at++
  for (skipSpace(scan); scan.text[scan.at] !== ']'; skipSpace(scan)) {
    if (scan.text[scan.at] === ',') {
      scan.at++
      continue
    }
    scan.path.push(index++)
    scanValue(scan)
    scan.path.pop()
  }
  scan.at++
}

function scanString(scan: Scan): string {
  const start = scan.at++
  let hasEscape = false
  for (let code = scan.text.charCodeAt(scan.at); code !== QUOTE; code = scan.text.charCodeAt(scan.at)) {
    if (code === BACKSLASH) {
      hasEscape = true
      scan.at++
    }
    scan.at++
  }
  scan.at++
  return hasEscape
    ? (JSON.parse(scan.text.slice(start, scan.at)) as string)
    : scan.text.slice(start + 1, scan.at - 1)
}

function checkText(scan: Scan, text: string, what: string): void {
  if (text.includes('\0')) addFault(scan, `${what} must not contain the NUL character`)
  if (!text.isWellFormed()) addFault(scan, `${what} must not contain a lone surrogate`)
}

function scanLiteral(scan: Scan): void {
  const start = scan.at
  // Up to a space, a comma, a closing bracket or the end, where the code is NaN.
  for (let code = scan.text.charCodeAt(start); code > 0x2a; code = scan.text.charCodeAt(++scan.at)) {
    if (code === 0x2c || code === 0x5d || code === 0x7d) break
  }
  const literal = scan.text.slice(start, scan.at)
  if (/^-?\d+$/.test(literal)) {
    if (Number.isSafeInteger(Number(literal))) return
    const { MIN_SAFE_INTEGER: least, MAX_SAFE_INTEGER: most } = Number
    addFault(scan, `Expected a whole number between ${least} and ${most}`)
  } else if (/^-?\d/.test(literal) && !Number.isFinite(Number(literal))) {
    addFault(scan, `Expected a number between -${Number.MAX_VALUE} and ${Number.MAX_VALUE}`)
  }
}

function skipSpace(scan: Scan): void {
  // Between the tokens of a JSON text nothing else is as low.
  while (scan.text.charCodeAt(scan.at) <= 0x20) scan.at++
}
