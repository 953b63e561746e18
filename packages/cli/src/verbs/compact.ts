import { setTimeout as delay } from 'node:timers/promises'

import { HeadwaterError } from '@headwater/protocol'

import { askOperator, type Fields, type OperatorFlags } from '../ask-operator.ts'
import { formatBytes } from '../format-bytes.ts'
import { EXIT_FAILED, paintOn } from '../report.ts'

export type CompactFlags = OperatorFlags & { readonly json?: boolean }

const PATH = '/api/admin/v1/compact'

const LOOK_AGAIN_MS = 500

/** Progress is told at the first look and then this often. */
const TELL_LOOKS = 10

/** Has a running service compact its buckets, waits until it has, and prints what that did. Exit status 1 unless it did all. */
export async function runCompact(flags: CompactFlags): Promise<void> {
  const compaction = await compact(flags)
  const { buckets, operations_before: before, operations_after: after, failures } = compaction
  const isWhole = failures === 0
  if (!isWhole) process.exitCode = EXIT_FAILED
  if (flags.json === true) {
    console.log(JSON.stringify(compaction))
    return
  }
  const mark = isWhole
    ? paintOn(process.stdout, 'green', '✓ compacted')
    : paintOn(process.stdout, 'red', '✗ not all compacted')
  console.log(`${mark}  ${String(buckets)} buckets in ${formatSeconds(compaction)}`)
  console.log(`  operations  ${String(before)} before, ${String(after)} now`)
  console.log(`  freed       ${formatBytes(Number(compaction['bytes_freed']))} for what is stored next`)
  if (isWhole) return
  console.log(
    `  ${String(failures)} times something was in the way: storage-compact-failed in the log of the service says what. It is tried again by itself.`,
  )
}

async function compact(flags: CompactFlags): Promise<Fields> {
  const call = { doing: 'compact', path: PATH } as const
  let compaction = await askOperator(flags, { ...call, method: 'POST', body: { wait: false } })
  const { started_at: begun } = compaction
  for (let looks = 0; compaction['running'] === true; looks++) {
    await delay(LOOK_AGAIN_MS)
    compaction = await askOperator(flags, { ...call, method: 'GET' })
    if (compaction['started_at'] !== begun) throw unknownEnd()
    if (compaction['running'] === true && looks % TELL_LOOKS === 0) console.error(formatProgress(compaction))
  }
  return compaction
}

function formatProgress(compaction: Fields): string {
  const { buckets_done: done, buckets, bytes_freed: freed } = compaction
  return `  ${String(done)} of ${String(buckets)} buckets looked through in ${formatSeconds(compaction)}, ${formatBytes(Number(freed))} freed`
}

function formatSeconds({ took_ms: took }: Fields): string {
  return `${(Number(took) / 1000).toFixed(1)} s`
}

function unknownEnd(): HeadwaterError {
  return new HeadwaterError(
    'service-unreachable',
    'Cannot say how the compaction has ended: the service was started again meanwhile, or somebody asked for another one. Run headwater compact again.',
  )
}
