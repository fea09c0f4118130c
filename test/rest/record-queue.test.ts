import { expect, test } from 'bun:test'
import { createQueue, MAX_WAITING } from '../../src/rest/record-queue.ts'

test('tasks of one id run in turn, those of another at once', async () => {
  const inTurn = createQueue()
  const gate = Promise.withResolvers<void>()
  const order: string[] = []
  const first = inTurn(1, async () => {
    await gate.promise
    order.push('first')
  })
  const second = inTurn(1, async () => void order.push('second'))
  await inTurn(2, async () => void order.push('other'))
  gate.resolve()
  await Promise.all([first, second])
  expect(order).toEqual(['other', 'first', 'second'])
})

test('a task that fails fails alone', async () => {
  const inTurn = createQueue()
  const failed = inTurn(1, () => Promise.reject(new Error('mine')))
  const next = inTurn(1, async () => 'fine')
  await expect(failed).rejects.toThrow('mine')
  expect(await next).toBe('fine')
})

test(`the task after ${MAX_WAITING} waiting ones is refused, and there is room again after them`, async () => {
  const inTurn = createQueue()
  const gate = Promise.withResolvers<void>()
  const waiting = Array.from({ length: MAX_WAITING }, () => inTurn(1, () => gate.promise))
  await expect(inTurn(1, async () => 1)).rejects.toMatchObject({ code: 'unavailable' })
  gate.resolve()
  await Promise.all(waiting)
  expect(await inTurn(1, async () => 'room')).toBe('room')
})
