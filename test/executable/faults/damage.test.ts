// A damaged file: found at the start it is told and left as it is, found while serving it is written no more. Wrong data
// is never answered as right.
import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { makeFolder, runCommand, type RunningServer } from '../../support/executable.ts'
import {
  allNotes,
  canMount,
  hasProgram,
  mountDisk,
  note,
  randomBy,
  remount,
  send,
  startNotes,
  statusOf,
  textOf,
  unmount,
  wordOf,
} from '../../support/faults.ts'

const PAGE = 4096
const COUNT = 400
const FILES = ['hipflask.db', 'hipflask.db-wal', 'hipflask.db-shm']

/** What a server leaves that was stopped, or killed. */
const left: Record<'stopped' | 'killed', string> = { stopped: '', killed: '' }
/** What one leaves that was killed on a copy, with as many notes of its own. */
const otherLogs: Buffer[] = []

beforeAll(async () => {
  for (const how of ['stopped', 'killed'] as const) {
    left[how] = makeFolder()
    const server = await startNotes({ folder: left[how] })
    for (let client = 0; client < COUNT / 100; client++) {
      const notes = Array.from({ length: 100 }, (_, index) => note(client, index))
      expect(await statusOf(server, '/api/notes', notes)).toBe(201)
    }
    await (how === 'stopped' ? server.stop() : server.kill())
  }
  otherLogs.push(await writeOtherLog('stopped'))
})

/** A copy of what was left, with its path to a file of the database. */
function copied(how: keyof typeof left): { folder: string; pathOf: (suffix?: string) => string } {
  const folder = makeFolder()
  Bun.spawnSync(['cp', '-a', `${left[how]}/.`, folder])
  return { folder, pathOf: (suffix = '') => join(folder, `data/hipflask.db${suffix}`) }
}

async function writeOtherLog(how: keyof typeof left): Promise<Buffer> {
  const { folder, pathOf } = copied(how)
  const server = await startNotes({ folder })
  for (let client = 0; client < COUNT / 100; client++) {
    const notes = Array.from({ length: 100 }, (_, index) => note(client + 10, index))
    expect(await statusOf(server, '/api/notes', notes)).toBe(201)
  }
  await server.kill()
  return readFileSync(pathOf('-wal'))
}

const bytesOf = (path: string) => (existsSync(path) ? readFileSync(path) : undefined)

/** Overwrites a page, counted from 0. */
function overwrite(path: string, page: number, byte: number): void {
  const bytes = readFileSync(path)
  bytes.fill(byte, page * PAGE, (page + 1) * PAGE)
  writeFileSync(path, bytes)
}

/** The page, counted from 0, that holds the text. */
function pageWith(path: string, text: string): number {
  return Math.floor(readFileSync(path).indexOf(text) / PAGE)
}

async function failToServe(folder: string): Promise<{ exitCode: number; stderr: string }> {
  const result = await runCommand(['serve', '--port', '0'], { folder })
  expect(result.stderr).not.toMatch(/\bat .+:\d+:\d+\)?$|bunfs|TypeError|SQLITE/m)
  return result
}

