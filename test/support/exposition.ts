// Reads the text format of Prometheus, 0.0.4, as strictly as its own `promtool check metrics` does: whatever is not as
// it must be is an error that names the line.

export interface Series {
  /** With `_bucket`, `_sum` or `_count` where it is of a histogram. */
  name: string
  labels: Readonly<Record<string, string>>
  value: number
}

export interface Family {
  name: string
  type: string
  help: string
  series: Series[]
}

const HELP = /^# HELP ([a-zA-Z_:][\w:]*) (\S.*)$/
const TYPE = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram)$/
const SERIES = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /^([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/

/** The families by name. */
export function parseExposition(text: string): Map<string, Family> {
  const families = new Map<string, Family>()
  let current: Family | undefined
  if (!text.endsWith('\n')) throw new Error('The last line has no end')
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue
    const help = HELP.exec(line)
    const type = TYPE.exec(line)
    if (help !== null) {
      current = { name: help[1]!, help: help[2]!, type: '', series: [] }
      if (families.has(current.name)) throw new Error(`Twice: ${line}`)
      families.set(current.name, current)
    } else if (type !== null) {
      if (current?.name !== type[1] || current?.type !== '') throw new Error(`Not behind its HELP: ${line}`)
      current.type = type[2]!
    } else {
      if (current === undefined || current.type === '') throw new Error(`No TYPE before: ${line}`)
      current.series.push(parseSeries(line, current))
    }
  }
  for (const family of families.values()) checkFamily(family)
  return families
}

function parseSeries(line: string, { name, type }: Family): Series {
  const [, own, labels = '', value] = SERIES.exec(line) ?? []
  const suffixes = type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
  if (own === undefined || !suffixes.some((suffix) => own === name + suffix)) {
    throw new Error(`Not of ${name}: ${line}`)
  }
  const number = value === '+Inf' ? Infinity : Number(value)
  if (Number.isNaN(number)) throw new Error(`No number: ${line}`)
  return { name: own, labels: parseLabels(labels, line), value: number }
}

function parseLabels(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (let rest = text; rest !== '';) {
    const [whole, name, value] = LABEL.exec(rest) ?? []
    if (whole === undefined || name! in labels) throw new Error(`Labels are malformed: ${line}`)
    labels[name!] = value!.replace(/\\(.)/g, (_, char) => (char === 'n' ? '\n' : char))
    rest = rest.slice(whole.length)
  }
  return labels
}

function checkFamily({ name, type, series }: Family): void {
  if ((type === 'counter') !== name.endsWith('_total')) throw new Error(`Name of a ${type}: ${name}`)
  const keys = series.map(({ name: own, labels }) => own + JSON.stringify(Object.entries(labels).toSorted()))
  const twice = keys.find((key, index) => keys.indexOf(key) !== index)
  if (twice !== undefined) throw new Error(`Twice: ${twice}`)
  if (type === 'counter' && series.some(({ value }) => value < 0)) throw new Error(`Below 0: ${name}`)
  if (type === 'histogram') checkHistogram(name, series)
}

function checkHistogram(name: string, series: readonly Series[]): void {
  const groups = Map.groupBy(series, ({ labels: { le: _, ...others } }) => JSON.stringify(others))
  for (const [labels, group] of groups) {
    const buckets = group.filter((one) => one.name === `${name}_bucket`)
    const bounds = buckets.map(({ labels: { le } }) => (le === '+Inf' ? Infinity : Number(le)))
    const counts = buckets.map(({ value }) => value)
    const [count, ...more] = group.filter((one) => one.name === `${name}_count`)
    const sums = group.filter((one) => one.name === `${name}_sum`)
    const isSorted = (list: readonly number[]) =>
      list.every((value, index) => index === 0 || value >= list[index - 1]!)
    const isSound =
      isSorted(bounds) &&
      isSorted(counts) &&
      bounds.at(-1) === Infinity &&
      counts.at(-1) === count?.value &&
      more.length === 0 &&
      sums.length === 1
    if (!isSound) throw new Error(`Histogram ${name}${labels} is not sound`)
  }
}
