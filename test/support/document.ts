// Judges an OpenAPI document: Redocly's linter, and each example against its own schema. Needs no network.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Compile } from 'typebox/schema'

const ROOT = join(import.meta.dir, '../..')

/** What `redocly lint --extends recommended` has to say, as `rule: message at pointer`; empty where all is well. */
export async function lintDocument(document: object): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'hipflask-openapi-'))
  try {
    const file = join(folder, 'openapi.json')
    await Bun.write(file, JSON.stringify(document))
    const linter = [join(ROOT, 'node_modules/.bin/redocly'), 'lint', '--extends', 'recommended']
    // This very Bun runs it, for there may be no Node.
    const child = Bun.spawn([process.execPath, '--bun', ...linter, '--format', 'json', file], {
      cwd: folder,
      env: { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' },
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const [output, errors] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ])
    await child.exited
    if (!output.startsWith('{')) throw new Error(`The linter did not run: ${errors}`)
    const { totals, problems } = JSON.parse(output) as LintReport
    const found = problems.map(
      ({ ruleId, message, location }) => `${ruleId}: ${message} at ${location[0]?.pointer}`,
    )
    if (totals.errors + totals.warnings !== found.length)
      throw new Error(`The linter did not tell all: ${output}`)
    return found
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

interface LintReport {
  totals: { errors: number; warnings: number }
  problems: { ruleId: string; message: string; location: { pointer?: string }[] }[]
}

export interface ExampleReport {
  /** How many examples there are. */
  count: number
  /** Pointers to those that their schema refuses. */
  invalid: string[]
}

/** Checks the examples of media types and of schemas. */
export function checkExamples(document: object): ExampleReport {
  const report: ExampleReport = { count: 0, invalid: [] }
  const components = (document as { components?: unknown }).components
  const check = (schema: object, value: unknown, pointer: string) => {
    report.count += 1
    if (!Compile({ ...schema, components } as never).Check(value)) report.invalid.push(pointer)
  }
  const walk = (node: unknown, pointer: string): void => {
    if (typeof node !== 'object' || node === null) return
    const { schema, example, examples } = node as Record<string, unknown>
    if (schema !== undefined && example !== undefined) check(schema as object, example, `${pointer}/example`)
    if (Array.isArray(examples)) {
      for (const value of examples) check(node, value, `${pointer}/examples`)
    } else if (schema !== undefined && examples !== undefined) {
      for (const [name, { value }] of Object.entries(examples as Record<string, { value: unknown }>)) {
        check(schema as object, value, `${pointer}/examples/${name}`)
      }
    }
    for (const [key, child] of Object.entries(node)) walk(child, `${pointer}/${key}`)
  }
  walk(document, '')
  return report
}
