// https from the executable itself: by HIPFLASK_TLS_CERT and HIPFLASK_TLS_KEY, with certificates that openssl makes.
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  hasOpenssl,
  KEY_KINDS,
  makeCertificate,
  makeChain,
  makeEnded,
  openssl,
} from '../support/certificates.ts'
import { openConnection, type Connection } from '../support/connection.ts'
import { makeFolder, rawRequest, runCommand, startServer, type RunningServer } from '../support/executable.ts'

const certificates = makeFolder()
const pairOf = (cert: string, key = cert) => ({
  HIPFLASK_TLS_CERT: join(certificates, `${cert}.crt`),
  HIPFLASK_TLS_KEY: join(certificates, `${key}.key`),
})
const trusting = (name: string) => ({ tls: { ca: readFileSync(join(certificates, `${name}.crt`), 'utf8') } })
const RESOURCES = {
  'items.ts': `import { defineResource, everyone, t } from 'hipflask'
export default defineResource({ name: 'items', schema: t.Object({ name: t.String(), price: t.Number() }),
  access: { list: everyone(), read: everyone(), create: everyone() } })`,
}
const json = { 'content-type': 'application/json' }

describe.skipIf(!hasOpenssl)('a server with a certificate', () => {
  let server: RunningServer

  beforeAll(async () => {
    makeCertificate('own', certificates)
    server = await startServer({ resources: RESOURCES, env: pairOf('own') })
    const created = await server.fetch('/api/items', {
      method: 'POST',
      headers: json,
      body: '{"name":"Flask","price":1}',
      ...trusting('own'),
    })
    expect([created.status, created.headers.get('location')]).toEqual([201, '/api/items/1'])
  })
  afterAll(() => server.stop('SIGKILL'))

  test('prints its address with https', () => {
    expect(server.url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/)
  })

  for (const host of [
    'x',
    'ab',
    'a.b',
    'abc',
    'api',
    'localhost',
    'api.example.com',
    '[::1]',
    `${'a'.repeat(60)}.example`,
  ]) {
    test(`finds the same routes for Host ${host}`, async () => {
      const ask = async (path: string, method = 'GET') => {
        const answer = await server.fetch(path, { method, headers: { host }, ...trusting('own') })
        return [answer.status, answer.headers.get('allow'), (await answer.text()).slice(0, 40)]
      }
      expect(await ask('/api/items/1')).toEqual([200, null, expect.stringContaining('"id":1')])
      expect(await ask('/api/items?name=a/b')).toEqual([200, null, expect.stringContaining('"data":[]')])
      expect(await ask('/api/items/1', 'HEAD')).toEqual([200, null, ''])
      expect(await ask('/api/items', 'DELETE')).toEqual([405, 'GET, HEAD, OPTIONS, POST', expect.anything()])
      expect(await ask('/health/ready')).toEqual([200, null, '{"status":"ok"}'])
      expect(await ask('/nothing/api/items')).toEqual([404, null, expect.anything()])
      expect((await ask('/api/items/%zz'))[0]).toBe(400)
      expect((await ask(`/${'a'.repeat(8191)}`))[0]).toBe(414)
    })
  }

  test('is found ready by hipflask health, and not once it has ended', async () => {
    const other = await startServer({ env: { ...pairOf('own'), HIPFLASK_ALLOWED_HOSTS: 'api.example.com' } })
    const env = {
      ...pairOf('own'),
      HIPFLASK_PORT: new URL(other.url).port,
      HIPFLASK_ALLOWED_HOSTS: 'api.example.com',
    }
    expect(await runCommand(['health'], { env })).toEqual({
      exitCode: 0,
      stdout: `${other.url}/health/ready is ready\n`,
      stderr: '',
    })
    const plainly = await runCommand(['health', '--port', env.HIPFLASK_PORT])
    expect([plainly.exitCode, plainly.stderr]).toEqual([1, expect.stringContaining('nothing answers')])
    expect(await other.stop()).toBe(0)
    expect((await runCommand(['health'], { env })).exitCode).toBe(1)
  })

  test.each(['tls1', 'tls1_1', 'tls1_2', 'tls1_3'])('speaks %s only where that is good enough', (version) => {
    const { host } = new URL(server.url)
    const { stdout, stderr } = Bun.spawnSync(
      ['openssl', 's_client', `-${version}`, '-cipher', 'ALL:@SECLEVEL=0', '-connect', host],
      { stdin: 'ignore', timeout: 10_000 },
    )
    const isGood = ['tls1_2', 'tls1_3'].includes(version)
    expect(stdout.toString().includes('subject=CN = localhost')).toBe(isGood)
    expect(stderr.toString().includes('alert protocol version')).toBe(!isGood)
  })

  test('closes a connection that speaks no TLS, and goes on', async () => {
    const junk = Buffer.from(Array.from({ length: 4096 }, (_, at) => (at * 7) % 256))
    for (const bytes of [
      'GET /api/items HTTP/1.1\r\nHost: a\r\n\r\n',
      junk,
      '\x16\x03\x01\xff\xff',
      '\r\n\r\n',
    ]) {
      expect(await rawRequest(server.url, bytes)).not.toContain('HTTP/1.1 2')
    }
    expect((await server.fetch('/health/ready', trusting('own'))).status).toBe(200)
  })

  test('knows the address of its clients', async () => {
    const account = { email: 'ada@example.com', password: 'purple staple lemon' }
    const post = (path: string, body: object) =>
      server.fetch(path, { method: 'POST', headers: json, body: JSON.stringify(body), ...trusting('own') })
    expect((await post('/auth/register', { name: 'Ada', ...account })).status).toBe(201)
    const { access_token } = (await (await post('/auth/login', account)).json()) as { access_token: string }
    const headers = { authorization: `Bearer ${access_token}` }
    const sessions = await server.fetch('/auth/sessions', { headers, ...trusting('own') })
    expect(await sessions.json()).toMatchObject({ data: [{ ip: '127.0.0.1' }] })
  })

  test('says to use https alone only where the public address is so', async () => {
    const sayings = await Promise.all(
      ['https://api.example.com', 'http://api.example.com'].map(async (publicUrl) => {
        await using one = await startServer({ env: { ...pairOf('own'), HIPFLASK_PUBLIC_URL: publicUrl } })
        const answer = await one.fetch('/health/live', trusting('own'))
        return answer.headers.get('strict-transport-security')
      }),
    )
    const without = await server.fetch('/health/live', trusting('own'))
    expect([...sayings, without.headers.get('strict-transport-security')]).toEqual([
      'max-age=31536000',
      null,
      null,
    ])
  })
})

