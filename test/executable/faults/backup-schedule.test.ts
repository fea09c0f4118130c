// Backups that a server makes by itself: when, how many stay, what fails, and how it stops meanwhile.
import { describe, expect, test } from 'bun:test'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fillLarge, NOTES, writeNote } from '../../support/backed-up.ts'
import { makeFolder, runCommand, startServer, type RunningServer } from '../../support/executable.ts'

const EVERY_SECOND = { HIPFLASK_BACKUP_EVERY: '1s' }

/** Waits until the log has so many lines that say this; at most 15 seconds. */
async function waitForLog(server: RunningServer, text: string, count = 1): Promise<string[]> {
  for (let at = 0; at < 300; at++) {
    const lines = server.log().filter((line) => line.includes(text))
    if (lines.length >= count) return lines
    await Bun.sleep(50)
  }
  throw new Error(`The server did not say "${text}" ${count} times:\n${server.log().join('\n')}`)
}

describe('HIPFLASK_BACKUP_EVERY', () => {
  test('makes good backups, of which the newest HIPFLASK_BACKUP_KEEP stay, and touches no other file', async () => {
    const folder = makeFolder()
    mkdirSync(join(folder, 'kept'))
    for (const name of ['hipflask-mine.db', 'hipflask-20250101T000000Z.db.old', 'other']) {
      writeFileSync(join(folder, 'kept', name), name)
    }
    writeFileSync(join(folder, 'kept/hipflask-20250101T000000Z.db'), 'the oldest of its own')
    await using server = await startServer({
      folder,
      resources: NOTES,
      args: ['--backup-to', 'kept', '--backup-keep=2'],
      env: EVERY_SECOND,
    })
    await writeNote(server, { client: 1, number: 1, text: 'one' })
    await waitForLog(server, 'A backup was made', 4)
    expect(await server.stop()).toBe(0)
    const names = readdirSync(join(folder, 'kept')).sort()
    const own = names.filter((name) => /^hipflask-\d{8}T\d{6}Z\.db$/.test(name))
    expect(own).toHaveLength(2)
    expect(own).not.toContain('hipflask-20250101T000000Z.db')
    expect(names.filter((name) => !own.includes(name))).toEqual([
      'hipflask-20250101T000000Z.db.old',
      'hipflask-mine.db',
      'other',
    ])
    for (const name of own) {
      expect(await runCommand(['backup', 'verify', join('kept', name)], { folder })).toMatchObject({
        exitCode: 0,
      })
    }
  })

  test('of two servers on one folder only one makes each backup', async () => {
    const folder = makeFolder()
    const options = { folder, env: EVERY_SECOND }
    const begun = Date.now()
    await using first = await startServer({ ...options, resources: NOTES })
    await using second = await startServer(options)
    for (let at = 0; at < 150 && madeBy([first, second]).length < 6; at++) await Bun.sleep(100)
    const seconds = Math.ceil((Date.now() - begun) / 1000)
    const made = madeBy([first, second])
    expect(made.length).toBeGreaterThanOrEqual(6)
    expect(made.length).toBeLessThanOrEqual(seconds + 1)
    expect(new Set(made).size).toBe(made.length)
    expect([...first.log(), ...second.log()].filter((line) => line.includes('"level":"error"'))).toEqual([])
  })

  test('a backup that fails is an error in the log, and the server goes on and tries again', async () => {
    const folder = makeFolder()
    writeFileSync(join(folder, 'kept'), 'a file, not a folder')
    await using server = await startServer({
      folder,
      resources: NOTES,
      env: { ...EVERY_SECOND, HIPFLASK_BACKUP_TO: 'kept' },
    })
    const lines = await waitForLog(server, 'A backup failed', 2)
    expect(JSON.parse(lines[0]!)).toMatchObject({
      level: 'error',
      exit_code: 1,
      problem: expect.stringMatching(/^Folder .*kept cannot be made/),
    })
    expect(await writeNote(server, { client: 1, number: 1, text: 'one' })).toBe(201)
    expect(await server.stop()).toBe(0)
  })

  test('a stop gives a backup up that is being made, and leaves nothing of it', async () => {
    const folder = makeFolder()
    const filling = await startServer({ folder, resources: NOTES })
    const text = 'x'.repeat(100_000)
    for (let round = 0; round < 60; round++) {
      const some = Array.from({ length: 9 }, (_, number) => ({ client: round, number, text }))
      const response = await filling.fetch('/api/notes', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(some),
      })
      expect(response.status).toBe(201)
    }
    await filling.stop()
    const server = await startServer({ folder, env: EVERY_SECOND })
    const backups = join(folder, 'data/backups')
    const isMaking = () =>
      existsSync(backups) && readdirSync(backups).some((name) => name.endsWith('.unfinished'))
    for (let at = 0; at < 3000 && !isMaking(); at++) await Bun.sleep(2)
    const stopping = performance.now()
    expect(await server.stop()).toBe(0)
    expect(performance.now() - stopping).toBeLessThan(5000)
    expect(server.log().join('\n')).toContain('A backup under way was given up')
    expect(readdirSync(backups).filter((name) => name.endsWith('.unfinished'))).toEqual([])
    expect(readdirSync(join(folder, 'data')).sort()).toEqual(['backups', 'hipflask.db', 'keys'])
  })

  test('one that the system ends is a failure, not a wish', async () => {
    const folder = makeFolder()
    await using server = await startServer({ folder, resources: NOTES })
    await server.stop()
    fillLarge(join(folder, 'data/hipflask.db'))
    await using again = await startServer({ folder, env: EVERY_SECOND })
    const child = await childOf(again.pid)
    process.kill(child, 'SIGKILL')
    const [line] = await waitForLog(again, 'A backup failed')
    expect(JSON.parse(line!)).toMatchObject({ level: 'error', problem: 'SIGKILL' })
    expect(await writeNote(again, { client: 1, number: 1, text: 'one' })).toBe(201)
  })

  test('without its executable no backup can be made, and the server goes on', async () => {
    const folder = makeFolder()
    const program = join(folder, 'hipflask')
    copyFileSync(join(import.meta.dir, '../../../dist/hipflask'), program)
    // A copy in the place of the executable, so that it may go.
    const under = ['bash', '-c', `shift; exec ${program} "$@"`, 'bash']
    await using server = await startServer({ folder, under, resources: NOTES, env: EVERY_SECOND })
    rmSync(program)
    await waitForLog(server, 'A backup failed', 2)
    expect(await writeNote(server, { client: 1, number: 1, text: 'one' })).toBe(201)
    expect(await server.stop()).toBe(0)
  })

  const refused: [env: Record<string, string>, message: RegExp][] = [
    [{ HIPFLASK_BACKUP_EVERY: '31d' }, /HIPFLASK_BACKUP_EVERY must be a time from 1s to 30d/],
    [{ HIPFLASK_BACKUP_EVERY: '1d', HIPFLASK_DATA: ':memory:' }, /of no use to a server in memory/],
    [{ HIPFLASK_BACKUP_TO: 's3://bucket' }, /HIPFLASK_BACKUP_TO needs HIPFLASK_BACKUP_S3_ACCESS_KEY_ID/],
    [{ HIPFLASK_BACKUP_KEEP: '0' }, /HIPFLASK_BACKUP_KEEP must be a whole number from 1 to 10000/],
  ]
  test.each(refused)('%j stops the start', async (env, message) => {
    const { exitCode, stderr } = await runCommand(['serve', '--port', '0'], { env })
    expect(exitCode).toBe(1)
    expect(stderr).toMatch(message)
  })
})

/** The process that a server has started; waits for one at most 10 seconds. */
async function childOf(pid: number): Promise<number> {
  for (let at = 0; at < 5000; at++) {
    const [child] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean)
    if (child !== undefined) return Number(child)
    await Bun.sleep(2)
  }
  throw new Error('The server started no process')
}

/** The files that servers say they have made. */
function madeBy(servers: readonly RunningServer[]): string[] {
  const lines = servers
    .flatMap((server) => server.log())
    .filter((line) => line.includes('A backup was made"'))
  return lines.map((line) => (JSON.parse(line) as { file: string }).file)
}
