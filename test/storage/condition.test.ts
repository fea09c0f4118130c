// What the store takes a failed read or write for, and for how long.
import { SQLiteError } from 'bun:sqlite'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'bun:test'
import { DOUBT_MS, createCondition, damageMark } from '../../src/storage/sqlite/condition.ts'
import { ReaderError } from '../../src/storage/sqlite/errors.ts'

const folder = mkdtempSync(join(tmpdir(), 'hipflask-condition-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0

function create() {
  const path = join(folder, `${++files}.db`)
  const told: string[] = []
  let now = 1000
  const condition = createCondition({ path, report: (message) => told.push(message), clock: () => now })
  const refuses = (ask: () => void): boolean => {
    try {
      ask()
      return false
    } catch {
      return true
    }
  }
  return {
    condition,
    told,
    pass: (ms: number) => (now += ms),
    isUnready: () => refuses(() => condition.refuseDoubtful()),
    isUnwritable: () => refuses(() => condition.refuseDamaged()),
    isMarked: () => existsSync(damageMark(path)),
  }
}

const failure = (errno: number) => new ReaderError({ message: 'of the engine', errno })

describe('damage', () => {
  // SQLITE_CORRUPT, its kin of an index, NOTADB, and IOERR of reading.
  test.each([11, 11 | (3 << 8), 26, 10 | (1 << 8), 10 | (2 << 8)])('is %d, for good', (errno) => {
    const { condition, told, pass, isUnready, isUnwritable, isMarked } = create()
    condition.note(failure(errno))
    condition.note(failure(errno))
    pass(100 * DOUBT_MS)
    condition.noteCommit()
    expect([isUnready(), isUnwritable(), isMarked(), told.length]).toEqual([true, true, true, 1])
  })
})

describe('a disk that refuses', () => {
  // IOERR of writing and of syncing, READONLY, CANTOPEN.
  test.each([10 | (3 << 8), 10 | (4 << 8), 8, 14])('by %d is in doubt for a while', (errno) => {
    const { condition, pass, isUnready, isUnwritable, isMarked } = create()
    condition.note(failure(errno))
    expect([isUnready(), isUnwritable(), isMarked()]).toEqual([true, false, false])
    pass(DOUBT_MS - 1)
    expect(isUnready()).toBe(true)
    pass(1)
    expect(isUnready()).toBe(false)
  })

  test('is in doubt until the next commit', () => {
    const { condition, isUnready } = create()
    condition.note(failure(10 | (4 << 8)))
    condition.noteCommit()
    expect(isUnready()).toBe(false)
  })

  test('is told once, until there was no trouble for a minute', () => {
    const { condition, told, pass } = create()
    for (const ms of [0, 60_000, 60_001]) {
      pass(ms)
      condition.note(failure(13))
      condition.noteCommit()
    }
    expect(told).toHaveLength(2)
    expect(told[0]).toContain('free space')
  })
})

test('a full disk, a lock, and errors of statements are neither', () => {
  const { condition, isUnready, isMarked } = create()
  for (const errno of [1, 5, 13, 19]) condition.note(failure(errno))
  condition.note(new TypeError('of the code'))
  condition.note(Object.create(SQLiteError.prototype))
  expect([isUnready(), isMarked()]).toEqual([false, false])
})