describe('at the start, exit 3 and a file that stays as it was, for', () => {
  const damages: [string, keyof typeof left, (pathOf: (suffix?: string) => string) => void, RegExp][] = [
    ['a file cut in the middle', 'stopped', (of) => truncateSync(of(), 10 * PAGE), /is damaged/],
    ['a file cut within its header', 'stopped', (of) => truncateSync(of(), 50), /is not a database/],
    ['an overwritten header', 'stopped', (of) => overwrite(of(), 0, 0), /is not a database/],
    ['another file', 'stopped', (of) => writeFileSync(of(), 'a text\n'.repeat(1000)), /is not a database/],
    ['the first page of a log', 'killed', (of) => overwrite(of('-wal'), 1, 0), /lost commits/],
    // Keys are made when there is a database.
    [
      'a file that was emptied',
      'stopped',
      (of) => truncateSync(of(), 0),
      /is damaged.*with its -wal and -shm/,
    ],
    [
      'an empty file beside what tells of damage',
      'stopped',
      (of) => {
        rmSync(join(of(), '../keys'), { recursive: true })
        truncateSync(of(), 0)
        writeFileSync(of('-damaged'), '')
      },
      /is damaged/,
    ],
    [
      'a file that is gone from beside its log',
      'killed',
      (of) => rmSync(of()),
      /is gone, and its log .*-wal is not/,
    ],
    ['a file that was emptied beside its log', 'killed', (of) => truncateSync(of(), 0), /is damaged/],
    ['a log that is gone', 'killed', (of) => rmSync(of('-wal')), /lost commits.*-wal/],
    ['a log that was emptied', 'killed', (of) => truncateSync(of('-wal'), 0), /lost commits/],
    [
      'a log of noise',
      'killed',
      (of) => writeFileSync(of('-wal'), Buffer.alloc(100_000, 'noise')),
      /lost commits/,
    ],
    ['a log with a page overwritten', 'killed', (of) => overwrite(of('-wal'), 9, 1), /lost commits/],
    [
      'the log of another database',
      'killed',
      (of) => writeFileSync(of('-wal'), otherLogs[0] as Buffer),
      /lost commits.*another/,
    ],
    ['a log cut in the middle', 'killed', (of) => truncateSync(of('-wal'), 20 * PAGE), /lost commits/],
  ]
  for (const [what, how, damage, message] of damages) {
    test(what, async () => {
      const { folder, pathOf } = copied(how)
      damage(pathOf)
      const before = ['', '-wal'].map((suffix) => bytesOf(pathOf(suffix)))
      const { exitCode, stderr } = await failToServe(folder)
      expect({ exitCode, stderr }).toEqual({ exitCode: 3, stderr: expect.stringMatching(message) })
      // Whoever restarts what failed is not to be served at the second time.
      expect(await failToServe(folder)).toMatchObject({ exitCode, stderr })
      expect(stderr.trim()).toMatch(/(restore|put it back|move it away).*$/)
      expect(['', '-wal'].map((suffix) => bytesOf(pathOf(suffix)))).toEqual(before)
    })
  }
})

test('a table that another program has dropped is exit 3 with the reason', async () => {
  const { folder, pathOf } = copied('stopped')
  using database = new Database(pathOf())
  database.run('DROP TABLE notes')
  database.close()
  const { exitCode, stderr } = await failToServe(folder)
  expect({ exitCode, stderr }).toEqual({
    exitCode: 3,
    stderr: expect.stringMatching(/another program has changed them: undo that, or restore a backup/),
  })
})

test('an empty file is left as it is by commands too', async () => {
  const { folder, pathOf } = copied('stopped')
  truncateSync(pathOf(), 0)
  const commands = [
    ['export', 'notes'],
    ['user', 'list'],
    ['backup', 'a.db'],
    ['migrate', 'status'],
    ['migrate', 'up'],
  ]
  for (const command of commands) {
    const { exitCode } = await runCommand(command, { folder })
    expect([command, exitCode]).not.toEqual([command, 0])
    expect([command, readFileSync(pathOf()).length]).toEqual([command, 0])
  }
  rmSync(join(folder, 'data/keys'), { recursive: true })
  // The last one is asked to set it up.
  for (const command of commands.slice(0, -1)) {
    const { exitCode } = await runCommand(command, { folder })
    expect([command, exitCode === 0]).toEqual([command, command[0] === 'migrate'])
    expect([command, readFileSync(pathOf()).length]).toEqual([command, 0])
  }
})

test('a new database, or a restored one, takes away what told of the damage of the former', async () => {
  const { folder, pathOf } = copied('stopped')
  expect((await runCommand(['backup', 'a.db'], { folder })).exitCode).toBe(0)
  rmSync(pathOf())
  writeFileSync(pathOf('-damaged'), '')
  await (await startNotes({ folder })).stop()
  expect(existsSync(pathOf('-damaged'))).toBe(false)
  truncateSync(pathOf(), 0)
  writeFileSync(pathOf('-damaged'), '')
  expect((await failToServe(folder)).exitCode).toBe(3)
  expect((await runCommand(['restore', 'a.db'], { folder })).exitCode).toBe(0)
  expect(existsSync(pathOf('-damaged'))).toBe(false)
  await using server = await startNotes({ folder })
  expect(await allNotes(server)).toHaveLength(COUNT)
})

describe('exit 1 with the reason, in the place of the database, for', () => {
  const places: [string, (path: string) => void][] = [
    ['a pipe', (path) => void Bun.spawnSync(['mkfifo', path])],
    ['a folder', (path) => mkdirSync(path)],
    ['a device', (path) => symlinkSync('/dev/zero', path)],
    ['a link to nothing', (path) => symlinkSync('/nowhere/hipflask.db', path)],
  ]
  let sound: string
  beforeAll(async () => {
    const { folder } = copied('stopped')
    sound = join(folder, 'a.db')
    expect((await runCommand(['backup', 'a.db'], { folder })).exitCode).toBe(0)
  })
  test.each(places)('%s', async (what, place) => {
    const folder = makeFolder()
    mkdirSync(join(folder, 'data'))
    place(join(folder, 'data/hipflask.db'))
    const { exitCode, stderr } = await failToServe(folder)
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: expect.stringMatching(/is no file: move it/),
    })
    if (what !== 'a pipe') return
    const restored = await runCommand(['restore', sound], { folder })
    expect(restored).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/is no file: move it/) })
  })
})

