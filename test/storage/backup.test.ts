// A backup that is given up: at any moment, and with nothing left of it.
import { Database } from 'bun:sqlite'
import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeBackup, verifyFile } from '../../src/storage/backup.ts'
import { openDatabase } from '../../src/storage/sqlite/database.ts'

/** Long enough to read that it can be given up meanwhile. */
const BYTES = 64e6

const root = mkdtempSync(join(tmpdir(), 'hipflask-backup-'))
afterAll(() => rmSync(root, { recursive: true }))

const database = join(root, 'test.db')
openDatabase({ path: database, durability: 'full' }).close(true)
{
  using filled = new Database(database)
  filled.run('CREATE TABLE large (content BLOB) STRICT')
  filled.run('INSERT INTO large VALUES (zeroblob(?))', [BYTES])
}

/** Backs up into a new folder; `giveUp` is for the moments that the case chooses. */
function start(onKeys: (giveUp: () => void) => void = () => {}) {
  // A name that is another one where it is read as a part of an address.
  const folder = mkdtempSync(join(root, 'a %41?b#c&d-'))
  const abort = new AbortController()
  const giveUp = () => abort.abort()
  const target = join(folder, 'x.db')
  const keys = () => {
    onKeys(giveUp)
    return {}
  }
  const made = makeBackup({ database, target, keys, clock: Date.now, signal: abort.signal })
  return { folder, target, made, giveUp }
}

test('a backup goes where it is told to, whatever the name', async () => {
  const { folder, target, made } = start()
  await made
  expect(readdirSync(folder)).toEqual(['x.db'])
  expect(await verifyFile(target)).toMatchObject({ keys: {} })
})

test('given up before the copying opens its file, it leaves nothing behind', async () => {
  const { folder, made, giveUp } = start()
  // The thread that copies has not even begun.
  giveUp()
  expect(readdirSync(folder)).toEqual([])
  expect(await made.catch(() => 'failed')).toBe('failed')
  expect(readdirSync(folder)).toEqual([])
})

test('given up while it is read for its checksum, it leaves nothing behind', async () => {
  let left: string[] | undefined
  const { folder, made } = start((giveUp) => {
    setTimeout(() => {
      left = readdirSync(folder)
      giveUp()
    }, 5)
  })
  expect(await made.catch(() => 'failed')).toBe('failed')
  expect(left).toEqual(['x.db.unfinished'])
  expect(readdirSync(folder)).toEqual([])
})
