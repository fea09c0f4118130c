// What a list costs when there is much to list: the same pages at 1,000 and at 1,000,000 records, deep cursors, filters,
// sorts and full text. It prints medians of single requests, in turns, and asserts nothing.
import { $ } from 'bun'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { start } from './contestants.ts'
import { inBenchFolder } from './folder.ts'

const DIST = join(import.meta.dir, '../../dist')
const FEW = 1000
const MANY = 1_000_000
const WORDS = 20_000
const REQUESTS = 400

const resource = (name: string) => `import { defineResource, everyone, t } from 'hipflask'
export default defineResource({
  name: '${name}',
  schema: t.Object({ title: t.String({ search: true }), price: t.Integer({ index: true }), done: t.Boolean() }),
  access: { list: everyone(), read: everyone() },
})
`

await inBenchFolder({}, measure)

async function measure(folder: string): Promise<void> {
  const executable = join(folder, 'hipflask')
  await copyFile(join(DIST, 'hipflask'), executable)
  await fill(folder, 'few', FEW)
  const importSeconds = await fill(folder, 'many', MANY)
  await using server = await start({ name: 'hipflask', executable, folder, size: 0 })
  const get = async (path: string) =>
    (await (await fetch(server.url + path)).json()) as { next_cursor: string }
  const deep = await get('/api/many?sort=-price&page=1000&limit=100')
  const cursor = (place: string) => `/api/many?sort=-price&limit=10&cursor=${place}`
  const first = await get('/api/many?sort=-price&limit=10')
  const paths = {
    read: '/api/many/4711',
    few: '/api/few?limit=10',
    many: '/api/many?limit=10',
    shallow: cursor(first.next_cursor),
    deep: cursor(deep.next_cursor),
    filtered: '/api/many?price[gte]=5000&sort=price&limit=10&count=none',
    search: '/api/many?q=',
  }
  const times = await timeInTurns(server.url, paths)
  const ratio = (one: keyof typeof paths, other: keyof typeof paths) => (times[one] / times[other]).toFixed(2)
  const rows: [string, string, string][] = [
    ['import, records/s', (MANY / importSeconds).toFixed(0), '≥ 50000'],
    ['read, ms', times.read.toFixed(3), ''],
    [`page of 10 at ${MANY} / at ${FEW}`, ratio('many', 'few'), '≤ 1.15'],
    ['deep cursor / first', ratio('deep', 'shallow'), '≤ 1.15'],
    ['filtered and sorted by an index / read', ratio('filtered', 'read'), '< 3'],
    ['search of a word, median ms', times.search.toFixed(1), '< 20'],
  ]
  for (const [what, result, goal] of rows) console.log(what.padEnd(48), result.padStart(8), goal.padStart(9))
}

/** Imports so many records; gives the seconds that it took. */
async function fill(folder: string, name: string, count: number): Promise<number> {
  await Bun.write(join(folder, 'resources', `${name}.ts`), resource(name))
  // Makes the tables: an import makes none.
  await (await start({ name: 'hipflask', executable: join(folder, 'hipflask'), folder, size: 0 })).stop()
  const file = join(folder, `${name}.ndjson`)
  const writer = Bun.file(file).writer()
  for (let index = 0; index < count; index++) {
    await writer.write(
      `${JSON.stringify({ title: title(index), price: (index * 7919) % 10_000, done: index % 3 === 0 })}\n`,
    )
  }
  await writer.end()
  const before = performance.now()
  await $`./hipflask import ${name} ${file}`.cwd(folder).quiet()
  return (performance.now() - before) / 1000
}

/** Six words, the frequent ones more often (Zipf). */
function title(seed: number): string {
  return Array.from({ length: 6 }, (_, place) => word((seed * 31 + place * 17) % 1009, seed + place)).join(
    ' ',
  )
}

function word(random: number, seed: number): string {
  const rank = Math.floor(WORDS ** ((random + (seed % 7) / 7) / 1010))
  return `w${rank.toString(36)}`
}

/** Median milliseconds of one request to each path, asked in turns. */
async function timeInTurns<K extends string>(
  url: string,
  paths: Record<K, string>,
): Promise<Record<K, number>> {
  const names = Object.keys(paths) as K[]
  const taken = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<K, number[]>
  for (let request = 0; request < REQUESTS; request++) {
    for (const name of names) {
      const path = name === 'search' ? `${paths[name]}${word((request * 37) % 1009, request)}` : paths[name]
      const before = performance.now()
      const response = await fetch(url + path)
      await response.text()
      if (!response.ok) throw new Error(`${path} answered ${response.status}`)
      taken[name].push(performance.now() - before)
    }
  }
  const median = (times: number[]) => times.sort((one, other) => one - other)[times.length >> 1] as number
  return Object.fromEntries(names.map((name) => [name, median(taken[name])])) as Record<K, number>
}
