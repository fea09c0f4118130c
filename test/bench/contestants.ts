// The two servers of the comparison: how each is built, started, filled and ended. It ends only what it started.
import { $, type Subprocess } from 'bun'
import { copyFile, stat } from 'node:fs/promises'
import { join } from 'node:path'

export type Name = 'hipflask' | 'rival'

export type Both<T> = Record<Name, T>

/** An executable with a working folder of its own. */
export interface Contestant {
  name: Name
  executable: string
  folder: string
  /** Bytes. */
  size: number
}

export interface Running extends AsyncDisposable {
  name: Name
  /** `http://127.0.0.1:PORT` */
  url: string
  pid: number
  /** From the spawn to the first 200 of /health/ready. */
  readyMs: number
  stop: () => Promise<void>
}

// However the bench ends, its servers end with it.
const children = new Set<Subprocess>()
process.once('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})

const ROOT = join(import.meta.dir, '../..')
const START_TIMEOUT_MS = 10_000

// Anybody may create, since the rival knows no accounts.
const RESOURCE = `import { defineResource, everyone, t } from 'hipflask'
export default defineResource({
  name: 'items',
  schema: t.Object({
    name: t.String({ minLength: 1, maxLength: 200 }),
    price: t.Number({ minimum: 0 }),
    description: t.Optional(t.String({ maxLength: 5000 })),
    in_stock: t.Boolean({ default: true }),
  }),
  access: { list: everyone(), read: everyone(), create: everyone() },
})
`

const ACCOUNT = { email: 'root@example.com', password: 'purple staple lemon' }
const ADMINISTRATOR = { HIPFLASK_ADMIN_EMAIL: ACCOUNT.email, HIPFLASK_ADMIN_PASSWORD: ACCOUNT.password }

/** As a server is run that has much to do. All of the load comes from one address. */
const PRODUCTION = { HIPFLASK_ENV: 'production', HIPFLASK_RATE_LIMIT: 'off' }
/** No line for each request, which the rival does not write either. */
const QUIET = { HIPFLASK_LOG_LEVEL: 'warn' }

const READER = { name: 'Reader', email: 'reader@example.com', password: ACCOUNT.password }

/** An access token of either server, of an account without any role: administrators are told how long answers took. */
export async function signIn({ name, url }: Running): Promise<string> {
  const post = async (path: string, body: object, headers: Record<string, string> = {}) => {
    const json = { 'content-type': 'application/json', ...headers }
    const response = await fetch(url + path, { method: 'POST', headers: json, body: JSON.stringify(body) })
    return (await response.json()) as { access_token: string }
  }
  const { access_token } = await post('/auth/login', ACCOUNT)
  if (name === 'rival') return access_token
  await post('/api/users', READER, { authorization: `Bearer ${access_token}` })
  return (await post('/auth/login', READER)).access_token
}

/** A copy of dist/hipflask, so that a build meanwhile does not matter, with the resource that both serve. */
export async function prepareHipflask(folder: string): Promise<Contestant> {
  const executable = join(folder, 'hipflask')
  await Bun.write(join(folder, 'resources/items.ts'), RESOURCE)
  await copyFile(join(ROOT, 'dist/hipflask'), executable)
  return contestant('hipflask', executable, folder)
}

/** Compiles rival.ts as build.ts compiles hipflask. */
export async function prepareRival(folder: string): Promise<Contestant> {
  const executable = join(folder, 'rival')
  await $`${process.execPath} build --compile --bytecode --bytecode-depth=1 --format=esm --sourcemap --env=disable \
    --outfile ${executable} ${join(import.meta.dir, 'rival.ts')}`
    .cwd(ROOT)
    .quiet()
  return contestant('rival', executable, folder)
}

/** Where the rival keeps its records. */
export function databaseOf({ folder }: Contestant): string {
  return join(folder, 'rival.db')
}

async function contestant(name: Name, executable: string, folder: string): Promise<Contestant> {
  return { name, executable, folder, size: (await stat(executable)).size }
}

/**
 * Starts it on a free port with the data that its folder has; throws with its output where it does not get ready. Only
 * with `isLogging` hipflask logs each request, and its address.
 */
export async function start(
  { name, executable, folder }: Contestant,
  { isLogging = false } = {},
): Promise<Running> {
  const isQuiet = name === 'hipflask' && !isLogging
  const startedAt = performance.now()
  const port = isQuiet ? freePort() : 0
  const child = Bun.spawn(name === 'hipflask' ? [executable, 'serve', '--port', `${port}`] : [executable], {
    cwd: folder,
    env: { NODE_ENV: 'production', HOME: folder, ...PRODUCTION, ...ADMINISTRATOR, ...(isQuiet ? QUIET : {}) },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  children.add(child)
  const stop = async () => {
    child.kill()
    await child.exited
    children.delete(child)
  }
  try {
    const url = isQuiet ? await untilAnswered(`http://127.0.0.1:${port}`) : await addressOf(child)
    const response = await fetch(`${url}/health/ready`)
    if (!response.ok) throw new Error(`${name} is not ready: ${response.status}`)
    return {
      name,
      url,
      pid: child.pid,
      readyMs: performance.now() - startedAt,
      stop,
      [Symbol.asyncDispose]: stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

function freePort(): number {
  const listener = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data: () => undefined } })
  listener.stop(true)
  return listener.port
}

async function untilAnswered(url: string): Promise<string> {
  const end = performance.now() + START_TIMEOUT_MS
  for (let isReady = false; !isReady && performance.now() < end; await Bun.sleep(1)) {
    isReady = await fetch(`${url}/health/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  }
  return url
}

/** The address on the first line that has one. What follows is read and forgotten, as a collector of logs reads it. */
async function addressOf(child: Subprocess<'ignore', 'pipe', 'inherit'>): Promise<string> {
  const tooLate = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS)
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const read = async () => {
    const decoder = new TextDecoder()
    let text = ''
    let isFound = false
    for await (const chunk of child.stdout) {
      if (isFound) continue
      text += decoder.decode(chunk, { stream: true })
      const url = /http:\/\/[\d.]+:\d+/.exec(text)
      if (url === null) continue
      isFound = true
      resolve(url[0])
    }
    reject(new Error(`Server ended before it had an address:\n${text}`))
  }
  read().catch(reject)
  try {
    return await promise
  } finally {
    clearTimeout(tooLate)
  }
}

/** Resident memory in bytes. */
export async function residentBytes(pid: number): Promise<number> {
  const status = await Bun.file(`/proc/${pid}/status`).text()
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

/** Processor time of all threads so far, in seconds; its steps are 10 ms. */
export async function processorSeconds(pid: number): Promise<number> {
  const line = await Bun.file(`/proc/${pid}/stat`).text()
  // The name of the process, in parentheses, may have spaces: user and system time are 12th and 13th after it.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}
