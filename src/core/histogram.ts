// Counts values by size, at the price of an addition: for what happens too often to be written down one by one.

export interface Histogram {
  observe(value: number): void
  read(): HistogramReading
}

export interface HistogramReading {
  /** Up to which value each bucket goes, ascending. */
  bounds: readonly number[]
  /** How many values were at most as large as each bound. */
  cumulative: readonly number[]
  /** How many there were, those beyond the last bound too. */
  count: number
  sum: number
}

/** `bounds` ascend. */
export function createHistogram(bounds: readonly number[]): Histogram {
  const counts = new Float64Array(bounds.length + 1)
  let sum = 0
  return {
    observe(value) {
      // Most values are small, so that the search ends soon.
      let bucket = 0
      while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++
      counts[bucket] = (counts[bucket] as number) + 1
      sum += value
    },
    read() {
      let count = 0
      const cumulative = Array.from(counts, (one) => (count += one))
      return { bounds, cumulative: cumulative.slice(0, -1), count, sum }
    },
  }
}
