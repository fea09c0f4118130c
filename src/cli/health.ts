// `hipflask health`: asks the server of these settings whether it is ready. For container health checks, where there
// is no curl.
import type { Config } from '../config/settings.ts'
import { StartError } from '../core/errors.ts'
import { loopbackOf, urlOf } from '../http/listener.ts'
import { configOf, JSON_OPTION, printJson, type Command } from './command.ts'

const LIMIT_MS = 3000

export const health: Command = {
  name: 'health',
  summary: 'Ask the running server whether it is ready',
  examples: [
    { line: 'hipflask health', does: 'exit code 0 when it is, 1 when not, in 3 seconds at most' },
    { line: 'hipflask health --port 4000 --json', does: 'of the server on port 4000, for programs' },
  ],
  options: [JSON_OPTION],
  async run(args, io) {
    const { config } = configOf(args, io)
    if (config.port === 0) throw new StartError('Port is 0, must be the one that the server listens on')
    const { host, port, tlsCert } = config
    const url = `${urlOf({ host, port, isSecure: tlsCert !== undefined })}/health/ready`
    const answer = await ask(config).catch((error: Error) => error)
    const status = answer instanceof Error ? null : answer
    const isReady = status === 200
    const message = isReady
      ? 'ready'
      : status === null
        ? (answer as Error).message
        : `not ready, status ${status}`
    if (args.options['json'] === true) printJson({ ready: isReady, url, status, message }, io)
    else if (isReady) io.stdout(`${url} is ready\n`)
    else io.stderr(`${url}: ${message}\n`)
    return isReady ? 0 : 1
  },
}

/** The status of the answer. Not by `fetch`: that would ask the proxy of HTTP_PROXY. */
async function ask(config: Config): Promise<number> {
  // Loaded here: no other command needs it, and it takes 2 MB.
  const client = await (config.tlsCert === undefined ? import('node:http') : import('node:https'))
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  const outgoing = client.request({
    host: loopbackOf(config.host) ?? config.host,
    port: config.port,
    path: '/health/ready',
    // A server that answers for named hosts only would refuse its own address.
    headers: config.allowedHosts === undefined ? {} : { host: config.allowedHosts[0] },
    agent: false,
    // The certificate names the public host, not this address. What comes back is one bit, and nothing secret goes out.
    rejectUnauthorized: false,
  })
  const limit = setTimeout(() => {
    reject(new Error(`no answer in ${LIMIT_MS / 1000} seconds`))
    outgoing.destroy()
  }, LIMIT_MS)
  outgoing.on('response', (response) => {
    response.destroy()
    resolve(response.statusCode ?? 0)
  })
  outgoing.on('error', () => reject(new Error('nothing answers')))
  outgoing.end()
  return promise.finally(() => clearTimeout(limit))
}