describe.skipIf(!hasOpenssl)('a certificate', () => {
  for (const kind of Object.keys(KEY_KINDS) as (keyof typeof KEY_KINDS)[]) {
    test(`with a key of ${kind} is served`, async () => {
      makeCertificate(kind, certificates, kind)
      const server = await startServer({ env: pairOf(kind) })
      expect((await server.fetch('/health/ready', trusting(kind))).status).toBe(200)
      expect(await server.stop()).toBe(0)
    })
  }

  test('is served with those that lead to its root', async () => {
    await makeChain(certificates)
    await using server = await startServer({ env: pairOf('chain') })
    expect((await server.fetch('/health/ready', trusting('root'))).status).toBe(200)
    await expect(server.fetch('/health/ready', trusting('own'))).rejects.toThrow()
  })

  test('that has ended is served, and the log says so', async () => {
    makeEnded('own', certificates)
    await using server = await startServer({ env: pairOf('ended', 'own') })
    expect(server.log().join('\n')).toMatch(/"level":"warn".*TLS certificate ended at 20/)
  })
})

describe.skipIf(!hasOpenssl)('on SIGHUP', () => {
  const LINE = /TLS certificate was (?:not )?read anew/
  const copy = (from: string) => {
    for (const end of ['crt', 'key'])
      copyFileSync(join(certificates, `${from}.${end}`), join(certificates, `renewed.${end}`))
  }
  const hangUp = async (server: RunningServer) => {
    const lines = () => server.log().filter((line) => LINE.test(line))
    const before = lines().length
    process.kill(server.pid, 'SIGHUP')
    const end = Date.now() + 10_000
    while (lines().length === before) {
      if (Date.now() > end) throw new Error('The server does not say that it has read its certificate')
      await Bun.sleep(10)
    }
    return lines().at(-1)!
  }
  const isServedBy = (server: RunningServer, name: string) =>
    server.fetch('/health/ready', { keepalive: false, ...trusting(name) }).then(
      ({ status }) => status === 200,
      () => false,
    )

  test('the files are read anew, nobody who was let in is turned away, and bad files change nothing', async () => {
    for (const name of ['first', 'second']) makeCertificate(name, certificates)
    copy('first')
    const server = await startServer({ resources: RESOURCES, env: pairOf('renewed') })
    const slow = await openConnection(Number(new URL(server.url).port), { tls: true })
    const body = '{"name":"Slow","price":1}'
    slow.write(
      `POST /api/items HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n`,
    )
    slow.write(body.slice(0, 5))
    const tally = { isOver: false, answered: 0, failures: [] as string[] }
    const clients = Array.from({ length: 4 }, () => keepAsking(server, tally))
    copy('second')
    expect(await hangUp(server)).toContain('"level":"info"')
    expect([await isServedBy(server, 'first'), await isServedBy(server, 'second')]).toEqual([false, true])
    // The body that began before is still read, by the one that listened then.
    slow.write(body.slice(5))
    expect((await slow.next()).status).toBe(201)
    writeFileSync(join(certificates, 'renewed.key'), 'canary')
    const refused = await hangUp(server)
    expect(refused).toContain('"level":"error"')
    expect(refused).toContain('HIPFLASK_TLS_KEY must name')
    expect(refused).not.toContain('canary')
    expect([await isServedBy(server, 'first'), await isServedBy(server, 'second')]).toEqual([false, true])
    copy('first')
    await hangUp(server)
    expect([await isServedBy(server, 'first'), await isServedBy(server, 'second')]).toEqual([true, false])
    tally.isOver = true
    await Promise.all(clients)
    expect(tally.failures).toEqual([])
    expect(tally.answered).toBeGreaterThan(100)
    expect(await server.stop()).toBe(0)
  })

  test('a server without a certificate goes on, and says that there is nothing to read', async () => {
    const server = await startServer()
    for (let times = 1; times <= 2; times++) {
      process.kill(server.pid, 'SIGHUP')
      const told = () => server.log().filter((line) => line.includes('no TLS certificate to read anew'))
      const end = Date.now() + 10_000
      while (told().length < times) {
        if (Date.now() > end) throw new Error('The server does not say that there is nothing to read')
        await Bun.sleep(10)
      }
      expect((await server.fetch('/health/ready')).status).toBe(200)
    }
    expect(await server.stop()).toBe(0)
  })
})

