// The black-box harness: runs dist/hipflask as a user does, in a fresh folder with a clean environment. It imports
// nothing from src, ends only what it started, and leaves no folder behind, also when a test fails.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'bun:test'

const EXECUTABLE = join(import.meta.dir, '../../dist/hipflask')
const START_TIMEOUT_MS = 10_000
/** The server itself waits up to 10 s for requests that are under way. */
const STOP_TIMEOUT_MS = 15_000
const COMMAND_TIMEOUT_MS = 30_000
const RAW_TIMEOUT_MS = 5_000
/** How long a connection that stays open must be quiet for its answer to count as complete. */
const RAW_QUIET_MS = 300

export interface RunOptions {
  /** Files of the resources folder: name → text. Without them there is no such folder. */
  resources?: Readonly<Record<string, string>>
  /** All that the program gets beside PATH and HOME. */
  env?: Readonly<Record<string, string>>
  /** The data folder; `data` in the working folder unless given. */
  data?: string
  /** The working folder, kept afterwards. Unless given, a new one that is removed. */
  folder?: string
  /** A program that runs it in its own process, with arguments: `['strace', '-D']`. */
  under?: readonly string[]
}

export interface ServerOptions extends RunOptions {
  /** Arguments after `serve`. */
  args?: readonly string[]
}

export interface RunningServer extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  url: string
  folder: string
  pid: number
  /** Fetches a path such as `/api/items`; redirects are not followed. */
  fetch: (path: string, init?: BunFetchRequestInit) => Promise<Response>
  /** The lines on stdout and stderr so far. */
  log: () => string[]
  /** Sends the signal (SIGTERM unless given) and answers the exit code. The folder is removed if it was a new one. */
  stop: (signal?: NodeJS.Signals) => Promise<number>
  /** Stops reading its output, as a log collector does that ends. */
  closeOutput: () => Promise<void>
  /** Ends it at once by SIGKILL, as a power cut would. The folder stays until the tests end. */
  kill: () => Promise<void>
}

export interface CommandResult {
  exitCode: number
  stdout: string
  stderr: string
}

const folders = new Set<string>()
const children = new Set<Bun.Subprocess>()

// bunfig.toml preloads this file: so this runs after the last test, whether the files share their modules or not.
afterAll(cleanUp)

/** Starts `hipflask serve` on a free port and waits for its address. Throws with its output where it does not come. */
export async function startServer(options: ServerOptions = {}): Promise<RunningServer> {
  const folder = await prepareFolder(options)
  const child = spawn(['serve', ...(options.args ?? [])], folder, {
    ...options,
    env: { PORT: '0', HIPFLASK_LOG_FORMAT: 'json', ...options.env },
  })
  const lines: string[] = []
  const readers: Reader[] = [child.stdout.getReader(), child.stderr.getReader()]
  const address = Promise.withResolvers<string>()
  const ended = Promise.all([
    readLines(readers[0] as Reader, (line) => {
      lines.push(line)
      const url = /https?:\/\/[^\s"/]+/.exec(line)
      if (url !== null) address.resolve(url[0])
    }),
    readLines(readers[1] as Reader, (line) => lines.push(line)),
  ])
  const tooLate = rejectAfter(START_TIMEOUT_MS, `No address after ${START_TIMEOUT_MS} ms`)
  const ending = ended.then(async () => {
    throw new Error(`Server ended with exit code ${await child.exited}`)
  })
  let url: string
  try {
    url = await Promise.race([address.promise, ending, tooLate.promise])
  } catch (error) {
    await end(child, 'SIGKILL')
    release(folder, options)
    throw new Error(`${(error as Error).message}\n${lines.join('\n')}`, { cause: error })
  } finally {
    tooLate.cancel()
    ending.catch(() => undefined)
  }
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    const exitCode = await end(child, signal)
    await ended
    release(folder, options)
    return exitCode
  }
  return {
    url,
    folder,
    pid: child.pid,
    fetch: (path, init) => fetch(url + path, { redirect: 'manual', ...init }),
    log: () => [...lines],
    stop,
    closeOutput: async () => void (await Promise.all(readers.map((reader) => reader.cancel()))),
    kill: async () => void (await end(child, 'SIGKILL')),
    [Symbol.asyncDispose]: async () => void (await stop('SIGKILL')),
  }
}

