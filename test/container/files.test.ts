// What Dockerfile and compose.yaml say, held to the rest of the project. It needs no engine.
import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import packageJson from '../../package.json'
import { settingNames, settingOf, variableOf } from '../../src/config/settings.ts'

const ROOT = join(import.meta.dir, '../..')
const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
const ENVIRONMENTS = ['development', 'staging', 'production']

interface Service {
  profiles: string[]
  ports: string[]
  environment: Record<string, string>
  volumes: string[]
  secrets?: string[]
  healthcheck: { test: string[]; interval: string }
}

describe('Dockerfile', () => {
  test('tells the version, the licence and the description of package.json', () => {
    const labels = Object.fromEntries(
      [...dockerfile.matchAll(/org\.opencontainers\.image\.(\w+)="([^"]*)"/g)].map(([, name, value]) => [
        name,
        value,
      ]),
    )
    const { name, description, license, version } = packageJson
    expect(labels).toEqual({ title: name, description, licenses: license, version })
  })

  test('is of the Bun that builds everything else', () => {
    const images = [...dockerfile.matchAll(/oven\/(bun):([\d.]+)-slim/g)].map(
      ([, name, version]) => `${name}@${version}`,
    )
    expect(new Set(images)).toEqual(new Set([packageJson.packageManager]))
  })

  test('is given what it copies, and nothing else of the folder', () => {
    const copied = [...dockerfile.matchAll(/^COPY (?!--)(.*) \S+$/gm)].flatMap(([, names = '']) =>
      names.split(' '),
    )
    const lines = readFileSync(join(ROOT, '.dockerignore'), 'utf8').split('\n')
    const rules = lines.filter((line) => line !== '' && !line.startsWith('#'))
    expect(rules[0]).toBe('*')
    expect(rules.slice(1).toSorted()).toEqual(copied.map((name) => `!${name}`).toSorted())
  })

  test('takes in the executable last', () => {
    expect(dockerfile.trimEnd().split('\n').at(-1)).toBe('COPY --from=build /build/dist/hipflask /')
  })
})

describe('compose.yaml', () => {
  const { services, secrets, volumes } = Bun.YAML.parse(readFileSync(join(ROOT, 'compose.yaml'), 'utf8')) as {
    services: Record<string, Service>
    secrets: Record<string, { file: string }>
    volumes: Record<string, null>
  }

  test('has a server for each environment, in a profile of its own', () => {
    expect(Object.keys(services)).toEqual(ENVIRONMENTS)
    for (const [name, { profiles, environment }] of Object.entries(services)) {
      expect({ name, profiles, env: environment['HIPFLASK_ENV'] }).toEqual({
        name,
        profiles: [name],
        env: name,
      })
    }
  })

  test('gives each a port on loopback and a volume that no other has', () => {
    const all = Object.values(services)
    expect(all.map(({ ports }) => ports)).toEqual(
      [3000, 3001, 3002].map((port) => [`127.0.0.1:${port}:3000`]),
    )
    expect(all.map(({ volumes: own }) => own)).toEqual(ENVIRONMENTS.map((name) => [`${name}:/data`]))
    expect(Object.keys(volumes)).toEqual(ENVIRONMENTS)
  })

  test('hardens each', () => {
    for (const service of Object.values(services)) {
      expect(service).toMatchObject({
        restart: 'unless-stopped',
        read_only: true,
        cap_drop: ['ALL'],
        security_opt: ['no-new-privileges:true'],
        healthcheck: { test: ['CMD', '/hipflask', 'health'], interval: '5s' },
      })
    }
  })

  test('has no setting that there is not, and secrets in files alone', () => {
    const secret = settingNames.filter((name) => settingOf(name).isSecret).map(variableOf)
    expect(secret).toContain('HIPFLASK_ADMIN_PASSWORD')
    const known = [...settingNames.map(variableOf), ...secret.map((name) => `${name}_FILE`)]
    const used = Object.values(services).flatMap(({ environment }) => Object.keys(environment))
    expect(used.filter((name) => !known.includes(name))).toEqual([])
    expect(used.filter((name) => secret.includes(name))).toEqual([])
    expect(secrets).toEqual({ admin_password: { file: './secrets/admin_password' } })
  })
})
