// Something that another server knows, asked for when it is first needed: kept for a while, and asked for again where that
// failed. It knows nothing of what it is.

export interface RememberedOptions<T> {
  find: () => Promise<T>
  /** How long it is kept; then it is looked for again, and kept on while that fails. */
  keepMs: number
  /** Monotonic milliseconds. */
  monotonic: () => number
}

/** How often what could not be found is looked for. */
export const RETRY_MS = 1000

export interface Remembered<T> {
  /** Where it is not to be had it rejects with the reason of the latest attempt. */
  get(): Promise<T>
  /** The same, looked for anew. */
  renew(): Promise<T>
}

export function remembered<T>({ find, keepMs, monotonic }: RememberedOptions<T>): Remembered<T> {
  let known: { value: T; untilMs: number } | undefined
  let failed: { cause: unknown; untilMs: number } | undefined
  let underWay: Promise<T> | undefined

  const attempt = async (): Promise<T> => {
    try {
      const value = await find()
      known = { value, untilMs: monotonic() + keepMs }
      failed = undefined
      return value
    } catch (cause) {
      failed = { cause, untilMs: monotonic() + RETRY_MS }
      if (known !== undefined) return known.value
      throw cause
    } finally {
      underWay = undefined
    }
  }
  const get = async (): Promise<T> => {
    if (known !== undefined && monotonic() < known.untilMs) return known.value
    if (failed !== undefined && monotonic() < failed.untilMs) {
      if (known !== undefined) return known.value
      throw failed.cause
    }
    // Whoever comes meanwhile waits for the same answer.
    underWay ??= attempt()
    return underWay
  }
  return {
    get,
    renew() {
      if (known !== undefined) known.untilMs = -Infinity
      return get()
    },
  }
}
