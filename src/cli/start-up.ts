// The end of the start, up to which most code runs once: the executable is built so that it compiles little of it
// (build.ts, JIT_POLICY), which takes a fifth off the start. A process that has started does the same again and again.

/** From now on what is hot is compiled as ever. */
export function endStartUp(): void {
  Bun.unsafe.setJITPolicy(1)
}

/**
 * Gives back the memory of what only the start has run: its code, and what it was made of, some 6 MB that would else
 * stay. It takes 12 ms, and must come before the first request: what waits then loses its place in stack traces.
 */
export function forgetStartUp(): Promise<void> {
  return new Promise((resolve) => {
    // In a turn of its own, for within the one that has started everything Bun lets nothing go.
    setImmediate(() => {
      // Bun calls it deprecated, and has nothing else that does this.
      Bun.shrink()
      resolve()
    })
  })
}
