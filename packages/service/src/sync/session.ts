import {
  type CheckpointLine,
  encodeCheckpointLine,
  encodeDataLine,
  encodeLine,
  type BucketName,
  type ControlLine,
  type LineFormat,
  type OperationFormat,
  type StreamEndReason,
  type SyncRequest,
  writeCheckpointKey,
} from '@headwater/protocol'
import type { Turn } from '@headwater/sync-config'
import type { VerifiedUser } from '../auth/claims.ts'
import type { RevocationWatch } from '../auth/revocations.ts'
import type { Log } from '../observe/log.ts'
import type { Metrics } from '../observe/metrics.ts'
import type { SyncStorage } from '../storage/storage.ts'
import type { CheckpointFeed } from './checkpoint-feed.ts'
import type { Clock } from '../clock.ts'
import { Alarm, type Alarms } from './alarms.ts'
import { Keepalive } from './keepalive.ts'
import { LineBuffer } from './line-buffer.ts'
import type { SendPlan } from './plan-send.ts'
import { isQuick, type KeptRequest, type NoteResolved, Preparation } from './prepare.ts'
import { SessionState } from './session-state.ts'
import type { SharedRounds } from './shared-rounds.ts'
import { StreamsEnd } from './stream-end.ts'
import type { SessionChange, Subscription } from './subscription.ts'
import type { Turns } from './turns.ts'
import { Wake } from './wake.ts'

export type SyncParts = {
  readonly storage: SyncStorage
  readonly feed: CheckpointFeed
  readonly clock: Clock
  /** At least 0, below 1. */
  readonly random: () => number
  /** For clients that lose so many streams of this process together; undefined when it does not matter. */
  readonly chooseRetryAfterMs: (streams: number) => number | undefined
  readonly log: Log
  readonly metrics: Metrics
  /** Of all streams of this storage. */
  readonly rounds: SharedRounds
  /** Of all streams of this process, on `clock`. */
  readonly alarms: Alarms
  readonly noteResolved: NoteResolved
  /** Of all streams of this process. */
  readonly turns: Pick<Turns, 'begin'>
}

export type SyncOpen = {
  readonly request: SyncRequest
  readonly user: VerifiedUser
  readonly format: OperationFormat
  /** Between two keepalive lines; 20 s when absent. Infinity: only those that tell the end of the token. */
  readonly keepaliveMs?: number | undefined
  /** Where the user's token may be revoked; absent where it cannot be. */
  readonly revocation?: RevocationWatch | undefined
}

/** A data line is about so large at most, and made in one go; one operation is never cut. */
const LINE_BYTES_MAX = 262_144
const LINE_OPERATIONS_MAX = 1_000

/** Lines are handed on when there are so many bytes of them, or when nothing more is to be sent now. */
const FLUSH_BYTES = 65_536

/** A download is not interrupted by a newer checkpoint before so many operations: else it might never get on. */
const INTERRUPT_FROM_OPERATIONS = 1_000

/**
 * The lines of one sync stream, encoded, in chunks; a long line may be several. Ends after the token has expired or was
 * revoked, when what is served was built anew, or when `signal` aborts; and says why, unless its client is gone or was
 * told nothing yet, so that it can still get another answer. Throws before the first chunk when the request
 * cannot be served (`no-sync-config`, `too-many-buckets`); what is thrown later should cut the connection.
 */
export function openSyncStream(
  parts: SyncParts,
  { request, ...open }: SyncOpen,
  signal: AbortSignal,
): AsyncIterableIterator<Uint8Array, undefined> {
  // What a client says that it has can be long, and is kept only as far as it is granted.
  const { buckets, ...kept } = request
  return new Stream(parts, { ...open, request: kept, state: new SessionState(buckets) }, signal)
}

type StreamOpening = Omit<SyncOpen, 'request'> & { readonly request: KeptRequest; readonly state: SessionState }

/** Chunks, in order. */
type Taken = readonly Uint8Array[]

const END = { done: true, value: undefined } as const

