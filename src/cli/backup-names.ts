// The names that hipflask gives to backups by itself, and by them which of many are old. It touches no file.

/** `hipflask-20261127T230000Z.db` */
const AUTOMATIC_NAME = /^hipflask-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.db$/
/** A name of a later time than this from now is of a clock that was ahead. */
const AHEAD_MS = 60_000

export interface NamedFile {
  name: string
  /** Bytes; 0 of what is no file. */
  size: number
}

export interface SortedOut {
  /** Those to delete, the oldest first. */
  old: string[]
  /** Named for a time that has not come: neither counted nor deleted. */
  ahead: string[]
  /** Named as a backup without being one: neither counted nor deleted. */
  junk: string[]
}

/** The name of a backup of this time (ms since 1970). */
export function automaticName(time: number): string {
  return `hipflask-${new Date(time).toISOString().replace(/[-:]|\.\d+/g, '')}.db`
}

/** All but the one just made and the newest others, `keep` together, are old. Files of other names are left aside. */
export function sortOut(
  files: readonly NamedFile[],
  { made, keep, now }: { made: string; keep: number; now: number },
): SortedOut {
  const own = files.filter(({ name }) => AUTOMATIC_NAME.test(name) && name !== made)
  const isJunk = ({ name, size }: NamedFile) => size === 0 || timeOf(name) === undefined
  const latest = Math.max(now, timeOf(made) ?? now) + AHEAD_MS
  const isAhead = (name: string) => (timeOf(name) ?? 0) > latest
  // Sorted by name they are sorted by time.
  const good = own
    .filter((file) => !isJunk(file))
    .map(({ name }) => name)
    .sort()
  const counted = good.filter((name) => !isAhead(name))
  return {
    old: counted.slice(0, Math.max(counted.length - (keep - 1), 0)),
    ahead: good.filter(isAhead),
    junk: own.filter(isJunk).map(({ name }) => name),
  }
}

/** Lines for the user; `nameOf` gives the name of a file for them. */
export function warningsOf(
  { ahead, junk }: Omit<SortedOut, 'old'>,
  nameOf: (file: string) => string,
): string[] {
  const [firstAhead, firstJunk] = [ahead[0], junk[0]]
  return [
    ...(firstAhead === undefined
      ? []
      : [
          `${nameOf(firstAhead)}${andOthers(ahead)} named for a time to come, by a clock that was ahead: not counted, and never deleted until then`,
        ]),
    ...(firstJunk === undefined
      ? []
      : [`${nameOf(firstJunk)}${andOthers(junk)} named as a backup and none: not counted, move it away`]),
  ]
}

function andOthers(names: readonly string[]): string {
  return names.length === 1 ? ' is' : ` and ${names.length - 1} more are`
}

/** Ms since 1970; undefined where there is no such time. */
function timeOf(name: string): number | undefined {
  const [, year, month, day, hour, minute, second] = AUTOMATIC_NAME.exec(name) ?? []
  const time = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  // Date.parse takes the 31st of a shorter month for a day of the next.
  return Number.isNaN(time) || automaticName(time) !== name ? undefined : time
}
