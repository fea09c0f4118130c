// One line per event: JSON for programs, or a short text for people. It never throws and never prints a secret:
// callers pass named fields, and values under a secret name are replaced.

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
export type LogFields = Readonly<Record<string, unknown>>

/** Logs `message` with fields. An Error among the fields is written with its stack and its causes. */
export interface Logger {
  debug(message: string, fields?: LogFields): void
  info(message: string, fields?: LogFields): void
  warn(message: string, fields?: LogFields): void
  error(message: string, fields?: LogFields): void
}

export interface LoggerOptions {
  level: LogLevel
  format: 'json' | 'pretty'
  /** Takes one line, newline included. */
  write: (line: string) => void
  clock: () => number
}

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']
const SECRET_NAME = /password|secret|token|authorization|cookie|api_?key/i
const MAX_CAUSES = 5
/**
 * What breaks a line somewhere, steers a terminal, or turns the order of what is shown around: control characters but
 * for the line feed, separators of lines, marks of direction and of byte order.
 */
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g

/** Whether a logger of the least level writes a line of this one. */
export function lets(least: LogLevel, level: LogLevel): boolean {
  return LEVELS.indexOf(level) >= LEVELS.indexOf(least)
}

export function createLogger({ level, format, write, clock }: LoggerOptions): Logger {
  const log =
    (at: LogLevel) =>
    (message: string, fields: LogFields = {}) => {
      if (!lets(level, at)) return
      const time = new Date(clock()).toISOString()
      const line =
        format === 'json' ? jsonLine(time, at, message, fields) : prettyLine(time, at, message, fields)
      write(`${line}\n`)
    }
  return { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') }
}

function jsonLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  return jsonText({ time, level, message, ...printable(fields) })
}

/** A value as JSON that stays one line, and what it is, for whatever shows it. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value).replace(UNSAFE, escaped)
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function prettyLine(time: string, level: LogLevel, message: string, fields: LogFields): string {
  const rest = Object.entries(printable(fields))
    .filter(([, value]) => value !== undefined)
    .map(
      ([name, value]) =>
        `${name}=${oneLine(typeof value === 'string' ? value : String(JSON.stringify(value)))}`,
    )
  return [time.slice(11, 19), level.toUpperCase().padEnd(5), oneLine(message), ...rest].join(' ')
}

function printable(fields: LogFields): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, fieldOf(name, value)]))
}

function fieldOf(name: string, value: unknown): unknown {
  const shown = replace(name, value)
  if (typeof shown !== 'object' || shown === null) return shown
  try {
    return JSON.parse(JSON.stringify(shown, replace))
  } catch {
    return '[unprintable]'
  }
}

// Secrets are found at any depth; what JSON does not know is made text.
function replace(name: string, value: unknown): unknown {
  if (SECRET_NAME.test(name)) return '[redacted]'
  if (value instanceof Error) return describeError(value)
  return typeof value === 'bigint' ? value.toString() : value
}

function describeError(error: Error): string {
  let text = error.stack ?? `${error.name}: ${error.message}`
  let cause = error.cause
  for (let depth = 0; depth < MAX_CAUSES && cause !== undefined; depth++) {
    text += `\ncaused by ${cause instanceof Error ? (cause.stack ?? cause.message) : JSON.stringify(fieldOf('', cause))}`
    cause = cause instanceof Error ? cause.cause : undefined
  }
  return text
}

// A stack is the only text that may break a line of the pretty format, nothing of the input may.
function oneLine(text: string): string {
  return text.replace(UNSAFE, ' ').replaceAll('\n', '\n    ')
}
