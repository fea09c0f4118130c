import { describe, expect, test } from 'bun:test'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { createDraft, draftOf, keepAs, removeAbandoned } from '../../src/storage/whole-file.ts'
import { makeFolder } from '../support/executable.ts'

describe('a draft', () => {
  test('has its name only when it is finished, and is its owner’s alone', () => {
    const target = join(makeFolder(), 'a.db')
    const draft = createDraft(target)
    expect(draft.path).toBe(`${target}.unfinished`)
    writeFileSync(draft.path, 'whole')
    expect(existsSync(target)).toBe(false)
    draft.finish()
    draft.drop()
    expect(readFileSync(target, 'utf8')).toBe('whole')
    expect(statSync(target).mode & 0o777).toBe(0o600)
    expect(existsSync(draft.path)).toBe(false)
  })

  test('does not take the name of a file that came meanwhile, unless it is to replace it', () => {
    const target = join(makeFolder(), 'a.db')
    const draft = createDraft(target)
    writeFileSync(draft.path, 'new')
    writeFileSync(target, 'old')
    expect(() => draft.finish()).toThrow('exists already')
    expect(readFileSync(target, 'utf8')).toBe('old')
    draft.replace()
    expect(readFileSync(target, 'utf8')).toBe('new')
  })

  test('that is dropped leaves nothing, nor what SQLite keeps beside it', () => {
    const folder = makeFolder()
    const draft = createDraft(join(folder, 'a.db'))
    writeFileSync(`${draft.path}-journal`, '')
    draft.drop()
    expect(readdirSync(folder)).toEqual([])
  })

  test('of another process keeps a second one away, until it has not been touched for a minute', () => {
    const folder = makeFolder()
    const target = join(folder, 'a.db')
    writeFileSync(draftOf(target), 'of another')
    age(draftOf(target), 55)
    writeFileSync(`${draftOf(target)}-journal`, 'of another')
    removeAbandoned(draftOf(target))
    expect(readdirSync(folder)).toHaveLength(2)
    expect(() => createDraft(target)).toThrow('is being written by another process')
    age(draftOf(target), 65)
    const draft = createDraft(target)
    expect(readdirSync(folder)).toHaveLength(1)
    expect(readFileSync(draft.path, 'utf8')).toBe('')
    draft.drop()
  })

  test('is touched while it is written, however long a step takes', async () => {
    const draft = createDraft(join(makeFolder(), 'a.db'))
    age(draft.path, 50)
    for (let at = 0; at < 60 && Date.now() - statSync(draft.path).mtimeMs > 10_000; at++) await Bun.sleep(50)
    expect(Date.now() - statSync(draft.path).mtimeMs).toBeLessThan(10_000)
    draft.drop()
  })

  const faults: [what: string, path: (folder: string) => string, message: RegExp][] = [
    [
      'a folder that is not there',
      (folder) => join(folder, 'no/a.db'),
      /^Folder .*no does not exist: make it$/,
    ],
    ['a file in the place of the folder', (folder) => join(folder, 'file/a.db'), /\(ENOTDIR\)/],
  ]
  test.each(faults)('can not be made in %s', (_, pathOf, message) => {
    const folder = makeFolder()
    writeFileSync(join(folder, 'file'), '')
    expect(() => createDraft(pathOf(folder))).toThrow(message)
  })
})

test('keepAs gives a file a second name, and goes over nothing', () => {
  const folder = makeFolder()
  writeFileSync(join(folder, 'a'), 'a')
  mkdirSync(join(folder, 'b'))
  expect(() => keepAs(join(folder, 'a'), join(folder, 'b'))).toThrow('exists already')
  keepAs(join(folder, 'a'), join(folder, 'c'))
  expect(readFileSync(join(folder, 'c'), 'utf8')).toBe('a')
  expect(existsSync(join(folder, 'a'))).toBe(true)
})

function age(path: string, seconds: number): void {
  const time = Date.now() / 1000 - seconds
  utimesSync(path, time, time)
}
