// The workflows of GitHub can't be run here. This holds what can be: they are YAML, they pin what they run, they run
// what there is, and they publish what a release makes.
import { describe, expect, test } from 'bun:test'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import packageJson from '../../package.json'

const FOLDER = join(import.meta.dir, '../../.github/workflows')

interface Step {
  uses?: string
  run?: string
  with?: Record<string, unknown>
}

interface Job {
  uses?: string
  steps?: Step[]
  permissions?: Record<string, string>
  needs?: string
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

test('a release is tested first, and publishes the files that `bun run release` makes', () => {
  const { jobs } = workflows.find(([name]) => name === 'release.yml')![1]
  expect(jobs['files']).toMatchObject({ needs: 'test', permissions: { contents: 'write' } })
  expect(jobs['image']).toMatchObject({ needs: 'test', permissions: { packages: 'write' } })
  const run = (jobs['files']?.steps ?? []).map((step) => step.run).join('\n')
  expect(run).toContain('run release --twice')
  expect(run).toContain('dist/release/hipflask-* dist/release/SHA256SUMS')
  const image = jobs['image']?.steps?.find(({ uses = '' }) => uses.startsWith('docker/build-push-action'))
  expect(image?.with).toMatchObject({
    platforms: 'linux/amd64,linux/arm64',
    push: true,
    provenance: 'mode=max',
  })
})
