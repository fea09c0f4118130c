// GET /: what this server is and where its parts are, as JSON, or as a page for whoever opens it in a browser.
import { AppError } from '../core/errors.ts'
import { everyone } from '../sdk.ts'
import { preferredType } from './negotiation.ts'
import { PAGE_HEADERS, PAGE_TYPE } from './page.ts'
import { Content, route, type AnswerContract, type Format, type Route } from './route.ts'

export interface RootOptions {
  version: string
  env: string
  /** The names of the resources under /api. */
  resources: readonly string[]
  /** Swagger UI and the document are served. */
  docs: boolean
}

interface Description {
  name: 'hipflask'
  version: string
  environment: string
  links: { docs?: string; openapi?: string; health: string; resources: Record<string, string> }
}

/** GET / and the stylesheet of its page. */
export function createRootRoutes(options: RootOptions): Route[] {
  const description = describe(options)
  const page = PAGE.encode(description)
  return [
    route({
      method: 'GET',
      path: '/',
      operationId: 'getRoot',
      summary: 'What this server is',
      description:
        'Where `text/html` is preferred, as in a browser, the answer is a page with the same links.',
      tag: 'System',
      access: everyone(),
      responses: { 200: DESCRIPTION_ANSWER },
      formats: [PAGE],
      errors: ['not_acceptable'],
      negotiates: true,
      handler({ header }) {
        const type = preferredType(header('accept'), ['application/json', PAGE.mediaType])
        if (type === undefined) throw new AppError('not_acceptable')
        return type === PAGE.mediaType ? new Content(PAGE_TYPE, page, PAGE_HEADERS) : description
      },
    }),
    route({
      method: 'GET',
      path: STYLESHEET_PATH,
      operationId: 'loadStylesheet',
      summary: 'The stylesheet of the page at /',
      tag: 'System',
      access: everyone(),
      responses: { 200: { description: 'The stylesheet', mediaType: 'text/css' } },
      negotiates: true,
      undocumented: true,
      handler: () => new Content('text/css;charset=utf-8', STYLESHEET),
    }),
  ]
}

function describe({ version, env, resources, docs }: RootOptions): Description {
  return {
    name: 'hipflask',
    version,
    environment: env,
    links: {
      ...(docs ? { docs: '/swagger', openapi: '/swagger/json' } : {}),
      health: '/health/ready',
      resources: Object.fromEntries(resources.map((name) => [name, `/api/${name}`])),
    },
  }
}

const STYLESHEET_PATH = '/hipflask.css'
const PATH_SCHEMA = { type: 'string', pattern: '^/' }

const DESCRIPTION_ANSWER: AnswerContract<Description> = {
  description: 'Name, version and links',
  schema: {
    type: 'object',
    required: ['name', 'version', 'environment', 'links'],
    properties: {
      name: { const: 'hipflask' },
      version: { type: 'string' },
      environment: { type: 'string' },
      links: {
        type: 'object',
        required: ['health', 'resources'],
        properties: {
          docs: { ...PATH_SCHEMA, description: 'Swagger UI, where it is served' },
          openapi: { ...PATH_SCHEMA, description: 'The OpenAPI document, where it is served' },
          health: PATH_SCHEMA,
          resources: { description: 'By name', type: 'object', additionalProperties: PATH_SCHEMA },
        },
      },
    },
  },
}

const PAGE: Format = {
  name: 'html',
  mediaType: 'text/html',
  encode: (description) => pageOf(description as Description),
}

// The addresses of the page are relative, so that it also works behind a proxy that puts a prefix before the path.
function pageOf({ name, version, environment, links }: Description): string {
  const { docs, openapi, health, resources } = links
  const system = [
    ...(docs === undefined ? [] : [link(docs, 'Try the API in Swagger UI')]),
    ...(openapi === undefined ? [] : [link(openapi, 'OpenAPI document')]),
    link(health, 'Health'),
  ]
  const records = Object.entries(resources).map(([resource, path]) => link(path, resource))
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${relative(STYLESHEET_PATH)}">
</head>
<body>
<main>
<h1>${name}</h1>
<p>Version ${Bun.escapeHTML(version)}, ${Bun.escapeHTML(environment)}</p>
${section('Resources', records)}
${section('About', system)}
</main>
</body>
</html>
`
}

function section(heading: string, links: readonly string[]): string {
  if (links.length === 0) return ''
  const id = heading.toLowerCase()
  return `<nav aria-labelledby="${id}">\n<h2 id="${id}">${heading}</h2>\n<ul>\n${links.join('\n')}\n</ul>\n</nav>`
}

function link(path: string, text: string): string {
  return `<li><a href="${Bun.escapeHTML(relative(path))}">${Bun.escapeHTML(text)}</a></li>`
}

function relative(path: string): string {
  return path.slice(1)
}

const STYLESHEET = `:root { color-scheme: light dark; }
body { margin: 0; font: 1.0625rem/1.6 system-ui, sans-serif; color: #1d2733; background: #f6f7f9; }
main { max-width: 34rem; margin: 12vh auto; padding: 0 1.5rem; }
h1 { margin: 0; font-size: 2.25rem; letter-spacing: -0.02em; }
h1 + p { margin: 0; color: #55606e; }
h2 { margin: 2rem 0 0.25rem; font-size: 1rem; color: #55606e; }
ul { margin: 0; padding: 0; list-style: none; }
a { color: #0b5cad; text-underline-offset: 0.2em; }
a:focus-visible { outline: 3px solid #0b5cad; outline-offset: 3px; border-radius: 2px; }
@media (prefers-color-scheme: dark) {
  body { color: #e6eaf0; background: #14181e; }
  h1 + p, h2 { color: #a3adba; }
  a { color: #8cc2ff; }
  a:focus-visible { outline-color: #8cc2ff; }
}
`
