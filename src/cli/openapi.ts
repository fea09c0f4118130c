// `hipflask openapi`: the document that GET /swagger/json answers, without a server and without touching the data.
import { createApp, resourcesOf } from '../app.ts'
import { createLogger } from '../core/logger.ts'
import { configOf, printJson, type Command } from './command.ts'

export const openapi: Command = {
  name: 'openapi',
  summary: 'Print the OpenAPI document of the resources',
  examples: [{ line: 'hipflask openapi > openapi.json', does: 'write it to a file' }],
  run: async (args, io) => {
    const { config, origins } = configOf(args, io)
    const logger = createLogger({
      level: 'error',
      format: config.logFormat,
      write: io.stderr,
      clock: Date.now,
    })
    const resources = await resourcesOf(config, origins)
    // It is the same whatever signs: neither data nor a key file has to be there.
    const anywhere = { ...config, data: ':memory:', jwtAlgorithm: 'EdDSA', jwtKeyFile: undefined } as const
    const app = await createApp({ config: anywhere, resources, logger })
    printJson(app.document(), io)
    await app.stop()
    return 0
  },
}
