import { afterEach, expect, setSystemTime, test } from 'bun:test'
import { scheduleBackups } from '../../src/cli/backup-schedule.ts'
import { loadConfig } from '../../src/config/load.ts'
import { makeFolder } from '../support/executable.ts'

afterEach(() => {
  setSystemTime()
})

/** Runs a schedule that has no database to back up, so that each time that comes is an error in the log. */
function watch(every: string) {
  const cwd = makeFolder()
  const failures: string[] = []
  const quiet = () => undefined
  const schedule = scheduleBackups({
    config: loadConfig({ flags: { backupEvery: every }, env: {}, cwd }).config,
    flags: { backupEvery: every },
    io: { env: { PATH: process.env['PATH'] }, cwd },
    logger: { debug: quiet, info: quiet, warn: quiet, error: (message) => failures.push(message) },
  })
  return { failures, stop: schedule.stop }
}

test('a clock that is set back puts no backup off', async () => {
  setSystemTime(new Date('2096-01-01T00:00:00Z'))
  const { failures, stop } = watch('1s')
  setSystemTime()
  for (let at = 0; at < 100 && failures.length === 0; at++) await Bun.sleep(50)
  await stop()
  expect(failures[0]).toBe('A backup failed')
})

test('nothing is made before its time, nor after the stop', async () => {
  const { failures, stop } = watch('30d')
  await Bun.sleep(300)
  await stop()
  const frequent = watch('1s')
  await frequent.stop()
  await Bun.sleep(1500)
  expect([failures, frequent.failures]).toEqual([[], []])
})
