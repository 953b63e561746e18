import { HeadwaterError } from '@headwater/protocol'
import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { SqlDatabase } from '../sqlite/sql-database.ts'
import { Pause, planPause } from '../sync/backoff.ts'
import { retryAfterOf } from '../sync/refused-error.ts'
import type { WriteCheckpointNumber } from '../connector.ts'
import { countsAnew, mayAdopt, needsWriteCheckpoint } from './hold.ts'
import type { QueueState } from './hold.ts'
import { parseWriteCheckpoint } from './queue.ts'
import { adopt, readQueueState } from './write-checkpoints.ts'

export type UploaderParts = {
  readonly sql: SqlDatabase
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly retryDelayMs: number
  /** Least time between rounds that writes start. */
  readonly throttleMs: number
  /** Returns the write checkpoint that the backend chose, if it chooses them. */
  readonly uploadData: () => Promise<WriteCheckpointNumber | void>
  /** A number that the service announces once everything written to the source before this call has come through it. */
  readonly askWriteCheckpoint: (signal: AbortSignal) => Promise<bigint>
  /** The service has lost its numbers: what the present stream has announced is of another life. */
  readonly onCountsAnew: () => Promise<void>
  /** The service has been asked for a number, which is the target now. */
  readonly onAsked: () => void
  readonly onStatus: (status: UploadStatus) => void
  /** All writes are uploaded, and the write checkpoint that covers them is known. */
  readonly onCompleted: () => void
}

export type UploadStatus = { readonly uploading: boolean; readonly error: Error | undefined }

/** Empties the upload queue through the app's function, with a pause of its own after failures: it needs no stream. */
export class Uploader {
  readonly #parts: UploaderParts
  /** Why there is to be another round; rounds that writes start keep their distance. */
  #wanted: 'no' | 'by-write' | 'at-once' = 'at-once'
  #wakeUp = () => {}
  #error: Error | undefined
  #failures = 0
  /** What comes after the present round, if that fails. */
  #pause = new Pause()

  constructor(parts: UploaderParts) {
    this.#parts = parts
  }

  /** There may be something to upload, for another reason than a write. */
  readonly trigger = (): void => this.#want('at-once')

  /** Something was written. */
  readonly noteWrite = (): void => this.#want('by-write')

  #want(why: 'by-write' | 'at-once'): void {
    if (this.#wanted !== 'at-once') this.#wanted = why
    this.#wakeUp()
  }

  /** Runs until `signal` aborts. No upload starts after that. */
  async run(signal: AbortSignal): Promise<void> {
    const stop = () => this.#wakeUp()
    signal.addEventListener('abort', stop, { once: true })
    const { clock, random, retryDelayMs, throttleMs, logger } = this.#parts
    /** When the last round began that a write had started. */
    let roundBeganMs = -Infinity
    while (!signal.aborted) {
      await this.#untilWanted(signal)
      const byWrite = this.#wanted === 'by-write'
      if (byWrite) await clock.wait(Math.max(0, roundBeganMs + throttleMs - clock.monotonicMs()), signal)
      if (signal.aborted) return
      this.#wanted = 'no'
      this.#pause = new Pause()
      const beganMs = clock.monotonicMs()
      try {
        const uploaded = await this.#round(signal)
        if (signal.aborted) return
        this.#failures = 0
        this.#tell(false, undefined)
        if (uploaded && byWrite) roundBeganMs = beganMs
      } catch (error) {
        if (signal.aborted) return
        this.#failures += 1
        this.#wanted = 'at-once'
        logger.log({ level: 'warn', message: 'Upload failed, trying again later', error })
        this.#tell(false, error instanceof Error ? error : new Error(String(error)))
        const rule = { failures: this.#failures, retryDelayMs, retryAfterMs: retryAfterOf(error), random: random() }
        await this.#pause.wait(clock, planPause(rule), signal)
      }
    }
  }

  /** Uploads until the queue is empty, then finds out which write checkpoint covers it all. Was there anything? */
  async #round(signal: AbortSignal): Promise<boolean> {
    const { sql, logger, uploadData } = this.#parts
    let head: bigint | undefined
    for (;;) {
      const state = await readQueueState(sql)
      if (signal.aborted) return false
      if (state.head === undefined) {
        await this.#finish(state, signal)
        return head !== undefined
      }
      if (state.head === head) {
        logger.log({
          level: 'warn',
          message:
            'uploadData() returned without taking the oldest entry off the queue: call complete() on what you uploaded',
        })
        throw new HeadwaterError('upload-stalled', 'Delaying due to previously encountered CRUD item.')
      }
      head = state.head
      this.#tell(true, this.#error)
      const chosen = await uploadData()
      this.#error = undefined
      if (chosen !== undefined) {
        await adopt(sql, parseWriteCheckpoint(String(chosen)), { kind: 'backend' }, needsWriteCheckpoint)
      }
    }
  }

  async #finish(before: QueueState, signal: AbortSignal): Promise<void> {
    const { sql, askWriteCheckpoint, onAsked, onCountsAnew, onCompleted } = this.#parts
    this.#tell(false, undefined)
    if (needsWriteCheckpoint(before)) {
      const number = await askWriteCheckpoint(signal)
      const forgetSeen = countsAnew(before, number)
      if (forgetSeen) await onCountsAnew()
      if (!(await adopt(sql, number, { kind: 'service', forgetSeen }, (now) => mayAdopt(before, now)))) {
        this.#want('by-write')
        return
      }
      onAsked()
    }
    onCompleted()
  }

  #tell(uploading: boolean, error: Error | undefined): void {
    this.#error = error
    this.#parts.onStatus({ uploading, error })
  }

  async #untilWanted(signal: AbortSignal): Promise<void> {
    while (this.#wanted === 'no' && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wakeUp = resolve
      })
    }
  }

  /**
   * There is reason to think that what failed works now. Heard in the middle of a round, too: one that then fails has
   * begun too early, and is followed by another at once.
   */
  readonly retryNow = (): void => {
    this.#failures = 0
    this.#pause.cut()
    this.trigger()
  }
}
