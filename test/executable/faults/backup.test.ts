// Backups as an operator makes and uses them: taken while clients write, looked at, put back, and all that must be
// refused.
import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import {
  appendFileSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fillLarge, NOTES, readNotes, signUp, useCredentials, writeNote } from '../../support/backed-up.ts'
import { makeFolder, runCommand, startServer, type RunningServer } from '../../support/executable.ts'

const CLIENTS = 8
const BACKUPS = 3

describe('a backup under load', () => {
  test('has of each client a prefix of its acknowledged writes, and no write fails for it', async () => {
    const folder = makeFolder()
    const server = await startServer({ folder, resources: NOTES })
    let isOver = false
    /** How many writes of each client are acknowledged. */
    const acknowledged = Array.from({ length: CLIENTS }, () => 0)
    const clients = acknowledged.map(async (_, client) => {
      while (!isOver) {
        const number = acknowledged[client]!
        expect(await writeNote(server, { client, number, text: `word${number} of ${client}` })).toBe(201)
        acknowledged[client] = number + 1
      }
    })
    const bounds: { before: number[]; after: number[] }[] = []
    for (let at = 0; at < BACKUPS; at++) {
      await Bun.sleep(150)
      const before = [...acknowledged]
      const { exitCode, stderr } = await runCommand(['backup', `b${at}.db`], { folder })
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
      bounds.push({ before, after: [...acknowledged] })
    }
    isOver = true
    await Promise.all(clients)
    expect(await server.stop()).toBe(0)
    expect(readdirSync(join(folder, 'data')).sort()).toEqual(['hipflask.db', 'keys'])

    for (const [at, { before, after }] of bounds.entries()) {
      const file = join(folder, `b${at}.db`)
      expect(statSync(file).mode & 0o777).toBe(0o600)
      // Any SQLite tool opens it, whatever follows the database.
      using database = new Database(file, { readonly: true })
      expect(database.query('PRAGMA integrity_check').values()).toEqual([['ok']])
      for (let client = 0; client < CLIENTS; client++) {
        const numbers = database
          .query<{ number: number }, [number]>('SELECT number FROM notes WHERE client = ? ORDER BY number')
          .all(client)
          .map(({ number }) => number)
        expect(numbers).toEqual(Array.from(numbers, (_, number) => number))
        expect(numbers.length).toBeGreaterThanOrEqual(before[client]!)
        // One more may be stored whose answer is on its way.
        expect(numbers.length).toBeLessThanOrEqual(after[client]! + 1)
      }
      expect(before.every((count) => count > 0)).toBe(true)
    }
  })
})

