// `hipflask keys rotate`: a new key for access tokens, beside a running server or without one.
import { existsSync } from 'node:fs'
import { createAudit } from '../auth/audit.ts'
import { rotateKeys } from '../auth/key-ring.ts'
import { ACCESS_TOKEN_SECONDS_MAX, type Config } from '../config/settings.ts'
import { systemClock } from '../core/clock.ts'
import { StartError } from '../core/errors.ts'
import { createLogger } from '../core/logger.ts'
import { configOf, JSON_OPTION, printJson, type Command } from './command.ts'

const WRONG_USAGE = 2

export const keys: Command = {
  name: 'keys',
  summary: 'Change the key that signs access tokens',
  examples: [
    {
      line: 'hipflask keys rotate',
      does: 'sign by a new key; tokens of the old one go on until they expire',
    },
    { line: 'hipflask keys rotate --data /var/lib/hipflask --json', does: 'of another folder, for programs' },
  ],
  positional: [{ name: 'action', summary: 'It must be: rotate' }],
  options: [JSON_OPTION],
  async run(args, io) {
    if (args.positional[0] !== 'rotate') throw new StartError('Action must be: rotate', WRONG_USAGE)
    const { config } = configOf(args, io)
    refuseElsewhere(config)
    const { logLevel: level, logFormat: format } = config
    const logger = createLogger({ level, format, write: io.stderr, clock: systemClock })
    const { kid, removed } = rotateKeys(config.data, {
      warn: (message) => logger.warn(message),
      clock: systemClock,
      lifetimeSecondsMax: ACCESS_TOKEN_SECONDS_MAX,
    })
    createAudit(logger)('keys.rotated', { key_id: kid, method: 'command line' })
    if (args.options['json'] === true) printJson({ kid, removed }, io)
    else io.stdout([`Added ${kid}`, ...removed.map((old) => `Removed ${old}`), ''].join('\n'))
    return 0
  },
}

function refuseElsewhere({ jwtAlgorithm, jwtKeyFile, data }: Config): void {
  if (jwtAlgorithm === 'HS256') {
    throw new StartError(
      'Tokens are signed by HIPFLASK_JWT_SECRET: set another and start the server again, which ends all access tokens',
    )
  }
  if (jwtKeyFile !== undefined) {
    throw new StartError(
      'Keys are in the file that HIPFLASK_JWT_KEY_FILE names: put a new one before the others, start the server again, and take the old one away a day later',
    )
  }
  if (data === ':memory:') throw new StartError('A server in memory has a new key at every start')
  if (!existsSync(data)) {
    throw new StartError(`There is no data folder ${data}: choose it by --data, or run hipflask serve`)
  }
}
