// The names of statuses, from Elysia, which is there anyway: node:http would bring 2 MB into memory.
import { StatusMap } from 'elysia'

const TEXTS: ReadonlyMap<number, string> = new Map(
  Object.entries(StatusMap).map(([text, status]) => [status, text]),
)

/** Such as `Not Found`; undefined where the status has no name. */
export function statusText(status: number): string | undefined {
  return TEXTS.get(status)
}