describe('the drill: back up, lose everything, restore, serve', () => {
  test('the same records, totals, search, access token, API key and refresh token', async () => {
    const folder = makeFolder()
    const first = await startServer({ folder, resources: NOTES })
    const credentials = await signUp(first)
    for (let number = 0; number < 25; number++)
      await writeNote(first, { client: 1, number, text: `word${number}` })
    await first.fetch('/api/notes/7', { method: 'DELETE' })
    const stored = await readNotes(first)
    expect(await runCommand(['backup', 'all.db'], { folder })).toMatchObject({ exitCode: 0, stderr: '' })
    await writeNote(first, { client: 2, number: 0, text: 'later' })
    await first.kill()
    rmSync(join(folder, 'data'), { recursive: true })

    const restored = await runCommand(['restore', 'all.db', '--json'], { folder })
    expect(restored).toMatchObject({ exitCode: 0, stderr: '' })
    expect(JSON.parse(restored.stdout)).toMatchObject({
      kept: null,
      keys_added: [expect.stringMatching(/\.pem$/)],
    })
    expect(modesOf(join(folder, 'data'))).toEqual({ '.': 0o700, 'hipflask.db': 0o600, keys: 0o700 })

    await using second = await startServer({ folder })
    expect(await readNotes(second)).toEqual(stored)
    expect(stored).toMatchObject({ total: 24, notes: { length: 24 } })
    const found = await second.fetch('/api/notes?q=word9')
    expect(await found.json()).toMatchObject({ data: [{ number: 9 }], total_items: 1 })
    expect(await useCredentials(second, credentials)).toEqual([200, 200, 200])
    // The id of the record that was deleted last is not given again.
    await writeNote(second, { client: 3, number: 0, text: 'next' })
    expect((await readNotes(second)).notes.at(-1)!.id).toBe(26)
  })

  test('--end-sessions leaves the sessions out, and no trace of them in the file', async () => {
    const folder = makeFolder()
    const first = await startServer({ folder, resources: NOTES })
    const credentials = await signUp(first)
    await runCommand(['backup', 'all.db'], { folder })
    await first.stop()
    const ended = await runCommand(['restore', 'all.db', '--force', '--end-sessions'], { folder })
    expect(ended).toMatchObject({ exitCode: 0, stderr: '' })
    await using second = await startServer({ folder })
    expect(await useCredentials(second, credentials)).toEqual([401, 200, 401])
  })

  test('keys that were made since the backup stay, those of the backup are added', async () => {
    const folder = makeFolder()
    const first = await startServer({ folder, resources: NOTES })
    const credentials = await signUp(first)
    await runCommand(['backup', 'all.db'], { folder })
    await first.stop()
    const [old] = readdirSync(join(folder, 'data/keys'))
    await runCommand(['keys', 'rotate'], { folder })
    rmSync(join(folder, 'data/keys', old!))
    const [made] = readdirSync(join(folder, 'data/keys'))
    const { stdout } = await runCommand(['restore', 'all.db', '--force', '--json'], { folder })
    expect(JSON.parse(stdout)).toMatchObject({ keys_added: [old] })
    expect(readdirSync(join(folder, 'data/keys')).sort()).toEqual([old!, made!].sort())
    expect(statSync(join(folder, 'data/keys', old!)).mode & 0o777).toBe(0o600)
    await using second = await startServer({ folder })
    expect((await useCredentials(second, credentials))[0]).toBe(200)
  })
})

describe('hipflask backup FILE', () => {
  test('never goes over a file, nor over a folder or a link', async () => {
    const folder = await filledFolder()
    writeFileSync(join(folder, 'mine.db'), 'mine')
    mkdirSync(join(folder, 'folder.db'))
    for (const name of ['mine.db', 'folder.db']) {
      const { exitCode, stderr } = await runCommand(['backup', name], { folder })
      expect(exitCode).toBe(1)
      expect(stderr).toContain(`${name} exists already`)
    }
    expect(readFileSync(join(folder, 'mine.db'), 'utf8')).toBe('mine')
    expect(readdirSync(folder).filter((name) => name.includes('unfinished'))).toEqual([])
  })

  const faults: [what: string, args: string[], exitCode: number, message: RegExp][] = [
    ['a folder that is not there', ['backup', 'no/such.db'], 1, /^Folder .*no does not exist: make it\n$/],
    ['no database', ['backup', 'x.db', '--data', 'elsewhere'], 1, /^There is no database in elsewhere/],
    ['a database in memory', ['backup', 'x.db', '--data', ':memory:'], 1, /in memory/],
    ['two files', ['backup', 'a.db', 'b.db'], 2, /an argument too many/],
    ['a time with a file', ['backup', 'a.db', '--at', '2026-01-01T00:00:00Z'], 2, /--at is for/],
    ['a time that is none', ['backup', '--at', '2026-13-01T00:00:00Z'], 2, /--at must be a time/],
    ['nothing to verify', ['backup', 'verify'], 2, /^File is missing/],
    ['a bucket without keys', ['backup', 's3://bucket/x.db'], 1, /HIPFLASK_BACKUP_S3_ACCESS_KEY_ID/],
    ['a bucket without a key', ['backup', 's3://bucket'], 2, /s3:\/\/bucket\/key/],
  ]
  test.each(faults)('refuses %s', async (_, args, exitCode, message) => {
    const folder = await filledFolder()
    const result = await runCommand(args, { folder })
    expect(result).toMatchObject({ exitCode, stdout: '' })
    expect(result.stderr).toMatch(message)
    expect(readdirSync(folder).sort()).toEqual(['data', 'resources'])
  })

  test('refuses a damaged database with exit code 3, and leaves it and no file', async () => {
    const folder = await filledFolder()
    const path = join(folder, 'data/hipflask.db')
    const bytes = readFileSync(path)
    // Every page but the first: whatever the copy reads is wrong.
    bytes.fill(0xff, 4096)
    writeFileSync(path, bytes)
    const { exitCode, stderr } = await runCommand(['backup', 'x.db'], { folder })
    expect({ exitCode, stderr: stderr.trim() }).toEqual({
      exitCode: 3,
      stderr: expect.stringContaining('is damaged'),
    })
    expect(readdirSync(folder).sort()).toEqual(['data', 'resources'])
    expect(readFileSync(path).equals(bytes)).toBe(true)
  })

  test('says that the disk is full, and leaves nothing behind', async () => {
    const folder = await filledFolder(4000)
    const disk = join(folder, 'disk')
    mkdirSync(disk)
    const mounted = Bun.spawnSync(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk])
    if (mounted.exitCode !== 0) return console.log('Skipped: this user may not mount a small disk')
    try {
      const { exitCode, stderr } = await runCommand(['backup', 'disk/x.db'], { folder })
      expect(exitCode).toBe(1)
      expect(stderr).toMatch(/disk\/x\.db cannot be written: free space on its disk/)
      expect(readdirSync(disk)).toEqual([])
    } finally {
      Bun.spawnSync(['umount', disk])
    }
  })
})

