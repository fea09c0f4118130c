// Swagger UI and the OpenAPI document, from the executable alone: no page here names another origin, and none has an
// inline script or style, so that the policy of page.ts holds unloosened.
import bundlePath from '../../dist/swagger-ui-bundle.js.gz' with { type: 'file' }
import stylesheetPath from '../../dist/swagger-ui.css.gz' with { type: 'file' }
import iconPath from '../../dist/favicon-32x32.png.gz' with { type: 'file' }
import { EVERY_SCOPE } from '../access/scopes.ts'
import type { Rule } from '../sdk.ts'
import { PAGE_HEADERS, PAGE_TYPE } from './page.ts'
import { Content, route, type Route } from './route.ts'

export interface DocsOptions {
  /** Makes the OpenAPI document; asked once, at the first request. */
  document: () => object
  access: Rule
}

/** The page at /swagger, what it loads, and /swagger/json. None of them is in the document. */
export function createDocsRoutes({ document, access }: DocsOptions): Route[] {
  const documentText = () => JSON.stringify(document())
  return [
    pageRoute(access),
    assetRoute({ name: 'init.js', mediaType: SCRIPT_TYPE, access, load: () => packText(INIT_SCRIPT) }),
    assetRoute({
      name: 'swagger-ui-bundle.js',
      mediaType: SCRIPT_TYPE,
      access,
      load: () => readPacked(bundlePath),
    }),
    assetRoute({
      name: 'swagger-ui.css',
      mediaType: STYLE_TYPE,
      access,
      load: () => readPacked(stylesheetPath),
    }),
    assetRoute({
      name: 'favicon-32x32.png',
      mediaType: 'image/png',
      access,
      load: () => readPacked(iconPath),
    }),
    assetRoute({ name: 'json', mediaType: JSON_TYPE, access, load: () => packText(documentText()) }),
  ]
}

const JSON_TYPE = 'application/json;charset=utf-8'
const SCRIPT_TYPE = 'text/javascript;charset=utf-8'
const STYLE_TYPE = 'text/css;charset=utf-8'
const TAG = 'System'

// Its addresses are relative, so that it also works behind a proxy that puts a prefix before the path.
const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>hipflask API</title>
<link rel="icon" type="image/png" href="swagger/favicon-32x32.png">
<link rel="stylesheet" href="swagger/swagger-ui.css">
<div id="swagger-ui"></div>
<script src="swagger/swagger-ui-bundle.js"></script>
<script src="swagger/init.js"></script>
</html>
`

// BaseLayout, since the top bar of the other layout needs inline styles; no validator, since it is another origin.
const INIT_SCRIPT = `SwaggerUIBundle({
  url: 'swagger/json',
  dom_id: '#swagger-ui',
  layout: 'BaseLayout',
  validatorUrl: null,
  deepLinking: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
})
`

function pageRoute(access: Rule): Route {
  return route({
    method: 'GET',
    path: '/swagger',
    operationId: 'showSwagger',
    summary: 'Swagger UI',
    tag: TAG,
    access,
    scope: EVERY_SCOPE,
    responses: { 200: { description: 'The page', mediaType: PAGE_TYPE } },
    negotiates: true,
    undocumented: true,
    handler: () => new Content(PAGE_TYPE, PAGE, PAGE_HEADERS),
  })
}

type Bytes = Uint8Array<ArrayBuffer>

interface Asset {
  name: string
  mediaType: string
  access: Rule
  /** Asked once, at the first request. */
  load: () => Promise<Packed>
}

interface Packed {
  /** In gzip. */
  compressed: Bytes
  plain: () => Promise<Bytes>
}

function assetRoute({ name, mediaType, access, load }: Asset): Route {
  const asset = once(async () => {
    const packed = await load()
    return { ...packed, digest: Bun.hash(packed.compressed).toString(36) }
  })
  return route({
    method: 'GET',
    path: `/swagger/${name}`,
    operationId: `load_${name}`,
    summary: 'A part of Swagger UI',
    tag: TAG,
    access,
    scope: EVERY_SCOPE,
    responses: { 200: { description: 'The file', mediaType }, 304: { description: 'Unchanged' } },
    negotiates: true,
    undocumented: true,
    async handler({ header, reply }) {
      const { compressed, plain, digest } = await asset()
      const isCompressed = acceptsGzip(header('accept-encoding'))
      const etag = `"${digest}${isCompressed ? '-gzip' : ''}"`
      const headers = { etag, vary: 'Accept-Encoding, Authorization, Origin' }
      if (header('if-none-match')?.includes(etag)) return reply(304, undefined, headers)
      return isCompressed
        ? new Content(mediaType, compressed, { ...headers, 'content-encoding': 'gzip' })
        : new Content(mediaType, await plain(), headers)
    },
  })
}

/** A file that is compressed already, and inflated off the main thread for the few who want it plain. */
async function readPacked(path: string): Promise<Packed> {
  const compressed = await Bun.file(path).bytes()
  return { compressed, plain: () => inThread('gunzip', compressed) }
}

async function packText(text: string): Promise<Packed> {
  const plain = new TextEncoder().encode(text)
  const compressed = await inThread('gzip', plain)
  return { compressed, plain: () => Promise.resolve(plain) }
}

/** Off the main thread. Loaded when it is needed: many servers are never asked for their document, and it takes 1 MB. */
async function inThread(change: 'gzip' | 'gunzip', bytes: Bytes): Promise<Bytes> {
  const zlib = await import('node:zlib')
  const { promise, resolve, reject } = Promise.withResolvers<Bytes>()
  zlib[change](bytes, (error, changed) => (error === null ? resolve(new Uint8Array(changed)) : reject(error)))
  return promise
}

function once<T>(make: () => T): () => T {
  let made: { value: T } | undefined
  return () => (made ??= { value: make() }).value
}

/** Whether `Accept-Encoding` names gzip, or everything, with a weight above 0 (RFC 9110, 12.5.3). */
function acceptsGzip(accepted: string | null): boolean {
  const weights = new Map<string, number>()
  for (const part of (accepted ?? '').toLowerCase().split(',')) {
    const [coding = '', ...parameters] = part.split(';').map((piece) => piece.trim())
    const weight = parameters.find((parameter) => parameter.startsWith('q='))
    weights.set(coding, weight === undefined ? 1 : Number(weight.slice(2)))
  }
  return (weights.get('gzip') ?? weights.get('*') ?? 0) > 0
}
