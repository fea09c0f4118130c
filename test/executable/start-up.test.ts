// The start is built to compile and to keep little. Its end must come: what is hot afterwards is optimized, and what only
// the start has run is let go. What the engine has is asked for from within, by resource files.
import { expect, test } from 'bun:test'
import { runCommand, startServer } from '../support/executable.ts'

/** How often the JIT has optimized a function that is hot enough for it, and by far not hot enough during a start. */
const COUNT_COMPILES = `import { numberOfDFGCompiles } from 'bun:jsc'
function add(count: number) {
  let sum = 0
  for (let number = 0; number < count; number++) sum = (sum * 31 + number) % 1_000_003
  return sum
}
async function countCompiles() {
  for (let turn = 0; turn < 20 && numberOfDFGCompiles(add) === 0; turn++) {
    if (turn === 0) for (let call = 0; call < 2000; call++) add(10)
    else for (let call = 0; call < 10; call++) add(1)
    await Bun.sleep(20)
  }
  return numberOfDFGCompiles(add)
}
`
const DECLARATION = `import { defineResource, everyone, route, t } from 'hipflask'
export default defineResource({
  name: 'engine',
  schema: t.Object({ name: t.String() }),
  access: {},
`

test('what is hot is optimized once it serves', async () => {
  await using server = await startServer({
    resources: {
      'engine.ts': `${COUNT_COMPILES}${DECLARATION}
  routes: [route({
    method: 'GET', path: '/compiles', access: everyone(), responses: { 200: t.Object({ count: t.Integer() }) },
    handler: async () => ({ count: await countCompiles() }),
  })],
})
`,
    },
  })
  const answer = await server.fetch('/api/engine/compiles')
  expect(await answer.json()).toEqual({ count: 1 })
})

/** Counts while it is loaded. */
const LOADING = `${COUNT_COMPILES}console.error('compiles', await countCompiles())\n${DECLARATION}})\n`

test('what is hot is optimized while another command runs', async () => {
  const { exitCode, stderr } = await runCommand(['access'], { resources: { 'engine.ts': LOADING } })
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: 'compiles 1\n' })
})

test('what is hot is not optimized while a server starts', async () => {
  await using server = await startServer({ resources: { 'engine.ts': LOADING } })
  expect(server.log()).toContain('compiles 0')
})

test('the code that only the start has run goes when it serves', async () => {
  const resource = `import { heapStats } from 'bun:jsc'
const count = () => heapStats().objectTypeCounts.FunctionCodeBlock ?? 0
const atStart = count()
${DECLARATION}
  routes: [route({
    method: 'GET', path: '/code', access: everyone(),
    responses: { 200: t.Object({ atStart: t.Integer(), now: t.Integer() }) },
    handler: () => ({ atStart, now: count() }),
  })],
})
`
  await using server = await startServer({ resources: { 'engine.ts': resource } })
  const answer = await server.fetch('/api/engine/code')
  const { atStart, now } = (await answer.json()) as { atStart: number; now: number }
  expect(atStart).toBeGreaterThan(500)
  expect(now).toBeLessThan(atStart / 2)
})

test('what waits from the first moment on keeps its place in stack traces', async () => {
  const resource = `${DECLARATION}
  routes: [route({
    method: 'GET', path: '/late', access: everyone(), responses: { 200: t.Object({}) },
    handler: async () => { await fail(); return {} },
  })],
})
async function fail() {
  await Bun.sleep(500)
  throw new Error('late')
}
`
  await using server = await startServer({ resources: { 'engine.ts': resource } })
  expect((await server.fetch('/api/engine/late')).status).toBe(500)
  const [line = ''] = server.log().filter((one) => one.includes('Error: late'))
  expect(line).toContain('engine.ts:9:')
  expect(line).toMatch(/async \S+ \(src\/rest\/author-code\.ts:\d/)
  expect(line).not.toContain('unknown')
})
