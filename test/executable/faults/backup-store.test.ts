// A store of backups that refuses, breaks off, or floods: what is wrong is said, in bounded time and memory, and a backup
// that is there counts as made.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { NOTES, writeNote } from '../../support/backed-up.ts'
import { makeFolder, runCommand, startServer } from '../../support/executable.ts'

const PROGRAM = join(import.meta.dir, '../../../dist/hipflask')
const MEMORY_MB_MAX = 300
const FLOOD_MB = 1024

/** Answers instead of the store where it gives something. */
type Fault = (request: { method: string; isList: boolean }) => Response | undefined

let fault: Fault
let folder: string
let env: Record<string, string>
let server: Bun.Server<undefined>
const objects = new Map<string, Buffer>()

beforeAll(async () => {
  folder = makeFolder()
  server = Bun.serve({ hostname: '127.0.0.1', port: 0, maxRequestBodySize: 2 ** 26, fetch: answer })
  env = {
    HIPFLASK_BACKUP_S3_ENDPOINT: `http://127.0.0.1:${server.port}`,
    HIPFLASK_BACKUP_S3_ACCESS_KEY_ID: 'name',
    HIPFLASK_BACKUP_S3_SECRET_ACCESS_KEY: 'cut-out-of-a-log',
  }
  const filling = await startServer({ folder, resources: NOTES })
  await writeNote(filling, { client: 1, number: 1, text: 'text' })
  await filling.stop()
  fault = () => undefined
  expect(await run(['backup', 's3://bucket/good.db'])).toMatchObject({ exitCode: 0, stderr: '' })
})
afterAll(() => server.stop(true))
beforeEach(() => {
  fault = () => undefined
})

const run = (args: string[]) => runCommand(args, { folder, env })

async function answer(request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url)
  const { method } = request
  const faulty = fault({ method, isList: searchParams.has('list-type') })
  if (faulty !== undefined) return faulty
  if (method === 'PUT') {
    objects.set(pathname, Buffer.from(await request.arrayBuffer()))
    return new Response('', { headers: { etag: '"x"' } })
  }
  if (method === 'DELETE') return new Response(objects.delete(pathname) ? undefined : null, { status: 204 })
  if (searchParams.has('list-type')) return listOf(String(searchParams.get('prefix')))
  const object = objects.get(pathname)
  if (object === undefined) return refusal(404, 'NoSuchKey')
  const [, from, to] = /bytes=(\d+)-(\d+)/.exec(request.headers.get('range') ?? '') ?? []
  const part = object.subarray(Number(from), Number(to) + 1)
  return new Response(new Uint8Array(part), {
    status: 206,
    headers: { 'content-range': `bytes ${from}-${to}/${object.length}` },
  })
}

function listOf(prefix: string): Response {
  const keys = [...objects.keys()].map((path) => path.slice('/bucket/'.length))
  const found = keys.filter((key) => key.startsWith(prefix))
  const contents = found.map((key) => `<Contents><Key>${key}</Key><Size>5</Size></Contents>`)
  return new Response(`<ListBucketResult>${contents.join('')}</ListBucketResult>`)
}

function refusal(status: number, code: string): Response {
  return new Response(`<Error><Code>${code}</Code></Error>`, { status })
}

/** A gigabyte without a length. */
function flood(status: number): Response {
  const piece = new Uint8Array(2 ** 20).fill(60)
  let sent = 0
  const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
    await Bun.sleep(0)
    if (sent++ < FLOOD_MB) controller.enqueue(piece)
    else controller.close()
  }
  return new Response(new ReadableStream({ pull }), {
    status,
    headers: { 'content-range': 'bytes 0-1/4000000000' },
  })
}

