import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseExposition, type Family } from '../support/exposition.ts'
import { makeFolder, startServer } from '../support/executable.ts'
import { tableOf } from '../support/readme.ts'
import { ADMIN, PASSWORD, post, startWorld, type World } from '../support/world.ts'

const README = join(import.meta.dir, '../../README.md')
const DASHBOARD = join(import.meta.dir, '../../.github/grafana-dashboard.json')

let world: World
let credentials: World['credentials']

beforeAll(async () => {
  world = await startWorld({ env: { HIPFLASK_RATE_LIMIT: '1000/1s' } })
  credentials = { ...world.credentials, nobody: {} }
  const { access_token } = await post(world, '/auth/login', ADMIN)
  credentials['signed in'] = { authorization: `Bearer ${access_token as string}` }
  for (const [name, owner, scope] of [
    ['key of an administrator with metrics:read', 'signed in', 'metrics:read'],
    ['key of an administrator with items:read', 'signed in', 'items:read'],
    ['key of an administrator with *', 'signed in', '*'],
    ['key of a user with *', 'ada', '*'],
  ] as const) {
    const { key } = await post(world, '/auth/keys', { name: 'robot', scopes: [scope] }, credentials[owner])
    credentials[name] = { 'x-api-key': key as string }
  }
  credentials['wrong key'] = { 'x-api-key': `hf_${'a'.repeat(22)}_${'b'.repeat(49)}` }
})
afterAll(() => world.stop())

async function scrape(): Promise<Map<string, Family>> {
  const response = await world.fetch('/metrics', { headers: credentials['admin']! })
  return parseExposition(await response.text())
}

/** The value of the one series that has these labels, among others. */
function valueOf(families: Map<string, Family>, name: string, labels: Record<string, string> = {}): number {
  const found = [...families.values()]
    .flatMap(({ series }) => series)
    .filter(
      (one) =>
        one.name === name && Object.entries(labels).every(([label, text]) => one.labels[label] === text),
    )
  expect(found.length).toBeLessThan(2)
  return found[0]?.value ?? 0
}

describe('GET /metrics', () => {
  test.each([
    ['nobody', 401],
    ['ada', 403],
    ['admin', 200],
    ['signed in', 200],
    ['key of an administrator with metrics:read', 200],
    ['key of an administrator with *', 200],
    ['key of an administrator with items:read', 403],
    ['key of a user with *', 403],
    ['wrong key', 401],
  ] as const)('by %s is %i', async (caller, status) => {
    const response = await world.fetch('/metrics', { headers: credentials[caller]! })
    expect(response.status).toBe(status)
    expect((await response.text()).includes('process_cpu')).toBe(status === 200)
  })

  test('is text as Prometheus asks for it, and is not stored', async () => {
    const accept = 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'
    const response = await world.fetch('/metrics', { headers: { ...credentials['admin'], accept } })
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    expect(response.headers.get('cache-control')).toBe('no-store')
  })

  test('passes promtool', async () => {
    const promtool = Bun.which('promtool')
    if (promtool === null) return console.log('promtool is not here: skipped')
    const response = await world.fetch('/metrics', { headers: credentials['admin']! })
    const child = Bun.spawn([promtool, 'check', 'metrics'], {
      stdin: response,
      stdout: 'pipe',
      stderr: 'pipe',
    })
    const output = (await new Response(child.stdout).text()) + (await new Response(child.stderr).text())
    expect(output).toBe('')
    expect(await child.exited).toBe(0)
  })

  test('has what README.md tells of, and nothing else', async () => {
    const names = tableOf(readFileSync(README, 'utf8'), ['Metric', 'What it is']).map(([name]) => name)
    expect(names.toSorted()).toEqual([...(await scrape()).keys()].toSorted())
  })

  test('is in the document', async () => {
    const document = (await (await world.fetch('/swagger/json')).json()) as any
    expect(Object.keys(document.paths['/metrics'].get.responses['200'].content)).toEqual(['text/plain'])
  })
})

