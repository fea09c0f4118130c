// Runs command lines in this process and keeps what they print.
import { runProgram } from '../../src/cli/program.ts'
import type { Command, Io } from '../../src/cli/command.ts'

export interface Outcome {
  exitCode: number
  stdout: string
  stderr: string
}

/** `run('config --json', { env: {…} })`: the words of a line, or the arguments as a list. */
export async function run(
  line: string | readonly string[],
  {
    env = {},
    cwd = import.meta.dir,
    commands,
  }: Partial<Pick<Io, 'env' | 'cwd'>> & { commands?: readonly Command[] } = {},
): Promise<Outcome> {
  const out: string[] = []
  const err: string[] = []
  const io: Io = {
    stdout: (text) => out.push(text),
    stderr: (text) => err.push(text),
    env,
    cwd,
    keepGoing: () => {},
  }
  const argv = typeof line === 'string' ? line.split(' ').filter((word) => word !== '') : line
  const exitCode = await runProgram(argv, io, commands)
  return { exitCode, stdout: out.join(''), stderr: err.join('') }
}
