// Builds the image by the Dockerfile as it is and runs it as a user would: hardened, on a loopback port, with its data
// in a volume. It needs a Docker engine and starts none; without one it says so and skips.
import { $ } from 'bun'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { version } from '../../package.json'

const ROOT = join(import.meta.dir, '../..')
const BUILD_TIMEOUT_MS = 600_000
const HEALTHY_TIMEOUT_MS = 60_000
const IMAGE_BYTES_MAX = 125e6
/** Of the image, containers and volume of this run, which are all removed in the end. */
const NAME = `hipflask-test-${process.pid}-${Date.now()}`
const ADMIN = { email: 'admin@example.com', password: 'a long enough passphrase' }

const engine = await $`docker version --format ${'{{.Server.Version}}'}`.quiet().nothrow()
const hasEngine = engine.exitCode === 0
if (!hasEngine) console.log(`test/container skipped: ${engine.stderr.toString().trim()}`)

describe.skipIf(!hasEngine)('the image', () => {
  beforeAll(async () => {
    await $`docker build --tag ${NAME} ${ROOT}`.quiet()
    await $`docker volume create ${NAME}`.quiet()
  }, BUILD_TIMEOUT_MS)

  afterAll(async () => {
    await $`docker rm --force --volumes ${NAME}-1 ${NAME}-2 ${NAME}-files`.quiet().nothrow()
    await $`docker volume rm --force ${NAME}`.quiet().nothrow()
    await $`docker image rm --force ${NAME}`.quiet().nothrow()
  }, BUILD_TIMEOUT_MS)

  test('is under 125 MB', async () => {
    const bytes = Number(await $`docker image inspect --format ${'{{.Size}}'} ${NAME}`.text())
    console.log(`image: ${(bytes / 1e6).toFixed(1)} MB`)
    expect(bytes).toBeGreaterThan(0)
    expect(bytes).toBeLessThan(IMAGE_BYTES_MAX)
  })

  test('holds the executable, five files of glibc and nothing else: no shell', async () => {
    await $`docker create --name ${NAME}-files ${NAME}`.quiet()
    const archive = new Bun.Archive(await $`docker export ${NAME}-files`.arrayBuffer())
    const paths = [...(await archive.files()).keys()]
    // What the engine itself puts into every container.
    const own = paths.filter((path) => !/^(\.dockerenv|dev\/|etc\/|proc\/|sys\/)/.test(path))

    expect(own.map((path) => path.replace(/^.*\//, '')).toSorted()).toEqual([
      'hipflask',
      expect.stringMatching(/^ld-linux-(x86-64|aarch64)\.so\.\d$/),
      'libc.so.6',
      'libdl.so.2',
      'libm.so.6',
      'libpthread.so.0',
    ])
  })

  test('says what it is and runs as nobody', async () => {
    const config = await $`docker image inspect --format ${'{{json .Config}}'} ${NAME}`.json()
    const { Labels, User, StopSignal, ExposedPorts, Volumes } = config
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
  })

  test(
    'turns healthy, keeps a record, ends with exit code 0, and has the record when run anew',
    async () => {
      const first = await run(`${NAME}-1`)
      const created = await fetch(`${first.url}/api/items`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          authorization: `Basic ${btoa(`${ADMIN.email}:${ADMIN.password}`)}`,
        },
        body: JSON.stringify({ name: 'kept in a volume', price: 1.5 }),
      })
      const record = await created.json()
      expect({ status: created.status, record }).toMatchObject({
        status: 201,
        record: { name: 'kept in a volume', price: 1.5 },
      })
      expect(await read(first.url, record)).toEqual(record)
      expect(await stop(first.name)).toBe(0)

      const second = await run(`${NAME}-2`)
      expect(await read(second.url, record)).toEqual(record)
      expect(await stop(second.name)).toBe(0)
    },
    3 * HEALTHY_TIMEOUT_MS,
  )
})

/** Starts a container with no rights but those it needs, and waits until it is healthy. */
async function run(name: string): Promise<{ name: string; url: string }> {
  await $`docker run --detach --name ${name} --publish 127.0.0.1::3000 --volume ${NAME}:/data \
    --read-only --cap-drop ALL --security-opt no-new-privileges \
    --env HIPFLASK_ADMIN_EMAIL=${ADMIN.email} --env HIPFLASK_ADMIN_PASSWORD=${ADMIN.password} ${NAME}`.quiet()
  const deadline = Date.now() + HEALTHY_TIMEOUT_MS
  let state: { Status: string; Health: { Status: string } }
  do {
    await Bun.sleep(200)
    state = await $`docker inspect --format ${'{{json .State}}'} ${name}`.json()
    if (state.Health.Status === 'healthy') {
      const address = await $`docker port ${name} 3000/tcp`.text()
      return { name, url: `http://${address.trim()}` }
    }
  } while (state.Status === 'running' && Date.now() < deadline)
  const log = await $`docker logs ${name} 2>&1`.text()
  throw new Error(`Container is ${state.Status} and ${state.Health.Status}, must be healthy\n${log}`)
}

async function read(url: string, record: unknown): Promise<unknown> {
  const answer = await fetch(`${url}/api/items/${(record as { id: number }).id}`)
  return answer.json()
}

/** Answers the exit code. */
async function stop(name: string): Promise<number> {
  await $`docker stop --time 20 ${name}`.quiet()
  return Number(await $`docker inspect --format ${'{{.State.ExitCode}}'} ${name}`.text())
}
