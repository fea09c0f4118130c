// Prefer by itself; what requests make of it is in executable/conditions.test.ts.
import { expect, test } from 'bun:test'
import { Reply } from '../../src/http/route.ts'
import { preferred } from '../../src/rest/prefer.ts'

const headers = { location: '/api/items/1', etag: '"1-a"' }
const record = { id: 1 }
const answer = (status: number, prefer: string | null) =>
  preferred(new Reply(status, record, headers), (name) => (name === 'prefer' ? prefer : null))

test.each([
  [201, 201],
  [200, 204],
])('return=minimal makes of %d a %d without a body, with its headers', (status, expected) => {
  const reply = answer(status, 'return=minimal')
  expect(reply.status).toBe(expected)
  expect(reply.body).toBeUndefined()
  expect(reply.headers).toEqual({ ...headers, 'preference-applied': 'return=minimal' })
})

test.each<[string, string | null, boolean]>([
  ['no header', null, false],
  ['an empty header', '', false],
  ['minimal', 'return=minimal', true],
  ['minimal in quotes', 'return="minimal"', true],
  ['minimal in other letters', 'Return=Minimal', true],
  ['minimal with spaces', ' return = minimal ', true],
  ['minimal among others', 'respond-async, return=minimal, wait=100', true],
  ['minimal with a parameter', 'return=minimal; foo=bar', true],
  ['minimal after a comma in quotes', 'note="a, b", return=minimal', true],
  ['representation', 'return=representation', false],
  ['of two the first: minimal', 'return=minimal, return=representation', true],
  ['of two the first: representation', 'return=representation, return=minimal', false],
  ['of two the first, which says nothing', 'return, return=minimal', false],
  ['a parameter of another preference', 'respond-async; return=minimal', false],
  ['minimal after quotes that are not closed', 'note="x, return=minimal', false],
  ['minimal in quotes of another preference', 'note="x, return=minimal, y"', false],
  ['another name that ends so', 'xreturn=minimal', false],
  ['another value that begins so', 'return=minimalist', false],
  ['no comma before it', 'wait=1 return=minimal', false],
])('%s', (_, header, isMinimal) => {
  expect(answer(200, header).status).toBe(isMinimal ? 204 : 200)
})

test('an answer that is given whole is the very one', () => {
  const reply = new Reply(200, record, headers)
  expect(preferred(reply, () => null)).toBe(reply)
})

test('a hostile header is read in time that grows with its length only', () => {
  const escaped = `"${'\\"'.repeat(200_000)}`
  for (const header of ['"'.repeat(200_001), escaped, `${escaped}\\`, `return=${' '.repeat(200_000)}!`]) {
    expect(answer(200, header).status).toBe(200)
  }
})
