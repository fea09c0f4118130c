// Puts load on a server with wrk and tells how fast it was. An answer that is an error makes the measurement worthless,
// so it throws.
import { $ } from 'bun'
import { join } from 'node:path'
import { processorSeconds, type Running } from './contestants.ts'

export interface Load {
  path: string
  /** Connections, each with one request at a time. */
  clients: number
  /** Posted as JSON; without it the path is got. */
  body?: object
}

export interface Speed {
  perSecond: number
  /** Processor time of the server for one request. */
  microseconds: number
}

/** Loads the server for so long. `folder` takes a file for wrk. */
export async function putLoad(
  server: Running,
  load: Load,
  options: { seconds: number; folder: string },
): Promise<Speed> {
  const { seconds, folder } = options
  const script = load.body === undefined ? [] : ['-s', await writeScript(load.body, folder)]
  const before = await processorSeconds(server.pid)
  const output = await $`wrk -t1 -c${load.clients} -d${seconds}s ${script} ${server.url + load.path}`.text()
  const used = (await processorSeconds(server.pid)) - before
  const failures = /(?:Non-2xx|Socket errors).*/.exec(output)
  if (failures !== null) throw new Error(`${server.name} ${load.path}: ${failures[0]}`)
  const requests = Number(/(\d+) requests in/.exec(output)?.[1])
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]),
    microseconds: (used / requests) * 1e6,
  }
}

async function writeScript(body: object, folder: string): Promise<string> {
  const path = join(folder, 'post.lua')
  const text = `wrk.method = 'POST'\nwrk.headers['content-type'] = 'application/json'\nwrk.body = [[${JSON.stringify(body)}]]\n`
  await Bun.write(path, text)
  return path
}
