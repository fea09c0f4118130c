// Servers that are stopped and started again under load: whoever was let in gets an answer, and what was answered is
// there. Two servers on one file behind a balancer, as they are renewed one after the other; and one alone.
import { expect, test } from 'bun:test'
import { LostError, openConnection, type Connection } from '../../support/connection.ts'
import { makeFolder, startServer, type RunningServer } from '../../support/executable.ts'

/** Three of four are of two servers. `bun run test:faults` does more than the tests of every day. */
const RESTARTS = Number(process.env['FAULTS_RESTARTS'] ?? 16)
const CLIENTS = 12
/** Between the checks of the balancer. */
const CHECK_MS = 100
const THINK_MS_MAX = 60
const ENV = { HIPFLASK_DRAIN_SECONDS: '1' }
const RESOURCES = {
  'notes.ts': `import { defineResource, everyone, t } from 'hipflask'
export default defineResource({ name: 'notes', schema: t.Object({ text: t.String({ unique: true }) }),
  access: { list: everyone(), read: everyone(), create: everyone() } })`,
}

/** A place of a balancer: its server is exchanged, its port stays. */
interface Place {
  port: number
  isReady: boolean
}

interface Tally {
  answered: number
  /** Answered that the server starts. */
  starting: number
  /** Texts of the notes whose creation was answered. */
  created: Set<string>
  /** Whoever was answered something else than success, or got no answer on a connection that had one. */
  failures: string[]
  /** Ended before their first answer: their connection came too late to be accepted. */
  tooLate: number
  refused: number
}

for (const [what, count, share] of [
  ['two servers', 2, 0.75],
  ['one server', 1, 0.25],
] as const) {
  const restarts = RESTARTS * share
  test(
    `${restarts} restarts of ${what} under keep-alive load lose no request`,
    async () => {
      const { tally, exits, stored } = await restartUnderLoad(count, restarts)
      const { answered, starting, created, failures, tooLate, refused } = tally
      console.log(
        `${restarts} restarts of ${what}: ${answered} answered, ${failures.length} lost, ${starting} told that the ` +
          `server starts, ${tooLate} reset before they were accepted, ${refused} refused`,
      )
      expect(failures).toEqual([])
      expect(exits).toEqual(Array.from({ length: restarts + count }, () => 0))
      expect(answered).toBeGreaterThan(restarts * CLIENTS)
      if (count > 1) expect(starting).toBe(0)
      expect(stored.toSorted()).toEqual([...created].toSorted())
    },
    restarts * 6_000,
  )
}

async function restartUnderLoad(count: number, restarts: number) {
  const folder = makeFolder()
  const start = (port: number) =>
    startServer({ folder, resources: RESOURCES, env: { ...ENV, PORT: String(port) } })
  const servers: RunningServer[] = []
  while (servers.length < count) servers.push(await start(0))
  const places = servers.map(({ url }): Place => ({ port: Number(new URL(url).port), isReady: true }))
  const tally = { answered: 0, starting: 0, tooLate: 0, refused: 0, created: new Set<string>(), failures: [] }
  const over = new AbortController()
  const working = [
    check(places, over.signal),
    ...Array.from({ length: CLIENTS }, (_, id) => client({ id, places, tally, over: over.signal })),
  ]
  const exits: number[] = []
  try {
    for (let restart = 0; restart < restarts; restart++) {
      const at = restart % count
      exits.push(await (servers[at] as RunningServer).stop())
      servers[at] = await start(places[at]!.port)
      await until(() => places[at]!.isReady)
    }
  } finally {
    over.abort()
    await Promise.all(working)
  }
  const stored = await allTexts(servers[0] as RunningServer)
  for (const server of servers) exits.push(await server.stop())
  return { tally, exits, stored }
}

interface Client {
  id: number
  places: readonly Place[]
  tally: Tally
  over: AbortSignal
}

/** Keeps on finding out which places are ready, as a balancer does. */
async function check(places: readonly Place[], over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    for (const place of places) {
      place.isReady = await fetch(`http://127.0.0.1:${place.port}/health/ready`, { keepalive: false }).then(
        (answer) => answer.ok,
        () => false,
      )
    }
    await Bun.sleep(CHECK_MS)
  }
}

/** Reads and writes in turns over a connection that it keeps until the server closes it. */
async function client({ id, places, tally, over }: Client): Promise<void> {
  let connection: Connection | undefined
  for (let count = 0; !over.aborted;) {
    connection ??= await connectReady(places, id, tally)
    if (connection === undefined) continue
    const text = `${id}-${count}`
    const isRead = count % 2 === 0
    try {
      const answer = await connection.request(
        isRead ? { path: '/api/notes?limit=1' } : { method: 'POST', path: '/api/notes', body: { text } },
      )
      count++
      tally.answered++
      if (answer.body.includes('Server is starting')) tally.starting++
      else if (answer.status !== (isRead ? 200 : 201)) tally.failures.push(`${answer.status} ${answer.body}`)
      else if (!isRead) tally.created.add(text)
    } catch (error) {
      if (!(error instanceof LostError)) throw error
      const isAccepted = connection.answers() > 0 || error.received !== ''
      if (isAccepted) tally.failures.push(`Lost after ${connection.answers()} answers`)
      else tally.tooLate++
      connection.close()
    }
    // Some think in between, some do not.
    if (id % 3 !== 0) await Bun.sleep((id * THINK_MS_MAX) / CLIENTS)
    if (!connection.isOpen()) {
      connection.close()
      connection = undefined
    }
  }
  connection?.close()
}

async function connectReady(
  places: readonly Place[],
  turn: number,
  tally: Tally,
): Promise<Connection | undefined> {
  // Who knows one server only asks it again and again.
  const ready = places.length === 1 ? places : places.filter(({ isReady }) => isReady)
  const place = ready[turn % Math.max(ready.length, 1)]
  if (place !== undefined) {
    const connection = await openConnection(place.port).catch(() => undefined)
    if (connection !== undefined) return connection
    tally.refused++
    place.isReady = false
  }
  await Bun.sleep(5)
  return undefined
}

async function until(isTrue: () => boolean): Promise<void> {
  const end = Date.now() + 10_000
  while (!isTrue()) {
    if (Date.now() > end) throw new Error('A server is not ready after 10 s')
    await Bun.sleep(10)
  }
}

async function allTexts(server: RunningServer): Promise<string[]> {
  const texts: string[] = []
  let after = ''
  for (;;) {
    const answer = await server.fetch(`/api/notes?limit=100${after}`)
    const page = (await answer.json()) as { data: { text: string }[]; next_cursor: string | null }
    texts.push(...page.data.map(({ text }) => text))
    if (page.next_cursor === null) return texts
    after = `&cursor=${encodeURIComponent(page.next_cursor)}`
  }
}