describe('what a store says of a failure is told, and never the secret', () => {
  const cases: [status: number, code: string, message: RegExp][] = [
    [
      403,
      'AccessDenied',
      /^Backups .*bucket \(status 403, AccessDenied: check HIPFLASK_BACKUP_S3_ACCESS_KEY_ID/,
    ],
    [500, 'InternalError', /^Backups .*bucket \(status 500, InternalError: .*try again later\)\n$/],
    [503, 'SlowDown', /^Backups .*bucket \(status 503, SlowDown: .*try again later\)\n$/],
    [404, 'NoSuchBucket', /^There is no bucket bucket/],
  ]
  test.each(cases)('%i %s', async (status, code, message) => {
    fault = ({ method }) => (method === 'GET' ? refusal(status, code) : undefined)
    for (const args of [
      ['backup', 'verify', 's3://bucket/good.db'],
      ['backup', 's3://bucket/other.db'],
    ]) {
      const { exitCode, stderr } = await run(args)
      expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringMatching(message) })
      expect(stderr).not.toContain('cut-out-of-a-log')
    }
  })

  test.each([
    [503, 'SlowDown', 'SlowDown'],
    [403, 'AccessDenied', 'AccessDenied: check HIPFLASK_BACKUP_S3_ACCESS_KEY_ID'],
  ])('also where it is while storing: %i', async (status, code, message) => {
    fault = () => refusal(status, code)
    const { exitCode, stderr } = await run(['backup', '--backup-to', 's3://bucket/p'])
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining(message) })
    expect(stderr).not.toContain('unexpected')
    expect(readdirSync(join(folder, 'data/backups'))).toEqual([])
  })

  test('what it cannot do for a moment is asked again', async () => {
    let failures = 2
    fault = ({ method }) => (method === 'GET' && failures-- > 0 ? refusal(503, 'SlowDown') : undefined)
    expect(await run(['backup', 'verify', 's3://bucket/good.db'])).toMatchObject({ exitCode: 0 })
  })
})

test('an answer that is cut short is named as that, and no local file is blamed', async () => {
  let asked = 0
  await using cutting = cutStore(sizeOfGood(), () => asked++)
  const endpoint = { HIPFLASK_BACKUP_S3_ENDPOINT: `http://127.0.0.1:${cutting.port}` }
  for (const args of [
    ['backup', 'verify', 's3://bucket/good.db'],
    ['restore', 's3://bucket/good.db', '--data', 'elsewhere'],
  ]) {
    const { exitCode, stderr } = await runCommand(args, { folder, env: { ...env, ...endpoint } })
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: 'A backup cannot be read in bucket bucket (its answer was cut short)\n',
    })
  }
  expect(asked).toBeGreaterThan(2)
  expect(readdirSync(folder)).not.toContain('elsewhere')
})

function sizeOfGood(): number {
  return objects.get('/bucket/good.db')!.length
}

/** Tells the size of an object, and of all else half. */
function cutStore(size: number, onAsked: () => void) {
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket, bytes) {
        onAsked()
        const range = /range: bytes=(\d+)-(\d+)/i.exec(bytes.toString())
        const length = Number(range?.[2]) - Number(range?.[1]) + 1
        const head = `HTTP/1.1 206 Partial Content\r\ncontent-range: bytes ${range?.[1]}-${range?.[2]}/${size}\r\ncontent-length: ${length}\r\n\r\n`
        socket.end(head + 'x'.repeat(length > 2 ? Math.floor(length / 2) : length))
      },
    },
  })
  return {
    port: listener.port,
    [Symbol.asyncDispose]: () => {
      listener.stop(true)
      return Promise.resolve()
    },
  }
}

test.each([
  ['an object', ['backup', 'verify', 's3://bucket/good.db'], () => flood(206), 1],
  ['an error', ['backup', 'verify', 's3://bucket/good.db'], () => flood(400), 1],
  ['a list', ['backup', '--backup-to', 's3://bucket/flood'], undefined, 0],
] as const)('%s without an end takes no memory', async (_, args, flooding, exitCode) => {
  fault = ({ isList }) => (flooding !== undefined ? flooding() : isList ? flood(200) : undefined)
  const child = Bun.spawn([PROGRAM, ...args], {
    cwd: folder,
    env: { PATH: process.env['PATH'] ?? '', ...env },
    stdout: 'ignore',
    stderr: 'pipe',
  })
  const peak = watchPeak(child)
  const stderr = await new Response(child.stderr).text()
  expect({ exitCode: await child.exited, stderr }).toEqual({
    exitCode,
    stderr: expect.stringMatching(/longer than|status 400/),
  })
  expect(await peak).toBeGreaterThan(0)
  expect(await peak).toBeLessThan(MEMORY_MB_MAX)
})

