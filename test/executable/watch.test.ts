// `hipflask serve --watch` on the built executable: files change while it serves.
import { expect, test } from 'bun:test'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, runCommand, startServer, type RunningServer } from '../support/executable.ts'

const thing = (more: string) => `
import { defineResource, everyone, t } from 'hipflask'
import { prefix } from './_shared/prefix.ts'
export default defineResource({
  name: 'things',
  schema: t.Object({ name: t.String(), ${more} }),
  access: { list: everyone(), create: everyone(), read: everyone() },
  compute: { label: { schema: t.String(), from: (thing) => prefix + thing.name } },
})`
const RESOURCES = {
  'things.ts': thing(''),
  '_shared/prefix.ts': "export const prefix = 'one '",
}

const write = (server: RunningServer, name: string, text: string) =>
  Bun.write(join(server.folder, 'resources', name), text)

async function create(server: RunningServer, body: object): Promise<{ status: number; body: any }> {
  const response = await server.fetch('/api/things', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: await response.json() }
}

/** Waits until the log has so many lines with this text. */
async function logged(server: RunningServer, text: string, times = 1): Promise<void> {
  const end = Date.now() + 5_000
  while (server.log().filter((line) => line.includes(text)).length < times) {
    if (Date.now() > end) throw new Error(`No line with ${text}:\n${server.log().join('\n')}`)
    await Bun.sleep(20)
  }
}

test('serve --watch serves changed, new and removed files, and what they import', async () => {
  await using server = await startServer({ args: ['--watch'], resources: RESOURCES })
  expect((await create(server, { name: 'a' })).body.label).toBe('one a')

  await write(server, 'things.ts', thing('size: t.Integer({ default: 7 })'))
  await logged(server, 'Reloaded')
  expect((await create(server, { name: 'b' })).body).toMatchObject({ size: 7, label: 'one b' })
  const list = (await (await server.fetch('/api/things')).json()) as any
  expect(list.data.map(({ name, size }: any) => [name, size])).toEqual([
    ['a', 7],
    ['b', 7],
  ])

  await write(server, '_shared/prefix.ts', "export const prefix = 'two '")
  await logged(server, 'Reloaded', 2)
  expect((await create(server, { name: 'c' })).body.label).toBe('two c')

  await write(server, 'others.ts', thing('').replace("'things'", "'others'"))
  await logged(server, 'Reloaded', 3)
  expect((await server.fetch('/api/others')).status).toBe(200)
  expect(Object.keys(((await (await server.fetch('/swagger/json')).json()) as any).paths)).toContain(
    '/api/others',
  )

  rmSync(join(server.folder, 'resources/others.ts'))
  await logged(server, 'Reloaded', 4)
  expect((await server.fetch('/api/others')).status).toBe(404)
  expect(await server.stop()).toBe(0)
})

test.each([
  ['a syntax error', thing('name: ('), 'things.ts:6:'],
  ['a bad declaration', thing('limit: t.String()'), "field 'limit': the name is reserved"],
  ['a change that would lose data', thing('').replace('name: t.String()', 'name: t.Integer()'), 'things'],
])(
  'serve --watch prints %s, goes on with the old files, and takes the repaired ones',
  async (_, text, message) => {
    await using server = await startServer({ args: ['--watch'], resources: RESOURCES })
    await create(server, { name: 'a' })
    await write(server, 'things.ts', text)
    await logged(server, 'Not reloaded')
    expect(server.log().find((line) => line.includes('Not reloaded'))).toContain(message)
    expect((await create(server, { name: 'b' })).body).toMatchObject({ id: 2, label: 'one b' })
    await write(server, 'things.ts', thing("color: t.String({ default: 'red' })"))
    await logged(server, 'Reloaded')
    expect((await create(server, { name: 'c' })).body).toMatchObject({ id: 3, color: 'red' })
  },
)

test('a request that is under way during a reload is answered by the old files', async () => {
  const slow = (text: string) =>
    thing('').replace(
      'compute:',
      `hooks: { beforeCreate: async (thing) => { await new Promise((done) => setTimeout(done, 700)); thing.name += '${text}' } }, compute:`,
    )
  await using server = await startServer({
    args: ['--watch'],
    resources: { ...RESOURCES, 'things.ts': slow('old') },
  })
  const answer = create(server, { name: 'a ' })
  await Bun.sleep(50)
  await write(server, 'things.ts', slow('new'))
  await logged(server, 'Reloaded')
  expect((await answer).body).toMatchObject({ name: 'a old' })
  expect((await create(server, { name: 'b ' })).body).toMatchObject({ name: 'b new' })
})

test('serve without --watch does not reload', async () => {
  await using server = await startServer({ resources: RESOURCES })
  await write(server, 'things.ts', thing('size: t.Integer({ default: 7 })'))
  await Bun.sleep(400)
  expect((await create(server, { name: 'b' })).body).not.toHaveProperty('size')
})

test('serve --watch is wrong usage in production and changes nothing', async () => {
  const folder = makeFolder()
  const { exitCode, stderr } = await runCommand(['serve', '--watch'], {
    folder,
    resources: RESOURCES,
    env: { HIPFLASK_ENV: 'production', PORT: '0' },
  })
  expect({ exitCode, stderr }).toEqual({
    exitCode: 2,
    stderr: '--watch is for development, take it away in production\n',
  })
  expect(existsSync(join(folder, 'data'))).toBe(false)
})

test('serve --watch without a resources folder says so', async () => {
  const { exitCode, stderr } = await runCommand(['serve', '--watch'], { env: { PORT: '0' } })
  expect(exitCode).toBe(1)
  expect(stderr).toMatch(
    /^Resources folder \S+ does not exist, so there is nothing to watch: run hipflask init\n$/,
  )
})
