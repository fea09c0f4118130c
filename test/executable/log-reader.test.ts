import { expect, test } from 'bun:test'
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, startServer } from '../support/executable.ts'
import { freePort } from '../support/sign-in.ts'

const EXECUTABLE = join(import.meta.dir, '../../dist/hipflask')

/** Of a route, so that its lines are long: fewer of them fill what there is room for. */
const PATH = `/api/items/${'x'.repeat(400)}`
const RESOURCE = `import { defineResource, everyone, route, t } from 'hipflask'
export default defineResource({
  name: 'items',
  schema: t.Object({ name: t.String() }),
  access: {},
  routes: [
    route({ method: 'GET', path: '${PATH.slice('/api/items'.length)}', access: everyone(), responses: { 200: t.Object({}) }, handler: () => ({}) }),
  ],
})
`

interface Server {
  /** Sends so many requests that succeed. */
  ask: (count: number, path?: string) => Promise<void>
  /** Answers its exit code, undefined where it has not ended after `ms`. */
  stop: (ms: number) => Promise<number | undefined>
  [Symbol.asyncDispose]: () => Promise<void>
}

/** Starts a server that writes its log into the open file. */
async function startInto(output: number): Promise<Server> {
  const folder = makeFolder()
  await Bun.write(join(folder, 'resources/items.ts'), RESOURCE)
  const port = await freePort()
  const child = Bun.spawn([EXECUTABLE, 'serve', '--port', String(port), '--log-format', 'json'], {
    cwd: folder,
    env: { HIPFLASK_DATA: ':memory:' },
    stdin: 'ignore',
    stdout: output,
    stderr: 'ignore',
  })
  const url = `http://127.0.0.1:${port}`
  for (let turn = 0; (await fetch(`${url}/health/ready`).catch(() => undefined))?.status !== 200; turn++) {
    if (turn === 500) throw new Error('Server does not start')
    await Bun.sleep(10)
  }
  return {
    ask: async (count, path = PATH) => {
      for (let asked = 0; asked < count; asked += 50) {
        const answers = await Promise.all(Array.from({ length: 50 }, () => fetch(url + path)))
        for (const answer of answers) expect(answer.status).toBe(200)
      }
    },
    stop: async (ms) => {
      child.kill()
      return await Promise.race([child.exited, Bun.sleep(ms).then(() => undefined)])
    },
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGKILL')
      await child.exited
    },
  }
}

/** A pipe that nobody reads until `take` is called. */
function createPipe() {
  const path = join(makeFolder(), 'log')
  expect(Bun.spawnSync(['mkfifo', path]).exitCode).toBe(0)
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const writer = openSync(path, constants.O_WRONLY)
  const buffer = Buffer.alloc(64 * 1024)
  let text = ''
  const readAll = () => {
    try {
      for (;;) {
        const length = readSync(reader, buffer)
        if (length === 0) return
        text += buffer.toString('latin1', 0, length)
      }
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('EAGAIN')
    }
  }
  return {
    writer,
    /** Takes what there is until nothing has come for half a second, and answers all lines so far. */
    take: async (): Promise<Record<string, unknown>[]> => {
      for (let quiet = 0, before = -1; quiet < 25; quiet = text.length === before ? quiet + 1 : 0) {
        before = text.length
        readAll()
        await Bun.sleep(20)
      }
      return text
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    },
    [Symbol.dispose]: () => {
      closeSync(reader)
      closeSync(writer)
    },
  }
}

/** The drain is 0 in development: what is left is the wait for the reader, and a slow machine. */
const STOP_MS = 5000

test('a reader that has gone stops neither answers nor the end', async () => {
  await using server = await startServer()
  await server.closeOutput()
  for (let turn = 0; turn < 20; turn++) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => server.fetch('/api/items')))
    for (const answer of answers) expect(answer.status).toBe(200)
  }
  expect(await server.stop()).toBe(0)
})

test('a reader that is there and takes nothing stops neither answers nor the end', async () => {
  using pipe = createPipe()
  await using server = await startInto(pipe.writer)
  // A pipe takes 64 KiB.
  await server.ask(1000)
  expect(await server.stop(STOP_MS)).toBe(0)
})

test.skipIf(process.platform !== 'linux')('nor does a disk that is full', async () => {
  const output = openSync('/dev/full', 'w')
  try {
    await using server = await startInto(output)
    await server.ask(50)
    expect(await server.stop(STOP_MS)).toBe(0)
  } finally {
    closeSync(output)
  }
})

test('each line that a slow reader costs is told of once it reads', async () => {
  using pipe = createPipe()
  await using server = await startInto(pipe.writer)
  const requests = 3000
  for (let turn = 1; turn <= 3; turn++) {
    await server.ask(requests)
    // Shorter lines take the room that is left: the one that tells of the others may not need it.
    await server.ask(50, '/')
    const lines = await pipe.take()
    const received = lines.filter(({ message }) => message === 'Request' || message === 'Slow request').length
    const told = lines
      .filter(({ message }) => String(message).startsWith('Lines of the log were dropped'))
      .map(({ lines: dropped }) => Number(dropped))
    expect(told).toHaveLength(turn)
    expect(received + told.reduce((sum, dropped) => sum + dropped, 0)).toBe(turn * (requests + 50))
    expect(Math.min(...told)).toBeGreaterThan(100)
  }
  expect(await server.stop(STOP_MS)).toBe(0)
})
