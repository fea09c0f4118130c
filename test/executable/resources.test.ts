// Create, read, replace, patch and delete on the built executable, with every kind of field.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { testCases } from '../support/cases.ts'
import { post, startWorld, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.stop())

const json = async (path: string, init: RequestInit = {}) => {
  const response = await world.fetch(path, init)
  return { status: response.status, headers: response.headers, body: (await response.json()) as any }
}
const create = (name: string, body: unknown, as?: string) =>
  post(world, `/api/${name}`, body, as === undefined ? {} : world.credentials[as])
const send = (method: string, path: string, body: unknown, as?: string) =>
  json(path, {
    method,
    headers: { 'content-type': 'application/json', ...(as === undefined ? {} : world.credentials[as]) },
    body: JSON.stringify(body),
  })

describe('a record', () => {
  test('POST answers 201 with Location, the defaults and what the server sets', async () => {
    const { status, headers, body } = await send('POST', '/api/items', { name: 'Flask', price: 12.5 }, 'ada')
    expect(status).toBe(201)
    expect(headers.get('location')).toBe(`/api/items/${body.id}`)
    expect(Object.keys(body)).toEqual([
      'id',
      'name',
      'price',
      'in_stock',
      'created_at',
      'updated_at',
      'owner_id',
    ])
    expect(body).toMatchObject({ name: 'Flask', price: 12.5, in_stock: true, owner_id: world.ids.ada })
    expect(body.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect((await json(`/api/items/${body.id}`)).body).toEqual(body)
  })

  test('what was read can be sent back by PUT: only updated_at changes', async () => {
    const item = await create('items', { name: 'Cup', price: 1, description: 'Blue' }, 'ada')
    const { status, body } = await send('PUT', `/api/items/${item.id}`, item, 'ada')
    expect(status).toBe(200)
    expect({ ...body, updated_at: item.updated_at }).toEqual(item)
  })

  test('PUT replaces: a missing optional is gone, a missing default is back', async () => {
    const item = await create('items', { name: 'Cup', price: 1, description: 'Blue', in_stock: false }, 'ada')
    const { body } = await send('PUT', `/api/items/${item.id}`, { name: 'Mug', price: 2 }, 'ada')
    expect(body).toMatchObject({ name: 'Mug', price: 2, in_stock: true })
    expect(body).not.toHaveProperty('description')
  })

  test('PATCH takes application/merge-patch+json and application/json alike', async () => {
    const item = await create('items', { name: 'Cup', price: 1, description: 'Blue' }, 'ada')
    for (const type of ['application/merge-patch+json', 'Application/JSON; charset=UTF-8']) {
      const { status, body } = await json(`/api/items/${item.id}`, {
        method: 'PATCH',
        headers: { ...world.credentials.ada, 'content-type': type },
        body: '{"description":null,"price":3}',
      })
      expect(status).toBe(200)
      expect(body).toMatchObject({ name: 'Cup', price: 3 })
      expect(body).not.toHaveProperty('description')
    }
  })

  test('DELETE answers the record as it was, and it is gone; its id is never used again', async () => {
    const item = await create('items', { name: 'Last', price: 1 }, 'ada')
    const { status, body } = await json(`/api/items/${item.id}`, {
      method: 'DELETE',
      headers: world.credentials.ada!,
    })
    expect(status).toBe(200)
    expect(body).toEqual(item)
    expect((await json(`/api/items/${item.id}`)).status).toBe(404)
    expect((await create('items', { name: 'Next', price: 1 }, 'ada')).id as number).toBeGreaterThan(
      item.id as number,
    )
  })

  test('uuid ids are UUIDv7, and are found in upper case too', async () => {
    const note = await create('notes', { text: 'hello' }, 'ada')
    expect(note.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    const { status } = await json(`/api/notes/${String(note.id).toUpperCase()}`, {
      headers: world.credentials.ada!,
    })
    expect(status).toBe(200)
  })

  test('50 PATCHes of different values at once all succeed', async () => {
    const item = await create('items', { name: 'Busy', price: 0 }, 'ada')
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, price) => send('PATCH', `/api/items/${item.id}`, { price }, 'ada')),
    )
    expect(answers.map(({ status }) => status)).toEqual(Array(50).fill(200))
  })

  test('PATCHes of two fields at once lose neither', async () => {
    const item = await create('items', { name: 'Pair', price: 0 }, 'ada')
    await Promise.all([
      send('PATCH', `/api/items/${item.id}`, { price: 9 }, 'ada'),
      send('PATCH', `/api/items/${item.id}`, { description: 'kept' }, 'ada'),
    ])
    expect((await json(`/api/items/${item.id}`)).body).toMatchObject({ price: 9, description: 'kept' })
  })
})

