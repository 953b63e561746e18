/**
 * Runs the benchmarks: `npm run bench` for all, `npm run bench -- streaming latency` for some, `--quick` for sizes that
 * only show that they work. Exit status 1 when a scenario failed its own verification; a missed budget is only shown.
 */
import { cpus, loadavg, totalmem } from 'node:os'
import { parseArgs } from 'node:util'
import { exponents, formatTable, type Figure } from './report.ts'
import type { Scenario } from './scenario.ts'

const SCENARIOS: Readonly<Record<string, () => Promise<Scenario>>> = {
  limits: async () => (await import('./scenarios/limits.ts')).scenario,
  evaluate: async () => (await import('./scenarios/evaluate.ts')).scenario,
  streaming: async () => (await import('./scenarios/streaming.ts')).scenario,
  snapshot: async () => (await import('./scenarios/snapshot.ts')).scenario,
  serve: async () => (await import('./scenarios/serve.ts')).scenario,
  latency: async () => (await import('./scenarios/latency.ts')).scenario,
  hostile: async () => (await import('./scenarios/hostile.ts')).scenario,
  'fan-out': async () => (await import('./scenarios/fan-out.ts')).scenario,
  workers: async () => (await import('./scenarios/workers.ts')).scenario,
  buckets: async () => (await import('./scenarios/buckets.ts')).scenario,
  idle: async () => (await import('./scenarios/idle.ts')).scenario,
  'client-first-sync': async () => (await import('./scenarios/client-first-sync.ts')).scenario,
  'client-first-sync-web': async () => (await import('./scenarios/client-first-sync-web.ts')).scenario,
  'write-on-device': async () => (await import('./scenarios/write-on-device.ts')).scenario,
}

const { values, positionals } = parseArgs({ allowPositionals: true, options: { quick: { type: 'boolean' } } })
const unknown = positionals.filter((name) => SCENARIOS[name] === undefined)
if (unknown.length > 0) {
  console.error(`Cannot run ${unknown.join(', ')}: the scenarios are ${Object.keys(SCENARIOS).join(', ')}`)
  process.exit(1)
}

/** No figure takes longer on a machine that is fit to measure on. */
const FIGURE_MS_MAX = 15 * 60_000

const found: { scenario: string; figure: Figure }[] = []

console.log(describeMachine())
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    printFound()
    process.exit(1)
  })
}
for (const [name, load] of Object.entries(SCENARIOS)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue
  try {
    await runScenario(name, await load())
  } catch (error) {
    console.error(`${name} failed, so its figures do not count:`, error)
    process.exitCode = 1
  }
}
printFound()
// A scenario that hung has left its processes behind; they end with this one.
process.exit()

async function runScenario(name: string, scenario: Scenario): Promise<void> {
  const figures = scenario.run({ isQuick: values.quick === true })[Symbol.asyncIterator]()
  for (;;) {
    const { promise, reject } = Promise.withResolvers<never>()
    const patience = setTimeout(
      () => reject(new Error(`No figure within ${FIGURE_MS_MAX / 60_000} min`)),
      FIGURE_MS_MAX,
    )
    const next = await Promise.race([figures.next(), promise]).finally(() => clearTimeout(patience))
    if (next.done === true) return
    const figure = next.value
    found.push({ scenario: name, figure })
    console.log(`${name}: ${figure.name}: ${figure.value.toPrecision(4)} ${figure.unit}`)
  }
}

function printFound(): void {
  console.log(`\n${formatTable(found)}`)
  for (const [series, exponent] of exponents(found.map(({ figure }) => figure))) {
    console.log(`${series}: time grows with size to the power of ${exponent.toFixed(2)}`)
  }
}

function describeMachine(): string {
  const processors = cpus()
  const gibibytes = (totalmem() / 2 ** 30).toFixed(0)
  const load = (loadavg()[0] ?? 0).toFixed(1)
  const model = processors[0]?.model ?? 'unknown processor'
  return `${processors.length} × ${model}, ${gibibytes} GiB, Node ${process.version}, ${process.platform}, load ${load}`
}
