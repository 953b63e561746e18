import type { ErrorCode } from '@headwater/protocol'
import { formatLsn } from '../postgres/lsn.ts'
import type { AwaitedCanary, CanaryState } from './canary.ts'
import type { ReplicationCounts } from './counts.ts'
import type { RunningSession } from './session.ts'
import type { UnderWay } from './write-checkpoints.ts'

export type ReplicatorPhase =
  | { readonly kind: 'connecting' }
  | { readonly kind: 'running' }
  /** Will connect again. */
  | { readonly kind: 'waiting'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'stopped' }

/** What an operator may ask of replication. */
export type ReplicationStatus = {
  readonly phase: ReplicatorPhase
  readonly counts: Readonly<ReplicationCounts>
  readonly connection: ConnectionStatus | undefined
  readonly canary: CanaryStatus
  readonly writeCheckpoints: UnderWay
}

/** Times are milliseconds since 1970. */
export type CanaryStatus = {
  /** When one has last come all the way; undefined: none since replication began. */
  readonly passedAtMs: number | undefined
  readonly awaited: AwaitedStatus | undefined
}

export type AwaitedStatus = {
  readonly sinceMs: number
  /** When something of what comes before it was last seen to move on. */
  readonly movedAtMs: number
  /** What it waits for next: to be written, to be read from the log, to be stored, to be shown. */
  readonly next: 'source' | 'wal' | 'storage' | 'checkpoint'
}

export type ConnectionStatus = {
  readonly generation: number
  /** Postgres' notation. */
  readonly serverEnd: string
  readonly acknowledged: string
  readonly lagBytes: number
  readonly bytesReceived: number
  /** When the server was last heard. */
  readonly lastHeardAtMs: number
  readonly copies: readonly TableCopyStatus[]
}

export type TableCopyStatus = {
  readonly table: string
  readonly mode: 'first' | 'refresh' | 'removed'
  readonly isDone: boolean
  readonly rowsCopied: number
  readonly rowsEstimated: number
}

export function readStatus({
  phase,
  counts,
  canary,
  writeCheckpoints,
  running,
}: {
  readonly phase: ReplicatorPhase
  readonly counts: ReplicationCounts
  readonly canary: CanaryState
  readonly writeCheckpoints: UnderWay
  readonly running: RunningSession | undefined
}): ReplicationStatus {
  return {
    phase,
    counts: { ...counts },
    writeCheckpoints,
    connection: running === undefined ? undefined : readConnection(running),
    canary: {
      passedAtMs: canary.passedAtMs,
      awaited: canary.awaited === undefined ? undefined : readAwaited(canary.awaited, running),
    },
  }
}

function readAwaited({ sinceMs, movedAtMs, place }: AwaitedCanary, running: RunningSession | undefined): AwaitedStatus {
  if (running === undefined || place === undefined) return { sinceMs, movedAtMs, next: 'source' }
  const { serverEnd, acknowledged } = running.wal.readPositions()
  if (acknowledged >= place) return { sinceMs, movedAtMs, next: 'checkpoint' }
  // What has arrived and is not taken keeps the rest from arriving.
  const hasArrived = serverEnd >= place || running.wal.hasData()
  return { sinceMs, movedAtMs, next: hasArrived ? 'storage' : 'wal' }
}

function readConnection({ wal, board, generation }: RunningSession): ConnectionStatus {
  const { serverEnd, acknowledged, bytesReceived, lastHeardAtMs } = wal.readPositions()
  return {
    generation,
    serverEnd: formatLsn(serverEnd),
    acknowledged: formatLsn(acknowledged),
    lagBytes: Math.max(0, Number(serverEnd - acknowledged)),
    bytesReceived,
    lastHeardAtMs,
    copies: board.list().map(({ state }) => ({
      table: state.label,
      mode: state.mode,
      isDone: state.isDone,
      rowsCopied: state.rowsCopied,
      rowsEstimated: state.rowsEstimated,
    })),
  }
}
