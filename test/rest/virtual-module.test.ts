import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { provideModule } from '../../src/rest/virtual-module.ts'
import * as sdk from '../../src/sdk.ts'

let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hipflask-module-'))
  provideModule()
})
afterAll(() => rm(folder, { recursive: true }))

test("a file anywhere gets this program's own module by the name hipflask, with all it exports", async () => {
  const fake = join(folder, 'node_modules/hipflask')
  await mkdir(fake, { recursive: true })
  await writeFile(join(fake, 'index.js'), 'export const t = null')
  await writeFile(join(folder, 'probe.ts'), `export * from 'hipflask'\nexport { t } from 'hipflask'`)
  const loaded = (await import(join(folder, 'probe.ts'))) as Record<string, unknown>
  expect(Object.keys(loaded).sort()).toEqual(Object.keys(sdk).sort())
  expect(loaded['t']).toBe(sdk.t)
  expect(loaded['defineResource']).toBe(sdk.defineResource)
})