describe('an array', () => {
  test('is created whole and answers its records in order, without Location', async () => {
    const { status, headers, body } = await send('POST', '/api/authors', [{ name: 'A1' }, { name: 'A2' }])
    expect(status).toBe(201)
    expect(headers.get('location')).toBeNull()
    expect(body.data.map((one: any) => one.name)).toEqual(['A1', 'A2'])
  })

  test('with one bad record creates none and names each fault', async () => {
    const before = (await json('/api/kinds')).body.total_items
    const { status, body } = await send('POST', '/api/kinds', [
      { maybe: 1 },
      { maybe: 'x' },
      { other: 1, maybe: 2 },
    ])
    expect(status).toBe(400)
    expect(body.error.details.map((one: any) => one.field)).toEqual(['/1/maybe', '/2/other'])
    expect((await json('/api/kinds')).body.total_items).toBe(before)
  })

  test('with a value that is taken creates none and names it', async () => {
    const before = (await json('/api/authors')).body.total_items
    const { status, body } = await send('POST', '/api/authors', [
      { name: 'B1' },
      { name: 'B2' },
      { name: 'B1' },
    ])
    expect(status).toBe(409)
    expect(body.error.details[0].field).toBe('/2/name')
    expect((await json('/api/authors')).body.total_items).toBe(before)
  })

  test('may have 1,000 records and no more', async () => {
    const records = Array.from({ length: 1000 }, (_, maybe) => ({ maybe }))
    expect((await send('POST', '/api/kinds', records)).status).toBe(201)
    const { status, body } = await send('POST', '/api/kinds', [...records, { maybe: 1 }])
    expect(status).toBe(400)
    expect(body.error.details[0].message).toContain('1000')
  })

  test('may be empty', async () => {
    expect((await send('POST', '/api/kinds', [])).body).toEqual({ data: [] })
  })
})

describe('every kind is stored and answered as it was given', () => {
  const values: [string, unknown][] = [
    ['text', ''],
    ['text', 'Grüße, 世界 😀 "quoted" \\ \u0001 \u2028'],
    ['text', "'; DROP TABLE kinds; --"],
    ['email', 'ada.lovelace+tag@example.co.uk'],
    ['uri', 'https://example.com/a?b=c#d'],
    ['day', '2024-02-29'],
    ['code', 'ABC'],
    ['real', 0.1],
    ['real', -1.5e-300],
    ['real', 9007199254740991],
    ['cents', 19.99],
    ['cents', 1.1],
    ['whole', 9007199254740991],
    ['whole', -9007199254740991],
    ['whole', 0],
    ['small', -5],
    ['small', 5],
    ['flag', false],
    ['flag', true],
    ['kind', 'task'],
    ['size', 2],
    ['nothing', null],
    ['nothing', 'some'],
    ['maybe', null],
    ['tags', []],
    ['tags', ['a', 'b', 'ccccc']],
    ['place', { city: 'Ulm', open: false, geo: { lat: 48.4, lon: 9.98 } }],
    ['place', { city: 'Ulm', open: true, geo: null }],
  ]
  for (const [field, value] of values) {
    test(`${field}: ${JSON.stringify(value)}`, async () => {
      const record = await create('kinds', { maybe: 1, [field]: value })
      expect(record[field]).toEqual(value as never)
      expect((await json(`/api/kinds/${record.id}`)).body[field]).toEqual(value)
    })
  }

  const canonical: [string, unknown, unknown][] = [
    ['moment', '2026-01-31T12:00:00+02:00', '2026-01-31T10:00:00.000Z'],
    ['moment', '2026-01-31t12:00:00.1234z', '2026-01-31T12:00:00.123Z'],
    ['uuid', '01991F6E-8C00-7000-8000-00000000000A', '01991f6e-8c00-7000-8000-00000000000a'],
    [
      'place',
      { city: 'Ulm', since: '2026-01-01T00:00:00-01:00' },
      { city: 'Ulm', since: '2026-01-01T01:00:00.000Z', open: true },
    ],
  ]
  for (const [field, given, answered] of canonical) {
    test(`${field}: ${JSON.stringify(given)} becomes ${JSON.stringify(answered)}`, async () => {
      expect((await create('kinds', { maybe: 1, [field]: given }))[field]).toEqual(answered as never)
    })
  }

  test('an absent optional is left out, a nullable answers null, an absent default is there', async () => {
    const record = await create('kinds', { maybe: null })
    expect(Object.keys(record)).toEqual(['id', 'kind', 'nothing', 'maybe', 'created_at', 'updated_at'])
    expect(record).toMatchObject({ kind: 'memo', nothing: null, maybe: null })
  })

  test('-0 becomes 0', async () => {
    const { body } = await json('/api/kinds', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"maybe":-0,"real":-0.0}',
    })
    expect(JSON.stringify([body.maybe, body.real])).toBe('[0,0]')
    expect(Object.is(body.real, 0)).toBe(true)
  })
})