describe('hipflask backup verify', () => {
  test('finds a bit that is wrong anywhere, what was cut off and what was added', async () => {
    const folder = await filledFolder(50)
    await runCommand(['backup', 'good.db'], { folder })
    const good = readFileSync(join(folder, 'good.db'))
    const verify = () => runCommand(['backup', 'verify', 'bad.db'], { folder })
    writeFileSync(join(folder, 'bad.db'), good)
    expect(await verify()).toMatchObject({ exitCode: 0, stderr: '' })
    const places = [0, 18, 60, 63, 68, 100, 4095, Math.floor(good.length / 2), good.length - 600]
    // The whole of the last lines: notes, size, checksum, line end.
    for (let at = good.length - 114; at < good.length; at += 8) places.push(at)
    places.push(good.length - 66, good.length - 65, good.length - 2, good.length - 1)
    for (const [round, at] of places.entries()) {
      const bad = Buffer.from(good)
      bad[at]! ^= 1 << (round % 8)
      writeFileSync(join(folder, 'bad.db'), bad)
      expect({ at, exitCode: (await verify()).exitCode }).toEqual({ at, exitCode: 3 })
    }
    for (const size of [0, 99, 4096, good.length - 114, good.length - 1]) {
      writeFileSync(join(folder, 'bad.db'), good)
      truncateSync(join(folder, 'bad.db'), size)
      expect({ size, exitCode: (await verify()).exitCode }).toEqual({ size, exitCode: 3 })
    }
    for (const more of ['\n', 'x', good.subarray(-114).toString(), good]) {
      writeFileSync(join(folder, 'bad.db'), good)
      appendFileSync(join(folder, 'bad.db'), more)
      expect((await verify()).exitCode).toBe(3)
    }
    const { exitCode, stdout } = await runCommand(['backup', 'verify', 'bad.db', '--json'], { folder })
    expect(exitCode).toBe(3)
    expect(JSON.parse(stdout)).toEqual({
      file: 'bad.db',
      ok: false,
      problem: expect.stringMatching(/damaged|end/),
    })
  })

  test('the checksum is the one that the README tells how to make', async () => {
    const folder = await filledFolder()
    const { stdout } = await runCommand(['backup', 'good.db', '--json'], { folder })
    const good = readFileSync(join(folder, 'good.db'))
    const sha256 = new Bun.CryptoHasher('sha256').update(good.subarray(0, -65)).digest('hex')
    expect(JSON.parse(stdout)).toMatchObject({ sha256, bytes: good.length })
    expect(good.subarray(-65).toString()).toBe(`${sha256}\n`)
  })
})

