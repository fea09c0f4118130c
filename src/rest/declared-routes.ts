// Checks the routes of a declaration: that each can be served, and that none takes the place of another.
import { canonicalSchema } from '../http/json-schema.ts'
import { createQueryParser } from '../http/query-parameters.ts'
import type { CustomRoute, ResourceOptions, Rule, TSchema } from '../sdk.ts'
import { checkRule } from './declared-rules.ts'

const OPTIONS = new Set('method path access summary description query body responses handler'.split(' '))
const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
const MAX_ROUTES = 100
// A first segment of digits, or of a UUID's form, would hide a record.
const PATH = /^\/(?::id|[a-z][a-z0-9_-]*)(?:\/(?::[a-z][a-z0-9_]*|[a-z0-9_-]+))*$/
const UUID_LIKE = /^\/[0-9a-f]{8}-/
const PATH_RULE =
  "must be segments such as '/:id/publish' or '/latest', of a–z, 0–9, _ and -, and begin with a letter or ':id'"

/** The problems of `routes`, with a schema that is right. */
export function checkRoutes({ routes, owned, softDelete }: ResourceOptions<any>): string[] {
  if (routes === undefined) return []
  if (!Array.isArray(routes)) return ["option 'routes' must be a list of route({ … })"]
  if (routes.length > MAX_ROUTES) return [`a resource has at most ${MAX_ROUTES} routes`]
  const problems: string[] = []
  const sound: CustomRoute['options'][] = []
  for (const [index, declared] of (routes as unknown[]).entries()) {
    if (!isRoute(declared)) {
      problems.push(`routes: number ${index + 1} is not a route; write route({ … })`)
      continue
    }
    const { options } = declared
    const label = `route ${String(options.method)} ${String(options.path)}`
    const found = checkRoute(options, owned === true)
    problems.push(...found.map((problem) => `${label}: ${problem}`))
    if (found.length === 0) sound.push(options)
  }
  return [...problems, ...checkPlaces(sound, softDelete === true)]
}

function isRoute(value: unknown): value is CustomRoute {
  const { kind, options } = (value ?? {}) as Partial<CustomRoute>
  return kind === 'route' && typeof options === 'object' && options !== null
}

function checkRoute(options: CustomRoute['options'], owned: boolean): string[] {
  const { method, path, access, query, body, responses, handler } = options
  const problems = Object.keys(options)
    .filter((key) => !OPTIONS.has(key))
    .map((key) => `option '${key}' is not known; the options are ${[...OPTIONS].join(', ')}`)
  if (!METHODS.includes(method)) problems.push(`option 'method' must be one of ${METHODS.join(', ')}`)
  if (typeof path !== 'string' || !PATH.test(path) || UUID_LIKE.test(path)) {
    problems.push(`option 'path' ${PATH_RULE}`)
  } else {
    const names = paramsOf(path)
    if (new Set(names).size < names.length) problems.push("option 'path' has a parameter twice")
    if (names.includes('id') && !path.startsWith('/:id')) {
      problems.push("option 'path' may have ':id', the record's, only at its beginning")
    }
    if (isOwnersOnly(access) && !path.startsWith('/:id')) {
      problems.push("access: owner() needs a record, so the path must begin with '/:id'")
    }
  }
  if (access === undefined) problems.push("option 'access' is missing; everyone() lets anybody in")
  else problems.push(...checkRule(access, owned, 0).map((problem) => `access: ${problem}`))
  if (typeof handler !== 'function') problems.push("option 'handler' must be a function")
  for (const text of ['summary', 'description'] as const) {
    if (options[text] !== undefined && typeof options[text] !== 'string') {
      problems.push(`option '${text}' must be text`)
    }
  }
  if (query !== undefined)
    problems.push(...faultOf(() => createQueryParser(query)).map((one) => `query: ${one}`))
  if (body !== undefined && method === 'GET') problems.push('a GET request has no body')
  else if (body !== undefined)
    problems.push(...faultOf(() => canonicalSchema(body)).map((one) => `body: ${one}`))
  return [...problems, ...checkResponses(responses)]
}

