import S3rver from '@20minutes/s3rver'
import { S3Client } from 'bun'
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { KEYS_MAX, openBucket, type Bucket } from '../../src/storage/bucket.ts'
import { makeFolder } from '../support/executable.ts'

const KEYS = { accessKeyId: 'S3RVER', secretAccessKey: 'S3RVER', region: 'us-east-1' }
/** Of one answer to a list. */
const PAGE_KEYS = 1000

let server: S3rver
let endpoint: string
let bucket: Bucket

beforeAll(async () => {
  server = new S3rver({
    address: '127.0.0.1',
    port: 0,
    silent: true,
    directory: makeFolder(),
    allowMismatchedSignatures: true,
    configureBuckets: [{ name: 'files' }],
  })
  endpoint = `http://127.0.0.1:${(await server.run()).port}`
  bucket = openBucket({ ...KEYS, bucket: 'files', endpoint })
})
afterAll(() => server.close())

test('a file of several parts comes back as it was, whole and in part', async () => {
  const path = join(makeFolder(), 'large')
  const bytes = Buffer.allocUnsafe(20 * 1024 * 1024 + 1)
  for (let at = 0; at < bytes.length; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(at + 65_536, bytes.length)))
  }
  writeFileSync(path, bytes)
  const shown: number[] = []
  await bucket.put('a/large', path, (sent, of) => {
    expect(of).toBe(bytes.length)
    shown.push(sent)
  })
  expect(shown.at(-1)).toBe(bytes.length)
  expect(await bucket.sizeOf('a/large')).toBe(bytes.length)
  const source = bucket.source('a/large', bytes.length)
  const hash = new Bun.CryptoHasher('sha256')
  for await (const piece of source.read(0, bytes.length)) hash.update(piece)
  expect(hash.digest('hex')).toBe(new Bun.CryptoHasher('sha256').update(bytes).digest('hex'))
  const middle: Uint8Array[] = []
  for await (const piece of source.read(9_000_000, 9_000_100)) middle.push(piece)
  expect(Buffer.concat(middle).equals(bytes.subarray(9_000_000, 9_000_100))).toBe(true)
})

test('a list stays below its prefix, and knows what was removed', async () => {
  const client = new S3Client({ ...KEYS, bucket: 'files', endpoint })
  for (const name of ['some/a', 'some/b', 'some-others/x']) await client.write(name, 'x')
  expect((await keysOf(bucket, 'some/')).sort()).toEqual(['some/a', 'some/b'])
  expect(await keysOf(bucket, 'none/')).toEqual([])
  await bucket.remove('some/a')
  expect(await keysOf(bucket, 'some/')).toEqual(['some/b'])
  expect(await bucket.sizeOf('some/a')).toBeUndefined()
})

// The S3 server above can't make pages under Bun (it wants a cipher that Bun lacks): this one only makes pages.
test.each([999, 1000, 1001, 2500])('a list of %i files is had page by page', async (count) => {
  const names = Array.from({ length: count }, (_, at) => `many/${String(at).padStart(5, '0')}`)
  let pages = 0
  await using pager = pageServer(names, () => pages++)
  const many = openBucket({ ...KEYS, bucket: 'files', endpoint: `http://127.0.0.1:${pager.port}` })
  expect(await keysOf(many, 'many/')).toEqual(names)
  expect(pages).toBe(Math.ceil(count / PAGE_KEYS))
})

test('a list ends at 100,000 files', async () => {
  const names = Array.from({ length: KEYS_MAX + 1 }, (_, at) => `many/${String(at).padStart(6, '0')}`)
  await using pager = pageServer(names, () => {})
  const many = openBucket({ ...KEYS, bucket: 'files', endpoint: `http://127.0.0.1:${pager.port}` })
  const { files, isCut } = await many.list('many/')
  expect(files).toHaveLength(KEYS_MAX)
  expect(isCut).toBe(true)
})

test('a list that a store fills with other files has none of them', async () => {
  await using pager = pageServer(['other/a', 'mine/b', 'a'], () => {})
  const some = openBucket({ ...KEYS, bucket: 'files', endpoint: `http://127.0.0.1:${pager.port}` })
  expect(await keysOf(some, 'mine/')).toEqual(['mine/b'])
})

async function keysOf(some: Bucket, prefix: string): Promise<string[]> {
  const { files, isCut } = await some.list(prefix)
  expect(isCut).toBe(false)
  return files.map(({ key }) => key)
}

/** Answers ListObjectsV2 of these names, in order. */
function pageServer(names: readonly string[], onPage: () => void) {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch(request) {
      onPage()
      const asked = new URL(request.url).searchParams
      const from = Number(asked.get('continuation-token') ?? '0')
      const page = names.slice(from, from + Number(asked.get('max-keys')))
      const next = from + page.length
      const more = next < names.length ? `<NextContinuationToken>${next}</NextContinuationToken>` : ''
      const contents = page.map((name) => `<Contents><Key>${name}</Key><Size>1</Size></Contents>`).join('')
      return new Response(
        `<?xml version="1.0"?><ListBucketResult><Name>files</Name><KeyCount>${page.length}</KeyCount><IsTruncated>${more !== ''}</IsTruncated>${more}${contents}</ListBucketResult>`,
        { headers: { 'content-type': 'application/xml' } },
      )
    },
  })
  return { port: server.port, [Symbol.asyncDispose]: () => server.stop(true) }
}
