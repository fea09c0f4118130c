// Backups in a bucket, of an S3 server that keeps its objects as files in a folder.
import S3rver from '@20minutes/s3rver'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { NOTES, readNotes, writeNote } from '../../support/backed-up.ts'
import { makeFolder, runCommand, startServer } from '../../support/executable.ts'

const BUCKET = 'backups'
/** Those that the S3 server knows. */
const KEYS = {
  HIPFLASK_BACKUP_S3_ACCESS_KEY_ID: 'S3RVER',
  HIPFLASK_BACKUP_S3_SECRET_ACCESS_KEY: 'S3RVER',
}

interface Store {
  endpoint: string
  objects: string
  close: () => Promise<void>
}

/** It understands the signature of a list as no other store does, so that only a strict one checks signatures at all. */
async function startStore(isStrict: boolean): Promise<Store> {
  const directory = makeFolder()
  const server = new S3rver({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory,
    allowMismatchedSignatures: !isStrict,
    configureBuckets: [{ name: BUCKET }],
  })
  const { port } = await server.run()
  return {
    endpoint: `http://127.0.0.1:${port}`,
    objects: join(directory, BUCKET),
    close: () => server.close(),
  }
}

let store: Store
let folder: string
let env: Record<string, string>

beforeAll(async () => {
  store = await startStore(false)
  env = { ...KEYS, HIPFLASK_BACKUP_S3_ENDPOINT: store.endpoint }
  folder = makeFolder()
  const server = await startServer({ folder, resources: NOTES })
  for (let number = 0; number < 5; number++) await writeNote(server, { client: 1, number, text: 'text' })
  await server.stop()
})
afterAll(() => store.close())

const run = (args: string[], more: Record<string, string> = {}) =>
  runCommand(args, { folder, env: { ...env, ...more } })

/** The names of the objects below a prefix. */
function objectsIn(prefix: string): string[] {
  const names = readdirSync(join(store.objects, prefix)).filter((name) => name.endsWith('_object'))
  return names.map((name) => name.split('._S3rver_')[0] as string).sort()
}

describe('a backup by name', () => {
  test('is stored, verified and restored, and leaves no file on this machine', async () => {
    const stored = await run(['backup', `s3://${BUCKET}/by-name/monday.db`, '--json'])
    expect(stored).toMatchObject({ exitCode: 0, stderr: '' })
    expect(JSON.parse(stored.stdout)).toMatchObject({ file: `s3://${BUCKET}/by-name/monday.db`, made: true })
    expect(readdirSync(join(folder, 'data/backups'))).toEqual([])
    const verified = await run(['backup', 'verify', `s3://${BUCKET}/by-name/monday.db`, '--json'])
    expect(JSON.parse(verified.stdout)).toMatchObject({
      ok: true,
      sha256: (JSON.parse(stored.stdout) as { sha256: string }).sha256,
    })
    const elsewhere = makeFolder()
    const restored = await runCommand(['restore', `s3://${BUCKET}/by-name/monday.db`], {
      folder: elsewhere,
      resources: NOTES,
      env,
    })
    expect(restored).toMatchObject({ exitCode: 0, stderr: '' })
    await using server = await startServer({ folder: elsewhere })
    expect((await readNotes(server)).total).toBe(5)
  })

  test('never goes over an object', async () => {
    await run(['backup', `s3://${BUCKET}/once/x.db`])
    const { exitCode, stderr } = await run(['backup', `s3://${BUCKET}/once/x.db`])
    expect({ exitCode, stderr }).toEqual({ exitCode: 1, stderr: expect.stringContaining('exists already') })
  })

  test('verify finds a wrong bit, and an object that is not there', async () => {
    await run(['backup', `s3://${BUCKET}/damaged/x.db`])
    const object = join(store.objects, 'damaged', 'x.db._S3rver_object')
    const bytes = readFileSync(object)
    bytes[5000]! ^= 1
    writeFileSync(object, bytes)
    expect(await run(['backup', 'verify', `s3://${BUCKET}/damaged/x.db`])).toMatchObject({ exitCode: 3 })
    expect(await run(['restore', `s3://${BUCKET}/damaged/x.db`, '--force'])).toMatchObject({ exitCode: 3 })
    const absent = await run(['backup', 'verify', `s3://${BUCKET}/damaged/y.db`])
    expect(absent).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('does not exist') })
  })
})