describe('hipflask restore', () => {
  test('refuses while a server works on the database, also one whose first page is gone', async () => {
    const folder = makeFolder()
    await using server = await startServer({ folder, resources: NOTES })
    await writeNote(server, { client: 1, number: 1, text: 'one' })
    await runCommand(['backup', 'good.db'], { folder })
    const refused = async () => {
      const { exitCode, stderr } = await runCommand(['restore', 'good.db', '--force'], { folder })
      expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining('is in use') })
      expect(readdirSync(join(folder, 'data')).sort()).toEqual([
        'hipflask.db',
        'hipflask.db-shm',
        'hipflask.db-wal',
        'keys',
      ])
    }
    await refused()
    expect(await writeNote(server, { client: 1, number: 2, text: 'two' })).toBe(201)
    const bytes = readFileSync(join(folder, 'data/hipflask.db'))
    writeFileSync(join(folder, 'data/hipflask.db'), bytes.fill(0, 0, 100))
    await refused()
  })

  test('takes --force where there is a database, and keeps that one with all that is in it', async () => {
    const folder = makeFolder()
    const server = await startServer({ folder, resources: NOTES })
    await writeNote(server, { client: 1, number: 1, text: 'one' })
    await runCommand(['backup', 'good.db'], { folder })
    await writeNote(server, { client: 1, number: 2, text: 'two' })
    // Its log is not in the database yet.
    await server.kill()
    expect(await runCommand(['restore', 'good.db'], { folder })).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('--force'),
    })
    const { stdout } = await runCommand(['restore', 'good.db', '--force', '--json'], { folder })
    const { kept } = JSON.parse(stdout) as { kept: string }
    expect(kept).toMatch(/^data\/hipflask\.db\.before-restore-\d{8}T\d{6}Z$/)
    using old = new Database(join(folder, kept), { readonly: true })
    expect(old.query('SELECT number FROM notes ORDER BY id').values()).toEqual([[1], [2]])
    await using again = await startServer({ folder })
    expect((await readNotes(again)).notes.map(({ number }) => number)).toEqual([1])
  })

  test('replaces a database that is beyond repair, whose log it must not take over', async () => {
    const folder = makeFolder()
    const server = await startServer({ folder, resources: NOTES })
    await writeNote(server, { client: 1, number: 1, text: 'one' })
    await runCommand(['backup', 'good.db'], { folder })
    await writeNote(server, { client: 1, number: 2, text: 'two' })
    await server.kill()
    const path = join(folder, 'data/hipflask.db')
    const log = readFileSync(`${path}-wal`)
    // Else SQLite takes the first page from the log.
    log.fill(0xff, 0, 32)
    writeFileSync(`${path}-wal`, log)
    writeFileSync(path, readFileSync(path).fill(0xff, 0, 100))
    // What a server leaves that has met damage.
    writeFileSync(`${path}-damaged`, '')
    const { exitCode, stdout, stderr } = await runCommand(['restore', 'good.db', '--force', '--json'], {
      folder,
    })
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    const { kept } = JSON.parse(stdout) as { kept: string }
    expect(readFileSync(join(folder, kept)).subarray(0, 100)).toEqual(Buffer.alloc(100, 0xff))
    expect(readFileSync(join(folder, `${kept}-wal`)).equals(log)).toBe(true)
    expect(existsSync(`${path}-damaged`)).toBe(false)
    await using again = await startServer({ folder })
    expect((await readNotes(again)).notes.map(({ number }) => number)).toEqual([1])
  })

  const damages: [what: string, exitCode: number, make: (bad: string, good: Buffer) => void][] = [
    ['junk', 3, (bad) => writeFileSync(bad, 'x'.repeat(5000))],
    ['an empty file', 3, (bad) => writeFileSync(bad, '')],
    [
      'a database without its end',
      3,
      (bad, good) => writeFileSync(bad, good.subarray(0, sizeOfDatabase(good))),
    ],
    ['a flipped bit', 3, (bad, good) => writeFileSync(bad, flipped(good, 5000))],
    ['half of it', 3, (bad, good) => writeFileSync(bad, good.subarray(0, good.length / 2))],
    [
      'a newer database',
      4,
      (bad, good) =>
        writeFileSync(
          bad,
          sealed(good, (database) => database.writeUInt32BE(2, 60)),
        ),
    ],
    ['newer notes', 4, (bad, good) => writeFileSync(bad, sealed(good, undefined, { hipflask_backup: 2 }))],
    [
      'another program',
      3,
      (bad, good) =>
        writeFileSync(
          bad,
          sealed(good, (database) => database.writeUInt32BE(7, 68)),
        ),
    ],
    [
      'damaged pages that were sealed so',
      3,
      (bad, good) =>
        writeFileSync(
          bad,
          sealed(good, (database) => database.fill(0xff, 8192)),
        ),
    ],
    [
      'a value that its column can not have, sealed so',
      3,
      (bad, good) => writeFileSync(bad, sealed(good, nullify)),
    ],
    [
      'a key file of another folder',
      3,
      (bad, good) => writeFileSync(bad, sealed(good, undefined, { keys: { '../../evil.pem': 'x' } })),
    ],
    [
      'a key file that is none',
      3,
      (bad, good) => writeFileSync(bad, sealed(good, undefined, { keys: { [`${KID}.pem`]: 'x' } })),
    ],
    [
      'keys of another kind',
      3,
      (bad, good) => writeFileSync(bad, sealed(good, undefined, { keys: { a: 1 } })),
    ],
  ]
  test.each(damages)('refuses %s, and leaves everything as it was', async (_, exitCode, make) => {
    const folder = await filledFolder(3)
    await runCommand(['backup', 'good.db'], { folder })
    make(join(folder, 'bad.db'), readFileSync(join(folder, 'good.db')))
    const before = contentOf(join(folder, 'data'))
    expect(await runCommand(['backup', 'verify', 'bad.db'], { folder })).toMatchObject({
      exitCode,
      stdout: '',
    })
    const elsewhere = await runCommand(['restore', 'bad.db', '--data', 'new/deep'], { folder })
    expect(elsewhere).toMatchObject({ exitCode, stdout: '' })
    expect(existsSync(join(folder, 'new'))).toBe(false)
    const result = await runCommand(['restore', 'bad.db', '--force'], { folder })
    expect(result).toMatchObject({ exitCode, stdout: '' })
    expect(result.stderr).toMatch(/^File .*bad\.db /)
    expect(result.stderr).not.toMatch(/\bat .+:\d+:\d+\)?$/m)
    expect(contentOf(join(folder, 'data'))).toEqual(before)
    expect(existsSync(join(folder, '../evil.pem'))).toBe(false)
  })

  test('a resealed backup is taken: so the cases above fail for what they say', async () => {
    const folder = await filledFolder(3)
    await runCommand(['backup', 'good.db'], { folder })
    writeFileSync(join(folder, 'same.db'), sealed(readFileSync(join(folder, 'good.db'))))
    expect(await runCommand(['restore', 'same.db', '--force'], { folder })).toMatchObject({ exitCode: 0 })
  })

  test('by root, what is made belongs to whoever has the folder', async () => {
    if (process.getuid?.() !== 0) return console.log('Skipped: only root can give files away')
    const folder = await filledFolder()
    const server = await startServer({ folder })
    await server.stop()
    await runCommand(['backup', 'good.db'], { folder })
    const data = join(folder, 'data')
    rmSync(data, { recursive: true })
    mkdirSync(data)
    chownSync(data, 65532, 65533)
    expect(await runCommand(['restore', 'good.db'], { folder })).toMatchObject({ exitCode: 0 })
    const made = readdirSync(data, { recursive: true, encoding: 'utf8' })
    expect(made).toHaveLength(3)
    for (const name of made) {
      const { uid, gid } = statSync(join(data, name))
      expect({ name, uid, gid }).toEqual({ name, uid: 65532, gid: 65533 })
    }
  })

  test('killed at any moment, there is the old database or the new one', async () => {
    const folder = await filledFolder(2000)
    await runCommand(['backup', 'new.db'], { folder })
    const rows = () => {
      using database = new Database(join(folder, 'data/hipflask.db'), { readwrite: true, create: false })
      expect(database.query('PRAGMA integrity_check').values()).toEqual([['ok']])
      return Number(database.query('SELECT count(*) FROM notes').values()[0]![0])
    }
    const path = join(folder, 'data/hipflask.db')
    const [newer, older] = [readFileSync(path), await oldDatabase()]
    const seen = new Set<number>()
    for (let round = 0; round < 30; round++) {
      writeFileSync(path, older)
      const child = Bun.spawn(
        [join(import.meta.dir, '../../../dist/hipflask'), 'restore', 'new.db', '--force'],
        {
          cwd: folder,
          env: { PATH: process.env['PATH'] ?? '' },
          stdout: 'ignore',
          stderr: 'ignore',
        },
      )
      await Bun.sleep(30 + round * 4)
      child.kill('SIGKILL')
      await child.exited
      const count = rows()
      expect([1, 2000]).toContain(count)
      seen.add(count)
      for (const name of readdirSync(join(folder, 'data'))) {
        if (name !== 'hipflask.db' && name !== 'keys') rmSync(join(folder, 'data', name))
      }
    }
    expect(newer.length).toBeGreaterThan(older.length)
    // Both happen, or the kills did not fall into the work.
    expect([...seen].sort()).toEqual([1, 2000])
  })

  const signals = [
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const
  test.each(signals)('%s ends it at any moment with nothing left behind', async (signal, exitCode) => {
    const folder = await filledFolder(1)
    fillLarge(join(folder, 'data/hipflask.db'))
    for (const milliseconds of [0, 5, 10, 15, 100]) {
      const child = Bun.spawn([join(import.meta.dir, '../../../dist/hipflask'), 'backup', 'x.db'], {
        cwd: folder,
        env: { PATH: process.env['PATH'] ?? '' },
        stdout: 'ignore',
        stderr: 'ignore',
      })
      for (let at = 0; at < 500 && !existsSync(join(folder, 'x.db.unfinished')); at++) await Bun.sleep(1)
      await Bun.sleep(milliseconds)
      child.kill(signal)
      expect(await child.exited).toBe(exitCode)
      expect(readdirSync(folder).sort()).toEqual(['data', 'resources'])
    }
  })

  test('a signal just before the copying opens its file leaves none behind either', async () => {
    if (Bun.which('strace') === null) return console.log('Skipped: there is no strace to choose the moment')
    const folder = await filledFolder(1)
    // The thread that copies has looked at the file, and opens it while the program is removing it.
    const faults = ['lstat:signal=TERM:when=1', 'openat:delay_enter=400000', 'unlink:delay_exit=800000']
    const injected = faults.flatMap((fault) => ['-e', `inject=${fault}`])
    const under = ['strace', '-f', '-o', join(folder, 'data/trace'), '-P', join(folder, 'x.db.unfinished')]
    under.push('-e', 'trace=lstat,openat,unlink', ...injected)
    expect(await runCommand(['backup', 'x.db'], { folder, under })).toMatchObject({ exitCode: 143 })
    expect(readdirSync(folder).sort()).toEqual(['data', 'resources'])
    // Else the moment was missed.
    expect(readFileSync(join(folder, 'data/trace'), 'utf8')).toMatch(/openat.*ENOENT/)
  })
})

