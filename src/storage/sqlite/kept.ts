// What was made of rows that are read again and again, so that reading them again costs neither a statement nor the making.
// It is checked against the read transaction of the moment: nobody gets what that would not give too.
import type { Id, Made, Row } from '../store.ts'
import type { Changes } from './changes.ts'
import type { ReadTurn } from './read-turn.ts'

/** How much is kept at once, of all tables: things, and characters of text. */
export const KEPT_MAX = 4096
export const KEPT_CHARACTERS_MAX = 2 * 1024 * 1024
/** Ids of rows that were read once, by what is made of them; beyond them all are forgotten. */
export const SEEN_MAX = 256

export interface KeptOptions {
  turn: ReadTurn
  changes: Changes
  /** The living row. */
  get: (table: string, id: Id) => Row | undefined
}

/** Makes `Store.remember`. Its functions throw the raw errors of the engine. */
export function createKept({ turn, changes, get }: KeptOptions) {
  const kept = new Map<string, Map<Id, Made>[]>()
  let keptUnder = 0
  let count = 0
  let characters = 0

  function forget({ text }: Made): void {
    count -= 1
    characters -= text.length
  }

  function forgetAll(): void {
    for (const all of kept.values()) for (const things of all) things.clear()
    count = 0
    characters = 0
  }
  changes.listen((table, id) => {
    for (const things of kept.get(table) ?? []) {
      if (id === undefined) {
        for (const thing of things.values()) forget(thing)
        things.clear()
      } else {
        const thing = things.get(id)
        if (thing !== undefined) forget(thing)
        things.delete(id)
      }
    }
  })

  function keep(things: Map<Id, Made>, id: Id, thing: Made): void {
    const { length } = thing.text
    if (length > KEPT_CHARACTERS_MAX) return
    // All goes at once: to find out what is read least would cost every read, and what is read most is soon back.
    if (count === KEPT_MAX || characters + length > KEPT_CHARACTERS_MAX) forgetAll()
    things.set(id, thing)
    count += 1
    characters += length
  }

  return <T extends Made>(table: string, make: (row: Row) => T) => {
    const things = new Map<Id, T>()
    const seen = new Set<Id>()
    kept.set(table, [...(kept.get(table) ?? []), things])
    return (id: Id): T | undefined => {
      const foreign = changes.countForeign()
      // A read by itself shares no state with what is kept.
      if (foreign !== keptUnder || turn.enter() === 0) forgetAll()
      keptUnder = foreign
      const known = things.get(id)
      if (known !== undefined) return known
      const row = get(table, id)
      if (row === undefined) return undefined
      const made = make(row)
      // Most rows of a large table are read once in a long time: keeping them would cost memory and serve nobody.
      if (seen.delete(id)) keep(things, id, made)
      else {
        if (seen.size === SEEN_MAX) seen.clear()
        seen.add(id)
      }
      return made
    }
  }
}
