import type { OpId } from '@headwater/protocol'
import type { Revocations } from '../auth/revocations.ts'
import type { Log } from '../observe/log.ts'
import type { LimitWatch } from '../observe/limit-watch.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { Turns } from '../sync/turns.ts'
import type { Verify } from './authorize.ts'
import type { Operator } from './operator.ts'
import type { Health } from './probes.ts'
import type { RequestRates } from './request-rates.ts'
import type { PlaceAmongAll, StreamLimits } from './stream-places.ts'
import type { StreamOpen } from './sync-streams.ts'

/** What the HTTP side needs of the others. */
export type HttpParts = {
  readonly verify: Verify
  readonly revocations: Pick<Revocations, 'isRevoked' | 'watch'>
  /**
   * Encoded lines, in chunks. Fails before the first chunk when the request cannot be served, later between two lines.
   * Ends when `signal` aborts: with a line that says so if that is because of a `StreamsEnd`, else without a word.
   */
  readonly openStream: (open: StreamOpen, signal: AbortSignal) => AsyncIterable<Uint8Array>
  /** The new number of this user or client; throws `no-sync-config` as long as nothing is replicated. */
  readonly requestWriteCheckpoint: (key: string) => Promise<bigint>
  /** Notes a number that this user or client has chosen; returns the highest of the key. Throws as above. */
  readonly requestCheckpointNumber: (key: string, number: bigint) => Promise<bigint>
  /**
   * The op id of the first checkpoint that has everything written to the source before. Throws `replication-behind`
   * when that takes too long or `signal` aborts, else as above.
   */
  readonly awaitCheckpoint: (key: string, signal: AbortSignal) => Promise<OpId>
  readonly readHealth: () => Promise<Health>
  readonly readMetrics: () => Promise<{ readonly contentType: string; readonly body: string }>
  readonly operator: Operator
  /** For one more stream of a user. */
  readonly takePlaceAmongAll: (userId: string) => PlaceAmongAll
  readonly limits: HttpLimits
  readonly limitWatch: LimitWatch
  /** Of all listeners and transports. */
  readonly rates: RequestRates
  /** What takes long is done in turns: those of the streams. */
  readonly turns: Pick<Turns, 'begin'>
  readonly metrics: Metrics
  readonly log: Log
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  /** At least 0, below 1. */
  readonly random: () => number
  /** For clients that lose so many streams of this process together; undefined when it does not matter. */
  readonly chooseRetryAfterMs: (streams: number) => number | undefined
}

/** How much there may be of what the outside can make grow. */
export type HttpLimits = StreamLimits & {
  /** Connections whose other end has not proven who it is, or that are idle. */
  readonly newcomersMax: number
  /** Body of a request for a sync stream, or message over a WebSocket. */
  readonly requestBytesMax: number
  /** What requests hold in memory: while they are read, and for as long as their streams are open. */
  readonly requestMemoryBytesMax: number
  /** Requests of one user, in the long run. */
  readonly userRequestsPerSecond: number
  /** What waits for a client must have gone within this time. */
  readonly stalledSecondsMax: number
  /** What waits for all clients together. */
  readonly waitingBytesMax: number
  /** Requests that wait for the source at once. */
  readonly writeCheckpointsMax: number
  readonly userWriteCheckpointsMax: number
}
