// Hooks, `validate`, `compute` and the store on the built executable (test/fixtures/resources/orders.ts).
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { testCases } from '../support/cases.ts'
import { post, startWorld, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.stop())

const create = (body: object, as?: string) =>
  post(
    world,
    '/api/orders',
    { title: 'Cup', amount: 2, ...body },
    as === undefined ? {} : world.credentials[as],
  )

async function send(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
  const response = await world.fetch(path, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: await response.json() }
}

const logs = async (): Promise<string[]> =>
  (await send('GET', '/api/logs?limit=100')).body.data.map(({ text }: { text: string }) => text)

/** Asks until the answer is right; after hooks come after the answer. */
async function eventually(what: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 5_000
  while (!(await what())) {
    if (Date.now() > end) throw new Error('It did not happen within 5 s')
    await Bun.sleep(20)
  }
}

const logged = (part: string) => eventually(async () => (await logs()).some((text) => text.includes(part)))

/** The line of the log that belongs to an answer; it may come after it. */
async function logLine(requestId: string): Promise<string> {
  const find = () => world.log().find((line) => line.includes('"level":"error"') && line.includes(requestId))
  await eventually(async () => find() !== undefined)
  return find()!
}

describe('beforeCreate', () => {
  test('sets readOnly and hidden fields; the hidden one is not answered', async () => {
    const order = await create({ code: 'mine' }, 'ada')
    expect(order).toMatchObject({ code: 'cup-user', owner_id: world.ids.ada, changes: 0 })
    expect(order).not.toHaveProperty('secret')
    expect((await send('GET', `/api/orders/${order.id}`)).body).toEqual(order)
  })

  test('changes the record in depth', async () => {
    const order = await create({ wish: 'move', place: { city: 'Oslo' } })
    expect(order).toMatchObject({ place: { city: 'Bergen' }, kind: 'large', code: 'cup-anonymous' })
  })

  test('may give another record', async () => {
    const order = await create({ wish: 'be another', most: 5 })
    expect(order).toMatchObject({ title: 'Another', amount: 1, code: 'another', changes: 3 })
    expect(order).not.toHaveProperty('most')
  })

  test('has no effect on what the server sets', async () => {
    const order = await create({ wish: 'server fields' }, 'bob')
    expect(order.owner_id).toBe(world.ids.bob)
    expect(order.id).not.toBe(77)
    expect(order.created_at).toBe(order.updated_at)
  })

  test('runs for each record of an array, and one problem creates none', async () => {
    const before = (await send('GET', '/api/orders')).body.total_items
    const orders = [
      { title: 'A', amount: 1 },
      { title: 'B', amount: 1, wish: 'problem 403' },
    ]
    expect((await send('POST', '/api/orders', orders)).status).toBe(403)
    expect((await send('GET', '/api/orders')).body.total_items).toBe(before)
    orders.pop()
    expect((await send('POST', '/api/orders', orders)).body.data[0].code).toBe('a-anonymous')
  })

  const problems: [number, string][] = [
    [400, 'bad_request'],
    [401, 'unauthenticated'],
    [402, 'payment_required'],
    [403, 'forbidden'],
    [404, 'not_found'],
    [409, 'conflict'],
    [410, 'gone'],
    [422, 'unprocessable'],
    [429, 'rate_limited'],
    [503, 'unavailable'],
  ]
  testCases(
    () => world,
    problems.map(([status, code]) => ({
      name: `POST answers ${status} ${code} for problem(${status})`,
      method: 'POST',
      path: '/api/orders',
      body: { title: 'Cup', amount: 1, wish: `problem ${status}` },
      status,
      code,
      has: ['"message":"Not this one"', '{"field":"/wish","message":"No"}'],
    })),
  )

  const mistakes: [string, object, string][] = [
    ['it throws', { wish: 'throw' }, 'canary-hook'],
    ['it throws undefined', { wish: 'throw nothing' }, 'Hook beforeCreate of orders failed'],
    ['its problem has no such status', { wish: 'problem 418' }, 'Not this one'],
    ['it leaves a required field out', { wish: 'forget' }, '/code Required; /secret Required'],
    ['its record has a wrong value', { wish: 'wrong value' }, '/amount Expected a number greater'],
    ['its record has an unknown field', { wish: 'unknown field' }, '/nope Unknown property'],
    ['its record fails validate', { wish: 'against validate' }, '/amount Is more than most'],
    ['what it stores elsewhere is not valid', { wish: 'bad log' }, 'failed: /text Expected text'],
    ['validate throws', { wish: 'throw in validate' }, 'canary-validate'],
  ]
  test.each(mistakes)('POST answers 500 and logs why when %s', async (_, body, cause) => {
    const { status, body: answer } = await send('POST', '/api/orders', { title: 'Cup', amount: 1, ...body })
    expect(status).toBe(500)
    expect(answer.error.message).toBe('Something went wrong on our side')
    expect(answer.error.details).toEqual([])
    expect(await logLine(answer.error.request_id)).toContain(cause)
  })

  test('POST answers 500 when it takes more than 5 s', async () => {
    const { status, body } = await send('POST', '/api/orders', { title: 'Cup', amount: 1, wish: 'be slow' })
    expect(status).toBe(500)
    expect(await logLine(body.error.request_id)).toContain('It took more than 5 s')
  }, 10_000)
})

