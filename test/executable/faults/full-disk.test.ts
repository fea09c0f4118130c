// A full disk, on a small one that the test mounts: writes and sign-ins are refused with 503, nothing of them is stored,
// reads and tokens go on, and everything works again when there is room, without a restart.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand, type RunningServer } from '../../support/executable.ts'
import {
  NOTES,
  allNotes,
  canMount,
  mountDisk,
  note,
  send,
  startNotes,
  statusOf,
  unmount,
} from '../../support/faults.ts'
import { ADMIN, PASSWORD, post } from '../../support/world.ts'

const CLIENTS = 8
/** What is left beside the ballast for the log to grow into. */
const ROOM_BYTES = 400 * 1024
/** So many refusals one after the other are taken for a full disk. */
const REFUSALS = 30
const ENV = { HIPFLASK_ADMIN_EMAIL: ADMIN.email, HIPFLASK_ADMIN_PASSWORD: ADMIN.password }
const ADA = { email: 'ada@example.com', password: PASSWORD }

/** Takes the room on the disk, but for so much. */
function fill(data: string, left: number): void {
  const { bavail, bsize } = statfsSync(data)
  writeFileSync(join(data, 'ballast'), Buffer.alloc(Math.max(0, bavail * bsize - left)))
}

const free = (data: string) => rmSync(join(data, 'ballast'))

/** Creates notes until the disk is full; gives the numbers of those that were acknowledged. */
async function writeUntilFull(server: RunningServer): Promise<string[]> {
  const acknowledged: string[] = []
  const clients = Array.from({ length: CLIENTS }, async (_, client) => {
    let refusals = 0
    for (let number = 0; refusals < REFUSALS; number++) {
      const size = 1 + (number % 3)
      const notes = Array.from({ length: size }, (_each, index) => note(client, number * 10 + index, size))
      const answer = await send(server, '/api/notes', { body: notes })
      if (answer?.status === 201) {
        refusals = 0
        acknowledged.push(...notes.map((one) => one.text))
      } else {
        refusals += 1
        const { status, headers, body } = answer ?? {}
        expect([status, headers?.get('retry-after'), body?.error.code]).toEqual([503, '1', 'unavailable'])
      }
    }
  })
  await Promise.all(clients)
  // What a refused commit has taken of the log is there for smaller ones.
  let refusals = 0
  for (let size = 0; refusals < REFUSALS; size++) {
    const { status } = (await send(server, '/api/notes/1', { method: 'PATCH', body: { size } })) ?? {}
    refusals = status === 200 ? 0 : refusals + 1
  }
  return acknowledged
}

const textsOf = async (server: RunningServer) => (await allNotes(server)).map(({ text }) => text).toSorted()

