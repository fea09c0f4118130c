import { Database } from 'bun:sqlite'
import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { endOf, readBackup, type BackupSource } from '../../src/storage/backup-format.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'
import { makeFolder } from '../support/executable.ts'

const NOTES_BYTES_MAX = 1024 * 1024
const NOTES = { createdAt: '2026-01-31T12:00:00.000Z', version: '1.2.3', keys: { 'a.pem': 'text' } }
const DATABASE = makeDatabase()

describe('what is written is read', () => {
  test('whatever the pieces that it comes in', async () => {
    const bytes = backupOf(NOTES)
    for (const pieceBytes of [1000, 4096, 4097, bytes.length]) {
      const pieces: Uint8Array[] = []
      const backup = await readBackup(sourceOf(bytes, pieceBytes), (piece) => pieces.push(piece.slice()))
      expect(backup).toMatchObject({ ...NOTES, databaseBytes: DATABASE.length })
      expect(Buffer.concat(pieces).equals(DATABASE)).toBe(true)
    }
  })

  test('a source that ends early is damaged', async () => {
    const bytes = backupOf(NOTES)
    const source = sourceOf(bytes, 4096)
    const short: BackupSource = {
      ...source,
      read: (from, to) => source.read(from, to - from > 8192 ? to - 1 : to),
    }
    const failure = await readBackup(short).catch((error: Error) => error)
    expect(failure).toMatchObject({ exitCode: 3, message: expect.stringContaining('is damaged') })
  })
})

describe('the notes', () => {
  // The line of JSON, its end, and the beginning of the line of the checksum.
  const around = endOf({ ...NOTES, keys: { k: '' } }, 0, new Bun.CryptoHasher('sha256')).length - 114
  test.each([
    [NOTES_BYTES_MAX, undefined],
    [NOTES_BYTES_MAX + 1, 3],
  ])('of %i bytes', async (bytes, exitCode) => {
    const backup = backupOf({ ...NOTES, keys: { k: 'x'.repeat(bytes - around) } })
    expect(backup.length).toBe(DATABASE.length + bytes + 114)
    const outcome = await readBackup(sourceOf(backup, 65_536)).catch((error: Error) => error)
    expect(outcome).toMatchObject(exitCode === undefined ? { version: '1.2.3' } : { exitCode })
  })
})

function makeDatabase(): Buffer {
  const path = join(makeFolder(), 'a.db')
  const database = openDatabase({ path, durability: 'normal' })
  database.run('CREATE TABLE a (data BLOB)')
  database.run('INSERT INTO a VALUES (randomblob(20000))')
  database.close(true)
  // Out of WAL mode, as a copy is.
  using plain = new Database(path)
  plain.run('PRAGMA journal_mode = DELETE')
  return readFileSync(path)
}

function backupOf(notes: Parameters<typeof endOf>[0]): Buffer {
  const hash = new Bun.CryptoHasher('sha256').update(DATABASE)
  return Buffer.concat([DATABASE, endOf(notes, DATABASE.length, hash)])
}

function sourceOf(bytes: Buffer, pieceBytes: number): BackupSource {
  return {
    name: 'It',
    size: bytes.length,
    async *read(from, to) {
      for (let at = from; at < to; at += pieceBytes) {
        yield bytes.subarray(at, Math.min(at + pieceBytes, to))
        await Promise.resolve()
      }
    },
  }
}