/**
 * Most streams have nothing to tell most of the time, and there may be very many of them. So what waits then is one call
 * of `next`; generators and all that they hold begin with something to tell, and end with it.
 */
class Stream implements AsyncIterableIterator<Uint8Array, undefined> {
  readonly #parts: SyncParts
  readonly #format: OperationFormat
  readonly #subscription: Subscription
  readonly #signal: AbortSignal
  readonly #state: SessionState
  readonly #preparation: Preparation
  readonly #keepalive: Keepalive
  readonly #revocation: RevocationWatch | undefined
  readonly #lines = new LineBuffer()
  readonly #wake = new Wake()
  readonly #alarm = new Alarm(this.#wake.call)
  /** Chunks that are next to be handed on. */
  #taken: Taken = []
  #telling: AsyncGenerator<Taken, void, undefined> | undefined
  /** Everything is to be looked at: what was told last is not enough to go by. */
  #mustLook = true
  #operationsSent = 0
  /** When the oldest change that is being told was shown. */
  #shownAtMs: number | undefined
  #hasBegun = false
  /** No line may follow those that wait. */
  #hasEnded = false
  #isClosed = false

  constructor(parts: SyncParts, open: StreamOpening, signal: AbortSignal) {
    const { request, user, format, keepaliveMs, revocation, state } = open
    const { storage, feed, clock, random, noteResolved, turns } = parts
    const key = writeCheckpointKey(user.userId, request.clientId)
    const subscription = feed.subscribe(key)
    this.#parts = parts
    this.#format = format
    this.#subscription = subscription
    this.#signal = signal
    this.#state = state
    this.#preparation = new Preparation({
      noteResolved,
      turns,
      storage,
      feed,
      subscription,
      request,
      user,
      writeCheckpointKey: key,
      state,
    })
    const { expiresAtMs } = user
    this.#keepalive = new Keepalive({ nowMs: clock.nowMs(), expiresAtMs, random, intervalMs: keepaliveMs })
    this.#telling = this.#tell()
    subscription.onTouched = this.#wake.call
    signal.addEventListener('abort', this.#wake.call)
    this.#revocation = revocation
    revocation?.listen(() => {
      this.#keepalive.end(clock.nowMs())
      this.#wake.call()
    })
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    try {
      while (!this.#isClosed) {
        const [bytes, ...rest] = this.#taken
        this.#taken = rest
        if (bytes !== undefined) {
          this.#parts.metrics.add('headwater_sync_sent_bytes_total', bytes.length)
          return { done: false, value: bytes }
        }
        if (this.#telling !== undefined) {
          const told = await this.#telling.next()
          if (told.done === true) this.#telling = undefined
          else this.#taken = told.value
        } else if (this.#hasEnded) {
          this.#close()
        } else {
          await this.#sleep()
          if (this.#state.isSuperseded) this.#mustLook = true
          this.#telling = this.#tell()
        }
      }
      return END
    } catch (error) {
      this.#close()
      throw error
    }
  }

  async return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#close()
    return END
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#preparation.close()
    this.#parts.alarms.clear(this.#alarm)
    this.#signal.removeEventListener('abort', this.#wake.call)
    this.#subscription.close()
    this.#parts.log.debug('sync-stream-ended', { ...this.#preparation.client, operations: this.#operationsSent })
  }

  /** Tells the client everything that concerns it, until it knows all there is. */
  async *#tell(): AsyncGenerator<Taken, void, undefined> {
    // A token that has expired already gets the line that says so, and nothing else.
    while (this.#mayGoOn()) {
      const change = this.#mustLook ? undefined : this.#subscription.take()
      if (!this.#mustLook && change === undefined) break
      if (change === undefined || !(await this.#sendShared(change))) {
        let plan = change === undefined ? yield* this.#lookAtAll() : yield* this.#consider(change)
        while (plan !== undefined) plan = yield* this.#sendRound(plan)
        this.#preparation.unpin()
      }
      if (this.#lines.length > 0) yield this.#lines.take()
    }
    if (this.#lines.length > 0) yield this.#lines.take()
  }

  async *#lookAtAll(): AsyncGenerator<Taken, SendPlan | undefined, undefined> {
    this.#mustLook = false
    return yield* this.#stayAlive(this.#preparation.prepareAll())
  }

  async *#consider(change: SessionChange): AsyncGenerator<Taken, SendPlan | undefined, undefined> {
    const work = this.#preparation.prepareChange(change)
    return isQuick(change) ? await work : yield* this.#stayAlive(work)
  }

  /** Most changes, for most clients: a few rows of one bucket. The lines are made once for all who have it. */
  async #sendShared({
    touchesAll,
    mustResolve,
    writeCheckpoint,
    buckets,
    checkpoint,
    sinceMs,
  }: SessionChange): Promise<boolean> {
    this.#shownAtMs = sinceMs
    if (touchesAll || mustResolve || writeCheckpoint !== undefined || buckets.size !== 1) return false
    const state = this.#state
    const [bucket] = buckets
    const entry = bucket === undefined ? undefined : state.findSettled(bucket)
    if (bucket === undefined || entry === undefined || checkpoint <= state.checkpoint) return false
    const round = await this.#parts.rounds.find({
      format: this.#format,
      entry,
      after: state.positionOf(bucket),
      checkpoint,
      writeCheckpoint: state.writeCheckpoint,
    })
    if (round === undefined || !this.#mayGoOn()) return false
    const { bytes, checksum, count, position, operations } = round
    this.#keepalive.begin(this.#parts.clock.nowMs())
    this.#lines.pushShared(bytes)
    state.noteSettled({ ...entry, checksum, count }, position, checkpoint)
    this.#operationsSent += operations
    this.#parts.metrics.add('headwater_sync_operations_sent_total', operations)
    this.#noteCompleted()
    return true
  }

  /** Sends a checkpoint line, what belongs to it, and its completion; or less, and gives what is newer. */
  async *#sendRound(plan: SendPlan): AsyncGenerator<Taken, SendPlan | undefined, undefined> {
    // What was prepared while a new generation began says that everything is gone.
    if (!this.#mayGoOn()) return undefined
    const { alarms, clock, turns } = this.#parts
    if (this.#keepalive.begin(clock.nowMs())) alarms.clear(this.#alarm)
    const turn = turns.begin(this.#preparation.client.userId)
    await this.#pushCheckpoint(plan.line, turn)
    const sentBefore = this.#operationsSent
    for (const group of plan.groups) {
      for (const bucket of group.buckets) {
        while (this.#state.isUnfinished(bucket)) {
          const newer = await this.#findNewer(this.#operationsSent - sentBefore)
          if (newer !== undefined) return newer
          if (turn.isOver) await turn.next()
          await this.#sendPage(bucket)
          if (!this.#mayGoOn()) return undefined
          // Whatever is unfinished goes on under a newer checkpoint.
          if (this.#state.isSuperseded) {
            this.#mustLook = true
            return undefined
          }
          if (this.#lines.length >= FLUSH_BYTES) yield this.#lines.take()
        }
      }
      if (group !== plan.groups.at(-1)) {
        const { checkpoint } = this.#state
        this.#push({ kind: 'partial-checkpoint-complete', lastOpId: checkpoint, priority: group.priority })
      }
    }
    // So it may have been from the start, when what was sent before needs a checkpoint that is newer still.
    if (this.#state.isSuperseded) {
      this.#mustLook = true
      return undefined
    }
    this.#push({ kind: 'checkpoint-complete', lastOpId: this.#state.checkpoint })
    this.#noteCompleted()
    return undefined
  }

  /** One data line at most. */
  async #sendPage(bucket: BucketName): Promise<void> {
    const state = this.#state
    const after = state.positionOf(bucket)
    if (after >= state.checkpoint) {
      state.finish(bucket)
      return
    }
    const page = await this.#parts.storage.readBucket({
      bucket,
      after,
      upTo: state.checkpoint,
      format: this.#format,
      bytesMax: LINE_BYTES_MAX,
      operationsMax: LINE_OPERATIONS_MAX,
    })
    const { nextAfter, hasMore, count } = page
    if (count > 0) {
      this.#lines.push(...encodeDataLine({ bucket, after, nextAfter, hasMore }, page, this.#format))
      state.advance(bucket, nextAfter)
      this.#operationsSent += count
      this.#parts.metrics.add('headwater_sync_operations_sent_total', count)
    }
    if (page.completeFrom > state.completeFrom) state.completeFrom = page.completeFrom
    if (!hasMore) state.finish(bucket)
  }

  /** After a good part of a long round: what is newer and concerns this client, if anything. */
  async #findNewer(operationsSent: number): Promise<SendPlan | undefined> {
    if (operationsSent < INTERRUPT_FROM_OPERATIONS) return undefined
    const change = this.#subscription.take()
    return change === undefined ? undefined : this.#preparation.prepareChange(change)
  }

  async #pushCheckpoint(line: CheckpointLine, turn: Turn): Promise<void> {
    const steps = encodeCheckpointLine(line, this.#lineFormat)
    let step = steps.next()
    while (step.done !== true) {
      if (turn.isOver) await turn.next()
      step = steps.next()
    }
    this.#hasBegun = true
    this.#lines.push(...step.value)
  }

  #push(line: ControlLine): void {
    this.#hasBegun = true
    this.#lines.push(encodeLine(line, this.#lineFormat))
  }

  get #lineFormat(): LineFormat {
    return this.#format === 'bson' ? 'bson' : 'ndjson'
  }

  #noteCompleted(): void {
    if (this.#shownAtMs === undefined) return
    this.#parts.metrics.observe('headwater_sync_checkpoint_seconds', (performance.now() - this.#shownAtMs) / 1000)
    this.#shownAtMs = undefined
  }

  /** Sends keepalive lines until `work` is done. Undefined when the stream ended before. */
  async *#stayAlive<Result>(work: Promise<Result>): AsyncGenerator<Taken, Result | undefined, undefined> {
    const progress = { isSettled: false }
    const settle = (): void => {
      progress.isSettled = true
      this.#wake.call()
    }
    work.then(settle, settle)
    while (!progress.isSettled) {
      await this.#sleep()
      if (progress.isSettled) break
      if (!this.#mayGoOn()) return undefined
      if (this.#lines.length > 0) yield this.#lines.take()
    }
    return await work
  }

  /** False when no line may follow. Adds the keepalive line that is due, if one is, and why the stream ends. */
  #mayGoOn(): boolean {
    if (this.#hasEnded) return false
    const end: unknown = this.#signal.aborted ? this.#signal.reason : this.#subscription.end
    if (end !== undefined) {
      if (end instanceof StreamsEnd) this.#pushEnd(end.reason, this.#parts.chooseRetryAfterMs(end.streams))
      this.#hasEnded = true
      return false
    }
    const seconds = this.#keepalive.takeDue(this.#parts.clock.nowMs())
    if (seconds === undefined) return true
    if (seconds === 0) {
      // First, as clients that know nothing of it leave at the line after it.
      this.#pushEnd(this.#revocation?.isRevoked === true ? 'token-revoked' : 'token-expired', undefined)
      this.#hasEnded = true
    }
    this.#push({ kind: 'token-expires-in', seconds })
    return seconds > 0
  }

  #pushEnd(reason: StreamEndReason, retryAfterMs: number | undefined): void {
    if (!this.#hasBegun) return
    this.#push({ kind: 'stream-end', reason, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) })
  }

  /** Until something wakes this stream: a change, its end, work that is done, or a keepalive line that is due. */
  #sleep(): Promise<void> {
    const { alarms, clock } = this.#parts
    if (!this.#alarm.isSet) {
      const nowMs = clock.nowMs()
      alarms.set(this.#alarm, nowMs + this.#keepalive.untilNextMs(nowMs))
    }
    return this.#wake.sleep()
  }
}
