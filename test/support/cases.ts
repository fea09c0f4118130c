// Black-box tests as data: a request, and what its answer must be, must contain and must not contain.
import { expect, test } from 'bun:test'
import { conformanceOf } from './conformance.ts'

export interface Case {
  name: string
  method?: string
  path: string
  /** Whose credential is sent; nobody's unless said. */
  as?: string
  headers?: Record<string, string>
  /** Sent as JSON, unless it is text: that goes out as it is, as application/json unless `headers` say otherwise. */
  body?: unknown
  status: number
  code?: string
  /** Texts that the body has. */
  has?: readonly string[]
  /** Texts that neither the body nor a header has. */
  lacks?: readonly string[]
  /** Headers and what they must be, or contain where a RegExp. */
  header?: Record<string, string | RegExp | null>
}

export interface Target {
  fetch(path: string, init?: RequestInit): Promise<Response>
  /** The credential headers of a named caller. */
  credentials?: Record<string, Record<string, string>>
}

/** What no answer may ever show, whatever went wrong: stacks, SQL, paths, our own file names. */
const NEVER = [
  /\bat .+:\d+:\d+/,
  /\bSELECT\b|\bINSERT INTO\b|\bUPDATE .+ SET\b|SQLITE_/,
  /\.ts\b/,
  /\/tmp\/|\/root\/|\/home\/|bunfs/,
]

/** Makes one test for each case. */
export function testCases(target: () => Target, cases: readonly Case[]): void {
  for (const one of cases) {
    test(one.name, async () => {
      await checkCase(target(), one)
    })
  }
}

/** Sends the request of the case and checks its answer, also by the server's own document; gives the body's text. */
export async function checkCase(target: Target, one: Case): Promise<string> {
  const hasBody = one.body !== undefined
  const response = await target.fetch(one.path, {
    method: one.method ?? 'GET',
    headers: {
      ...(hasBody ? { 'content-type': 'application/json' } : {}),
      ...(one.as === undefined ? {} : credentialsOf(target, one.as)),
      ...one.headers,
    },
    ...(hasBody ? { body: typeof one.body === 'string' ? one.body : JSON.stringify(one.body) } : {}),
  })
  const text = await response.text()
  await checkByDocument(one, response, text)
  expect(
    `${response.status} ${response.status >= 400 || response.status !== one.status ? text : ''}`,
  ).toStartWith(String(one.status))
  if (one.code !== undefined) expect(JSON.parse(text).error.code).toBe(one.code)
  if (response.status >= 400 && one.method !== 'HEAD') checkErrorShape(response, text)
  for (const part of one.has ?? []) expect(text).toContain(part)
  const everything = `${text}\n${JSON.stringify([...response.headers])}`
  for (const part of one.lacks ?? []) expect(everything).not.toContain(part)
  if (!text.startsWith('<!')) for (const pattern of NEVER) expect(text).not.toMatch(pattern)
  for (const [name, expected] of Object.entries(one.header ?? {})) {
    const value = response.headers.get(name)
    if (expected instanceof RegExp) expect(value ?? '').toMatch(expected)
    else expect({ [name]: value }).toEqual({ [name]: expected })
  }
  return text
}

/** The address is the response's: a target may have put its own path in the place of the case's. */
async function checkByDocument({ method = 'GET' }: Case, response: Response, body: string): Promise<void> {
  const { origin, pathname } = new URL(response.url)
  const conformance = await conformanceOf(origin)
  const { status, headers } = response
  const faults = conformance?.faultsOf({ method, path: pathname, status, headers, body }) ?? []
  expect({ answer: `${method} ${pathname} ${status}`, faults }).toEqual({
    answer: `${method} ${pathname} ${status}`,
    faults: [],
  })
}

function credentialsOf(target: Target, caller: string): Record<string, string> {
  const headers = target.credentials?.[caller]
  if (headers === undefined) throw new TypeError(`No caller is named ${caller}`)
  return headers
}

function checkErrorShape(response: Response, text: string): void {
  if (response.headers.get('content-type')?.startsWith('application/problem+json')) return
  const { error } = JSON.parse(text) as { error: Record<string, unknown> }
  expect(Object.keys(error)).toEqual(['status_code', 'code', 'message', 'details', 'request_id'])
  expect(error.status_code).toBe(response.status)
  expect(error.request_id).toBe(response.headers.get('x-request-id') as string)
}
