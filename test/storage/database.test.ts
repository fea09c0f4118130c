// Opening the database file: what it makes, and which files it refuses and leaves untouched.
import { Database } from 'bun:sqlite'
import { afterAll, describe, expect, test } from 'bun:test'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { StartError } from '../../src/core/errors.ts'
import { applyMigration } from '../../src/storage/migrate.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import { createSqliteStore } from '../../src/storage/sqlite/store.ts'
import { TABLES, thing } from './tables.ts'

const folder = mkdtempSync(join(tmpdir(), 'hipflask-database-'))
afterAll(() => rmSync(folder, { recursive: true }))

let folders = 0
/** A path in a folder of its own, which is not made. */
const newPath = () => join(folder, String(++folders), 'hipflask.db')
const open = (path: string) => openDatabase({ path, durability: 'full' })
const modeOf = (path: string) => statSync(path).mode & 0o777

/** A path whose folder has a database file that `prepare` worked on. */
function prepared(prepare: (database: Database) => void): string {
  const path = newPath()
  open(path).close(true)
  const database = new Database(path)
  prepare(database)
  database.close(true)
  return path
}

/** A path whose folder has a file of these bytes. */
function written(bytes: string | Uint8Array): string {
  const path = newPath()
  mkdirSync(dirname(path))
  writeFileSync(path, bytes)
  return path
}

/** Names, bytes and times of all files of a folder. */
function snapshot(path: string): unknown {
  return readdirSync(path).map((name) => {
    const file = join(path, name)
    return [name, statSync(file).mtimeMs, statSync(file).isFile() && Bun.hash(readFileSync(file))]
  })
}

function refusal(path: string): StartError {
  try {
    open(path).close(true)
  } catch (error) {
    return error as StartError
  }
  throw new Error('Database was opened')
}

/** Leaves a database as a killed process does: with rows that are in the log only. */
async function kill(path: string): Promise<void> {
  const files = ['hipflask.db', 'hipflask.db-wal']
  const database = open(path)
  applyMigration(database, TABLES)
  const store = createSqliteStore({ database, tables: TABLES })
  await store.commit(
    Array.from({ length: 2000 }, (_, index) => thing({ name: 'x'.repeat(200), amount: index })),
  )
  const bytes = files.map((name) => readFileSync(join(dirname(path), name)))
  await store.stop()
  for (const [index, name] of files.entries())
    writeFileSync(join(dirname(path), name), bytes[index] as Buffer)
}

