// The headers of a page for people. They are strict enough that a page can run no script and load nothing but what
// this server gives; pages are written for that, and nothing is loosened here for one of them.

/** Beside a page, also what a browser may do in its name: `data:` is for the icons inside Swagger UI's stylesheet. */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export const PAGE_TYPE = 'text/html;charset=utf-8'

export const PAGE_HEADERS: Readonly<Record<string, string>> = {
  'content-security-policy': CONTENT_SECURITY_POLICY,
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
  'cross-origin-opener-policy': 'same-origin',
}
