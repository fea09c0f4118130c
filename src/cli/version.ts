// `hipflask version`: which executable this is.
import { version as VERSION } from '../core/version.ts'
import { JSON_OPTION, printJson, type Command } from './command.ts'

export const version: Command = {
  name: 'version',
  summary: 'Print the version',
  examples: [
    { line: 'hipflask version', does: 'the number' },
    { line: 'hipflask version --json', does: 'also of Bun, and the platform' },
  ],
  options: [JSON_OPTION],
  async run({ options }, io) {
    if (options['json'] !== true) {
      io.stdout(`hipflask ${VERSION}\n`)
      return 0
    }
    const platform = `${process.platform}-${process.arch}`
    printJson({ version: VERSION, bun: Bun.version, platform }, io)
    return 0
  },
}
