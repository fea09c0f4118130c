// `hipflask backup`: a copy of the database and its key ring in one file, beside a running server or without one, and
// whether such a file is good. It changes no data.
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { areKeyTexts, keyFolderOf, readKeyTexts } from '../auth/key-folder.ts'
import type { Config } from '../config/settings.ts'
import { systemClock } from '../core/clock.ts'
import { StartError } from '../core/errors.ts'
import { verifyFile, counting, type BackupProgress, type BackupSummary } from '../storage/backup.ts'
import { damagedBackup, readBackup } from '../storage/backup-format.ts'
import { automaticName } from './backup-names.ts'
import { namedBackup, placeOf, type BackupOrder, type Pruned } from './backup-place.ts'
import { configOf, JSON_OPTION, printJson, type Arguments, type Command, type Io } from './command.ts'
import { createProgress } from './progress.ts'

const WRONG_USAGE = 2
const DAMAGED = 3
const BYTES_OF_MB = 1e6
/** What a shell expects of a program that a signal ends. */
const EXIT_BY = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const

export const backup: Command = {
  name: 'backup',
  summary: 'Copy the database and its keys into one file, also while a server works on it',
  examples: [
    { line: 'hipflask backup monday.db', does: 'into this file, which must not exist yet' },
    {
      line: 'hipflask backup',
      does: 'to HIPFLASK_BACKUP_TO under the time as its name; of such the newest HIPFLASK_BACKUP_KEEP stay',
    },
    { line: 'hipflask backup s3://bucket/monday.db', does: 'into a bucket' },
    { line: 'hipflask backup verify monday.db', does: 'read all of it; exit code 3 where a bit is wrong' },
  ],
  positional: [
    { name: 'file', summary: 'Where the backup goes; or verify, before the file to look at' },
    { name: 'verified', summary: 'With verify: the backup to look at' },
  ],
  options: [
    {
      flags: '--at <time>',
      summary: 'Without a file: the time for its name, of which one backup is made only',
    },
    JSON_OPTION,
  ],
  async run(args, io) {
    const [first, second] = args.positional
    const { config } = configOf(args, io)
    if (args.positional.length > (first === 'verify' ? 2 : 1)) {
      throw new StartError('There is an argument too many for backup', WRONG_USAGE)
    }
    if (first !== undefined && args.options['at'] !== undefined) {
      throw new StartError('Option --at is for a backup without a file', WRONG_USAGE)
    }
    if (first === 'verify') return verify(second ?? '', config, { args, io })
    if (first === undefined) return backUp(config, { args, io })
    const named = namedBackup(first, config, io.cwd)
    const summary = await working(io, (order) => named.store({ ...orderOf(config), ...order }))
    describe(summary, { deleted: [], warnings: [] }, { args, io })
    return 0
  },
}

/** What a run is of. */
interface Run {
  args: Arguments
  io: Io
}

async function backUp(config: Config, { args, io }: Run): Promise<number> {
  const order = orderOf(config)
  const place = placeOf(config, io.cwd)
  const at = timeOf(args.options['at'])
  const file = automaticName(at ?? order.clock())
  const isMade = async () => at !== undefined && (await place.has(file))
  if (await isMade()) return describeOther(place.nameOf(file), { args, io })
  let summary: BackupSummary
  try {
    summary = await working(io, (more) => place.store(file, { ...order, ...more }))
  } catch (error) {
    // Another process was faster by a moment.
    if (await isMade()) return describeOther(place.nameOf(file), { args, io })
    throw error
  }
  describe(summary, await place.prune({ made: file, keep: config.backupKeep }), { args, io })
  return 0
}

function describeOther(file: string, { args, io }: Run): number {
  if (args.options['json'] === true) printJson({ file, made: false }, io)
  else io.stdout(`There is ${file} already: nothing is to be done\n`)
  return 0
}

async function verify(file: string, config: Config, { args, io }: Run): Promise<number> {
  const named = namedBackup(file, config, io.cwd)
  const isJson = args.options['json'] === true
  try {
    const found = await working(io, async ({ onProgress }) => {
      const source = await named.source()
      const read =
        named.path === undefined
          ? readBackup(source, counting(source.size, onProgress))
          : verifyFile(named.path, onProgress)
      const backup = await read
      // As restore does.
      if (!areKeyTexts(backup.keys)) throw damagedBackup(source.name)
      return backup
    })
    const { createdAt, version, keys, sha256 } = found
    const count = Object.keys(keys).length
    if (isJson) printJson({ file, ok: true, created_at: createdAt, version, keys: count, sha256 }, io)
    else io.stdout(`${file} is good: made at ${createdAt} by hipflask ${version}, with ${keysText(count)}\n`)
    return 0
  } catch (error) {
    if (!isJson || !(error instanceof StartError) || error.exitCode < DAMAGED) throw error
    printJson({ file, ok: false, problem: error.message }, io)
    return error.exitCode
  }
}

function orderOf({ data }: Config): Pick<BackupOrder, 'database' | 'keys' | 'clock'> {
  const database = join(data, 'hipflask.db')
  if (data === ':memory:') throw new StartError('A database in memory can not be backed up')
  // An empty file is one that was lost, or set up by nobody yet.
  if ((statSync(database, { throwIfNoEntry: false })?.size ?? 0) === 0) {
    throw new StartError(
      `There is no database in ${data}: choose its folder by --data, or run hipflask serve`,
    )
  }
  return { database, keys: () => readKeyTexts(keyFolderOf(data)), clock: systemClock }
}

/** Shows how far it has come, and leaves nothing behind when a signal ends it. */
export async function working<T>(
  io: Io,
  work: (options: { signal: AbortSignal; onProgress: BackupProgress }) => Promise<T>,
): Promise<T> {
  const progress = createProgress({
    label: '',
    unit: 'MB',
    isTerminal: io.isTerminal === true,
    write: io.stderr,
  })
  const giveUp = new AbortController()
  const signals = Object.entries(EXIT_BY).map(([name, exitCode]) => {
    const end = () => {
      giveUp.abort()
      progress.end()
      process.exit(exitCode)
    }
    process.on(name, end)
    return () => process.off(name, end)
  })
  try {
    return await work({
      signal: giveUp.signal,
      onProgress(what, bytes, of) {
        progress.relabel(what)
        progress.show(bytes / BYTES_OF_MB, of === undefined ? undefined : bytes / Math.max(of, 1))
      },
    })
  } finally {
    progress.end()
    for (const stop of signals) stop()
  }
}

function describe(
  { file, bytes, sha256, createdAt }: BackupSummary,
  { deleted, warnings }: Pruned,
  { args, io }: Run,
): void {
  for (const warning of warnings) io.stderr(`Warning: ${warning}\n`)
  if (args.options['json'] === true) {
    return printJson({ file, made: true, bytes, sha256, created_at: createdAt, deleted, warnings }, io)
  }
  const lines = [
    `Wrote ${file}, ${(bytes / BYTES_OF_MB).toFixed(1)} MB`,
    ...deleted.map((one) => `Deleted ${one}`),
  ]
  io.stdout(`${lines.join('\n')}\n`)
}

/** Milliseconds since 1970. */
function timeOf(text: string | boolean | undefined): number | undefined {
  if (text === undefined) return undefined
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?Z$/.test(String(text))
    ? Date.parse(String(text))
    : NaN
  if (Number.isNaN(time)) {
    throw new StartError('--at must be a time in UTC, such as 2026-11-27T23:00:00Z', WRONG_USAGE)
  }
  return time
}

export function keysText(count: number): string {
  return `${count} key${count === 1 ? '' : 's'}`
}
