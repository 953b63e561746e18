import { HeadwaterError } from '@headwater/protocol'
import type { BucketEntry, BucketName, Line, StreamEndReason, StreamEntry, UnknownLine } from '@headwater/protocol'
import type { Completion, CompletionOutcome } from '../store/complete.ts'
import type { DataLine } from '../store/data.ts'
import type { StreamKey } from '../store/subscriptions.ts'
import { RefusedError } from './refused-error.ts'
import { applyDiff, streamsCoveredBy, toTarget } from './target.ts'
import type { Target } from './target.ts'

/**
 * What the download side of a connected database is doing.
 *
 *     off ──start──▶ opening ──opened──▶ listening ──failed/ended──▶ waiting ──retry-due──▶ opening
 *                       ▲                    │
 *                       └────── restart ─────┘   (hidden: still shown as connected)
 *
 * `iteration` numbers connections, so that what a dead one still says is not heard. `failures` counts attempts since
 * the last completed checkpoint, or since the service last ended a stream in good order: what it says it does well is no
 * reason to come back later and later.
 */
export type SyncState =
  | { readonly at: 'off'; readonly iteration: number }
  | (Attempt & { readonly at: 'opening'; readonly hidden: boolean })
  | (Attempt & { readonly at: 'listening'; readonly progress: Progress; readonly requested: readonly StreamKey[] })
  | (Attempt & { readonly at: 'waiting' })

type Attempt = { readonly iteration: number; readonly failures: number; readonly error: Error | undefined }

/** Where a connection stands. A held checkpoint is complete, but local writes are not in it yet. */
export type Progress =
  | { readonly kind: 'none' }
  | { readonly kind: 'downloading'; readonly target: Target }
  | { readonly kind: 'current'; readonly target: Target }
  | { readonly kind: 'held'; readonly target: Target }

export type SyncEvent =
  | { readonly kind: 'start' }
  | { readonly kind: 'stop' }
  /** The service accepted the request, which named these subscriptions. */
  | { readonly kind: 'opened'; readonly iteration: number; readonly requested: readonly StreamKey[] }
  | { readonly kind: 'line'; readonly iteration: number; readonly line: Line | UnknownLine }
  | { readonly kind: 'data'; readonly iteration: number; readonly lines: readonly DataLine[] }
  /** Without an error: the service ended the stream in good order. `retryAfterMs`: how long it asked to be left alone. */
  | {
      readonly kind: 'ended'
      readonly iteration: number
      readonly error?: Error
      readonly retryAfterMs?: number | undefined
    }
  | { readonly kind: 'completed'; readonly priority: number | undefined; readonly outcome: CompletionOutcome }
  | { readonly kind: 'uploads-completed' }
  /** New credentials are there, or other streams are wanted. */
  | { readonly kind: 'restart' }
  /** A pause is over. */
  | { readonly kind: 'retry-due' }
  /** The platform has reason to hope: the network is back, somebody looks. What failed before counts no more. */
  | { readonly kind: 'woken' }
  /** Another call than that of the stream got its answer from the service. */
  | { readonly kind: 'service-answered' }

export type SyncEffect =
  | { readonly kind: 'open-stream'; readonly iteration: number }
  | { readonly kind: 'close-stream' }
  /** A pause of the n-th failure in a row, or `retryAfterMs` if that is longer. */
  | { readonly kind: 'pause'; readonly failures: number; readonly retryAfterMs?: number | undefined }
  /** The pause ends as soon as what the service asked for is over. */
  | { readonly kind: 'cut-pause' }
  | { readonly kind: 'store-data'; readonly lines: readonly DataLine[] }
  | {
      readonly kind: 'announce-all'
      readonly entries: readonly BucketEntry[]
      readonly streams: readonly StreamEntry[]
    }
  | {
      readonly kind: 'announce-changed'
      readonly updated: readonly BucketEntry[]
      readonly removed: readonly BucketName[]
    }
  /** `streams`: those whose data is all there with it; undefined for all. */
  | { readonly kind: 'complete'; readonly completion: Completion; readonly streams: readonly StreamKey[] | undefined }
  | { readonly kind: 'build-index' }
  | { readonly kind: 'tell-connected' }
  | { readonly kind: 'discard-credentials' }
  | { readonly kind: 'prefetch-credentials' }
  | { readonly kind: 'renew-subscriptions' }
  | { readonly kind: 'log'; readonly level: 'debug' | 'info' | 'warn'; readonly message: string }

