import { describe, expect, test } from 'bun:test'
import type { Io } from '../../src/cli/command.ts'
import { LINE_BYTES_MAX, readSecret } from '../../src/cli/prompt.ts'
import { StartError } from '../../src/core/errors.ts'

interface Asked {
  secret: string | undefined
  shown: string
  /** What was done to the terminal. */
  raw: boolean[]
}

async function* chunksOf(parts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield typeof part === 'string' ? new TextEncoder().encode(part) : part
}

async function ask(io: Partial<Io>): Promise<Asked & { error?: StartError }> {
  const shown: string[] = []
  const raw: boolean[] = []
  const keyboard = io.keyboard && { ...io.keyboard, setRaw: (isRaw: boolean) => void raw.push(isRaw) }
  const own = {
    stdout: () => {},
    stderr: (text: string) => shown.push(text),
    env: {},
    cwd: '',
    ...io,
    keyboard,
  }
  const done = (more: object) => ({ secret: undefined, ...more, shown: shown.join(''), raw })
  try {
    return done({ secret: await readSecret('Password', own as Io) })
  } catch (error) {
    return done({ error })
  }
}
const pipe = (...parts: (string | Uint8Array)[]) => ask({ stdin: () => chunksOf(parts) })
const type = (...parts: (string | Uint8Array)[]) =>
  ask({ keyboard: { read: () => chunksOf(parts), setRaw: () => {} } })

describe('a pipe', () => {
  test.each<[parts: (string | Uint8Array)[], secret: string]>([
    [['correct horse\n'], 'correct horse'],
    [['correct horse'], 'correct horse'],
    [['correct horse\r\n'], 'correct horse'],
    [['correct', ' hor', 'se\n'], 'correct horse'],
    [['first line\nuser: ada\n'], 'first line'],
    [[' with spaces \n'], ' with spaces '],
    [['tab\there\n'], 'tab\there'],
    [['p\u00e4\u00dfwort \u{1f511}\n'], 'p\u00e4\u00dfwort \u{1f511}'],
    [[Uint8Array.of(0xc3), Uint8Array.of(0xa4, 0x0a)], '\u00e4'],
    [[`${'x'.repeat(LINE_BYTES_MAX)}\n`], 'x'.repeat(LINE_BYTES_MAX)],
  ])('of %j', async (parts, secret) => {
    expect(await pipe(...parts)).toEqual({ secret, shown: '', raw: [] })
  })

  test.each<[parts: (string | Uint8Array)[], message: RegExp, exitCode: number]>([
    [[], /^Password is missing, must be typed/, 2],
    [[''], /^Password is missing/, 2],
    [['\n'], /^Password is missing/, 2],
    [['\nsecond\n'], /^Password is missing/, 2],
    [[Uint8Array.of(0xff, 0x0a)], /UTF-8/, 1],
    [['x'.repeat(LINE_BYTES_MAX + 1)], /too long/, 1],
  ])('of %j is refused', async (parts, message, exitCode) => {
    const { error } = await pipe(...parts)
    expect([error?.message, error?.exitCode]).toEqual([expect.stringMatching(message), exitCode])
  })

  test('without an end is not read without an end', async () => {
    let read = 0
    const stdin = async function* () {
      for (;;) {
        read += 1024
        yield new Uint8Array(1024).fill(0x78)
      }
    }
    expect((await ask({ stdin })).error?.message).toContain('too long')
    expect(read).toBeLessThan(3 * LINE_BYTES_MAX)
  })

  test('that is not there is a secret that is missing', async () => {
    expect((await ask({})).error?.message).toContain('is missing')
  })
})

describe('somebody who types', () => {
  const twice = (keys: string) => `${keys}\r${keys}\r`

  test.each<[keys: string, secret: string]>([
    ['correct horse', 'correct horse'],
    ['corrr\u007fect', 'correct'],
    ['ab\b\b\b\bcd', 'cd'],
    ['wrong\u0015right', 'right'],
    ['\u00e4\u{1f511}\u007f\u007fx', 'x'],
    ['a\u001b[Db\u001b[1;5Cc\u001bOHd\u001b[3~', 'abcd'],
    ['a\u0001\u0000b\u001a', 'ab'],
    ['a\u0004b', 'ab'],
  ])('%j gives the secret, shows nothing of it, and puts the terminal back', async (keys, secret) => {
    expect(await type(twice(keys))).toEqual({
      secret,
      shown: 'Password: \nPassword again: \n',
      raw: [true, false],
    })
  })

  test('one key at a time, and Enter as a line feed', async () => {
    expect((await type(...'secret\nsecret\n'.split(''))).secret).toBe('secret')
  })

  test.each(['\u0003', 'abc\u0003', 'abc\rabc\u0003', '\u001c'])('%j stops it', async (keys) => {
    const { secret, error, raw } = await type(keys)
    expect([secret, error, raw]).toEqual([undefined, undefined, [true, false]])
  })

  test.each<[keys: string, message: RegExp]>([
    ['abc\rabd\r', /^The two are not the same$/],
    ['abc\r\r', /^The two are not the same$/],
    ['abc\r', /^The two are not the same$/],
    ['\r', /^Password is missing/],
    ['\u0004', /^Password is missing/],
    ['', /^Password is missing/],
    ['x'.repeat(LINE_BYTES_MAX + 1), /too long/],
  ])('%j is refused, and puts the terminal back', async (keys, message) => {
    const { error, raw } = await type(keys)
    expect([error?.message, raw]).toEqual([expect.stringMatching(message), [true, false]])
  })
})
