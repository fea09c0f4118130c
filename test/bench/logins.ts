// What sign-ins cost: whether a wrong password and an unknown account can be told apart by time, and what many at once
// leave to those who read. It prints medians and asserts nothing, since a busy machine would fail it.
import { join } from 'node:path'
import { prepareHipflask, start, type Running } from './contestants.ts'
import { inBenchFolder } from './folder.ts'
import { putLoad, type Load } from './load.ts'

const TRIES = 200
const AT_ONCE = 60
const ROUNDS = 5
const ROUND_SECONDS = 2
const READ: Load = { path: '/api/items/1', clients: 32 }
/** Where the load comes from, so that it takes no time of the other core. */
const LOAD_CORE = 0

const ADA = { email: 'ada@example.com', password: 'purple staple lemon' }
const WRONG = { email: ADA.email, password: 'purple staple melon' }
const UNKNOWN = { email: 'bob@example.com', password: 'purple staple melon' }

await inBenchFolder({ wrk: 'wrk', taskset: 'util-linux' }, measure)

async function measure(folder: string): Promise<void> {
  const contestant = await prepareHipflask(folder)
  // Guesses are limited, and here they are made.
  await Bun.write(join(folder, '.env'), 'HIPFLASK_LOGIN_RATE_LIMIT=off\n')
  await using server = await start(contestant)
  await send(server, '/auth/register', { name: 'Ada', ...ADA })
  await send(server, '/api/items', { name: 'Flask', price: 1 })
  const { wrong, unknown } = await timeFailures(server)
  const { quiet, stormy, logins } = await readDuringLogins(server, folder)
  const rows: [string, string, string][] = [
    ['wrong password, median ms', wrong.toFixed(2), ''],
    ['unknown account, median ms', unknown.toFixed(2), ''],
    ['  apart, ms', Math.abs(wrong - unknown).toFixed(2), '< 5'],
    ['reads/s', median(quiet).toFixed(0), ''],
    [`reads/s during ${AT_ONCE} logins at once`, median(stormy).toFixed(0), ''],
    ['  of their speed', median(stormy.map((speed, round) => speed / quiet[round]!)).toFixed(2), '≥ 0.4'],
    ['  logins/s meanwhile', logins.toFixed(1), ''],
  ]
  for (const [what, result, goal] of rows) console.log(what.padEnd(48), result.padStart(8), goal.padStart(9))
}

/** Medians in milliseconds, one request at a time, in turns. */
async function timeFailures(server: Running): Promise<{ wrong: number; unknown: number }> {
  const times = { wrong: [] as number[], unknown: [] as number[] }
  for (let round = 0; round < TRIES; round++) {
    for (const [kind, account] of [
      ['wrong', WRONG],
      ['unknown', UNKNOWN],
    ] as const) {
      const before = performance.now()
      await send(server, '/auth/login', account, 401)
      times[kind].push(performance.now() - before)
    }
  }
  return { wrong: median(times.wrong), unknown: median(times.unknown) }
}

/** Reads per second of each round, without and with logins, and the logins per second. */
async function readDuringLogins(server: Running, folder: string) {
  const speeds = { quiet: [] as number[], stormy: [] as number[] }
  const options = { seconds: ROUND_SECONDS, folder, core: LOAD_CORE }
  let logins = 0
  let seconds = 0
  for (let round = 0; round < ROUNDS; round++) {
    speeds.quiet.push((await putLoad(server, READ, options)).perSecond)
    let isOver = false
    const before = performance.now()
    const clients = Array.from({ length: AT_ONCE }, async () => {
      for (; !isOver; logins++) await send(server, '/auth/login', ADA)
    })
    speeds.stormy.push((await putLoad(server, READ, options)).perSecond)
    isOver = true
    await Promise.all(clients)
    seconds += (performance.now() - before) / 1000
  }
  return { ...speeds, logins: logins / seconds }
}

async function send({ url }: Running, path: string, body: object, status?: number): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })
  await response.arrayBuffer()
  const isExpected = status === undefined ? response.ok : response.status === status
  if (!isExpected) throw new Error(`${path} answered ${response.status}`)
}

function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[values.length >> 1] as number
}
