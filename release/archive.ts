// Archives that depend on their entries alone: no time of today, no user of this machine.
import { zipSync, type Zippable } from 'fflate'
import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** One file of an archive. */
export interface Entry {
  name: string
  bytes: Uint8Array
  isExecutable: boolean
}

/** What says "made on Unix", so that the mode below counts. */
const ZIP_UNIX = 3

/** By GNU tar, which sets what its environment would. */
export async function packTarGz(entries: readonly Entry[]): Promise<Uint8Array> {
  const folder = await mkdtemp(join(tmpdir(), 'hipflask-archive-'))
  try {
    for (const { name, bytes, isExecutable } of entries) {
      await Bun.write(join(folder, name), bytes)
      await chmod(join(folder, name), modeOf(isExecutable))
    }
    const names = entries.map(({ name }) => name)
    const options = ['--format=ustar', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner']
    const tar = Bun.spawn(['tar', '--create', ...options, '--', ...names], { cwd: folder, stderr: 'inherit' })
    const bytes = await new Response(tar.stdout).bytes()
    if ((await tar.exited) !== 0) throw new Error('tar failed')
    return Bun.gzipSync(new Uint8Array(bytes), { library: 'libdeflate', level: 9 })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

export function packZip(entries: readonly Entry[]): Uint8Array {
  // The least that a ZIP file can say. It knows no zones: this is 1980-01-01 in that of whoever makes it.
  const mtime = new Date(1980, 0, 1)
  const files: Zippable = {}
  for (const { name, bytes, isExecutable } of entries) {
    const attrs = modeOf(isExecutable) << 16
    files[name] = [bytes, { level: 6, mtime, os: ZIP_UNIX, attrs }]
  }
  return zipSync(files)
}

function modeOf(isExecutable: boolean): number {
  return isExecutable ? 0o755 : 0o644
}
