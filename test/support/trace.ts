// What a traced executable asked of the disk and sent to its clients, in its order; and what of that a power cut leaves.
import { readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export type TraceEvent =
  | { kind: 'write'; path: string; at: number; bytes: Buffer }
  | { kind: 'truncate'; path: string; size: number }
  | { kind: 'sync' | 'create' | 'remove'; path: string }
  | { kind: 'send'; bytes: Buffer }

const CALLS = 'pwrite64,pwritev,fsync,fdatasync,ftruncate,openat,unlink,sendto'

/** What runs the executable so that it is traced to this file. */
export function tracedTo(file: string): string[] {
  const options = ['-D', '-f', '-qq', '-y', '-xx', '-s', '32768', '-e', 'signal=none', '-e', `trace=${CALLS}`]
  return ['strace', ...options, '-o', file]
}

/**
 * The events on files of the folder, and what was sent. A call that other threads' calls came between counts from its
 * beginning where it writes or sends, from its end where it syncs: whatever is worse for what is to be proven.
 */
export function readTrace(file: string, folder: string): TraceEvent[] {
  const events: TraceEvent[] = []
  const begun = new Map<string, string>()
  for (const line of readFileSync(file, 'latin1').split('\n')) {
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const [, call = '', argument = ''] = /^(\w+)\((.*)$/.exec(rest) ?? []
    const isUnfinished = rest.endsWith('<unfinished ...>')
    const isSync = call === 'fsync' || call === 'fdatasync'
    if (isUnfinished && isSync) begun.set(thread, argument)
    const resumed = /^<\.\.\. (?:fsync|fdatasync) resumed>/.test(rest)
    const sync = resumed ? begun.get(thread) : isSync && !isUnfinished ? argument : undefined
    if (sync !== undefined && rest.endsWith(' = 0')) events.push({ kind: 'sync', path: pathIn(sync) })
    else if (!isSync) events.push(...eventOf(call, argument))
  }
  return events.filter((event) => event.kind === 'send' || event.path.startsWith(folder))
}

function eventOf(call: string, argument: string): TraceEvent[] {
  switch (call) {
    case 'pwrite64': {
      const [, text = '', at = ''] = /, "((?:\\x..)*)", \d+, (\d+)/.exec(argument) ?? []
      return [{ kind: 'write', path: pathIn(argument), at: Number(at), bytes: bytesOf(text) }]
    }
    case 'pwritev':
      throw new Error('A write that this reader of traces does not know')
    case 'ftruncate':
      return [{ kind: 'truncate', path: pathIn(argument), size: Number(/>, (\d+)/.exec(argument)?.[1]) }]
    case 'openat':
      // What it opened is at the end: `) = 9</path>`.
      return /O_CREAT.* = \d+</.test(argument)
        ? [{ kind: 'create', path: pathIn(argument.replace(/^.* = /, '')) }]
        : []
    case 'unlink':
      return argument.endsWith(' = 0') ? [{ kind: 'remove', path: textIn(argument) }] : []
    case 'sendto':
      return [{ kind: 'send', bytes: bytesOf(/, "((?:\\x..)*)"/.exec(argument)?.[1] ?? '') }]
    default:
      return []
  }
}

/** Of a descriptor with its path, `9<\x2f…>`. */
function pathIn(argument: string): string {
  return bytesOf(/<((?:\\x..)*)>/.exec(argument)?.[1] ?? '').toString()
}

function textIn(argument: string): string {
  return bytesOf(/"((?:\\x..)*)"/.exec(argument)?.[1] ?? '').toString()
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text.replaceAll('\\x', ''), 'hex')
}

// ── The disk ────────────────────────────────────────────────────────────────────────────────────────────────────

type Change = { at: number; bytes: Buffer } | { size: number }

interface File {
  /** What a sync has made durable. */
  synced: Buffer
  /** What came after it, any part of which a power cut can take. */
  unsynced: Change[]
}

/** Which of the changes that were never synced a power cut leaves. */
export type Fate = 'none' | 'all' | ((change: Change) => Change[])

const SECTOR = 512

/** Whole sectors by chance, as a disk writes them: some of a page and not the others, the later and not the earlier. */
export function bySector(random: () => number): Fate {
  return (change) => {
    if ('size' in change) return random() < 0.5 ? [change] : []
    const kept: Change[] = []
    let from = 0
    while (from < change.bytes.length) {
      const to = Math.min(change.bytes.length, from + SECTOR - ((change.at + from) % SECTOR))
      if (random() < 0.5) kept.push({ at: change.at + from, bytes: change.bytes.subarray(from, to) })
      from = to
    }
    return kept
  }
}

/** A disk that keeps what was synced, and nothing else for sure. Names are kept when their folder is synced. */
export function createDisk() {
  const files = new Map<string, File>()
  const kept = new Map<string, File>()

  function apply(event: TraceEvent): void {
    if (event.kind === 'send') return
    const { path } = event
    if (event.kind === 'create' && !files.has(path))
      files.set(path, { synced: Buffer.alloc(0), unsynced: [] })
    const file = files.get(path)
    if (event.kind === 'remove') files.delete(path)
    if (event.kind === 'write') file?.unsynced.push({ at: event.at, bytes: event.bytes })
    if (event.kind === 'truncate') file?.unsynced.push({ size: event.size })
    if (event.kind !== 'sync') return
    if (file !== undefined) {
      file.synced = contentOf(file, 'all')
      file.unsynced = []
    }
    for (const name of kept.keys()) if (dirname(name) === path && !files.has(name)) kept.delete(name)
    for (const [name, inside] of files) if (dirname(name) === path) kept.set(name, inside)
  }

  /** The files after a power cut, by their names. Shared memory is never written by a call: it is lost. */
  function image(fate: Fate): Map<string, Buffer> {
    const names = fate === 'all' ? files : kept
    const left = [...names].filter(([path]) => !path.endsWith('-shm'))
    return new Map(left.map(([path, file]) => [basename(path), contentOf(file, fate)]))
  }

  /** The names that a power cut may take, shared memory aside. */
  const unkept = () =>
    [...files.keys()].filter((path) => kept.get(path) !== files.get(path) && !path.endsWith('-shm'))

  return { apply, image, unkept }
}

function contentOf({ synced, unsynced }: File, fate: Fate): Buffer {
  if (fate === 'none') return synced
  const changes = fate === 'all' ? unsynced : unsynced.flatMap(fate)
  const endOf = (change: Change) => ('size' in change ? change.size : change.at + change.bytes.length)
  const content = Buffer.alloc(Math.max(synced.length, ...changes.map(endOf)))
  synced.copy(content)
  let { length } = synced
  for (const change of changes) {
    if ('size' in change) {
      content.fill(0, change.size)
      length = change.size
    } else {
      change.bytes.copy(content, change.at)
      length = Math.max(length, endOf(change))
    }
  }
  return content.subarray(0, length)
}

/** Writes an image to a folder. */
export async function writeImage(image: Map<string, Buffer>, folder: string): Promise<void> {
  for (const [name, bytes] of image) await Bun.write(join(folder, name), bytes)
}