export type Step = readonly [SyncState, readonly SyncEffect[]]

/** A token with less time left than this is replaced. */
const TOKEN_RENEW_SECONDS = 30

/** How the codes of everything begin that is wrong with a token. */
const TOKEN_CODES = 'PSYNC_S21'

/** Reasons for which a stream ends that another token mends. */
const TOKEN_REASONS: ReadonlySet<StreamEndReason> = new Set(['token-expired', 'token-revoked'])

export const OFF: SyncState = { at: 'off', iteration: 0 }

/** The next state and what to do, in order. Knows no clock, no network and no database. */
export function step(state: SyncState, event: SyncEvent): Step {
  switch (event.kind) {
    case 'start':
      return open({ iteration: state.iteration, failures: 0, error: undefined }, false)
    case 'stop':
      return state.at === 'off' ? [state, []] : [{ at: 'off', iteration: state.iteration }, [{ kind: 'close-stream' }]]
    case 'retry-due':
      return state.at === 'waiting' ? open(state, false) : [state, []]
    case 'restart':
      return restart(state)
    case 'woken':
      return wake(state)
    case 'service-answered':
      // Sent away with an answer, the stream has been through to the service all along: this is no news then.
      return state.at === 'waiting' && !(state.error instanceof RefusedError)
        ? [state, [{ kind: 'cut-pause' }]]
        : [state, []]
    case 'opened':
      if (state.at !== 'opening' || event.iteration !== state.iteration) return [state, []]
      return [listening(state, { kind: 'none' }, event.requested), [{ kind: 'tell-connected' }]]
    case 'ended':
      if (state.at === 'off' || state.at === 'waiting' || event.iteration !== state.iteration) return [state, []]
      return fail(state, event.error, event.retryAfterMs)
    case 'uploads-completed':
      if (state.at !== 'listening' || state.progress.kind !== 'held') return [state, []]
      return [state, [completeEffect(state.progress.target, undefined)]]
    case 'completed':
      return state.at === 'listening' ? completed(state, event.priority, event.outcome) : [state, []]
    case 'data':
      if (state.at !== 'listening' || event.iteration !== state.iteration) return [state, []]
      return [state, [{ kind: 'store-data', lines: event.lines }]]
    case 'line':
      if (state.at !== 'listening' || event.iteration !== state.iteration) return [state, []]
      return stepLine(state, event.line)
  }
}

type Listening = Extract<SyncState, { at: 'listening' }>

function stepLine(state: Listening, line: Line | UnknownLine): Step {
  const { progress } = state
  switch (line.kind) {
    case 'checkpoint': {
      const { buckets, streams } = line.checkpoint
      const target = toTarget(line.checkpoint, state.requested)
      const warnings = streams.flatMap(({ name, errors }) =>
        errors.map((error): SyncEffect => ({
          kind: 'log',
          level: 'warn',
          message: `Stream ${name}: ${error.message}`,
        })),
      )
      return [
        { ...state, progress: { kind: 'downloading', target } },
        [...warnings, { kind: 'announce-all', entries: buckets, streams }],
      ]
    }
    case 'checkpoint-diff': {
      if (progress.kind === 'none') return fail(state, outOfPlace('checkpoint_diff'))
      const { updatedBuckets: updated, removedBuckets: removed } = line.diff
      const target = applyDiff(progress.target, line.diff, state.requested)
      return [{ ...state, progress: { kind: 'downloading', target } }, [{ kind: 'announce-changed', updated, removed }]]
    }
    case 'checkpoint-complete':
      if (progress.kind === 'none') return fail(state, outOfPlace('checkpoint_complete'))
      return [state, [completeEffect(progress.target, undefined)]]
    case 'partial-checkpoint-complete':
      if (progress.kind === 'none') return fail(state, outOfPlace('partial_checkpoint_complete'))
      return [state, [completeEffect(progress.target, line.priority)]]
    case 'token-expires-in':
      if (line.seconds <= 0) {
        const [next, effects] = fail(state, undefined)
        return [next, [{ kind: 'discard-credentials' }, ...effects]]
      }
      return [state, [{ kind: line.seconds <= TOKEN_RENEW_SECONDS ? 'prefetch-credentials' : 'renew-subscriptions' }]]
    case 'stream-error':
      return refused(state, line)
    case 'stream-end': {
      const [next, effects] = fail(state, undefined, line.retryAfterMs)
      const message = `The service ended the stream: ${line.reason}`
      const discard: SyncEffect[] = TOKEN_REASONS.has(line.reason) ? [{ kind: 'discard-credentials' }] : []
      return [next, [{ kind: 'log', level: 'info', message }, ...discard, ...effects]]
    }
    case 'data':
      return [state, [{ kind: 'log', level: 'warn', message: `Left out a data line for bucket ${line.batch.bucket}` }]]
    case 'unknown':
      return [state, [{ kind: 'log', level: 'debug', message: `Ignored a line of unknown kind "${line.wireKind}"` }]]
  }
}

