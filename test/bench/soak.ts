// Mixed traffic for a long time, ten minutes unless the argument says how many: what the server holds of memory and
// descriptors, and how fast each of them grows. It prints and asserts nothing. Half of the traffic is of the kind that
// leaks where something leaks: refused, wrong, cut off.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { prepareHipflask, residentBytes } from './contestants.ts'
import { inBenchFolder } from './folder.ts'

const MINUTES = Number(process.argv[2] ?? 10)
const CLIENTS = 12
const PAUSE_MS_MAX = 40
const SAMPLE_MS = 2_000
const REPORT_MS = 60_000
const WINDOW_MS = 30_000
/** The first part of the time is for caches and pools to fill. */
const WARM = 0.25
const MIB = 1024 * 1024

// What is created is deleted again; the file grows by the answers that are kept for a day for each Idempotency-Key.
const RESOURCE = `import { defineResource, everyone, t } from 'hipflask'
export default defineResource({
  name: 'items',
  schema: t.Object({
    name: t.String({ maxLength: 200, search: true }),
    price: t.Number({ index: true }),
  }),
  access: { list: everyone(), read: everyone(), create: everyone(), update: everyone(), delete: everyone() },
})
`
const ACCOUNT = { email: 'ada@example.com', password: 'purple staple lemon' }

interface Sample {
  hours: number
  memory: number
  descriptors: number
  database: number
}

interface Server {
  url: string
  pid: number
  folder: string
}

interface Tally {
  answers: Map<number, number>
  cutOff: number
}

/** One request of a kind; it answers the status, or undefined where it was cut off on purpose. */
type Act = (server: Server, id: number) => Promise<number | undefined>

const ACTS: readonly Act[] = [
  (server) => send(server, 'GET', '/api/items/1'),
  (server) => send(server, 'GET', '/api/items?limit=20&sort=-price'),
  (server, id) => send(server, 'GET', `/api/items?price[gte]=${id}&fields=id,name&count=none`),
  (server) => send(server, 'GET', '/api/items?q=flask', undefined, { accept: 'text/csv' }),
  comeAndGo,
  (server, id) => send(server, 'PATCH', '/api/items/1', { price: id }),
  (server) => send(server, 'POST', '/api/items', { name: 'no price' }),
  (server) => send(server, 'GET', `/api/nothing/${crypto.randomUUID()}`),
  (server) => send(server, 'GET', `/api/items?unknown${Math.floor(Math.random() * 1e6)}=1`),
  (server) => send(server, 'GET', '/auth/me', undefined, { authorization: `Bearer ${crypto.randomUUID()}` }),
  (server) => send(server, 'POST', '/api/items', { name: 'x'.repeat(2 * MIB), price: 1 }),
  (server) => send(server, 'GET', '/health/ready', undefined, { connection: 'close' }),
  cutOff,
  comeAndGo,
  signInAndOut,
]

await inBenchFolder({}, measure)

