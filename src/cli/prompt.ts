// Reads a secret from standard input: one line of a pipe, or what somebody types, which is not shown. Never from an
// argument or a variable, which others can read.
import { StartError } from '../core/errors.ts'
import type { Io, Keyboard } from './command.ts'

/** The exit code of a program that Ctrl-C ended. */
export const INTERRUPTED = 130
/** Bytes of a line. */
export const LINE_BYTES_MAX = 4096

const WRONG_USAGE = 2
const BACKSPACES = [0x7f, 0x08]
/** Ctrl-C and Ctrl-\. */
const INTERRUPTS = [0x03, 0x1c]
const ENDS = [0x0a, 0x0d]
const CTRL_D = 0x04
const CTRL_U = 0x15
const ESCAPE = 0x1b
const SPACE = 0x20

/**
 * The secret that `label` asks for; typed twice, where somebody types. Undefined where they press Ctrl-C. Throws
 * StartError where there is none, the two differ, or it is no text.
 */
export async function readSecret(
  label: string,
  { keyboard, stdin, stderr }: Io,
): Promise<string | undefined> {
  const secret = keyboard === undefined ? await firstLine(stdin) : await typed(label, keyboard, stderr)
  if (secret === '') {
    throw new StartError(
      `${label} is missing, must be typed, or come as one line of standard input`,
      WRONG_USAGE,
    )
  }
  return secret
}

async function firstLine(stdin: Io['stdin']): Promise<string> {
  let bytes = Buffer.alloc(0)
  for await (const chunk of stdin?.() ?? []) {
    bytes = Buffer.concat([bytes, chunk])
    if (bytes.includes(0x0a) || bytes.length > LINE_BYTES_MAX) break
  }
  const end = bytes.indexOf(0x0a)
  const line = end === -1 ? bytes : bytes.subarray(0, end)
  return textOf(line.at(-1) === 0x0d ? line.subarray(0, -1) : line)
}

async function typed(label: string, keyboard: Keyboard, show: Io['stderr']): Promise<string | undefined> {
  const keys = keysOf(keyboard.read())
  keyboard.setRaw(true)
  try {
    const lines: string[] = []
    for (const prompt of [label, `${label} again`]) {
      show(`${prompt}: `)
      const line = await readLine(keys)
      // Its Enter was not shown either.
      show('\n')
      if (line === undefined) return undefined
      lines.push(line)
      if (line === '') break
    }
    const [first = '', second = first] = lines
    if (first !== second) throw new StartError('The two are not the same')
    return first
  } finally {
    keyboard.setRaw(false)
  }
}

/** Undefined where it is interrupted. */
async function readLine(keys: AsyncIterator<number>): Promise<string | undefined> {
  let line: number[] = []
  for (;;) {
    const { value: key, done } = await keys.next()
    if (done === true || ENDS.includes(key) || (key === CTRL_D && line.length === 0)) break
    if (INTERRUPTS.includes(key)) return undefined
    if (key === CTRL_U) line = []
    else if (BACKSPACES.includes(key)) removeCharacter(line)
    else if (key >= SPACE) line.push(key)
    if (line.length > LINE_BYTES_MAX) break
  }
  return textOf(Buffer.from(line))
}

function removeCharacter(line: number[]): void {
  let last = line.pop()
  // The bytes of UTF-8 that go on with a character.
  while (last !== undefined && (last & 0xc0) === 0x80) last = line.pop()
}

/** The bytes that are typed, without the sequences of keys that have no character, such as arrows. */
async function* keysOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<number, undefined> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at++) {
      if (chunk[at] === ESCAPE) at += escapeLength(chunk.subarray(at + 1))
      else yield chunk[at] as number
    }
  }
}

// ECMA-48, 5.4: `[`, parameters, and a final byte; or one more byte.
function escapeLength(rest: Uint8Array): number {
  const [, sequence = ''] = /^(\[[0-?]*[ -/]*[@-~]|O.|)/s.exec(Buffer.from(rest).toString('latin1')) ?? []
  return sequence.length
}

function textOf(bytes: Uint8Array): string {
  if (bytes.length > LINE_BYTES_MAX) {
    throw new StartError(`Standard input is too long, maximum is ${LINE_BYTES_MAX} bytes in a line`)
  }
  if (bytes.includes(0)) throw new StartError('Standard input has a NUL character')
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw new StartError('Standard input is no text in UTF-8')
  }
}
