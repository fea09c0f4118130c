// `hipflask restore`: a backup in the place of the database. It checks the backup first, and what was there stays under
// another name.
import { mkdirSync, rmdirSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { addKeyTexts, areKeyTexts, keyFolderOf } from '../auth/key-folder.ts'
import { sessionsTable } from '../auth/sessions.ts'
import { systemClock } from '../core/clock.ts'
import { StartError } from '../core/errors.ts'
import { damagedBackup } from '../storage/backup-format.ts'
import { restoreBackup } from '../storage/restore.ts'
import { giveToOwnerOf } from '../storage/whole-file.ts'
import { keysText, working } from './backup.ts'
import { namedBackup } from './backup-place.ts'
import { configOf, JSON_OPTION, printJson, type Command } from './command.ts'

const WRONG_USAGE = 2

export const restore: Command = {
  name: 'restore',
  summary: 'Put a backup in the place of the database, while no server works on it',
  examples: [
    { line: 'hipflask restore monday.db', does: 'into a data folder that has no database yet' },
    {
      line: 'hipflask restore monday.db --force',
      does: 'in the place of one, which stays under another name',
    },
    { line: 'hipflask restore s3://bucket/monday.db', does: 'out of a bucket' },
  ],
  positional: [{ name: 'file', summary: 'A backup: its file, or s3://bucket/key' }],
  options: [
    { flags: '--force', summary: 'Also where there is a database' },
    { flags: '--end-sessions', summary: 'Without the sessions of the backup: everybody signs in again' },
    JSON_OPTION,
  ],
  async run(args, io) {
    const [file = ''] = args.positional
    if (args.positional.length > 1)
      throw new StartError('There is an argument too many for restore', WRONG_USAGE)
    const { config } = configOf(args, io)
    const { data } = config
    if (data === ':memory:') throw new StartError('A database in memory can not be restored')
    const named = namedBackup(file, config, io.cwd)
    const source = await named.source()
    const made = makeDataFolder(data)
    const folder = keyFolderOf(data)
    const database = join(data, 'hipflask.db')
    let added: string[] = []
    const { backup, kept } = await working(io, (order) =>
      restoreBackup({
        ...order,
        source,
        database,
        isForced: args.options['force'] === true,
        without: args.options['endSessions'] === true ? [sessionsTable.name] : [],
        clock: systemClock,
        takeRest: ({ keys }) => {
          if (!areKeyTexts(keys)) throw damagedBackup(source.name)
          added = addKeyTexts(folder, keys)
          const written = added.length === 0 ? [] : [folder, ...added.map((name) => join(folder, name))]
          for (const path of written) giveToOwnerOf(data, path)
        },
      }),
    ).catch((error: unknown) => {
      removeEmpty(resolve(data), made)
      throw error
    })
    const { createdAt } = backup
    if (args.options['json'] === true) {
      printJson({ database, created_at: createdAt, kept: kept ?? null, keys_added: added }, io)
      return 0
    }
    const lines = [
      `Restored ${database} as it was at ${createdAt}; ${keysText(added.length)} added to ${folder}`,
      ...(kept === undefined ? [] : [`What was there is kept in ${kept}`]),
    ]
    io.stdout(`${lines.join('\n')}\n`)
    return 0
  },
}

/** Gives the uppermost folder that was made. */
function makeDataFolder(data: string): string | undefined {
  try {
    return mkdirSync(resolve(data), { recursive: true, mode: 0o700 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new StartError(`Data folder ${data} cannot be made (${code}): choose another by --data`, 1, error)
  }
}

/** Removes folders as long as nothing is in them, up to the one that was made. */
function removeEmpty(folder: string, made: string | undefined): void {
  try {
    for (
      let at = folder;
      made !== undefined && at.length >= made.length && at !== dirname(at);
      at = dirname(at)
    )
      rmdirSync(at)
  } catch {
    // There is something in it, which stays.
  }
}