/** What an HTTP answer would have said, had the stream not begun already. */
function refused(state: Listening, line: Extract<Line, { kind: 'stream-error' }>): Step {
  const { code, message, retryAfterMs } = line
  const error = new RefusedError('sync-refused', `Cannot sync: the service ended the stream: ${code} ${message}`, {
    wireCode: code,
    retryAfterMs,
  })
  const [next, effects] = fail(state, error, retryAfterMs)
  const discard: SyncEffect[] = code.startsWith(TOKEN_CODES) ? [{ kind: 'discard-credentials' }] : []
  return [next, [{ kind: 'log', level: 'warn', message: error.message }, ...discard, ...effects]]
}

function completed(state: Listening, priority: number | undefined, outcome: CompletionOutcome): Step {
  if (state.progress.kind === 'none') return [state, []]
  const { target } = state.progress
  switch (outcome.kind) {
    case 'mismatch': {
      const buckets = outcome.buckets.map(({ bucket, expected, actual }) => `${bucket} is ${actual}, not ${expected}`)
      const message = `Checksums differ, downloading again: ${buckets.join('; ')}`
      const [next, effects] = fail(state, new HeadwaterError('checksum-mismatch', message))
      return [next, [{ kind: 'log', level: 'warn', message }, ...effects]]
    }
    case 'held':
      return [priority === undefined ? { ...state, failures: 0, progress: { kind: 'held', target } } : state, []]
    case 'published':
      if (priority !== undefined) return [state, []]
      return [
        { ...state, failures: 0, error: undefined, progress: { kind: 'current', target } },
        outcome.indexMissing ? [{ kind: 'build-index' }] : [],
      ]
  }
}

function completeEffect(target: Target, priority: number | undefined): SyncEffect {
  const { lastOpId, writeCheckpoint } = target
  return {
    kind: 'complete',
    completion: { lastOpId, writeCheckpoint, priority },
    streams: priority === undefined ? undefined : streamsCoveredBy(target, priority),
  }
}

/** A change of what is asked for, not trouble: the connection is replaced without a visible break. */
function restart(state: SyncState): Step {
  switch (state.at) {
    case 'off':
      return [state, []]
    case 'waiting':
      return [state, [{ kind: 'cut-pause' }]]
    case 'opening':
    case 'listening': {
      const [next, effects] = open(state, state.at === 'listening' || state.hidden)
      return [next, [{ kind: 'close-stream' }, ...effects]]
    }
  }
}

function wake(state: SyncState): Step {
  if (state.at === 'off') return [state, []]
  return [{ ...state, failures: 0 }, state.at === 'waiting' ? [{ kind: 'cut-pause' }] : []]
}

function open(state: Attempt, hidden: boolean): Step {
  const iteration = state.iteration + 1
  const { failures, error } = state
  return [{ at: 'opening', iteration, failures, error, hidden }, [{ kind: 'open-stream', iteration }]]
}

function listening(state: Attempt, progress: Progress, requested: readonly StreamKey[]): Listening {
  const { iteration, failures, error } = state
  return { at: 'listening', iteration, failures, error, progress, requested }
}

/** An end in good order is no error, but it is waited after all the same. What went wrong before stays visible. */
function fail(state: Attempt, error: Error | undefined, retryAfterMs?: number): Step {
  const failures = error === undefined ? 1 : state.failures + 1
  return [
    { at: 'waiting', iteration: state.iteration, failures, error: error ?? state.error },
    [{ kind: 'close-stream' }, { kind: 'pause', failures, retryAfterMs }],
  ]
}

function outOfPlace(line: string): HeadwaterError {
  return new HeadwaterError('sync-interrupted', `Cannot go on: the service sent a ${line} line without a checkpoint`)
}
