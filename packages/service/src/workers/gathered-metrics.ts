import { AggregatorRegistry, type MetricObjectWithValues, type MetricValue, type Registry } from 'prom-client'

/** Every metric of a process with its values. */
export type MetricSnapshot = readonly MetricObjectWithValues<MetricValue<string>>[]

/**
 * Metrics of several processes as those of one. What a process has counted stays in the sums when it ends, as of the
 * last time that it told: a counter never goes back.
 */
export class GatheredMetrics {
  readonly #own: Registry
  readonly #newest = new Map<object, MetricSnapshot>()
  #ended: MetricSnapshot = []

  constructor(own: Registry) {
    this.#own = own
  }

  get contentType(): string {
    return this.#own.contentType
  }

  /** What a process, named by any object, has told last. */
  note(source: object, metrics: MetricSnapshot): void {
    this.#newest.set(source, metrics)
  }

  noteEnd(source: object): void {
    const last = this.#newest.get(source) ?? []
    this.#newest.delete(source)
    this.#ended = addUp([...this.#ended, ...last.filter(({ type }) => String(type) !== 'gauge')])
  }

  async format(): Promise<string> {
    const own = await this.#own.getMetricsAsJSON()
    return AggregatorRegistry.aggregate([own, this.#ended, ...this.#newest.values()]).metrics()
  }
}

/** Metrics of one name are one, with the sum of each of its values. */
function addUp(metrics: MetricSnapshot): MetricSnapshot {
  const byName = Map.groupBy(metrics, ({ name }) => name)
  return [...byName.values()].flatMap((same) => {
    const [first] = same
    if (first === undefined) return []
    const byLabels = Map.groupBy(
      same.flatMap(({ values }) => values),
      nameOf,
    )
    const values = [...byLabels.values()].flatMap((equal) => {
      const value = equal.reduce((sum, one) => sum + one.value, 0)
      return equal.slice(0, 1).map((one) => ({ ...one, value }))
    })
    return [{ ...first, values }]
  })
}

/** A histogram has values of several names. */
function nameOf(value: MetricValue<string> & { readonly metricName?: string }): string {
  const labels = Object.entries(value.labels).map(([name, of]) => `${name}=${of}`)
  return JSON.stringify([value.metricName, labels.toSorted()])
}
