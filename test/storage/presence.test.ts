// What becomes of the files of an open database, in a real folder whose time is set as the case needs it.
import { describe, expect, test } from 'bun:test'
import { mkdirSync, renameSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createPresence } from '../../src/storage/sqlite/presence.ts'
import { makeFolder } from '../support/executable.ts'

const LONG_AGO_S = 1_700_000_000

/** Three files, and the look at them, in a folder in which nothing has changed since the time. */
function makeFiles(timeS: number) {
  const folder = join(makeFolder(), 'data')
  mkdirSync(folder)
  const path = join(folder, 'hipflask.db')
  for (const part of ['', '-wal', '-shm']) writeFileSync(path + part, 'content')
  utimesSync(folder, timeS, timeS)
  const find = createPresence(path)
  expect(find()).toBeUndefined()
  return { folder, path, find }
}

function replace(path: string): void {
  writeFileSync(`${path}.new`, 'content')
  renameSync(`${path}.new`, path)
}

const changes: [string, string, (path: string) => void][] = [
  ['is deleted', 'moved', (path) => rmSync(path)],
  ['is moved', 'moved', (path) => renameSync(path, `${path}.old`)],
  ['is replaced', 'moved', replace],
]

for (const [folderIs, timeS] of [
  ['has not changed for long', LONG_AGO_S],
  ['has changed just now', Date.now() / 1000],
  ['has a time to come', Date.now() / 1000 + 3600],
] as const) {
  describe(`in a folder that ${folderIs}, it notices that`, () => {
    for (const part of ['', '-wal', '-shm']) {
      for (const [becomes, what, change] of changes) {
        test(`the file ${part} ${becomes}`, () => {
          const { path, find } = makeFiles(timeS)
          change(path + part)
          expect(find()).toEqual({ what, file: path + part } as never)
          expect(find()).toEqual({ what, file: path + part } as never)
        })
      }
    }

    test('the database is emptied', () => {
      const { path, find } = makeFiles(timeS)
      truncateSync(path, 0)
      expect(find()).toEqual({ what: 'emptied', file: path })
    })

    test('the folder is moved, and is back', () => {
      const { folder, path, find } = makeFiles(timeS)
      renameSync(folder, `${folder}.old`)
      expect(find()).toEqual({ what: 'moved', file: path })
      renameSync(`${folder}.old`, folder)
      expect(find()).toBeUndefined()
    })

    test('the folder is replaced by one with the same names', () => {
      const { folder, path, find } = makeFiles(timeS)
      renameSync(folder, `${folder}.old`)
      mkdirSync(folder)
      for (const part of ['', '-wal', '-shm']) writeFileSync(path + part, 'content')
      utimesSync(folder, timeS, timeS)
      expect(find()).toEqual({ what: 'moved', file: path })
    })
  })
}

test('two changes that show as one are noticed while the time of the folder is young', () => {
  const { folder, path, find } = makeFiles(Date.now() / 1000)
  const { mtime } = statSync(folder)
  replace(`${path}-wal`)
  utimesSync(folder, mtime, mtime)
  expect(find()).toEqual({ what: 'moved', file: `${path}-wal` })
})

test('other files that come and go in the folder are nothing to it', () => {
  const { path, find } = makeFiles(LONG_AGO_S)
  writeFileSync(`${path}.other`, '')
  expect(find()).toBeUndefined()
  rmSync(`${path}.other`)
  expect(find()).toBeUndefined()
})

test('a log is not looked at while the time of its folder stands', () => {
  const { folder, path, find } = makeFiles(LONG_AGO_S)
  replace(`${path}-wal`)
  utimesSync(folder, LONG_AGO_S, LONG_AGO_S)
  expect(find()).toBeUndefined()
})
