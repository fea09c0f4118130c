// Crowds: connections that do nothing, clients that send a byte a second, and bodies without end. What they cost is
// printed; what is asserted is that it is bounded, and that whoever behaves is answered meanwhile.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { openConnection, textOf } from '../../support/connection.ts'
import { startServer, type RunningServer } from '../../support/executable.ts'

const RESOURCES = {
  'notes.ts': `import { defineResource, everyone, signedIn, t } from 'hipflask'
export default defineResource({ name: 'notes', schema: t.Object({ text: t.String() }),
  access: { list: everyone(), read: everyone(), create: everyone(), delete: signedIn() } })`,
}
const MIB = 1024 * 1024
const BODY_LIMIT = MIB

/** Resident MiB: now (`VmRSS`), or the most so far (`VmHWM`). */
function memoryOf(pid: number, kind: 'VmRSS' | 'VmHWM' = 'VmRSS'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(new RegExp(`^${kind}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024
}

/** How many files a process may have open. */
function descriptorsMax(pid: number | 'self'): number {
  return Number(/^Max open files\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1])
}

const isLinux = process.platform === 'linux'
if (!isLinux) console.log('Load is not tested: only Linux tells what a process takes')

describe.skipIf(!isLinux)('under a crowd', () => {
  let server: RunningServer
  let port: number

  beforeAll(async () => {
    server = await startServer({ resources: RESOURCES })
    port = Number(new URL(server.url).port)
    for (let count = 0; count < 20; count++) {
      const created = await server.fetch('/api/notes', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"text":"a note"}',
      })
      expect(created.status).toBe(201)
    }
  })
  afterAll(() => server.stop('SIGKILL'))

  const IDLE = 10_000
  test(`${IDLE} idle keep-alive connections cost less than 250 MiB`, async () => {
    const most = Math.min(descriptorsMax('self'), descriptorsMax(server.pid))
    if (most < IDLE + 500) {
      console.log(`Not tested: ${IDLE} connections need as many descriptors, and there are ${most}`)
      return
    }
    const [before, descriptors] = [memoryOf(server.pid), descriptorsOf(server.pid)]
    const crowd = await openCrowd(port, IDLE)
    expect(crowd.answered()).toBe(IDLE)
    expect(descriptorsOf(server.pid)).toBeGreaterThanOrEqual(IDLE)
    const grown = memoryOf(server.pid) - before
    const answer = await server.fetch('/api/notes')
    crowd.close()
    console.log(`${IDLE} idle connections: ${grown.toFixed(0)} MiB`)
    expect(grown).toBeLessThan(250)
    expect(answer.status).toBe(200)
    await until(() => descriptorsOf(server.pid) < descriptors + 50)
  }, 60_000)

  const SLOW = 1_000
  const NORMAL = 200
  test(`${SLOW} slow clients leave ${NORMAL} normal ones their answers, and are cut off`, async () => {
    // The first round is for both sides to warm up.
    await askAtOnce(port, NORMAL)
    const alone = await askAtOnce(port, NORMAL)
    const descriptors = descriptorsOf(server.pid)
    const startedAt = performance.now()
    const slow = await Promise.all(
      Array.from({ length: SLOW }, (_, at) => trickle(port, at % 2 === 0 ? 'head' : 'body')),
    )
    const besides = await askAtOnce(port, NORMAL)
    const stillThere = slow.filter(({ socket }) => !socket.closed).length
    const ends = await Promise.all(slow.map(({ ended }) => ended))
    const secondsOf = (kind: Trickle['kind']) =>
      ends.filter((end) => end.kind === kind).map((end) => (end.at - startedAt) / 1000)
    const [heads, bodies] = [secondsOf('head'), secondsOf('body')]
    console.log(
      `${SLOW} slow clients: p99 of ${NORMAL} others ${alone.p99.toFixed(1)} → ${besides.p99.toFixed(1)} ms, ` +
        `heads cut after ${Math.max(...heads).toFixed(0)} s, bodies after ${Math.max(...bodies).toFixed(0)} s`,
    )
    expect([alone.failed, besides.failed]).toEqual([0, 0])
    expect(stillThere).toBe(SLOW)
    expect(Math.max(...heads)).toBeLessThan(20)
    expect(Math.max(...bodies)).toBeLessThan(32)
    for (const { kind, received } of ends) {
      if (kind === 'body') expect(received).toMatch(/^HTTP\/1\.1 408 [^]*"request_timeout"/)
    }
    await until(() => descriptorsOf(server.pid) < descriptors + 50)
  }, 60_000)

  const FLOODS = 40
  const filler = 'x'.repeat(64 * 1024)
  const head = (lines: string, path = '/api/notes', method = 'POST') =>
    `${method} ${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${lines}\r\n`
  const chunk = `${filler.length.toString(16)}\r\n${filler}\r\n`
  const length = `Content-Length: ${1024 * MIB}\r\n`
  const chunked = 'Transfer-Encoding: chunked\r\n'
  const tooLarge = /^HTTP\/1\.1 413 [^]*"payload_too_large"/
  const floods: [string, Flood][] = [
    ['a Content-Length far over the limit', { head: head(length), filler, answer: tooLarge }],
    ['chunks without end', { head: head(chunked), filler: chunk, answer: tooLarge }],
    // What the parser refuses has no body of ours.
    ['a chunk extension without end', { head: head(chunked) + '1;', filler, answer: /^HTTP\/1\.1 413 / }],
    [
      'trailers without end',
      { head: `${head(chunked)}0\r\n`, filler: `a: ${'b'.repeat(1000)}\r\n`, answer: /^HTTP\/1\.1 4\d\d / },
    ],
    [
      'a client that asks first, and goes on',
      {
        head: head(`${length}Expect: 100-continue\r\n`),
        filler,
        answer: /^(?:HTTP\/1\.1 100 Continue\r\n\r\n)?HTTP\/1\.1 413 [^]*"payload_too_large"/,
      },
    ],
    [
      'a body for a route that wants a credential',
      {
        head: head(length, '/api/notes/1', 'DELETE'),
        filler,
        answer: /^HTTP\/1\.1 401 [^]*"unauthenticated"/,
      },
    ],
    [
      'a body for a path that is not there',
      { head: head(chunked, '/nothing'), filler: chunk, answer: /^HTTP\/1\.1 404 [^]*"not_found"/ },
    ],
    [
      'a head without end',
      { head: 'GET / HTTP/1.1\r\n', filler: `a: ${filler}`, answer: /^HTTP\/1\.1 431 / },
    ],
  ]
  for (const [what, flood] of floods) {
    test(`${FLOODS} times ${what}: refused, closed, and bounded in memory`, async () => {
      const before = memoryOf(server.pid)
      const ends = await Promise.all(Array.from({ length: FLOODS }, () => pour(port, flood)))
      const grown = memoryOf(server.pid, 'VmHWM') - before
      const sent = ends.reduce((sum, end) => sum + end.sent, 0) / MIB
      console.log(
        `${FLOODS} × ${what}: ${sent.toFixed(0)} MiB sent, ${Math.max(grown, 0).toFixed(0)} MiB held`,
      )
      // A client that is still sending may lose the answer to the reset that tells it to stop.
      const answers = ends.map(({ received }) => received).filter((received) => received !== '')
      expect(answers.filter((received) => !flood.answer.test(received))).toEqual([])
      expect(answers.length).toBeGreaterThan(0)
      expect(ends.filter(({ isClosed }) => !isClosed)).toEqual([])
      expect(grown).toBeLessThan((2 * BODY_LIMIT * FLOODS) / MIB)
      expect((await server.fetch('/api/notes')).status).toBe(200)
    })
  }

  const HELD = 500
  const BODIES_SHARED = 256 * MIB
  test(`${HELD} bodies that are sent but for their end: those beyond what all may have are 503`, async () => {
    const before = memoryOf(server.pid)
    const part = filler.repeat(15)
    const body = (text: string) => JSON.stringify({ text })
    const holders = await Promise.all(
      Array.from({ length: HELD }, async () => {
        const holder = await openConnection(port)
        holder.write(head(`Content-Length: ${MIB}\r\n`) + part)
        return holder
      }),
    )
    const isOver = ({ isOpen, answers }: (typeof holders)[number]) => !isOpen() || answers() > 0
    await until(() => holders.filter(isOver).length >= HELD - BODIES_SHARED / (14 * filler.length) - 1)
    const refused = holders.filter(isOver)
    const grown = memoryOf(server.pid) - before
    console.log(`${HELD} held bodies: ${refused.length} refused, ${grown.toFixed(0)} MiB held`)
    // What one has of its own, and what a refused one had sent.
    expect(HELD - refused.length).toBeGreaterThanOrEqual(
      Math.floor(BODIES_SHARED / (14 * filler.length)) - 10,
    )
    const create = (text: string) =>
      server.fetch('/api/notes', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: body(text),
      })
    expect((await create('x'.repeat(60 * 1024))).status).toBe(201)
    const large = await create('x'.repeat(1000 * 1024))
    expect([large.status, large.headers.get('retry-after'), large.headers.get('connection')]).toEqual([
      503,
      '1',
      'close',
    ])
    expect(await large.json()).toMatchObject({ error: { code: 'unavailable' } })
    for (const holder of holders) holder.close()
    await until(() => descriptorsOf(server.pid) < 100)
    expect((await create('x'.repeat(1000 * 1024))).status).toBe(201)
  }, 60_000)
})

function descriptorsOf(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

async function until(isTrue: () => boolean): Promise<void> {
  const end = Date.now() + 10_000
  while (!isTrue()) {
    if (Date.now() > end) throw new Error('It does not come true in 10 s')
    await Bun.sleep(50)
  }
}

/** Connections that get one answer each and then keep quiet. */
async function openCrowd(port: number, count: number) {
  const sockets: Bun.Socket[] = []
  let answered = 0
  for (let opened = 0; opened < count; opened += 200) {
    const before = answered
    const group = Array.from({ length: Math.min(200, count - opened) }, () =>
      Bun.connect({
        hostname: '127.0.0.1',
        port,
        socket: {
          open: (socket) => void socket.write(textOf({ path: '/health/live' })),
          data: (_, bytes) => {
            if (bytes.includes('HTTP/1.1 200 ')) answered++
          },
        },
      }),
    )
    sockets.push(...(await Promise.all(group)))
    await until(() => answered === before + group.length)
  }
  return {
    answered: () => answered,
    close: () => {
      for (const socket of sockets) socket.terminate()
    },
  }
}

/** So many clients with a few requests each, one after the other: milliseconds, and how many got no good answer. */
async function askAtOnce(port: number, clients: number): Promise<{ p99: number; failed: number }> {
  const times: number[] = []
  let failed = 0
  const ask = async () => {
    const connection = await openConnection(port)
    for (let turn = 0; turn < 15; turn++) {
      const before = performance.now()
      const answer = await connection.request({ path: '/api/notes?limit=10' })
      // The first one shares the time with all that connect.
      if (turn > 0) times.push(performance.now() - before)
      if (answer.status !== 200) failed++
      await Bun.sleep(100 * Math.random())
    }
    connection.close()
  }
  await Promise.all(Array.from({ length: clients }, ask))
  return { p99: times.toSorted((one, other) => one - other)[Math.floor(times.length * 0.99)]!, failed }
}

interface Trickle {
  kind: 'head' | 'body'
  /** When the server closed it, by the clock of `performance`. */
  at: number
  received: string
}

/** A client that sends a byte a second of a head or of a body. */
async function trickle(
  port: number,
  kind: Trickle['kind'],
): Promise<{ socket: Socket; ended: Promise<Trickle> }> {
  const socket = connect({ port, host: '127.0.0.1' })
  let received = ''
  const ended = new Promise<Trickle>((resolve) => {
    socket.on('close', () => resolve({ kind, at: performance.now(), received }))
  })
  // Each of them is cut off in the end.
  socket.on('error', () => {})
  socket.on('data', (bytes) => (received += bytes.toString()))
  await new Promise((resolve) => socket.once('connect', resolve))
  socket.write(
    kind === 'head'
      ? 'GET /api/notes HTTP/1.1\r\nHost: a\r\nX-Slow: '
      : 'POST /api/notes HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{',
  )
  const timer = setInterval(() => socket.write(' '), 1000)
  ended.then(() => clearInterval(timer)).catch(() => {})
  return { socket, ended }
}

interface Flood {
  head: string
  /** Sent again and again. */
  filler: string
  answer: RegExp
}

const POUR_BYTES_MAX = 64 * MIB
const POUR_MS_MAX = 8_000

/** Sends as fast as it is taken, until the server closes. */
function pour(
  port: number,
  { head, filler }: Flood,
): Promise<{ sent: number; received: string; isClosed: boolean }> {
  return new Promise((resolve, reject) => {
    const bytes = Buffer.from(filler)
    let [sent, received] = [0, '']
    let rest = Buffer.from(head)
    const send = (socket: Bun.Socket) => {
      while (sent < POUR_BYTES_MAX) {
        const taken = Math.max(socket.write(rest), 0)
        sent += taken
        if (taken < rest.length) {
          rest = rest.subarray(taken)
          return
        }
        rest = bytes
      }
    }
    let late: Timer
    const finish = (isClosed: boolean) => {
      clearTimeout(late)
      resolve({ sent, received, isClosed })
    }
    Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        open(socket) {
          late = setTimeout(() => {
            finish(false)
            socket.terminate()
          }, POUR_MS_MAX)
          send(socket)
        },
        drain: send,
        data: (_, chunk) => {
          received += chunk.toString()
        },
        close: () => finish(true),
        error: () => finish(true),
      },
    }).catch(reject)
  })
}