/** Asks again and again on a connection that it keeps until the server closes it. */
async function keepAsking(
  { url }: RunningServer,
  tally: { isOver: boolean; answered: number; failures: string[] },
): Promise<void> {
  let connection: Connection | undefined
  while (!tally.isOver) {
    // Who is not let in yet may be refused or reset, and tries again.
    connection ??= await openConnection(Number(new URL(url).port), { tls: true }).catch(() => undefined)
    if (connection === undefined) continue
    try {
      const { status } = await connection.request({ path: '/api/items' })
      if (status === 200) tally.answered++
      else tally.failures.push(`${status}`)
    } catch (error) {
      if (connection.answers() > 0) tally.failures.push((error as Error).message)
      connection.close()
    }
    if (!connection.isOpen()) {
      connection.close()
      connection = undefined
    }
  }
  connection?.close()
}

describe.skipIf(!hasOpenssl)('what is wrong with the files is told at once, without what is in them', () => {
  const CERT_MUST = 'HIPFLASK_TLS_CERT must name a file of certificates in PEM'
  const KEY_MUST = 'HIPFLASK_TLS_KEY must name a file of a private key in PEM, without a passphrase'
  const cases: [string, Record<string, string>, string[]][] = [
    [
      'a certificate alone',
      { HIPFLASK_TLS_CERT: 'own.crt' },
      ['HIPFLASK_TLS_CERT and HIPFLASK_TLS_KEY must be set together'],
    ],
    [
      'a key alone',
      { HIPFLASK_TLS_KEY: 'own.key' },
      ['HIPFLASK_TLS_CERT and HIPFLASK_TLS_KEY must be set together'],
    ],
    [
      'no such files',
      pairOf('absent'),
      [
        "HIPFLASK_TLS_CERT names a file that can't be read (ENOENT)",
        "HIPFLASK_TLS_KEY names a file that can't be read (ENOENT)",
      ],
    ],
    [
      'a folder and no such file',
      { ...pairOf('absent'), HIPFLASK_TLS_CERT: certificates },
      ['HIPFLASK_TLS_CERT names a file that', '(ENOENT)'],
    ],
    [
      'the two of them exchanged',
      {
        HIPFLASK_TLS_CERT: pairOf('own').HIPFLASK_TLS_KEY,
        HIPFLASK_TLS_KEY: pairOf('own').HIPFLASK_TLS_CERT,
      },
      [CERT_MUST, KEY_MUST],
    ],
    [
      'the key of another',
      pairOf('own', 'other'),
      ['HIPFLASK_TLS_KEY does not belong to the first certificate'],
    ],
    [
      'the chain in the wrong order',
      pairOf('backwards', 'chain'),
      ['HIPFLASK_TLS_KEY does not belong to the first certificate'],
    ],
    ['a key with a passphrase', pairOf('own', 'encrypted'), [KEY_MUST, 'openssl pkey takes it away']],
    ['an old key with a passphrase', pairOf('own', 'old'), [KEY_MUST, 'openssl pkey takes it away']],
    ['empty files', pairOf('empty'), [CERT_MUST, KEY_MUST]],
    ['a broken chain', pairOf('broken', 'own'), [CERT_MUST]],
    [
      'files that are too long',
      pairOf('long'),
      ['HIPFLASK_TLS_CERT names a file of over 64 KiB', 'HIPFLASK_TLS_KEY names a file of over 64 KiB'],
    ],
    [
      'the key itself',
      { ...pairOf('own'), HIPFLASK_TLS_KEY: '-----BEGIN PRIVATE KEY-----\ncanary' },
      ['HIPFLASK_TLS_KEY must be the name of a PEM file'],
    ],
  ]
  beforeAll(async () => {
    makeCertificate('own', certificates)
    makeCertificate('other', certificates)
    await makeChain(certificates)
    openssl('pkey -in own.key -aes256 -passout pass:canary -out encrypted.key', certificates)
    openssl('ec -in own.key -aes256 -passout pass:canary -out old.key', certificates)
    const own = readFileSync(join(certificates, 'own.crt'), 'utf8')
    const parts = readFileSync(join(certificates, 'chain.crt'), 'utf8').split(/(?=-----BEGIN)/)
    writeFileSync(join(certificates, 'backwards.crt'), parts.toReversed().join(''))
    writeFileSync(join(certificates, 'broken.crt'), own + own.replace(/\n\w{20}/, '\ncanary'))
    for (const end of ['crt', 'key']) {
      writeFileSync(join(certificates, `empty.${end}`), '')
      const text = readFileSync(join(certificates, `own.${end}`), 'utf8')
      writeFileSync(join(certificates, `long.${end}`), text + '\n'.repeat(64 * 1024 - text.length + 1))
      writeFileSync(join(certificates, `full.${end}`), text + '\n'.repeat(64 * 1024 - text.length))
    }
  })

  for (const [what, env, messages] of cases) {
    test(what, async () => {
      const folder = makeFolder()
      const { exitCode, stdout, stderr } = await runCommand(['serve', '--port', '0'], { folder, env })
      expect([exitCode, stdout]).toEqual([1, ''])
      for (const message of messages) expect(stderr).toContain(message)
      expect(stderr).not.toMatch(/canary|BEGIN|routines|\.ts:|at \w+ \(/)
      expect(readdirSync(folder)).toEqual([])
    })
  }

  test('files of 64 KiB are taken', async () => {
    await using server = await startServer({ env: pairOf('full') })
    expect(server.url).toStartWith('https:')
  })
})