/** Starts `hipflask serve` and ends it by SIGKILL so many milliseconds later, whether it serves by then or not. */
export async function killWhileStarting(options: RunOptions & { folder: string }, ms: number): Promise<void> {
  const child = spawn(['serve', '--port', '0'], await prepareFolder(options), options)
  await Bun.sleep(ms)
  await end(child, 'SIGKILL')
}

/** Runs `hipflask` with the arguments to its end. */
export async function runCommand(args: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
  const folder = await prepareFolder(options)
  const child = spawn(args, folder, options)
  const tooLate = rejectAfter(
    COMMAND_TIMEOUT_MS,
    `hipflask ${args.join(' ')} runs for over ${COMMAND_TIMEOUT_MS} ms`,
  )
  try {
    const result = Promise.all([
      child.exited,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ])
    const [exitCode, stdout, stderr] = await Promise.race([result, tooLate.promise])
    return { exitCode, stdout, stderr }
  } finally {
    tooLate.cancel()
    await end(child, 'SIGKILL')
    release(folder, options)
  }
}

/**
 * Sends bytes as they are, for HTTP that no client would send, and answers all that came back: until the server
 * closed, fell quiet, or 5 s have passed.
 */
export async function rawRequest(url: string, bytes: string | Uint8Array): Promise<string> {
  const { hostname, port } = new URL(url)
  const chunks: Uint8Array[] = []
  const done = Promise.withResolvers<void>()
  const limit = setTimeout(done.resolve, RAW_TIMEOUT_MS)
  let quiet: Timer | undefined
  let unsent = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes
  const send = (socket: Bun.Socket) => {
    unsent = unsent.subarray(Math.max(socket.write(unsent), 0))
  }
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      open: send,
      drain: send,
      data: (_, chunk) => {
        chunks.push(new Uint8Array(chunk))
        clearTimeout(quiet)
        quiet = setTimeout(done.resolve, RAW_QUIET_MS)
      },
      close: () => done.resolve(),
      error: () => done.resolve(),
    },
  })
  await done.promise
  clearTimeout(limit)
  clearTimeout(quiet)
  socket.terminate()
  return Buffer.concat(chunks).toString()
}

/** A new temporary folder, removed when the tests of the file have ended. */
export function makeFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hipflask-test-'))
  folders.add(folder)
  return folder
}

async function prepareFolder(options: RunOptions): Promise<string> {
  if (!existsSync(EXECUTABLE)) throw new Error('dist/hipflask is not there: run `bun run build` first')
  const folder = options.folder ?? makeFolder()
  for (const [name, text] of Object.entries(options.resources ?? {})) {
    await Bun.write(join(folder, 'resources', name), text)
  }
  return folder
}

function spawn(args: readonly string[], folder: string, { under = [], env, data }: RunOptions) {
  const child = Bun.spawn([...under, EXECUTABLE, ...args], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: folder,
      ...env,
      ...(data === undefined ? {} : { HIPFLASK_DATA: data }),
    },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  children.add(child)
  return child
}

async function end(child: Bun.Subprocess, signal: NodeJS.Signals): Promise<number> {
  if (child.exitCode === null && child.signalCode === null) child.kill(signal)
  const tooLate = rejectAfter(STOP_TIMEOUT_MS, `Server goes on ${STOP_TIMEOUT_MS} ms after ${signal}`)
  try {
    const exitCode = await Promise.race([child.exited, tooLate.promise])
    children.delete(child)
    return exitCode
  } finally {
    tooLate.cancel()
  }
}

function release(folder: string, options: RunOptions): void {
  if (options.folder !== undefined) return
  rmSync(folder, { recursive: true, force: true })
  folders.delete(folder)
}

function cleanUp(): void {
  for (const child of children) child.kill('SIGKILL')
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  children.clear()
  folders.clear()
}

/** What is used of a stream's reader: two libraries declare it, and differ. */
interface Reader {
  read: () => Promise<{ done: boolean; value?: Uint8Array | undefined }>
  cancel: () => Promise<void>
}

async function readLines(reader: Reader, take: (line: string) => void): Promise<void> {
  const decoder = new TextDecoder()
  let rest = ''
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    const lines = (rest + decoder.decode(read.value, { stream: true })).split('\n')
    rest = lines.pop()!
    lines.forEach(take)
  }
  if (rest !== '') take(rest)
}

function rejectAfter(ms: number, message: string): { promise: Promise<never>; cancel: () => void } {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(message)), ms)
  promise.catch(() => undefined)
  return { promise, cancel: () => clearTimeout(timer) }
}
