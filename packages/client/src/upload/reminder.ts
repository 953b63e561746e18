import type { Clock } from '../clock.ts'
import type { Logger } from '../logger.ts'
import type { SqlDatabase } from '../sqlite/sql-database.ts'
import { Pause, planPause } from '../sync/backoff.ts'
import type { PausePlan } from '../sync/backoff.ts'
import { retryAfterOf } from '../sync/refused-error.ts'
import { awaitedNumber, TARGET_UNKNOWN } from './hold.ts'
import { giveUp, readQueueState } from './write-checkpoints.ts'
import type { WriteCheckpoints } from './write-checkpoints.ts'

export type ReminderParts = {
  readonly sql: SqlDatabase
  readonly clock: Clock
  readonly random: () => number
  readonly logger: Logger
  readonly checkpoints: WriteCheckpoints
  /** Another write checkpoint must be asked for. */
  readonly onGivenUp: () => void
}

type Awaited = { readonly number: bigint; readonly sinceMs: number; reminders: number }

/** How long a number is awaited before the service is told of it again. The pauses after that double, up to a minute. */
export const REMIND_AFTER_MS = 10_000

/**
 * The same for services that choose the numbers, where another one has to be asked for. Some of them then forget the one
 * before: asking more often than replication lags behind would be to wait for ever, so pauses double further.
 */
export const ASK_ANEW_AFTER_MS = 60_000
const ASK_ANEW_AFTER_MAX_MS = 30 * 60_000

/**
 * Sees to it that the number for which downloads wait does come. A service may have lost its storage since, may have
 * forgotten the number for its age, or may know this device under another user now. Told again of a number that it has, it
 * changes nothing.
 */
export class Reminder {
  readonly #parts: ReminderParts
  #pause = new Pause()
  #wakeUp = () => {}
  #connectedMeanwhile = false
  #awaited: Awaited | undefined
  /** How many numbers in a row were given up. */
  #givenUp = 0

  constructor(parts: ReminderParts) {
    this.#parts = parts
  }

  /** The stream is connected: to whom, is not known. */
  noteConnected(): void {
    this.#parts.checkpoints.noteConnected()
    this.#connectedMeanwhile = true
    this.#pause.cut()
    this.#wakeUp()
  }

  /** A number has become the target. */
  noteAsked(): void {
    this.#wakeUp()
  }

  /** Runs until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, logger } = this.#parts
    signal.addEventListener('abort', () => this.#wakeUp(), { once: true })
    let failures = 0
    while (!signal.aborted) {
      const noted = Promise.withResolvers<void>()
      this.#wakeUp = noted.resolve
      this.#pause = new Pause()
      let plan: PausePlan | undefined
      try {
        plan = await this.#turn(signal)
        failures = 0
      } catch (error) {
        if (signal.aborted) return
        failures += 1
        logger.log({ level: 'debug', message: 'Could not ask for the write checkpoint again', error })
        const rule = { failures, retryDelayMs: REMIND_AFTER_MS, retryAfterMs: retryAfterOf(error), random: random() }
        plan = planPause(rule)
      }
      if (plan === undefined) await noted.promise
      else await this.#pause.wait(clock, plan, signal)
    }
  }

  /** Does what is due. Returns when to come back; undefined: not before something is noted. */
  async #turn(signal: AbortSignal): Promise<PausePlan | undefined> {
    const { sql, clock } = this.#parts
    const state = await readQueueState(sql)
    const number = awaitedNumber(state)
    const hasConnected = this.#connectedMeanwhile
    this.#connectedMeanwhile = false
    if (number === undefined) {
      this.#awaited = undefined
      if (state.target !== TARGET_UNKNOWN) this.#givenUp = 0
      return undefined
    }
    const isNew = this.#awaited?.number !== number
    const awaited =
      isNew || this.#awaited === undefined ? { number, sinceMs: clock.monotonicMs(), reminders: 0 } : this.#awaited
    this.#awaited = awaited
    if (signal.aborted) return undefined
    if (isNew && !hasConnected) return this.#plan(awaited)
    awaited.reminders += 1
    return (await this.#remind(awaited, signal)) ? this.#plan(awaited) : undefined
  }

  /** False: the number was given up. */
  async #remind(awaited: Awaited, signal: AbortSignal): Promise<boolean> {
    const { sql, clock, checkpoints, onGivenUp } = this.#parts
    const { number, sinceMs } = awaited
    const outcome = checkpoints.offersRequests ? await checkpoints.repeat(number, signal) : 'not-offered'
    if (outcome === 'noted') return true
    if (outcome === 'not-offered' && clock.monotonicMs() < sinceMs + this.#patienceMs) return true
    this.#givenUp += 1
    await giveUp(sql, number)
    onGivenUp()
    return false
  }

  /** With a service that chooses the numbers: how long one is awaited. */
  get #patienceMs(): number {
    return Math.min(ASK_ANEW_AFTER_MS * 2 ** Math.min(this.#givenUp, 30), ASK_ANEW_AFTER_MAX_MS)
  }

  #plan({ reminders, sinceMs }: Awaited): PausePlan {
    const { clock, random, checkpoints } = this.#parts
    if (!checkpoints.offersRequests) {
      return { firmMs: 0, restMs: Math.max(0, sinceMs + this.#patienceMs - clock.monotonicMs()) }
    }
    const retryDelayMs = REMIND_AFTER_MS
    return planPause({ failures: reminders + 1, retryDelayMs, retryAfterMs: undefined, random: random() })
  }
}
