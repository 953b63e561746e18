import type { StreamEndReason } from '@headwater/protocol'

/** Streams that are opened take their service a while: so many a second, those of all its processes together. */
const RETURNS_PER_SECOND = 500

/** The time over which clients come back, however many there are. */
const WINDOW_MAX_MS = 20_000

/** By themselves clients wait for so long before they come back, and a tenth more or less. */
const CLIENT_DELAY_MS = 5_000
const CLIENT_SPREAD_MS = 1_000

/**
 * Why the service ends streams that could go on, each with a last line that says so. Also what a stream's signal is
 * aborted with then: no error, which would cost a stack trace each.
 */
export class StreamsEnd {
  readonly reason: Extract<StreamEndReason, 'config-changed' | 'shutdown'>
  /** How many end together. */
  readonly streams: number

  constructor(reason: StreamsEnd['reason'], streams: number) {
    this.reason = reason
    this.streams = streams
  }
}

/**
 * Milliseconds after which one of so many clients that lose their streams together should come back: another number for
 * each, so that they do not all come in one second. Undefined when they are so few that it does not matter: nobody is
 * asked to wait in vain. `random`: at least 0, below 1.
 */
export function chooseRetryAfterMs(streams: number, random: () => number): number | undefined {
  const windowMs = Math.min((streams / RETURNS_PER_SECOND) * 1000, WINDOW_MAX_MS)
  // From there on, as clients wait so long at least: whoever was asked for less would come with all others of these.
  return windowMs <= CLIENT_SPREAD_MS ? undefined : Math.round(CLIENT_DELAY_MS + random() * windowMs)
}