describe.if(canMount())('on a full disk', () => {
  let folder: string
  let data: string
  let server: RunningServer
  let acknowledged: string[]
  let tokens: { access_token: string; refresh_token: string }
  const bearer = () => ({ authorization: `Bearer ${tokens.access_token}` })

  beforeAll(async () => {
    ;({ folder, data } = mountDisk('6m'))
    server = await startNotes({ folder, env: ENV })
    await post(server, '/auth/register', { name: 'Ada', ...ADA })
    tokens = (await post(server, '/auth/login', ADA)) as unknown as typeof tokens
    fill(data, ROOM_BYTES)
    acknowledged = await writeUntilFull(server)
  }, 60_000)
  afterAll(async () => {
    await server?.stop('SIGKILL')
    unmount(data)
  })

  test('something was stored before, and nothing by halves', async () => {
    expect(acknowledged.length).toBeGreaterThan(CLIENTS)
    expect(await textsOf(server)).toEqual(acknowledged.toSorted())
    expect((await send(server, '/api/notes'))?.body.total_items).toBe(acknowledged.length)
  })

  test('no key is made, and the remedy is named', async () => {
    const more = join(data, 'more')
    const { bavail, bsize } = statfsSync(data)
    writeFileSync(more, Buffer.alloc(bavail * bsize))
    const keys = readdirSync(join(data, 'keys'))
    const { exitCode, stderr } = await runCommand(['keys', 'rotate'], { folder })
    rmSync(more)
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: expect.stringMatching(/^Key folder .* can't be written \(ENOSPC\); free space on its disk$/m),
    })
    expect(readdirSync(join(data, 'keys'))).toEqual(keys)
  })

  const refused: [string, string, string, () => unknown, Record<string, string>?][] = [
    ['a create', 'POST', '/api/notes', () => note(1, 1)],
    [
      'a create with an Idempotency-Key',
      'POST',
      '/api/notes',
      () => note(9, 9),
      { 'idempotency-key': 'one' },
    ],
    ['a patch', 'PATCH', '/api/notes/1', () => ({ size: 9 })],
    ['a delete', 'DELETE', '/api/notes/1', () => undefined],
    ['a login', 'POST', '/auth/login', () => ADA],
    ['a refresh', 'POST', '/auth/refresh', () => ({ refresh_token: tokens.refresh_token })],
    [
      'a registration',
      'POST',
      '/auth/register',
      () => ({ name: 'Bob', email: 'bob@example.com', password: PASSWORD }),
    ],
  ]
  for (const [what, method, path, body, headers] of refused) {
    test(`${what} is 503`, async () => {
      const answer = await send(server, path, { method, body: body(), ...(headers && { headers }) })
      const { status, headers: answered, body: told } = answer ?? {}
      expect([status, answered?.get('retry-after'), told?.error.code]).toEqual([503, '1', 'unavailable'])
    })
  }

  test('reads and tokens that were given out go on', async () => {
    expect(await statusOf(server, '/health/ready')).toBe(200)
    for (const path of ['/api/notes/1', '/api/notes?q=filling', '/api/notes?number[gte]=0&sort=-text'])
      expect((await send(server, path))?.status, path).toBe(200)
    expect((await send(server, '/auth/me', { headers: bearer() }))?.body.email).toBe(ADA.email)
    expect((await send(server, '/auth/sessions', { headers: bearer() }))?.status).toBe(200)
  })

  test('the log says once what to do', () => {
    const told = server.log().filter((line) => line.includes('cannot be written'))
    expect(told).toHaveLength(1)
    expect(told[0]).toContain('free space on its disk')
  })

  test('commands that write end with 1 and the reason, those that read do their work', async () => {
    writeFileSync(join(folder, 'more.ndjson'), `${JSON.stringify(note(7, 7))}\n`.repeat(3000))
    const writing = [
      ['import', 'notes', 'more.ndjson'],
      ['user', 'set-role', ADA.email, 'admin'],
    ]
    for (const args of writing) {
      const { exitCode, stdout, stderr } = await runCommand(args, { folder })
      expect({ args, exitCode, stdout, stderr }).toEqual({
        args,
        exitCode: 1,
        stdout: '',
        stderr: expect.stringMatching(/^Database .*hipflask\.db cannot grow: free space on its disk\n$/m),
      })
    }
    const exported = await runCommand(['export', 'notes'], { folder })
    expect(exported.stdout.trim().split('\n')).toHaveLength(acknowledged.length)
    expect(exported.exitCode).toBe(0)
    expect((await runCommand(['user', 'list'], { folder })).stdout).toContain(ADA.email)
    expect(readdirSync(data).filter((name) => /load|staging/.test(name))).toEqual([])
  })

  test('when there is room again everything works, without a restart', async () => {
    free(data)
    expect(await textsOf(server)).toEqual(acknowledged.toSorted())
    const created = await send(server, '/api/notes', {
      body: note(9, 9),
      headers: { 'idempotency-key': 'one' },
    })
    expect([created?.status, created?.headers.get('idempotency-replayed')]).toEqual([201, null])
    expect(await statusOf(server, '/auth/login', ADA)).toBe(200)
    expect(await statusOf(server, '/auth/refresh', { refresh_token: tokens.refresh_token })).toBe(200)
    expect((await send(server, '/api/notes'))?.body.total_items).toBe(acknowledged.length + 1)
    expect(await server.stop()).toBe(0)
    server = await startNotes({ folder, env: ENV })
    expect(await textsOf(server)).toHaveLength(acknowledged.length + 1)
  })

  test('after a kill a start is refused with the reason, or serves what there is; with room it serves all', async () => {
    fill(data, ROOM_BYTES)
    const more = await writeUntilFull(server)
    const count = acknowledged.length + 1 + more.length
    await server.kill()
    fill(data, 0)
    const start = await startNotes({ folder, env: ENV }).catch((error: unknown) => String(error))
    if (typeof start === 'string') expect(start).toMatch(/exit code 1\b[\s\S]*(free space|check its disk)/)
    else {
      expect(await allNotes(start)).toHaveLength(count)
      await start.stop()
    }
    free(data)
    server = await startNotes({ folder, env: ENV })
    expect(await allNotes(server)).toHaveLength(count)
    expect(existsSync(join(folder, 'resources', Object.keys(NOTES)[0] as string))).toBe(true)
  })
})
