// Compares dist/hipflask with a hand-written server of the same routes (rival.ts) in one run, in turns, and prints a
// table. It asserts nothing, since a busy machine would fail it. `--quick` gives a rough idea in a third of the time.
import { Database } from 'bun:sqlite'
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import {
  databaseOf,
  prepareHipflask,
  prepareRival,
  residentBytes,
  signIn,
  start,
  type Both,
  type Contestant,
  type Running,
} from './contestants.ts'
import { inBenchFolder } from './folder.ts'
import { putLoad, type Load, type Speed } from './load.ts'

const isQuick = process.argv.includes('--quick')
const ROUNDS = isQuick ? 2 : 5
const ROUND_SECONDS = isQuick ? 1 : 2
const STARTS = isQuick ? 3 : 10
const ROWS = 200_000
/** The most records that one create of hipflask takes. */
const BATCH = 1000
/** So long both have rested when their memory is looked at: what a load leaves behind goes in the first seconds. */
const REST_MS = 5_000

const READ: Load = { path: '/api/items/4711', clients: 32 }
/** The record of the read above is kept; of these many only few are. */
const READ_ANY: Load = { path: '/api/items', upTo: ROWS, clients: 32 }
const PRIVATE: Load = { ...READ, path: '/api/private-items/4711' }
const LIST: Load = { path: '/api/items?page=3&limit=10', clients: 32 }
const CREATE: Load = { path: '/api/items', clients: 64, body: item(1) }

await inBenchFolder({ wrk: 'wrk' }, compare)

async function compare(folder: string): Promise<void> {
  const contestants = {
    hipflask: await prepareHipflask(join(folder, 'hipflask')),
    rival: await prepareRival(join(folder, 'rival')),
  }
  const starts = await measureStarts(contestants)
  await using hipflask = await start(contestants.hipflask)
  await using rival = await start(contestants.rival)
  await fillHipflask(hipflask)
  fillRival(contestants.rival)
  const tokens = { hipflask: await signIn(hipflask), rival: await signIn(rival) }
  const measure = (load: Load, other = load) =>
    measureSpeeds({ hipflask, rival }, { loads: { hipflask: load, rival: other }, folder })
  const reads = await measure(READ)
  const anyReads = await measure(READ_ANY)
  await using logging = await start(contestants.hipflask, { isLogging: true })
  const pair = { hipflask: logging, rival: { ...hipflask, name: 'rival' as const } }
  const loggedReads = await measureSpeeds(pair, { loads: { hipflask: READ, rival: READ }, folder })
  await logging.stop()
  const signedIn = { ...READ, token: tokens.hipflask }
  const signedInReads = await measure(signedIn, READ)
  const checkedReads = await measure(signedIn, { ...PRIVATE, token: tokens.rival })
  // Before the creates, while both have the same number of records.
  const lists = await measure(LIST)
  const creates = await measure(CREATE)
  await Bun.sleep(REST_MS)
  const megabytes = (bytes: number) => bytes / 1e6
  printTable([
    speedRow('read a record, requests/s', reads, '≥ 0.85 ×'),
    processorRow(reads),
    speedRow(`read any of ${ROWS}, requests/s`, anyReads, ''),
    processorRow(anyReads),
    speedRow('read, each logged / none, requests/s', loggedReads, '≥ 0.95 ×'),
    processorRow(loggedReads),
    speedRow('read signed in / without, requests/s', signedInReads, '≥ 0.85 ×'),
    processorRow(signedInReads),
    speedRow('read signed in, both, requests/s', checkedReads, '≥ 2.5 ×'),
    processorRow(checkedReads),
    speedRow('durable create by 64 clients, requests/s', creates, '≥ 1.5 ×'),
    processorRow(creates),
    ['  one sync of this disk, ms', format(measureSync(folder)), '', '', ''],
    speedRow(`page and total of ${ROWS}, requests/s`, lists, '≥ 30 ×'),
    processorRow(lists),
    row('start to ready, ms', starts, '< 150 ms'),
    row(
      'executable, MB',
      { hipflask: megabytes(contestants.hipflask.size), rival: megabytes(contestants.rival.size) },
      '< 120 MB',
    ),
    row(
      'resident memory after load, MB',
      {
        hipflask: megabytes(await residentBytes(hipflask.pid)),
        rival: megabytes(await residentBytes(rival.pid)),
      },
      '< 1.5 ×',
    ),
  ])
}

/** Medians in milliseconds. The first start makes the database and is not counted. */
async function measureStarts(contestants: Both<Contestant>): Promise<Both<number>> {
  const times: Both<number[]> = { hipflask: [], rival: [] }
  for (let turn = 0; turn <= STARTS; turn++) {
    for (const contestant of Object.values(contestants)) {
      await using server = await start(contestant)
      if (turn > 0) times[contestant.name].push(server.readyMs)
    }
  }
  return { hipflask: median(times.hipflask), rival: median(times.rival) }
}

