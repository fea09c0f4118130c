import { describe, expect, test } from 'bun:test'
import { STATUS_CODES } from 'node:http'
import { errorCodes, statusOf } from '../../src/core/errors.ts'
import { statusText } from '../../src/http/status-text.ts'

/** What Node still calls by the names of older standards. */
const RENAMED: Readonly<Record<number, string>> = { 422: 'Unprocessable Content' }

describe('the name of a status', () => {
  const statuses = new Set([
    200,
    201,
    202,
    204,
    206,
    301,
    302,
    303,
    304,
    307,
    308,
    ...errorCodes.map(statusOf),
  ])
  for (const status of statuses) {
    test(`${status}`, () => expect(statusText(status)).toBe(RENAMED[status] ?? STATUS_CODES[status]))
  }
  test('of one that has none', () => expect(statusText(299)).toBeUndefined())
})
