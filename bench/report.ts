/** What a scenario found out, after it has made sure that the work was done right. */
export type Figure = {
  /** What was measured: `rows of 100 B, 100 a transaction`. */
  readonly name: string
  readonly value: number
  /** `rows/s`, `ms`, `MB/s`. */
  readonly unit: string
  /** Measured in the same run on the same machine; what is physically there to be had. */
  readonly limit?: { readonly name: string; readonly value: number }
  readonly budget?: Budget
  /** CPU time of the process under test for one unit of work, in microseconds. */
  readonly cpuMicros?: number
  /** Set on two figures of one `series`, ten times apart: the exponent of time over size is printed. */
  readonly scale?: { readonly series: string; readonly size: number; readonly ms: number }
  /** What was checked: `100000 rows and all checksums`. */
  readonly verified: string
}

export type Budget = {
  /** Bounds on figure / limit. */
  readonly ratioMin?: number
  readonly ratioMax?: number
  /** Bounds on the figure itself. */
  readonly valueMin?: number
  readonly valueMax?: number
  readonly cpuMicrosMax?: number
}

export function isWithinBudget(figure: Figure): boolean {
  const { value, budget = {}, cpuMicros } = figure
  const ratio = ratioOf(figure)
  return (
    (ratio === undefined || (ratio >= (budget.ratioMin ?? 0) && ratio <= (budget.ratioMax ?? Infinity))) &&
    value >= (budget.valueMin ?? 0) &&
    value <= (budget.valueMax ?? Infinity) &&
    (cpuMicros === undefined || cpuMicros <= (budget.cpuMicrosMax ?? Infinity))
  )
}

/** How time grows with size: 1 is linear, 0 not at all. Takes the smallest and the largest figure of each series. */
export function exponents(figures: readonly Figure[]): ReadonlyMap<string, number> {
  const bySeries = Map.groupBy(
    figures.flatMap(({ scale }) => (scale === undefined ? [] : [scale])),
    ({ series }) => series,
  )
  const found = new Map<string, number>()
  for (const [series, scales] of bySeries) {
    const sorted = scales.toSorted((a, b) => a.size - b.size)
    const [small, large] = [sorted[0], sorted.at(-1)]
    if (small === undefined || large === undefined || small.size === large.size) continue
    found.set(series, Math.log(large.ms / small.ms) / Math.log(large.size / small.size))
  }
  return found
}

/** The value that this share of all values (0 … 1) does not exceed. Throws when there are none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const found = sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]
  if (found === undefined) throw new RangeError('Cannot take a percentile of nothing')
  return found
}

const HEADER = ['scenario', 'figure', 'measured', 'limit', 'ratio', 'budget', 'within', 'CPU µs each', 'verified']

/** A Markdown table, so that it can be pasted where the figures are kept. */
export function formatTable(rows: readonly { readonly scenario: string; readonly figure: Figure }[]): string {
  const cells = [HEADER, ...rows.map(({ scenario, figure }) => formatRow(scenario, figure))]
  const widths = HEADER.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)))
  const lines = cells.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`)
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`
  return [lines[0], rule, ...lines.slice(1)].join('\n')
}

function formatRow(scenario: string, figure: Figure): readonly string[] {
  const { name, value, unit, limit, budget, cpuMicros, verified } = figure
  const ratio = ratioOf(figure)
  return [
    scenario,
    name,
    `${formatNumber(value)} ${unit}`,
    limit === undefined ? '–' : `${formatNumber(limit.value)} (${limit.name})`,
    ratio === undefined ? '–' : ratio.toFixed(2),
    budget === undefined ? '–' : formatBudget(budget, unit),
    budget === undefined ? '–' : isWithinBudget(figure) ? 'yes' : 'NO',
    cpuMicros === undefined ? '–' : cpuMicros.toFixed(2),
    verified,
  ]
}

function formatBudget(budget: Budget, unit: string): string {
  const parts = [
    budget.ratioMin === undefined ? '' : `≥ ${budget.ratioMin} × limit`,
    budget.ratioMax === undefined ? '' : `≤ ${budget.ratioMax} × limit`,
    budget.valueMin === undefined ? '' : `≥ ${formatNumber(budget.valueMin)} ${unit}`,
    budget.valueMax === undefined ? '' : `≤ ${formatNumber(budget.valueMax)} ${unit}`,
    budget.cpuMicrosMax === undefined ? '' : `≤ ${budget.cpuMicrosMax} µs CPU`,
  ]
  return parts.filter((part) => part !== '').join(', ')
}

function ratioOf({ value, limit }: Figure): number | undefined {
  return limit === undefined ? undefined : value / limit.value
}

function formatNumber(value: number): string {
  return value >= 1_000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))
}