/** The median of writes of 64 KiB: what a durable write waits for. A slow disk, or a busy machine, shows here. */
function measureSync(folder: string): number {
  const file = openSync(join(folder, 'sync'), 'w')
  const bytes = new Uint8Array(64 * 1024)
  const times = Array.from({ length: 200 }, () => {
    writeSync(file, bytes, 0, bytes.length, 0)
    const startedAt = performance.now()
    fdatasyncSync(file)
    return performance.now() - startedAt
  })
  closeSync(file)
  return median(times)
}

/** Rounds in turns, so that what else the machine does meets both. The first round warms up and is not counted. */
async function measureSpeeds(
  { hipflask, rival }: Both<Running>,
  { loads, folder }: { loads: Both<Load>; folder: string },
): Promise<Both<Speed>[]> {
  const rounds: Both<Speed>[] = []
  for (let turn = 0; turn <= ROUNDS; turn++) {
    const options = { seconds: turn === 0 ? 1 : ROUND_SECONDS, folder }
    const round = {
      hipflask: await putLoad(hipflask, loads.hipflask, options),
      rival: await putLoad(rival, loads.rival, options),
    }
    if (turn > 0) rounds.push(round)
  }
  return rounds
}

// ── The same records for both ───────────────────────────────────────────────────────────────────────────────────

function item(number: number) {
  return {
    name: `Item ${number}`,
    price: (number % 10_000) / 100,
    description: 'As long as descriptions of things in shops are, in two sentences or three. '.repeat(2),
    in_stock: number % 3 > 0,
  }
}

async function fillHipflask({ url }: Running): Promise<void> {
  for (let first = 1; first <= ROWS; first += BATCH) {
    const body = JSON.stringify(Array.from({ length: BATCH }, (_, index) => item(first + index)))
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`${url}/api/items`, { method: 'POST', headers, body })
    const text = await response.text()
    if (!response.ok) throw new Error(`Records were not created: ${text}`)
  }
}

/** It has no route for many records, so they go past it. */
function fillRival(contestant: Contestant): void {
  using database = new Database(databaseOf(contestant), { strict: true })
  const insert = database.prepare(`
    INSERT INTO items (name, price, description, in_stock, created_at, updated_at)
    VALUES (?, ?, ?, ?, ?, ?)
  `)
  const now = new Date().toISOString()
  database.transaction(() => {
    for (let number = 1; number <= ROWS; number++) {
      const { name, price, description, in_stock } = item(number)
      insert.run(name, price, description, in_stock, now, now)
    }
  })()
}

// ── The table ───────────────────────────────────────────────────────────────────────────────────────────────────

type Row = readonly [what: string, hipflask: string, rival: string, ratio: string, goal: string]

function speedRow(what: string, rounds: readonly Both<Speed>[], goal: string): Row {
  return roundsRow(what, rounds, { take: ({ perSecond }) => perSecond, goal })
}

function processorRow(rounds: readonly Both<Speed>[]): Row {
  return roundsRow('  processor time of one, µs', rounds, { take: ({ microseconds }) => microseconds })
}

/** Medians of the rounds. The ratio is the median of the rounds' ratios: the two halves of a round are neighbours. */
function roundsRow(
  what: string,
  rounds: readonly Both<Speed>[],
  { take, goal = '' }: { take: (speed: Speed) => number; goal?: string },
): Row {
  const hipflask = median(rounds.map((round) => take(round.hipflask)))
  const rival = median(rounds.map((round) => take(round.rival)))
  const ratio = median(rounds.map((round) => take(round.hipflask) / take(round.rival)))
  return [what, format(hipflask), format(rival), format(ratio), goal]
}

function row(what: string, { hipflask, rival }: Both<number>, goal: string): Row {
  return [what, format(hipflask), format(rival), format(hipflask / rival), goal]
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  return ((sorted[Math.floor(middle)] as number) + (sorted[Math.ceil(middle)] as number)) / 2
}

function format(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 1000 ? 1 : 0)
}

function printTable(rows: readonly Row[]): void {
  const table: readonly Row[] = [['', 'hipflask', 'rival', 'ratio', 'goal'], ...rows]
  const widths = table[0]!.map((_, column) => Math.max(...table.map((cells) => cells[column]!.length)))
  for (const [what, ...cells] of table) {
    console.log(
      [what.padEnd(widths[0]!), ...cells.map((cell, index) => cell.padStart(widths[index + 1]!))].join('  '),
    )
  }
}
