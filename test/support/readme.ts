// Reads README.md as what it promises: sections of commands, files and answers, and tables. It runs a section as its
// reader would, in two terminals: one for the server, one for all else.
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '../..')
const SERVER_STOP_MS = 15_000
const ANSWER_MS = 20_000
/** Of a log that nobody waits for. */
const LOG_LENGTH_MAX = 100_000
/** The port of the page, which becomes that of the running server. */
const PORT = ':3000'

/** A fenced block: its language and text, and the line of README.md that it begins at. */
export interface Block {
  language: string
  text: string
  line: number
}

/** What stands under a heading of the second level. */
export interface Section {
  title: string
  blocks: readonly Block[]
}

/** The sections of a page, those without blocks included. */
export function sectionsOf(markdown: string): Section[] {
  const sections: { title: string; blocks: Block[] }[] = []
  let block: Block | undefined
  for (const [index, line] of markdown.split('\n').entries()) {
    if (block !== undefined) {
      if (line === '```') block = undefined
      else block.text += `${line}\n`
    } else if (line.startsWith('```')) {
      block = { language: line.slice(3), text: '', line: index + 1 }
      sections.at(-1)?.blocks.push(block)
    } else if (line.startsWith('## ')) sections.push({ title: line.slice(3), blocks: [] })
  }
  return sections
}

/** The cells of the rows below the heading row `heads`, without the marks of code. Throws where there is no such table. */
export function tableOf(markdown: string, heads: readonly string[]): string[][] {
  const lines = markdown.split('\n').map(cellsOf)
  const at = lines.findIndex((cells) => cells?.join() === heads.join())
  if (at === -1) throw new Error(`README.md has no table of ${heads.join(', ')}`)
  const rows = lines.slice(at + 2)
  const end = rows.indexOf(undefined)
  return rows.slice(0, end === -1 ? undefined : end) as string[][]
}

function cellsOf(line: string): string[] | undefined {
  if (!line.startsWith('|')) return undefined
  return line
    .slice(1, -1)
    .split('|')
    .map((cell) => cell.replaceAll('`', '').trim())
}

