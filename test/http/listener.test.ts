// The address that a server prints, and that the health check asks: one that this machine can call.
import { expect, test } from 'bun:test'
import { loopbackOf, urlOf } from '../../src/http/listener.ts'

test.each([
  ['0.0.0.0', true, 'https://127.0.0.1:443'],
  ['0.0.0.0', false, 'http://127.0.0.1:443'],
  ['::', false, 'http://[::1]:443'],
  ['::1', true, 'https://[::1]:443'],
  ['10.0.0.7', false, 'http://10.0.0.7:443'],
  ['localhost', false, 'http://localhost:443'],
])('on %s, https %p, is %s', (host, isSecure, url) => {
  expect(urlOf({ host, port: 443, isSecure })).toBe(url)
  expect(loopbackOf(host) !== undefined).toBe(['0.0.0.0', '::'].includes(host))
})
