// Judges an answer by the OpenAPI document of the server that gave it: path, method, status, headers, media type, body.
import { Compile } from 'typebox/schema'

export interface Exchange {
  method: string
  /** The path, with or without a query. */
  path: string
  status: number
  headers: Headers
  /** Empty for HEAD. */
  body: string
}

export interface Operation {
  method: string
  /** `/api/items/{id}` */
  template: string
  operationId: string
  /** As the document has it, with its references resolved. */
  node: OperationNode
}

export interface Conformance {
  operations: readonly Operation[]
  /** What of the answer is not as the document says; empty where all is. */
  faultsOf(exchange: Exchange): string[]
}

interface OperationNode {
  operationId: string
  requestBody?: { content: Record<string, { example?: unknown }> }
  parameters?: readonly { name: string; in: string; required?: boolean }[]
  responses: Record<string, ResponseNode>
}
interface ResponseNode {
  headers?: Record<string, { required?: boolean }>
  content?: Record<string, { schema: object }>
}
type Json = Record<string, unknown>

// What any request may meet before its path says which operation it is: no such path, no such method, a bad percent
// escape, a target that is too long, another host. The document says so once, in its description.
const STATUSES_OF_NO_OPERATION = [400, 404, 405, 414, 421]
const STATUSES_OF_ANY_OPERATION = [414, 421]
/** Pages and what they load are no part of the API that the document describes. */
const UNDOCUMENTED = /^\/(?:swagger(?:\/.*)?|hipflask\.css)$/

/** Prepares the judgement; a schema is compiled when the first answer needs it. */
export function createConformance(document: object): Conformance {
  const root = document as Json
  const operations = operationsOf(root)
  // `/api/items/search` before `/api/items/{id}`.
  const byTemplate = Map.groupBy(
    operations.toSorted((one, other) => parametersIn(one.template) - parametersIn(other.template)),
    ({ template }) => template,
  )
  const patterns = [...byTemplate].map(([template, all]) => ({ pattern: patternOf(template), all }))
  const schemas = (root.components as { schemas: Json }).schemas
  const errorSchemas = {
    'application/json': { schema: resolve(root, schemas['hipflask.Error']) as object },
    'application/problem+json': { schema: resolve(root, schemas['hipflask.Problem']) as object },
  }
  const faultsOfBody = createBodyJudge()

  const faultsOf = ({ method, path, status, headers, body }: Exchange): string[] => {
    const [pathname = ''] = path.split('?')
    if (UNDOCUMENTED.test(pathname)) return []
    const { all } = patterns.find(({ pattern }) => pattern.test(pathname)) ?? {}
    const isHead = method === 'HEAD'
    const node = all?.find((one) => one.method === (isHead ? 'GET' : method))?.node
    if (node === undefined && method === 'OPTIONS' && status === 204) return []
    const others = node === undefined ? STATUSES_OF_NO_OPERATION : STATUSES_OF_ANY_OPERATION
    const described: ResponseNode | undefined =
      node?.responses[status] ?? (others.includes(status) ? { content: errorSchemas } : undefined)
    if (described === undefined) return [`status ${status} is not in the document`]
    return [
      ...missingHeaders(described, headers),
      ...(isHead ? [] : faultsOfContent({ described, headers, body }, faultsOfBody)),
    ]
  }
  return { operations, faultsOf }
}

const conformances = new Map<string, Promise<Conformance | undefined>>()

/** The judgement by the document of a running server, loaded once; undefined where the server shows none. */
export function conformanceOf(origin: string): Promise<Conformance | undefined> {
  let conformance = conformances.get(origin)
  if (conformance === undefined) {
    conformance = load(origin)
    conformances.set(origin, conformance)
  }
  return conformance
}

async function load(origin: string): Promise<Conformance | undefined> {
  const response = await fetch(`${origin}/swagger/json`)
  return response.ok ? createConformance((await response.json()) as object) : undefined
}

function operationsOf(document: Json): Operation[] {
  return Object.entries(document.paths as Record<string, Record<string, Json>>).flatMap(
    ([template, methods]) =>
      Object.entries(methods).map(([method, unresolved]) => {
        const node = resolve(document, unresolved) as OperationNode
        return { method: method.toUpperCase(), template, operationId: node.operationId, node }
      }),
  )
}

/** The node with every reference replaced by what it refers to; no schema of ours contains itself. */
function resolve(document: Json, node: unknown): unknown {
  if (Array.isArray(node)) return node.map((one) => resolve(document, one))
  if (typeof node !== 'object' || node === null) return node
  const { $ref, ...rest } = node as Json
  if (typeof $ref === 'string') {
    const names = $ref.slice('#/'.length).split('/')
    const target = names.reduce<unknown>((at, name) => (at as Json)[name], document)
    return { ...(resolve(document, target) as Json), ...rest }
  }
  return Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, resolve(document, value)]))
}

function parametersIn(template: string): number {
  return template.split('{').length
}

function patternOf(template: string): RegExp {
  const literal = template.replace(/[.\\+*?[^\]$()|]/g, '\\$&')
  return new RegExp(`^${literal.replace(/\{\w+\}/g, '[^/]+')}$`)
}

function missingHeaders(described: ResponseNode, headers: Headers): string[] {
  return Object.entries(described.headers ?? {})
    .filter(([name, { required }]) => required === true && !headers.has(name))
    .map(([name]) => `header ${name} is missing`)
}

type BodyJudge = (schema: object, value: unknown) => string[]

interface Content {
  described: ResponseNode
  headers: Headers
  body: string
}

function faultsOfContent({ described, headers, body }: Content, judge: BodyJudge): string[] {
  const type = headers.get('content-type')?.split(';')[0]
  if (type === undefined) {
    // OpenAPI has no way to say that a status comes with or without a body.
    const isWished = headers.has('preference-applied')
    const isFine = body === '' && (described.content === undefined || isWished)
    return isFine ? [] : ['the content type is missing']
  }
  const media = described.content?.[type ?? '']
  if (media === undefined) return [`content type ${type} is not in the document`]
  return judge(media.schema, /[/+]json$/.test(type ?? '') ? JSON.parse(body) : body)
}

function createBodyJudge(): BodyJudge {
  const compiled = new Map<object, ReturnType<typeof Compile>>()
  return (schema, value) => {
    let validator = compiled.get(schema)
    if (validator === undefined) {
      validator = Compile(schema as never)
      compiled.set(schema, validator)
    }
    if (validator.Check(value)) return []
    const [, errors] = validator.Errors(value)
    return errors.map(({ instancePath, message }) => `body ${instancePath} ${message}`)
  }
}