async function measure(folder: string): Promise<void> {
  const { executable } = await prepareHipflask(folder)
  await Bun.write(join(folder, 'resources/items.ts'), RESOURCE)
  const child = Bun.spawn([executable, 'serve', '--port', '0'], {
    cwd: folder,
    env: { HOME: folder, HIPFLASK_LOG_FORMAT: 'json' },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  process.once('exit', () => child.kill('SIGKILL'))
  const server = { url: await addressOf(child.stdout), pid: child.pid, folder }
  await send(server, 'POST', '/auth/register', { name: 'Ada', ...ACCOUNT })
  const tally: Tally = { answers: new Map(), cutOff: 0 }
  const samples = await watch(server, tally)
  report(samples, tally)
  child.kill('SIGTERM')
  console.log(`ended with ${await child.exited}`)
}

/** Keeps on reading what it logs, so that the pipe does not fill. */
async function addressOf(log: ReadableStream<Uint8Array>): Promise<string> {
  const address = Promise.withResolvers<string>()
  const read = async () => {
    let text = ''
    for await (const chunk of log) {
      if (text.length < 10_000) text += Buffer.from(chunk).toString()
      const url = /http:\/\/[\d.]+:\d+/.exec(text)
      if (url !== null) address.resolve(url[0])
    }
    address.reject(new Error(`The server ended:\n${text}`))
  }
  read().catch(address.reject)
  return address.promise
}

async function watch(server: Server, tally: Tally): Promise<Sample[]> {
  const startedAt = performance.now()
  const end = startedAt + MINUTES * 60_000
  const working = Array.from({ length: CLIENTS }, (_, id) => keepAsking({ server, id, end, tally }))
  const samples: Sample[] = []
  let reportedAt = startedAt
  while (performance.now() < end) {
    await Bun.sleep(SAMPLE_MS)
    samples.push(await sample(server, startedAt))
    if (performance.now() - reportedAt < REPORT_MS) continue
    reportedAt = performance.now()
    console.log(describe(samples.at(-1)!))
  }
  await Promise.all(working)
  return samples
}

async function sample({ pid, folder }: Server, startedAt: number): Promise<Sample> {
  return {
    hours: (performance.now() - startedAt) / 3_600_000,
    memory: (await residentBytes(pid)) / MIB,
    descriptors: (await readdir(`/proc/${pid}/fd`)).length,
    database: (await stat(join(folder, 'data/hipflask.db'))).size / MIB,
  }
}

interface Client {
  server: Server
  id: number
  end: number
  tally: Tally
}

async function keepAsking({ server, id, end, tally }: Client): Promise<void> {
  for (let turn = 0; performance.now() < end; turn++) {
    const act = ACTS[(turn * 7 + id) % ACTS.length] as Act
    const status = await act(server, id)
    if (status === undefined) tally.cutOff++
    else tally.answers.set(status, (tally.answers.get(status) ?? 0) + 1)
    await Bun.sleep(Math.random() * PAUSE_MS_MAX)
  }
}

async function comeAndGo(server: Server, id: number): Promise<number> {
  const created = await fetch(`${server.url}/api/items`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': crypto.randomUUID() },
    body: JSON.stringify({ name: `Flask of ${id}`, price: Math.random() * 100 }),
  })
  const record = (await created.json()) as { id: number }
  // The first one stays.
  return record.id === 1 ? created.status : send(server, 'DELETE', `/api/items/${record.id}`)
}

async function signInAndOut(server: Server, id: number): Promise<number | undefined> {
  // Hashing is the dearest of all: one client does it.
  if (id !== 0) return send(server, 'GET', '/swagger/json')
  const login = await fetch(`${server.url}/auth/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(ACCOUNT),
  })
  const { access_token } = (await login.json()) as { access_token: string }
  return send(server, 'POST', '/auth/logout', undefined, { authorization: `Bearer ${access_token}` })
}

/** Goes away in the middle of a request or of its answer. */
async function cutOff({ url }: Server): Promise<undefined> {
  const { hostname, port } = new URL(url)
  const socket = await Bun.connect({ hostname, port: Number(port), socket: { data: () => {} } })
  const isRead = Math.random() < 0.5
  socket.write(
    isRead
      ? 'GET /api/items?limit=100 HTTP/1.1\r\nHost: a\r\n\r\n'
      : 'POST /api/items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"na',
  )
  await Bun.sleep(Math.random() * 3)
  socket.terminate()
}

async function send(
  { url }: Server,
  method: string,
  path: string,
  body?: object,
  headers: Record<string, string> = {},
): Promise<number> {
  const response = await fetch(url + path, {
    method,
    headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  await response.arrayBuffer()
  return response.status
}

function report(samples: readonly Sample[], { answers, cutOff: count }: Tally): void {
  const warm = samples.slice(Math.floor(samples.length * WARM))
  const statuses = [...answers].toSorted(([one], [other]) => one - other)
  console.log(
    `answers: ${statuses.map(([status, times]) => `${status} × ${times}`).join(', ')}, cut off × ${count}`,
  )
  console.log(`at the beginning ${describe(samples[0]!)}`)
  console.log(`at the end       ${describe(samples.at(-1)!)}`)
  for (const name of ['memory', 'descriptors', 'database'] as const) {
    const values = warm.map((one) => one[name])
    const slope = slopeOf(leastOf(warm, name))
    console.log(
      `${name.padEnd(12)} ${slope.toFixed(1).padStart(8)} an hour after the first quarter, ` +
        `from ${Math.min(...values).toFixed(1)} to ${Math.max(...values).toFixed(1)}`,
    )
  }
}

function describe({ hours, memory, descriptors, database }: Sample): string {
  return (
    `${(hours * 60).toFixed(1).padStart(5)} min  ${memory.toFixed(1).padStart(6)} MiB  ` +
    `${String(descriptors).padStart(4)} descriptors  ${database.toFixed(1).padStart(5)} MiB of database`
  )
}

/** The least of each window: between two collections of garbage memory goes up and down. */
function leastOf(
  samples: readonly Sample[],
  name: 'memory' | 'descriptors' | 'database',
): [number, number][] {
  const windows = Map.groupBy(samples, ({ hours }) => Math.floor((hours * 3_600_000) / WINDOW_MS))
  return [...windows.values()].map((window) => [
    window[0]!.hours,
    Math.min(...window.map((one) => one[name])),
  ])
}

/** Of the line through the points with the least squares. */
function slopeOf(points: readonly (readonly [number, number])[]): number {
  const mean = (at: 0 | 1) => points.reduce((sum, point) => sum + point[at], 0) / points.length
  const [meanX, meanY] = [mean(0), mean(1)]
  const sum = (of: (x: number, y: number) => number) =>
    points.reduce((total, [x, y]) => total + of(x - meanX, y - meanY), 0)
  return sum((x, y) => x * y) / sum((x) => x * x)
}
