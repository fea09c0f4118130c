// The backups that a server makes by itself: each is made by this executable's own `backup` command in a process of its
// own, which can be ended at any moment, leaves its memory with the system, and yields to requests.
import { constants, setPriority } from 'node:os'
import { flagOf, type Config, type SettingName } from '../config/settings.ts'
import type { Logger } from '../core/logger.ts'
import { FOREIGN_TOKENS } from '../storage/bucket.ts'
import type { Arguments, Io } from './command.ts'

/** A clock that is set is noticed after so long at most; longer timers would also overflow. */
const LOOK_MS = 30_000
/** How long an ended backup may take to clean up after itself. */
const STOP_MS = 2000
const OUTPUT_LENGTH_MAX = 4000

export interface BackupSchedule {
  /** No further backup; one under way is given up. */
  stop: () => Promise<void>
}

export interface BackupScheduleOptions {
  config: Config
  /** Settings that were given as flags: they hold for the backups too. */
  flags: Arguments['flags']
  io: Pick<Io, 'env' | 'cwd'>
  logger: Logger
}

/** Makes backups when the settings say so. One that fails is logged, and the next time comes all the same. */
export function scheduleBackups({ config, flags, io, logger }: BackupScheduleOptions): BackupSchedule {
  const { backupEvery } = config
  if (backupEvery === undefined) return { stop: () => Promise.resolve() }
  let due = backupEvery.next(Date.now())
  let isStopped = false
  let running: { child: BackupProcess; ended: Promise<void> } | undefined
  const start = (at: number) => {
    try {
      const child = spawnBackup(at, { flags, io })
      const ended = report(child, { logger, isGivenUp: () => isStopped }).finally(() => {
        running = undefined
      })
      running = { child, ended }
    } catch (cause) {
      // The executable is gone, or the machine has no room for another process.
      logger.error('A backup failed', { cause })
    }
  }
  const look = () => {
    const now = Date.now()
    if (now >= due) {
      if (running === undefined) start(due)
      else logger.warn('A backup is left out, since the one before it is still being made')
      due = backupEvery.next(now)
    }
    // A clock that was ahead when this began must not put it off by as much.
    due = Math.min(due, backupEvery.next(now))
    timer = setTimeout(look, Math.min(Math.max(due - now, 1), LOOK_MS))
  }
  let timer = setTimeout(look, 0)
  return {
    async stop() {
      isStopped = true
      clearTimeout(timer)
      if (running === undefined) return
      const { child, ended } = running
      child.kill('SIGTERM')
      const limit = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      await ended
      clearTimeout(limit)
    },
  }
}

type BackupProcess = ReturnType<typeof spawnBackup>

function spawnBackup(at: number, { flags, io: { env, cwd } }: Pick<BackupScheduleOptions, 'flags' | 'io'>) {
  // All processes of a data folder give the same time the same name, so that only one of them makes this backup.
  const time = new Date(at).toISOString()
  const settings = Object.entries(flags).map(([name, text]) => `${flagOf(name as SettingName)}=${text}`)
  const program = Bun.isStandaloneExecutable ? [process.execPath] : [process.execPath, Bun.main]
  const isForeign = (name: string) => (FOREIGN_TOKENS as readonly string[]).includes(name)
  const child = Bun.spawn([...program, ...settings, 'backup', '--at', time, '--json'], {
    cwd,
    env: Object.fromEntries(Object.entries(env).filter(([name]) => !isForeign(name))),
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  try {
    setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL)
  } catch {
    // It has ended already, or the system does not let it: the backup is made all the same.
  }
  return child
}

async function report(
  child: BackupProcess,
  { logger, isGivenUp }: { logger: Logger; isGivenUp: () => boolean },
): Promise<void> {
  try {
    const [output, errors, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ])
    if (exitCode === 0) tell(output, logger)
    else if (isGivenUp()) logger.warn('A backup under way was given up')
    else
      logger.error('A backup failed', {
        problem: child.signalCode ?? errors.trim().slice(0, OUTPUT_LENGTH_MAX),
        exit_code: exitCode,
      })
  } catch (cause) {
    logger.error('A backup failed', { cause })
  }
}

function tell(output: string, logger: Logger): void {
  const { file, made, bytes, deleted, warnings } = JSON.parse(output) as Record<string, unknown>
  if (made !== true) return logger.debug('A backup was made by another process', { file })
  logger.info('A backup was made', { file, bytes, deleted: (deleted as string[]).length })
  for (const problem of warnings as string[]) logger.warn('Old backups need a look', { file, problem })
}
