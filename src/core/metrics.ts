// What is measured, as plain numbers that are asked for when somebody looks (http/metrics.ts): so measuring costs next to
// nothing, and whoever measures needs to know nobody.

/** Measurements of one name, each with other labels. */
export interface MetricFamily {
  /** As Prometheus wants it: the unit at the end, or `_total` where it is a counter. */
  name: string
  help: string
  type: 'counter' | 'gauge' | 'histogram'
  /** What there is now. There must be a bound to how many. */
  read: () => readonly Sample[]
}

export interface Sample {
  /** One that is undefined is left out. */
  labels?: Readonly<Record<string, string | undefined>>
  value: number | HistogramReading
}

/** A family of a single measurement, without labels. */
export function single(about: Omit<MetricFamily, 'read'>, read: () => Sample['value']): MetricFamily {
  return { ...about, read: () => [{ value: read() }] }
}

/** Counts values by size, at the price of an addition. */
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
