// The end of the start, up to which most code runs once: the executable is built so that it compiles little of it
// (build.ts, JIT_POLICY), which takes a fifth off the start. A process that has started does the same again and again.

/** So long after the start, so that the first requests do not wait for it. */
const FORGET_AFTER_MS = 250

/** From now on what is hot is compiled as ever. */
export function endStartUp(): void {
  Bun.unsafe.setJITPolicy(1)
}

/**
 * Gives back the memory of what only the start has run: its code, and what it was made of, some 6 MB that would else
 * stay. It takes 14 ms, once, and between two requests.
 */
export function forgetStartUp(): void {
  // Bun calls it deprecated, and has nothing else that lets code go.
  setTimeout(() => Bun.shrink(), FORGET_AFTER_MS).unref()
}