describe('beforeUpdate', () => {
  test('runs for PATCH and PUT, with what was before', async () => {
    const { id } = await create({ place: { city: 'Oslo' } })
    const patched = await send('PATCH', `/api/orders/${id}`, { wish: 'move' })
    expect(patched.body).toMatchObject({ changes: 1, place: { city: 'Oslo+' } })
    const put = await send('PUT', `/api/orders/${id}`, { title: 'Mug', amount: 3 })
    expect(put.body).toMatchObject({ title: 'Mug', changes: 2, code: 'cup-anonymous' })
  })

  test('counts 20 changes at once', async () => {
    const { id } = await create({})
    await Promise.all(
      Array.from({ length: 20 }, (_, amount) => send('PATCH', `/api/orders/${id}`, { amount })),
    )
    expect((await send('GET', `/api/orders/${id}`)).body.changes).toBe(20)
  })

  test('that throws answers 500 and changes nothing', async () => {
    const order = await create({})
    expect((await send('PATCH', `/api/orders/${order.id}`, { wish: 'throw' })).status).toBe(500)
    expect((await send('GET', `/api/orders/${order.id}`)).body).toEqual(order)
  })

  test('that changes its own record through the store answers 500', async () => {
    const { id } = await create({})
    const { status, body } = await send('PATCH', `/api/orders/${id}`, { wish: 'to the end' })
    expect(status).toBe(500)
    expect(await logLine(body.error.request_id)).toContain('changes its own record')
  })
})

describe('beforeDelete', () => {
  test('may refuse', async () => {
    const { id } = await create({ wish: 'stay' })
    const { status, body } = await send('DELETE', `/api/orders/${id}`)
    expect({ status, message: body.error.message }).toEqual({ status: 409, message: 'This one stays' })
    expect((await send('GET', `/api/orders/${id}`)).status).toBe(200)
  })
})

describe('after hooks', () => {
  test('run once for each change, with the records before and after, on behalf of the caller', async () => {
    const { id } = await create({ wish: 'log after', title: 'First' }, 'ada')
    await logged('created First user')
    await send('PATCH', `/api/orders/${id}`, { wish: 'log', title: 'Second' })
    await logged('First -> Second true')
    await send('DELETE', `/api/orders/${id}`)
    await logged('deleted Second')
    expect((await logs()).filter((text) => /First|Second/.test(text))).toHaveLength(3)
    const { data } = (await send('GET', '/api/logs?limit=100')).body
    expect(data.find(({ text }: any) => text.includes('created First')).owner_id).toBe(world.ids.ada)
  })

  test('do not keep the answer waiting', async () => {
    await create({ wish: 'be slow after', title: 'Slow' })
    expect((await logs()).join()).not.toContain('Slow')
    await logged('created Slow')
  })

  test('that throw are logged with the id of the request, which succeeds', async () => {
    const response = await world.fetch('/api/orders', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ title: 'Cup', amount: 1, wish: 'throw after' }),
    })
    expect(response.status).toBe(201)
    const requestId = response.headers.get('x-request-id')!
    expect(await logLine(requestId)).toContain('canary-after')
  })

  test('do not run for a change that was not stored', async () => {
    await create({ label: 'one' })
    const taken = { title: 'Taken', amount: 1, label: 'one', wish: 'log after' }
    expect((await send('POST', '/api/orders', taken)).status).toBe(409)
    await create({ title: 'Later', wish: 'log after' })
    await logged('created Later')
    expect((await logs()).join()).not.toContain('Taken')
  })

  test('that call each other end at a depth of 8', async () => {
    const { id } = await create({ amount: 0 })
    await send('PATCH', `/api/orders/${id}`, { wish: 'for ever' })
    await eventually(async () =>
      world.log().some((line) => line.includes('After hook failed') && line.includes('8 deep')),
    )
    expect((await send('GET', `/api/orders/${id}`)).body.amount).toBe(8)
  })

  test('are waited for when the server stops', async () => {
    await using other = await startWorld()
    await post(other, '/api/orders', { title: 'Last', amount: 1, wish: 'be slow after' })
    const { folder } = other
    const data = `${folder}/data/hipflask.db`
    process.kill(other.pid, 'SIGTERM')
    await eventually(async () => other.log().some((line) => line.includes('"Stopped"')))
    const { Database } = await import('bun:sqlite')
    using database = new Database(data, { readonly: true })
    expect(database.query('SELECT text FROM logs').all()).toEqual([{ text: 'created Last anonymous' }])
  })
})

