// Builds the image by the Dockerfile as it is and runs it as the README says: its own commands, in their order, on free
// ports and under names of this run. It needs a Docker engine and starts none; without one it says so and skips.
import { $ } from 'bun'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { appendFileSync, cpSync } from 'node:fs'
import { join } from 'node:path'
import { version } from '../../package.json'
import {
  composeCommand,
  composeFileOf,
  dockerBlocks,
  engineFault,
  hasEngine,
  healthy,
  inspect,
  runDocker,
  stop,
  urlOf,
  type State,
} from '../support/containers.ts'
import { makeFolder } from '../support/executable.ts'

const ROOT = join(import.meta.dir, '../..')
const BUILD_TIMEOUT_MS = 600_000
const RUN_TIMEOUT_MS = 180_000
const IMAGE_BYTES_MAX = 125e6
const ENVIRONMENTS = ['development', 'staging', 'production']
const CONTEXT = [
  'Dockerfile',
  '.dockerignore',
  'package.json',
  'bun.lock',
  'bunfig.toml',
  'build.ts',
  'tsconfig.json',
  'LICENSE',
]
/** Of the images, containers, volumes and projects of this run, which are all removed in the end. */
const NAME = `test-${process.pid}-${Date.now()}`

if (!hasEngine) console.log(`test/container skipped: ${engineFault}`)
if (hasEngine && composeCommand === undefined)
  console.log('test/container: compose.yaml is not run, since there is no Compose')

const folder = makeFolder()
const blocks = dockerBlocks(await Bun.file(join(ROOT, 'README.md')).text()).map(({ text }) => text)
const isOfCompose = (text: string) => text.startsWith('docker compose ')

/** Runs the one command of the README's section that begins so. */
async function run(start: string): Promise<string> {
  const found = blocks.filter((text) => text.startsWith(start))
  expect({ start, found: found.length }).toEqual({ start, found: 1 })
  return runDocker(found[0] as string, folder, NAME)
}

async function imageLayers(image: string): Promise<string[]> {
  return inspect(image, '{{json .RootFS.Layers}}')
}

function post(url: string, body: object, authorization?: string): Promise<Response> {
  const headers = { 'content-type': 'application/json', ...(authorization && { authorization }) }
  return fetch(url, { method: 'POST', headers, body: JSON.stringify(body) })
}