describe('what is measured', () => {
  test('requests, by route and never by path, whatever a client makes up', async () => {
    const duration = 'http_server_request_duration_seconds'
    const before = await scrape()
    for (let index = 0; index < 30; index++) {
      await world.fetch(`/api/items/${4000 + index}`)
      await world.fetch(`/canary-${index}`)
      await world.fetch(`/api/items?canary=${index}`, { method: 'PUT' })
    }
    const after = await scrape()
    const difference = (labels: Record<string, string>) =>
      valueOf(after, `${duration}_count`, labels) - valueOf(before, `${duration}_count`, labels)
    const get = { http_request_method: 'GET' }
    const status = (code: number) => ({ http_response_status_code: String(code) })
    expect(difference({ ...get, http_route: '/api/items/:id', ...status(404) })).toBe(30)
    expect(difference({ http_request_method: 'PUT', http_route: '/api/items', ...status(405) })).toBe(30)
    const unknown = after
      .get(duration)!
      .series.filter((one) => one.name.endsWith('_count') && one.labels['http_route'] === undefined)
    expect(unknown).toHaveLength(1)
    expect(unknown[0]).toMatchObject({ labels: { ...get, ...status(404) }, value: 30 })
    expect(JSON.stringify([...after])).not.toContain('canary')
  })

  test('requests under way: this one', async () => {
    expect(valueOf(await scrape(), 'http_server_active_requests', { http_request_method: 'GET' })).toBe(1)
    expect(valueOf(await scrape(), 'http_server_active_requests', { http_request_method: 'PUT' })).toBe(0)
  })

  test('commits, and how many writes share one', async () => {
    const before = await scrape()
    await Promise.all(
      Array.from({ length: 40 }, (_, index) =>
        post(world, '/api/items', { name: `Item ${index}`, price: 1 }, credentials['signed in']),
      ),
    )
    const after = await scrape()
    const difference = (name: string) => valueOf(after, name) - valueOf(before, name)
    expect(difference('hipflask_db_group_size_sum')).toBeGreaterThanOrEqual(40)
    expect(difference('hipflask_db_wait_seconds_count')).toBe(difference('hipflask_db_group_size_sum'))
    expect(difference('hipflask_db_commits_total')).toBe(difference('hipflask_db_group_size_count'))
    expect(difference('hipflask_db_wait_seconds_sum')).toBeGreaterThan(0)
    expect(valueOf(after, 'hipflask_db_wal_bytes')).toBeGreaterThan(0)
    expect(valueOf(after, 'hipflask_db_bytes')).toBeGreaterThan(0)
  })

  test('security events', async () => {
    const before = await scrape()
    await world.fetch('/auth/me', { headers: credentials['wrong key']! })
    await post(world, '/auth/login', { email: 'ada@example.com', password: PASSWORD })
    const after = await scrape()
    const difference = (event: string) =>
      valueOf(after, 'hipflask_auth_events_total', { event }) -
      valueOf(before, 'hipflask_auth_events_total', { event })
    expect([difference('credential.refused'), difference('login.succeeded')]).toEqual([1, 1])
    expect(difference('login.failed')).toBe(0)
  })

  test('password hashes that run and wait', async () => {
    const logins = Array.from({ length: 12 }, () =>
      post(world, '/auth/login', { email: 'ada@example.com', password: PASSWORD }),
    )
    let most = 0
    for (let turn = 0; most === 0 && turn < 50; turn++) {
      const families = await scrape()
      expect(valueOf(families, 'hipflask_argon2_running')).toBeGreaterThanOrEqual(0)
      most = valueOf(families, 'hipflask_argon2_running') + valueOf(families, 'hipflask_argon2_waiting')
    }
    await Promise.all(logins)
    expect(most).toBeGreaterThan(0)
    expect(valueOf(await scrape(), 'hipflask_argon2_running')).toBe(0)
    expect(valueOf(await scrape(), 'hipflask_argon2_waiting')).toBe(0)
  })

  test('requests that are one too many', async () => {
    const env = {
      HIPFLASK_RATE_LIMIT: '2/1h',
      HIPFLASK_ADMIN_EMAIL: ADMIN.email,
      HIPFLASK_ADMIN_PASSWORD: ADMIN.password,
      HIPFLASK_TRUST_PROXY: 'loopback',
    }
    await using own = await startServer({ env })
    const from = (network: string, path: string, as = 'nobody') =>
      own.fetch(path, { headers: { ...credentials[as], 'x-forwarded-for': network } })
    const answers = []
    for (let turn = 0; turn < 3; turn++) answers.push(await from('192.0.2.1', '/'))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429])
    const families = parseExposition(await (await from('198.51.100.1', '/metrics', 'admin')).text())
    expect(valueOf(families, 'hipflask_rate_limited_total', { by: 'network' })).toBe(1)
    expect(valueOf(families, 'hipflask_rate_limited_total', { by: 'account' })).toBe(0)
  })
})

