import type { ErrorCode } from '@headwater/protocol'
import { formatLsn } from '../postgres/lsn.ts'
import type { ReplicationCounts } from './counts.ts'
import type { RunningSession } from './session.ts'

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

export function readStatus(
  phase: ReplicatorPhase,
  counts: ReplicationCounts,
  session: RunningSession | undefined,
): ReplicationStatus {
  return {
    phase,
    counts: { ...counts },
    connection: session === undefined ? undefined : readConnection(session),
  }
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