describe.skipIf(!hasEngine)('the image', () => {
  let before: string[] = []

  beforeAll(async () => {
    before = await unnamedImages()
    await run('docker build ')
  }, BUILD_TIMEOUT_MS)

  afterAll(async () => {
    const left = await idsOf(
      $`docker ps --all --quiet --filter ${`label=com.docker.compose.project=${NAME}`}`,
    )
    const containers = [NAME, `${NAME}-files`, `${NAME}-probed`, ...left]
    await $`docker rm --force --volumes ${containers}`.quiet().nothrow()
    await $`docker volume rm --force ${[NAME, ...ENVIRONMENTS.map((name) => `${NAME}_${name}`)]}`
      .quiet()
      .nothrow()
    await $`docker network rm ${NAME}_default`.quiet().nothrow()
    // The stages of a build without BuildKit stay as images that have no name.
    const stages = (await unnamedImages()).filter((id) => !before.includes(id))
    await $`docker image rm --force ${[NAME, `${NAME}-changed`, ...stages]}`.quiet().nothrow()
  }, BUILD_TIMEOUT_MS)

  test(
    'is under 125 MB',
    async () => {
      const bytes = await inspect<number>(NAME, '{{.Size}}')
      const packed = Number(await $`docker save ${NAME} | gzip | wc -c`.text())
      console.log(`image: ${(bytes / 1e6).toFixed(1)} MB, ${(packed / 1e6).toFixed(1)} MB compressed`)
      expect(bytes).toBeGreaterThan(0)
      expect(bytes).toBeLessThan(IMAGE_BYTES_MAX)
    },
    RUN_TIMEOUT_MS,
  )

  test('holds the executable, five files of glibc, their licences and nothing else', async () => {
    await $`docker create --name ${NAME}-files ${NAME}`.quiet()
    const archive = new Bun.Archive(await $`docker export ${NAME}-files`.arrayBuffer())
    const files = await archive.files()
    // What the engine itself puts into every container.
    const own = [...files.keys()].filter((path) => !/^(\.dockerenv|dev\/|etc\/|proc\/|sys\/)/.test(path))

    expect(own.toSorted()).toEqual([
      'hipflask',
      expect.stringMatching(/^lib\/ld-linux-(x86-64|aarch64)\.so\.\d$/),
      'lib/libc.so.6',
      'lib/libdl.so.2',
      'lib/libm.so.6',
      'lib/libpthread.so.0',
      'licenses/LICENSE',
      'licenses/THIRD-PARTY-LICENSES.txt',
      'licenses/glibc-copyright',
    ])
    const licences = await (files.get('licenses/THIRD-PARTY-LICENSES.txt') as File).text()
    expect(licences).toContain('swagger-ui-dist, LICENSE')
    expect(await (files.get('licenses/glibc-copyright') as File).text()).toContain('Lesser General Public')
    // Told, not held: the Bun of another base image may have been built on another day.
    const digest = async (file: Blob) => Bun.SHA256.hash(await file.arrayBuffer(), 'hex')
    const isSame =
      (await digest(files.get('hipflask') as File)) === (await digest(Bun.file(join(ROOT, 'dist/hipflask'))))
    console.log(
      `image: its executable has ${isSame ? 'the same bytes as' : 'other bytes than'} dist/hipflask`,
    )
    expect(await $`docker run --rm ${NAME} version`.text()).toBe(`hipflask ${version}\n`)
  })

  test('has no shell', async () => {
    const shell = await $`docker run --rm --entrypoint /bin/sh ${NAME} -c true`.quiet().nothrow()
    expect(shell.exitCode).toBe(127)
  })

  test('says what it is, asks for its health and runs as nobody', async () => {
    const config = await inspect<Record<string, unknown>>(NAME, '{{json .Config}}')
    const { Labels, User, StopSignal, ExposedPorts, Volumes, Healthcheck } = config
    expect(Labels).toMatchObject({
      'org.opencontainers.image.title': 'hipflask',
      'org.opencontainers.image.licenses': 'MIT',
      'org.opencontainers.image.version': version,
    })
    expect({ User, StopSignal, ExposedPorts, Volumes }).toEqual({
      User: '65532:65532',
      StopSignal: 'SIGTERM',
      ExposedPorts: { '3000/tcp': {} },
      Volumes: { '/data': {} },
    })
    expect(Healthcheck).toMatchObject({ Test: ['CMD', '/hipflask', 'health'], Interval: 5e9 })
  })

  test(
    'is built anew in its last layer alone when the source changes',
    async () => {
      const changed = makeFolder()
      for (const name of CONTEXT) cpSync(join(ROOT, name), join(changed, name), { preserveTimestamps: true })
      for (const name of ['src', 'release'])
        cpSync(join(ROOT, name), join(changed, name), { recursive: true, preserveTimestamps: true })
      appendFileSync(join(changed, 'src/main.ts'), '\nprocess.title = "changed"\n')
      await $`docker build --tag ${NAME}-changed ${changed}`.quiet()

      const [before, after] = [await imageLayers(NAME), await imageLayers(`${NAME}-changed`)]
      expect(after.slice(0, -1)).toEqual(before.slice(0, -1))
      expect(after.at(-1)).not.toBe(before.at(-1))
    },
    BUILD_TIMEOUT_MS,
  )

  test(
    'is healthy as soon as it is asked',
    async () => {
      const probed = `${NAME}-probed`
      await $`docker run --detach --health-interval 100ms --name ${probed} ${NAME}`.quiet()
      const { StartedAt, Health } = await healthy(probed)
      const first = Health.Log.find(({ ExitCode }) => ExitCode === 0)
      const elapsed = Date.parse(first?.End ?? '') - Date.parse(StartedAt)
      console.log(`container: ${elapsed} ms from its start to healthy, asked every 100 ms`)
      expect(elapsed).toBeGreaterThan(0)
      expect(await stop(probed)).toBe(0)
    },
    RUN_TIMEOUT_MS,
  )

  test(
    'runs in production by the commands of the README, and its data outlive it',
    async () => {
      await run('docker run ')
      await healthy(NAME)
      // More than the 10 seconds that requests may take, which are Docker's own patience too.
      expect(await inspect<number>(NAME, '{{.Config.StopTimeout}}')).toBe(15)
      const log = await run('docker logs ')
      expect(log).toMatch(/No administrator yet: .*docker exec -it CONTAINER \/hipflask user create/)
      expect(log).toMatch(
        /hipflask is serving http:\/\/127\.0\.0\.1:3000".*"host":"0\.0\.0\.0 \(all addresses\)"/,
      )

      await run('mkdir -p -m 700 secrets')
      await run('docker exec ')
      const password = (await Bun.file(join(folder, 'secrets/admin_password')).text()).trim()
      const basic = `Basic ${btoa(`admin@example.com:${password}`)}`
      const url = await urlOf(NAME)
      const created = await post(`${url}/api/items`, { name: 'kept in a volume', price: 1.5 }, basic)
      const record = (await created.json()) as { id: number }
      expect({ status: created.status, record }).toMatchObject({ status: 201, record: { price: 1.5 } })
      expect(await stop(NAME)).toBe(0)
      await $`docker rm ${NAME}`.quiet()

      await run('docker run ')
      await healthy(NAME)
      const read = await fetch(`${await urlOf(NAME)}/api/items/${record.id}`)
      expect(await read.json()).toEqual(record)
      expect(await run('docker logs ')).not.toContain('No administrator yet')
      await run('docker stop ')
      expect((await inspect<State>(NAME, '{{json .State}}')).ExitCode).toBe(0)
    },
    RUN_TIMEOUT_MS,
  )

  test.skipIf(composeCommand === undefined)(
    'runs as three environments side by side by compose.yaml',
    async () => {
      await Bun.write(join(folder, 'compose.yaml'), await composeFileOf(NAME))
      const commands = blocks.filter(isOfCompose)
      expect(commands).toHaveLength(4)
      const [up, list, renew, down] = commands as [string, string, string, string]
      await runDocker(up, folder, NAME)
      const containers = await Promise.all(ENVIRONMENTS.map(containerOf))
      await Promise.all(containers.map(healthy))

      const urls = await Promise.all(containers.map(urlOf))
      const told = await Promise.all(
        urls.map(async (url) => (await fetch(url)).json() as Promise<{ environment: string }>),
      )
      expect(told.map(({ environment }) => environment)).toEqual(ENVIRONMENTS)
      for (const container of containers) {
        expect(await inspect(container, '{{json .HostConfig}}')).toMatchObject({
          ReadonlyRootfs: true,
          CapDrop: ['ALL'],
          SecurityOpt: ['no-new-privileges:true'],
          RestartPolicy: { Name: 'unless-stopped' },
          LogConfig: { Type: 'local' },
        })
      }
      expect(await runDocker(list, folder, NAME)).toMatch(/admin@example\.com +\S+ +admin/)
      await checkApart(urls as [string, string, string])

      await runDocker(renew, folder, NAME)
      expect(await Promise.all(containers.map(stop))).toEqual([0, 0, 0])
      await runDocker(down, folder, NAME)
    },
    RUN_TIMEOUT_MS,
  )
})

