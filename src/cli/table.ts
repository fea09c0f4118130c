// Rows as a table for people. Programs get JSON.
import type { Io } from './command.ts'

/** Prints the columns of the rows, aligned, under their names. What is null or empty is `-`. */
export function printTable(
  rows: readonly Readonly<Record<string, unknown>>[],
  columns: readonly string[],
  io: Io,
): void {
  const lines = [columns, ...rows.map((row) => columns.map((column) => cellOf(row[column])))]
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => (line[at] as string).length)))
  const text = lines.map((line) =>
    line
      .map((cell, at) => cell.padEnd(widths[at] as number))
      .join('  ')
      .trimEnd(),
  )
  io.stdout(`${text.join('\n')}\n`)
}

function cellOf(value: unknown): string {
  const text = Array.isArray(value) ? value.join(',') : String(value ?? '')
  // What a user typed must not steer the terminal.
  return text === '' ? '-' : text.replaceAll(/\p{C}/gu, '\ufffd')
}
