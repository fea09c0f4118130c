// Prefer: return=minimal (RFC 7240): the answer to a write without its record.
import { Reply } from '../http/route.ts'
import type { HeaderReader } from './conditions.ts'

// What stands between commas; one within quotes separates nothing. Quotes that are not closed end with the header: to
// try again without them would take quadratic time.
const PREFERENCE = /(?:"(?:[^"\\]|\\(?:.|$))*(?:"|$)|[^,"])+/g
const RETURN = /^\s*return\s*(?:=\s*("?)([\w-]+)\1\s*)?(?:;|$)/i

/** The answer as the client prefers it: a created record keeps 201, anything else becomes 204. */
export function preferred(reply: Reply, header: HeaderReader): Reply {
  const preference = header('prefer')
  if (preference === null || wishOf(preference) !== 'minimal') return reply
  const status = reply.status === 201 ? 201 : 204
  return new Reply(status, undefined, { ...reply.headers, 'preference-applied': 'return=minimal' })
}

/** What `return` is wished to be. Of several only the first counts (RFC 7240, section 2). */
function wishOf(preferences: string): string | undefined {
  for (const [preference] of preferences.matchAll(PREFERENCE)) {
    const match = RETURN.exec(preference)
    if (match !== null) return match[2]?.toLowerCase()
  }
  return undefined
}