describe('a merge patch', () => {
  const patches: [string, unknown, unknown, unknown][] = [
    [
      'changes a nested property and keeps its neighbours',
      { city: 'Ulm', open: false },
      { city: 'Bonn' },
      { city: 'Bonn', open: false },
    ],
    [
      'removes a nested optional by null',
      { city: 'Ulm', open: true, since: '2026-01-01T00:00:00Z' },
      { since: null },
      { city: 'Ulm', open: true },
    ],
    [
      'takes a nested default by null',
      { city: 'Ulm', open: false },
      { open: null },
      { city: 'Ulm', open: true },
    ],
    [
      'sets a nested nullable to null',
      { city: 'Ulm', open: true, geo: { lat: 1, lon: 2 } },
      { geo: null },
      { city: 'Ulm', open: true, geo: null },
    ],
    [
      'merges two levels down',
      { city: 'Ulm', open: true, geo: { lat: 1, lon: 2 } },
      { geo: { lat: 5 } },
      { city: 'Ulm', open: true, geo: { lat: 5, lon: 2 } },
    ],
  ]
  for (const [what, before, patch, after] of patches) {
    test(what, async () => {
      const { id } = await create('kinds', { maybe: 1, place: before })
      expect((await send('PATCH', `/api/kinds/${id}`, { place: patch })).body.place).toEqual(after)
    })
  }

  for (const patch of [{ nope: null }, { place: { nope: null } }, JSON.parse('{"__proto__":null}')]) {
    test(`names an unknown property that is null: ${JSON.stringify(patch)}`, async () => {
      const { id } = await create('kinds', { maybe: 1, place: { city: 'Ulm' } })
      expect((await send('PATCH', `/api/kinds/${id}`, patch)).status).toBe(400)
    })
  }

  test('replaces arrays whole, removes by null, and takes the default by null', async () => {
    const { id } = await create('kinds', { maybe: 1, tags: ['a', 'b'], text: 'x', kind: 'task' })
    const { body } = await send('PATCH', `/api/kinds/${id}`, {
      tags: ['c'],
      text: null,
      kind: null,
      maybe: null,
    })
    expect(body).toMatchObject({ tags: ['c'], kind: 'memo', maybe: null })
    expect(body).not.toHaveProperty('text')
  })

  test('that is empty changes nothing but updated_at', async () => {
    const record = await create('kinds', { maybe: 1 })
    const { status, body } = await send('PATCH', `/api/kinds/${record.id}`, {})
    expect(status).toBe(200)
    expect({ ...body, updated_at: record.updated_at }).toEqual(record)
  })
})

describe('exposure', () => {
  test('writeOnly is taken and never shown; readOnly is ignored; hidden is unknown', async () => {
    const vault = await create('vaults', { label: 'a', pin: '1234', state: 'hacked' })
    expect(vault).toMatchObject({ label: 'a', state: 'new' })
    expect(Object.keys(vault)).toEqual(['id', 'label', 'state', 'created_at', 'updated_at'])
    for (const hidden of ['trace', 'rank']) {
      const { status, body } = await send('POST', '/api/vaults', { label: 'a', pin: '1234', [hidden]: 1 })
      expect(status).toBe(400)
      expect(body.error.details).toEqual([
        { field: `/${hidden}`, message: expect.stringContaining('nknown') },
      ])
    }
  })

  test('PUT leaves an absent writeOnly as it is, PATCH too', async () => {
    const { id } = await create('vaults', { label: 'a', pin: '1234' })
    expect((await send('PUT', `/api/vaults/${id}`, { label: 'b' })).body).toMatchObject({ label: 'b' })
    expect((await send('PATCH', `/api/vaults/${id}`, { label: 'c' })).body).toMatchObject({ label: 'c' })
    expect((await send('PATCH', `/api/vaults/${id}`, { pin: null })).status).toBe(400)
    expect((await send('PATCH', `/api/vaults/${id}`, { trace: null })).status).toBe(400)
  })
})

