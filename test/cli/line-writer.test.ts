import { expect, test } from 'bun:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createLineWriter, WAITING_MAX } from '../../src/cli/line-writer.ts'

/** A writer whose reader takes what it is given when `take` is called; at once unless `isSlow`. */
function createWriter({ isSlow = false } = {}) {
  const written: string[] = []
  const told: number[] = []
  let taken = Promise.withResolvers<void>()
  if (!isSlow) taken.resolve()
  const writer = createLineWriter(
    { stdout: (text) => written.push(text), stdoutReady: () => taken.promise },
    (lines) => {
      told.push(lines)
      writer.writeNow(`${lines} dropped\n`)
    },
  )
  const take = async () => {
    taken.resolve()
    taken = Promise.withResolvers<void>()
    await Bun.sleep(30)
  }
  return { writer, written, told, take, fail: (error: Error) => taken.reject(error) }
}

test('lines of one turn of the event loop are one write, in their order', async () => {
  const { writer, written } = createWriter()
  for (const line of ['a\n', 'b\n', 'c\n']) writer.write(line)
  expect(written).toEqual([])
  await nextTurn()
  expect(written).toEqual(['a\nb\nc\n'])
  writer.write('d\n')
  await Bun.sleep(30)
  expect(written).toEqual(['a\nb\nc\n', 'd\n'])
})

test('a line that must be out now is, with those before it', async () => {
  const { writer, written } = createWriter()
  writer.write('a\n')
  writer.writeNow('b\n')
  expect(written).toEqual(['a\nb\n'])
  await Bun.sleep(30)
  expect(written).toHaveLength(1)
})

test('a line that must be out now waits only for a slow reader', async () => {
  const { writer, written, take } = createWriter({ isSlow: true })
  writer.writeNow('a\n')
  writer.writeNow('b\n')
  expect(written).toEqual(['a\n'])
  await take()
  expect(written).toEqual(['a\n', 'b\n'])
})

test('what waits at the end is not lost', () => {
  const { writer, written } = createWriter({ isSlow: true })
  writer.write('a\n')
  writer.flush()
  writer.write('b\n')
  writer.flush()
  writer.flush()
  expect(written).toEqual(['a\n', 'b\n'])
})

test('nothing more is written until a slow reader has taken what it got', async () => {
  const { writer, written, take, told } = createWriter({ isSlow: true })
  writer.write('a\n')
  await nextTurn()
  writer.write('b\n')
  await Bun.sleep(30)
  expect(written).toEqual(['a\n'])
  await take()
  expect(written).toEqual(['a\n', 'b\n'])
  expect(told).toEqual([])
})

test('what waits for a slow reader is bounded, and what is dropped is counted', async () => {
  const { writer, written, take, told } = createWriter({ isSlow: true })
  writer.write('a\n')
  await nextTurn()
  writer.write(`${'x'.repeat(WAITING_MAX - 3)}\n`)
  // There is room for two characters more.
  writer.write('12\n')
  writer.write('3\n')
  writer.write('\n')
  writer.write('4\n')
  await take()
  expect(written[1]).toBe(`${'x'.repeat(WAITING_MAX - 3)}\n3\n`)
  expect(told).toEqual([3])
  expect(written).toHaveLength(2)
  writer.write('b\n')
  await take()
  expect(written[2]).toBe('3 dropped\nb\n')
  await take()
  writer.write('c\n')
  await Bun.sleep(30)
  expect(written[3]).toBe('c\n')
  await take()
  expect(told).toEqual([3])
})

test('what is dropped is told also where as much waits as may, and at the end', async () => {
  const { writer, written, take, told } = createWriter({ isSlow: true })
  const fill = () => {
    for (let count = 0; count < WAITING_MAX / 16 + 100; count++) writer.write('123456789012345\n')
  }
  writer.writeNow('a\n')
  fill()
  await take()
  expect(told).toEqual([100])
  fill()
  expect(told).toEqual([100])
  writer.flush()
  // The line that told of the others took the room of one.
  expect(told).toEqual([100, 101])
  expect(written.at(-1)).toBe('101 dropped\n')
  const lines = written
    .join('')
    .split('\n')
    .filter((line) => line.startsWith('1234'))
  expect(lines.length + 201).toBe(2 * (WAITING_MAX / 16 + 100))
})

test('a reader that is gone stops nothing', async () => {
  const { writer, written, fail } = createWriter({ isSlow: true })
  writer.write('a\n')
  await nextTurn()
  fail(new Error('EPIPE'))
  writer.write('b\n')
  await Bun.sleep(30)
  expect(written).toEqual(['a\n', 'b\n'])
})
