// That an acknowledged write survives a power cut, proven from what the executable asks of the disk: nothing is
// acknowledged before a sync that follows the last page written, and a disk that keeps only what was synced, or any part
// of the rest, holds every acknowledged write and no half of one.
import { Database } from 'bun:sqlite'
import { beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { makeFolder } from '../../support/executable.ts'
import {
  NOTES,
  allNotes,
  hasProgram,
  note,
  randomBy,
  send,
  startNotes,
  wordOf,
} from '../../support/faults.ts'
import { bySector, createDisk, readTrace, tracedTo, writeImage } from '../../support/trace.ts'
import type { Fate, TraceEvent } from '../../support/trace.ts'

const CLIENTS = 16
const REQUESTS = 60
/** Moments at which the power is cut, each with four fates of what was not synced. */
const CUTS = 10
const SENT = /^HTTP\/1\.1 2\d\d /

/** What one request creates: notes from this number on, as many as `size`. */
interface Creation {
  client: number
  number: number
  size: number
}

interface Traced {
  folder: string
  events: TraceEvent[]
  creations: Creation[]
  /** First words of the notes that clients were told of. */
  acknowledged: Set<string>
}

const numbersOf = ({ number, size }: Creation) => Array.from({ length: size }, (_, index) => number + index)

/** Lets clients create notes, one and several at a time, under a trace; then kills it. */
async function trace(requests: number, env: Record<string, string> = {}): Promise<Traced> {
  const folder = makeFolder()
  const file = join(makeFolder(), 'trace')
  const server = await startNotes({ folder, env, under: tracedTo(file) })
  const creations: Creation[] = []
  const acknowledged = new Set<string>()
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    let number = 0
    for (let request = 0; request < requests; request++) {
      const creation = { client, number, size: 1 + ((client + request) % 4) }
      number += creation.size
      creations.push(creation)
      const notes = numbersOf(creation).map((each) => note(client, each, creation.size))
      const answer = await send(server, '/api/notes', { body: notes.length === 1 ? notes[0] : notes })
      expect(answer?.status).toBe(201)
      for (const each of numbersOf(creation)) acknowledged.add(wordOf(client, each))
    }
  })
  await Promise.all(clients)
  await server.kill()
  return { folder, events: readTrace(file, folder), creations, acknowledged }
}

const isAnswer = (event: TraceEvent): event is Extract<TraceEvent, { kind: 'send' }> =>
  event.kind === 'send' && SENT.test(event.bytes.subarray(0, 20).toString('latin1'))

/** First words of the notes in an answer. */
const wordsIn = (bytes: Buffer): string[] => bytes.toString().match(/\bc\d+n\d+\b/g) ?? []

/** Answers of success that leave while something that was written to the database or its log is not synced. */
function countUnsynced(events: readonly TraceEvent[]): { answers: number; unsynced: number; syncs: number } {
  const dirty = new Set<string>()
  let answers = 0
  let unsynced = 0
  let syncs = 0
  for (const event of events) {
    // Shared memory holds nothing of its own: it is made anew from the log.
    if (event.kind === 'write' && /\.db(-wal)?$/.test(event.path)) dirty.add(event.path)
    if (event.kind === 'sync' && dirty.delete(event.path)) syncs += 1
    if (!isAnswer(event) || wordsIn(event.bytes).length === 0) continue
    answers += 1
    if (dirty.size > 0) unsynced += 1
  }
  return { answers, unsynced, syncs }
}

/** What is wrong with the database of an image, and which words it has. */
async function readImage(image: Map<string, Buffer>, creations: readonly Creation[]) {
  const folder = makeFolder()
  await writeImage(image, folder)
  using database = new Database(join(folder, 'hipflask.db'))
  const check = database.query('PRAGMA integrity_check').values()[0]?.[0]
  // The table itself may be lost, where nothing was ever synced.
  const hasTable = database.query("SELECT 1 FROM sqlite_schema WHERE name = 'notes'").values().length > 0
  const texts = hasTable ? database.query('SELECT text FROM notes').values().flat() : []
  const words = new Set(texts.map((text) => String(text).split(' ', 1)[0] as string))
  const totals = hasTable
    ? database.query("SELECT total FROM _hipflask_totals WHERE name = 'notes'").values()
    : []
  const half = creations.filter((creation) => {
    const there = numbersOf(creation).filter((number) => words.has(wordOf(creation.client, number)))
    return there.length > 0 && there.length < creation.size
  })
  return { check, words, rows: texts.length, total: totals[0]?.[0] ?? 0, half }
}

const seed = Number(process.env['FAULTS_SEED'] ?? Date.now() % 1_000_000)