describe('references', () => {
  test('to a record that is not there are 400 with the field', async () => {
    const { status, body } = await send('POST', '/api/books', {
      title: 'x',
      author_id: 'nobody',
      sequel_of: 99999,
    })
    expect(status).toBe(400)
    expect(body.error.code).toBe('validation_failed')
    expect(body.error.details.map((one: any) => one.field)).toEqual(['/author_id', '/sequel_of'])
  })

  test('keep their target: DELETE is 409 while others refer to it', async () => {
    const author = await create('authors', { name: 'Kept' })
    const book = await create('books', { title: 'x', author_id: author.id })
    const { status, body } = await json(`/api/authors/${author.id}`, { method: 'DELETE' })
    expect([status, body.error.code]).toEqual([409, 'conflict'])
    expect((await json(`/api/books/${book.id}`, { method: 'DELETE' })).status).toBe(200)
    expect((await json(`/api/authors/${author.id}`, { method: 'DELETE' })).status).toBe(200)
  })

  test('a unique value that is taken is 409 with the field, on create, replace and patch', async () => {
    await create('authors', { name: 'Taken' })
    const other = await create('authors', { name: 'Other' })
    for (const [method, path] of [
      ['POST', ''],
      ['PUT', `/${other.id}`],
      ['PATCH', `/${other.id}`],
    ] as const) {
      const { status, body } = await send(method, `/api/authors${path}`, { name: 'Taken' })
      expect([status, body.error.code, body.error.details[0].field]).toEqual([409, 'conflict', '/name'])
    }
  })
})

describe('bad bodies', () => {
  const bad = (name: string, body: unknown, fields: string[]) => ({ name, body, fields })
  const cases = [
    bad('no object', 5, ['']),
    bad('null', null, ['']),
    bad('missing and unknown', { other: 1 }, ['/maybe', '/other']),
    bad('text for a number', { maybe: '3' }, ['/maybe']),
    bad('fraction for an integer', { maybe: 1.5 }, ['/maybe']),
    bad('integer out of bounds', { maybe: 1, small: 6 }, ['/small']),
    bad('integer below', { maybe: 1, small: -6 }, ['/small']),
    bad('number for text', { maybe: 1, text: 5 }, ['/text']),
    bad('null for an optional', { maybe: 1, text: null }, ['/text']),
    bad('e-mail without dot', { maybe: 1, email: 'a@b' }, ['/email']),
    bad('30 February', { maybe: 1, day: '2026-02-30' }, ['/day']),
    bad('date-time without zone', { maybe: 1, moment: '2026-01-31T12:00:00' }, ['/moment']),
    bad('year beyond 9999 in UTC', { maybe: 1, moment: '9999-12-31T23:59:59-01:00' }, ['/moment']),
    bad('pattern', { maybe: 1, code: 'abc' }, ['/code']),
    bad('enum', { maybe: 1, kind: 'other' }, ['/kind']),
    bad('union', { maybe: 1, size: 3 }, ['/size']),
    bad('number for a boolean', { maybe: 1, flag: 1 }, ['/flag']),
    bad('too many items, a long one, a double one', { maybe: 1, tags: ['a', 'a', 'bbbbbb', 'c'] }, [
      '/tags',
      '/tags/2',
    ]),
    bad('nested', { maybe: 1, place: { geo: { lat: 'x' }, moon: 1 } }, [
      '/place/city',
      '/place/geo/lat',
      '/place/geo/lon',
      '/place/moon',
    ]),
    bad('nearly a multiple', { maybe: 1, cents: 0.0100000001 }, ['/cents']),
    bad('no multiple', { maybe: 1, cents: 1.005 }, ['/cents']),
    bad('__proto__', JSON.parse('{"maybe":1,"__proto__":{"admin":true}}'), ['/__proto__']),
    bad('constructor', { maybe: 1, constructor: { prototype: {} } }, ['/constructor']),
  ]
  for (const { name, body, fields } of cases) {
    test(`POST answers 400 for ${name} and names it`, async () => {
      const answer = await send('POST', '/api/kinds', body)
      expect([answer.status, answer.body.error.code]).toEqual([400, 'validation_failed'])
      expect([...new Set(answer.body.error.details.map((one: any) => one.field))].sort()).toEqual(
        fields.sort() as never,
      )
    })
  }

  test("a field's own message replaces ours", async () => {
    const { body } = await send('POST', '/api/items', { name: '', price: 1 }, 'ada')
    expect(body.error.details).toEqual([{ field: '/name', message: 'Name has 1 to 20 characters' }])
  })

  testCases(
    () => world,
    [
      ['0', 400],
      ['-1', 400],
      ['+1', 400],
      ['01', 400],
      ['1.0', 400],
      ['1e1', 400],
      ['0x1', 400],
      ['abc', 400],
      ['%31%20', 400],
      ['1%2F2', 400],
      ['9007199254740992', 404],
      ['1'.repeat(400), 404],
      ['9007199254740991', 404],
    ].map(([id, status]) => ({
      name: `GET /api/items/${id} answers ${status}`,
      path: `/api/items/${id}`,
      status: status as number,
      ...(status === 400 ? { has: ['"field":"/id"'] } : {}),
    })),
  )
})
