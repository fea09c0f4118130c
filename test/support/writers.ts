// Clients that write without a pause and know what must be there afterwards: what was acknowledged, and of the one request
// that had no answer all or nothing.
import type { RunningServer } from './executable.ts'
import { note, send, textOf, type Note } from './faults.ts'

/** What a client believes of a note of its own. */
type Belief = Pick<Note, 'id' | 'size' | 'text'>
/** By number. Undefined as id: it was created, and the answer never came. */
type State = Map<number, Omit<Belief, 'id'> & { id: number | undefined }>

export interface Writer {
  /** Writes until an answer does not come, or `isOver`. Gives the answers that were no success. */
  write(server: Pick<RunningServer, 'fetch'>, isOver: () => boolean): Promise<number[]>
  /** What is wrong with the notes that are there of this client; takes them as they are from then on. */
  compare(stored: readonly Note[]): string[]
  /** How many requests were acknowledged. */
  acknowledged(): number
}

/** The longest list that one request creates. */
const LIST_MAX = 20

export function createWriter(client: number, random: () => number): Writer {
  let state: State = new Map()
  /** What the state is if the request that has no answer was done. */
  let otherwise: State | undefined
  let next = 0
  let count = 0

  const pick = (): [number, Belief] | undefined => {
    const entries = [...state].filter((entry): entry is [number, Belief] => entry[1].id !== undefined)
    return entries[Math.floor(random() * entries.length)]
  }

  async function create(server: Pick<RunningServer, 'fetch'>): Promise<number | undefined> {
    const size = random() < 0.7 ? 1 : 2 + Math.floor(random() * (LIST_MAX - 1))
    const notes = Array.from({ length: size }, (_, index) => note(client, next + index, size))
    next += size
    otherwise = new Map(state)
    for (const { number, text } of notes) otherwise.set(number, { id: undefined, size, text })
    const headers: Record<string, string> = random() < 0.3 ? { 'idempotency-key': crypto.randomUUID() } : {}
    const body = size === 1 ? notes[0] : notes
    const answer = await send(server, '/api/notes', { body, headers })
    if (answer?.status !== 201) return answer?.status
    const created = (size === 1 ? [answer.body] : answer.body.data) as Note[]
    for (const { number, id, text } of created) otherwise.set(number, { id, size, text })
    return answer.status
  }

  async function change(server: Pick<RunningServer, 'fetch'>, [number, { id, size }]: [number, Belief]) {
    otherwise = new Map(state)
    const path = `/api/notes/${id}`
    if (random() < 0.3) {
      otherwise.delete(number)
      return (await send(server, path, { method: 'DELETE' }))?.status
    }
    const text = `${textOf(client, number)} again${Math.floor(random() * 1e6)}`
    otherwise.set(number, { id, size, text })
    return (await send(server, path, { method: 'PATCH', body: { text } }))?.status
  }

  return {
    async write(server, isOver) {
      const refused: number[] = []
      while (!isOver()) {
        const own = random() < 0.4 ? pick() : undefined
        const status = await (own === undefined ? create(server) : change(server, own))
        if (status === undefined) break
        if (status < 300) {
          state = otherwise as State
          count += 1
        } else refused.push(status)
        otherwise = undefined
      }
      return refused
    },
    compare(stored) {
      const own = stored.filter((one) => one.client === client)
      const faults = differences(state, own)
      const isOther = otherwise !== undefined && differences(otherwise, own).length === 0
      state = new Map(own.map(({ number, id, size, text }) => [number, { id, size, text }]))
      otherwise = undefined
      next = Math.max(next, ...own.map(({ number }) => number + 1))
      return isOther ? [] : faults.map((fault) => `Client ${client}: ${fault}`)
    },
    acknowledged: () => count,
  }
}

function differences(expected: State, stored: readonly Note[]): string[] {
  const there = new Map(stored.map((one) => [one.number, one]))
  const faults: string[] = []
  if (there.size !== stored.length) faults.push('a note is there twice')
  for (const [number, { id, text, size }] of expected) {
    const one = there.get(number)
    if (one === undefined) faults.push(`note ${number} is lost`)
    else if (one.text !== text || one.size !== size || (id !== undefined && id !== one.id))
      faults.push(`note ${number} is not as it was acknowledged`)
  }
  for (const number of there.keys()) {
    if (!expected.has(number)) faults.push(`note ${number} is there, and should not be`)
  }
  return faults
}
