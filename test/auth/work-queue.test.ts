import { describe, expect, test } from 'bun:test'
import { createWorkQueue } from '../../src/auth/work-queue.ts'

describe('a work queue', () => {
  test('runs no more at once than it may, in the order they came', async () => {
    const inTurn = createWorkQueue({ atOnce: 2, waitingMax: 8 })
    const gates = Array.from({ length: 6 }, () => Promise.withResolvers<void>())
    const started: number[] = []
    let running = 0
    let most = 0
    const tasks = gates.map((gate, index) =>
      inTurn(async () => {
        started.push(index)
        most = Math.max(most, ++running)
        await gate.promise
        running -= 1
        return index
      }),
    )
    await new Promise(setImmediate)
    expect(started).toEqual([0, 1])
    for (const gate of gates) {
      gate.resolve()
      await new Promise(setImmediate)
    }
    expect(await Promise.all(tasks)).toEqual([0, 1, 2, 3, 4, 5])
    expect({ started, most }).toEqual({ started: [0, 1, 2, 3, 4, 5], most: 2 })
  })

  test('refuses at once the first that would wait beyond its bound, and takes more when there is room', async () => {
    const inTurn = createWorkQueue({ atOnce: 1, waitingMax: 2 })
    const gate = Promise.withResolvers<void>()
    const tasks = [1, 2, 3].map(() => inTurn(() => gate.promise))
    const refused = inTurn(() => Promise.resolve())
    expect(refused).rejects.toMatchObject({ code: 'unavailable', headers: { 'Retry-After': '1' } })
    gate.resolve()
    await Promise.all(tasks)
    expect(await inTurn(() => Promise.resolve('done'))).toBe('done')
  })

  test('lets a newcomer wait for whoever took over a place', async () => {
    const inTurn = createWorkQueue({ atOnce: 1, waitingMax: 2 })
    const gates = [1, 2].map(() => Promise.withResolvers<void>())
    const [first, second] = gates.map((gate) => inTurn(() => gate.promise))
    gates[0]?.resolve()
    await first
    let started = false
    const third = inTurn(async () => void (started = true))
    await new Promise(setImmediate)
    expect(started).toBe(false)
    gates[1]?.resolve()
    await Promise.all([second, third])
    expect(started).toBe(true)
  })

  test('gives its place on when a task fails', async () => {
    const inTurn = createWorkQueue({ atOnce: 1, waitingMax: 2 })
    const first = inTurn(() => Promise.reject(new Error('broken')))
    const second = inTurn(() => Promise.resolve('done'))
    await expect(first).rejects.toThrow('broken')
    expect(await second).toBe('done')
    expect(await inTurn(() => Promise.resolve('again'))).toBe('again')
  })
})