test('after a kill the whole file is read: a page that was damaged meanwhile is exit 3', async () => {
  const { folder, pathOf } = copied('stopped')
  const server = await startNotes({ folder })
  expect(await statusOf(server, '/api/notes', note(9, 1))).toBe(201)
  await server.kill()
  overwrite(pathOf(), pageWith(pathOf(), textOf(2, 50)), 0)
  const before = readFileSync(pathOf())
  const { exitCode, stderr } = await failToServe(folder)
  expect({ exitCode, stderr }).toEqual({ exitCode: 3, stderr: expect.stringMatching(/is damaged/) })
  expect(readFileSync(pathOf()).equals(before)).toBe(true)
})

describe('it starts, with all that was acknowledged', () => {
  test('after a kill, also where half a frame follows the log', async () => {
    const { folder, pathOf } = copied('killed')
    writeFileSync(pathOf('-wal'), Buffer.concat([readFileSync(pathOf('-wal')), Buffer.alloc(1000, 'x')]))
    await using server = await startNotes({ folder })
    expect(await allNotes(server)).toHaveLength(COUNT)
  })

  test('after a kill and the loss of the shared memory, which a power cut takes', async () => {
    const { folder, pathOf } = copied('killed')
    rmSync(pathOf('-shm'))
    await using server = await startNotes({ folder })
    expect(await allNotes(server)).toHaveLength(COUNT)
  })

  test('after a power cut took of a log that is not synced, by HIPFLASK_DURABILITY', async () => {
    const { folder, pathOf } = copied('killed')
    truncateSync(pathOf('-wal'), 20 * PAGE)
    await using server = await startNotes({ folder, env: { HIPFLASK_DURABILITY: 'normal' } })
    expect((await allNotes(server)).length).toBeLessThan(COUNT)
  })

  test('without the commits of a lost log, once its owner has said so', async () => {
    const { folder, pathOf } = copied('killed')
    rmSync(pathOf('-wal'))
    rmSync(pathOf('-shm'))
    await using server = await startNotes({ folder })
    expect((await allNotes(server)).length).toBeLessThan(COUNT)
  })
})

describe('a page that is found damaged while serving', () => {
  let folder: string
  let pathOf: (suffix?: string) => string
  let server: RunningServer
  let lost: number
  beforeAll(async () => {
    ;({ folder, pathOf } = copied('stopped'))
    const page = pageWith(pathOf(), textOf(2, 50))
    overwrite(pathOf(), page, 0)
    server = await startNotes({ folder })
    lost = 2 * 100 + 51
  })
  afterAll(() => server.stop())

  test('is 503, and from then on so are writes and readiness, while other pages are answered', async () => {
    expect(await statusOf(server, '/health/ready')).toBe(200)
    expect(await statusOf(server, '/api/notes', note(9, 1))).toBe(201)
    const met = await send(server, `/api/notes/${lost}`)
    expect([met?.status, met?.body.error.code, met?.headers.get('retry-after')]).toEqual([
      503,
      'unavailable',
      '1',
    ])
    expect(await statusOf(server, '/health/ready')).toBe(503)
    expect(await statusOf(server, '/health/live')).toBe(200)
    for (const method of ['POST', 'PATCH', 'DELETE']) {
      const path = method === 'POST' ? '/api/notes' : '/api/notes/1'
      const body = method === 'DELETE' ? undefined : note(9, 2)
      expect((await send(server, path, { method, body }))?.status).toBe(503)
    }
    expect((await send(server, '/api/notes/1'))?.body.text).toBe(textOf(0, 0))
    expect((await send(server, `/api/notes/${COUNT + 1}`))?.body.text).toBe(textOf(9, 1))
  })

  test('is told once in the log, with the remedy', async () => {
    await statusOf(server, `/api/notes/${lost}`)
    const told = server.log().filter((line) => line.includes('is damaged'))
    expect(told).toHaveLength(1)
    expect(JSON.parse(told[0] as string)).toMatchObject({
      level: 'error',
      message: expect.stringMatching(/hipflask\.db is damaged: .*restore a backup/),
    })
  })

  test('makes the next start read the whole file, which refuses it until a sound one is put in its place', async () => {
    expect(await server.stop()).toBe(0)
    const before = readFileSync(pathOf())
    const { exitCode, stderr } = await failToServe(folder)
    expect({ exitCode, stderr }).toEqual({ exitCode: 3, stderr: expect.stringMatching(/is damaged/) })
    expect(readFileSync(pathOf()).equals(before)).toBe(true)
    copyFileSync(join(left.stopped, 'data/hipflask.db'), pathOf())
    server = await startNotes({ folder })
    expect(await allNotes(server)).toHaveLength(COUNT)
    expect(readdirSync(join(folder, 'data')).filter((name) => !FILES.includes(name))).toEqual(['keys'])
  })
})