describe('backups by HIPFLASK_BACKUP_TO', () => {
  test('only the newest stay, and only those of hipflask are deleted', async () => {
    const to = { HIPFLASK_BACKUP_TO: `s3://${BUCKET}/nightly/`, HIPFLASK_BACKUP_KEEP: '2' }
    await run(['backup', `s3://${BUCKET}/nightly/hipflask-mine.db`])
    // Of a process that was killed, of one that is at work, and of others.
    const staging = join(folder, 'data/backups')
    for (const name of ['hipflask-20250101T000000Z.db', 'hipflask-20250102T000000Z.db', 'mine.db']) {
      writeFileSync(join(staging, `${name}.unfinished`), '')
    }
    const minuteAgo = new Date(Date.now() - 65_000)
    utimesSync(join(staging, 'hipflask-20250101T000000Z.db.unfinished'), minuteAgo, minuteAgo)
    for (const day of [1, 2, 3, 4]) {
      const { exitCode, stderr } = await run(['backup', '--at', `2026-01-0${day}T00:00:00Z`], to)
      expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    }
    const left = readdirSync(staging).sort()
    for (const name of left) rmSync(join(staging, name))
    expect(left).toEqual(['hipflask-20250102T000000Z.db.unfinished', 'mine.db.unfinished'])
    expect(objectsIn('nightly')).toEqual([
      'hipflask-20260103T000000Z.db',
      'hipflask-20260104T000000Z.db',
      'hipflask-mine.db',
    ])
    const again = await run(['backup', '--at', '2026-01-04T00:00:00Z', '--json'], to)
    expect(JSON.parse(again.stdout)).toEqual({
      file: `s3://${BUCKET}/nightly/hipflask-20260104T000000Z.db`,
      made: false,
    })
  })

  test('a server makes them', async () => {
    await using server = await startServer({
      folder,
      env: { ...env, HIPFLASK_BACKUP_TO: `s3://${BUCKET}/served`, HIPFLASK_BACKUP_EVERY: '1s' },
    })
    for (let at = 0; at < 200 && !server.log().some((line) => line.includes('A backup was made')); at++) {
      await Bun.sleep(50)
    }
    expect(server.log().join('\n')).toContain(`"file":"s3://${BUCKET}/served/hipflask-`)
    expect(await server.stop()).toBe(0)
    expect(objectsIn('served').length).toBeGreaterThan(0)
  })
})

describe('what goes wrong is said, without the secret, and nothing stays on this machine', () => {
  const cases: [what: string, env: Record<string, string>, message: RegExp][] = [
    ['no such bucket', { HIPFLASK_BACKUP_TO: 's3://nowhere/x' }, /bucket nowhere \(.+\)/],
    ['nothing answers', { HIPFLASK_BACKUP_S3_ENDPOINT: 'http://127.0.0.1:1' }, /\(ConnectionRefused/],
    ['a token of other keys', { AWS_SESSION_TOKEN: 'x' }, /^AWS_SESSION_TOKEN is set/],
    ['no secret', { HIPFLASK_BACKUP_S3_SECRET_ACCESS_KEY: '' }, /HIPFLASK_BACKUP_S3_SECRET_ACCESS_KEY/],
  ]
  test.each(cases)('%s', async (_, more, message) => {
    const { exitCode, stderr } = await run(['backup'], { HIPFLASK_BACKUP_TO: `s3://${BUCKET}/x`, ...more })
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(message)
    expect(stderr).not.toContain('S3RVER')
    expect(readdirSync(join(folder, 'data/backups'))).toEqual([])
  })

  test('a store that gives back another bit than it took: what it has is removed', async () => {
    const seen: string[] = []
    let stored: Buffer | undefined
    await using flipping = flippingStore(seen, {
      get: () => stored,
      set: (bytes) => {
        stored = bytes
      },
    })
    const { exitCode, stderr } = await run(['backup', `s3://${BUCKET}/x.db`], {
      HIPFLASK_BACKUP_S3_ENDPOINT: `http://127.0.0.1:${flipping.port}`,
    })
    expect({ exitCode, stderr }).toEqual({
      exitCode: 1,
      stderr: expect.stringContaining('came back otherwise'),
    })
    expect(seen.filter((method) => method === 'PUT' || method === 'DELETE')).toEqual(['PUT', 'DELETE'])
    expect(stored).toBeUndefined()
    expect(readdirSync(join(folder, 'data/backups'))).toEqual([])
  })

  test('a wrong secret, by a store that checks signatures', async () => {
    const strict = await startStore(true)
    try {
      const secret = 'cut-out-of-a-log'
      const wrong = {
        HIPFLASK_BACKUP_S3_ENDPOINT: strict.endpoint,
        HIPFLASK_BACKUP_S3_SECRET_ACCESS_KEY: secret,
      }
      const { exitCode, stderr } = await run(['backup', `s3://${BUCKET}/x.db`], wrong)
      expect(exitCode).toBe(1)
      expect(stderr).toMatch(/^Backups cannot be looked up in bucket backups \(.+\)\n$/)
      expect(stderr).not.toContain(secret)
      const right = { HIPFLASK_BACKUP_S3_ENDPOINT: strict.endpoint }
      expect(await run(['backup', `s3://${BUCKET}/x.db`], right)).toMatchObject({ exitCode: 0, stderr: '' })
    } finally {
      await strict.close()
    }
  })
})

/** A store of one object, one bit of which it does not keep. */
function flippingStore(
  seen: string[],
  object: { get: () => Buffer | undefined; set: (bytes: Buffer | undefined) => void },
) {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      seen.push(request.method)
      if (request.method === 'PUT') {
        const bytes = Buffer.from(await request.arrayBuffer())
        bytes[5000]! ^= 1
        object.set(bytes)
        return new Response('', { headers: { etag: '"x"' } })
      }
      if (request.method === 'DELETE') object.set(undefined)
      const bytes = object.get()
      if (bytes === undefined) return new Response('', { status: request.method === 'DELETE' ? 204 : 404 })
      const [, from = 0, to = bytes.length - 1] =
        /bytes=(\d+)-(\d+)/.exec(request.headers.get('range') ?? '') ?? []
      return new Response(new Uint8Array(bytes.subarray(Number(from), Number(to) + 1)), {
        status: 206,
        headers: { 'content-range': `bytes ${from}-${to}/${bytes.length}` },
      })
    },
  })
  return { port: server.port, [Symbol.asyncDispose]: () => server.stop(true) }
}
