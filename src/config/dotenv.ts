// The text of an .env file as names and values. It knows the syntax only: which names count is load.ts's business.

/** A line of an .env file. `value` is undefined where a quote is not closed on its line. */
export interface DotenvEntry {
  name: string
  value: string | undefined
}

/** A line that is neither an entry nor empty nor a comment. */
export interface StrayLine {
  /** From 1. */
  line: number
  text: string
}

const ENTRY = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$/
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

/**
 * Reads `NAME=value` lines: `export` before a name, comments after `#`, single quotes (taken as they are), double
 * quotes (with \n, \r, \t, \", \\). Nothing is expanded. What is not such a line is stray; the further lines of a
 * quoted value that spans several, which other programs allow, are skipped.
 */
export function parseDotenv(text: string): { entries: DotenvEntry[]; strays: StrayLine[] } {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  const entries: DotenvEntry[] = []
  const strays: StrayLine[] = []
  for (let at = 0; at < lines.length; at++) {
    const [, name, rest] = ENTRY.exec(lines[at]!) ?? []
    if (name === undefined || rest === undefined) {
      if (/^\s*[^\s#]/.test(lines[at]!)) strays.push({ line: at + 1, text: lines[at]! })
      continue
    }
    const value = valueOf(rest)
    entries.push({ name, value })
    if (value === undefined) at = closingLine(lines, at, rest[0]!)
  }
  return { entries, strays }
}

function valueOf(rest: string): string | undefined {
  const quoted = /^(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*(?:#.*)?$/.exec(rest)
  if (quoted !== null)
    return quoted[2] ?? quoted[1]!.replace(/\\(.)/g, (_, one: string) => ESCAPES[one] ?? one)
  if (/^["']/.test(rest)) return undefined
  return rest.replace(/(^|\s+)#.*$/, '').trim()
}

/** The line that closes a quote opened on line `from`; `from` itself where none does. */
function closingLine(lines: readonly string[], from: number, quote: string): number {
  const closing = lines.findIndex((line, at) => at > from && line.includes(quote))
  return closing === -1 ? from : closing
}