/** The file that a block says it is, by a comment in its first line; undefined where it says none. */
export function fileOf({ text }: Block): string | undefined {
  return /^(?:\/\/|#) ([\w./-]+)\n/.exec(text)?.[1]
}

/** What a command of the page printed, and the block that shows it, if one does. */
export interface Shown {
  command: Block
  printed: string
  answer: Block | undefined
}

/**
 * Does what the blocks of a section say, in order and in this folder: writes the files, runs the commands, keeps the
 * server of the latest `hipflask serve` running, which has taken up the files before the next command if it watches
 * them. Gives what the commands printed. Throws where one fails.
 */
export async function runBlocks(blocks: readonly Block[], folder: string): Promise<Shown[]> {
  const shown: Shown[] = []
  const shell = openShell(folder)
  let server: Server | undefined
  try {
    for (const [index, block] of blocks.entries()) {
      const file = fileOf(block)
      if (file !== undefined) {
        await Bun.write(join(folder, file), block.text)
        await server?.reloaded()
      }
      if (block.language !== 'sh') continue
      if (/\bhipflask serve\b/.test(block.text)) {
        await server?.stop()
        server = await startServer(block, folder)
        await shell.run(`export PORT=${server.port}`)
        continue
      }
      const text = server === undefined ? block.text : block.text.replaceAll(PORT, `:${server.port}`)
      const next = blocks[index + 1]
      const answer = next?.language === 'json' || next?.language === 'text' ? next : undefined
      shown.push({ command: block, printed: await shell.run(text), answer })
    }
    await server?.stop()
    return shown
  } finally {
    server?.kill()
    shell.close()
  }
}

/** The same words for what differs from run to run: ids, times, tokens, cursors; and the same ends of lines. */
export function withoutChance(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>')
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, '<time>')
    .replace(/"(?:eyJ|hfr_)[^"]*"/g, '"<token>"')
    .replace(/\bhf_\w{22}(?:_[\w…]+)?/g, (key) => (key.length > 25 ? '<key>' : '<prefix>'))
    .replace(/\bcursor=[^&"]+/g, 'cursor=<cursor>')
}

/** What a reader has: `hipflask` on the PATH, and a home without settings of curl. */
function environmentOf(folder: string): Record<string, string> {
  return { PATH: `${join(ROOT, 'dist')}:${process.env['PATH'] ?? ''}`, HOME: folder }
}

interface Server {
  port: string
  /** With `--watch`: waits until the server says that it has taken up a change. Throws where it refuses it. */
  reloaded: () => Promise<void>
  /** By SIGTERM. Throws where it does not end with 0. */
  stop: () => Promise<void>
  kill: () => void
}

/** Runs the block on a free port, until its server prints its address. */
async function startServer({ text, line }: Block, folder: string): Promise<Server> {
  // `exec`, so that the process is the server's own and gets the signal.
  const script = text.replace(/\bhipflask serve\b/, 'exec hipflask serve')
  const child = Bun.spawn(['bash', '-eu', '-c', script], {
    cwd: folder,
    env: { ...environmentOf(folder), PORT: '0' },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  const log = followLog(child.stdout)
  const logged = async (pattern: RegExp): Promise<string> => {
    const late = setTimeout(() => child.kill('SIGKILL'), ANSWER_MS)
    const found = await log.until(pattern)
    clearTimeout(late)
    if (found === undefined)
      throw new Error(`README.md:${line}: the server did not say ${pattern}:\n${log.rest()}`)
    return found
  }
  const port = await logged(/https?:\/\/[^\s"/]+:(\d+)/)
  const reloaded = async () => {
    if (!text.includes('--watch')) return
    const outcome = await logged(/(Reloaded|Not reloaded:.*)/)
    if (outcome !== 'Reloaded') throw new Error(`README.md:${line}: ${outcome}`)
  }
  const stop = async () => {
    child.kill('SIGTERM')
    const limit = setTimeout(() => child.kill('SIGKILL'), SERVER_STOP_MS)
    const exitCode = await child.exited
    clearTimeout(limit)
    if (exitCode !== 0) throw new Error(`README.md:${line}: the server ended with exit code ${exitCode}`)
  }
  return { port, reloaded, stop, kill: () => child.kill('SIGKILL') }
}

interface Log {
  /** The first group of the next match, which may be yet to come; undefined where the log ends before. */
  until: (pattern: RegExp) => Promise<string | undefined>
  /** The end of what no one has waited for. */
  rest: () => string
}

/** Reads all the time, or a server under load would wait for its log to be read. */
function followLog(stream: ReadableStream<Uint8Array>): Log {
  const decoder = new TextDecoder()
  let text = ''
  let isOver = false
  let more = Promise.withResolvers<void>()
  const follow = async () => {
    for await (const bytes of stream) {
      text = (text + decoder.decode(bytes, { stream: true })).slice(-LOG_LENGTH_MAX)
      more.resolve()
      more = Promise.withResolvers()
    }
  }
  const end = () => {
    isOver = true
    more.resolve()
  }
  follow().then(end, end)
  const until = async (pattern: RegExp) => {
    for (;;) {
      const match = pattern.exec(text)
      if (match !== null) {
        text = text.slice(match.index + match[0].length)
        return match[1]
      }
      if (isOver) return undefined
      await more.promise
    }
  }
  return { until, rest: () => text }
}

interface Shell {
  /** What the commands print on stdout. Throws where one of them fails. */
  run: (text: string) => Promise<string>
  close: () => void
}

/** One bash for a whole section, so that variables last from block to block. */
function openShell(folder: string): Shell {
  const child = Bun.spawn(['bash', '-eu', '-o', 'pipefail'], {
    cwd: folder,
    env: environmentOf(folder),
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const reader = child.stdout.getReader()
  const errors = new Response(child.stderr).text()
  const decoder = new TextDecoder()
  const end = `end-of-block-${crypto.randomUUID()}`
  const run = async (text: string) => {
    await child.stdin.write(`${text}\necho ${end}\n`)
    await child.stdin.flush()
    const late = setTimeout(() => child.kill('SIGKILL'), ANSWER_MS)
    let printed = ''
    while (!printed.endsWith(`${end}\n`)) {
      const { done, value } = await reader.read()
      if (done) throw new Error(`A command failed:\n${text}\n${printed}\n${await errors}`)
      printed += decoder.decode(value, { stream: true })
    }
    clearTimeout(late)
    return printed.slice(0, -end.length - 1)
  }
  return { run, close: () => child.kill('SIGKILL') }
}
