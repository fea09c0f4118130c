// The workflows of GitHub can't be run here. This holds what can be: they are YAML, they pin what they run, they run
// what there is, and they publish what a release makes.
import { describe, expect, test } from 'bun:test'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import packageJson from '../../package.json'
import { makeFolder } from '../support/executable.ts'

const ROOT = join(import.meta.dir, '../..')
const FOLDER = join(ROOT, '.github/workflows')

interface Step {
  uses?: string
  run?: string
  id?: string
  with?: Record<string, unknown>
}

interface Job {
  uses?: string
  steps?: Step[]
  permissions?: Record<string, string>
  needs?: string | string[]
  'timeout-minutes'?: number
}

interface Workflow {
  permissions: Record<string, string>
  jobs: Record<string, Job>
}

const texts = Object.fromEntries(
  readdirSync(FOLDER).map((name) => [name, readFileSync(join(FOLDER, name), 'utf8')]),
)
const workflows = Object.entries(texts).map(
  ([name, text]) => [name, Bun.YAML.parse(text) as Workflow] as const,
)
const stepsOf = (workflow: Workflow) => Object.values(workflow.jobs).flatMap(({ steps = [] }) => steps)

test('there are two workflows', () => {
  expect(Object.keys(texts).toSorted()).toEqual(['ci.yml', 'release.yml'])
})

describe.each(workflows)('%s', (name, workflow) => {
  test('gives no rights but those that a job names, and ends in time', () => {
    expect(workflow.permissions).toEqual({ contents: 'read' })
    for (const [job, { uses, 'timeout-minutes': minutes }] of Object.entries(workflow.jobs))
      expect({ job, isBounded: uses !== undefined || minutes !== undefined }).toEqual({
        job,
        isBounded: true,
      })
  })

  test('pins every action by its commit, and tells the version', () => {
    const used = [...(texts[name] as string).matchAll(/^ +- uses: (.*)$|^ {4}uses: (.*)$/gm)].map(
      ([, step, job]) => step ?? job,
    )
    expect(used.length).toBeGreaterThan(0)
    for (const line of used)
      expect(line).toMatch(/^(\.\/\.github\/.*\.yml|[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/)
  })

  test('runs the Bun and the scripts of package.json', () => {
    const lines = stepsOf(workflow).flatMap(({ run = '' }) => run.split('\n'))
    const ofBun = lines.filter((line) => line.includes('npx'))
    for (const line of ofBun) {
      const [, bun, script] = /^npx --yes (bun@\S+) (?:run )?([\w]+)/.exec(line) ?? []
      expect({ line, bun }).toEqual({ line, bun: packageJson.packageManager })
      expect(Object.keys(packageJson.scripts)).toContain(script as string)
    }
  })
})

const { jobs } = workflows.find(([name]) => name === 'release.yml')![1]

/** What the step prints into GITHUB_OUTPUT, as a shell does it for this tag; its exit code where that is not 0. */
function runStep(step: Step | undefined, tag: string, env: Record<string, string> = {}): string | number {
  const folder = makeFolder()
  const output = join(folder, 'output')
  writeFileSync(output, '')
  const { exitCode } = Bun.spawnSync(['bash', '-eo', 'pipefail', '-c', step?.run ?? 'exit 99'], {
    cwd: ROOT,
    env: {
      ...process.env,
      GITHUB_OUTPUT: output,
      GITHUB_REF_NAME: tag,
      GITHUB_REPOSITORY: 'Some/Hipflask',
      ...env,
    },
  })
  return exitCode === 0 ? readFileSync(output, 'utf8') : exitCode
}

describe('a release', () => {
  test('does nothing at all for a tag that is not of package.json', () => {
    const { tag, ...others } = jobs
    expect(Object.keys(others)).toEqual(['test', 'files', 'image'])
    for (const [job, { needs }] of Object.entries(others))
      expect({ job, needs: [needs].flat() }).toEqual({ job, needs: expect.arrayContaining(['tag']) })
    const check = tag?.steps?.find(({ run }) => run?.includes('package.json'))
    expect(runStep(check, `v${packageJson.version}`)).toBe('')
    expect(runStep(check, 'v99.0.0')).toBe(1)
    expect(runStep(check, packageJson.version)).toBe(1)
  })

  test.each([
    ['v1.2.3', false, ['1.2.3', '1.2', 'latest']],
    ['v1.2.3-rc.1', true, ['1.2.3-rc.1']],
  ])('of %s: prerelease %p, the image is tagged %p', (tag, isPrerelease, tags) => {
    const kind = jobs['tag']?.steps?.find(({ id }) => id === 'kind')
    expect(runStep(kind, tag)).toBe(`prerelease=${isPrerelease}\n`)
    const names = jobs['image']?.steps?.find(({ id }) => id === 'image')
    const output = runStep(names, tag, { PRERELEASE: `${isPrerelease}` })
    expect([...`${output}`.matchAll(/^ghcr\.io\/some\/hipflask:(.*)$/gm)].map(([, name]) => name)).toEqual(
      tags,
    )
  })
})

test('a release is tested first, and publishes the files that `bun run release` makes', () => {
  expect(jobs['files']).toMatchObject({ needs: ['tag', 'test'], permissions: { contents: 'write' } })
  expect(jobs['image']).toMatchObject({ needs: ['tag', 'test'], permissions: { packages: 'write' } })
  const run = (jobs['files']?.steps ?? []).map((step) => step.run).join('\n')
  expect(run).toContain('run release --twice')
  expect(run).toContain('--prerelease="$PRERELEASE"')
  expect(run).toContain('dist/release/hipflask-* dist/release/SHA256SUMS')
  const image = jobs['image']?.steps?.find(({ uses = '' }) => uses.startsWith('docker/build-push-action'))
  expect(image?.with).toMatchObject({
    platforms: 'linux/amd64,linux/arm64',
    tags: '${{ steps.image.outputs.tags }}',
    push: true,
    provenance: 'mode=max',
  })
})
