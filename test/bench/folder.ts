// The folder that a bench works in, removed however it ends. It says what is missing where it can't run.
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'

const DIST = join(import.meta.dir, '../../dist')

/** Runs the bench with a new folder, where dist/hipflask and the programs (name → Debian's package) are there. */
export async function inBenchFolder(
  programs: Readonly<Record<string, string>>,
  work: (folder: string) => Promise<void>,
): Promise<void> {
  const missing = Object.keys(programs).filter((name) => Bun.which(name) === null)
  if (missing.length > 0) {
    const packages = missing.map((name) => programs[name]).join(' ')
    console.log(
      `The bench needs ${missing.join(' and ')}: install it (Debian: apt install ${packages}) and run again`,
    )
    return
  }
  if (!existsSync(join(DIST, 'hipflask'))) {
    console.log('dist/hipflask is not there: run `bun run build` first')
    return
  }
  // Not in the folder for temporary files, which often is in memory: there a sync to disk costs nothing.
  const folder = mkdtempSync(join(DIST, 'bench-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
  await work(folder)
}