describe('a page of a long text that was zeroed, which SQLite does not notice', () => {
  let folder: string
  let server: RunningServer
  beforeAll(async () => {
    folder = makeFolder()
    const before = await startNotes({ folder })
    const long = { ...note(1, 1), text: `long ${'…'.repeat(1_900)}<last>` }
    for (const body of [note(1, 0), long]) {
      expect((await send(before, '/api/notes', { body }))?.status).toBe(201)
    }
    await before.stop()
    const path = join(folder, 'data/hipflask.db')
    overwrite(path, pageWith(path, '<last>'), 0)
    server = await startNotes({ folder })
  })
  afterAll(() => server.stop())

  test('is 503 by id and in a list, and nothing is written any more', async () => {
    expect(await statusOf(server, '/api/notes', note(1, 2))).toBe(201)
    for (const path of ['/api/notes/2', '/api/notes', '/api/notes?q=long']) {
      expect((await send(server, path))?.body).toMatchObject({ error: { code: 'unavailable' } })
    }
    expect((await send(server, '/api/notes/1'))?.body.text).toBe(textOf(1, 0))
    expect(await statusOf(server, '/health/ready')).toBe(503)
    expect(await statusOf(server, '/api/notes', note(1, 3))).toBe(503)
    expect(server.log().filter((line) => line.includes('is damaged'))).toHaveLength(1)
  })

  test('ends an export with exit code 3 and the remedy', async () => {
    await server.stop()
    const { exitCode, stderr } = await runCommand(['export', 'notes'], { folder })
    expect({ exitCode, stderr }).toEqual({
      exitCode: 3,
      stderr: expect.stringMatching(/^Database .*hipflask\.db is damaged: restore a backup/),
    })
  })
})

test('a command that meets a damaged page ends with exit code 3 and the remedy', async () => {
  const { folder, pathOf } = copied('stopped')
  overwrite(pathOf(), pageWith(pathOf(), textOf(2, 50)), 0)
  const { exitCode, stderr } = await runCommand(['export', 'notes'], { folder })
  expect({ exitCode, stderr }).toEqual({
    exitCode: 3,
    stderr: expect.stringMatching(/^Database .*hipflask\.db is damaged: restore a backup/),
  })
})

test('whichever page is overwritten, the server does not start or answers what was written, or 503', async () => {
  const seed = Number(process.env['FAULTS_SEED'] ?? Date.now() % 1_000_000)
  console.log(`Pages by FAULTS_SEED=${seed}`)
  const random = randomBy(seed)
  const pages = readFileSync(join(left.stopped, 'data/hipflask.db')).length / PAGE
  const outcomes: Record<string, number> = {}
  for (let round = 0; round < 10; round++) {
    const { folder, pathOf } = copied('stopped')
    const page = Math.floor(random() * pages)
    const about = `page ${page} of ${pages}`
    overwrite(pathOf(), page, random() < 0.5 ? 0 : 0xff)
    const server = await startNotes({ folder }).catch((error: unknown) => String(error))
    if (typeof server === 'string') {
      expect(server, about).toMatch(/exit code 3\b[\s\S]*(is damaged|is not a database)/)
      outcomes['refused'] = (outcomes['refused'] ?? 0) + 1
      continue
    }
    const paths = Array.from({ length: 20 }, (_, index) => [index % 4, Math.floor(random() * 100)] as const)
    for (const [client, number] of paths) {
      for (const path of [
        `/api/notes/${client * 100 + number + 1}`,
        `/api/notes?q=${wordOf(client, number)}`,
      ]) {
        const answer = await send(server, path)
        const found = path.includes('?') ? answer?.body.data?.[0]?.text : answer?.body.text
        const isRight = answer?.status === 200 && found === textOf(client, number)
        expect(
          isRight || answer?.status === 503 ? 'right' : `${about}: ${JSON.stringify(answer?.body)}`,
        ).toBe('right')
        outcomes[`${answer?.status}`] = (outcomes[`${answer?.status}`] ?? 0) + 1
      }
    }
    // At its end it looks at pages that no request needed.
    const exitCode = await server.stop()
    if (exitCode !== 0)
      expect([exitCode, server.log().join('\n')]).toEqual([3, expect.stringMatching(/is damaged/)])
  }
  console.log(outcomes)
}, 60_000)

