import { expect, test } from 'bun:test'
import { createHealthRoutes } from '../../src/http/health.ts'
import { createSender } from '../support/requests.ts'

const WRONG = { headers: { authorization: 'Bearer nobody' } }

test.each([
  ['live', () => true],
  ['live', () => false],
  ['live', () => Promise.reject(new Error('Gone'))],
  ['ready', () => true],
  ['ready', () => Promise.resolve(true)],
])('GET /health/%s answers 200 that is not stored, when ready is %p', async (name, isReady) => {
  const response = await createSender(createHealthRoutes({ isReady }))(`/health/${name}`)
  expect(response.status).toBe(200)
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(await response.json()).toEqual({ status: 'ok' })
})

test.each([
  ['is not', () => false],
  ['comes to be not', () => Promise.resolve(false)],
  ['rejects', () => Promise.reject(new Error('disk /secret is gone'))],
  [
    'throws',
    () => {
      throw new Error('disk /secret is gone')
    },
  ],
])('GET /health/ready answers 503 with Retry-After and no cause, when ready %s', async (_, isReady) => {
  const response = await createSender(createHealthRoutes({ isReady }))('/health/ready')
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('1')
  expect(response.headers.get('cache-control')).toBe('no-store')
  const text = await response.text()
  expect(JSON.parse(text).error.code).toBe('unavailable')
  expect(text).not.toContain('secret')
})

test('GET /health/ready logs why it is not ready', async () => {
  const log: string[] = []
  const isReady = () => Promise.reject(new Error('disk is gone'))
  await createSender(createHealthRoutes({ isReady }), log)('/health/ready')
  expect(log.join('')).toContain('disk is gone')
})

test.each(['/health/live', '/health/ready'])('GET %s does not look at a credential', async (path) => {
  const response = await createSender(createHealthRoutes({ isReady: () => true }))(path, WRONG)
  expect(response.status).toBe(200)
})
