// Proves that the linter's settings find what they are there for: forgotten awaits (which need types) and functions
// that are too long. The check itself is `bun run check`.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '..')
const FIXTURE = 'test/fixtures/floating/forgotten-awaits.ts'
const PROMISE_RULES = ['typescript(no-floating-promises)', 'typescript(no-misused-promises)']

interface Finding {
  code: string
  labels: { span: { line: number } }[]
}

describe('oxlint', () => {
  test('reports every forgotten await of the fixture and nothing else', async () => {
    const text = await Bun.file(join(ROOT, FIXTURE)).text()
    const marked = text
      .split('\n')
      .flatMap((line, index) => (line.endsWith('// forgotten') ? [index + 1] : []))
    // The fixture has its own settings file, since the project's leaves the folder out; it only extends the project's.
    const findings = await lint(['--type-aware', '--config', 'test/fixtures/floating/oxlint.json', FIXTURE])

    expect(marked.length).toBeGreaterThanOrEqual(9)
    expect(findings.map((finding) => finding.labels[0]!.span.line).toSorted((a, b) => a - b)).toEqual(marked)
    expect(findings.map((finding) => finding.code).filter((code) => !PROMISE_RULES.includes(code))).toEqual(
      [],
    )
  })

  test('knows types without being told to on the command line', async () => {
    const { options } = await Bun.file(join(ROOT, '.oxlintrc.json')).json()
    expect(options.typeAware).toBe(true)
  })

  describe('on functions', () => {
    let folder = ''
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'hipflask-lint-'))
    })
    afterAll(() => rm(folder, { recursive: true, force: true }))

    test.each([
      [70, []],
      [71, ['eslint(max-lines-per-function)']],
    ])('of %d lines reports %j', async (lines, codes) => {
      const file = join(folder, `lines-${lines}.ts`)
      const body = Array.from({ length: lines - 2 }, (_, index) => `  values.push(${index})`)
      await Bun.write(file, ['export function fill(values: number[]): void {', ...body, '}', ''].join('\n'))
      const findings = await lint(['--config', '.oxlintrc.json', file])
      expect(findings.map((finding) => finding.code)).toEqual(codes)
    })
  })
})

async function lint(args: readonly string[]): Promise<Finding[]> {
  const command = [process.execPath, 'node_modules/oxlint/bin/oxlint', '--format', 'json', ...args]
  const child = Bun.spawn(command, { cwd: ROOT, stdout: 'pipe', stderr: 'inherit' })
  const { diagnostics } = (await new Response(child.stdout).json()) as { diagnostics: Finding[] }
  return diagnostics
}