/** Cuts the power at moments by chance, once with each fate of what was not synced; gives each image to `look`. */
async function cut(
  { events }: Traced,
  count: number,
  look: (image: Map<string, Buffer>, acknowledged: Set<string>, about: string) => Promise<void>,
): Promise<void> {
  const random = randomBy(seed)
  const first = events.findIndex((event) => isAnswer(event) && wordsIn(event.bytes).length > 0)
  const moments = Array.from(
    { length: count },
    () => first + 1 + Math.floor(random() * (events.length - first - 1)),
  )
  const disk = createDisk()
  const acknowledged = new Set<string>()
  for (const [index, event] of events.entries()) {
    disk.apply(event)
    if (isAnswer(event)) for (const word of wordsIn(event.bytes)) acknowledged.add(word)
    for (const moment of moments) {
      if (moment !== index) continue
      const fates: [string, Fate][] = [
        ['nothing', 'none'],
        ['all', 'all'],
        ['some sectors', bySector(random)],
        ['other sectors', bySector(random)],
      ]
      for (const [left, fate] of fates) {
        const about = `FAULTS_SEED=${seed}, event ${index} of ${events.length}, ${left} of what was not synced`
        await look(disk.image(fate), acknowledged, about)
      }
    }
  }
}

describe.if(hasProgram('strace'))('a power cut', () => {
  let traced: Traced
  let relaxed: Traced
  beforeAll(async () => {
    console.log(`Power cuts by FAULTS_SEED=${seed}`)
    traced = await trace(REQUESTS)
    relaxed = await trace(6, { HIPFLASK_DURABILITY: 'normal' })
  }, 60_000)

  test('no answer to a write leaves before a sync that follows the last page written', () => {
    const { answers, unsynced, syncs } = countUnsynced(traced.events)
    console.log(`${answers} answers after ${syncs} syncs: several requests share a commit`)
    const told = new Set(traced.events.flatMap((event) => (isAnswer(event) ? wordsIn(event.bytes) : [])))
    expect(told).toEqual(traced.acknowledged)
    expect({ answers, unsynced }).toEqual({ answers: CLIENTS * REQUESTS, unsynced: 0 })
    // The log was copied into the database meanwhile, and begun anew.
    const first = traced.events.findIndex(isAnswer)
    expect(
      traced.events.slice(first).some((event) => event.kind === 'write' && event.path.endsWith('.db')),
    ).toBe(true)
  })

  test('the names of all files, and of the folder, are synced before the first answer', () => {
    const disk = createDisk()
    const syncedFolders = new Set<string>()
    for (const event of traced.events) {
      disk.apply(event)
      if (event.kind === 'sync') syncedFolders.add(event.path)
      if (isAnswer(event) && wordsIn(event.bytes).length > 0) break
    }
    expect(disk.unkept().filter((path) => path.includes('hipflask.db'))).toEqual([])
    expect(syncedFolders).toContain(traced.folder)
  })

  test('takes no acknowledged write, and leaves no half of one', async () => {
    let images = 0
    await cut(traced, CUTS, async (image, acknowledged, about) => {
      const { check, words, rows, total, half } = await readImage(image, traced.creations)
      const lost = [...acknowledged].filter((word) => !words.has(word))
      expect({ about, check, lost, half, total }).toEqual({
        about,
        check: 'ok',
        lost: [],
        half: [],
        total: rows,
      })
      images += 1
    })
    expect(images).toBe(4 * CUTS)
  }, 60_000)

  test('is no reason not to start', async () => {
    await cut(traced, 1, async (image, acknowledged, about) => {
      const folder = makeFolder()
      await writeImage(image, join(folder, 'data'))
      await using server = await startNotes({ folder, resources: NOTES })
      const words = new Set((await allNotes(server)).map(({ text }) => text.split(' ', 1)[0]))
      expect(
        [...acknowledged].filter((word) => !words.has(word)),
        about,
      ).toEqual([])
    })
  }, 60_000)

  // Which also shows that the proof above could fail.
  test('takes the last writes where HIPFLASK_DURABILITY is normal, but leaves a sound database', async () => {
    expect(countUnsynced(relaxed.events).unsynced).toBeGreaterThan(CLIENTS)
    let lost = 0
    await cut(relaxed, 6, async (image, acknowledged, about) => {
      const { check, words, rows, total, half } = await readImage(image, relaxed.creations)
      expect({ about, check, half, total }).toEqual({ about, check: 'ok', half: [], total: rows })
      lost += [...acknowledged].filter((word) => !words.has(word)).length
    })
    expect(lost).toBeGreaterThan(0)
  }, 60_000)
})
