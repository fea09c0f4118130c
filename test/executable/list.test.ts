// Lists: the envelope, page numbers and links at every edge, and totals that stay right under writes and restarts.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Database } from 'bun:sqlite'
import { join } from 'node:path'
import { makeFolder, startServer } from '../support/executable.ts'
import { fixtureResources, post, startWorld, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
  await post(
    world,
    '/api/kinds',
    Array.from({ length: 7 }, (_, index) => ({ maybe: index, text: `row ${index}` })),
  )
})
afterAll(() => world.stop())

const list = async (path: string) => {
  const response = await world.fetch(path)
  return { link: response.headers.get('link'), ...((await response.json()) as any) }
}

describe('7 records, 3 on a page unless said, at most 5', () => {
  const link = (page: number, limit: number) => `/api/kinds?page=${page}&limit=${limit}`
  const cases: [string, object, number, [number | null, number | null, number]][] = [
    ['/api/kinds', { current_page: 1, items_per_page: 3, total_pages: 3 }, 3, [null, 2, 3]],
    ['/api/kinds?page=2', { current_page: 2, items_per_page: 3, total_pages: 3 }, 3, [1, 3, 3]],
    ['/api/kinds?page=3', { current_page: 3, items_per_page: 3, total_pages: 3 }, 1, [2, null, 3]],
    ['/api/kinds?page=4', { current_page: 4, items_per_page: 3, total_pages: 3 }, 0, [3, null, 3]],
    ['/api/kinds?page=900', { current_page: 900, items_per_page: 3, total_pages: 3 }, 0, [3, null, 3]],
    ['/api/kinds?limit=5', { current_page: 1, items_per_page: 5, total_pages: 2 }, 5, [null, 2, 2]],
    ['/api/kinds?limit=1&page=7', { current_page: 7, items_per_page: 1, total_pages: 7 }, 1, [6, null, 7]],
  ]
  for (const [path, envelope, rows, [prev, next, last]] of cases) {
    test(path, async () => {
      const body = await list(path)
      expect(body).toMatchObject({ ...envelope, total_items: 7 })
      expect(body).not.toHaveProperty('total_is_exact')
      expect(body.data).toHaveLength(rows)
      const limit = body.items_per_page
      const links = {
        self: link(body.current_page, limit),
        first: link(1, limit),
        prev: prev === null ? null : link(prev, limit),
        next: next === null ? null : link(next, limit),
        last: link(last, limit),
      }
      expect(body.links).toEqual(links)
      for (const relation of ['first', 'prev', 'next', 'last'] as const) {
        const target = links[relation]
        if (target === null) expect(body.link).not.toContain(`rel="${relation}"`)
        else expect(body.link).toContain(`<${target}>; rel="${relation}"`)
      }
    })
  }

  test('pages follow the ids and together have every record once', async () => {
    const pages = await Promise.all([1, 2, 3].map((page) => list(`/api/kinds?page=${page}`)))
    expect(pages.flatMap(({ data }) => data.map((one: any) => one.maybe))).toEqual([0, 1, 2, 3, 4, 5, 6])
  })

  test('an empty list has no pages', async () => {
    expect(await list('/api/authors')).toMatchObject({
      data: [],
      total_items: 0,
      total_pages: 0,
      links: { prev: null, next: null, first: '/api/authors?page=1&limit=10' },
    })
  })
})

describe('totals', () => {
  test('follow creates, arrays, deletes and failures', async () => {
    const total = async () => (await list('/api/authors')).total_items as number
    const before = await total()
    const made = await Promise.all(
      Array.from({ length: 30 }, (_, index) => post(world, '/api/authors', { name: `T${index}` })),
    )
    await post(world, '/api/authors', [{ name: 'U1' }, { name: 'U2' }])
    expect(await total()).toBe(before + 32)
    const failures = Array.from({ length: 10 }, () =>
      world.fetch('/api/authors', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: '{"name":"T1"}',
      }),
    )
    expect((await Promise.all(failures)).map(({ status }) => status)).toEqual(Array(10).fill(409))
    await Promise.all(made.map(({ id }) => world.fetch(`/api/authors/${id}`, { method: 'DELETE' })))
    expect(await total()).toBe(before + 2)
  })

  test('of a filtering rule stop at 10,000 and say so', async () => {
    for (let batch = 0; batch < 10; batch++) {
      await post(
        world,
        '/api/offers',
        Array.from({ length: 1000 }, () => ({ title: 'x', price: 1 })),
      )
    }
    expect(await list('/api/offers?limit=1')).toMatchObject({ total_items: 10_000, total_pages: 10_000 })
    expect(await list('/api/offers?limit=1')).not.toHaveProperty('total_is_exact')
    await post(world, '/api/offers', { title: 'x', price: 1 })
    const body = await list('/api/offers?limit=1')
    expect(body).toMatchObject({ total_items: 10_000, total_is_exact: false })
    expect(body.links.last).toBeNull()
    expect(body.links.next).toBe('/api/offers?page=2&limit=1')
  })

  test('are counted again at start, after another program wrote', async () => {
    const folder = makeFolder()
    const first = await startWorld({ folder, resources: fixtureResources() })
    await post(first, '/api/authors', [{ name: 'a' }, { name: 'b' }])
    expect(await first.stop()).toBe(0)
    const database = new Database(join(folder, 'data/hipflask.db'))
    database.run("DELETE FROM authors WHERE name = 'a'")
    database.close()
    const second = await startServer({ folder })
    const response = await second.fetch('/api/authors')
    expect((await response.json()) as object).toMatchObject({ total_items: 1 })
    await second.stop()
  })
})

describe('what was acknowledged is there after kill -9', () => {
  test('every created record, exactly once', async () => {
    const folder = makeFolder()
    const first = await startWorld({ folder, resources: fixtureResources() })
    const acknowledged: number[] = []
    let isKilled = false
    const writers = Array.from({ length: 16 }, async () => {
      while (!isKilled && acknowledged.length < 5000) {
        try {
          acknowledged.push((await post(first, '/api/kinds', { maybe: 1 })).id as number)
        } catch {
          return
        }
      }
    })
    while (acknowledged.length < 300) await Bun.sleep(5)
    isKilled = true
    await first.kill()
    await Promise.all(writers)
    const second = await startServer({ folder })
    const found = await Promise.all(
      acknowledged.map(async (id) => (await second.fetch(`/api/kinds/${id}`)).status),
    )
    expect(found.filter((status) => status !== 200)).toEqual([])
    expect(new Set(acknowledged).size).toBe(acknowledged.length)
    await second.stop()
    const database = new Database(join(folder, 'data/hipflask.db'))
    expect(database.query('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    database.close()
  })
})
