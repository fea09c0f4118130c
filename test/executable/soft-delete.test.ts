// softDelete on the built executable (test/fixtures/resources/folders.ts and papers.ts).
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { post, startWorld, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.stop())

async function send(method: string, path: string, { body, as }: { body?: unknown; as?: string } = {}) {
  const response = await world.fetch(path, {
    method,
    headers: { 'content-type': 'application/json', ...(as === undefined ? {} : world.credentials[as]) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: (await response.json()) as any }
}
let count = 0
const folder = (more: object = {}) => post(world, '/api/folders', { name: `Folder ${++count}`, ...more })
const remove = (id: unknown) => send('DELETE', `/api/folders/${id}`)
const restore = (id: unknown, as = 'admin') => send('POST', `/api/folders/${id}/restore`, { as })
const names = async (query = '', as?: string) =>
  (await send('GET', `/api/folders?limit=100${query}`, as === undefined ? {} : { as })).body.data.map(
    ({ name }: any) => name,
  )

describe('DELETE', () => {
  test('answers the record as it was, and it is gone for all', async () => {
    const { id, ...record } = await folder()
    expect(await remove(id)).toEqual({ status: 200, body: { id, ...record } })
    for (const as of [undefined, 'ada', 'admin']) {
      const caller = as === undefined ? {} : { as }
      expect((await send('GET', `/api/folders/${id}`, caller)).status).toBe(404)
      expect((await send('PATCH', `/api/folders/${id}`, { body: {}, ...caller })).status).toBe(404)
      expect((await send('PUT', `/api/folders/${id}`, { body: { name: 'x' }, ...caller })).status).toBe(404)
      expect((await send('DELETE', `/api/folders/${id}`, caller)).status).toBe(404)
      expect(await names('', as)).not.toContain(record.name)
    }
  })

  test('lowers the total, and a restore raises it', async () => {
    const total = async () => (await send('GET', '/api/folders')).body.total_items
    const { id } = await folder()
    const before = await total()
    await remove(id)
    expect(await total()).toBe(before - 1)
    await restore(id)
    expect(await total()).toBe(before)
  })

  test('frees its unique value', async () => {
    const { id, name } = await folder()
    expect((await send('POST', '/api/folders', { body: { name } })).status).toBe(409)
    await remove(id)
    expect((await send('POST', '/api/folders', { body: { name } })).status).toBe(201)
  })

  test('answers 409 while living records refer to it', async () => {
    const { id } = await folder()
    const child = await folder({ parent_id: id })
    const paper = await post(world, '/api/papers', { text: 'a', folder_id: id })
    expect((await remove(id)).status).toBe(409)
    await remove(child.id)
    expect((await remove(id)).status).toBe(409)
    await send('DELETE', `/api/papers/${paper.id}`)
    expect((await remove(id)).status).toBe(200)
  })

  test('takes a record that refers to itself', async () => {
    const { id } = await folder()
    await send('PATCH', `/api/folders/${id}`, { body: { parent_id: id } })
    expect((await remove(id)).status).toBe(200)
  })
})

describe('a reference to a deleted record', () => {
  test('answers 400 with the field, in an array with its place', async () => {
    const { id } = await folder()
    const living = await folder()
    await remove(id)
    const message = 'Expected the id of an existing record of folders'
    const one = await send('POST', '/api/papers', { body: { text: 'a', folder_id: id } })
    expect([one.status, one.body.error.details]).toEqual([400, [{ field: '/folder_id', message }]])
    const two = [
      { text: 'a', folder_id: living.id },
      { text: 'b', folder_id: id },
    ]
    const many = await send('POST', '/api/papers', { body: two })
    expect([many.status, many.body.error.details]).toEqual([400, [{ field: '/1/folder_id', message }]])
    const patch = await send('PATCH', `/api/folders/${living.id}`, { body: { parent_id: id } })
    expect([patch.status, patch.body.error.details]).toEqual([400, [{ field: '/parent_id', message }]])
  })
})

describe('POST /:id/restore', () => {
  test('is for administrators', async () => {
    const { id } = await folder()
    await remove(id)
    expect((await send('POST', `/api/folders/${id}/restore`)).status).toBe(401)
    expect((await restore(id, 'ada')).status).toBe(403)
  })

  test('brings the record back, without deleted_at', async () => {
    const record = await folder()
    await remove(record.id)
    const { status, body } = await restore(record.id)
    expect({ status, body }).toEqual({ status: 200, body: { ...record, updated_at: body.updated_at } })
    expect((await send('GET', `/api/folders/${record.id}`)).body).toEqual(body)
  })

  test('answers 404 for what is not deleted, and for what never was', async () => {
    const { id } = await folder()
    expect((await restore(id)).status).toBe(404)
    expect((await restore(99_999)).status).toBe(404)
    expect((await restore('abc')).status).toBe(400)
  })

  test('answers 409 where a unique value was taken meanwhile', async () => {
    const { id, name } = await folder()
    await remove(id)
    await folder({ name })
    const { status, body } = await restore(id)
    expect([status, body.error.details[0].field]).toEqual([409, '/name'])
  })

  test('answers 409 while what it refers to is deleted', async () => {
    const { id } = await folder()
    const child = await folder({ parent_id: id })
    await remove(child.id)
    await remove(id)
    expect((await restore(child.id)).status).toBe(409)
    await restore(id)
    expect((await restore(child.id)).status).toBe(200)
  })
})

describe('GET ?deleted=true', () => {
  test('shows administrators what is deleted, and when', async () => {
    const { id, name } = await folder()
    expect(await names('&deleted=true', 'admin')).not.toContain(name)
    await remove(id)
    const { data } = (await send('GET', '/api/folders?deleted=true&limit=100', { as: 'admin' })).body
    const deleted = data.find((one: any) => one.id === id)
    expect(deleted.deleted_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  })

  test('is for administrators', async () => {
    expect((await send('GET', '/api/folders?deleted=true')).status).toBe(401)
    expect((await send('GET', '/api/folders?deleted=true', { as: 'ada' })).status).toBe(403)
  })
})

test('deleted_at in a body has no effect', async () => {
  const { id } = await folder({ deleted_at: '2026-01-01T00:00:00.000Z' })
  expect((await send('GET', `/api/folders/${id}`)).body).not.toHaveProperty('deleted_at')
})

test('uuid ids are deleted and restored too', async () => {
  const { id: folder_id } = await folder()
  const { id } = await post(world, '/api/papers', { text: 'a', folder_id })
  expect((await send('DELETE', `/api/papers/${id}`)).status).toBe(200)
  expect((await send('GET', `/api/papers/${id}`)).status).toBe(404)
  expect((await send('POST', `/api/papers/${id}/restore`, { as: 'admin' })).status).toBe(200)
})
