// Files of the database that are deleted, moved or replaced under a running server: no write is acknowledged that
// nobody will find again, and no record of another file is answered.
import { describe, expect, test } from 'bun:test'
import { copyFileSync, existsSync, mkdirSync, renameSync, rmSync, truncateSync, utimesSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, runCommand, type RunningServer } from '../../support/executable.ts'
import { allNotes, note, send, startNotes, statusOf, wordOf } from '../../support/faults.ts'

const LONG_AGO_S = 1_700_000_000

/** A server that has acknowledged three notes, the last one when nothing in its folder had changed for long. */
async function startWritten(): Promise<{ server: RunningServer; data: string; path: string }> {
  const server = await startNotes({ folder: makeFolder() })
  const data = join(server.folder, 'data')
  for (let number = 0; number < 3; number++) {
    utimesSync(data, LONG_AGO_S, LONG_AGO_S)
    expect(await write(server, number)).toBe(201)
  }
  return { server, data, path: join(data, 'hipflask.db') }
}

const write = (server: RunningServer, number: number) => statusOf(server, '/api/notes', note(1, number))

const numbersOf = async (server: RunningServer) => (await allNotes(server)).map(({ number }) => number)

/** Another database of the same tables. */
async function makeOther(): Promise<string> {
  const server = await startNotes({ folder: makeFolder() })
  expect(await statusOf(server, '/api/notes', { ...note(1, 0), text: 'of another database' })).toBe(201)
  await server.stop()
  return join(server.folder, 'data/hipflask.db')
}

const told = (server: RunningServer, what: RegExp) => server.log().filter((line) => what.test(line))

describe('while serving, writes and readiness are 503 and the log says so once, after', () => {
  const changes: [string, (at: { data: string; path: string }) => void | Promise<void>][] = [
    ['the database was deleted', ({ path }) => rmSync(path)],
    ['the database was moved', ({ path }) => renameSync(path, `${path}.old`)],
    [
      'the database was replaced',
      async ({ path }) => {
        copyFileSync(await makeOther(), `${path}.new`)
        renameSync(`${path}.new`, path)
      },
    ],
    ['the data folder was moved', ({ data }) => renameSync(data, `${data}.old`)],
    ['the data folder was deleted', ({ data }) => rmSync(data, { recursive: true })],
    ['the log was deleted', ({ path }) => rmSync(`${path}-wal`)],
    ['the shared memory was deleted', ({ path }) => rmSync(`${path}-shm`)],
  ]
  for (const [what, change] of changes) {
    test(what, async () => {
      const { server, ...at } = await startWritten()
      await change(at)
      for (let round = 0; round < 2; round++) {
        const answer = await send(server, '/api/notes', { body: note(1, 9) })
        expect([answer?.status, answer?.body.error.code, answer?.headers.get('retry-after')]).toEqual([
          503,
          'unavailable',
          '1',
        ])
        expect(await statusOf(server, '/health/ready')).toBe(503)
        expect(await statusOf(server, '/health/live')).toBe(200)
      }
      // What was open is read on; a search opens the file by its name.
      expect((await send(server, '/api/notes/1'))?.body.number).toBe(0)
      expect(await statusOf(server, `/api/notes?q=${wordOf(1, 0)}`)).toBe(503)
      expect(told(server, /was deleted, moved or replaced while it is in use.*put it back/)).toHaveLength(1)
      expect(await server.stop()).toBe(0)
    })
  }
})

test('a database that is moved away takes all that was acknowledged with it, and goes on when it is back', async () => {
  const { server, data, path } = await startWritten()
  renameSync(path, `${path}.old`)
  expect(await write(server, 9)).toBe(503)
  const copy = join(makeFolder(), 'data')
  mkdirSync(copy)
  copyFileSync(`${path}.old`, join(copy, 'hipflask.db'))
  const other = await startNotes({ folder: join(copy, '..') })
  expect(await numbersOf(other)).toEqual([0, 1, 2])
  await other.stop()
  renameSync(`${path}.old`, path)
  expect(await statusOf(server, '/health/ready')).toBe(200)
  expect(await write(server, 3)).toBe(201)
  renameSync(path, join(data, 'again.db'))
  expect(await write(server, 9)).toBe(503)
  expect(told(server, /was deleted, moved or replaced/)).toHaveLength(2)
  renameSync(join(data, 'again.db'), path)
  await server.kill()
  const next = await startNotes({ folder: server.folder })
  expect(await numbersOf(next)).toEqual([0, 1, 2, 3])
  await next.stop()
})

test('a database that replaces another under a server that is killed has its own records alone', async () => {
  const { server, path } = await startWritten()
  copyFileSync(await makeOther(), `${path}.new`)
  renameSync(`${path}.new`, path)
  expect(await statusOf(server, '/health/ready')).toBe(503)
  await server.kill()
  const next = await startNotes({ folder: server.folder })
  expect((await allNotes(next)).map(({ text }) => text)).toEqual(['of another database'])
  await next.stop()
})

test('a database that is emptied is damaged: 503, and exit 3 at the next start', async () => {
  const { server: first, path } = await startWritten()
  // Else the log has all of it.
  await first.stop()
  const server = await startNotes({ folder: first.folder })
  truncateSync(path, 0)
  expect(await statusOf(server, `/api/notes?q=${wordOf(1, 0)}`)).toBe(503)
  expect(await write(server, 9)).toBe(503)
  expect(await statusOf(server, '/health/ready')).toBe(503)
  expect(told(server, /is damaged/)).toHaveLength(1)
  await server.stop()
  expect(existsSync(`${path}-damaged`)).toBe(true)
  const { exitCode, stderr } = await runCommand(['serve', '--port', '0'], { folder: server.folder })
  expect({ exitCode, stderr }).toEqual({ exitCode: 3, stderr: expect.stringMatching(/is damaged/) })
})
