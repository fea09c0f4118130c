// A server that is told to stop: not ready first, then no new connections, then the end of what is under way.
import { describe, expect, test } from 'bun:test'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { openConnection, textOf } from '../../support/connection.ts'
import { makeFolder, startServer, type RunningServer } from '../../support/executable.ts'

const RESOURCES = {
  'notes.ts': `import { defineResource, everyone, route, t } from 'hipflask'
export default defineResource({ name: 'notes', schema: t.Object({ text: t.String() }),
  access: { list: everyone(), create: everyone() },
  routes: [route({ method: 'GET', path: '/slow', access: everyone(), responses: { 200: t.Object({ ok: t.Boolean() }) },
    handler: async () => { await new Promise((resolve) => setTimeout(resolve, 1500)); return { ok: true } } })] })`,
}
const LIST = { path: '/api/notes' }
const HALF_BODY =
  'POST /api/notes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{"te'

const portOf = ({ url }: RunningServer) => Number(new URL(url).port)
const startStopping = (drainSeconds: number, options: Parameters<typeof startServer>[0] = {}) =>
  startServer({ resources: RESOURCES, ...options, env: { HIPFLASK_DRAIN_SECONDS: `${drainSeconds}` } })

/** The exit code of a server that was told to stop; the signal does nothing. */
const endOf = (server: RunningServer) => server.stop('SIGCONT')

/** Sends the signal and waits until the server says so. */
async function signal(server: RunningServer, name: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  process.kill(server.pid, name)
  const end = Date.now() + 5_000
  while (!server.log().some((line) => line.includes(`Stopping on ${name}`))) {
    if (Date.now() > end) throw new Error('The server does not say that it stops')
    await Bun.sleep(5)
  }
}

describe('on the first signal', () => {
  test('it is not ready, still answers old and new connections, and closes each', async () => {
    const server = await startStopping(2)
    const [health, old, idle] = await Promise.all([1, 2, 3].map(() => openConnection(portOf(server))))
    for (const connection of [health!, old!, idle!]) {
      const before = await connection.request({ path: '/health/ready' })
      expect([before.status, before.headers['connection']]).toEqual([200, undefined])
    }
    await signal(server)
    const ready = await health!.request({ path: '/health/ready' })
    expect([ready.status, ready.headers['connection'], ready.headers['retry-after']]).toEqual([
      503,
      'close',
      expect.any(String),
    ])
    const live = await (await openConnection(portOf(server))).request({ path: '/health/live' })
    expect([live.status, live.headers['connection']]).toEqual([200, 'close'])
    const list = await old!.request(LIST)
    expect([list.status, list.headers['connection']]).toEqual([200, 'close'])
    const created = await (
      await openConnection(portOf(server))
    ).request({ method: 'POST', path: '/api/notes', body: { text: 'late' } })
    expect([created.status, created.headers['connection']]).toEqual([201, 'close'])
    await Promise.all([health!.closed, old!.closed])
    expect(await endOf(server)).toBe(0)
    await idle!.closed
  })

  test('what is under way is finished while new connections are refused', async () => {
    const folder = makeFolder()
    const server = await startStopping(0, { folder })
    const slow = await openConnection(portOf(server))
    slow.write(textOf({ path: '/api/notes/slow' }))
    const writing = await openConnection(portOf(server))
    writing.write(HALF_BODY)
    // Neither has an end that could be waited for; a request of another connection comes after them.
    await server.fetch('/health/live')
    await signal(server)
    await Bun.sleep(700)
    expect(await openConnection(portOf(server)).catch((error: { code: string }) => error.code)).toBe(
      'ECONNREFUSED',
    )
    writing.write('xt":"late note"}')
    const created = await writing.next()
    const answer = await slow.next()
    expect([answer.status, answer.headers['connection'], answer.body]).toEqual([200, 'close', '{"ok":true}'])
    expect([created.status, created.headers['connection']]).toEqual([201, 'close'])
    expect(await endOf(server)).toBe(0)
    expect(readdirSync(join(folder, 'data')).filter((name) => name.startsWith('hipflask.db'))).toEqual([
      'hipflask.db',
    ])
    await using again = await startStopping(0, { folder })
    expect(await (await again.fetch('/api/notes')).json()).toMatchObject({ total_items: 1 })
  })

  test('what takes over 10 seconds is cut off, and the end is still a good one', async () => {
    const server = await startStopping(1)
    const stuck = await openConnection(portOf(server))
    stuck.write(HALF_BODY)
    await server.fetch('/health/live')
    const before = performance.now()
    await signal(server)
    expect(await endOf(server)).toBe(0)
    const seconds = (performance.now() - before) / 1000
    expect([seconds > 9.5, seconds < 12]).toEqual([true, true])
    expect(server.log().join('\n')).toMatch(/cut off.*"requests":1/)
    await stuck.closed
  })

  test('half a request line keeps it from nothing', async () => {
    const server = await startStopping(0)
    const half = await openConnection(portOf(server))
    half.write('GET /api/no')
    await server.fetch('/health/live')
    const before = performance.now()
    expect(await server.stop()).toBe(0)
    expect(performance.now() - before).toBeLessThan(5_000)
    await half.closed
  })
})

