import { HeadwaterError } from '@headwater/protocol'

import { formatBytes } from '../format-bytes.ts'
import { EXIT_FAILED, paintOn } from '../report.ts'

export type StatusFlags = { readonly url: string; readonly json?: boolean }

/** Longer means that the service hangs. */
const ANSWER_WITHIN_MS = 5_000

/** Figures that tell at a glance how a service is, by their names among its metrics. */
const FIGURES = {
  lagBytes: 'headwater_replication_lag_bytes',
  storageBytes: 'headwater_storage_size_bytes',
  openStreams: 'headwater_sync_streams_count',
} as const

type Status = {
  readonly url: string
  readonly ready: boolean
  /** Why it is not ready. */
  readonly reason: string | null
} & { readonly [Figure in keyof typeof FIGURES]: number | null }

/** Prints how the service is. Exit status 1 unless it is ready. */
export async function runStatus(flags: StatusFlags): Promise<void> {
  const status = await readStatus(flags.url.replace(/\/+$/, ''))
  if (!status.ready) process.exitCode = EXIT_FAILED
  if (flags.json === true) {
    console.log(JSON.stringify(status))
    return
  }
  const mark = status.ready
    ? paintOn(process.stdout, 'green', '✓ ready')
    : paintOn(process.stdout, 'red', '✗ not ready')
  console.log(`${mark}  ${status.url}`)
  if (status.reason !== null) console.log(`  ${status.reason}`)
  console.log(`  replication lag  ${formatFigure(status.lagBytes)}`)
  console.log(`  bucket storage   ${formatFigure(status.storageBytes)}`)
  console.log(`  open streams     ${status.openStreams ?? 'unknown'}`)
}

async function readStatus(url: string): Promise<Status> {
  const probe: unknown = await (await ask(url, '/probes/readiness')).json().catch(() => undefined)
  if (typeof probe !== 'object' || probe === null || !('ready' in probe)) {
    throw new HeadwaterError(
      'service-unreachable',
      `Cannot read the status: what answers at ${url} is not a Headwater service. Name its address with --url.`,
    )
  }
  const metrics = await (await ask(url, '/metrics')).text()
  const figures = Object.entries(FIGURES).map(([figure, metric]) => [figure, findMetric(metrics, metric)])
  const reason = 'problem' in probe ? formatProblem(probe.problem) : null
  return { url, ready: probe.ready === true, reason, ...Object.fromEntries(figures) }
}

function formatProblem(problem: unknown): string {
  const { stage, since, reason, remedy }: { readonly [field: string]: unknown } = Object(problem)
  return `${String(stage)}, since ${String(since)}: ${String(reason)}. ${String(remedy)}`
}

async function ask(url: string, path: string): Promise<Response> {
  try {
    return await fetch(`${url}${path}`, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) })
  } catch (cause) {
    throw new HeadwaterError(
      'service-unreachable',
      `Cannot read the status: no service answers at ${url}. Start one with headwater serve or headwater dev, or name its address with --url.`,
      { cause },
    )
  }
}

/** The sum over all labels. Null when the service does not report it. */
function findMetric(metrics: string, name: string): number | null {
  const lines = metrics.split('\n').filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
  if (lines.length === 0) return null
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}

function formatFigure(bytes: number | null): string {
  return bytes === null ? 'unknown' : formatBytes(bytes)
}
