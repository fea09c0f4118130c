// `hipflask export`: all records of a resource to stdout, exact, to be imported again or read by other programs.
import { databaseOf, resourcesOf } from '../app.ts'
import { exportRecords, TRANSFER_FORMATS, unexportedFields } from '../rest/transfer.ts'
import { configOf, type Command } from './command.ts'
import { describeFailure, openData, resourceNamed } from './data.ts'
import { formatNamed, FORMAT_OPTION } from './transfer-format.ts'
import { createProgress } from './progress.ts'

export const exportCommand: Command = {
  name: 'export',
  summary: 'Print all records of a resource, in the order of their ids',
  examples: [
    { line: 'hipflask export items > items.ndjson', does: 'one record a line, as JSON' },
    { line: 'hipflask export items --format csv > items.csv', does: 'for a spreadsheet' },
  ],
  positional: [{ name: 'resource', summary: 'Its name' }],
  options: [FORMAT_OPTION],
  async run(args, io) {
    const format = formatNamed(args.options['format']) ?? TRANSFER_FORMATS[0]
    const { config, origins } = configOf(args, io)
    const resources = await resourcesOf(config, origins)
    const definition = resourceNamed(args.positional[0], resources)
    const store = openData(config, resources)
    const progress = createProgress({
      label: `Exporting ${definition.name}`,
      isTerminal: io.isTerminal === true,
      write: io.stderr,
    })
    try {
      const total = await store.count(definition.name)
      let written = 0
      for await (const { text, records } of exportRecords({ definition, store, format })) {
        io.stdout(text)
        await io.stdoutReady?.()
        written += records
        progress.show(written, total === 0 ? 1 : written / total)
      }
    } catch (error) {
      throw describeFailure(error, databaseOf(config, resources).path)
    } finally {
      progress.end()
      await store.stop()
    }
    const left = unexportedFields(definition)
    if (left.length > 0) io.stderr(`Not exported, since no answer shows them: ${left.join(', ')}\n`)
    return 0
  },
}