describe.if(canMount())('a file system that may only be read', () => {
  test('is exit 1 with its reason, and nothing is changed', async () => {
    const { folder, data } = mountDisk('8m')
    const server = await startNotes({ folder })
    expect(await statusOf(server, '/api/notes', note(1, 1))).toBe(201)
    await server.stop()
    const before = readFileSync(join(data, 'hipflask.db'))
    remount(data, 'ro')
    const { exitCode, stderr } = await failToServe(folder)
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: expect.stringMatching(/cannot be used \(EROFS\)/),
    })
    const rotated = await runCommand(['keys', 'rotate'], { folder })
    expect(rotated).toMatchObject({
      exitCode: 1,
      stderr: expect.stringMatching(
        /^Key folder .*keys can't be written \(EROFS\); its file system may only/,
      ),
    })
    expect(readFileSync(join(data, 'hipflask.db')).equals(before)).toBe(true)
    unmount(data)
  })
})

describe.if(hasProgram('strace'))('a disk that fails', () => {
  /** Runs it so that these calls fail, counted from the first; where `path` is given, those on that file. */
  const failing = (calls: string, error: string, when: string, path?: string) => {
    const inject = `inject=${calls}:error=${error}:when=${when}`
    const quiet = ['-D', '-f', '-q', '-o', '/dev/null', '-e', `trace=${calls}`, '-e', inject]
    return ['strace', ...quiet, ...(path === undefined ? [] : ['-P', path])]
  }

  // The start has had its own calls by then.
  const writing: [string, string, string, string, RegExp][] = [
    ['to sync', 'fsync,fdatasync', 'EIO', '20..22', /check its disk/],
    ['since it may only be read', 'pwrite64', 'EROFS', '500..503', /check its disk/],
    ['since there is no room', 'pwrite64', 'ENOSPC', '500..503', /free space/],
    ['since the quota is used up', 'pwrite64', 'EDQUOT', '500..503', /check its disk/],
  ]
  for (const [what, calls, error, when, remedy] of writing) {
    test(`${what} is 503 for the write, nothing of it is seen, and it goes on when the disk does`, async () => {
      await using server = await startNotes({ under: failing(calls, error, when) })
      const acknowledged: number[] = []
      let refused = 0
      for (let number = 0; number < 60; number++) {
        const answer = await send(server, '/api/notes', { body: note(1, number) })
        if (answer?.status === 201) acknowledged.push(number)
        else {
          expect([answer?.status, answer?.headers.get('retry-after')]).toEqual([503, '1'])
          refused += 1
          // A full disk is known to be one; of others nobody knows.
          expect(await statusOf(server, '/health/ready')).toBe(error === 'ENOSPC' ? 200 : 503)
          expect(await statusOf(server, '/api/notes')).toBe(200)
        }
      }
      expect(refused).toBeWithin(1, 5)
      expect(await statusOf(server, '/health/ready')).toBe(200)
      expect((await allNotes(server)).map(({ number }) => number)).toEqual(acknowledged)
      expect((await send(server, '/api/notes'))?.body.total_items).toBe(acknowledged.length)
      const told = server.log().filter((line) => line.includes('cannot be written'))
      expect(told).toEqual([expect.stringMatching(remedy)])
    })
  }

  test('to read is 503, and from then on nothing is written', async () => {
    const { folder, pathOf } = copied('stopped')
    await using server = await startNotes({ folder, under: failing('pread64', 'EIO', '40+', pathOf()) })
    let id = 1
    while (id <= COUNT && (await statusOf(server, `/api/notes/${id}`)) === 200) id += 1
    expect((await send(server, `/api/notes/${id}`))?.body.error.code).toBe('unavailable')
    expect(await statusOf(server, '/health/ready')).toBe(503)
    expect(await statusOf(server, '/api/notes', note(9, 1))).toBe(503)
    expect((await send(server, '/api/notes/1'))?.body.text).toBe(textOf(0, 0))
    expect(server.log().filter((line) => line.includes('is damaged'))).toHaveLength(1)
  })

  test('at the start is exit 1 with its reason', async () => {
    const under = failing('fsync,fdatasync', 'EIO', '3+')
    const { exitCode, stderr } = await runCommand(['serve', '--port', '0'], { folder: makeFolder(), under })
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringMatching(/check its disk/) })
  })
})
