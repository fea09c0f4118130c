// Puts load on a server with wrk and tells how fast it was. An answer that is an error makes the measurement worthless,
// so it throws.
import { $ } from 'bun'
import { join } from 'node:path'
import { processorSeconds, type Running } from './contestants.ts'

export interface Load {
  path: string
  /** Each request gets another record of the path, in no order: `path/1` up to this number. */
  upTo?: number
  /** Connections, each with one request at a time. */
  clients: number
  /** Posted as JSON; without it the path is got. */
  body?: object
  /** An access token to send along. */
  token?: string
}

export interface Speed {
  perSecond: number
  /** Processor time of the server for one request. */
  microseconds: number
}

export interface LoadOptions {
  seconds: number
  /** Takes a file for wrk. */
  folder: string
  /** The core that wrk is held to. */
  core?: number
}

/** Loads the server for so long. */
export async function putLoad(
  server: Running,
  load: Load,
  { seconds, folder, core }: LoadOptions,
): Promise<Speed> {
  const wrk = core === undefined ? ['wrk'] : ['taskset', '-c', String(core), 'wrk']
  const text = scriptOf(load)
  const script = text === undefined ? [] : ['-s', await writeScript(text, folder)]
  const credential = load.token === undefined ? [] : ['-H', `Authorization: Bearer ${load.token}`]
  const before = await processorSeconds(server.pid)
  const output =
    await $`${wrk} -t1 -c${load.clients} -d${seconds}s ${script} ${credential} ${server.url + load.path}`.text()
  const used = (await processorSeconds(server.pid)) - before
  const failures = /(?:Non-2xx|Socket errors).*/.exec(output)
  if (failures !== null) throw new Error(`${server.name} ${load.path}: ${failures[0]}`)
  const requests = Number(/(\d+) requests in/.exec(output)?.[1])
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]),
    microseconds: (used / requests) * 1e6,
  }
}

function scriptOf({ path, body, upTo }: Load): string | undefined {
  if (body !== undefined) {
    return `wrk.method = 'POST'\nwrk.headers['content-type'] = 'application/json'\nwrk.body = [[${JSON.stringify(body)}]]\n`
  }
  if (upTo === undefined) return undefined
  return `request = function() return wrk.format('GET', '${path}/' .. math.random(${upTo})) end\n`
}

async function writeScript(text: string, folder: string): Promise<string> {
  const path = join(folder, 'load.lua')
  await Bun.write(path, text)
  return path
}
