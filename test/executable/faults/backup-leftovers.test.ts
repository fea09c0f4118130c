// What earlier runs and clocks have left where backups are kept or a database is restored: it takes nothing away from a
// backup that is made, and a restore that is killed leaves a database that starts.
import { beforeAll, describe, expect, test } from 'bun:test'
import { cpSync, existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { NOTES, readNotes, writeNote } from '../../support/backed-up.ts'
import { makeFolder, runCommand, startServer } from '../../support/executable.ts'

const NOTES_OF_BACKUP = 1
const NOTES_OF_CRASH = 4

/** Has a data folder as a crash left it, and a backup of before. */
let crashed: string

beforeAll(async () => {
  crashed = makeFolder()
  const server = await startServer({ folder: crashed, resources: NOTES })
  for (let number = 0; number < NOTES_OF_CRASH; number++) {
    if (number === NOTES_OF_BACKUP) await runCommand(['backup', 'a.db'], { folder: crashed })
    await writeNote(server, { client: 1, number, text: 'text' })
  }
  await server.kill()
})

function copyOfCrashed(): string {
  const folder = makeFolder()
  cpSync(crashed, folder, { recursive: true })
  return folder
}

describe('what is where backups are kept', () => {
  test('a backup of a clock that was ahead, junk and a folder delete nothing and are warned of', async () => {
    const folder = copyOfCrashed()
    const kept = join(folder, 'kept')
    mkdirSync(kept)
    const others = [
      'hipflask-20991231T235959Z.db',
      'hipflask-20261399T000000Z.db',
      'hipflask-20990101T000000Z.db',
    ]
    for (const name of others) writeFileSync(join(kept, name), 'x')
    writeFileSync(join(kept, 'hipflask-20260102T000000Z.db'), '')
    mkdirSync(join(kept, 'hipflask-20200101T000000Z.db'))
    writeFileSync(join(kept, 'hipflask-20200102T000000Z.db'), 'old')
    const { exitCode, stdout, stderr } = await runCommand(
      ['backup', '--json', '--backup-to', 'kept', '--backup-keep', '1'],
      { folder },
    )
    expect(exitCode).toBe(0)
    const { file, deleted, warnings } = JSON.parse(stdout) as {
      file: string
      deleted: string[]
      warnings: string[]
    }
    expect(existsSync(file)).toBe(true)
    expect(deleted).toEqual([join(kept, 'hipflask-20200102T000000Z.db')])
    expect(warnings).toEqual([
      expect.stringContaining('hipflask-20990101T000000Z.db and 1 more are named for a time to come'),
      expect.stringMatching(/hipflask-20\d{6}T\d{6}Z\.db and 2 more are named as a backup and none/),
    ])
    expect(stderr.match(/^Warning: /gm)).toHaveLength(2)
    expect(readdirSync(kept)).toHaveLength(6)
  })

  test('drafts of killed processes go, with their journals, those of living ones stay', async () => {
    const folder = copyOfCrashed()
    const backups = join(folder, 'data/backups')
    mkdirSync(backups)
    const [dead, alive] = [
      'hipflask-20260101T000000Z.db.unfinished',
      'hipflask-20260102T000000Z.db.unfinished',
    ]
    const old = Date.now() / 1000 - 100
    const alone = 'hipflask-20260103T000000Z.db.unfinished-journal'
    for (const name of [dead, `${dead}-journal`, alive, `${alive}-journal`, alone]) {
      writeFileSync(join(backups, name), 'x')
      if (name !== alive) utimesSync(join(backups, name), old, old)
    }
    const { exitCode, stderr } = await runCommand(['backup'], { folder })
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' })
    expect(readdirSync(backups).filter((name) => name.includes('unfinished'))).toEqual([
      alive,
      `${alive}-journal`,
    ])
  })
})

test.each(['s3://', 's3://bucket', 's3:/b/k', 's3:', 'S3://b/k', 's3:///k'])(
  '%s is no name of a file',
  async (name) => {
    const folder = copyOfCrashed()
    for (const args of [
      ['backup', name],
      ['backup', 'verify', name],
      ['restore', name],
    ]) {
      const { exitCode, stderr } = await runCommand(args, { folder })
      expect({ exitCode, stderr }).toEqual({
        exitCode: 2,
        stderr: expect.stringContaining('s3://bucket/key'),
      })
    }
    const to = await runCommand(['backup', '--backup-to', name], { folder })
    expect(to.exitCode).not.toBe(0)
    expect(readdirSync(folder).sort()).toEqual(['a.db', 'data', 'resources'])
  },
)

// A kill at each call that changes names in the folder: so at each state that it can leave.
test.each([
  ['link', [1]],
  ['unlink', [1, 2, 3, 4, 5]],
  ['rename', [1, 2]],
] as const)('a restore that is killed at %s leaves a database that starts', async (call, times) => {
  if (Bun.which('strace') === null) return console.log('Skipped: there is no strace to kill it')
  const injected = (when: number) => `inject=${call}:signal=KILL:when=${when}`
  let kills = 0
  for (const when of times) {
    const folder = copyOfCrashed()
    const under = ['strace', '-f', '-o', '/dev/null', '-e', `trace=${call}`, '-e', injected(when)]
    const { exitCode } = await runCommand(['restore', 'a.db', '--force'], { folder, under })
    if (exitCode !== 0) kills++
    await using server = await startServer({ folder })
    const { total } = await readNotes(server)
    expect([NOTES_OF_BACKUP, NOTES_OF_CRASH]).toContain(total)
    if (exitCode === 0) expect(total).toBe(NOTES_OF_BACKUP)
  }
  expect(kills).toBeGreaterThan(0)
})
