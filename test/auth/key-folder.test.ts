// Key files as a backup has them: out of a folder, into another one.
import { describe, expect, test } from 'bun:test'
import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { addKeyTexts, areKeyTexts, KEYS_MAX, newKey, readKeyTexts } from '../../src/auth/key-folder.ts'
import { newUuid } from '../../src/core/ids.ts'
import { makeFolder } from '../support/executable.ts'

const pem = () => newKey('').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string
const keys = (count: number) => {
  const text = pem()
  return Object.fromEntries(Array.from({ length: count }, () => [`${newUuid()}.pem`, text]))
}

test('what is read of one folder is added to another, for its owner alone', () => {
  const [from, to] = [join(makeFolder(), 'keys'), join(makeFolder(), 'keys')]
  const texts = keys(2)
  expect(addKeyTexts(from, texts)).toEqual(Object.keys(texts).sort())
  writeFileSync(join(from, 'notes.txt'), 'no key')
  expect(readKeyTexts(from)).toEqual(texts)
  expect(addKeyTexts(to, readKeyTexts(from))).toHaveLength(2)
  expect(readKeyTexts(to)).toEqual(texts)
  expect(statSync(to).mode & 0o777).toBe(0o700)
  for (const name of readdirSync(to)) expect(statSync(join(to, name)).mode & 0o777).toBe(0o600)
})

test('keys that are there stay, and one of the same name with another text under another name', () => {
  const folder = join(makeFolder(), 'keys')
  const [name] = addKeyTexts(folder, keys(1)) as [string]
  const old = readFileSync(join(folder, name), 'utf8')
  expect(addKeyTexts(folder, { [name]: old })).toEqual([])
  expect(addKeyTexts(folder, { [name]: pem() })).toEqual([name])
  expect(readdirSync(folder).sort()).toEqual([name, `${name}.replaced`])
  expect(readFileSync(join(folder, `${name}.replaced`), 'utf8')).toBe(old)
})

test('without keys no folder is made, and without a folder there are none', () => {
  const folder = join(makeFolder(), 'keys')
  expect(addKeyTexts(folder, {})).toEqual([])
  expect(readKeyTexts(folder)).toEqual({})
})

describe('key files', () => {
  const name = `${newUuid()}.pem`
  const cases: [what: string, texts: Record<string, string>, are: boolean][] = [
    ['none', {}, true],
    ['one', { [name]: pem() }, true],
    [`${KEYS_MAX}`, keys(KEYS_MAX), true],
    [`${KEYS_MAX + 1}`, keys(KEYS_MAX + 1), false],
    ['one in another folder', { [`../${name}`]: pem() }, false],
    ['one with a folder before it', { [`x/${name}`]: pem() }, false],
    ['one of another name', { 'key.pem': pem() }, false],
    ['one with a line end in its name', { [`${name}\n`]: pem() }, false],
    ['one that is no key', { [name]: 'x' }, false],
  ]
  test.each(cases)('%s', (_, texts, are) => {
    expect(areKeyTexts(texts)).toBe(are)
  })
})
