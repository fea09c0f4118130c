// The document that the built executable prints and serves, made from the very routes that it serves.
import { describe, expect, test } from 'bun:test'
import { checkExamples, lintDocument } from '../support/document.ts'
import { runCommand, startServer } from '../support/executable.ts'
import { fixtureResources } from '../support/world.ts'

type Document = { openapi: string; servers: object[]; paths: Record<string, Record<string, any>> }

async function printDocument(options: Parameters<typeof runCommand>[1] = {}): Promise<Document> {
  const { exitCode, stdout, stderr } = await runCommand(['openapi'], options)
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
  return JSON.parse(stdout) as Document
}

/** OpenAPI: any one of the list is enough, and `{}` is none at all. */
function needsCredential(security: object[]): boolean {
  return security.length > 0 && security.every((scheme) => Object.keys(scheme).length > 0)
}

describe.each([
  ['the starter', {}],
  ['the fixture resources', { resources: fixtureResources() }],
])('hipflask openapi with %s', (_, options) => {
  test('prints a document without errors or warnings for Redocly', async () => {
    expect(await lintDocument(await printDocument(options))).toEqual([])
  })

  test('has examples that their schemas accept', async () => {
    const { count, invalid } = checkExamples(await printDocument(options))
    expect(invalid).toEqual([])
    expect(count).toBeGreaterThan(40)
  })

  test('prints what /swagger/json answers', async () => {
    await using server = await startServer(options)
    const response = await server.fetch('/swagger/json')
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual(await printDocument(options))
  })

  test('lists the methods that are served, and no other', async () => {
    await using server = await startServer(options)
    const { paths } = await printDocument(options)
    for (const [path, operations] of Object.entries(paths)) {
      const allow = (await server.fetch(path.replace(/\{\w+\}/g, '1'), { method: 'OPTIONS' })).headers.get(
        'allow',
      )
      const listed = Object.keys(operations).map((method) => method.toUpperCase())
      const served = (allow ?? '').split(', ').filter((method) => !['HEAD', 'OPTIONS'].includes(method))
      expect({ path, methods: listed.toSorted() }).toEqual({ path, methods: served.toSorted() })
    }
  })

  test('tells how each operation answers a caller without a credential', async () => {
    await using server = await startServer(options)
    const { paths } = await printDocument(options)
    for (const [path, operations] of Object.entries(paths)) {
      for (const [method, { security, responses }] of Object.entries(operations)) {
        const response = await server.fetch(path.replace(/\{\w+\}/g, '1'), { method: method.toUpperCase() })
        await response.arrayBuffer()
        const { status } = response
        expect({ method, path, status, isDocumented: String(status) in responses }).toEqual({
          method,
          path,
          status: needsCredential(security) ? 401 : status,
          isDocumented: true,
        })
      }
    }
  })
})

test('hipflask openapi names the public address as the server', async () => {
  const { servers } = await printDocument({ env: { HIPFLASK_PUBLIC_URL: 'https://api.example.org' } })
  expect(servers).toEqual([{ url: 'https://api.example.org' }])
})
