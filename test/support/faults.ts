// What the tests of faults share: a resource that anybody may write to, records whose content proves itself, and places
// where a test needs to be root or a program of the system.
import { afterAll } from 'bun:test'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder, startServer, type RunningServer, type ServerOptions } from './executable.ts'

/** Notes are written by clients, one number after the other, and found by a word of their own. */
export const NOTES = {
  'notes.ts': `import { defineResource, everyone, t } from 'hipflask'
export default defineResource({
  name: 'notes',
  schema: t.Object({
    client: t.Integer({ index: true }),
    number: t.Integer(),
    size: t.Integer({ default: 1 }),
    text: t.String({ search: true, maxLength: 2000 }),
  }),
  pageSizeMax: 1000,
  access: { list: everyone(), read: everyone(), create: everyone(), update: everyone(), delete: everyone() },
})
`,
}

export interface Note {
  id: number
  client: number
  number: number
  /** How many notes its request creates. */
  size: number
  text: string
}

export function note(client: number, number: number, size = 1): Omit<Note, 'id'> {
  return { client, number, size, text: textOf(client, number) }
}

/** Long enough that a few notes fill a page of the database. */
export function textOf(client: number, number: number): string {
  return `${wordOf(client, number)} ${'filling '.repeat(100)}${number}`
}

/** Of this note alone. */
export function wordOf(client: number, number: number): string {
  return `c${client}n${number}`
}

/** Starts the executable with notes. */
export function startNotes(options: ServerOptions = {}): Promise<RunningServer> {
  return startServer({ resources: NOTES, ...options })
}

type Fetching = Pick<RunningServer, 'fetch'>

/** Sends JSON; an answer that never came is undefined. */
export async function send(
  server: Fetching,
  path: string,
  init: { method?: string; body?: unknown; headers?: Record<string, string> } = {},
): Promise<{ status: number; body: any; headers: Headers } | undefined> {
  const { method = init.body === undefined ? 'GET' : 'POST', body, headers } = init
  try {
    const response = await server.fetch(path, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return {
      status: response.status,
      body: text === '' ? undefined : JSON.parse(text),
      headers: response.headers,
    }
  } catch {
    return undefined
  }
}

export async function statusOf(server: Fetching, path: string, body?: unknown): Promise<number | undefined> {
  return (await send(server, path, body === undefined ? {} : { body }))?.status
}

/** All notes, walked by cursor. */
export async function allNotes(server: Fetching): Promise<Note[]> {
  const notes: Note[] = []
  let cursor: string | null | undefined
  while (cursor !== null) {
    const from = cursor === undefined ? '' : `&cursor=${cursor}`
    const page = await send(server, `/api/notes?limit=1000${from}`)
    if (page?.status !== 200) throw new Error(`List answered ${page?.status}: ${JSON.stringify(page?.body)}`)
    notes.push(...(page.body.data as Note[]))
    cursor = page.body.next_cursor as string | null
  }
  return notes
}

/** Waits until it holds; throws what it waited for after `seconds`. */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  seconds = 10,
): Promise<void> {
  const deadline = performance.now() + seconds * 1000
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`Not after ${seconds} s: ${what}`)
    await Bun.sleep(20)
  }
}

/** Random numbers from 0 to 1 by a seed, so that what failed can be done again (mulberry32). */
export function randomBy(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

// ── The system ──────────────────────────────────────────────────────────────────────────────────────────────────

/** Whether the program is there; says that tests are skipped where it is not. */
export function hasProgram(name: string): boolean {
  const isThere = Bun.which(name) !== null
  if (!isThere) console.log(`Skipped: ${name} is not installed`)
  return isThere
}

const mounted = new Set<string>()
afterAll(() => {
  for (const folder of mounted) unmount(folder)
})

/** Whether this user may mount; says that tests are skipped where not. */
export function canMount(): boolean {
  const isAble = process.getuid?.() === 0 && tryMount(makeFolder(), '1m')
  if (!isAble) console.log('Skipped: only root can mount a small disk')
  return isAble
}

/** A disk of this size in memory, such as `2m`, as the folder `data` of a new folder. */
export function mountDisk(size: string): { folder: string; data: string } {
  const folder = makeFolder()
  const data = join(folder, 'data')
  mkdirSync(data)
  if (!tryMount(data, size)) throw new Error('The disk could not be mounted')
  return { folder, data }
}

/** Mounts it anew with these options, such as `ro`. */
export function remount(folder: string, options: string): void {
  run(['mount', '-o', `remount,${options}`, folder])
}

export function unmount(folder: string): void {
  if (mounted.delete(folder)) Bun.spawnSync(['umount', '--lazy', folder])
}

function tryMount(folder: string, size: string): boolean {
  const { success } = Bun.spawnSync(['mount', '-t', 'tmpfs', '-o', `size=${size},mode=700`, 'none', folder])
  if (success) mounted.add(folder)
  return success
}

function run(command: string[]): void {
  const { success, stderr } = Bun.spawnSync(command)
  if (!success) throw new Error(`${command.join(' ')}: ${stderr.toString()}`)
}
