import { describe, expect, test } from 'bun:test'
import { createLogger } from '../../src/core/logger.ts'
import { createDeploymentNotices } from '../../src/http/deployment-notices.ts'

function createNotices({ isProtected = false, hasProxies = false } = {}) {
  const lines: Record<string, unknown>[] = []
  const logger = createLogger({
    level: 'info',
    format: 'json',
    write: (line) => lines.push(JSON.parse(line) as Record<string, unknown>),
    clock: Date.now,
  })
  return { lines, ...createDeploymentNotices({ logger, isProtected, hasProxies }) }
}

describe('a password', () => {
  test.each(['192.0.2.1', '2001:db8::1', '10.0.0.1', '::2', 'unknown'])(
    'of %s is told of, once',
    (address) => {
      const { lines, onPassword } = createNotices()
      onPassword(address)
      onPassword('198.51.100.1')
      expect(lines).toEqual([
        expect.objectContaining({
          level: 'warn',
          message: expect.stringContaining('A password came over plain http'),
          ip: address,
        }),
      ])
    },
  )

  test.each(['127.0.0.1', '127.8.8.8', '::1'])('of %s is not', (address) => {
    const { lines, onPassword } = createNotices()
    onPassword(address)
    expect(lines).toEqual([])
    // Nor does it use up what is told of others.
    onPassword('192.0.2.1')
    expect(lines).toHaveLength(1)
  })

  test('over what is private is not', () => {
    const { lines, onPassword } = createNotices({ isProtected: true })
    onPassword('192.0.2.1')
    expect(lines).toEqual([])
  })
})

describe('X-Forwarded-For', () => {
  test('of somebody who is not named is told of, once', () => {
    const { lines, onForwarded } = createNotices()
    onForwarded('192.0.2.1')
    onForwarded('192.0.2.2')
    expect(lines).toEqual([expect.objectContaining({ level: 'warn', peer: '192.0.2.1' })])
  })

  test('is not where proxies are named: anybody may send it', () => {
    const { lines, onForwarded } = createNotices({ hasProxies: true })
    onForwarded('192.0.2.1')
    expect(lines).toEqual([])
  })
})