test('what a killed backup leaves is no backup, and a minute later the next one takes its place', async () => {
  const folder = await filledFolder(1)
  fillLarge(join(folder, 'data/hipflask.db'))
  const child = Bun.spawn([join(import.meta.dir, '../../../dist/hipflask'), 'backup', 'x.db'], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '' },
    stdout: 'ignore',
    stderr: 'ignore',
  })
  const draft = join(folder, 'x.db.unfinished')
  for (let at = 0; at < 500 && !existsSync(draft); at++) await Bun.sleep(5)
  child.kill('SIGKILL')
  await child.exited
  const left = readdirSync(folder).filter((name) => name.startsWith('x.db'))
  expect(left.filter((name) => !name.startsWith('x.db.unfinished'))).toEqual([])
  expect(left).toContain('x.db.unfinished')
  expect(await runCommand(['backup', 'verify', 'x.db.unfinished'], { folder })).toMatchObject({ exitCode: 3 })
  const early = await runCommand(['backup', 'x.db'], { folder })
  expect(early).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('try again in a minute') })
  const minuteAgo = new Date(Date.now() - 65_000)
  utimesSync(draft, minuteAgo, minuteAgo)
  expect(await runCommand(['backup', 'x.db'], { folder })).toMatchObject({ exitCode: 0 })
  expect(readdirSync(folder).sort()).toEqual(['data', 'resources', 'x.db'])
  expect(await runCommand(['backup', 'verify', 'x.db'], { folder })).toMatchObject({ exitCode: 0 })
})