describe('openDatabase', () => {
  test('makes the folder and the files for this user alone', () => {
    const path = newPath()
    const database = open(path)
    database.run('CREATE TABLE a (b TEXT) STRICT')
    expect(modeOf(dirname(path))).toBe(0o700)
    expect([path, `${path}-wal`, `${path}-shm`].map(modeOf)).toEqual([0o600, 0o600, 0o600])
    database.close(true)
  })

  test.each([
    ['full', 2],
    ['normal', 1],
  ] as const)('sets the pragmas for durability %s', (durability, synchronous) => {
    for (const path of [newPath(), ':memory:']) {
      const database = openDatabase({ path, durability })
      const value = (name: string) => database.query(`PRAGMA ${name}`).values()[0]?.[0]
      expect(value('journal_mode')).toBe(path === ':memory:' ? 'memory' : 'wal')
      expect(value('synchronous')).toBe(synchronous)
      expect(['foreign_keys', 'busy_timeout', 'trusted_schema', 'cell_size_check'].map(value)).toEqual([
        1, 0, 0, 1,
      ])
      expect([value('user_version'), value('application_id')]).toEqual([1, 0x68697066])
      database.close(true)
    }
  })

  // A first start that was killed at once leaves one.
  test('opens an empty file, where nothing tells that there was more in it, and its own file', () => {
    const path = written('')
    open(path).close(true)
    open(path).close(true)
    expect(modeOf(path)).not.toBe(0)
  })

  test('goes on after a crash with what the log holds', async () => {
    const path = newPath()
    await kill(path)
    const database = open(path)
    expect(database.query('SELECT count(*) FROM things').values()).toEqual([[2000]])
    database.close(true)
  })

  test('waits for another process that is setting up the file', async () => {
    const path = written('')
    const script = `
      const database = new (require('bun:sqlite').Database)(${JSON.stringify(path)})
      database.run('BEGIN EXCLUSIVE')
      console.log('locked')
      setTimeout(() => database.run('ROLLBACK'), 100)`
    const other = Bun.spawn([process.execPath, '-e', script], { stdout: 'pipe' })
    await other.stdout.getReader().read()
    open(path).close(true)
    expect(await other.exited).toBe(0)
  })

  test.each<[string, 1 | 3 | 4, RegExp, () => string]>([
    ['a text file', 3, /is not a database: move it away/, () => written('hello, this is no database at all')],
    ['a file shorter than a header', 3, /is not a database/, () => written('SQLite')],
    ['a file of zeros', 3, /is not a database/, () => written(new Uint8Array(8192))],
    ['the first words of a header', 3, /is not a database/, () => written('SQLite format 3\0')],
    [
      'a damaged schema',
      3,
      /is damaged: restore a backup/,
      () => {
        const path = prepared((database) => database.run('CREATE TABLE a (b TEXT) STRICT'))
        const bytes = readFileSync(path)
        return written(bytes.fill(0xff, 100, 4096))
      },
    ],
    [
      'a newer format',
      4,
      /made by a newer hipflask/,
      () => prepared((database) => database.run('PRAGMA user_version = 2')),
    ],
    [
      "another program's database",
      1,
      /belongs to another program: choose another data folder/,
      () => prepared((database) => database.run('PRAGMA application_id = 7')),
    ],
    [
      'a folder in place of the file',
      1,
      /is no file: move it away/,
      () => {
        const path = newPath()
        mkdirSync(path, { recursive: true })
        return path
      },
    ],
  ])('refuses %s with exit code %d and changes nothing', (_, exitCode, message, make) => {
    const path = make()
    const before = snapshot(dirname(path))
    const error = refusal(path)
    expect(error).toBeInstanceOf(StartError)
    expect(error.exitCode).toBe(exitCode)
    expect(error.message).toMatch(message)
    expect(error.message).toContain(path)
    expect(error.message).not.toContain('\n')
    expect(snapshot(dirname(path))).toEqual(before)
  })

  test('refuses a file that was damaged when the process was killed, and keeps its log', async () => {
    const path = newPath()
    await kill(path)
    open(path).close(true)
    const bytes = readFileSync(path)
    expect(bytes.length).toBeGreaterThan(50 * 4096)
    const writer = new Database(path)
    writer.run("INSERT INTO people (id, _version, email) VALUES ('a', 1, 'a')")
    const log = readFileSync(`${path}-wal`)
    writer.close(true)
    writeFileSync(path, bytes.fill(0xff, 40 * 4096, 41 * 4096))
    open(path).close(true)
    writeFileSync(`${path}-wal`, log)
    expect(refusal(path)).toMatchObject({ exitCode: 3 })
    expect(readFileSync(path).equals(bytes)).toBe(true)
    expect(readFileSync(`${path}-wal`).equals(log)).toBe(true)
  })

  test('refuses a file where its folder should be', () => {
    const path = join(written('a file'), 'hipflask.db')
    const error = refusal(path)
    expect(error).toMatchObject({ exitCode: 1 })
    expect(error.message).toContain(dirname(path))
    expect(existsSync(path)).toBe(false)
  })

  test.skipIf(process.getuid?.() !== 0)('refuses a folder that this user may not write to', () => {
    const path = written('')
    const source = JSON.stringify(join(import.meta.dir, '../../src/storage/sqlite/database.ts'))
    const script = `
      const { openDatabase } = await import(${source})
      process.setuid(65534)
      try { openDatabase({ path: ${JSON.stringify(path)}, durability: 'full' }) } catch (error) {
        console.log(error.name, error.exitCode, error.message)
      }`
    const { stdout } = Bun.spawnSync([process.execPath, '-e', script])
    expect(stdout.toString()).toMatch(
      /^StartError 1 Data folder \S+ cannot be used \(EACCES\): make it a folder that this user \(uid 65534\) may write to/,
    )
  })
})