async function unnamedImages(): Promise<string[]> {
  return idsOf($`docker image ls --quiet --filter dangling=true`)
}

async function idsOf(list: ReturnType<typeof $>): Promise<string[]> {
  return (await list.nothrow().text()).split('\n').filter(Boolean)
}

async function containerOf(service: string): Promise<string> {
  const filters = [`project=${NAME}`, `service=${service}`].map(
    (label) => `label=com.docker.compose.${label}`,
  )
  const ids = await $`docker ps --quiet --filter ${filters[0]} --filter ${filters[1]}`.text()
  return ids.trim()
}

/** Each has accounts of its own, and the first administrator by the secret where it has one. */
async function checkApart(urls: readonly [string, string, string]): Promise<void> {
  const account = { email: 'ada@example.com', password: 'correct horse battery staple' }
  const password = (await Bun.file(join(folder, 'secrets/admin_password')).text()).trim()
  const statuses = async (path: string, body: object) =>
    Promise.all(urls.map(async (url) => (await post(`${url}${path}`, body)).status))

  expect(await statuses('/auth/login', { email: 'admin@example.com', password })).toEqual([401, 200, 200])
  expect((await post(`${urls[0]}/auth/register`, { name: 'Ada', ...account })).status).toBe(201)
  expect(await statuses('/auth/login', account)).toEqual([200, 401, 401])
}
