// Several processes on one database: two servers and the commands beside them. Each is correct, no client is told of a
// lock, and nobody who only reads waits for one.
import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { makeFolder, runCommand, type RunningServer } from '../../support/executable.ts'
import { allNotes, note, randomBy, send, startNotes, statusOf, until } from '../../support/faults.ts'
import { ADMIN, PASSWORD, post } from '../../support/world.ts'
import { createWriter, type Writer } from '../../support/writers.ts'

const CLIENTS_OF_EACH = 6
const IMPORTED = 3000
const ADA = { email: 'ada@example.com', password: PASSWORD }
const ENV = { HIPFLASK_ADMIN_EMAIL: ADMIN.email, HIPFLASK_ADMIN_PASSWORD: ADMIN.password }
/** Of notes that the import brings; no client has this number. */
const IMPORTER = 99
/** Reads that must be answered while another program holds the lock: were one to wait for it, there would be one. */
const READS_MEANWHILE = 20
/** How long a write waits for a lock before it is refused (group-commit.ts). */
const WAIT_MS = 5000

describe('two servers on one database', () => {
  let folder: string
  let servers: [RunningServer, RunningServer]
  const start = () => startNotes({ folder, env: ENV })
  const each = () => servers.map((server) => server)

  beforeAll(async () => {
    folder = makeFolder()
    servers = [await start(), await start()]
    await post(servers[0], '/auth/register', { name: 'Ada', ...ADA })
  })
  afterAll(async () => {
    for (const server of servers) await server.stop('SIGKILL')
  })

  /** Runs `work` while clients write to and read from both; gives all statuses but 2xx. */
  async function underLoad(writers: readonly Writer[], work: () => Promise<unknown>): Promise<number[]> {
    let isOver = false
    const refused: number[] = []
    const writing = writers.map((writer, index) =>
      writer.write(servers[index % 2] as RunningServer, () => isOver),
    )
    const reading = each().map(async (server) => {
      while (!isOver) {
        for (const path of [
          '/api/notes/1',
          '/api/notes?limit=5&sort=-client',
          '/api/notes?q=filling&limit=1',
        ]) {
          const status = await statusOf(server, path)
          if (status !== 200 && status !== 404) refused.push(status ?? 0)
        }
      }
    })
    try {
      await work()
    } finally {
      isOver = true
    }
    await Promise.all(reading)
    return [...(await Promise.all(writing)).flat(), ...refused]
  }

  const createWriters = () =>
    Array.from({ length: 2 * CLIENTS_OF_EACH }, (_, client) => createWriter(client, randomBy(client)))

  test('and every command beside them, under load: all is done, nothing refused, the totals are right', async () => {
    const lines = Array.from({ length: IMPORTED }, (_, number) => JSON.stringify(note(IMPORTER, number)))
    await Bun.write(join(folder, 'more.ndjson'), lines.join('\n'))
    const commands = [
      ['import', 'notes', 'more.ndjson'],
      ['key', 'create', '--user', ADA.email, '--name', 'k', '--scopes', '*'],
      ['user', 'set-role', ADA.email, 'admin'],
      ['keys', 'rotate'],
      ['user', 'list'],
      ['export', 'notes'],
      ['backup', 'copy.db'],
      ['backup', 'verify', 'copy.db'],
      ['migrate', 'up'],
      ['key', 'list'],
    ]
    const tokens = await post(servers[0], '/auth/login', ADA)
    const writers = createWriters()
    const refused = await underLoad(writers, async () => {
      for (const args of commands) {
        const { exitCode, stderr } = await runCommand(args, { folder })
        expect({ args, exitCode, stderr: exitCode === 0 ? '' : stderr }).toEqual({
          args,
          exitCode: 0,
          stderr: '',
        })
      }
    })
    expect(refused).toEqual([])
    const [one, other] = [await allNotes(servers[0]), await allNotes(servers[1])]
    expect(one).toEqual(other)
    expect(writers.flatMap((writer) => writer.compare(one))).toEqual([])
    expect(one.filter(({ client }) => client === IMPORTER)).toHaveLength(IMPORTED)
    for (const server of servers) {
      expect((await send(server, '/api/notes'))?.body.total_items).toBe(one.length)
      const headers = { authorization: `Bearer ${tokens['access_token'] as string}` }
      expect((await send(server, '/auth/me', { headers }))?.body.role).toBe('admin')
    }
    const written = writers.reduce((sum, writer) => sum + writer.acknowledged(), 0)
    console.log(
      `${written} writes of ${writers.length} clients on two servers beside ${commands.length} commands`,
    )
  }, 60_000)

  test('of which one is killed under load: the other goes on, and nothing is lost', async () => {
    const writers = createWriters()
    const before = await allNotes(servers[0])
    for (const writer of writers) writer.compare(before)
    const refused = await underLoad(writers, async () => {
      for (let round = 0; round < 3; round++) {
        await Bun.sleep(300)
        await servers[1].kill()
        expect(await statusOf(servers[0], '/health/ready')).toBe(200)
        await Bun.sleep(200)
        servers[1] = await start()
      }
    })
    // A request to the killed one has no answer, which is 0 of a read.
    expect(refused.filter((status) => status !== 0)).toEqual([])
    const notes = await allNotes(servers[0])
    expect(writers.flatMap((writer) => writer.compare(notes))).toEqual([])
    expect((await send(servers[1], '/api/notes'))?.body.total_items).toBe(notes.length)
  }, 60_000)

  describe('while another program holds the lock', () => {
    /** Holds the lock until `work` is done. */
    async function locked<T>(work: () => Promise<T>): Promise<T> {
      using database = new Database(join(folder, 'data/hipflask.db'))
      await until('the lock is had', () => {
        try {
          database.run('BEGIN IMMEDIATE')
          return true
        } catch {
          return false
        }
      })
      try {
        return await work()
      } finally {
        database.run('ROLLBACK')
      }
    }

    test('reads are answered, writes wait and are done', async () => {
      const writes = await locked(async () => {
        const begun = each().map((server) => statusOf(server, '/api/notes', note(50, 1)))
        for (const server of servers) {
          for (let read = 0; read < READS_MEANWHILE; read++) {
            expect(await statusOf(server, '/api/notes?limit=3')).toBe(200)
          }
        }
        const first = await Promise.race([...begun, Bun.sleep(300).then(() => 'waiting')])
        expect(first).toBe('waiting')
        return begun
      })
      expect(await Promise.all(writes)).toEqual([201, 201])
    })

    test(`writes are refused after ${WAIT_MS} ms, with nothing stored, and reads are answered all the while`, async () => {
      const before = (await allNotes(servers[0])).length
      await locked(async () => {
        const write = send(servers[0], '/api/notes', { body: note(51, 1) })
        const login = send(servers[1], '/auth/login', { body: ADA })
        let reads = 0
        let isOver = false
        const reading = (async () => {
          while (!isOver) {
            expect(await statusOf(servers[0], '/api/notes/1?fields=id')).toBeOneOf([200, 404])
            reads += 1
            await Bun.sleep(20)
          }
        })()
        for (const answer of await Promise.all([write, login])) {
          const { status, headers, body } = answer ?? {}
          expect([status, headers?.get('retry-after'), body?.error.code]).toEqual([503, '1', 'unavailable'])
        }
        isOver = true
        await reading
        expect(reads).toBeGreaterThan(READS_MEANWHILE)
        const { exitCode, stderr } = await runCommand(['user', 'set-role', ADA.email, 'user'], { folder })
        expect([exitCode, stderr]).toEqual([1, expect.stringMatching(/is locked by another process/)])
      })
      expect((await allNotes(servers[1])).length).toBe(before)
      expect(await statusOf(servers[0], '/api/notes', note(51, 2))).toBe(201)
    }, 30_000)
  })
})