test('a file in the place of the folder is named', async () => {
  const folder = await filledFolder()
  writeFileSync(join(folder, 'file'), '')
  const { exitCode, stderr } = await runCommand(['backup', 'file/x.db'], { folder })
  expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining('(ENOTDIR)') })
})

test('on a terminal it draws how far it is', async () => {
  const folder = await filledFolder(1)
  fillLarge(join(folder, 'data/hipflask.db'))
  const program = join(import.meta.dir, '../../../dist/hipflask')
  if (Bun.which('script') === null) return console.log('Skipped: there is no script(1) to make a terminal')
  const child = Bun.spawn(
    ['script', '--quiet', '--return', '--command', `${program} backup x.db`, '/dev/null'],
    {
      cwd: folder,
      env: { PATH: process.env['PATH'] ?? '' },
      stdin: 'ignore',
      stdout: 'pipe',
      stderr: 'ignore',
    },
  )
  const shown = await new Response(child.stdout).text()
  expect(await child.exited).toBe(0)
  expect(shown).toMatch(/Copying {2}\[[#.]{24}\] +\d+ % {2}\d+ MB/)
  expect(shown).toContain('Wrote ')
})

const KID = '01a21f30-9670-70c6-86af-7fe1b5e4d712'
const SEAL = /hipflask-backup database (\d{16}) sha256 [0-9a-f]{64}\n$/

/** Folders that are filled already, by the number of their notes. */
const filled = new Map<number, string>()

/** A new folder whose data a server has filled and left. */
async function filledFolder(notes = 1): Promise<string> {
  const from = filled.get(notes) ?? makeFolder()
  if (!filled.has(notes)) {
    const server = await startServer({ folder: from, resources: NOTES })
    await fill(server, notes)
    await server.stop()
    filled.set(notes, from)
  }
  const folder = makeFolder()
  cpSync(from, folder, { recursive: true })
  return folder
}

async function fill(server: RunningServer, count: number): Promise<void> {
  for (let from = 0; from < count; from += 1000) {
    const some = Array.from({ length: Math.min(1000, count - from) }, (_, at) => ({
      client: 0,
      number: from + at,
      text: `word${from + at} ${'x'.repeat(100)}`,
    }))
    const response = await server.fetch('/api/notes', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(some),
    })
    expect(response.status).toBe(201)
  }
}

async function oldDatabase(): Promise<Buffer> {
  return readFileSync(join(await filledFolder(1), 'data/hipflask.db'))
}

function sizeOfDatabase(backup: Buffer): number {
  return Number(SEAL.exec(backup.toString('latin1'))![1])
}

/** The same backup with another content, and the checksum of that. */
function sealed(backup: Buffer, change: (database: Buffer) => void = () => {}, notes: object = {}): Buffer {
  const size = sizeOfDatabase(backup)
  const database = Buffer.from(backup.subarray(0, size))
  change(database)
  const written = JSON.parse(backup.subarray(size).toString().split('\n')[0]!) as object
  const start = `${JSON.stringify({ ...written, ...notes })}\nhipflask-backup database ${String(size).padStart(16, '0')} sha256 `
  const sha256 = new Bun.CryptoHasher('sha256').update(database).update(start).digest('hex')
  return Buffer.concat([database, Buffer.from(`${start}${sha256}\n`)])
}

/** Takes a value away that must be there: every page stays a good one. */
function nullify(content: Buffer): void {
  const path = join(makeFolder(), 'a.db')
  // SQLite lets nobody change the text of a table, so it is changed in the file.
  const declare = (from: string, to: string, bytes: Buffer) => {
    // Also where a page still has an older one.
    for (let at = bytes.indexOf(from); at !== -1; at = bytes.indexOf(from)) bytes.write(to, at)
    writeFileSync(path, bytes)
  }
  const [strict, loose] = ['"number" INTEGER NOT NULL', '"number" INTEGER         ']
  declare(strict, loose, Buffer.from(content))
  {
    using database = new Database(path)
    expect(database.run('UPDATE notes SET number = NULL WHERE id = 1').changes).toBe(1)
  }
  declare(loose, strict, readFileSync(path))
  expect(readFileSync(path).copy(content)).toBe(content.length)
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at]! ^= 4
  return copy
}

/** Names and bytes of all files below. */
function contentOf(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const files = names.filter((name) => statSync(join(folder, name)).isFile())
  return Object.fromEntries(
    files.sort().map((name) => [name, Bun.hash(readFileSync(join(folder, name))).toString()]),
  )
}

function modesOf(folder: string): Record<string, number> {
  const names = ['.', ...readdirSync(folder).sort()]
  return Object.fromEntries(names.map((name) => [name, statSync(join(folder, name)).mode & 0o777]))
}