describe('validate', () => {
  testCases(
    () => world,
    [
      {
        name: 'POST answers 400 with every field that it names',
        method: 'POST',
        path: '/api/orders',
        body: { title: 'Cup', amount: 5, most: 4, place: { city: 'Nowhere' } },
        status: 400,
        code: 'validation_failed',
        has: [
          '{"field":"/amount","message":"Is more than most"}',
          '{"field":"/place/city","message":"Is no city"}',
        ],
      },
      {
        name: 'POST answers 400 with its fields and those of the schema, in an array',
        method: 'POST',
        path: '/api/orders',
        body: [
          { title: 'Cup', amount: 5, most: 4 },
          { title: 5, amount: 1 },
        ],
        status: 400,
        has: ['"field":"/0/amount","message":"Is more than most"', '"field":"/1/title"'],
      },
      {
        name: 'POST takes what is just right',
        method: 'POST',
        path: '/api/orders',
        body: { title: 'Cup', amount: 4, most: 4 },
        status: 201,
      },
      {
        name: 'POST answers 409 for a problem in validate',
        method: 'POST',
        path: '/api/orders',
        body: { title: 'Cup', amount: 4, wish: 'problem in validate' },
        status: 409,
        has: ['Not now'],
      },
    ],
  )

  test.each(['PATCH', 'PUT'])('%s answers 400 for the state that would be', async (method) => {
    const { id } = await create({ amount: 2, most: 4 })
    const { status, body } = await send(method, `/api/orders/${id}`, { title: 'Cup', amount: 5, most: 4 })
    expect({ status, details: body.error.details }).toEqual({
      status: 400,
      details: [{ field: '/amount', message: 'Is more than most' }],
    })
  })
})

describe('compute', () => {
  test('is answered everywhere, in its place, and ignored in bodies', async () => {
    const order = await create({ double: 99, hint: 'x' })
    expect(order).toMatchObject({ double: 4, hint: 'ok', risky: null })
    const { data } = (await send('GET', '/api/orders?limit=100')).body
    expect(data.find(({ id }: any) => id === order.id)).toEqual(order)
    expect((await send('PATCH', `/api/orders/${order.id}`, { amount: 5, double: 1 })).body.double).toBe(10)
    expect((await send('PUT', `/api/orders/${order.id}`, order)).body.double).toBe(4)
  })

  test('an absent optional is left out', async () => {
    expect(await create({ wish: 'be another' })).not.toHaveProperty('hint')
  })

  test.each([
    ['that throws', 'throw in compute', 'canary-compute'],
    [
      'of a wrong value',
      'wrong in compute',
      'Computed field risky of orders has a wrong value:  Expected text or null',
    ],
  ])('%s answers 500 and says why in the log', async (_, wish, cause) => {
    const { status, body } = await send('POST', '/api/orders', { title: 'Cup', amount: 1, wish })
    expect(status).toBe(500)
    expect(body.error.details).toEqual([])
    expect(await logLine(body.error.request_id)).toContain(cause)
    await world.fetch(`/api/orders/${await lastId()}`, { method: 'DELETE' })
  })

  test('can be neither filtered nor sorted', async () => {
    expect((await send('GET', '/api/orders?double=4')).status).toBe(400)
    expect((await send('GET', '/api/orders?sort=double')).status).toBe(400)
  })
})

async function lastId(): Promise<number> {
  const { id } = await create({})
  return (id as number) - 1
}