test('right after searches nothing stays in the log, with one server and with two', async () => {
  const SEARCHED = {
    'notes.ts': `import { defineResource, everyone, t } from 'hipflask'
export default defineResource({ name: 'notes', schema: t.Object({ text: t.String({ search: true }) }),
  access: { list: everyone(), create: everyone() } })`,
  }
  const filesIn = (folder: string) =>
    readdirSync(join(folder, 'data')).filter((name) => name.startsWith('hipflask.db'))
  for (let round = 0; round < 8; round++) {
    const folder = makeFolder()
    const start = () => startStopping(0, { folder, resources: SEARCHED })
    const servers = round % 2 === 0 ? [await start()] : [await start(), await start()]
    for (const server of servers) {
      const body = JSON.stringify(Array.from({ length: 300 }, () => ({ text: 'long '.repeat(100) })))
      const created = await server.fetch('/api/notes', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
      })
      expect(created.status).toBe(201)
      expect((await server.fetch('/api/notes?q=long&limit=1')).status).toBe(200)
    }
    for (const server of servers) {
      expect(await server.stop()).toBe(0)
      expect(server.log().filter((line) => line.includes('was not emptied'))).toEqual([])
    }
    expect(filesIn(folder)).toEqual(['hipflask.db'])
  }
}, 60_000)

test('a second signal ends it at once with 1, and what was answered is kept', async () => {
  const folder = makeFolder()
  const server = await startStopping(60, { folder })
  const writer = await openConnection(portOf(server))
  expect((await writer.request({ method: 'POST', path: '/api/notes', body: { text: 'kept' } })).status).toBe(
    201,
  )
  const stuck = await openConnection(portOf(server))
  stuck.write(HALF_BODY)
  await signal(server)
  const before = performance.now()
  expect(await server.stop('SIGINT')).toBe(1)
  expect(performance.now() - before).toBeLessThan(2_000)
  await using again = await startStopping(0, { folder })
  expect(await (await again.fetch('/api/notes')).json()).toMatchObject({ total_items: 1 })
})

test.each([
  [50, 0],
  [700, 1],
])('the same signal again after %d ms ends it with %d', async (milliseconds, code) => {
  const server = await startStopping(0)
  const slow = await openConnection(portOf(server))
  const answer = slow.request({ path: '/api/notes/slow' }).then(
    ({ status }) => status,
    () => 'cut off',
  )
  // The request has no start that could be waited for; one of another connection comes after it.
  await server.fetch('/health/live')
  await signal(server, 'SIGINT')
  await Bun.sleep(milliseconds)
  process.kill(server.pid, 'SIGINT')
  expect(await endOf(server)).toBe(code)
  expect(await answer).toBe(code === 0 ? 200 : 'cut off')
  expect(server.log().some((line) => line.includes('Stopped'))).toBe(code === 0)
})

test('a signal before anything was opened ends it with 0 and leaves nothing', async () => {
  const folder = makeFolder()
  const file = join(folder, 'resources/a.ts')
  await Bun.write(
    file,
    `console.log('http://127.0.0.1:1')\nawait new Promise(() => setInterval(() => {}, 1000))`,
  )
  const server = await startServer({ folder })
  expect(await server.stop()).toBe(0)
  expect(existsSync(join(folder, 'data'))).toBe(false)
})

test('a signal while files are reloaded ends it with 0', async () => {
  const folder = makeFolder()
  const server = await startServer({ folder, resources: RESOURCES, args: ['--watch'] })
  const slow = `await new Promise((resolve) => setTimeout(resolve, 1000))\n`
  await Bun.write(join(folder, 'resources/notes.ts'), slow + RESOURCES['notes.ts'])
  await Bun.sleep(400)
  await signal(server)
  const ready = await server.fetch('/health/ready').catch(() => undefined)
  expect([undefined, 503]).toContain(ready?.status)
  expect(await endOf(server)).toBe(0)
  expect(readdirSync(join(folder, 'data')).filter((name) => name.startsWith('hipflask.db'))).toEqual([
    'hipflask.db',
  ])
})
