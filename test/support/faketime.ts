// An executable whose wall clock a test sets, by libfaketime; its monotonic clock goes on.
import { join } from 'node:path'
import { makeFolder } from './executable.ts'

const [LIBRARY] = [
  ...new Bun.Glob('*/faketime/libfaketime.so.1').scanSync({ cwd: '/usr/lib', absolute: true }),
]

/** Whether it is there; says that tests are skipped where it is not. */
export function hasFaketime(): boolean {
  if (LIBRARY === undefined) console.log('Skipped: libfaketime is not installed')
  return LIBRARY !== undefined
}

export interface SetClock {
  /** What a process needs to follow this clock. */
  env: Record<string, string>
  /** Sets it to so much before or after the right time: `-1h`, `+1y`, `+0`. */
  set(offset: string): Promise<void>
}

export async function createSetClock(): Promise<SetClock> {
  const file = join(makeFolder(), 'clock')
  const set = async (offset: string) => void (await Bun.write(file, offset))
  await set('+0')
  return {
    env: {
      LD_PRELOAD: LIBRARY ?? '',
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    set,
  }
}