describe('the server times its answers for administrators, and for nobody else', () => {
  const items = ['/api/items', '/api/items/4711']
  test.each([
    ['admin', [...items, '/metrics']],
    ['signed in', [...items, '/metrics']],
    ['key of an administrator with *', [...items, '/metrics']],
    // Where the scope of a key ends its owner is nobody in particular.
    ['key of an administrator with items:read', items],
    ['key of an administrator with metrics:read', ['/metrics']],
    ['key of a user with *', []],
    ['ada', []],
    ['wrong key', []],
    ['nobody', []],
  ] as const)('%s at %p', async (caller, timed) => {
    // Where there is no route nobody is asked who it is.
    const timings = ['/nothing', ...items, '/metrics'].map(async (path) => {
      const response = await world.fetch(path, { headers: credentials[caller]! })
      return [path, response.headers.get('server-timing')] as const
    })
    for (const [path, timing] of await Promise.all(timings)) {
      if ((timed as readonly string[]).includes(path))
        expect(timing).toMatch(/^auth;dur=\d+\.\d\d, total;dur=\d+\.\d\d$/)
      else expect(timing).toBeNull()
    }
  })
})

describe('the Grafana dashboard', () => {
  const dashboard = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as {
    title: string
    uid: string
    schemaVersion: number
    templating: { list: { name: string; type: string; definition?: string }[] }
    panels: {
      id: number
      type: string
      title: string
      gridPos: { x: number; y: number; w: number; h: number }
      datasource?: { type: string; uid: string }
      targets?: { refId: string; expr: string }[]
    }[]
  }

  test('shows nothing that /metrics does not have, and all that it has', async () => {
    const families = await scrape()
    const names = new Set([...families.values()].flatMap(({ name, type }) => suffixed(name, type)))
    const expressions = [
      ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
      ...dashboard.templating.list.flatMap(({ definition = '' }) => definition),
    ]
    const shown = new Set(
      expressions.flatMap((expression) => expression.match(/\b(?:http_server|hipflask|process)_\w+/g) ?? []),
    )
    expect([...shown].filter((name) => !names.has(name))).toEqual([])
    const isShown = ({ name, type }: Family) => suffixed(name, type).some((one) => shown.has(one))
    expect([...families.values()].filter((family) => !isShown(family)).map(({ name }) => name)).toEqual([])
  })

  test('asks in words that Prometheus understands', async () => {
    const promtool = Bun.which('promtool')
    if (promtool === null) return console.log('promtool is not here: skipped')
    const expressions = dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr))
    const rules = expressions.map((expr, index) => ({
      record: `panel:${index}`,
      expr: expr.replaceAll('$__rate_interval', '5m').replace(/\$(job|instance)/g, 'x'),
    }))
    const file = join(makeFolder(), 'rules.yml')
    await Bun.write(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }))
    const child = Bun.spawn([promtool, 'check', 'rules', file], { stdout: 'pipe', stderr: 'pipe' })
    const output = (await new Response(child.stdout).text()) + (await new Response(child.stderr).text())
    expect({ output, exitCode: await child.exited }).toEqual({
      output: expect.stringContaining(`SUCCESS: ${rules.length} rules found`),
      exitCode: 0,
    })
  })

  test('is as Grafana loads it: panels of their own ids and places, queries of one data source', () => {
    expect(dashboard).toMatchObject({
      title: 'hipflask',
      uid: 'hipflask',
      schemaVersion: expect.any(Number) as number,
    })
    expect(dashboard.templating.list.map(({ name }) => name)).toEqual(['datasource', 'job', 'instance'])
    const { panels } = dashboard
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    for (const { gridPos, type, datasource, targets = [] } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24)
      if (type === 'row') continue
      expect(datasource).toEqual({ type: 'prometheus', uid: '${datasource}' })
      expect(new Set(targets.map(({ refId }) => refId)).size).toBe(targets.length)
      expect(targets.length).toBeGreaterThan(0)
      for (const { expr } of targets) {
        expect(expr.replace(/[^(]/g, '').length).toBe(expr.replace(/[^)]/g, '').length)
      }
    }
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
  })

  function suffixed(name: string, type: string): string[] {
    return type === 'histogram' ? ['_bucket', '_sum', '_count'].map((suffix) => name + suffix) : [name]
  }
})