function checkResponses(responses: unknown): string[] {
  if (responses === undefined) return []
  if (typeof responses !== 'object' || responses === null || Object.keys(responses).length === 0) {
    return ["option 'responses' must be an object of schemas by status"]
  }
  return Object.entries(responses).flatMap(([status, declared]) => {
    if (!/^[23]\d\d$/.test(status)) {
      return [`responses: ${status} must be a status from 200 to 399; errors are made by problem()`]
    }
    if (declared === null || declared === 'record') {
      const hasNoBody = status === '204' || status === '205' || status === '304'
      return hasNoBody && declared !== null ? [`responses: ${status} has no body, so it must be null`] : []
    }
    if (status === '204' || status === '205' || status === '304') {
      return [`responses: ${status} has no body, so it must be null`]
    }
    return faultOf(() => canonicalSchema(declared as TSchema)).map((one) => `responses: ${status}: ${one}`)
  })
}

/** What the rule asks of a record, whoever asks. */
function isOwnersOnly(rule: Rule | undefined): boolean {
  if (typeof rule !== 'object' || rule === null) return false
  if (rule.rule === 'owner') return true
  return 'rules' in rule && Array.isArray(rule.rules) && rule.rules.some((one) => isOwnersOnly(one))
}

function faultOf(make: () => unknown): string[] {
  try {
    make()
    return []
  } catch (error) {
    if (error instanceof TypeError) return [error.message]
    throw error
  }
}

/** No two routes at one place, none where the resource has its own, one name for the parameter of one place. */
function checkPlaces(routes: readonly CustomRoute['options'][], softDelete: boolean): string[] {
  const problems: string[] = []
  const own = ['GET /:id', 'PUT /:id', 'PATCH /:id', 'DELETE /:id']
  if (softDelete) own.push('POST /:id/restore')
  const taken = new Set(own)
  const names = new Map([['/:', 'id']])
  for (const { method, path } of routes) {
    const label = `route ${method} ${path}`
    const place = `${method} ${path}`
    if (own.includes(place)) problems.push(`${label}: every resource has this route; choose another path`)
    else if (taken.has(place)) problems.push(`${label}: it is declared twice`)
    const rival = [...taken].map(pathOf).find((other) => areAmbiguous(path, other))
    if (rival !== undefined) {
      problems.push(`${label}: a request may mean this path and '${rival}' alike; choose another`)
    }
    taken.add(place)
    const segments = (path as string).split('/')
    for (const [index, segment] of segments.entries()) {
      if (!segment.startsWith(':')) continue
      const at = shapeOf(segments.slice(0, index + 1).join('/'))
      const other = names.get(at)
      names.set(at, other ?? segment.slice(1))
      if (other !== undefined && other !== segment.slice(1)) {
        problems.push(`${label}: another route calls the parameter '${segment}' ':${other}'; choose one name`)
      }
    }
  }
  return problems
}

function pathOf(place: string): string {
  return place.slice(place.indexOf(' ') + 1)
}

/** Whether one request may fit both paths and neither is the more definite one. OpenAPI forbids such paths. */
function areAmbiguous(path: string, other: string): boolean {
  const [own, others] = [shapeOf(path).split('/'), shapeOf(other).split('/')]
  if (own.join('/') === others.join('/')) return false
  const parametersOf = (segments: readonly string[]) => segments.filter((one) => one === ':').length
  return (
    own.length === others.length &&
    parametersOf(own) === parametersOf(others) &&
    own.every((one, index) => one === ':' || others[index] === ':' || one === others[index])
  )
}

function shapeOf(path: string): string {
  return path.replace(/:[^/]+/g, ':')
}

function paramsOf(path: string): string[] {
  return [...path.matchAll(/:([^/]+)/g)].map(([, name]) => name as string)
}
