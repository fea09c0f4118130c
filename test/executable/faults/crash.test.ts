// kill -9 at any moment, under clients that write: what was acknowledged is there after the next start, and what was not
// is there wholly or not at all. `bun run test:faults` kills more often than the tests of every day.
import { Database } from 'bun:sqlite'
import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'bun:test'
import { killWhileStarting, makeFolder } from '../../support/executable.ts'
import { NOTES, randomBy, send, startNotes, type Note } from '../../support/faults.ts'
import { createWriter, type Writer } from '../../support/writers.ts'

const KILLS = Number(process.env['FAULTS_KILLS'] ?? 20)
const SEED = Number(process.env['FAULTS_SEED'] ?? Date.now() % 1_000_000)
const CLIENTS = 16
/** After so many kills of one database another one is taken, so that it does not grow without end. */
const KILLS_OF_ONE = 20
const RUN_MS_MAX = 400
const READY_MS_MAX = 2000
const START_MS_MAX = 150
const INDEX = '"_hipflask_fts_notes$"'

/** Looks at a copy of what a killed process left, as SQLite itself finds it; gives the notes. */
function look(folder: string): Note[] {
  const copy = makeFolder()
  cpSync(join(folder, 'data'), copy, { recursive: true })
  using database = new Database(join(copy, 'hipflask.db'), { strict: true })
  const first = (sql: string) => database.query(sql).values()[0]?.[0]
  expect(first('PRAGMA integrity_check')).toBe('ok')
  expect(database.query('PRAGMA foreign_key_check').values()).toEqual([])
  const notes = database.query<Note, []>('SELECT id, client, number, size, text FROM notes').all()
  expect(first("SELECT total FROM _hipflask_totals WHERE name = 'notes'")).toBe(notes.length)
  // Compares the full-text index with the table; throws where they differ.
  database.run(`INSERT INTO ${INDEX} (${INDEX}, rank) VALUES ('integrity-check', 1)`)
  return notes
}

async function killOnce(folder: string, writers: readonly Writer[], random: () => number) {
  const from = performance.now()
  const server = await startNotes({ folder })
  const readyMs = performance.now() - from
  expect((await send(server, '/health/ready'))?.status).toBe(200)
  let isOver = false
  const writing = Promise.all(writers.map((writer) => writer.write(server, () => isOver)))
  const afterMs = 20 + random() * RUN_MS_MAX
  await Bun.sleep(afterMs)
  await server.kill()
  isOver = true
  expect((await writing).flat()).toEqual([])
  // A start is killed too, while it looks at what was left or makes tables.
  if (random() < 0.2) await killWhileStarting({ folder, resources: NOTES }, random() * START_MS_MAX)
  const notes = look(folder)
  expect(writers.flatMap((writer) => writer.compare(notes))).toEqual([])
  return { readyMs, notes: notes.length }
}

test(
  `${KILLS} kills lose no acknowledged write, and leave no half of one`,
  async () => {
    console.log(`Kills by FAULTS_SEED=${SEED}`)
    const random = randomBy(SEED)
    const ready: number[] = []
    let acknowledged = 0
    let most = 0
    for (let killed = 0; killed < KILLS;) {
      const folder = makeFolder()
      const writers = Array.from({ length: CLIENTS }, (_, client) =>
        createWriter(client, randomBy(SEED + killed * CLIENTS + client)),
      )
      for (let one = 0; one < KILLS_OF_ONE && killed < KILLS; one++, killed++) {
        const { readyMs, notes } = await killOnce(folder, writers, random)
        ready.push(readyMs)
        most = Math.max(most, notes)
      }
      acknowledged += writers.reduce((sum, writer) => sum + writer.acknowledged(), 0)
      await using server = await startNotes({ folder })
      const list = await send(server, '/api/notes')
      expect(list?.body.total_items).toBe(look(folder).length)
    }
    ready.sort((one, other) => one - other)
    const median = ready[Math.floor(ready.length / 2)] as number
    const slowest = ready.at(-1) as number
    console.log(
      `${KILLS} kills, ${acknowledged} acknowledged writes, 0 lost; up to ${most} notes; ready in ${Math.round(median)} ms, at most ${Math.round(slowest)} ms`,
    )
    // Of the slowest one the machine may be guilty.
    expect(median).toBeLessThan(READY_MS_MAX)
  },
  60_000 + KILLS * 5000,
)