/** The most memory of the program, in MiB. The usage that a process leaves behind begins with that of its parent. */
async function watchPeak({ pid, exited }: Bun.Subprocess): Promise<number> {
  let peak = 0
  let isOver = false
  const end = exited.then(() => {
    isOver = true
  })
  while (!isOver) {
    const status = await Bun.file(`/proc/${pid}/status`)
      .text()
      .catch(() => '')
    peak = Math.max(peak, Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024)
    await Promise.race([end, Bun.sleep(2)])
  }
  return peak
}

test('a bucket that lets nothing be deleted, or nothing be listed, has the backup all the same', async () => {
  for (const [at, refuse] of [
    [1, () => false],
    [2, ({ method }) => method === 'DELETE'],
    [3, ({ isList }) => isList],
  ] as [number, (request: Parameters<Fault>[0]) => boolean][]) {
    fault = (request) => (refuse(request) ? refusal(403, 'AccessDenied') : undefined)
    const { exitCode, stdout, stderr } = await run([
      'backup',
      '--json',
      '--at',
      `2026-01-0${at}T00:00:00Z`,
      '--backup-to',
      's3://bucket/kept',
      '--backup-keep',
      '1',
    ])
    expect(exitCode).toBe(0)
    const { made, deleted, warnings } = JSON.parse(stdout) as Record<string, unknown>
    const expected = at === 1 ? [] : [expect.stringContaining('status 403, AccessDenied')]
    expect({ made, deleted, warnings }).toEqual({ made: true, deleted: [], warnings: expected })
    expect(stderr).toMatch(at === 1 ? /^$/ : /^Warning: Old backup/)
  }
})

test('a page is no file of a bucket', async () => {
  fault = () => new Response('<html>Sign in</html>')
  const { exitCode, stderr } = await run(['backup', 'verify', 's3://bucket/good.db'])
  expect({ exitCode, stderr }).toEqual({
    exitCode: 1,
    stderr: expect.stringContaining('status 200, no part of a file: check HIPFLASK_BACKUP_S3_ENDPOINT'),
  })
})

test('a page that is no list is not taken for an empty one', async () => {
  fault = ({ isList }) => (isList ? new Response('<html>Sign in</html>') : undefined)
  const { exitCode, stderr } = await run(['backup', '--backup-to', 's3://bucket/gate'])
  expect({ exitCode, stderr }).toEqual({
    exitCode: 0,
    stderr: expect.stringContaining('what answers is no store'),
  })
})

test('a list without an end deletes nothing, and says so', async () => {
  const some = Array.from(
    { length: 1000 },
    (_, at) => `hipflask-20200101T00${String(at).padStart(4, '0')}Z.db`,
  )
  const page = some.map((name) => `<Contents><Key>long/${name}</Key><Size>5</Size></Contents>`).join('')
  let isDeleted = false
  fault = ({ method, isList }) => {
    isDeleted ||= method === 'DELETE'
    if (!isList) return undefined
    return new Response(
      `<ListBucketResult><NextContinuationToken>x</NextContinuationToken>${page}</ListBucketResult>`,
    )
  }
  const { exitCode, stderr } = await run(['backup', '--backup-to', 's3://bucket/long'])
  expect({ exitCode, stderr }).toEqual({
    exitCode: 0,
    stderr: expect.stringMatching(/^Warning: More than 100000 files begin with .*no old backup was deleted/),
  })
  expect(isDeleted).toBe(false)
})
