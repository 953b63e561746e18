/**
 * What the main process and its workers tell each other over their channel. Both run the same program, so a message is
 * what its sender's type says; it is copied with everything that structured clone knows: maps, sets, bigints.
 */
import type { OpId } from '@headwater/protocol'
import type { Revocation } from '../auth/revocation.ts'
import type { ServiceSettings } from '../config/options.ts'
import type { Lsn } from '../postgres/lsn.ts'
import type { Listener } from '../serving.ts'
import type { Commit } from '../storage/storage.ts'
import type { CallResult, MainCall } from './calls.ts'
import type { MetricSnapshot } from './gathered-metrics.ts'

/** From the main process. */
export type ToWorker =
  /** First of all. `worker`: its number, from 1. */
  | {
      readonly kind: 'begin'
      readonly worker: number
      readonly settings: ServiceSettings
      readonly revocations: readonly Revocation[]
    }
  /** With the socket of a client, unless that is gone by now. */
  | { readonly kind: 'connection'; readonly listener: Listener }
  /** `count`: of all commits told to this worker, from 1. */
  | { readonly kind: 'commit'; readonly count: number; readonly commit: Commit }
  | { readonly kind: 'revoked'; readonly revocations: readonly Revocation[] }
  | { readonly kind: 'result'; readonly id: number; readonly result: CallResult }
  /** Say so when clients are shown everything of the source up to `place`. */
  | { readonly kind: 'show'; readonly place: Lsn }
  | { readonly kind: 'read-metrics' }
  /** End streams in good order, and then yourself. */
  | { readonly kind: 'stop' }

/** From a worker. */
export type FromWorker =
  | { readonly kind: 'ready' }
  /** `oldestPinned`: of the checkpoints to which this worker is bringing clients. */
  | { readonly kind: 'alive'; readonly oldestPinned: OpId | undefined }
  /** A connection has arrived. */
  | { readonly kind: 'accepted' }
  /** A connection has ended. */
  | { readonly kind: 'closed' }
  /** A place for a stream is not needed any more, whether or not it was granted. */
  | { readonly kind: 'stream-place-left'; readonly place: number }
  | { readonly kind: 'call'; readonly id: number; readonly call: MainCall }
  | { readonly kind: 'shown'; readonly place: Lsn }
  | { readonly kind: 'metrics'; readonly metrics: MetricSnapshot }

export function readToWorker(message: unknown): ToWorker {
  return message as ToWorker
}

export function readFromWorker(message: unknown): FromWorker {
  return message as FromWorker
}
