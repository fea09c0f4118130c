// JSONTestSuite against a create route: what is JSON is never `malformed_json`, what is not is always 400, and nothing
// is a 5xx or a hang.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { startWorld, type World } from '../support/world.ts'

const CORPUS = join(import.meta.dir, '../../../shared/corpora/jsontestsuite')

if (!existsSync(CORPUS)) {
  console.log('Skipped: JSONTestSuite is not there')
  test('JSONTestSuite is absent', () => {})
} else {
  const index = JSON.parse(readFileSync(join(CORPUS, 'index.json'), 'utf8')) as {
    file: string
    expect: 'accept' | 'reject' | 'either'
  }[]
  let world: World
  beforeAll(async () => {
    world = await startWorld()
  })
  afterAll(() => world.stop())

  describe('POST /api/kinds with each file of JSONTestSuite', () => {
    for (const { file, expect: expected } of index) {
      test(`${file}: ${expected}`, async () => {
        const response = await world.fetch('/api/kinds', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: readFileSync(join(CORPUS, file)),
        })
        const body = (await response.json()) as { error?: { code: string } }
        expect(response.status).toBeLessThan(500)
        if (expected === 'accept') expect(body.error?.code).not.toBe('malformed_json')
        if (expected === 'reject')
          expect([response.status, body.error?.code]).toEqual([400, 'malformed_json'])
      })
    }
  })
}
