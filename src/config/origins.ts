// Origins as HIPFLASK_CORS_ORIGINS writes them: scheme, host and port, as a browser sends them. What a request's Origin
// has to do with them is http/cors.ts's business.

const ORIGINS_MAX = 100
const ORIGIN_LENGTH_MAX = 300

/** Every origin whose host is this machine. */
const LOOPBACK = 'loopback'

/** What the text must be, as the end of "… must be …". */
export const ORIGINS_EXPECTED = `off, *, or 1 to ${ORIGINS_MAX} origins such as https://app.example.com without path, or ${LOOPBACK}, separated by commas`

/** `off`: none. `*`: all. Else each of these alone, LOOPBACK among them where it was named. */
type CorsOrigins = 'off' | '*' | readonly string[]

/** The origins of a comma-separated text; undefined where one is malformed, or `*` or `off` is one of several. */
export function parseCorsOrigins(text: string): CorsOrigins | undefined {
  if (text === 'off' || text === '*') return text
  const parts = text.split(',').map((part) => part.trim())
  if (parts.length > ORIGINS_MAX) return undefined
  const origins = parts.map((part) => (part.toLowerCase() === LOOPBACK ? LOOPBACK : parseOrigin(part)))
  return origins.includes(undefined) ? undefined : [...new Set(origins as string[])]
}

// A scheme of their own have the pages inside an app (`capacitor://localhost`). `file:` has none: its origin is null.
function parseOrigin(text: string): string | undefined {
  if (text.length > ORIGIN_LENGTH_MAX) return undefined
  const [, scheme = ''] = /^([a-z][a-z0-9+.-]*):\/\/[^/?#@\\\s*,"]+\/?$/i.exec(text) ?? []
  if (scheme === '' || scheme.toLowerCase() === 'file') return undefined
  if (/^https?$/i.test(scheme)) return URL.parse(text)?.origin
  return /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9._-]+(:\d{1,5})?\/?$/i.test(text)
    ? text.replace(/\/$/, '').toLowerCase()
    : undefined
}
