// The process: arguments in, exit code out. What the program does is in cli/.
import { once } from 'node:events'
import { isatty } from 'node:tty'
import { runProgram } from './cli/program.ts'
import { provideModule } from './rest/virtual-module.ts'

/** How long the last lines of a server wait for their reader. */
const LOG_WAIT_MS = 1000

provideModule()

let isServing = false
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', ({ code }: NodeJS.ErrnoException) => {
    if (isServing) return
    // Whoever read the output is gone (`hipflask config | head -1`): that is no fault of the command.
    if (code === 'EPIPE') process.exit(0)
    if (stream === process.stdout) process.stderr.write(`Output can't be written: ${code}\n`)
    process.exit(1)
  })
}

// Bun's own `writableNeedDrain` stays false.
let isStdoutFull = false

const exitCode = await runProgram(process.argv.slice(2), {
  stdout: (text) => {
    isStdoutFull = !process.stdout.write(text)
  },
  stderr: (text) => process.stderr.write(text),
  stdoutReady: async () => {
    if (isStdoutFull) await once(process.stdout, 'drain')
  },
  stdin: () => Bun.stdin.stream(),
  keyboard: isatty(0)
    ? { read: () => process.stdin, setRaw: (isRaw) => process.stdin.setRawMode(isRaw) }
    : undefined,
  isTerminal: process.stderr.isTTY,
  keepGoing: () => {
    isServing = true
  },
  env: process.env,
  cwd: process.cwd(),
})

// What is written to a pipe waits for its reader; exit only when all of it is out (an empty write does not tell).
const isOut = Promise.all(
  [process.stdout, process.stderr].map((stream) => new Promise<void>((done) => stream.end(done))),
)
// A server has ended also where whoever should read its log takes nothing.
await (isServing ? Promise.race([isOut, Bun.sleep(LOG_WAIT_MS)]) : isOut)
process.exit(exitCode)
