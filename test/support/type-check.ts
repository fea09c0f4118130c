// What an editor says of resource files: the type checker, with nothing but what `hipflask init` wrote.
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect } from 'bun:test'

const ROOT = join(import.meta.dir, '../..')

/** Runs the type checker over a folder that `hipflask init` made. */
export async function checkTypes(
  folder: string,
  ...more: string[]
): Promise<{ exitCode: number; output: string }> {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  const child = Bun.spawn([process.execPath, tsc, '-p', folder, '--pretty', 'false', ...more], {
    cwd: folder,
  })
  const [exitCode, output] = await Promise.all([child.exited, new Response(child.stdout).text()])
  return { exitCode, output }
}

/** The line numbers of the faults of this text as the folder's resources/probe.ts; no other file may have any. */
export async function faultyLines(folder: string, text: string): Promise<number[]> {
  await writeFile(join(folder, 'resources/probe.ts'), text)
  const { output } = await checkTypes(folder)
  const found = [...output.matchAll(/^(\S+?)\((\d+),\d+\): error/gm)]
  expect(found.map(([, file]) => file)).toEqual(found.map(() => 'resources/probe.ts'))
  return [...new Set(found.map(([, , line]) => Number(line)))].sort((a, b) => a - b)
}

/** The names of those of the mistakes, one a line after the preamble, that are found; and any other faulty line. */
export async function foundMistakes(
  folder: string,
  preamble: string,
  mistakes: readonly (readonly [name: string, code: string])[],
): Promise<(string | undefined)[]> {
  const lines = mistakes.map(([, code], at) => `export const mistake${at} = ${code}`)
  const first = preamble.split('\n').length + 1
  const found = await faultyLines(folder, `${preamble}\n${lines.join('\n')}\n`)
  return found.map((line) => mistakes[line - first]?.[0] ?? `line ${line}`)
}
